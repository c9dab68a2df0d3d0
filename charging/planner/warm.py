"""Begin a search with what the last plan did: most of it is still right a step later."""

from dataclasses import dataclass

import numpy as np

from charging.planner.case import BoolArray, FloatArray
from charging.planner.devices import Problem, Start
from charging.planner.plan import DepotPlan

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


def _near(power_kw: FloatArray, near: int, steps: int) -> BoolArray:
    """Return which of so many steps lie within `near` steps of one with power, or of the end of what is known."""
    used = np.ones(steps, dtype=bool)
    used[: len(power_kw)] = power_kw[:steps] > USED_KW
    count = np.concatenate([[0], np.cumsum(used)])
    first, last = np.maximum(np.arange(steps) - near, 0), np.minimum(np.arange(steps) + near + 1, steps)
    found: BoolArray = count[last] > count[first]
    return found
