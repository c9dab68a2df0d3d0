"""Turn an answer that breaks rules into allowed powers near it: decide every switch by the answer, solve again."""

from dataclasses import replace

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.gates import spread, stays_of, stretches_of
from charging.planner.mending_losses import improved, losses_decided
from charging.planner.run import ENERGY_KWH, Found, Idle, found_in
from charging.planner.settle import flows_of, stored_kwh

TURNS = 20
# After so many of them every device is held near what it does.
FREE_TURNS = 5
# A share below this one decides generously.
MENDING_HALF = 0.5


def mended(found: Found, share: float) -> Found | None:
    """Return allowed powers near an answer that breaks rules; None when this way leads to none.

    A broken stretch is held at its discharge floor from where it comes up to it, or from where its switch says so by
    `share` or more, and discharges nothing before. Devices with a loss keep to the steps in which the answer uses them,
    with a small share to one more a stretch. Whatever else breaks a rule is forbidden until nothing does; where that
    leaves no answer, the devices with powers that are too small begin anew with these on. The bound is -inf: the powers
    may not be the best.
    """
    problem, run = found.run.problem, found.run.again()
    stretches = stretches_of(problem.devices.plugged)
    nothing: BoolArray = np.zeros_like(problem.devices.plugged)
    steps: BoolArray = np.zeros(problem.case.steps, dtype=bool)
    idle, least = Idle(nothing, nothing, steps, steps, nothing, nothing, nothing), found.run.least_kwh
    held = nothing
    for turn in range(TURNS):
        # One stretch can push the trouble to the next: after some turns all are held where they are.
        marked = (spread(found.broken.floor, stretches) | (turn >= FREE_TURNS)) & ~held
        least, silent = _held(found, share, marked, least)
        held = held | marked
        idle = _least_decided(_idler(idle, found), found, share, turn)
        others = replace(found.broken, loss=nothing).any()
        if found.broken.loss.any() and (turn >= FREE_TURNS or not others):
            idle = losses_decided(idle, found, one_more=share < MENDING_HALF)
        idle = replace(
            idle, discharge=idle.discharge | silent | spread(found.broken.floor & ~marked, stretches)
        )
        run.restrict(idle, least)
        answer, goals = run.solve()
        if answer.values is None and found.broken.least.any():
            run, idle = run.again(), _thawed(idle, found)
            run.restrict(idle, least)
            answer, goals = run.solve()
        if answer.values is None:
            return None
        found = replace(found_in(run, answer, answer.values, goals), bound=-np.inf)
        if not found.broken.any():
            return improved(found, idle, least)
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
        idle.slow | broken.tail,
        idle.charge_on,
        idle.discharge_on,
    )


def _least_decided(idle: Idle, found: Found, share: float, turn: int) -> Idle:
    """Return what is idle and what is on at least at its least power.

    A power that is too small is on where it is at least a share of the least one, and idle elsewhere. A device with
    none that is too small stays on and idle where it is: else solving again only moves small powers to others. After
    some turns all devices stay, and what is too small is idle.
    """
    devices, last = found.run.problem.devices, turn >= FREE_TURNS
    if not found.broken.least.any():
        return idle
    settled = ~found.broken.least.any(axis=1, keepdims=True) | last
    decided = []
    for power, least, off, on in (
        (found.decision.charge_kw, devices.least_charge_kw, idle.charge, idle.charge_on),
        (found.decision.discharge_kw, devices.least_discharge_kw, idle.discharge, idle.discharge_on),
    ):
        rows = (least > 0.0)[:, None]
        small = found.broken.least & rows & (power > 0.0) & (power < least[:, None])
        enough = small & (power >= share * least[:, None]) & (not last) & ~off
        decided.append(off | (small & ~enough) | (rows & settled & (power <= 0.0)))
        decided.append((on | enough | (rows & settled & (power >= least[:, None]))) & ~decided[-1])
    return replace(
        idle, charge=decided[0], charge_on=decided[1], discharge=decided[2], discharge_on=decided[3]
    )


def _thawed(idle: Idle, found: Found) -> Idle:
    """Free the devices with a power that is too small from all that was decided for them, and have that power on."""
    broken = found.broken.least
    rows = broken.any(axis=1, keepdims=True)
    charging, discharging = found.decision.charge_kw > 0.0, found.decision.discharge_kw > 0.0
    return replace(
        idle,
        charge=idle.charge & ~rows,
        charge_on=(idle.charge_on & ~rows) | (broken & charging),
        discharge=idle.discharge & ~rows,
        discharge_on=(idle.discharge_on & ~rows) | (broken & discharging),
    )


def _held(found: Found, share: float, marked: BoolArray, least: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the energy to keep (D, T + 1) and the steps without discharge (D, T) in stretches with a mark (D, T)."""
    form, problem = found.run.form, found.run.problem
    floor, path, least = problem.devices.discharge_floor_kwh, found.path_kwh, least.copy()
    idle = np.zeros(marked.shape, dtype=bool)
    for device, first, end in zip(*stays_of(problem.devices.plugged), strict=True):
        discharges = form.discharge_at[device, first:end] >= 0
        if (
            not (marked[device, first:end].any() and discharges.any())
            or least[device, first] >= floor[device]
        ):
            continue
        rising = _rising(found, device, np.arange(first, end), share)
        if rising is None:
            rising = _risen(
                path[device, first : end + 1] >= floor[device] - ENERGY_KWH,
                found.decision.discharge_kw[device, first:end] > 0.0,
            )
            rising += first
        idle[device, first:rising] = True
        if rising < end:
            least[device, rising : end + 1] = np.maximum(least[device, rising : end + 1], floor[device])
    return least, idle


def _risen(above: BoolArray, discharges: BoolArray) -> int:
    """Return the place from which on a stretch is to be held: the last before it discharges, if it is above by then.

    `above` are its boundaries, `discharges` its steps. Where it discharges sooner, it is the first place above; the end
    where there is none.
    """
    before = int(np.argmax(discharges)) if discharges.any() else len(discharges)
    if above[before]:
        return before
    return int(np.argmax(above)) if above.any() else len(discharges)


def _rising(found: Found, device: int, steps: IntArray, share: float) -> int | None:
    """Return the boundary from which on the switches of a stretch say that it is above its floor; None without."""
    values, form = found.answer.values, found.run.form
    if values is None:
        return None
    switches = form.risen_at[device, steps].copy()
    switches[0] = form.above_at[device, steps[0]]
    said = steps[(switches >= 0) & (values[switches] >= share)]
    return int(said[0]) if said.size else None
