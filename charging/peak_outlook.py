"""The demand peak that a depot will have anyway within a week, and what energy at a plan's end is worth. PURE.

A demand charge is money of a whole billing period, and a plan of a day and a half sees only the beginning of it. It
sets a peak that is too low for the days after it, and so fills no battery beforehand. One plan of the coming days,
made once a day, says which peak is to be expected anyway; what stays below it costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charging.planner.case import DepotCase
from charging.planner.devices import metering_groups
from charging.planner.plan import DepotPlan
from charging.planner.solve import solve

DAYS = 7
"""So far ahead rosters are known."""
GAP = 1e-3
MOST_GAP = 0.05
"""A plan further from the best possible says too little about the peak that the week needs."""
FULL_SOC = 0.98
FULL_SHARE = 1.02
"""What is filled at the end is priced this much above the cheapest energy, so that it is worth buying then only."""
CHARGING_KW = 0.1
SAME_KW = 0.01


@dataclass(frozen=True, slots=True)
class ExpectedPeak:
    """The highest metered import of one billing period of a demand charge within the coming days.

    `step` is the first of its metering interval; the powers are that interval's means in kW, and `vehicles` is how
    many vehicles charge in it.
    """

    charge: str
    period: int
    kw: float
    step: int
    building_kw: float
    solar_kw: float
    vehicles_kw: float
    vehicles: int


def look_ahead(case: DepotCase, seconds: float) -> list[ExpectedPeak]:
    """Plan the coming days as they are known now, in at most `seconds`, and return their peaks.

    None are returned where no plan near enough to the best possible was found: an expected peak that is too high
    would be paid for. Raises SolverError where the solver fails.
    """
    plan = solve(case, seconds, tidy=False, gap=GAP)
    return [] if plan.status == "fallback" or plan.gap > MOST_GAP else expected_peaks(case, plan)


def expected_peaks(case: DepotCase, plan: DepotPlan) -> list[ExpectedPeak]:
    """Return the peak that a plan sets in each billing period of each demand charge."""
    charging = np.array([row.charge_kw for row in plan.vehicles.values()]).reshape(-1, case.steps)
    net = charging - np.array([row.discharge_kw for row in plan.vehicles.values()]).reshape(-1, case.steps)
    found = []
    for charge in case.demand_charges:
        groups, periods = metering_groups(case, charge)
        means = [float(plan.site.import_kw[groups == group].mean()) for group in range(len(periods))]
        for period in sorted(set(periods.tolist())):
            own = np.flatnonzero(periods == period)
            top = max(means[group] for group in own)
            highest = next(group for group in own if means[group] >= top - SAME_KW)
            inside = groups == highest
            found.append(
                ExpectedPeak(
                    charge=charge.id,
                    period=int(period),
                    kw=means[highest],
                    step=int(np.argmax(inside)),
                    building_kw=float(case.site.building_load_kw[inside].mean()),
                    solar_kw=float(plan.site.solar_used_kw[inside].mean()),
                    vehicles_kw=float(net[:, inside].mean(axis=1).sum()),
                    vehicles=int((charging[:, inside].mean(axis=1) > CHARGING_KW).sum()),
                )
            )
    return found


def expecting(
    charges: Iterable[Mapping[str, Any]], expected_kw: Mapping[tuple[str, int], float]
) -> list[dict[str, Any]]:
    """Return a case's demand charges, to which the peaks expected anyway count as billed, by (charge, period)."""
    return [
        dict(charge)
        | {
            "billed_kw_so_far": [
                max(billed, round(expected_kw.get((charge["id"], period), 0.0), 3))
                for period, billed in enumerate(billed_kw(charge))
            ]
        }
        for charge in charges
    ]


def billed_kw(charge: Mapping[str, Any]) -> list[float]:
    """Return what a case says is billed so far in each billing period of one of its demand charges, in kW."""
    billed = charge.get("billed_kw_so_far", 0.0)
    return [float(value) for value in billed] if isinstance(billed, list) else [float(billed)]


def end_targets(
    steps: int,
    wanted_soc: float,
    max_soc: float,
    worth: tuple[float, float],
    charges: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return what a vehicle should hold at the end of a plan, as targets of its case.

    `worth` is what a kWh in the battery costs at the median price, and as the cheapest energy with its losses. It wants
    `wanted_soc` at the first, and to be full where the second pays for it: energy below a peak that is paid anyway
    saves a higher one later. Without a demand charge that saves nothing, and a vehicle is not filled for it.
    """
    median, cheapest = worth
    targets = [_target(steps, wanted_soc, median)]
    full = min(FULL_SOC, max_soc)
    if full > wanted_soc and any(_costs(charge) for charge in charges):
        targets.append(_target(steps, full, cheapest * FULL_SHARE))
    return targets


def _target(steps: int, soc: float, price: float) -> dict[str, Any]:
    return {"boundary": steps, "soc": soc, "tier": "should", "price_per_kwh": round(price, 6)}


def _costs(charge: Mapping[str, Any]) -> bool:
    tiers = charge.get("tiers") or [charge]
    return any(tier["price_per_kw"] > 0 for tier in tiers)
