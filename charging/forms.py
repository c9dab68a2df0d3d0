"""Forms of the Plan page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from charging.models import Override
from charging.models.overrides import MOST_KW
from charging.services.overrides import Wanted
from depot.models import Depot
from depot.timegrid import ceil_to_step
from depot.words import tr
from fleet.models import Vehicle

USUAL = timedelta(hours=2)
LOCAL = "%Y-%m-%dT%H:%M"


class OrderForm(forms.Form):
    """An order for one vehicle; times are the depot's."""

    kind = forms.ChoiceField(label=_("Order"), choices=Override.Kind.choices)
    to_at = forms.DateTimeField(
        label=_("Until, or by"),
        input_formats=[LOCAL, "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput({"type": "datetime-local"}, format=LOCAL),
    )
    soc_percent = forms.IntegerField(
        label=_("Charge, %"),
        required=False,
        min_value=1,
        max_value=100,
        help_text=_("For ready by; for charge now, where it should stop before it is full."),
    )
    max_kw = forms.FloatField(
        label=_("At most, kW"),
        required=False,
        min_value=0.0,
        max_value=MOST_KW,
        help_text=_("For a limit only."),
    )
    reason = forms.CharField(
        label=_("Why"), required=False, max_length=200, help_text=_("Others will read it.")
    )

    def __init__(self, depot: Depot, now: datetime, *args: Any, **kwargs: Any) -> None:
        self.depot = depot
        usual = depot.local(ceil_to_step(now + USUAL, depot.step_minutes))
        super().__init__(*args, **{"initial": {"to_at": usual.replace(tzinfo=None)}} | kwargs)
        self.fields["to_at"].label = tr("Until, or by ({usual:%Z})", usual=usual)

    def full_clean(self) -> None:
        """Read times as those of the depot."""
        with timezone.override(self.depot.tz):
            super().full_clean()

    def wanted(self, vehicle: Vehicle) -> Wanted:
        """Return the order of a valid form."""
        data = self.cleaned_data
        soc = data["soc_percent"]
        return Wanted(
            vehicle=vehicle,
            kind=data["kind"],
            to_at=data["to_at"],
            max_kw=data["max_kw"],
            soc=None if soc is None else soc / 100,
            reason=data["reason"],
        )

    def add_problems(self, problems: dict[str, str]) -> None:
        """Show sentences of the service at their fields."""
        for name, sentence in problems.items():
            field = {"soc": "soc_percent", "": None}.get(name, name)
            self.add_error(field, sentence)
