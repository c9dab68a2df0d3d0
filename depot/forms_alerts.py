"""The form of what a person wants to be written to about."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from depot.models import AlertPreference

TIME = "%H:%M"


class AlertPreferenceForm(forms.ModelForm):
    """Alerts by e-mail: from which level on, and when not."""

    class Meta:
        model = AlertPreference
        fields = ["by_email", "least_level", "quiet_from", "quiet_to", "critical_always"]
        widgets = {
            name: forms.TimeInput({"type": "time"}, format=TIME) for name in ("quiet_from", "quiet_to")
        }
        help_texts = {"quiet_from": _("In the depot's time; may go over midnight. Empty = no quiet hours.")}
