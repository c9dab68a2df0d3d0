"""Measure the planner on random heterogeneous depots, with the plain PuLP + HiGHS model of the same case beside it."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from charging.planner.case import DepotCase, case_from_json
from charging.planner.plan import DepotPlan, Seconds
from charging.planner.reference import ReferenceError, solve_plain
from charging.planner.solve import GAP, solve
from charging.planner.verify import verify
from charging.planner.warm import LastPlan
from depot.project.benchmarks.quiet import without_banner
from depot.project.benchmarks.variants import in_classes, one_step_later

VEHICLES = (10, 36, 50)
CLASS_VEHICLES = (5000,)
RUNS = 3
STEP_MINUTES = 15
DAY = 96
STEPS = 2 * DAY
# Beyond this size, the plain model takes minutes.
MOST_VEHICLES_BESIDE = 500
REFERENCE_SECONDS = 300.0
CLASSES_GAP = 1e-3
# Usable battery energy and use of a trip (kWh), charge power (kW), and whether the charger can discharge too.
KINDS = (
    (60.0, (15.0, 30.0), 11.0, False),
    (75.0, (20.0, 40.0), 22.0, True),
    (185.0, (45.0, 70.0), 60.0, True),
    (350.0, (90.0, 190.0), 100.0, False),
    (450.0, (120.0, 220.0), 150.0, True),
)


@dataclass(frozen=True, slots=True)
class PlannerFigure:
    """One case measured: seconds are the median of RUNS runs, the last fields those of the plain model beside it.

    `bound_share` is how much of the plan's cost the plain model's optimum is: it leaves out the rules that need a
    switch (one way at a time, no discharge below the floor), so it is the easier problem and may be cheaper.
    The replan fields compare the case one step later, planned cold and planned from the plan before.
    """

    vehicles: int
    classes: int | None
    steps: int
    status: str
    gap: float
    sound: bool
    build_seconds: float
    solve_seconds: float
    total_seconds: float
    plain_seconds: float | None
    times_faster: float | None
    bound_share: float | None
    later_seconds: float | None
    replan_seconds: float | None
    replan_times_faster: float | None


def measure(
    vehicles: Sequence[int], seed: int, classes: int | None = None, replan: bool = False
) -> Iterator[PlannerFigure]:
    """Yield the figures of one random depot for each number of vehicles.

    With `classes` it has that many kinds of like vehicles. `replan` plans it again one step later, cold and from the
    plan before.
    """
    for count in vehicles:
        document = (
            random_depot(count, seed) if classes is None else in_classes(random_depot(classes, seed), count)
        )
        case = case_from_json(document)
        gap = GAP if classes is None else CLASSES_GAP
        plan, seconds = _median_of_runs(partial(solve, case, gap=gap))
        plain_seconds, plain_cost = _plain(case)
        later, again = _replanned(case, plan, gap) if replan else (None, None)
        yield PlannerFigure(
            vehicles=count,
            classes=classes,
            steps=case.steps,
            status=plan.status,
            gap=plan.gap,
            sound=not verify(case, plan),
            build_seconds=seconds.build,
            solve_seconds=seconds.solve,
            total_seconds=seconds.total,
            plain_seconds=plain_seconds,
            times_faster=None if plain_seconds is None else plain_seconds / seconds.total,
            bound_share=None if plain_cost is None else plain_cost / _with_penalty(case, plan),
            later_seconds=later,
            replan_seconds=again,
            replan_times_faster=None if later is None or again is None else later / again,
        )


def _median_of_runs(run: Callable[[], DepotPlan]) -> tuple[DepotPlan, Seconds]:
    """Return the last plan of RUNS runs and the medians of their seconds."""
    plans = [run() for _ in range(RUNS)]
    return plans[-1], Seconds(
        *(median(getattr(plan.seconds, key) for plan in plans) for key in ("build", "solve", "total"))
    )


def _replanned(case: DepotCase, plan: DepotPlan, gap: float) -> tuple[float, float]:
    """Return the seconds of the case one step later, planned cold and planned from the plan before."""
    later = one_step_later(case, plan, DAY)
    _, cold = _median_of_runs(partial(solve, later, gap=gap))
    _, warm = _median_of_runs(partial(solve, later, gap=gap, last=LastPlan(plan, 1)))
    return cold.total, warm.total


def _plain(case: DepotCase) -> tuple[float | None, float | None]:
    """Return seconds (building included) and cost of the plain model; None where it is too large or takes too long."""
    if len(case.vehicles) > MOST_VEHICLES_BESIDE:
        return None, None
    started = time.perf_counter()
    try:
        with without_banner():
            cost = solve_plain(case, REFERENCE_SECONDS)
    except ReferenceError:
        return None, None
    return time.perf_counter() - started, cost


def _with_penalty(case: DepotCase, plan: DepotPlan) -> float:
    """Return the plan's cost with the price of what it misses at "should" targets."""
    prices = {
        (vehicle.id, target.boundary): target.price_per_kwh
        for vehicle in case.vehicles
        for target in vehicle.targets
    }
    return plan.objective + sum(
        prices[item.vehicle, item.boundary] * item.missing_kwh for item in plan.shortfalls
    )


def random_depot(vehicles: int, seed: int) -> dict[str, Any]:
    """Return a case of 48 hours: mixed vehicles on two feeders, two demand charges, V2G with discharge floors."""
    rng = random.Random(seed * 10_000 + vehicles)  # noqa: S311 - a benchmark, no secret
    fleet = [_vehicle(rng, number) for number in range(vehicles)]
    power_kw = sum(charger["max_charge_kw"] for charger, _ in fleet)
    # The case begins at noon.
    clock = [(12 + step * STEP_MINUTES / 60) % 24 for step in range(STEPS)]
    on_peak = [16 <= hour < 21 for hour in clock]
    import_price = [
        0.31 if peak else 0.11 if item < 6 else 0.15 for peak, item in zip(on_peak, clock, strict=True)
    ]
    return {
        "version": 1,
        "name": f"benchmark-{vehicles}-{seed}",
        "start": "2026-03-10T12:00:00-05:00",
        "step_minutes": STEP_MINUTES,
        "steps": STEPS,
        "currency": "USD",
        "site": {
            "import_limit_kw": 0.7 * power_kw + 10 * vehicles,
            "export_limit_kw": 0.3 * power_kw,
            "building_load_kw": [3.0 * vehicles * (1.5 if 7 <= item < 18 else 1.0) for item in clock],
            "solar_kw": [4.0 * vehicles * max(0.0, 1 - ((item - 12.5) / 5.5) ** 2) for item in clock],
            "nodes": [
                {
                    "id": name,
                    "parent": None,
                    "import_limit_kw": 0.6 * _power_of(fleet, name),
                    "export_limit_kw": 0.6 * _power_of(fleet, name),
                }
                for name in ("east", "west")
            ],
        },
        "prices": {
            "import_per_kwh": import_price,
            "export_per_kwh": [0.18 if peak else 0.06 for peak in on_peak],
        },
        "demand_charges": [
            {"id": "facility", "price_per_kw": 9.5, "billed_kw_so_far": 6.0 * vehicles},
            {
                "id": "on_peak",
                "price_per_kw": 14.0,
                "billed_kw_so_far": 2.0 * vehicles,
                "window": [int(peak) for peak in on_peak],
            },
        ],
        "chargers": [charger for charger, _ in fleet],
        "vehicles": [vehicle for _, vehicle in fleet],
    }


def _power_of(fleet: Sequence[tuple[dict[str, Any], dict[str, Any]]], node: str) -> float:
    return max(1.0, sum(charger["max_charge_kw"] for charger, _ in fleet if charger["node"] == node))


def _vehicle(rng: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a charger and its vehicle: in at noon, out in the morning, and for some a second trip."""
    capacity, (least_kwh, most_kwh), power, both_ways = rng.choice(KINDS)
    charger = {
        "id": f"c{number}",
        "node": "east" if number % 2 else "west",
        "max_charge_kw": power,
        "max_discharge_kw": power if both_ways else 0.0,
        "charge_efficiency": 0.94,
        "discharge_efficiency": 0.94,
    }
    away, targets, floor = [], [], rng.choice((0.2, 0.3, 0.4, 0.5))
    for day in (0, 1):
        # 05:00 to 08:00 of the next morning, back after two to nine hours.
        start = day * DAY + 68 + rng.randrange(12)
        end = min(STEPS, start + 8 + rng.randrange(28))
        energy = round(rng.uniform(least_kwh, most_kwh), 3)
        away.append({"from_step": start, "to_step": end, "energy_kwh": energy})
        targets.append({"boundary": start, "soc": round(energy / capacity + 0.2, 4), "tier": "must"})
    back = {"boundary": STEPS, "soc": 0.5, "tier": "should", "price_per_kwh": 0.12}
    vehicle = {
        "id": f"v{number}",
        "capacity_kwh": capacity,
        "initial_soc": round(rng.uniform(0.3, 0.9), 4),
        "min_soc": 0.1,
        "max_soc": 1.0,
        "charger": charger["id"],
        "v2g": both_ways,
        "v2g_min_soc": floor,
        "wear_cost_per_kwh": round(rng.uniform(0.02, 0.06), 3),
        "away": away,
        "targets": [*targets, back],
    }
    return charger, vehicle
