"""Keep the "must" targets within reach on a bad day: late pull-ins, more consumption, less power at the site.

A plan is made anew before its second step or so (`replan_steps`). What it does until then is done on a bad day too, and
from there on charging may be anything that the bad day's limits allow. So a plan is as safe as it can be if *some* way
to charge on the bad day begins as the plan begins and misses as little as possible at "must" targets. The money is that
of the expected day. On the bad day nothing is discharged any more, and least powers of chargers are left out. What
chargers lose is taken as at full power while a way is looked for, and in full while it is walked: so a way may miss a
little more than the best one, and what it is said to miss is true.

Most plans leave such a way anyhow: it is looked for first, and only where there is none the search is done again with
the rows of the bad day beside the others.
"""

from dataclasses import dataclass, replace

import numpy as np

from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import DepotCase, FloatArray, IntArray, Vehicle
from charging.planner.causes import Circumstances
from charging.planner.devices import Problem, problem_of
from charging.planner.duties import Away
from charging.planner.fallback import fallback_decision
from charging.planner.highs import Solver
from charging.planner.plan import BadDayPlan, BadDayStore
from charging.planner.settle import Decision, energy_path, shortfalls_of
from charging.planner.store_rows import (
    Powers,
    add_energy,
    add_energy_balance,
    add_nodes,
    add_phases,
    add_shared_chargers,
)
from charging.planner.taper import hull_of

SAME_KWH = 1e-3
GAP = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way through the bad day: its problem, its powers, and the kWh that it misses at "must" targets."""

    problem: Problem
    decision: Decision
    missing_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class BadDayColumns:
    """Columns of a way through the bad day: its charging (D, T; -1 for none), and what it misses at each target."""

    charge_at: IntArray
    missing: IntArray


def bad_problem(problem: Problem) -> Problem:
    """Return the problem of the bad day; the case must have one."""
    return problem_of(_bad_case(problem.case))


def _bad_case(case: DepotCase) -> DepotCase:
    """Return the case of the bad day with nothing but what stands in the way of "must" targets."""
    if case.bad_day is None:
        raise ValueError("the case has no bad day")
    site = replace(case.site, building_load_kw=case.bad_day.building_load_kw, solar_kw=case.bad_day.solar_kw)
    return replace(
        case,
        site=site,
        vehicles=tuple(_bad_vehicle(vehicle, case.steps) for vehicle in case.vehicles),
        chargers=tuple(replace(item, min_charge_kw=0.0, min_discharge_kw=0.0) for item in case.chargers),
        demand_charges=(),
        events=(),
        reserve=None,
    )


def _bad_vehicle(vehicle: Vehicle, steps: int) -> Vehicle:
    targets = tuple(target for target in vehicle.targets if target.tier == "must")
    ends = [*(trip.from_step for trip in vehicle.away), steps][1:] if vehicle.away else []
    trips = tuple(
        Away(trip.from_step, min(trip.to_step + trip.late_steps, end), trip.energy_kwh + trip.extra_kwh)
        for trip, end in zip(vehicle.away, ends, strict=True)
    )
    return replace(vehicle, away=trips, targets=targets, wear_bands=(), throughput=(), standing=None)


def made_ready(problem: Problem) -> Problem:
    """Return the problem with what a bad day wants vehicles to leave with: enough for all "must" targets after it.

    How late a trip is and what it uses shows only when it is over. So what is missing then has to be charged before it.
    """
    if problem.case.bad_day is None:
        return problem
    needed = _needed_kwh(bad_problem(problem))
    ready = np.full_like(needed, -np.inf)
    for row, vehicle in enumerate(problem.case.vehicles):
        leaving = [trip.from_step for trip in vehicle.away if trip.from_step > 0]
        ready[row, leaving] = np.minimum(needed, problem.envelope.fullest_kwh)[row, leaving]
    return replace(problem, ready_kwh=ready)


def _needed_kwh(bad: Problem) -> FloatArray:
    """Return the least energy (D, T + 1) with which a device that is alone reaches all later targets; -inf without one.

    A taper's power is that at the energy which a step is to end with: no more than the device takes at less.
    """
    devices = bad.devices
    wanted = np.full(bad.envelope.idle_kwh.shape, -np.inf)
    for row, targets in enumerate(devices.targets):
        for target in targets:
            wanted[row, target.boundary] = max(
                wanted[row, target.boundary], target.soc * devices.capacity_kwh[row]
            )
    needed = wanted.copy()
    conversion = devices.conversion(bad.case.hours)
    for step in reversed(range(bad.case.steps)):
        after = needed[:, step + 1]
        most = np.minimum(devices.charge_limit_kw[:, step], devices.tapers.most_kw(np.maximum(after, 0.0)))
        gained = np.maximum(0.0, conversion.stored_kwh(most))
        before = np.minimum(after + devices.use_kwh[:, step] - gained, devices.ceiling_kwh)
        needed[:, step] = np.maximum(wanted[:, step], before)
    return needed


def way_through(problem: Problem, decision: Decision, deadline: float) -> Way:
    """Return the best way through the bad day that begins as a decision does; by rules if they find a good one."""
    bad = _bad_of(problem)
    way = way_by_rules(problem, decision, bad)
    if way.missing_kwh <= unreachable_kwh(bad) + SAME_KWH:
        return way
    charge = _best_charge(problem, decision, deadline)
    if charge is None:
        return way
    return min(way, _walked(problem, decision, bad, charge), key=lambda item: item.missing_kwh)


def way_by_rules(problem: Problem, decision: Decision, bad: Problem) -> Way:
    """Return the rule-based way through the bad day that begins as a decision does."""
    steps = _replan_steps(problem)
    begun = Decision(
        decision.charge_kw * bad.devices.plugged,
        decision.discharge_kw * bad.devices.plugged,
        decision.solar_used_kw,
    )
    return _walked(problem, decision, bad, fallback_decision(bad, begun, steps).charge_kw)


def least_missing_kwh(problem: Problem, way: Way, deadline: float) -> float:
    """Return a bound of what is missed on the bad day however the plan begins; `way` is the best one known."""
    bad = _bad_of(problem)
    alone = unreachable_kwh(bad)
    charge = None if way.missing_kwh <= alone + SAME_KWH else _best_charge(problem, None, deadline)
    if charge is None:
        return alone
    path = energy_path(bad, Decision(charge, np.zeros_like(charge), bad.case.site.solar_kw))
    return _missing_kwh(bad, path)


def _bad_of(problem: Problem) -> Problem:
    if problem.bad is None:
        raise ValueError("the problem has no bad day")
    return problem.bad


def unreachable_kwh(bad: Problem) -> float:
    """Return what is missed on the bad day even by a device that is alone and charges at full power."""
    return _missing_kwh(bad, bad.envelope.fullest_kwh)


def bad_day_plan(way: Way) -> BadDayPlan:
    """Return a way as it stands in a plan."""
    bad, charge = way.problem, way.decision.charge_kw
    path = energy_path(bad, way.decision)
    soc = path / bad.devices.capacity_kwh[:, None]
    now = Circumstances.of(bad, charge, charge - way.decision.discharge_kw, path)
    return BadDayPlan(
        {name: BadDayStore(charge[row], soc[row]) for row, name in enumerate(bad.devices.ids)},
        shortfalls_of(now),
    )


def add_bad_day(builder: ProgrammeBuilder, problem: Problem, powers: Powers, relaxed: bool) -> BadDayColumns:
    """Add a way through the bad day that begins with the given powers.

    Strict, it reaches all that a device alone could reach; relaxed, what is missing to that is counted.
    """
    if problem.bad is None:
        return BadDayColumns(np.full_like(powers.charge_at, -1), np.empty(0, dtype=np.int64))
    bad, steps = problem.bad, _replan_steps(problem)
    later = _later_powers(builder, bad, steps)
    both = Powers(*(at.copy() for at in later.places()))
    for at, begun in zip(both.places(), powers.places(), strict=True):
        at[:, :steps] = np.where(bad.devices.plugged, begun, -1)[:, :steps]
    add_nodes(builder, bad.case, bad.devices, later)
    add_phases(builder, bad.case, bad.devices, later)
    add_shared_chargers(builder, bad.case, bad.devices, later)
    _add_site(builder, bad, later)
    energy_at = _add_energy(builder, bad, both)
    _add_tapers(builder, bad, later, energy_at)
    return BadDayColumns(both.charge_at, _add_targets(builder, bad, energy_at, relaxed))


def _best_charge(problem: Problem, decision: Decision | None, deadline: float) -> FloatArray | None:
    """Return the charging (D, T) on the bad day that misses least; None when there is no time for it.

    It begins as the decision does; without one, as is best for the bad day.
    """
    builder = ProgrammeBuilder()
    powers = _begun_powers(builder, problem, decision)
    columns = add_bad_day(builder, problem, powers, relaxed=True)
    programme = builder.programme()
    cost = np.zeros_like(programme.cost)
    cost[columns.missing] = 1.0
    values = Solver(replace(programme, cost=cost), deadline, GAP).solve().values
    return None if values is None else np.where(columns.charge_at >= 0, values[columns.charge_at], 0.0)


def _begun_powers(builder: ProgrammeBuilder, problem: Problem, decision: Decision | None) -> Powers:
    """Add the powers of the first steps, held at those of a decision or free."""
    devices, steps = problem.devices, _replan_steps(problem)
    powers: list[IntArray] = []
    lost: list[IntArray] = []
    for side, power in zip(
        devices.sides(),
        (None, None) if decision is None else (decision.charge_kw, decision.discharge_kw),
        strict=True,
    ):
        first = side.most_kw[:, :steps] if power is None else power[:, :steps]
        # The rest of the loss, beyond the share that counts with the power.
        share = np.divide(first, side.most_kw[:, :steps], out=np.ones_like(first), where=first > 0.0)
        rest = side.loss_kw[:, None] * np.maximum(0.0, 1.0 - share)
        for kind, values, free in ((powers, first, power is None), (lost, rest, False)):
            at = np.full(side.most_kw.shape, -1, dtype=np.int64)
            columns = builder.add_columns(values.size, 0.0, 0.0 if free else values.ravel(), values.ravel())
            at[:, :steps] = columns.reshape(values.shape)
            kind.append(at)
    return Powers(*powers, *lost)


def _walked(problem: Problem, decision: Decision, bad: Problem, charge_kw: FloatArray) -> Way:
    """Return the way that begins as a decision does and then charges as given, as far as the batteries take it."""
    devices, steps = bad.devices, _replan_steps(problem)
    conversion = devices.conversion(bad.case.hours)
    charge, discharge = np.zeros_like(charge_kw), np.zeros_like(charge_kw)
    discharge[:, :steps] = (decision.discharge_kw * devices.plugged)[:, :steps]
    wanted = charge_kw.copy()
    wanted[:, :steps] = (decision.charge_kw * devices.plugged)[:, :steps]
    energy = devices.initial_kwh.copy()
    for step in range(bad.case.steps):
        room = conversion.charge_for(devices.ceiling_kwh - energy)
        taken = np.minimum(devices.charge_limit_kw[:, step], devices.tapers.most_kw(energy))
        power = np.clip(wanted[:, step], 0.0, np.minimum(room, taken))
        charge[:, step] = np.where(power < devices.least_charge_kw, 0.0, power)
        energy += conversion.stored_kwh(charge[:, step], discharge[:, step]) - devices.use_kwh[:, step]
    walked = Decision(charge, discharge, bad.case.site.solar_kw)
    return Way(bad, walked, _missing_kwh(bad, energy_path(bad, walked)))


def _missing_kwh(bad: Problem, path_kwh: FloatArray) -> float:
    capacity = bad.devices.capacity_kwh
    return sum(
        max(0.0, float(target.soc * capacity[row] - path_kwh[row, target.boundary]))
        for row, targets in enumerate(bad.devices.targets)
        for target in targets
    )


def _replan_steps(problem: Problem) -> int:
    return 0 if problem.case.bad_day is None else problem.case.bad_day.replan_steps


def _later_powers(builder: ProgrammeBuilder, bad: Problem, steps: int) -> Powers:
    """Add the charging of the bad day from when a new plan can react."""
    limit = bad.devices.charge_limit_kw.copy()
    limit[:, :steps] = 0.0
    charge_at = np.full(limit.shape, -1, dtype=np.int64)
    charge_at[limit > 0.0] = builder.add_columns(int((limit > 0.0).sum()), 0.0, 0.0, limit[limit > 0.0])
    nothing = np.full_like(charge_at, -1)
    return Powers(charge_at, nothing, nothing, nothing)


def _add_site(builder: ProgrammeBuilder, bad: Problem, later: Powers) -> None:
    """Hold all charging within what building and sun leave of the import limit."""
    site = bad.case.site
    room = np.maximum(0.0, site.import_limit_kw - site.building_load_kw + site.solar_kw)
    binding = bad.devices.charge_limit_kw.sum(axis=0) > room
    rows = np.full(bad.case.steps, -1, dtype=np.int64)
    rows[binding] = builder.add_rows(int(binding.sum()), upper=room[binding])
    _, step, columns = later.entries(True)
    builder.put(rows[step[binding[step]]], columns[binding[step]], 1.0)


def _add_energy(builder: ProgrammeBuilder, bad: Problem, powers: Powers) -> IntArray:
    """Add the energy where a stay ends and where a target is; with a taper, at every boundary of a stay."""
    devices = bad.devices
    points = np.zeros(bad.envelope.idle_kwh.shape, dtype=bool)
    points[:, 1:-1] = devices.plugged[:, :-1] & ~devices.plugged[:, 1:]
    points[:, -1] = True
    points[devices.tapers.rows, 1:] |= devices.plugged[devices.tapers.rows]
    for row, targets in enumerate(devices.targets):
        points[row, [target.boundary for target in targets]] = True
    points[:, 0] = False
    envelope = replace(bad.envelope, upper_kwh=np.maximum(bad.envelope.upper_kwh, bad.envelope.fullest_kwh))
    energy_at = add_energy(builder, envelope, points, np.full(points.shape, -np.inf))
    add_energy_balance(builder, bad.case.hours, devices, bad.envelope, powers, energy_at)
    return energy_at


def _add_tapers(builder: ProgrammeBuilder, bad: Problem, later: Powers, energy_at: IntArray) -> None:
    """Hold charging under the lines of each taper at the energy that the step begins with."""
    lines = hull_of(bad.case.vehicles, bad.envelope.upper_kwh.max(axis=1))
    line, step = np.nonzero((later.charge_at[lines.device] >= 0) & (energy_at[lines.device, :-1] >= 0))
    device = lines.device[line]
    rows = builder.add_rows(len(line), upper=lines.intercept_kw[line])
    builder.put(rows, later.charge_at[device, step], 1.0)
    builder.put(rows, energy_at[device, step], -lines.slope[line])


def _add_targets(builder: ProgrammeBuilder, bad: Problem, energy_at: IntArray, relaxed: bool) -> IntArray:
    rows_of, wanted = [], []
    for row, targets in enumerate(bad.devices.targets):
        for target in targets:
            if energy_at[row, target.boundary] >= 0:
                reach = bad.envelope.fullest_kwh[row, target.boundary]
                rows_of.append(energy_at[row, target.boundary])
                wanted.append(min(target.soc * bad.devices.capacity_kwh[row], reach))
    rows = builder.add_rows(len(wanted), lower=np.array(wanted, dtype=np.float64))
    builder.put(rows, np.array(rows_of, dtype=np.int64), 1.0)
    missing = builder.add_columns(len(wanted) if relaxed else 0)
    builder.put(rows[: len(missing)], missing, 1.0)
    return missing
