"""The third bill of a month: managed charging without V2G, worked out from the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from billing.models import SavingsStatement, Scenario
from billing.savings import charge_only, moved_site, solar_self_use
from billing.selectors.history import Peaks, entered_peaks, first_known, looks_back_to, peaks_by_charge
from billing.selectors.ledger import Floats, Ledger, load_of, read_ledger
from billing.selectors.programmes import settled
from billing.selectors.tariffs import tariffs_by_day, version_of
from billing.tariff import NOTHING, BillResult, Carried, InputError, LoadSeries, Tariff, bill
from depot.models import Depot
from depot.money import round_money
from depot.timegrid import TimeGrid

WARM_UP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ChargeOnlyBill:
    """What managed charging without V2G would have cost, and what each part of the management saved.

    `programmes` is what grid programmes would have paid that depot: each saving has its part of their revenue,
    so both add up to the statement's net saving.
    """

    result: BillResult
    total: Decimal
    programmes: Decimal
    smart_saving: Decimal
    v2g_saving: Decimal


def charge_only_bill(depot: Depot, statement: SavingsStatement) -> ChargeOnlyBill | None:
    """Return the charge-only bill of a statement's month; None where nothing is recorded or it cannot be billed."""
    versions = versions_of(depot, statement)
    load = charge_only_load(depot, statement.start_at, statement.actual.covered_to) if versions else None
    if load is None:
        return None
    try:
        peaks, carried = _before(depot, versions, statement.start_at)
        starts = depot.cycles.starts(load.start_at, load.end_at)
        result = bill(versions, load, time_zone=depot.tz, cycle_starts=starts, history=peaks, carried=carried)
    except InputError:
        return None
    if result.total is None or not result.periods:
        return None
    total = result.periods[-1].total
    paid = programmes_without_v2g(depot, statement)
    smart = statement.unmanaged.total - (total - paid)
    return ChargeOnlyBill(result, total, paid, smart, statement.net_saving - smart)


def programmes_without_v2g(depot: Depot, statement: SavingsStatement) -> Decimal:
    """Return what the events of a statement would have paid the depot without V2G.

    Settled by the same rules on its own load and a baseline of its own days: what was left off in charging counts,
    what was discharged does not. Only events that the statement has are settled.
    """
    if not statement.programmes:
        return Decimal(0)
    known = {one["event"] for one in statement.programmes}
    found = settled(depot, statement.start_at, statement.actual.covered_to, _without_v2g)
    return sum((one.revenue for one in found if one.event.pk in known), Decimal(0))


def _without_v2g(depot: Depot, ledger: Ledger) -> tuple[Floats, Floats]:
    """Return what would have been imported and exported without V2G, in kWh; unknown where nothing was metered."""
    limit_kwh = export_limit_kw(depot) * ledger.grid.step_hours
    change = _change(depot, ledger.grid)
    site = moved_site(ledger.kwh("import_kwh"), ledger.kwh("export_kwh"), change, limit_kwh)
    return site.import_kw, site.export_kw


def versions_of(depot: Depot, statement: SavingsStatement) -> list[Tariff]:
    """Return the tariff versions that hold in a statement's month, the oldest first."""
    first = depot.local(statement.start_at).date()
    last = depot.local(statement.end_at).date() - timedelta(days=1)
    rows = {row.pk: row for row in tariffs_by_day(depot, first, last).values() if row is not None}
    return [version_of(row, depot.time_zone) for row in rows.values()]


def _before(depot: Depot, versions: list[Tariff], start_at: datetime) -> tuple[Peaks, Carried]:
    """Return what the depot without V2G looks back on, and the credit it had: it has earlier months of its own.

    They are billed by the newest version; from before the ledger there is what was entered.
    """
    first = depot.local(start_at).date()
    since = looks_back_to(versions, first)
    if since is None:
        return {}, NOTHING
    load = charge_only_load(depot, depot.cycles.bounds(since)[0], start_at)
    if load is None:
        return first_known(versions, entered_peaks(depot, since, first)), NOTHING
    entered = entered_peaks(depot, since, depot.local(load.start_at).date())
    starts = depot.cycles.starts(load.start_at, load.end_at)
    result = bill(
        versions[-1], load, time_zone=depot.tz, cycle_starts=starts, history=first_known(versions, entered)
    )
    own = peaks_by_charge(
        (period.start_at.date(), {id: peak.kw for id, peak in period.peaks_kw.items()})
        for period in result.periods
    )
    return first_known(versions, entered, own), result.carried


def charge_only_load(depot: Depot, start_at: datetime, end_at: datetime) -> LoadSeries | None:
    """Return the load of a span without V2G; None where nothing is recorded in it."""
    actual = load_of(depot, start_at, end_at, Scenario.ACTUAL)
    if actual is None:
        return None
    change = _change(depot, TimeGrid(actual.start_at, actual.step_minutes, actual.steps))
    hours = actual.step_minutes / 60
    site = moved_site(
        actual.import_kw * hours, actual.export_kw * hours, change, export_limit_kw(depot) * hours
    )
    return LoadSeries(
        actual.start_at,
        actual.step_minutes,
        site.import_kw / hours,
        site.export_kw / hours,
        actual.estimated,
        actual.import_price_per_kwh,
        actual.export_price_per_kwh,
        actual.notices,
        actual.written_in,
    )


def _change(depot: Depot, grid: TimeGrid) -> Floats:
    """Return what the vehicles would have drawn more in each step without V2G, in kWh."""
    names = ("charge_kwh", "discharge_kwh")
    ledger = read_ledger(depot, grid.start_at - WARM_UP, grid.end_at, names)
    charge, discharge = (np.nan_to_num(ledger.kwh(name)) for name in names)
    change = charge_only(charge, discharge).charge_kwh - (charge - discharge)
    return np.asarray(change[ledger.grid.steps - grid.steps :])


def export_limit_kw(depot: Depot) -> float:
    """Return what may flow to the grid; without an approved agreement nothing."""
    connection = depot.nodes.filter(kind="grid").first()
    agreement = getattr(depot, "agreement", None)
    return min(connection.export_limit_kw, agreement.allowed_export_kw) if connection and agreement else 0.0


def solar_saving(ledger: Ledger, currency: str) -> Decimal:
    """Return what using more sun on the site than the unmanaged depot saved, at the frozen import prices."""
    building, solar, charge, unmanaged = (
        np.nan_to_num(ledger.kwh(name))
        for name in ("building_kwh", "solar_kwh", "charge_kwh", "unmanaged_charge_kwh")
    )
    more = solar_self_use(building, solar, charge) - solar_self_use(building, solar, unmanaged)
    value = float((more * np.nan_to_num(ledger.kwh("import_price_per_kwh"))).sum())
    return round_money(Decimal(repr(value)), currency)
