"""What stations say of themselves, how makers' models differ, and stations nobody has set up yet."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from charging.models import Dialect, StationNotice, StationVariable, UnknownStation
from charging.services.adoption import adopt
from depot.access.roles import depots_where
from depot.admin.base import OWN_DEPOTS, DepotAdmin, Records
from depot.admin.keys import show_once
from depot.models import ElectricalNode
from depot.words import tr

ABILITY = "set_up_site"


@admin.register(Dialect)
class Dialects(DepotAdmin):
    """How a maker's model wants to be spoken to, where it differs from the standard."""

    list_display = ["__str__", "depot", "rate_unit", "max_periods", "tx_profiles", "negative_limits"]
    list_filter = [OWN_DEPOTS, "vendor"]
    search_fields = ["vendor", "model"]
    fieldsets = [
        (None, {"fields": ["depot", "vendor", "model", "firmware"]}),
        (_("Limits"), {"fields": ["rate_unit", ("phases", "voltage"), "whole_numbers", "max_periods"]}),
        (_("Profiles"), {"fields": ["tx_profiles", "negative_limits", "setpoint_bounds", "pause_s"]}),
    ]


@admin.register(StationNotice)
class Notices(Records):
    """What stations noticed: needs, outside limits, alarms, security events, wrong messages."""

    list_display = ["received_at", "charger", "kind", "level", "summary", "said_at"]
    list_filter = [("charger__depot", admin.RelatedOnlyFieldListFilter), "level", "kind"]
    list_select_related = ["charger"]
    search_fields = ["charger__name", "charger__identity", "kind", "summary"]
    date_hierarchy = "received_at"


@admin.register(StationVariable)
class Variables(Records):
    """What stations say of their own set-up; secrets are never shown."""

    list_display = ["charger", "component", "variable", "attribute", "value", "reported_at"]
    list_filter = [("charger__depot", admin.RelatedOnlyFieldListFilter), "component"]
    list_select_related = ["charger"]
    search_fields = ["charger__name", "charger__identity", "component", "variable"]


class AdoptForm(forms.ModelForm):
    """Where a station that knocked belongs."""

    node = forms.ModelChoiceField(
        ElectricalNode.objects.none(),
        label=_("Node"),
        help_text=_("The node of the electrical tree that feeds it."),
    )
    max_charge_kw = forms.FloatField(min_value=0.1, label=_("greatest charging power"), help_text=_("In kW."))

    class Meta:
        model = UnknownStation
        fields: list[str] = []


@admin.register(UnknownStation)
class UnknownStations(admin.ModelAdmin):
    """Stations that knocked under an identity nobody has set up. They are refused until somebody adopts them."""

    form = AdoptForm
    list_display = ["identity", "address", "protocols", "tries", "first_seen_at", "last_seen_at"]
    search_fields = ["identity", "address"]
    readonly_fields = ["identity", "address", "protocols", "tries", "first_seen_at", "last_seen_at"]
    fieldsets = [
        (
            None,
            {"fields": ["identity", ("address", "protocols"), ("tries", "first_seen_at", "last_seen_at")]},
        ),
        (
            _("Adopt it"),
            {
                "fields": ["node", "max_charge_kw"],
                "description": _(
                    "It is set up as pending, with a new password to enter in it. Accept it on its own page "
                    "once its connectors and limits are right."
                ),
            },
        ),
    ]

    def _may(self, request: HttpRequest) -> bool:
        user = request.user
        return (
            user.is_active and user.is_staff and (user.is_superuser or depots_where(user, ABILITY).exists())
        )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        nodes = ElectricalNode.objects.select_related("depot").order_by("depot", "name")
        if not request.user.is_superuser:
            nodes = nodes.of_depots(depots_where(request.user, ABILITY))
        form.base_fields["node"].queryset = nodes  # type: ignore[attr-defined]
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = form.cleaned_data
        request.adopted = adopt(  # type: ignore[attr-defined]
            UnknownStation.objects.get(pk=obj.pk),
            values["node"],
            request.user,
            max_charge_kw=values["max_charge_kw"],
        )

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        charger, password = request.adopted  # type: ignore[attr-defined]
        title = tr("{identity} is adopted: its password", identity=charger.identity)
        return show_once(request, title, [(charger.identity, password)], "admin:charging_charger_changelist")
