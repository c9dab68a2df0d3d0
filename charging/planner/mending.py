"""Turn an answer that breaks rules into allowed powers near it: decide every switch by the answer, solve again."""

from dataclasses import replace

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.gates import spread, stays_of, stretches_of
from charging.planner.rules import LEAST_KW
from charging.planner.run import ENERGY_KWH, SAME_AMOUNT, Found, Idle, better, found_in
from charging.planner.settle import flows_of, stored_kwh

TURNS = 10
LOSS_TURNS = 30
# A share below this one decides switches generously.
MANY = 0.5


def mended(found: Found, share: float) -> Found | None:
    """Return allowed powers near an answer that breaks rules; None when this way leads to none.

    A broken stretch is held at its discharge floor from where it comes up to it, or from where its switch says so by
    `share` or more, and discharges nothing before. Devices with a loss keep to the steps in which the answer uses them,
    with a small share to one more a stretch. Whatever else breaks a rule is forbidden until nothing does. The bound is
    -inf: the powers may not be the best.
    """
    problem, run = found.run.problem, found.run.again()
    stretches = stretches_of(problem.devices.plugged)
    nothing: BoolArray = np.zeros_like(problem.devices.plugged)
    steps: BoolArray = np.zeros(problem.case.steps, dtype=bool)
    idle, least = Idle(nothing, nothing, steps, steps, nothing, nothing, nothing), found.run.least_kwh
    held = nothing
    for turn in range(TURNS):
        # One stretch can push the trouble to the next: after some turns all are held where they are.
        marked = (spread(found.broken.floor, stretches) | (turn >= TURNS // 2)) & ~held
        least, silent = _held(found, share, marked, least)
        held = held | marked
        idle = _least_decided(_idler(idle, found), found, share, turn)
        idle = _losses_decided(idle, found, share, turn)
        idle = replace(
            idle, discharge=idle.discharge | silent | spread(found.broken.floor & ~marked, stretches)
        )
        run.restrict(idle, least)
        answer, goals = run.solve()
        if answer.values is None:
            return None
        found = replace(found_in(run, answer, answer.values, goals), bound=-np.inf)
        if not found.broken.any():
            return _improved(found, idle, least)
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

    A power that is too small is on where it is at least a share of the least one, and idle elsewhere. After half of
    the turns each power is what the answer has: on, or idle, and what is too small is idle.
    """
    devices, last = found.run.problem.devices, turn >= TURNS // 2
    if not found.broken.least.any():
        return idle
    decided = []
    for power, least, off, on in (
        (found.decision.charge_kw, devices.least_charge_kw, idle.charge, idle.charge_on),
        (found.decision.discharge_kw, devices.least_discharge_kw, idle.discharge, idle.discharge_on),
    ):
        rows = (least > 0.0)[:, None]
        small = found.broken.least & rows & (power > 0.0) & (power < least[:, None])
        enough = small & (power >= share * least[:, None]) & (not last) & ~off
        decided.append(off | (small & ~enough) | (rows & last & (power <= 0.0)))
        decided.append((on | enough | (rows & last & (power >= least[:, None]))) & ~decided[-1])
    return replace(
        idle, charge=decided[0], charge_on=decided[1], discharge=decided[2], discharge_on=decided[3]
    )


def _losses_decided(idle: Idle, found: Found, share: float, turn: int) -> Idle:
    """Return what is idle and what is on, with all of its loss, of the devices with one: on where the answer uses it.

    Other broken rules come first. With a small share, every stretch that breaks the rule is on in one more step, the
    one whose price keeps it out least: it has to take what the losses cost.
    """
    broken, devices = found.broken, found.run.problem.devices
    others = replace(broken, loss=np.zeros_like(broken.loss)).any()
    if not broken.loss.any() or (others and turn < TURNS // 2):
        return idle
    busy = (found.decision.charge_kw > 0.0) | (found.decision.discharge_kw > 0.0)
    decided = []
    for power, side, off, at in zip(
        (found.decision.charge_kw, found.decision.discharge_kw),
        devices.sides(),
        (idle.charge, idle.discharge),
        (found.run.form.charge_at, found.run.form.discharge_at),
        strict=True,
    ):
        rows = (side.loss_kw > 0.0)[:, None]
        on = rows & (power > 0.0) & ~off
        if share < MANY:
            on |= _cheapest_unused(found, at, rows & ~busy & ~off, found.broken.loss)
        decided.append((off | (rows & ~on), on))
    (charge, charge_on), (discharge, discharge_on) = decided
    lossless = [(side.loss_kw <= 0.0)[:, None] for side in devices.sides()]
    return replace(
        idle,
        charge=charge,
        charge_on=charge_on | (idle.charge_on & lossless[0]),
        discharge=discharge,
        discharge_on=discharge_on | (idle.discharge_on & lossless[1]),
    )


def _cheapest_unused(found: Found, at: IntArray, unused: BoolArray, marked: BoolArray) -> BoolArray:
    """Return one step (D, T) of the unused ones in each stretch with a mark: the one that prices keep out least."""
    chosen = np.zeros_like(unused)
    if found.answer.duals is None:
        return chosen
    price = np.where(unused & (at >= 0), found.answer.duals.columns[at], np.inf)
    for device, first, end in zip(*stays_of(found.run.problem.devices.plugged), strict=True):
        step = first + int(np.argmin(price[device, first:end]))
        chosen[device, step] = marked[device, first:end].any() and price[device, step] < np.inf
    return chosen


def _improved(found: Found, idle: Idle, least: FloatArray) -> Found:
    """Return a plan, or a cheaper one near it, with other steps of the devices with a loss.

    In turns, each stretch gets the step that is worth most at full power, and gives back those that only cost their
    loss.
    """
    if not found.run.problem.devices.lossy().any() or not (idle.charge_on | idle.discharge_on).any():
        return found
    best, decided = found, idle
    for _ in range(LOSS_TURNS):
        more = _solved(best, _with_more(best, decided), least)
        if more is None:
            break
        tried = [more]
        fewer = _without_empty(*more)
        if fewer is not None:
            tried.append(_solved(more[0], fewer, least) or more)
        found, idle = min(tried, key=lambda item: item[0].total if not item[0].broken.any() else np.inf)
        if found.broken.any() or better(best, found) is best or found.total > best.total - SAME_AMOUNT:
            break
        best, decided = found, idle
    return best


def _solved(found: Found, idle: Idle, least: FloatArray) -> tuple[Found, Idle] | None:
    """Return what comes of other steps with and without power, with these; None where nothing does."""
    run = found.run.again()
    run.restrict(idle, least)
    answer, goals = run.solve()
    return (
        None
        if answer.values is None
        else (replace(found_in(run, answer, answer.values, goals), bound=-np.inf), idle)
    )


def _with_more(found: Found, idle: Idle) -> Idle:
    """Return steps to be on with one more a stretch where full power there is worth more than it costs."""
    form, duals = found.run.form, found.answer.duals
    if duals is None:
        return idle
    busy = (found.decision.charge_kw > 0.0) | (found.decision.discharge_kw > 0.0)
    chosen = []
    for at, side in zip((form.charge_at, form.discharge_at), found.run.problem.devices.sides(), strict=True):
        worth = (side.loss_kw > 0.0)[:, None] & (at >= 0) & ~busy & (duals.columns[at] < 0.0)
        chosen.append(_cheapest_unused(found, at, worth, worth))
    charge, discharge = chosen[0], chosen[1] & ~chosen[0]
    return replace(
        idle,
        charge=idle.charge & ~charge,
        charge_on=idle.charge_on | charge,
        discharge=idle.discharge & ~discharge,
        discharge_on=idle.discharge_on | discharge,
    )


def _without_empty(found: Found, idle: Idle) -> Idle | None:
    """Return steps to be on without those that only cost their loss; None where there are none."""
    empty = [
        (side.loss_kw > 0.0)[:, None] & (power > 0.0) & (power <= side.least_kw[:, None] + LEAST_KW)
        for power, side in zip(
            (found.decision.charge_kw, found.decision.discharge_kw),
            found.run.problem.devices.sides(),
            strict=True,
        )
    ]
    if not (empty[0] | empty[1]).any():
        return None
    return replace(
        idle,
        charge=idle.charge | empty[0],
        charge_on=idle.charge_on & ~empty[0],
        discharge=idle.discharge | empty[1],
        discharge_on=idle.discharge_on & ~empty[1],
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
