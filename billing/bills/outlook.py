"""How a running month will end: its projected bill, and what a higher demand peak would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import numpy as np

from billing.tariff import NOTHING, BillResult, Carried, History, LoadSeries, Peak, Tariff, bill
from billing.tariff.calendar import Ints, local_steps
from billing.tariff.model import DEFAULT_METERING_MINUTES, MINUTES_PER_DAY

WEEK_MINUTES = 7 * MINUTES_PER_DAY
EXCEEDING_KW = 10
SERIES = (
    "import_kw",
    "export_kw",
    "estimated",
    "import_price_per_kwh",
    "export_price_per_kwh",
    "reactive_kvar",
)


@dataclass(frozen=True, slots=True)
class Before:
    """What a bill takes over from earlier periods, and the zone whose clock it keeps without one in the tariff."""

    time_zone: tzinfo
    history: History
    carried: Carried = NOTHING
    cycle_starts: Sequence[date] | None = None


def continued(load: LoadSeries, recent: LoadSeries, until: datetime, zone: tzinfo) -> LoadSeries:
    """Continue a load to a moment: each step to come is as on the same weekday and local time of `recent`.

    Where `recent` (the last week, or what there is of it) has no such time, it is as on its last day with that
    time of day, else as its last steps again. Steps that were estimated stay estimated.
    """
    steps = (until - load.end_at) // timedelta(minutes=load.step_minutes)
    if steps <= 0:
        return load
    minutes = load.step_minutes
    was = local_steps(recent.start_at, recent.steps, minutes, zone).local_minute
    will = local_steps(load.end_at, steps, minutes, zone).local_minute
    source = _like(was, will, minutes)
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(load, name), getattr(recent, name)[source]])
        for name in SERIES
        if getattr(load, name) is not None and getattr(recent, name) is not None
    }
    return replace(load, notices=(), **joined)


def _like(was: Ints, will: Ints, minutes: int) -> Ints:
    """Return for each local minute to come the index of the last one in `was` that is like it."""
    found = np.arange(will.size, dtype=np.int64) % was.size
    for cycle in (MINUTES_PER_DAY, WEEK_MINUTES):  # the week's answer is the better one and comes last
        table = np.full(cycle // minutes, -1, dtype=np.int64)
        table[was % cycle // minutes] = np.arange(was.size)
        at = table[will % cycle // minutes]
        found = np.where(at >= 0, at, found)
    return found


def projected(
    versions: Sequence[Tariff], load: LoadSeries, recent: LoadSeries, until: datetime, before: Before
) -> BillResult:
    """Return the bill of a month that goes on as the last week went: the engine's bill of the continued load."""
    zone = before.time_zone
    whole = continued(load, recent, until, zone)
    return bill(
        versions,
        whole,
        time_zone=zone,
        cycle_starts=before.cycle_starts,
        history=before.history,
        carried=before.carried,
    )


def cost_of_exceeding(
    versions: Sequence[Tariff],
    load: LoadSeries,
    peaks: Mapping[str, Peak],
    before: Before,
    by_kw: float = EXCEEDING_KW,
) -> dict[str, Decimal]:
    """Return by line id what the period costs more if its peak becomes `by_kw` higher, the energy left aside.

    The load is raised in the metering interval that set the peak, and billed again: tiers, steps, ratchets,
    subscriptions, other charges that the same moment counts for, and percentage taxes are all in the answer.
    """
    priced = [_demand_only(version) for version in versions]

    def total(series: LoadSeries) -> Decimal:
        found = bill(
            priced,
            series,
            time_zone=before.time_zone,
            cycle_starts=before.cycle_starts,
            history=before.history,
        ).total
        return Decimal(0) if found is None else found

    now = total(load)
    costs: dict[tuple[datetime, int], Decimal] = {}
    found = {}
    for line_id, peak in peaks.items():
        place = (peak.at, _metering_minutes(versions, line_id))
        if place not in costs:
            costs[place] = total(raised(load, *place, by_kw)) - now
        found[line_id] = costs[place]
    return found


def raised(load: LoadSeries, at: datetime, minutes: int, by_kw: float) -> LoadSeries:
    """Return a load whose mean over the metering interval that begins at a moment is higher by `by_kw`."""
    step = timedelta(minutes=load.step_minutes)
    first = max((at - load.start_at) // step, 0)
    last = max(-((load.start_at - at - timedelta(minutes=minutes)) // step), first + 1)
    import_kw = load.import_kw.copy()
    import_kw[first:last] += by_kw
    return replace(load, import_kw=import_kw, notices=())


def _demand_only(version: Tariff) -> Tariff:
    """Leave only what demand can change: no energy, export, fixed charges, minimum bill or duties."""
    taxes = tuple(tax for tax in version.taxes if tax.per_kwh is None)
    return replace(version, energy=(), export=None, fixed=(), minimum=None, reactive=None, taxes=taxes)


def _metering_minutes(versions: Sequence[Tariff], line_id: str) -> int:
    """Return the metering interval of the charge that a peak's line id names."""
    kind, charge_id = line_id.partition("@")[0].split(".")[:2]
    for version in versions:
        minutes = {
            "subscription": {charge.id: charge.metering_minutes for charge in version.subscriptions},
            "coincident": {charge.id: charge.metering_minutes for charge in version.coincident},
        }.get(kind, {charge.id: charge.metering_minutes for charge in version.demand})
        if charge_id in minutes:
            return minutes[charge_id]
    return DEFAULT_METERING_MINUTES
