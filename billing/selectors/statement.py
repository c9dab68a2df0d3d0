"""A month's savings statement as a file: the steps, the three bills, how sure they are, and the CO2."""

from __future__ import annotations

from billing.models import SavingsStatement
from billing.savings import with_solar
from billing.selectors.charge_only import charge_only_bill, solar_saving
from billing.selectors.emissions import emissions_of
from billing.selectors.ledger import read_ledger
from billing.selectors.savings import band_of, data_quality, stored_steps
from depot.imports.delimited import write_delimited
from depot.models import Depot
from depot.words import tr


def statement_csv(depot: Depot, statement: SavingsStatement) -> str:
    """Return a statement as rows of part, item, value and unit; the steps add up to the last one exactly."""
    span = (statement.start_at, statement.end_at)
    ledger, quality, currency = read_ledger(depot, *span), data_quality(depot, *span), statement.currency
    steps = with_solar(stored_steps(statement), currency, solar_saving(ledger, currency)).steps
    rows = [
        ("period", "from", depot.local(statement.start_at).isoformat(), ""),
        ("period", "to", depot.local(statement.end_at).isoformat(), ""),
        ("period", tr("recorded to"), depot.local(statement.actual.covered_to).isoformat(), ""),
        ("period", "state", statement.actual.get_state_display(), ""),
        ("period", "tariff", str(statement.actual.tariff), ""),
        *(("step", step.label, str(step.amount), currency) for step in steps),
        ("result", tr("Net saving"), str(statement.net_saving), currency),
        ("bill", tr("Unmanaged"), str(statement.unmanaged.total), currency),
    ]
    between = charge_only_bill(depot, statement)
    if between is not None:
        rows += [
            ("bill", tr("Charge-only"), str(between.total), currency),
            ("programme", tr("Charge-only would have been paid"), str(between.programmes), currency),
            ("share", tr("Smart charging"), str(between.smart_saving), currency),
            ("share", tr("V2G, after wear"), str(between.v2g_saving), currency),
        ]
    rows += [("programme", one["label"], one["revenue"], currency) for one in statement.programmes]
    rows.append(("bill", tr("Actual"), str(statement.actual.total), currency))
    band = band_of(statement)
    if band is not None:
        rows += [("band", "least", str(band.low), currency), ("band", "greatest", str(band.high), currency)]
        rows += [("band", tr(case["case"]), str(case["net_saving"]), currency) for case in band.cases]
    for series, found in emissions_of(depot, ledger):
        name = series.get_kind_display()
        rows.append(("co2", tr("{name}, avoided", name=name), f"{found.avoided_kg:.1f}", "kg"))
        rows.append(("co2", tr("{name}, factors known", name=name), f"{100 * found.known_share:.1f}", "%"))
    rows += [
        ("quality", tr("Intervals recorded"), str(quality.recorded), ""),
        ("quality", tr("Intervals estimated"), str(quality.estimated), ""),
        ("quality", tr("Intervals whose unmanaged side is not final"), str(quality.not_final), ""),
    ]
    return write_delimited(("part", "item", "value", "unit"), rows)
