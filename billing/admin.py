"""Set-up of tariffs; the ledger, bills and savings to look at."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from billing.models import (
    Bill,
    BillInputs,
    BillLine,
    Interval,
    KnownPeak,
    PriceSeries,
    ProgrammeEvent,
    SavingsStatement,
    Tariff,
    UtilityBill,
    UtilityLine,
)
from depot.admin.base import OWN_DEPOTS, DepotAdmin, Records, RecordsInline


class Indented(json.JSONEncoder):
    """JSON that people can read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"indent": 2}))


class TariffForm(forms.ModelForm):
    source = forms.URLField(
        label=_("Source"),
        required=False,
        assume_scheme="https",
        help_text=_("Where the price sheet is published."),
    )
    definition = forms.JSONField(
        label=_("Definition"),
        encoder=Indented,
        widget=forms.Textarea(attrs={"rows": 32, "cols": 100, "spellcheck": "false"}),
        help_text=_(
            "The price sheet as JSON: the product's own format (docs/algorithms/tariff.md) or OpenEI "
            "URDB. Every price is checked when you save."
        ),
    )

    class Meta:
        model = Tariff
        fields = ["depot", "name", "utility", "source", "valid_from", "valid_to", "definition"]


@admin.register(Tariff)
class Tariffs(DepotAdmin):
    """Versions of tariffs. A price change is a new version from its first day; the old one stays as it was.

    One that a final bill was made by is neither changed nor deleted.
    """

    form = TariffForm
    ability = "write_tariffs"
    list_display = ["name", "depot", "utility", "valid_from", "valid_to"]
    list_filter = [OWN_DEPOTS, "utility"]
    search_fields = ["name", "utility"]
    date_hierarchy = "valid_from"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_frozen())


@admin.register(KnownPeak)
class KnownPeaks(DepotAdmin):
    """Demand peaks from before the depot's own ledger, for charges that look back on earlier months."""

    ability = "write_tariffs"
    list_display = ["month", "depot", "charge", "kw", "source"]
    list_filter = [OWN_DEPOTS, "charge"]
    date_hierarchy = "month"


@admin.register(ProgrammeEvent)
class ProgrammeEvents(DepotAdmin):
    """Calls of grid programmes; times are UTC here, while the page Programmes takes the depot's.

    What lies in a final month is neither changed nor deleted.
    """

    ability = "write_programmes"
    list_display = ["__str__", "depot", "kind", "pay_per_kwh", "pay_per_kw", "notified_at", "source"]
    list_filter = [OWN_DEPOTS, "programme", "kind"]
    list_select_related = ["depot"]
    date_hierarchy = "start_at"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.frozen_month())


@admin.register(PriceSeries)
class PriceSeriesAdmin(DepotAdmin):
    """Which market price and emission factors a depot follows, and where new values come from."""

    ability = "write_tariffs"
    fields = ["depot", "kind", "source", "area", "checked_at", "problem"]
    readonly_fields = ["checked_at", "problem"]
    list_display = ["depot", "kind", "source", "area", "checked_at", "problem"]
    list_filter = [OWN_DEPOTS, "kind", "source"]


@admin.register(Interval)
class Intervals(Records):
    """The ledger: energy, price and counterfactual of each interval, frozen when it closed."""

    list_display = [
        "start_at",
        "depot",
        "import_kwh",
        "export_kwh",
        "building_kwh",
        "solar_kwh",
        "charge_kwh",
        "discharge_kwh",
        "import_price_per_kwh",
        "quality",
    ]
    list_filter = [OWN_DEPOTS, "quality"]
    date_hierarchy = "start_at"


class BillLines(RecordsInline):
    model = BillLine
    fields = ["line_id", "label", "quantity", "unit", "rate", "amount", "explanation"]


@admin.register(Bill)
class Bills(Records):
    """Bills, each with the lines it is made of; a correction stands beside what it corrects."""

    list_display = ["__str__", "depot", "scenario", "state", "revision", "total", "currency", "covered_to"]
    list_filter = [OWN_DEPOTS, "scenario", "state"]
    list_select_related = ["depot"]
    inlines = [BillLines]


@admin.register(BillInputs)
class BillsInputs(Records):
    """What final bills were made from."""

    exclude = ["load"]
    list_display = ["bill", "engine", "load_sha256"]
    list_select_related = ["bill__depot"]


class UtilityLines(RecordsInline):
    model = UtilityLine
    fields = ["label", "quantity", "unit", "amount", "line_id"]


@admin.register(UtilityBill)
class UtilityBills(Records):
    """The utility's own bills, as they were typed in."""

    list_display = ["__str__", "depot", "number", "total", "currency", "entered_by", "entered_at"]
    list_filter = [OWN_DEPOTS]
    list_select_related = ["depot", "entered_by"]
    inlines = [UtilityLines]


@admin.register(SavingsStatement)
class SavingsStatements(Records):
    """What was saved in each billing period."""

    list_display = ["start_at", "depot", "net_saving", "wear_added", "currency", "computed_at"]
    list_filter = [OWN_DEPOTS]
