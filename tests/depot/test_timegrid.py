"""The grid of steps, on ordinary days and on the two days a year that are not."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.timegrid import (
    EPOCH,
    TimeGrid,
    ceil_to_step,
    floor_to_step,
    local_day_bounds,
    local_midnights,
    local_to_utc,
    month_bounds,
    resample_mean,
)

NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
ZONES = st.sampled_from([NEW_YORK, BERLIN, LORD_HOWE, KATHMANDU, ZoneInfo("America/Sao_Paulo")])
MOMENTS = st.integers(6 * 10**14, 22 * 10**14).map(lambda us: EPOCH + timedelta(microseconds=us))
START = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


def test_a_grid_knows_its_times_and_its_end() -> None:
    grid = TimeGrid(START, 15, 3)
    assert grid.times() == [START, START + timedelta(minutes=15), START + timedelta(minutes=30)]
    assert grid.end_at == START + timedelta(minutes=45)
    assert grid.step_hours == 0.25


def test_a_grid_keeps_utc_whatever_zone_it_is_given() -> None:
    eastern = datetime(2026, 3, 2, 0, 0, tzinfo=NEW_YORK)
    grid = TimeGrid(eastern, 15, 1)
    assert grid == TimeGrid(START, 15, 1)
    assert grid.start_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("start", "minutes", "steps", "words"),
    [
        (START.replace(tzinfo=None), 15, 1, "no time zone"),
        (START, 0, 1, "step_minutes"),
        (START, 15, -1, "steps"),
    ],
)
def test_a_grid_refuses_what_is_not_a_grid(start: datetime, minutes: int, steps: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TimeGrid(start, minutes, steps)


def test_index_of_is_the_step_that_contains_the_moment() -> None:
    grid = TimeGrid(START, 15, 4)
    assert grid.index_of(START) == 0
    assert grid.index_of(START + timedelta(minutes=14, seconds=59)) == 0
    assert grid.index_of(START + timedelta(minutes=15)) == 1
    for outside in (START - timedelta(seconds=1), grid.end_at):
        with pytest.raises(ValueError, match="outside the grid"):
            grid.index_of(outside)


def test_pull_out_floors_and_pull_in_ceils() -> None:
    grid = TimeGrid(START, 15, 8)
    at = START + timedelta(minutes=37)
    assert grid.boundary_of(at, "pull_out") == 2
    assert grid.boundary_of(at, "pull_in") == 3
    on_the_boundary = START + timedelta(minutes=45)
    assert grid.boundary_of(on_the_boundary, "pull_out") == grid.boundary_of(on_the_boundary, "pull_in") == 3
    assert grid.boundary_of(START - timedelta(hours=1), "pull_out") == 0
    assert grid.boundary_of(START + timedelta(days=1), "pull_in") == 8


@given(MOMENTS, st.integers(1, 240))
def test_floor_and_ceil_enclose_the_moment(at: datetime, minutes: int) -> None:
    low, high = floor_to_step(at, minutes), ceil_to_step(at, minutes)
    assert low <= at <= high
    assert high - low in (timedelta(0), timedelta(minutes=minutes))
    assert floor_to_step(low, minutes) == low == ceil_to_step(low, minutes)


def test_floor_and_ceil_on_quarters_of_an_hour() -> None:
    at = datetime(2026, 3, 2, 12, 7, tzinfo=timezone(timedelta(hours=2)))
    assert floor_to_step(at, 15) == datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
    assert ceil_to_step(at, 15) == datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
    with pytest.raises(ValueError, match="at least 1 minute"):
        floor_to_step(at, 0)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 7, 1), 24)]
)
def test_a_local_day_has_23_24_or_25_hours(day: date, hours: int) -> None:
    start, end = local_day_bounds(day, NEW_YORK)
    assert end - start == timedelta(hours=hours)


def test_schedule_times_past_24_00_belong_to_the_next_calendar_day() -> None:
    assert local_to_utc(date(2026, 3, 2), 25 * 60 + 30, NEW_YORK) == datetime(2026, 3, 3, 6, 30, tzinfo=UTC)
    # The night of the clock change: 25:30 of Saturday is 01:30 of Sunday, before the hour that is left out.
    assert local_to_utc(date(2026, 3, 7), 25 * 60 + 30, NEW_YORK) == datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
    assert local_to_utc(date(2026, 3, 7), 28 * 60, NEW_YORK) == datetime(2026, 3, 8, 8, 0, tzinfo=UTC)


def test_a_time_that_does_not_exist_moves_forward() -> None:
    assert local_to_utc(date(2026, 3, 8), 2 * 60 + 30, NEW_YORK) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert local_to_utc(date(2026, 3, 8), 3 * 60 + 30, NEW_YORK) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def test_a_time_that_comes_twice_is_the_first_one() -> None:
    assert local_to_utc(date(2026, 11, 1), 90, NEW_YORK) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_a_midnight_that_does_not_exist_moves_forward() -> None:
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    assert local_to_utc(date(2018, 11, 4), 0, sao_paulo) == datetime(2018, 11, 4, 3, 0, tzinfo=UTC)


@given(ZONES, st.dates(date(1990, 1, 1), date(2037, 1, 1)), st.integers(0, 60))
def test_local_days_join_without_gap_or_overlap(zone: ZoneInfo, first: date, count: int) -> None:
    last = first + timedelta(days=count)
    midnights = local_midnights(zone, first, last)
    assert len(midnights) == count + 1
    assert midnights[0] == local_day_bounds(first, zone)[0]
    for offset, midnight in enumerate(midnights[1:]):
        assert local_day_bounds(first + timedelta(days=offset), zone)[1] == midnight
    assert midnights == sorted(midnights)


def test_month_bounds_are_local_and_cross_the_year() -> None:
    assert month_bounds(date(2026, 3, 15), NEW_YORK) == (
        datetime(2026, 3, 1, 5, tzinfo=UTC),
        datetime(2026, 4, 1, 4, tzinfo=UTC),
    )
    assert month_bounds(date(2025, 12, 31), BERLIN) == (
        datetime(2025, 11, 30, 23, tzinfo=UTC),
        datetime(2025, 12, 31, 23, tzinfo=UTC),
    )


@given(st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=40).filter(lambda values: len(values) % 4 == 0))
def test_resampling_conserves_energy(values: list[float]) -> None:
    coarse = resample_mean(values, 15, 60)
    assert coarse.sum() * 60 == pytest.approx(sum(values) * 15, abs=1e-6)
    assert resample_mean(coarse, 60, 15).sum() == pytest.approx(coarse.sum() * 4, abs=1e-6)


def test_resampling_keeps_a_gap_a_gap() -> None:
    assert np.isnan(resample_mean([1.0, np.nan, 3.0, 5.0], 15, 30)).tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "steps", "words"),
    [
        ([1.0] * 3, (15, 60), "whole"),
        ([1.0] * 3, (10, 15), "multiple"),
        ([1.0], (0, 15), "at least 1 minute"),
    ],
)
def test_resampling_refuses_steps_that_do_not_fit(
    values: list[float], steps: tuple[int, int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        resample_mean(values, *steps)
