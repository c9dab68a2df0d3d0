"""The site: the depot, its electrical tree, its grid agreement, sun and storage."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from depot.cycles import Cycles
from depot.measures import METRIC, SYSTEMS
from depot.models.base import Scoped
from depot.models.nesting import nesting_problems
from depot.words import ENGLISH, LANGUAGES, tr

RESERVED_SLUGS = frozenset({"admin", "api", "health", "log-in", "log-out", "static", "metrics"})
FRACTION = [MinValueValidator(0.0), MaxValueValidator(1.0)]
POSITIVE = [MinValueValidator(0.0)]


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(
            tr("“{name}” is not a time zone of the IANA list. Write it like America/New_York.", name=name),
            code="time_zone",
        )


class Depot(Scoped):
    """A site where vehicles stand, charge and leave from."""

    depot_path = "pk"

    name = models.CharField(max_length=100)
    slug = models.SlugField(
        unique=True, help_text="Short name in addresses and commands, like “maple-street”."
    )
    time_zone = models.CharField(
        max_length=64, validators=[validate_time_zone], help_text="IANA name, like America/New_York."
    )
    currency = models.CharField(
        max_length=3,
        default="USD",
        validators=[
            RegexValidator(r"^[A-Z]{3}$", _("Write the three-letter ISO 4217 code, like USD or EUR."))
        ],
        help_text="ISO 4217 code of bills and savings.",
    )
    language = models.CharField(
        max_length=8,
        choices=LANGUAGES.items(),
        default=ENGLISH,
        help_text="Of what is written down for this depot: alerts, mails, plans' reasons, bills, the audit trail.",
    )
    units = models.CharField(
        max_length=8,
        choices=SYSTEMS.items(),
        default=METRIC,
        help_text="In which pages write distances and temperatures. Files and the API stay with km and °C.",
    )
    latitude = models.FloatField(
        validators=[MinValueValidator(-90), MaxValueValidator(90)], help_text="Degrees, north positive."
    )
    longitude = models.FloatField(
        validators=[MinValueValidator(-180), MaxValueValidator(180)], help_text="Degrees, east positive."
    )
    elevation_m = models.FloatField(default=0.0, help_text="Metres above sea level.")
    horizon_hours = models.PositiveSmallIntegerField(
        default=36,
        validators=[MinValueValidator(12), MaxValueValidator(72)],
        help_text="How far ahead each plan looks, in hours.",
    )
    step_minutes = models.PositiveSmallIntegerField(
        default=15,
        choices=[(5, "5 min"), (15, "15 min"), (30, "30 min"), (60, "60 min")],
        help_text="Length of a planning step and of a ledger interval, in minutes.",
    )
    meter_reading_day = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(28)],
        help_text="Day on which billing cycles begin, as the utility reads the meter; 1 = calendar months.",
    )
    meter_read_since = models.DateField(
        null=True,
        blank=True,
        help_text="First day of the month from which on that day holds; empty = always. The cycle before it is longer.",
    )
    meter_read_on = models.JSONField(
        default=list,
        blank=True,
        help_text="Days on which the meter was or will be read in fact, like 2026-03-11, one in a month at most. Each "
        "begins its month's cycle in place of the day above.",
    )
    dispatch_enabled = models.BooleanField(
        default=True, help_text="Send plans to the chargers. Off = plan and show only."
    )
    demo = models.BooleanField(
        default=False, editable=False, help_text="Filled by the demonstration, not by real chargers."
    )
    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def cycles(self) -> Cycles:
        """Return the billing cycles of the depot's meter."""
        read_on = tuple(map(date.fromisoformat, self.meter_read_on))
        return Cycles(self.tz, self.meter_reading_day, self.meter_read_since, read_on)

    def clean(self) -> None:
        if self.meter_read_since and self.meter_read_since.day != 1:
            raise ValidationError(
                {"meter_read_since": tr("Enter the first day of the month, like 2026-03-01.")}
            )
        if self.slug in RESERVED_SLUGS:
            raise ValidationError(
                {"slug": tr("“{slug}” is an address of the program itself. Choose another.", slug=self.slug)}
            )

    def local(self, at: datetime) -> datetime:
        """Return a moment in the depot's own time."""
        return at.astimezone(self.tz)


class ElectricalNode(Scoped):
    """A point of the depot's electrical tree with a limit: grid connection, transformer, feeder or panel."""

    class Kind(models.TextChoices):
        GRID = "grid", "Grid connection"
        TRANSFORMER = "transformer", "Transformer"
        FEEDER = "feeder", "Feeder"
        PANEL = "panel", "Panel"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="nodes")
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
        help_text="The node that feeds this one; empty for the grid connection.",
    )
    kind = models.CharField(max_length=12, choices=Kind)
    name = models.CharField(max_length=60)
    import_limit_kw = models.FloatField(
        validators=POSITIVE, help_text="Most power that may flow in, in kW (fuse, breaker or contract)."
    )
    export_limit_kw = models.FloatField(
        default=0.0, validators=POSITIVE, help_text="Most power that may flow back out, in kW. 0 = none."
    )
    history = HistoricalRecords()
    edited_with_its_tree = False
    """Set while a form edits several nodes at once and checks how they nest itself."""

    class Meta:
        ordering = ["depot", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "name"], name="node_name_once_per_depot"),
            models.UniqueConstraint(
                fields=["depot"], condition=Q(kind="grid"), name="one_grid_connection_per_depot"
            ),
            models.CheckConstraint(
                condition=Q(kind="grid", parent__isnull=True) | (~Q(kind="grid") & Q(parent__isnull=False)),
                name="only_the_grid_connection_has_no_parent",
                violation_error_message=_("Every node but the grid connection needs a parent node."),
            ),
            models.CheckConstraint(
                condition=Q(import_limit_kw__gte=0, export_limit_kw__gte=0), name="node_limits_not_negative"
            ),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="node_is_not_its_own_parent"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display()}, {self.import_limit_kw:g} kW)"

    def clean(self) -> None:
        """Refuse a parent in another depot, a ring, and limits that do not nest."""
        if self.parent is not None and self.parent.depot_id != self.depot_id:
            raise ValidationError(
                {
                    "parent": tr(
                        "{parent} belongs to another depot. Choose a node of this depot.",
                        parent=self.parent.name,
                    )
                }
            )
        if self.edited_with_its_tree:
            return
        others = ElectricalNode.objects.filter(depot=self.depot_id).exclude(pk=self.pk)
        problems = {
            problem.field: problem.message
            for problem in nesting_problems([self, *list(others)])
            if problem.node is self or (self.pk and problem.node.parent_id == self.pk)
        }
        if problems:
            raise ValidationError(problems)


class InterconnectionAgreement(Scoped):
    """What the grid operator allows: no export and no V2G to the grid before it is approved."""

    class State(models.TextChoices):
        NONE = "none", "Not applied for"
        APPLIED = "applied", "Applied for"
        APPROVED = "approved", "Approved"
        EXPIRED = "expired", "Expired or withdrawn"

    depot = models.OneToOneField(Depot, on_delete=models.CASCADE, related_name="agreement")
    state = models.CharField(max_length=10, choices=State, default=State.NONE)
    export_limit_kw = models.FloatField(
        default=0.0, validators=POSITIVE, help_text="Most power the agreement lets flow to the grid, in kW."
    )
    bidirectional_meter = models.BooleanField(
        default=False, help_text="A meter that counts export is installed and commissioned."
    )
    reference = models.CharField(max_length=80, blank=True, help_text="The grid operator's file number.")
    approved_on = models.DateField(null=True, blank=True)
    history = HistoricalRecords()

    def __str__(self) -> str:
        return tr("{state}, export {power:g} kW", state=self.get_state_display(), power=self.export_limit_kw)

    @property
    def allowed_export_kw(self) -> float:
        """Return what may flow to the grid now, in kW: 0 until approved and metered."""
        approved = self.state == self.State.APPROVED and self.bidirectional_meter
        return self.export_limit_kw if approved else 0.0

    def clean(self) -> None:
        if self.state == self.State.APPROVED and self.approved_on is None:
            raise ValidationError(
                {"approved_on": tr("Enter the day on which the grid operator approved it.")}
            )


class SolarArray(Scoped):
    """Panels on one roof face, with one orientation."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="solar_arrays")
    node = models.ForeignKey(ElectricalNode, on_delete=models.PROTECT, related_name="solar_arrays")
    name = models.CharField(max_length=60)
    peak_kw = models.FloatField(validators=POSITIVE, help_text="Rated DC power of the panels, in kW.")
    inverter_kw = models.FloatField(validators=POSITIVE, help_text="Rated AC power of the inverter, in kW.")
    tilt_degrees = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(90)], help_text="0 = flat, 90 = upright."
    )
    azimuth_degrees = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(360)],
        help_text="90 = east, 180 = south, 270 = west.",
    )
    loss_fraction = models.FloatField(
        default=0.14, validators=FRACTION, help_text="Soiling, wiring and mismatch together, as a fraction."
    )
    curtailable = models.BooleanField(default=True, help_text="The inverter can be told to produce less.")
    history = HistoricalRecords()

    class Meta:
        ordering = ["depot", "name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.peak_kw:g} kW)"

    def clean(self) -> None:
        if self.node_id and self.node.depot_id != self.depot_id:
            raise ValidationError(
                {"node": tr("This node belongs to another depot. Choose a node of this depot.")}
            )


class StationaryBattery(Scoped):
    """A battery that stays at the depot."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="batteries")
    node = models.ForeignKey(ElectricalNode, on_delete=models.PROTECT, related_name="batteries")
    name = models.CharField(max_length=60)
    capacity_kwh = models.FloatField(validators=POSITIVE, help_text="Usable energy, in kWh.")
    max_charge_kw = models.FloatField(validators=POSITIVE)
    max_discharge_kw = models.FloatField(validators=POSITIVE)
    min_soc = models.FloatField(default=0.1, validators=FRACTION, help_text="0 to 1.")
    max_soc = models.FloatField(default=0.95, validators=FRACTION, help_text="0 to 1.")
    charge_efficiency = models.FloatField(default=0.95, validators=FRACTION)
    discharge_efficiency = models.FloatField(default=0.95, validators=FRACTION)
    wear_cost_per_kwh = models.FloatField(
        default=0.04,
        validators=POSITIVE,
        help_text="Cost of ageing per kWh discharged, in the depot's currency.",
    )
    soc = models.FloatField(default=0.5, validators=FRACTION, help_text="Last known state of charge, 0 to 1.")
    soc_observed_at = models.DateTimeField(null=True, blank=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "stationary batteries"
        ordering = ["depot", "name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.capacity_kwh:g} kWh)"

    def clean(self) -> None:
        if self.node_id and self.node.depot_id != self.depot_id:
            raise ValidationError(
                {"node": tr("This node belongs to another depot. Choose a node of this depot.")}
            )
        if self.min_soc is not None and self.max_soc is not None and self.min_soc >= self.max_soc:
            raise ValidationError({"max_soc": tr("The upper limit must be above the lower limit.")})
