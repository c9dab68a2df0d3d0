"""Turn an answer that breaks rules into allowed powers near it: decide every switch by the answer, solve again."""

from dataclasses import replace

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.gates import spread, stretches_of
from charging.planner.rules import stored_kwh
from charging.planner.run import ENERGY_KWH, Found, Idle, found_in
from charging.planner.settle import energy_path, flows_of

TURNS = 8


def mended(found: Found, share: float) -> Found | None:
    """Return allowed powers near an answer that breaks rules; None when this way leads to none.

    A stretch whose switch says by `share` or more that it begins above its discharge floor is held there; the others
    discharge nothing before they are above it. Whatever else breaks a rule is forbidden until nothing does. The bound
    is -inf: the powers may not be the best.
    """
    problem, run = found.run.problem, found.run.again()
    stretches = stretches_of(problem.devices.plugged)
    least, discharge = _held(found, share)
    steps = np.zeros(discharge.shape[1], bool)
    idle = Idle(np.zeros_like(discharge), discharge, steps, steps)
    for _ in range(TURNS):
        idle = _idler(idle, found)
        run.restrict(idle, least)
        answer, goals = run.solve()
        if answer.values is None:
            return None
        found = replace(found_in(run, answer, answer.values, goals), bound=-np.inf)
        if not found.broken.any():
            return found
        idle = replace(idle, discharge=idle.discharge | spread(found.broken.floor, stretches))
        run = run.again()
    return None


def _idler(idle: Idle, found: Found) -> Idle:
    """Return what is idle and what an answer breaks: of two ways at once, the one that the answer uses less."""
    broken, case = found.broken, found.run.problem.case
    gaining = stored_kwh(found.run.problem, found.decision) >= 0.0
    importing = flows_of(case, found.decision).import_kw > 0.0
    return Idle(
        idle.charge | broken.ceiling | (broken.one_way & ~gaining),
        idle.discharge | (broken.one_way & gaining),
        idle.imports | (broken.direction & ~importing),
        idle.exports | (broken.direction & importing),
    )


def _held(found: Found, share: float) -> tuple[FloatArray, BoolArray]:
    """Return the energy to keep (D, T + 1) and the steps without discharge (D, T) that keep the discharge floor."""
    form, problem = found.run.form, found.run.problem
    stretches, floor = stretches_of(problem.devices.plugged), problem.devices.discharge_floor_kwh
    path, least = energy_path(problem, found.decision), found.run.least_kwh.copy()
    idle = np.zeros(stretches.shape, dtype=bool)
    for number in np.unique(stretches[(stretches >= 0) & (form.discharge_at >= 0)]):
        (device, *_), steps = np.nonzero(stretches == number)
        first, last = int(steps[0]), int(steps[-1]) + 1
        if least[device, first] >= floor[device]:
            continue
        # Where nothing is broken, the energy itself says when it has come up.
        broken = found.broken.floor[device, steps].any()
        rising = _rising(found, int(device), steps, share) if broken else None
        if rising is None:
            under = np.flatnonzero(path[device, first : last + 1] < floor[device] - ENERGY_KWH)
            rising = first + int(under[-1]) + 1 if under.size else first
        idle[device, first:rising] = True
        if rising < last:
            least[device, rising : last + 1] = np.maximum(least[device, rising : last + 1], floor[device])
    return least, idle


def _rising(found: Found, device: int, steps: IntArray, share: float) -> int | None:
    """Return the boundary from which on the switches of a stretch say that it is above its floor; None without."""
    values, form = found.answer.values, found.run.form
    if values is None:
        return None
    switches = form.risen_at[device, steps].copy()
    switches[0] = form.above_at[device, steps[0]]
    said = steps[(switches >= 0) & (values[switches] >= share)]
    return int(said[0]) if said.size else None
