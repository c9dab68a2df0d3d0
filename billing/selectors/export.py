"""The ledger and its bills as files that other programs read."""

from __future__ import annotations

from datetime import datetime

from billing.models import Interval, SavingsStatement, Scenario
from billing.selectors.ledger import load_of
from billing.tariff import write_load
from depot.imports.delimited import write_delimited
from depot.models import Depot

LEDGER_COLUMNS = (
    "import_kwh",
    "export_kwh",
    "building_kwh",
    "solar_kwh",
    "charge_kwh",
    "discharge_kwh",
    "unmanaged_charge_kwh",
    "unmanaged_import_kwh",
    "unmanaged_export_kwh",
    "import_price_per_kwh",
    "export_price_per_kwh",
    "v2g_wear_cost",
    "quality",
    "baseline_frozen_at",
)


def load_csv(
    depot: Depot, start_at: datetime, end_at: datetime, scenario: str = Scenario.ACTUAL
) -> str | None:
    """Return the ledger of a span as the LOAD.csv of `manage.py bill`; None when nothing is recorded in it.

    Powers are written with all their digits, so that the bill of the file is the bill of the ledger.
    """
    load = load_of(depot, start_at, end_at, scenario)
    return None if load is None else write_load(load, depot.tz)


def ledger_csv(depot: Depot, start_at: datetime, end_at: datetime) -> str:
    """Return every interval of a span with energy, counterfactual, frozen prices and quality."""
    rows = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    table = [
        [depot.local(at).isoformat(), *("" if value is None else str(value) for value in values)]
        for at, *values in rows.order_by("start_at").values_list("start_at", *LEDGER_COLUMNS)
    ]
    return write_delimited(["start", *LEDGER_COLUMNS], table)


def bill_csv(statement: SavingsStatement) -> str:
    """Return the lines of both bills of a period."""
    header = ["scenario", "line", "label", "quantity", "unit", "rate", "amount", "currency", "explanation"]
    rows = [
        [
            bill.scenario,
            line.line_id,
            line.label,
            f"{line.quantity:f}",
            line.unit,
            f"{line.rate:f}",
            f"{line.amount:f}",
            bill.currency,
            line.explanation,
        ]
        for bill in (statement.unmanaged, statement.actual)
        for line in bill.lines.all()
    ]
    return write_delimited(header, rows)
