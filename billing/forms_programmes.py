"""The form of a grid programme's event, in the depot's own time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from billing.models import ProgrammeEvent
from depot.models import Depot
from depot.timegrid import local_to_utc
from depot.words import tr

FARTHEST = timedelta(days=731)
CLOCK = forms.TimeInput({"type": "time"}, format="%H:%M")
FIELDS = {
    "start_at": "from_time",
    "end_at": "to_time",
    "pay_per_kwh": "paid",
    "pay_per_kw": "paid",
    "notified_at": "announced_time",
}
"""Fields of the row by those of the form, where they differ."""


class ProgrammeEventForm(forms.Form):
    """A new event; days and times are the depot's."""

    programme = forms.CharField(label=_("Programme"), max_length=80, help_text=_("As the contract calls it."))
    kind = forms.ChoiceField(label=_("What counts"), choices=ProgrammeEvent.Kind.choices)
    day = forms.DateField(label=_("Day"), widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    from_time = forms.TimeField(label=_("From"), widget=CLOCK)
    to_time = forms.TimeField(label=_("To"), widget=CLOCK, help_text=_("00:00 is the end of the day."))
    paid = forms.DecimalField(label=_("Pays"), max_digits=12, decimal_places=4, min_value=Decimal("0.0001"))
    per = forms.ChoiceField(
        label=_("For each"), choices=[("kwh", _("kWh delivered")), ("kw", _("kW delivered on average"))]
    )
    credit_excluded = forms.BooleanField(
        label=_("No export credit beside it"),
        required=False,
        help_text=_("The terms exclude export credit for the energy that the programme pays."),
    )
    announced_day = forms.DateField(
        label=_("Announced on"), widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )
    announced_time = forms.TimeField(label=_("Announced at"), widget=CLOCK)
    source = forms.CharField(
        label=_("Where it is written"), required=False, max_length=200, help_text=_("Like a mail's subject.")
    )

    def __init__(self, depot: Depot, now: datetime, *args: Any, **kwargs: Any) -> None:
        self.depot = depot
        here = depot.local(now)
        self.today = here.date()
        initial = {"day": here.date(), "announced_day": here.date(), "announced_time": here.time()}
        super().__init__(*args, **{"initial": initial} | kwargs)
        self.fields["paid"].label = tr("Pays, {currency}", currency=depot.currency)

    def clean(self) -> dict[str, Any]:
        """Turn wall-clock times into moments; one that a clock change leaves out is told."""
        data: dict[str, Any] = super().clean() or {}
        for name in ("day", "announced_day"):
            if data.get(name) and abs(data[name] - self.today) > FARTHEST:
                self.add_error(name, tr("Enter a day within two years of today."))
        day, end = data.get("day"), data.get("to_time")
        if day and end is not None:
            last = day + timedelta(days=1) if end == time(0) else day
            data["end_at"] = self._moment("to_time", last, end)
        if day and data.get("from_time") is not None:
            data["start_at"] = self._moment("from_time", day, data["from_time"])
        if data.get("announced_day") and data.get("announced_time") is not None:
            data["notified_at"] = self._moment(
                "announced_time", data["announced_day"], data["announced_time"]
            )
        return data

    def _moment(self, field: str, day: date, wall: time) -> datetime | None:
        moment = local_to_utc(day, wall.hour * 60 + wall.minute, self.depot.tz)
        if self.depot.local(moment).time() != wall.replace(second=0, microsecond=0):
            self.add_error(
                field,
                tr(
                    "The clocks go forward on {day}: there is no {wall:%H:%M}. Enter a later time.",
                    day=day,
                    wall=wall,
                ),
            )
            return None
        return moment

    def row(self) -> ProgrammeEvent:
        """Return the event of a valid form, not stored."""
        data = self.cleaned_data
        names = ("programme", "kind", "start_at", "end_at", "credit_excluded", "notified_at", "source")
        pay = {f"pay_per_{data['per']}": data["paid"]}
        return ProgrammeEvent(depot=self.depot, **{name: data[name] for name in names}, **pay)

    def add_faults(self, error: ValidationError) -> None:
        """Show what the row says against itself at the fields of the form."""
        for name, messages in error.message_dict.items():
            known = FIELDS.get(name, name)
            self.add_error(known if known in self.fields else None, messages)
