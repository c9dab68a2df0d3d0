"""The proposal against every assignment there is, and what a dispatcher expects of it."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from fleet.assignment.case import AssignmentCase, Candidate, Demand, Work
from fleet.assignment.chain import absent, clashes, in_order, unreachable
from fleet.assignment.propose import CHANGE, CannotProposeError, Proposed, propose, strain

START = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)


def bus(name: str, soh: float = 1.0, soc: float = 0.9, **values) -> Candidate:
    return Candidate(name, 200 * soh, **({"max_soc": 1.0, "charge_kw": 50, "soc": soc, "soh": soh} | values))


def run(name: str, begin: float, end: float, present: str | None = None, fixed: bool = False) -> Work:
    return Work(name, START + timedelta(hours=begin), START + timedelta(hours=end), present, fixed)


def day(work: list[Work], vehicles: list[Candidate], kwh: dict[str, float]) -> AssignmentCase:
    """Make a case in which each vehicle may do each work, and returns with a fifth of its battery left."""
    demands = {
        (one.id, vehicle.id): Demand(kwh[one.id], kwh[one.id] / vehicle.capacity_kwh + 0.2)
        for one in work
        for vehicle in vehicles
    }
    return AssignmentCase(START, work, vehicles, demands)


def test_the_weak_battery_gets_the_short_block() -> None:
    work = [run("long", 2, 4, "weak"), run("short", 2, 4, "strong")]
    case = day(work, [bus("weak", 0.8), bus("strong")], {"long": 100, "short": 40})
    found = propose(case)
    assert found.vehicle_of == {"long": "strong", "short": "weak"}
    assert found.proven
    assert [one.id for one in found.changes(case)] == ["long", "short"]


def test_a_small_difference_in_health_changes_nothing() -> None:
    work = [run("long", 2, 4, "weak"), run("short", 2, 4, "strong")]
    case = day(work, [bus("weak", 0.98), bus("strong")], {"long": 100, "short": 40})
    assert propose(case).changes(case) == []


def test_an_open_block_goes_to_who_is_free_and_reaches_it() -> None:
    vehicles = [
        bus("low", soc=0.2),
        bus("far", soc=0.9),
        bus("shop", absences=[(START, START + timedelta(hours=9))]),
    ]
    case = day([run("open", 0.5, 3)], vehicles, {"open": 90})
    assert propose(case).vehicle_of == {"open": "far"}


def test_fixed_work_stays_even_beyond_the_charge_and_the_rest_goes_around_it() -> None:
    work = [run("am", 0.5, 3, "a", fixed=True), run("pm", 3.2, 5, "a")]
    case = day(work, [bus("a", soc=0.3), bus("b")], {"am": 80, "pm": 80})
    assert propose(case).vehicle_of == {"am": "a", "pm": "b"}


def test_what_nobody_can_do_is_left_undone_and_said() -> None:
    work = [run("too far", 2, 6, "a"), run("one", 2, 4), run("two", 3, 5)]
    case = day(work, [bus("a")], {"too far": 190, "one": 20, "two": 30})
    found = propose(case)
    assert found.vehicle_of["too far"] is None
    assert sum(vehicle is None for vehicle in found.vehicle_of.values()) == 2


def test_two_blocks_with_too_little_charging_between_are_not_given_to_one() -> None:
    work = [run("am", 2, 4), run("pm", 4.5, 7)]
    vehicles = [bus("a"), bus("b", 0.8)]
    case = day(work, vehicles, {"am": 120, "pm": 110})
    found = propose(case)
    assert set(found.vehicle_of.values()) == {"a", "b"}
    assert found.rounds > 1
    assert unreachable(case, vehicles[0], work) == tuple(work)


def test_the_case_refuses_nonsense_and_the_clock_is_kept() -> None:
    with pytest.raises(ValueError, match="same id"):
        AssignmentCase(START, [run("x", 1, 2), run("x", 3, 4)], [])
    with pytest.raises(ValueError, match="return after"):
        AssignmentCase(START, [run("x", 2, 2)], [])
    with pytest.raises(ValueError, match="Capacity"):
        AssignmentCase(START, [], [bus("a", 0.0)])
    with pytest.raises(CannotProposeError):
        propose(day([run("x", 1, 2)], [bus("a")], {"x": 1}), time_limit_s=0.0)


def random_day(seed: int) -> AssignmentCase:
    dice = random.Random(seed)
    vehicles = [bus(f"v{n}", dice.uniform(0.75, 1.0), dice.uniform(0.2, 1.0)) for n in range(3)]
    work = []
    for number in range(5):
        begin = dice.uniform(0.5, 9)
        work.append(
            run(f"w{number}", begin, begin + dice.uniform(1, 4), dice.choice(["v0", "v1", "v2", None]))
        )
    return day(work, vehicles, {one.id: dice.uniform(20, 120) for one in work})


def value(case: AssignmentCase, chosen: dict[str, str | None]) -> tuple[int, float] | None:
    """Return (work undone, cost) of an assignment by the plain rules; None when it is impossible."""
    cost, best_soh = 0.0, max(one.soh for one in case.vehicles)
    for vehicle in case.vehicles:
        own = in_order([one for one in case.work if chosen[one.id] == vehicle.id])
        if any(clashes(a, b) for a, b in itertools.pairwise(own)) or any(absent(vehicle, one) for one in own):
            return None
        if unreachable(case, vehicle, own) is not None:
            return None
        cost += sum(
            strain(case, one, vehicle, best_soh) + CHANGE * (one.present != vehicle.id) for one in own
        )
    return sum(vehicle is None for vehicle in chosen.values()), cost


@pytest.mark.parametrize("seed", range(8))
def test_no_assignment_is_better(seed: int) -> None:
    case = random_day(seed)
    names = [None, *(vehicle.id for vehicle in case.vehicles)]
    choices = (
        dict(zip((one.id for one in case.work), pick, strict=True))
        for pick in itertools.product(names, repeat=5)
    )
    best = min(found for found in (value(case, choice) for choice in choices) if found is not None)
    proposed: Proposed = propose(case)
    undone, cost = value(case, dict(proposed.vehicle_of)) or (99, 0.0)
    assert (undone, cost) == (best[0], pytest.approx(best[1], abs=1e-6))
