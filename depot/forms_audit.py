"""The form that narrows the audit trail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from depot.selectors.audit import CHOICES, Asked
from depot.words import tr


def _choices() -> list[tuple[str, str]]:
    return [("", tr("Everything")), *((kind, tr(title)) for kind, title in CHOICES.items())]


class AuditForm(forms.Form):
    """Narrow the trail to a kind of act, words in it, and days; all of them may stay empty."""

    kind = forms.ChoiceField(label=_("What"), choices=_choices, required=False)
    words = forms.CharField(label=_("Person or words"), max_length=60, required=False)
    first = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    last = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        first, last = data.get("first"), data.get("last")
        if first and last and last < first:
            self.add_error("last", _("The last day is before the first. Enter a later one."))
        return data

    def asked(self) -> Asked:
        """Return what is looked for; of a form with faults, everything."""
        if not self.is_valid():
            return Asked()
        data = self.cleaned_data
        return Asked(data["kind"], data["words"].strip(), data["first"], data["last"])
