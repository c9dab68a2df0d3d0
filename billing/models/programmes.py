"""Calls of grid programmes: when, what counts, what is paid."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from depot import clock
from depot.models import Depot, Scoped
from depot.words import month_year, tr

AHEAD = timedelta(days=366)
INSTANT = timedelta(microseconds=1)


class ProgrammeEvent(Scoped):
    """One call of a utility's or grid operator's programme: a window in which delivering is paid.

    Its rules are in docs/algorithms/savings.md 7. It lies within one local day, so that it has one baseline.
    """

    class Kind(models.TextChoices):
        REDUCE = "reduce", "Use less (export counts too)"
        EXPORT = "export", "Export"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="programme_events")
    programme = models.CharField(max_length=80, help_text="As the contract calls it.")
    kind = models.CharField("what counts", max_length=10, choices=Kind, default=Kind.REDUCE)
    start_at = models.DateTimeField("from")
    end_at = models.DateTimeField("to")
    pay_per_kwh = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="For each kWh delivered, in the depot's currency. This or the next.",
    )
    pay_per_kw = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="For each kW delivered on average over the event.",
    )
    credit_excluded = models.BooleanField(
        "no export credit beside it",
        default=False,
        help_text="The terms exclude export credit for the energy that the programme pays.",
    )
    notified_at = models.DateTimeField("announced")
    source = models.CharField(
        max_length=200, blank=True, help_text="Where it is written, like a mail's subject."
    )
    history = HistoricalRecords()

    class Meta:
        ordering = ["depot", "-start_at"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "start_at"], name="one_programme_event_at_a_time"),
            models.CheckConstraint(
                condition=Q(end_at__gt=models.F("start_at")), name="programme_events_last"
            ),
            models.CheckConstraint(
                condition=Q(pay_per_kwh__gt=0, pay_per_kw__isnull=True)
                | Q(pay_per_kwh__isnull=True, pay_per_kw__gt=0),
                name="programme_events_pay_by_kwh_or_kw",
            ),
        ]

    def __str__(self) -> str:
        start, end = (self.depot.local(at) for at in (self.start_at, self.end_at))
        return tr(
            "{programme} {start:%a %-d %b %Y %H:%M}–{end:%H:%M}",
            programme=self.programme,
            start=start,
            end=end,
        )

    def clean(self) -> None:
        """Refuse what could be neither planned nor settled; each sentence names the cure."""
        problems: dict[str, str] = {}
        if bool(self.pay_per_kwh) == bool(self.pay_per_kw):
            problems["pay_per_kwh"] = tr("Enter what is paid per kWh or per kW: one of the two, more than 0.")
        elif (self.pay_per_kwh or self.pay_per_kw or 0) < 0:
            problems["pay_per_kwh"] = tr("Enter more than 0.")
        if self.depot_id and self.start_at and self.end_at:
            problems |= self._window_problems(self.start_at, self.end_at)
        if self.start_at and self.notified_at and self.notified_at > min(self.start_at, clock.now()):
            problems["notified_at"] = tr("An event is announced before it begins, and not in the future.")
        if problems:
            raise ValidationError(problems)

    def _window_problems(self, start_at: datetime, end_at: datetime) -> dict[str, str]:
        """Tell what is wrong with the window, by field; the first fault of each."""
        depot = self.depot
        step = depot.step_minutes
        if end_at <= start_at:
            return {"end_at": tr("The end is not after the start. Enter a later time.")}
        if any(at.timestamp() % (step * 60) for at in (start_at, end_at)):
            return {
                "start_at": tr(
                    "Start and end lie on whole steps of {step} minutes, as the meter counts.", step=step
                )
            }
        if depot.local(start_at).date() != depot.local(end_at - INSTANT).date():
            return {"end_at": tr("An event lies within one day. Enter one event for each day.")}
        if touches_clock_change(start_at, end_at, depot):
            return {
                "start_at": tr("The clocks change within it, so it has no baseline. Enter what lies outside.")
            }
        if start_at > clock.now() + AHEAD:
            return {"start_at": tr("That is more than a year ahead. Check the year.")}
        if frozen := self.frozen_month():
            return {
                "start_at": tr(
                    "The bill of {frozen} is final, and what programmes paid is frozen with it.",
                    frozen=frozen,
                )
            }
        other = (
            ProgrammeEvent.objects.filter(depot=depot, start_at__lt=end_at, end_at__gt=start_at)
            .exclude(pk=self.pk)
            .select_related("depot")
            .first()
        )
        if other is not None:
            return {
                "start_at": tr(
                    "{other} lies in the same time, and no kWh is paid twice. Change or delete that one.",
                    other=other,
                )
            }
        return {}

    def frozen_month(self) -> str:
        """Return the name of the final month in which the event lies, or lay before it was changed; "" for none."""
        moments = {self.start_at}
        if self.pk:
            moments |= set(ProgrammeEvent.objects.filter(pk=self.pk).values_list("start_at", flat=True))
        for at in moments:
            if self.depot.bills.filter(state="final", start_at__lte=at, end_at__gt=at).exists():
                return month_year(self.depot.cycles.month_of(at))
        return ""


def touches_clock_change(start_at: datetime, end_at: datetime, depot: Depot) -> bool:
    """Tell whether the clocks change in a window, or a wall-clock time at its ends comes twice."""
    ends = [depot.local(at) for at in (start_at, end_at - INSTANT)]
    twice = any(at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset() for at in ends)
    return twice or ends[0].utcoffset() != ends[1].utcoffset()
