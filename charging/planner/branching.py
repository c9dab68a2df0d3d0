"""Decide the few switches that decide: whether a stretch at the depot begins above its discharge floor.

Vehicles are coupled by the site's few binding limits alone, so in the linear programme nearly all these switches are
whole already, and a handful of branches, each solved from the last basis, proves the optimum.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from charging.planner.gates import Gates, spread, stretches_of
from charging.planner.highs import Outcome
from charging.planner.mending import mended
from charging.planner.run import Found, better, found_in

NODES = 300
WHOLE = 1e-6


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
    `gap` of the bound, after NODES programmes, or at the deadline.
    """
    run = root.run
    closed, broken = np.inf, Gates.none(root.broken.floor.shape)
    waiting = [_Node(root.bound, 0, ())]
    if root.broken.any():
        waiting = _children(root, waiting[0], 0)
        if not waiting:
            return Branched(best, root.bound, root.broken)
    number = 2
    while waiting and number < NODES and not (best and _near(best, min(closed, waiting[0].bound), gap)):
        node = heapq.heappop(waiting)
        run.hold(node.held)
        answer = run.solve_within_limits()
        if answer.outcome is Outcome.INFEASIBLE:
            continue
        if answer.values is None or answer.outcome is not Outcome.OPTIMAL:
            heapq.heappush(waiting, node)
            break
        found = found_in(run, answer, answer.values, root.goals_kwh)
        if not found.broken.any():
            if best is None or found.total < best.total:
                best = better(best, mended(found, 0.5))
            closed = min(closed, found.bound)
            continue
        children = _children(found, node, number)
        if not children:
            broken = broken.together(found.broken)
            closed = min(closed, found.bound)
        for child in children:
            heapq.heappush(waiting, child)
        number += len(children)
    return Branched(best, min([closed, *(item.bound for item in waiting)]), broken)


def _near(best: Found, bound: float, gap: float) -> bool:
    return best.total - bound <= gap * abs(best.cost)


def _children(found: Found, node: _Node, number: int) -> list[_Node]:
    """Return the two halves of a part; none where every switch of the broken stretches is whole."""
    values, form = found.answer.values, found.run.form
    if values is None:
        return []
    stretches = stretches_of(found.run.problem.devices.plugged)
    begins = spread(found.broken.floor, stretches) & (form.above_at[:, :-1] >= 0)
    # Like vehicles can stand in for each other: to decide how many begin above the floor says more than which.
    for columns in (form.count_at[:, :-1][begins], form.above_at[:, :-1][begins]):
        part = values[columns] % 1.0
        open_columns = columns[(part > WHOLE) & (part < 1.0 - WHOLE)]
        if open_columns.size:
            chosen = int(open_columns[np.argmin(np.abs(values[open_columns] % 1.0 - 0.5))])
            low = float(np.floor(values[chosen]))
            return [
                _Node(found.bound, number, (*node.held, (chosen, low + 1.0, np.inf))),
                _Node(found.bound, number + 1, (*node.held, (chosen, 0.0, low))),
            ]
    return []
