"""Decide the few switches that decide: whether a stretch at the depot begins above its discharge floor, and whether
a step imports or exports where exporting pays more.

Vehicles are coupled by the site's few binding limits alone, so in the linear programme nearly all these switches are
whole already, and a handful of branches, each solved from the last basis, proves the optimum.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.gates import Gates
from charging.planner.highs import Outcome
from charging.planner.mending import mended
from charging.planner.run import Found, better, found_in

NODES = 300
WHOLE = 1e-6
# On the way down, the answer of every so many parts is mended, which may end the search sooner.
MENDING_EVERY = 8
MENDING_SHARE = 0.05


@dataclass(frozen=True, slots=True, order=True)
class _Node:
    """A part of the search: the bound of its parent, and the columns held between two values."""

    bound: float
    number: int
    held: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Branched:
    """What branching came to: the best plan, the bound of all, and rules that broke where no switch was left."""

    best: Found | None
    bound: float
    broken: Gates


def branched(root: Found, best: Found | None, gap: float) -> Branched:
    """Return the best plan and the bound after branching on the switches of broken stretches.

    `root` is the answer of a strict programme whose switches are fractions. It ends when the best plan is within
    `gap` of the bound, when what is left breaks rules that have no switch yet, after NODES parts, or at the deadline.
    """
    run = root.run
    broken = Gates.none(root.broken.floor.shape)
    waiting = _children(root, _Node(root.bound, 0, ()), 0)
    solved, number, closed = 0, len(waiting), np.inf if waiting else root.bound
    while waiting and number < NODES and waiting[0].bound < closed:
        if best is not None and best.total - waiting[0].bound <= gap * abs(best.cost):
            break
        node = heapq.heappop(waiting)
        run.hold(node.held)
        answer = run.solve_within_limits()
        if answer.outcome is Outcome.INFEASIBLE:
            continue
        if answer.values is None or answer.duals is None:
            heapq.heappush(waiting, node)
            break
        found = found_in(run, answer, answer.values, root.goals_kwh)
        children = _children(found, node, number)
        for child in children:
            heapq.heappush(waiting, child)
        number += len(children)
        if not children:
            closed, broken = min(closed, found.bound), broken.together(found.broken)
        solved += 1
        if (best is None or found.total < best.total) and (not children or solved % MENDING_EVERY == 0):
            best = better(best, mended(found, MENDING_SHARE))
    return Branched(best, min([closed, *(item.bound for item in waiting)]), broken)


def _children(found: Found, node: _Node, number: int) -> list[_Node]:
    """Return the two halves of a part; none where a broken step has no switch that is undecided."""
    values = found.answer.values
    if values is None or not found.broken.any():
        return []
    columns = (
        _floor_switches(found, values) if found.broken.floor.any() else _direction_switches(found, values)
    )
    if not columns.size:
        return []
    chosen = int(columns[np.argmin(np.abs(values[columns] % 1.0 - 0.5))])
    low = float(np.floor(values[chosen]))
    return [
        _Node(found.bound, number, (*node.held, (chosen, low + 1.0, np.inf))),
        _Node(found.bound, number + 1, (*node.held, (chosen, 0.0, low))),
    ]


def _floor_switches(found: Found, values: FloatArray) -> IntArray:
    """Return the columns to branch on of stays that discharge below their floor; none where a switch is missing."""
    form, steps = found.run.form, found.broken.floor
    switches = np.where(form.risen_at >= 0, form.risen_at, form.above_at[:, :-1])[steps]
    if (switches < 0).any() or not _undecided(values[switches]).all():
        return switches[:0]
    counts = form.count_at[:, :-1][steps & (form.risen_at < 0)]
    counts = counts[_undecided(values[counts])]
    # Like vehicles can stand in for each other: to decide how many begin above the floor says more than which.
    return counts if counts.size else switches


def _direction_switches(found: Found, values: FloatArray) -> IntArray:
    """Return the columns to branch on of steps that import and export; none where a switch is missing."""
    form, steps = found.run.form, found.broken.direction
    switches, counts = form.way_at[steps], form.way_count_at[steps]
    if (switches < 0).any() or not _undecided(values[switches]).any():
        return switches[:0]
    # Like steps can stand in for each other too.
    counts = counts[_undecided(values[counts])]
    return counts if counts.size else switches[_undecided(values[switches])]


def _undecided(values: FloatArray) -> BoolArray:
    return np.abs(values - np.round(values)) > WHOLE
