"""Decide in which steps devices with a loss have power, and try others near them: with the steps decided, all is exact.

Without power nothing is lost, and with it the whole loss, so that what is stored is linear in the power.
"""

from dataclasses import replace

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.gates import stays_of
from charging.planner.rules import LEAST_KW
from charging.planner.run import SAME_AMOUNT, Found, Idle, better, found_in

TURNS = 30


def losses_decided(idle: Idle, found: Found, one_more: bool) -> Idle:
    """Return what is idle and what is on, with all of its loss, of the devices with one: on where the answer uses it.

    With `one_more`, every stretch that breaks the rule is on in one more step, the one that prices keep out least: it
    has to take what the losses cost.
    """
    devices = found.run.problem.devices
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
        if one_more:
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


def improved(found: Found, idle: Idle, least: FloatArray) -> Found:
    """Return a plan, or a cheaper one near it, with other steps of the devices with a loss.

    In turns, each stretch gets the step that is worth most at full power, and gives back those that only cost their
    loss.
    """
    if not found.run.problem.devices.lossy().any() or not (idle.charge_on | idle.discharge_on).any():
        return found
    best, decided = found, idle
    for _ in range(TURNS):
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
    if answer.values is None:
        return None
    return replace(found_in(run, answer, answer.values, goals), bound=-np.inf), idle


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
