"""Begin with what the last plan did: most of it is still right a step later, and going on with it is a plan too."""

from dataclasses import dataclass

import numpy as np

from charging.planner.case import BoolArray, FloatArray
from charging.planner.devices import Problem, Start
from charging.planner.fallback import solar_used
from charging.planner.plan import DepotPlan
from charging.planner.settle import Decision

USED_KW = 1e-6
# What moves from plan to plan mostly moves by less than this.
NEAR_HOURS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class LastPlan:
    """A plan of the same depot whose step `steps_ago` is now step 0; it may know other vehicles."""

    plan: DepotPlan
    steps_ago: int


def start_of(problem: Problem, last: LastPlan) -> Start:
    """Return the energies of the last plan, and the steps near those that it used and all that it did not know."""
    near = max(1, round(NEAR_HOURS / problem.case.hours))
    known = last.plan.vehicles | last.plan.storage
    charge = np.ones(problem.devices.plugged.shape, dtype=bool)
    discharge = np.ones_like(charge)
    energy = np.full(problem.envelope.idle_kwh.shape, np.nan)
    for row, name in enumerate(problem.devices.ids):
        if name in known:
            own, capacity = known[name], problem.devices.capacity_kwh[row]
            charge[row] = _near(own.charge_kw[last.steps_ago :], near, problem.case.steps)
            discharge[row] = _near(own.discharge_kw[last.steps_ago :], near, problem.case.steps)
            soc = own.soc[last.steps_ago :][: problem.case.steps + 1]
            energy[row, : len(soc)] = capacity * soc
    return Start(charge, discharge, energy)


def continued(problem: Problem, last: LastPlan) -> Decision:
    """Return the powers of the last plan from now on, as far as limits and batteries take them; after its end nothing.

    What vehicles, nodes and the site share is not looked at: the check of the plan does that.
    """
    devices, conversion = problem.devices, problem.devices.conversion(problem.case.hours)
    charge, discharge = np.zeros_like(devices.use_kwh), np.zeros_like(devices.use_kwh)
    for row, name in enumerate(devices.ids):
        for powers, planned in zip((charge, discharge), _planned_kw(last.plan, name), strict=True):
            rest = planned[last.steps_ago :][: problem.case.steps]
            powers[row, : len(rest)] = rest
    energy = devices.initial_kwh.copy()
    for step in range(problem.case.steps):
        most = np.minimum(devices.charge_limit_kw[:, step], devices.tapers.most_kw(energy))
        most = np.minimum(most, conversion.charge_for(devices.ceiling_kwh - energy))
        spare = conversion.discharge_for(energy - devices.discharge_floor_kwh)
        charge[:, step] = np.minimum(charge[:, step], most)
        discharge[:, step] = np.minimum(
            discharge[:, step], np.minimum(devices.discharge_limit_kw[:, step], spare)
        )
        for power, least in ((charge, devices.least_charge_kw), (discharge, devices.least_discharge_kw)):
            power[:, step] = np.where(power[:, step] < least, 0.0, power[:, step])
        energy += conversion.stored_kwh(charge[:, step], discharge[:, step]) - devices.use_kwh[:, step]
    return Decision(charge, discharge, solar_used(problem, charge - discharge))


def _planned_kw(plan: DepotPlan, name: str) -> tuple[FloatArray, FloatArray]:
    """Return charge and discharge of a device in a plan; empty where the plan did not know it."""
    if name in plan.flexible_loads:
        return plan.flexible_loads[name].power_kw, np.empty(0)
    own = plan.vehicles.get(name) or plan.storage.get(name)
    return (np.empty(0), np.empty(0)) if own is None else (own.charge_kw, own.discharge_kw)


def _near(power_kw: FloatArray, near: int, steps: int) -> BoolArray:
    """Return which of so many steps lie within `near` steps of one with power, or of the end of what is known."""
    used = np.ones(steps, dtype=bool)
    used[: len(power_kw)] = power_kw[:steps] > USED_KW
    count = np.concatenate([[0], np.cumsum(used)])
    first, last = np.maximum(np.arange(steps) - near, 0), np.minimum(np.arange(steps) + near + 1, steps)
    found: BoolArray = count[last] > count[first]
    return found
