"""How sure a month's saving is: its unmanaged bill again with other charger powers and moments of arrival.

The rule is published in docs/algorithms/savings.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from billing.models import SavingsBand, SavingsStatement, Scenario
from billing.savings.counterfactual import Session
from billing.savings.site import site_power
from billing.selectors.bills_inputs import Inputs, inputs_of
from billing.selectors.charge_only import export_limit_kw, versions_of
from billing.selectors.ledger import read_ledger
from billing.services.bills import bill_of
from billing.tariff import InputError, LoadSeries
from charging.services.baseline import Change, unmanaged_kw
from depot.models import Depot
from depot.timegrid import TimeGrid
from depot.words import mark, tr

ARRIVAL = timedelta(minutes=30)
SHORTEST_STAY = timedelta(minutes=1)


def _power(factor: float) -> Change:
    return lambda session, _: replace(session, max_charge_kw=session.max_charge_kw * factor)


def _arrival(shift: timedelta) -> Change:
    def change(session: Session, free_from: datetime | None) -> Session:
        at = session.plugged_in_at + shift
        if free_from is not None:
            at = max(at, free_from)
        return replace(session, plugged_in_at=min(at, session.unplugged_at - SHORTEST_STAY))

    return change


CASES: tuple[tuple[str, Change], ...] = (
    (mark("Chargers 10 % weaker"), _power(0.9)),
    (mark("Chargers 10 % stronger"), _power(1.1)),
    (mark("Plugged in 30 min earlier"), _arrival(-ARRIVAL)),
    (mark("Plugged in 30 min later"), _arrival(ARRIVAL)),
)


def update_band(statement: SavingsStatement, now: datetime) -> SavingsBand | None:
    """Write the band of a statement's month; None where its unmanaged depot cannot be billed again.

    Each case changes one assumption. The band reaches from the least to the greatest net saving that they and the
    statement give.
    """
    depot = statement.depot
    versions = versions_of(depot, statement)
    span = (statement.start_at, statement.actual.covered_to)
    inputs = inputs_of(depot, versions, *span, Scenario.UNMANAGED) if versions else None
    plain = _total(depot, inputs) if inputs else None
    if inputs is None or plain is None:
        return None
    cases = []
    for words, change in CASES:
        total = _total(depot, replace(inputs, load=_varied(depot, inputs.load, change, now)))
        if total is None:
            return None
        saving = statement.net_saving + (total - plain)
        cases.append({"case": tr(words), "unmanaged": str(total), "net_saving": str(saving)})
    savings = [statement.net_saving, *(Decimal(case["net_saving"]) for case in cases)]
    band, _ = SavingsBand.objects.update_or_create(
        depot=depot,
        start_at=statement.start_at,
        defaults={"low": min(savings), "high": max(savings), "cases": cases, "computed_at": now},
    )
    return band


def _total(depot: Depot, inputs: Inputs) -> Decimal | None:
    """Return what a bill of inputs comes to; None where it cannot be made."""
    try:
        return bill_of(inputs, depot).total
    except InputError:
        return None


def _varied(depot: Depot, load: LoadSeries, change: Change, now: datetime) -> LoadSeries:
    """Return the unmanaged load with another charging of the vehicles: building and sun as measured."""
    grid = TimeGrid(load.start_at, load.step_minutes, load.steps)
    ledger = read_ledger(depot, grid.start_at, grid.end_at)
    site = site_power(
        np.nan_to_num(ledger.kw("building_kwh")),
        np.nan_to_num(ledger.kw("solar_kwh")),
        unmanaged_kw(depot, grid, now, change),
        export_limit_kw(depot),
    )
    return replace(load, import_kw=site.import_kw, export_kw=site.export_kw)
