"""The unmanaged depot: every vehicle charges at full power from the moment it is plugged in until it is full."""

import time

import numpy as np

from charging.planner.case import DepotCase
from charging.planner.devices import problem_of
from charging.planner.fallback import solar_used
from charging.planner.plan import DepotPlan, Seconds
from charging.planner.rules import cheapest_thinkable
from charging.planner.settle import Decision, Proof, plan_of


def unmanaged(case: DepotCase) -> DepotPlan:
    """Return what charging at full power on arrival would do and cost, as a plan of status "feasible".

    Nobody manages anything here, so limits of the site and of nodes are not kept; what is beyond the site's is
    listed in `exceeded_limits`. Stationary batteries stay idle, and
    flexible loads run at once.
    """
    started = time.perf_counter()
    problem = problem_of(case)
    devices = problem.devices
    stored = np.diff(problem.envelope.fullest_kwh, axis=1) + devices.use_kwh
    charge = np.maximum(stored, 0.0) / (case.hours * devices.charge_efficiency[:, None])
    charge[devices.vehicle_count :][: devices.battery_count] = 0.0
    decision = Decision(charge, np.zeros_like(charge), solar_used(problem, charge))
    seconds = time.perf_counter() - started
    prices = case.prices.import_per_kwh
    proof = Proof("feasible", cheapest_thinkable(problem), prices, Seconds(seconds, 0.0, seconds))
    return plan_of(problem, decision, proof)
