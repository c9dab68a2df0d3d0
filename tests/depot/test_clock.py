"""The one clock: real, or faster than the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from depot import clock

WALL = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
THEN = datetime(2025, 11, 1, 4, 0, tzinfo=UTC)


@pytest.fixture
def fast(settings):
    """Run the depot 60 times as fast as the wall, from a moment in November."""
    settings.CLOCK_ANCHOR_WALL = WALL.isoformat()
    settings.CLOCK_ANCHOR_SIMULATED = THEN.isoformat()
    settings.CLOCK_SPEED = 60.0


@pytest.fixture
def real(settings):
    settings.CLOCK_ANCHOR_WALL = settings.CLOCK_ANCHOR_SIMULATED = ""
    settings.CLOCK_SPEED = 60.0


def test_the_real_clock_is_the_wall(real):
    with time_machine.travel(WALL, tick=False):
        assert clock.now() == clock.wall_now() == WALL
        assert clock.now().utcoffset() == timedelta(0)
    assert clock.wall_seconds(90) == 90, "without an anchor nothing runs faster"


def test_the_fast_clock_runs_from_its_anchor(fast):
    with time_machine.travel(WALL, tick=False) as wall:
        assert clock.now() == THEN
        wall.shift(timedelta(minutes=1))
        assert clock.now() == THEN + timedelta(hours=1)
        assert clock.wall_now() == WALL + timedelta(minutes=1), "the machinery keeps its own time"
    assert clock.wall_seconds(900) == 15


def test_every_process_with_the_same_anchor_agrees(fast):
    with time_machine.travel(WALL + timedelta(seconds=30), tick=False):
        assert clock.clock() == clock.clock()
        assert clock.now() == clock.clock().at(clock.wall_now()) == THEN + timedelta(minutes=30)


def test_before_its_anchor_the_clock_runs_back_as_fast(fast):
    with time_machine.travel(WALL - timedelta(seconds=1), tick=False):
        assert clock.now() == THEN - timedelta(minutes=1)
