"""What people order for single vehicles, above what the plan would do."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from depot.models import Depot, Scoped, User
from depot.models.site import FRACTION
from depot.words import tr, weekday_time
from fleet.models import Vehicle

MOST_KW = 10_000.0


class Override(Scoped):
    """An order for one vehicle: planned as a hard rule from `from_at` until `to_at`, or until it is withdrawn.

    A row is written once; only its withdrawal is added later.
    """

    class Kind(models.TextChoices):
        CHARGE_NOW = "charge_now", "Charge now"
        HOLD = "hold", "Hold"
        NO_DISCHARGE = "no_discharge", "Never discharge"
        READY_BY = "ready_by", "Ready by"
        LIMIT = "limit", "Limit the power"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="overrides")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="overrides")
    kind = models.CharField(max_length=12, choices=Kind)
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(help_text="For ready by: the moment at which the charge must be there.")
    max_kw = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.0), MaxValueValidator(MOST_KW)]
    )
    soc = models.FloatField(null=True, blank=True, validators=FRACTION, help_text="Charge to reach, 0 to 1.")
    reason = models.CharField(max_length=200, blank=True)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    made_by_name = models.CharField(max_length=150)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-made_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(to_at__gt=F("from_at")), name="order_ends_after_it_begins"),
            models.CheckConstraint(
                condition=~Q(kind="limit") | Q(max_kw__isnull=False), name="order_of_a_limit_has_a_power"
            ),
            models.CheckConstraint(
                condition=~Q(kind="ready_by") | Q(soc__isnull=False), name="order_of_readiness_has_a_charge"
            ),
        ]
        indexes = [models.Index(fields=["depot", "withdrawn_at", "to_at"], name="orders_in_force")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.vehicle}"

    def in_words(self) -> str:
        """Say what is ordered until when, in the depot's time: hold until Tue 14:00."""
        until = weekday_time(self.depot.local(self.to_at))
        charge = "" if self.soc is None else f"{100 * self.soc:.0f} %"
        if self.kind == self.Kind.CHARGE_NOW:
            if charge:
                return tr("charge now to {charge} and keep it until {until}", charge=charge, until=until)
            return tr("charge now until {until}", until=until)
        if self.kind == self.Kind.READY_BY:
            return tr("ready by {until} with {charge}", until=until, charge=charge)
        if self.kind == self.Kind.LIMIT:
            return tr("at most {power:g} kW until {until}", power=self.max_kw, until=until)
        if self.kind == self.Kind.HOLD:
            return tr("hold until {until}", until=until)
        return tr("never discharge until {until}", until=until)
