"""Gateway, worker, Redis and database killed at random while chargers speak and plans are made: nothing is lost."""

from __future__ import annotations

import pytest

from depot.project.benchmarks import kills
from depot.project.benchmarks.scratch import BenchmarkError
from depot.project.benchmarks.servers import programs

pytestmark = [pytest.mark.processes, pytest.mark.any_database]  # it brings its own

SEED = 8
"""Its first five kills are of all four kinds."""
TIMES, CHARGERS = 5, 6


def test_whatever_is_killed_no_acknowledged_word_is_lost_or_doubled_and_no_plan_applied_twice() -> None:
    try:
        programs()
    except BenchmarkError as error:
        pytest.skip(str(error))
    size = kills.Size(times=TIMES, chargers=CHARGERS, seed=SEED)
    assert {kill.kind for kill in kills.kills(size)} == set(kills.KINDS)
    found = kills.measure(size)
    assert sum(found["kills"].values()) == TIMES
    assert found["sent"] >= found["acknowledged"] > 0
    assert found["plans_applied"] >= TIMES
    faults = ("lost", "doubled", "wrong", "plans_applied_twice", "schedules_nobody_ordered", "jobs_failed")
    assert {name: found[name] for name in faults} == dict.fromkeys(faults, 0)
    assert found["ended_by_themselves"] == {}
