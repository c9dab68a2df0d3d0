"""Today from midnight to the end of the plan: what was measured until now, what is planned after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from billing.selectors.ledger import read_ledger
from billing.selectors.tariffs import parsed, tariff_on
from billing.tariff import TariffError, price_curve
from charging.models import Plan
from charging.peak_outlook import billed_kw
from charging.selectors.plans import grid_of
from depot.models import Depot
from depot.timegrid import TimeGrid, floor_to_step, local_day_bounds
from depot.words import tr

Floats = npt.NDArray[np.float64]
Indices = list[tuple[int, int]]
FEW_PRICES = 6


@dataclass(frozen=True, slots=True)
class Timeline:
    """A plan laid over the day it belongs to: `grid` from midnight, planned from step `now_step` on."""

    plan: Plan
    grid: TimeGrid
    now_step: int
    plan_step: int
    """Where the plan's own first step lies on `grid`; below zero for a plan made yesterday."""

    @property
    def past(self) -> TimeGrid:
        """Return the steps that are over."""
        return TimeGrid(self.grid.start_at, self.grid.step_minutes, self.now_step)

    @property
    def boundaries(self) -> list[datetime]:
        """Return the boundaries of all steps."""
        return [*self.grid.times(), self.grid.end_at]

    def joined(self, measured: Floats | None, planned: list[float] | Floats) -> Floats:
        """Return measured values before now and planned ones after; NaN where nothing was measured."""
        values = np.full(self.grid.steps, np.nan)
        if measured is not None:
            values[: self.now_step] = measured[: self.now_step]
        values[self.now_step :] = np.asarray(planned, dtype=float)[self.now_step - self.plan_step :]
        return values

    def step_of(self, plan_step: int) -> int:
        """Return where a step or boundary of the plan lies on the grid."""
        return plan_step + self.plan_step


def timeline(plan: Plan, depot: Depot, now: datetime) -> Timeline:
    """Lay a plan that is still running over today. Steps keep the plan's rhythm, from midnight on."""
    own = grid_of(plan)
    midnight, _ = local_day_bounds(depot.local(now).date(), depot.tz)
    before = (own.start_at - midnight) // own.step
    start_at = own.start_at - before * own.step
    grid = TimeGrid(start_at, own.step_minutes, before + own.steps)
    split_at = max(own.start_at, floor_to_step(now, own.step_minutes), start_at)
    return Timeline(plan, grid, (split_at - start_at) // own.step, before)


@dataclass(frozen=True, slots=True)
class SitePower:
    """Mean power of each step in kW and prices per kWh; solar and discharge count above zero."""

    building_kw: Floats
    solar_kw: Floats
    charge_kw: Floats
    discharge_kw: Floats
    net_kw: Floats
    import_price: Floats
    export_price: Floats


def site_power(line: Timeline, depot: Depot) -> SitePower:
    """Return the site's power over a timeline; the past from the ledger, in one query."""
    ledger = read_ledger(depot, line.past.start_at, line.past.end_at)
    case, answer = line.plan.case, line.plan.answer
    devices = [*answer["vehicles"].values(), *answer["storage"].values()]
    site, prices = answer["site"], case["prices"]
    steps = line.plan.steps

    def planned(name: str) -> Floats:
        return np.sum([row[name] for row in devices], axis=0) if devices else np.zeros(steps)

    def series(value: float | list[float]) -> Floats:
        return np.broadcast_to(np.asarray(value, dtype=float), (steps,))

    net = np.asarray(site["import_kw"]) - np.asarray(site["export_kw"])
    return SitePower(
        building_kw=line.joined(ledger.kw("building_kwh"), series(case["site"]["building_load_kw"])),
        solar_kw=line.joined(ledger.kw("solar_kwh"), site["solar_used_kw"]),
        charge_kw=line.joined(ledger.kw("charge_kwh"), planned("charge_kw")),
        discharge_kw=line.joined(ledger.kw("discharge_kwh"), planned("discharge_kw")),
        net_kw=line.joined(ledger.kw("import_kwh") - ledger.kw("export_kwh"), net),
        import_price=bridged(
            line.joined(ledger.kwh("import_price_per_kwh"), series(prices["import_per_kwh"]))
        ),
        export_price=bridged(
            line.joined(ledger.kwh("export_price_per_kwh"), series(prices["export_per_kwh"]))
        ),
    )


def bridged(prices: Floats) -> Floats:
    """Fill gaps between two equal prices: the newest intervals are in the ledger minutes after their end."""
    known = np.flatnonzero(np.isfinite(prices))
    filled = prices.copy()
    for before, after in pairwise(known):
        if prices[before] == prices[after]:
            filled[before:after] = prices[before]
    return filled


@dataclass(frozen=True, slots=True)
class Window:
    """A span in which power is dear: its name, and what a kWh or a kW costs in it."""

    from_step: int
    to_step: int
    name: str
    price: float
    unit: str


@dataclass(frozen=True, slots=True)
class PeakSoFar:
    """A demand charge: the highest power already billed in this period, and what the plan makes of it.

    `expected_kw` is the peak that the coming week needs anyway (0: none is known), `because` says why.
    """

    name: str
    price_per_kw: float
    so_far_kw: float
    planned_kw: float
    expected_kw: float = 0.0
    because: str = ""

    @property
    def rises(self) -> bool:
        """Tell whether the plan sets a new peak."""
        return self.planned_kw >= self.so_far_kw + 0.5


def demand_labels(depot: Depot, grid: TimeGrid) -> dict[str, tuple[str, float, list[int]]]:
    """Return label, price per kW and window (0/1 per step) of each demand charge over a grid, by id."""
    row = tariff_on(depot, depot.local(grid.start_at).date())
    if row is None:
        return {}
    try:
        curve = price_curve(parsed(row), grid.start_at, grid.steps, grid.step_minutes, time_zone=depot.tz)
    except TariffError:
        return {}  # the plan's own notes say what is wrong with the tariff
    return {
        charge.id: (charge.label, charge.price_per_kw, charge.window.tolist())
        for charge in curve.demand_charges
    }


def windows(
    line: Timeline, power: SitePower, labels: dict[str, tuple[str, float, list[int]]]
) -> list[Window]:
    """Return the named spans to shade: demand windows that do not last all day, else the dearest energy."""
    found = [
        Window(start, end, label, price, "kW")
        for label, price, inside in labels.values()
        if not all(inside)
        for start, end in _runs(np.asarray(inside, dtype=bool))
    ]
    return found or _dearest(power.import_price)


def _dearest(prices: Floats) -> list[Window]:
    known = prices[np.isfinite(prices)]
    if not known.size or not 1 < np.unique(known.round(6)).size <= FEW_PRICES:
        return []
    top = float(known.max())
    return [
        Window(start, end, "On-peak", top, "kWh")
        for start, end in _runs(np.nan_to_num(prices, nan=-np.inf) >= top - 1e-6)
    ]


def _runs(inside: npt.NDArray[np.bool_]) -> Indices:
    """Return the half-open spans in which `inside` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(int)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def peaks(line: Timeline, labels: dict[str, tuple[str, float, list[int]]]) -> list[PeakSoFar]:
    """Return the demand charges of the billing period that runs now."""
    return [_peak(line, charge, labels) for charge in line.plan.case["demand_charges"]]


def _peak(line: Timeline, charge: dict, labels: dict[str, tuple[str, float, list[int]]]) -> PeakSoFar:
    periods = charge.get("period", 0)
    step = line.now_step - line.plan_step
    period = int(periods[step]) if isinstance(periods, list) else int(periods)
    so_far, expected_kw, because = told_peak(line.plan, charge, period)
    planned = line.plan.answer["demand_peaks"][charge["id"]]
    name = labels[charge["id"]][0] if charge["id"] in labels else tr("Demand")
    return PeakSoFar(
        name,
        charge["price_per_kw"],
        so_far,
        max(so_far, float(planned[period])),
        expected_kw,
        because,
    )


def told_peak(plan: Plan, charge: dict, period: int = 0) -> tuple[float, float, str]:
    """Return the peak billed so far as a plan knew it, the one it took as to be expected anyway, and why.

    Powers in kW. Where nothing was expected, it is 0 for no reason, and the plan's case holds what was billed.
    """
    told = plan.notes.get("peaks", {}).get(charge["id"])
    if told is None:
        return billed_kw(charge)[period], 0.0, ""
    return told["billed_kw"][period], told["expected_kw"][period], told["because"]
