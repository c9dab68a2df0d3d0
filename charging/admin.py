"""Set-up of chargers and their connectors; sessions, plans and commands to look at."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from charging.models import Charger, ChargerCommand, ChargingSession, Connector, Override, Plan
from charging.services.credentials import new_password
from depot.admin.base import OWN_DEPOTS, DepotAdmin, DepotInline, Records
from depot.admin.keys import show_once

BACK = "admin:charging_charger_changelist"


class ChargerForm(forms.ModelForm):
    make_password = forms.BooleanField(
        required=False,
        label="Make a new password",
        help_text="It is shown once after saving, to be entered in the charger. The old one ends at once.",
    )

    class Meta:
        model = Charger
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets name the fields


class ConnectorFormSet(forms.BaseInlineFormSet):
    """Connectors of a charger that may not be saved yet: their vehicles are checked against its depot."""

    def clean(self) -> None:
        super().clean()
        for form in self.forms:
            vehicle = form.instance.vehicle
            if vehicle is not None and vehicle.depot_id != self.instance.depot_id:
                form.add_error("vehicle", "This vehicle belongs to another depot. Choose one of this depot.")


class Connectors(DepotInline):
    model = Connector
    formset = ConnectorFormSet
    fields = ["evse_id", "connector_id", "bay", "vehicle", "status", "status_at"]
    readonly_fields = ["status", "status_at"]


@admin.register(Charger)
class Chargers(DepotAdmin):
    """Charging stations: one OCPP identity, one or more connectors behind one power limit."""

    form = ChargerForm
    inlines = [Connectors]
    list_display = [
        "name",
        "depot",
        "identity",
        "node",
        "current",
        "max_charge_kw",
        "max_discharge_kw",
        "vehicles",
        "has_password",
        "connected",
        "last_seen_at",
    ]
    list_filter = [OWN_DEPOTS, ("node", admin.RelatedOnlyFieldListFilter), "current", "connected"]
    search_fields = ["name", "identity", "connectors__bay", "connectors__vehicle__name"]
    readonly_fields = ["has_password", "connected", "last_seen_at", "booted_at", "protocol"]
    readonly_fields += ["vendor", "model", "firmware"]
    actions = ["make_passwords"]
    fieldsets = [
        (None, {"fields": ["depot", "name", "node"]}),
        (
            "Its log-in",
            {
                "fields": ["identity", "has_password", "make_password"],
                "description": "The charger connects to ws(s)://HOST:PORT/ocpp/<identity> with the identity as "
                "user name and this password.",
            },
        ),
        (
            "Power",
            {
                "fields": [
                    "current",
                    ("max_charge_kw", "min_charge_kw", "charge_efficiency"),
                    ("max_discharge_kw", "min_discharge_kw", "discharge_efficiency"),
                    "iso15118_20",
                    "fallback_kw",
                ]
            },
        ),
        (
            "What it says of itself",
            {
                "fields": [
                    ("connected", "last_seen_at", "booted_at"),
                    "protocol",
                    ("vendor", "model", "firmware"),
                ]
            },
        ),
    ]

    @admin.display(description="password set", boolean=True)
    def has_password(self, charger: Charger) -> bool:
        return bool(charger.password_hash)

    @admin.display(description="vehicles that park here")
    def vehicles(self, charger: Charger) -> str:
        return ", ".join(str(plug.vehicle) for plug in charger.connectors.all() if plug.vehicle) or "none"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charger]:
        rows = super().get_queryset(request).select_related("depot", "node")
        return rows.prefetch_related("connectors__vehicle")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if form.cleaned_data.get("make_password"):
            charger = form.instance
            request.new_password = new_password(charger, request.user)  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Charger, post_url_continue: Any = None) -> HttpResponse:
        return self._show(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Charger) -> HttpResponse:
        return self._show(request, obj) or super().response_change(request, obj)

    def _show(self, request: HttpRequest, charger: Charger) -> HttpResponse | None:
        password = getattr(request, "new_password", None)
        if password is None:
            return None
        return show_once(request, "The charger's new password", [(charger.identity, password)], BACK)

    @admin.action(description="Make new passwords (shown once)", permissions=["change"])
    def make_passwords(self, request: HttpRequest, queryset: QuerySet[Charger]) -> HttpResponse:
        mine = [row for row in queryset.order_by("name") if self.has_change_permission(request, row)]
        made = [(charger.identity, new_password(charger, request.user)) for charger in mine]
        return show_once(request, "The chargers' new passwords", made, BACK)


@admin.register(ChargingSession)
class Sessions(Records):
    """Times at a plug, with the energy that flowed."""

    list_display = ["plugged_in_at", "unplugged_at", "connector", "vehicle", "import_kwh", "export_kwh"]
    list_filter = [("connector__charger__depot", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["connector__charger", "vehicle"]
    search_fields = ["vehicle__name", "transaction_id", "connector__bay"]
    date_hierarchy = "plugged_in_at"


@admin.register(Plan)
class Plans(Records):
    """Plans: what was known, what was decided, what was proved of it."""

    list_display = [
        "made_at",
        "depot",
        "status",
        "objective",
        "gap",
        "unmanaged_cost",
        "trigger",
        "dispatched_at",
    ]
    list_filter = [OWN_DEPOTS, "status"]
    date_hierarchy = "made_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        rows = super().get_queryset(request).select_related("depot")
        on_a_page = request.resolver_match is None or "object_id" not in request.resolver_match.kwargs
        return rows.defer("case", "answer", "notes") if on_a_page else rows


@admin.register(ChargerCommand)
class Commands(Records):
    """The outbox: what chargers were told, and what they answered."""

    list_display = ["created_at", "charger", "action", "state", "attempts", "answered_at"]
    list_filter = [("charger__depot", admin.RelatedOnlyFieldListFilter), "state", "action"]
    list_select_related = ["charger"]
    search_fields = ["charger__name", "charger__identity"]


@admin.register(Override)
class Overrides(Records):
    """People's orders for single vehicles: who, when, why, and until when."""

    list_display = [
        "made_at",
        "depot",
        "vehicle",
        "kind",
        "to_at",
        "soc",
        "max_kw",
        "made_by_name",
        "reason",
        "withdrawn_at",
    ]
    list_filter = [OWN_DEPOTS, "kind", ("withdrawn_at", admin.EmptyFieldListFilter)]
    list_select_related = ["depot", "vehicle"]
    search_fields = ["vehicle__name", "made_by_name", "reason"]
    date_hierarchy = "made_at"
