"""Solve the same cases with another open planner, where it is installed; the product never depends on one.

FlexMeasures is asked through its device scheduler, as a library, without its database. Its terms for ours: a
device is a vehicle or the building, stock is energy, a commitment is a price on deviating from a quantity, and a
group of a commitment is priced once, at its greatest deviation: that is a billed peak.
"""

import importlib.util
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from charging.planner.case import DepotCase, FloatArray, Vehicle, case_from_json
from charging.planner.demand import DemandCharge
from charging.planner.solve import solve
from charging.planner.verify import verify
from depot.project.benchmarks.quiet import without_banner
from depot.project.benchmarks.trips import trips_depot

PEERS = ("flexmeasures",)
VEHICLES = (10, 50)
RUNS = 3
# FlexMeasures proves a gap of zero with a switch per bus and step; this is where it is stopped.
PEER_SECONDS = 600.0
HOW_TO_INSTALL = (
    "FlexMeasures is not installed here. It is compared with and never needed, so give it an environment of its own: "
    "python3 -m venv peers; peers/bin/pip install --no-deps --require-hashes -r requirements.lock; "
    "peers/bin/pip install flexmeasures; peers/bin/python manage.py benchmark planner --peer flexmeasures"
)


@dataclass(frozen=True, slots=True)
class PeerFigure:
    """One case solved by both: the planner's seconds are the median of RUNS runs, case to verified plan.

    The peer's are those of one call of its scheduler, its model's building included, the making of its input not.
    `cost_ratio` is the planner's cost as a share of the peer's. `peer_status` "optimal" means that the peer
    proved its cost least; else it stopped after PEER_SECONDS and its cost is that of the best plan it had.
    """

    vehicles: int
    steps: int
    cost: float
    gap: float
    sound: bool
    seconds: float
    peer_cost: float
    peer_status: str
    peer_seconds: float
    cost_ratio: float
    times_faster: float


def installed() -> bool:
    """Tell whether FlexMeasures can be imported here."""
    return importlib.util.find_spec("flexmeasures") is not None


def measure(vehicles: Sequence[int]) -> Iterator[PeerFigure]:
    """Yield the figures of the two-trips depot for each number of vehicles; FlexMeasures must be installed."""
    for count in vehicles:
        case = case_from_json(trips_depot(count))
        plans = [solve(case) for _ in range(RUNS)]
        plan = plans[-1]
        seconds = median(item.seconds.total for item in plans)
        peer_cost, peer_status, peer_seconds = flexmeasures_answer(case)
        yield PeerFigure(
            vehicles=count,
            steps=case.steps,
            cost=plan.objective,
            gap=plan.gap,
            sound=not verify(case, plan),
            seconds=seconds,
            peer_cost=peer_cost,
            peer_status=peer_status,
            peer_seconds=peer_seconds,
            cost_ratio=plan.objective / peer_cost,
            times_faster=peer_seconds / seconds,
        )


def flexmeasures_answer(case: DepotCase) -> tuple[float, str, float]:
    """Return cost, status and seconds of FlexMeasures' device scheduler on a case.

    The case must keep to what `trips_depot` makes: "must" targets only, every start within its limits, sun that is
    always used, no nodes, no batteries, and metering intervals of one step.
    """
    import pandas as pd
    from flask import Flask
    from flexmeasures.data.models.planning.linear_optimization import device_scheduler

    times = pd.date_range(case.start, periods=case.steps, freq=f"{case.step_minutes}min")
    devices = [pd.DataFrame(item, index=times) for item in _devices(case)]
    commitments = [pd.DataFrame(item, index=times) for item in _commitments(case)]
    connection = pd.DataFrame(
        {"derivative max": case.site.import_limit_kw, "derivative min": -case.site.export_limit_kw},
        index=times,
    )
    # All that the scheduler reads of its application is these three settings. HiGHS counts its threads once a process:
    # with another number than the planner's, whichever solves second would fail.
    application = Flask(__name__)
    application.config.update(
        FLEXMEASURES_LP_SOLVER="highspy",
        FLEXMEASURES_LP_SOLVER_OPTIONS={"time_limit": PEER_SECONDS, "threads": 1, "output_flag": False},
        LOGGING_LEVEL="WARNING",
    )
    application.logger.setLevel(logging.ERROR)  # it warns of `threads`, which is meant here
    with application.app_context(), without_banner():
        started = time.perf_counter()
        _, cost, results, _ = device_scheduler(
            device_constraints=devices,
            ems_constraints=connection,
            commitments=commitments,
            initial_stock=[*(_stock(case, item, item.initial_soc) for item in case.vehicles), 0.0],
        )
        seconds = time.perf_counter() - started
    return float(cost), str(results.solver.termination_condition), seconds


def _stock(case: DepotCase, vehicle: Vehicle, soc: float) -> float:
    """Return energy in the scheduler's unit: it adds a kW for a step as one."""
    return soc * vehicle.capacity_kwh / case.hours


def _devices(case: DepotCase) -> list[dict[str, FloatArray]]:
    """Return the scheduler's columns for every vehicle, and for the building with its sun last."""
    nothing = np.full(case.steps, np.nan)
    net_load = case.site.building_load_kw - case.site.solar_kw
    building = {
        "min": nothing,
        "max": nothing,
        "equals": nothing,
        "derivative min": nothing,
        "derivative max": nothing,
        "derivative equals": net_load,
    }
    return [*(_vehicle(case, item) for item in case.vehicles), building]


def _vehicle(case: DepotCase, vehicle: Vehicle) -> dict[str, FloatArray]:
    """Return one vehicle's columns; stock limits hold at a step's end and count from the initial stock."""
    charger = next(item for item in case.chargers if item.id == vehicle.charger)
    present, use = np.ones(case.steps), np.zeros(case.steps)
    for trip in vehicle.away:
        present[trip.from_step : trip.to_step] = 0.0
        use[trip.from_step : trip.to_step] = trip.energy_kwh / (trip.to_step - trip.from_step) / case.hours
    start = _stock(case, vehicle, vehicle.initial_soc)
    least = np.full(case.steps, _stock(case, vehicle, vehicle.min_soc) - start)
    for target in vehicle.targets:
        least[target.boundary - 1] = _stock(case, vehicle, target.soc) - start
    return {
        "min": least,
        "max": np.full(case.steps, _stock(case, vehicle, vehicle.max_soc) - start),
        "equals": np.full(case.steps, np.nan),
        "derivative min": -charger.max_discharge_kw * present,
        "derivative max": charger.max_charge_kw * present,
        "derivative equals": np.full(case.steps, np.nan),
        "derivative down efficiency": np.full(case.steps, charger.discharge_efficiency),
        "derivative up efficiency": np.full(case.steps, charger.charge_efficiency),
        "stock delta": -use,
    }


def _commitments(case: DepotCase) -> list[dict[str, Any]]:
    """Return what is priced: energy at the connection, each billed peak, and each vehicle's wear."""
    efficiency = {charger.id: charger.discharge_efficiency for charger in case.chargers}
    each_step = np.arange(case.steps)
    energy = {
        "quantity": np.zeros(case.steps),
        "upwards deviation price": case.hours * case.prices.import_per_kwh,
        "downwards deviation price": case.hours * case.prices.export_per_kwh,
        "group": each_step,
    }
    wear = [
        {
            "quantity": np.zeros(case.steps),
            "upwards deviation price": np.zeros(case.steps),
            # A downward deviation is negative, so a negative price makes it cost.
            "downwards deviation price": np.full(
                case.steps, -case.hours * item.wear_cost_per_kwh / efficiency[item.charger]
            ),
            "group": each_step,
            "device": np.full(case.steps, float(number)),
        }
        for number, item in enumerate(case.vehicles)
    ]
    return [energy, *(_peak(case, charge) for charge in case.demand_charges), *wear]


def _peak(case: DepotCase, charge: DemandCharge) -> dict[str, FloatArray]:
    """Return a demand charge as a commitment with one group a billing period; no quantity means outside the window.

    The scheduler's own peak commitment would begin a new group, hence a second maximum, wherever price or quantity
    changes. Groups of our own make a window that recurs one maximum, as it is billed.
    """
    return {
        "quantity": np.where(charge.window, charge.billed_kw_so_far[charge.period], np.nan),
        "upwards deviation price": np.full(case.steps, charge.price_per_kw),
        "downwards deviation price": np.zeros(case.steps),
        "group": charge.period.astype(np.float64),
    }
