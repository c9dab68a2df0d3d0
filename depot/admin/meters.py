"""Where the site meters are read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from depot import clock
from depot.admin.base import DepotAdmin
from depot.models import MeterSource
from depot.words import tr


class MeterSourceForm(forms.ModelForm):
    """A source; its password can be set and is never shown."""

    new_password = forms.CharField(
        label=_("Password"),
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Empty: the one that is set stays. It goes when the user name is emptied."),
    )

    class Meta:
        model = MeterSource
        exclude = ["changed_at", "trouble"]  # noqa: DJ006 - the fieldsets choose

    def clean(self) -> dict[str, Any]:
        """Ask for the password again before it goes to another broker: who cannot read it must not redirect it."""
        data = super().clean() or {}
        elsewhere = sorted({"host", "port", "tls", "ca_certificate"} & set(self.changed_data))
        keeps = data.get("user_name") and not data.get("new_password")
        if self.instance.sealed_password and keeps and elsewhere:
            self.add_error("new_password", tr("Enter the password again: it would go to another address."))
        return data


@admin.register(MeterSource)
class MeterSources(DepotAdmin):
    """How site meters are read: over MQTT, over Modbus TCP, or sent to the API by another program."""

    form = MeterSourceForm
    list_display = ["meter", "depot", "kind", "enabled", "every_s", "host", "trouble"]
    list_filter = [("meter__depot", admin.RelatedOnlyFieldListFilter), "kind", "enabled"]
    list_select_related = ["meter__depot"]
    search_fields = ["meter__name", "host", "topic"]
    readonly_fields = ["trouble"]
    fieldsets = [
        (None, {"fields": ["meter", "kind", "enabled", "every_s", "reversed", "trouble"]}),
        (
            _("Address"),
            {"fields": [("host", "port"), "tls", "ca_certificate", ("user_name", "new_password")]},
        ),
        (
            _("MQTT message"),
            {
                "fields": [
                    "topic",
                    ("power_path", "power_unit"),
                    ("import_path", "export_path", "energy_unit"),
                    "observed_path",
                ]
            },
        ),
        ("Modbus", {"fields": ["unit_id", "registers"]}),
    ]

    @admin.display(ordering="meter__depot")
    def depot(self, source: MeterSource) -> str:
        return str(source.meter.depot)

    def save_model(self, request: HttpRequest, obj: MeterSource, form: Any, change: bool) -> None:
        if not obj.user_name:
            obj.password = ""
        elif form.cleaned_data["new_password"]:
            obj.password = form.cleaned_data["new_password"]
        obj.changed_at = clock.wall_now()
        super().save_model(request, obj, form, change)
