"""Forms of the fleet's pages."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from depot.measures import US
from depot.models import Depot
from depot.timegrid import days
from depot.units import celsius_from_fahrenheit
from depot.words import mark, tr
from fleet.calendars.rules import DayRule
from fleet.formats.ranges import DateRange
from fleet.models import ScheduleSettings, ServiceCalendar

LONGEST_SPAN = timedelta(days=365)
COLDEST_C, WARMEST_C = -60.0, 60.0

DAY = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class ScheduleSettingsForm(forms.ModelForm):
    """What the schedule files of a depot leave out; `batch` is the file that asked for it."""

    batch = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = ScheduleSettings
        fields = ["deadhead_minutes", "deadhead_km", "split_gap_minutes"]
        labels = {
            "deadhead_minutes": _("Minutes to the first stop"),
            "deadhead_km": _("Kilometres to the first stop"),
            "split_gap_minutes": _("Comes home when it waits at least (min)"),
        }

    @property
    def batch_id(self) -> int:
        """Return the file to go back to; 0 where none was named."""
        return self.cleaned_data.get("batch") or 0


class ScheduleDaysForm(forms.Form):
    """The days a file is read for; empty ends are open."""

    from_date = forms.DateField(label=_("First day"), required=False, widget=DAY)
    to_date = forms.DateField(label=_("Last day"), required=False, widget=DAY)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        first, last = given.get("from_date"), given.get("to_date")
        if first and last and first > last:
            raise forms.ValidationError(tr("The first day is after the last day. Swap them."))
        return given

    @property
    def days(self) -> DateRange:
        return DateRange(self.cleaned_data["from_date"], self.cleaned_data["to_date"])


class CalendarForm(forms.ModelForm):
    """A calendar: its name, and whose public holidays count in it."""

    class Meta:
        model = ServiceCalendar
        fields = ["name", "country", "subdivision", "on_holidays"]
        labels = {"country": _("Public holidays of"), "on_holidays": _("On these holidays")}

    def __init__(self, *args: Any, depot: Depot, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.depot = depot

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        others = ServiceCalendar.objects.of_depot(self.instance.depot).exclude(pk=self.instance.pk)
        if others.filter(name=name).exists():
            raise forms.ValidationError(
                tr("A calendar is called {name} already. Choose another name.", name=name)
            )
        return name


LIKE = (
    mark("As on Mondays"),
    mark("As on Tuesdays"),
    mark("As on Wednesdays"),
    mark("As on Thursdays"),
    mark("As on Fridays"),
    mark("As on Saturdays"),
    mark("As on Sundays"),
)


class CalendarDaysForm(forms.Form):
    """Days of one calendar, and what they are."""

    KINDS = (
        ("closed", _("No service")),
        ("half", _("Half day: what leaves from noon on leaves earlier")),
        ("usual", _("As usual again")),
        *((f"like-{number}", _(words)) for number, words in enumerate(LIKE)),
        ("extra", _("All blocks of the calendar run")),
    )

    calendar = forms.ModelChoiceField(ServiceCalendar.objects.none(), label=_("Calendar"), empty_label=None)
    first = forms.DateField(label=_("From"), widget=DAY)
    last = forms.DateField(label=_("To"), widget=DAY, required=False, help_text=_("Empty = one day."))
    kind = forms.ChoiceField(label=_("What it is"), choices=KINDS)
    early_minutes = forms.IntegerField(
        label=_("Minutes earlier"),
        min_value=1,
        max_value=480,
        required=False,
        help_text=_("On half days."),
    )
    note = forms.CharField(
        label=_("Note"), max_length=80, required=False, help_text=_("Like “Teachers' day”.")
    )

    def __init__(self, *args: Any, depot: Depot, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["calendar"].queryset = ServiceCalendar.objects.of_depot(depot)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        first, last = values.get("first"), values.get("last")
        if first and last and not timedelta() <= last - first <= LONGEST_SPAN:
            self.add_error("last", tr("The last day lies before the first, or more than a year after it."))
        if values.get("kind") == "half" and not values.get("early_minutes"):
            self.add_error("early_minutes", tr("Enter by how many minutes the afternoon leaves earlier."))
        return values

    @property
    def chosen(self) -> list[date]:
        """Return each day from the first to the last."""
        first = self.cleaned_data["first"]
        return list(days(first, self.cleaned_data["last"] or first))

    @property
    def rule(self) -> DayRule | None:
        """Return what the days are; None = as usual."""
        kind = self.cleaned_data["kind"]
        if kind.startswith("like-"):
            return DayRule(runs=True, like_weekday=int(kind[-1]))
        return {
            "closed": DayRule(runs=False),
            "half": DayRule(early_minutes=self.cleaned_data["early_minutes"] or 0),
            "extra": DayRule(runs=True),
            "usual": None,
        }[kind]


class FollowForm(forms.Form):
    """The calendar that blocks without one follow."""

    calendar = forms.ModelChoiceField(ServiceCalendar.objects.none(), label=_("Calendar"), empty_label=None)

    def __init__(self, *args: Any, depot: Depot, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["calendar"].queryset = ServiceCalendar.objects.of_depot(depot)  # type: ignore[attr-defined]


class TemperatureForm(forms.Form):
    """How cold or warm a coming day will be, asked for in the depot's units; cleaned it is °C."""

    date = forms.DateField(label=_("Date"), widget=DAY)
    outside_temp_c = forms.FloatField(required=False, help_text=_("Empty = as on the last days."))

    def __init__(self, *args: Any, depot: Depot, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fahrenheit = depot.units == US
        label = _("Mean outside temperature (°F)") if self.fahrenheit else _("Mean outside temperature (°C)")
        self.fields["outside_temp_c"].label = label

    def clean_outside_temp_c(self) -> float | None:
        told: float | None = self.cleaned_data["outside_temp_c"]
        celsius = celsius_from_fahrenheit(told) if self.fahrenheit and told is not None else told
        if celsius is not None and not COLDEST_C <= celsius <= WARMEST_C:
            raise forms.ValidationError(tr("No day is as cold or warm as this. Correct the temperature."))
        return celsius
