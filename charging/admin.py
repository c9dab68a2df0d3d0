"""Set-up of chargers and their connectors; sessions, plans and commands to look at."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

import charging.admin_stations  # noqa: F401 - registers its pages
from charging.models import Charger, ChargerCommand, ChargingSession, Connector, NotReady, Override, Plan
from charging.selectors.links import is_linked, linked
from charging.services.credentials import new_password
from charging.services.operations import OPERATIONS, operate
from depot import clock
from depot.admin.base import OWN_DEPOTS, DepotAdmin, DepotInline, Records
from depot.admin.keys import show_once
from depot.words import tr

BACK = "admin:charging_charger_changelist"


class ChargerForm(forms.ModelForm):
    make_password = forms.BooleanField(
        required=False,
        label=_("Make a new password"),
        help_text=_("It is shown once after saving, to be entered in the charger. The old one ends at once."),
    )

    class Meta:
        model = Charger
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets name the fields


class ConnectorFormSet(forms.BaseInlineFormSet):
    """Connectors of a charger that may not be saved yet: their vehicles are checked against its depot."""

    def clean(self) -> None:
        super().clean()
        parked = set()
        for form in self.forms:
            vehicle = form.instance.vehicle
            if vehicle is None or form in self.deleted_forms:
                continue
            if vehicle.depot_id != self.instance.depot_id:
                form.add_error(
                    "vehicle", tr("This vehicle belongs to another depot. Choose one of this depot.")
                )
            elif vehicle.pk in parked:
                form.add_error(
                    "vehicle",
                    tr("{vehicle} parks at two of these connectors. Choose one of them.", vehicle=vehicle),
                )
            parked.add(vehicle.pk)


class Connectors(DepotInline):
    model = Connector
    formset = ConnectorFormSet
    fields = ["evse_id", "connector_id", "bay", "vehicle", "status", "status_at"]
    readonly_fields = ["status", "status_at"]


class ConnectedFilter(admin.SimpleListFilter):
    """Which chargers are heard now."""

    title = _("connected")
    parameter_name = "connected"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", gettext("Yes")), ("0", gettext("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Charger]) -> QuerySet[Charger]:
        here = linked(clock.now())
        return {"1": queryset.filter(here), "0": queryset.exclude(here)}.get(self.value() or "", queryset)


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
        "admission",
        "is_connected",
        "last_seen_at",
    ]
    list_filter = [
        OWN_DEPOTS,
        ("node", admin.RelatedOnlyFieldListFilter),
        "current",
        ConnectedFilter,
        "admission",
    ]
    search_fields = ["name", "identity", "connectors__bay", "connectors__vehicle__name"]
    readonly_fields = ["has_password", "is_connected", "last_seen_at", "booted_at", "protocol"]
    readonly_fields += ["vendor", "model", "firmware", "serial", "clock_offset_s", "strays_since"]
    actions = ["make_passwords"]
    fieldsets = [
        (None, {"fields": ["depot", "name", "node"]}),
        (
            _("Its log-in"),
            {
                "fields": ["identity", "admission", "has_password", "make_password"],
                "description": _(
                    "The charger connects to ws(s)://HOST:PORT/ocpp/<identity> with the identity as user name "
                    "and this password."
                ),
            },
        ),
        (
            _("Power"),
            {
                "fields": [
                    "current",
                    ("max_charge_kw", "min_charge_kw", "charge_efficiency", "charge_loss_kw"),
                    ("max_discharge_kw", "min_discharge_kw", "discharge_efficiency", "discharge_loss_kw"),
                    ("iso15118_20", "negative_limits"),
                    "fallback_kw",
                ]
            },
        ),
        (
            _("What it says of itself"),
            {
                "fields": [
                    ("is_connected", "last_seen_at", "booted_at"),
                    "protocol",
                    ("vendor", "model", "firmware", "serial"),
                    ("clock_offset_s", "strays_since"),
                ]
            },
        ),
    ]

    @admin.display(description=_("password set"), boolean=True)
    def has_password(self, charger: Charger) -> bool:
        return bool(charger.password_hash)

    @admin.display(description=_("connected"), boolean=True)
    def is_connected(self, charger: Charger) -> bool:
        return is_linked(charger, clock.now())

    @admin.display(description=_("vehicles that park here"))
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
        return show_once(request, tr("The charger's new password"), [(charger.identity, password)], BACK)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer every operation on the stations that are ticked."""
        offered = super().get_actions(request)
        if self.has_change_permission(request):
            for name, operation in OPERATIONS.items():
                if operation.asks:  # these are ordered on the station's own page
                    continue
                offered[name] = (_operation(name), name, f"{tr(operation.words)} (OCPP)")
        return offered

    @admin.action(description=_("Make new passwords (shown once)"), permissions=["change"])
    def make_passwords(self, request: HttpRequest, queryset: QuerySet[Charger]) -> HttpResponse:
        mine = [row for row in queryset.order_by("name") if self.has_change_permission(request, row)]
        made = [(charger.identity, new_password(charger, request.user)) for charger in mine]
        return show_once(request, tr("The chargers' new passwords"), made, BACK)


def _operation(name: str) -> Any:
    """Return the admin action that orders an operation for each ticked station the user may change."""

    def act(page: Chargers, request: HttpRequest, queryset: QuerySet[Charger]) -> None:
        mine = [row for row in queryset.order_by("name") if page.has_change_permission(request, row)]
        for charger in mine:
            operate(charger, name, request.user)
        page.message_user(
            request, tr("Ordered for {mine} stations. Their answers are among the commands.", mine=len(mine))
        )

    return act


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


@admin.register(NotReady)
class NotReadyLedger(Records):
    """Pull-outs that were not ready, and because of what: nobody can change an entry."""

    view_ability = "view"
    list_display = ["pull_out_at", "depot", "vehicle_name", "block_id", "cause", "because"]
    list_filter = [OWN_DEPOTS, "cause"]
    search_fields = ["vehicle_name", "vin", "block_id"]
    date_hierarchy = "pull_out_at"
