"""Forms of the Day page; times are the depot's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from depot.models import Depot

LOCAL = "%Y-%m-%dT%H:%M"


class DepotForm(forms.Form):
    """A form whose times are those of a depot."""

    def __init__(self, depot: Depot, *args: Any, **kwargs: Any) -> None:
        self.depot = depot
        super().__init__(*args, **kwargs)

    def full_clean(self) -> None:
        """Read times as those of the depot."""
        with timezone.override(self.depot.tz):
            super().full_clean()


def moment(label: Any, required: bool = True, help_text: Any = "") -> forms.DateTimeField:
    """Return a field for a moment in the depot's time."""
    return forms.DateTimeField(
        label=label,
        required=required,
        help_text=help_text,
        input_formats=[LOCAL, "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput({"type": "datetime-local"}, format=LOCAL),
    )


class LateForm(DepotForm):
    """When a vehicle really comes back."""

    back_at = moment(_("Back at"))
    reason = forms.CharField(label=_("Why late"), required=False, max_length=200)


class OutageForm(DepotForm):
    """From when to when a vehicle cannot run."""

    from_at = moment(_("Out of service from"))
    to_at = moment(_("Until"), required=False, help_text=_("Empty = not known yet."))
    reason = forms.CharField(label=_("Why out"), required=False, max_length=200)
