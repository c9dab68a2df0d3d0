"""Jobs in real workers: done, done once, and done again when a worker dies."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.processes.conftest import House

pytestmark = pytest.mark.processes


def test_worker_does_what_was_asked_before_it_started(house: House) -> None:
    house.desk("ask", "note", "3")
    # The beat asks again for what the broker did not take in time; a depot never runs without it.
    for name in ("worker", "beat"):
        house.start(name)
    rows = house.jobs("note", "done", 3)
    assert sorted(row["result"]["square"] for row in rows) == [0, 1, 4]
    assert all(row["progress"] == 1.0 for row in rows)


def test_two_workers_and_two_beats_do_every_job_once(house: House) -> None:
    house.desk("depot")
    now = datetime.now(UTC).isoformat()
    fast = {"DEPOT_CLOCK_SPEED": "60", "DEPOT_CLOCK_ANCHOR_WALL": now, "DEPOT_CLOCK_ANCHOR_SIMULATED": now}
    for name in ("worker", "worker", "beat", "beat"):
        house.start(name, **fast)
    house.desk("ask", "note", "20")
    house.jobs("note", "done", 20)
    recurring = house.jobs("minutely", "done", 4)
    runs = Counter((kind, window) for _, kind, window, _ in house.lines())
    assert set(runs.values()) == {1}
    assert sum(kind == "note" for kind, _ in runs) == 20
    assert {row["attempts"] for row in recurring if row["state"] == "done"} == {1}


def test_job_of_a_killed_worker_is_done_by_the_next(house: House) -> None:
    house.start("beat")
    victim = house.start("worker")
    house.desk("ask", "long", "1")
    house.until(lambda: [event for event, *_ in house.lines()] == ["began"])
    house.kill(victim)
    (row,) = house.jobs("long", "running", 1)
    assert (row["progress"], row["step"]) == (0.5, "half way")
    (house.folder / "go").touch()
    house.start("worker")
    (row,) = house.jobs("long", "done", 1)
    assert row["attempts"] == 2
    assert [event for event, *_ in house.lines()] == ["began", "began", "ended"]


def test_long_job_with_a_heartbeat_is_left_alone(house: House) -> None:
    for name in ("beat", "worker", "worker"):
        house.start(name)
    house.desk("ask", "long", "1")
    house.until(lambda: len(house.lines()) == 1)
    house.desk("jobs", "long", "done", "1", "7")  # longer than the time after which a silent job is stale
    (house.folder / "go").touch()
    (row,) = house.jobs("long", "done", 1)
    assert row["attempts"] == 1
    assert [event for event, *_ in house.lines()] == ["began", "ended"]
