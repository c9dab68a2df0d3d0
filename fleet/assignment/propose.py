"""Propose who drives what: everything driven, weak batteries spared, few changes. Small, exact, by HiGHS."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pulp

from depot.words import tr
from fleet.assignment.case import AssignmentCase, Candidate, Work
from fleet.assignment.chain import could_do, in_order, unreachable

CHANGE = 0.05
"""A change is worth it when it takes more than this off the strain: one exchange is two changes, so a tenth of a
battery's energy less for one that has 10 points less health."""
WEAKNESS_POINTS = 0.10
TIME_LIMIT_S = 10.0
GAP = 1e-6


class CannotProposeError(RuntimeError):
    """The solver found nothing in its time."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """Who does what (work id -> vehicle id, None = nobody can); `proven` when nothing better exists."""

    vehicle_of: Mapping[str, str | None]
    objective: float
    proven: bool
    rounds: int

    def changes(self, case: AssignmentCase) -> list[Work]:
        """Return the work that gets another vehicle than at present, in its order."""
        return [one for one in in_order(case.work) if self.vehicle_of[one.id] != one.present]


@dataclass(slots=True)
class _Model:
    """The programme; `does` [work id, vehicle id] is 1 where that vehicle does that work."""

    case: AssignmentCase
    work: list[Work]
    problem: pulp.LpProblem = field(default_factory=lambda: pulp.LpProblem("assignment", pulp.LpMinimize))
    does: dict[tuple[str, str], pulp.LpVariable] = field(default_factory=dict)


def strain(case: AssignmentCase, work: Work, vehicle: Candidate, best_soh: float) -> float:
    """Return how hard work is on a weak battery: share of the battery it takes x health missing to the best one.

    Health in steps of 10 points. A vehicle as healthy as the best of the depot, which has `best_soh`, has none.
    """
    share = case.demands[work.id, vehicle.id].energy_kwh / vehicle.capacity_kwh
    return share * (best_soh - vehicle.soh) / WEAKNESS_POINTS


def propose(case: AssignmentCase, time_limit_s: float = TIME_LIMIT_S) -> Proposed:
    """Return the best assignment of a day's work to vehicles.

    First as little work as possible is left undone, then strain + CHANGE x changes is least, with one vehicle for
    each piece of work, no vehicle at two places, and every battery's charge followed exactly. The last is not
    linear; it is kept by solving again with a cut for each run of work that turns out to be impossible for a
    vehicle. The cuts are true of all assignments, so the answer is optimal when the last solve is. Raises
    CannotProposeError when no solve ends within `time_limit_s`.
    """
    deadline = time.monotonic() + time_limit_s
    model = _model(case)
    rounds = 0
    while True:
        rounds += 1
        left = deadline - time.monotonic()
        if left <= 0:
            raise CannotProposeError(tr("No assignment was found in time. Propose for fewer blocks."))
        proven = _solve(model.problem, left)
        chosen = _chosen(model)
        impossible = list(_impossible(case, model.work, chosen))
        if not impossible:
            objective = float(pulp.value(model.problem.objective) or 0.0)
            return Proposed(chosen, objective, proven, rounds)
        for run in impossible:
            _cut(model, run)


def _model(case: AssignmentCase) -> _Model:
    model = _Model(case, in_order(case.work))
    options = [(work, vehicle) for work in model.work for vehicle in _may_do(case, work)]
    best_soh = max((one.soh for one in case.vehicles), default=1.0)
    costs = {
        (work.id, vehicle.id): strain(case, work, vehicle, best_soh) + (vehicle.id != work.present) * CHANGE
        for work, vehicle in options
    }
    # Work left undone outweighs whatever all the rest could cost.
    worst = 1.0 + len(model.work) * max(costs.values(), default=0.0)
    names = enumerate(costs)
    model.does = {pair: pulp.LpVariable(f"does_{number}", cat="Binary") for number, pair in names}
    undone = [pulp.LpVariable(f"undone_{number}", cat="Binary") for number in range(len(model.work))]
    model.problem += pulp.lpSum(
        [worst * one for one in undone] + [costs[pair] * model.does[pair] for pair in costs]
    )
    doing: dict[str, list[pulp.LpVariable]] = {
        work.id: [left] for work, left in zip(model.work, undone, strict=True)
    }
    for (work_id, _), variable in model.does.items():
        doing[work_id].append(variable)
    for terms in doing.values():
        model.problem += pulp.lpSum(terms) == 1
    for group in _at_once(model.work):
        for vehicle in case.vehicles:
            terms = [model.does[name, vehicle.id] for name in group if (name, vehicle.id) in model.does]
            if len(terms) > 1:
                model.problem += pulp.lpSum(terms) <= 1
    return model


def _may_do(case: AssignmentCase, work: Work) -> Iterator[Candidate]:
    """Yield the vehicles that can do a piece of work; fixed work has its own one, whatever its charge."""
    for vehicle in case.vehicles:
        if case.demand(work, vehicle) is None:
            continue
        if work.fixed:
            if vehicle.id == work.present:
                yield vehicle
        elif could_do(case, vehicle, work):
            yield vehicle


def _at_once(work: Sequence[Work]) -> list[tuple[str, ...]]:
    """Return the largest groups of work that is out at one moment: each group has a pull-out at which all are out."""
    groups: list[set[str]] = []
    for one in work:
        out = {other.id for other in work if other.leaves_at <= one.leaves_at < other.returns_at}
        groups = [group for group in groups if not group <= out]
        groups.append(out)
    return [tuple(sorted(group)) for group in groups if len(group) > 1]


def _solve(problem: pulp.LpProblem, time_limit_s: float) -> bool:
    """Solve; return whether the answer is proven optimal."""
    problem.solve(pulp.HiGHS(msg=False, timeLimit=time_limit_s, threads=1, gapRel=GAP))
    if problem.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        raise CannotProposeError(tr("No assignment was found in time. Propose for fewer blocks."))
    return bool(problem.sol_status == pulp.LpSolutionOptimal)


def _chosen(model: _Model) -> dict[str, str | None]:
    chosen: dict[str, str | None] = dict.fromkeys((one.id for one in model.work), None)
    for (work_id, vehicle_id), variable in model.does.items():
        if (pulp.value(variable) or 0.0) > 0.5:
            chosen[work_id] = vehicle_id
    return chosen


def _impossible(
    case: AssignmentCase, work: Sequence[Work], chosen: Mapping[str, str | None]
) -> Iterator[tuple[Work, ...]]:
    """Yield the runs of work that the battery of their vehicle does not allow."""
    for vehicle in case.vehicles:
        own = [one for one in work if chosen[one.id] == vehicle.id]
        run = unreachable(case, vehicle, own)
        if run is not None:
            yield run


def _cut(model: _Model, run: tuple[Work, ...]) -> None:
    """Forbid a run of work to every vehicle whose battery does not allow it."""
    for vehicle in model.case.vehicles:
        if not all((one.id, vehicle.id) in model.does for one in run):
            continue
        terms = [model.does[one.id, vehicle.id] for one in run]
        if unreachable(model.case, vehicle, run) is not None:
            model.problem += pulp.lpSum(terms) <= len(run) - 1
