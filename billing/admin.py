"""Set-up of tariffs; the ledger, bills and savings to look at."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin

from billing.models import Bill, BillLine, Interval, SavingsStatement, Tariff
from depot.admin.base import OWN_DEPOTS, DepotAdmin, Records, RecordsInline


class Indented(json.JSONEncoder):
    """JSON that people can read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"indent": 2}))


class TariffForm(forms.ModelForm):
    source = forms.URLField(
        required=False, assume_scheme="https", help_text="Where the price sheet is published."
    )
    definition = forms.JSONField(
        encoder=Indented,
        widget=forms.Textarea(attrs={"rows": 32, "cols": 100, "spellcheck": "false"}),
        help_text="The price sheet as JSON: the product's own format (docs/algorithms/tariff.md) or OpenEI URDB. "
        "Every price is checked when you save.",
    )

    class Meta:
        model = Tariff
        fields = ["depot", "name", "utility", "source", "valid_from", "valid_to", "definition"]


@admin.register(Tariff)
class Tariffs(DepotAdmin):
    """Versions of tariffs. A price change is a new version from its first day; the old one stays as it was."""

    form = TariffForm
    ability = "write_tariffs"
    list_display = ["name", "depot", "utility", "valid_from", "valid_to"]
    list_filter = [OWN_DEPOTS, "utility"]
    search_fields = ["name", "utility"]
    date_hierarchy = "valid_from"


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
    """Bills, each with the lines it is made of."""

    list_display = ["__str__", "depot", "scenario", "state", "total", "currency", "covered_to"]
    list_filter = [OWN_DEPOTS, "scenario", "state"]
    list_select_related = ["depot"]
    inlines = [BillLines]


@admin.register(SavingsStatement)
class SavingsStatements(Records):
    """What was saved in each billing period."""

    list_display = ["start_at", "depot", "net_saving", "wear_added", "currency", "computed_at"]
    list_filter = [OWN_DEPOTS]
