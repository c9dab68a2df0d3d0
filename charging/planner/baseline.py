"""The unmanaged depot: every vehicle charges at full power from the moment it is plugged in until it is full."""

import time

import numpy as np

from charging.planner.case import DepotCase, FloatArray
from charging.planner.devices import Devices, problem_of
from charging.planner.fallback import solar_used
from charging.planner.free import by_rules, has_free
from charging.planner.plan import DepotPlan, Seconds
from charging.planner.rules import cheapest_thinkable
from charging.planner.settle import Decision, Proof, plan_of


def unmanaged(case: DepotCase) -> DepotPlan:
    """Return what charging at full power on arrival would do and cost, as a plan of status "feasible".

    Nobody manages anything here, so limits of the site and of nodes are not kept; what is beyond the site's is
    listed in `exceeded_limits`. Stationary batteries stay idle, and
    flexible loads run at once.
    """
    if has_free(case):
        return by_rules(case, unmanaged)
    started = time.perf_counter()
    problem = problem_of(case)
    devices = problem.devices
    charge = _full_power(devices, case.hours)
    charge[devices.vehicle_count :][: devices.battery_count] = 0.0
    decision = Decision(charge, np.zeros_like(charge), solar_used(problem, charge))
    seconds = time.perf_counter() - started
    prices = case.prices.import_per_kwh
    proof = Proof("feasible", cheapest_thinkable(problem), prices, Seconds(seconds, 0.0, seconds))
    return plan_of(problem, decision, proof)


def _full_power(devices: Devices, hours: float) -> FloatArray:
    """Return charge powers (D, T) at all the power there is, until the device is full."""
    charge, energy = np.zeros_like(devices.charge_limit_kw), devices.initial_kwh.copy()
    conversion = devices.conversion(hours)
    for step in range(charge.shape[1]):
        room = conversion.charge_for(devices.ceiling_kwh - energy)
        most = np.minimum(devices.charge_limit_kw[:, step], devices.tapers.most_kw(energy))
        power = np.minimum(most, room)
        charge[:, step] = np.where(power < devices.least_charge_kw, 0.0, power)
        energy += conversion.stored_kwh(charge[:, step]) - devices.use_kwh[:, step]
    return charge
