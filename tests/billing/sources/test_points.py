"""Prices laid on the depot's steps, and what stands in where none is known."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from billing.sources import Point, on_grid, series_of
from depot.timegrid import TimeGrid

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2025, 9, 30, 20, tzinfo=UTC)


def points(start_at: datetime, minutes: int, *values: float) -> list[Point]:
    step = timedelta(minutes=minutes)
    return [Point(start_at + i * step, minutes, Decimal(str(value))) for i, value in enumerate(values)]


def test_hours_are_repeated_and_quarters_averaged() -> None:
    mixed = [*points(START, 60, 0.1, 0.2), *points(START + timedelta(hours=2), 15, 0.1, 0.2, 0.3, 0.4)]
    quarters = [0.1] * 4 + [0.2] * 4 + [0.1, 0.2, 0.3, 0.4]
    assert np.allclose(on_grid(mixed, TimeGrid(START, 15, 12)), quarters)
    assert np.allclose(on_grid(mixed, TimeGrid(START, 60, 3)), [0.1, 0.2, 0.25])
    later = on_grid(mixed, TimeGrid(START + timedelta(minutes=30), 30, 6))
    assert np.allclose(later[:5], [0.1, 0.2, 0.2, 0.15, 0.35])
    assert np.isnan(later[5])


def test_a_step_that_is_known_in_part_is_not_known() -> None:
    assert np.isnan(on_grid(points(START, 15, 0.1, 0.1, 0.1), TimeGrid(START, 60, 1))).all()


def test_missing_steps_have_the_last_good_value_of_the_same_weekday_and_local_hour() -> None:
    """A week back over the autumn change is 169 hours, so that 08:00 stays 08:00."""
    eight = datetime(2025, 10, 27, 7, tzinfo=UTC)  # 08:00 in winter
    week_before = datetime(2025, 10, 20, 6, tzinfo=UTC)  # 08:00 in summer
    known = [*points(week_before, 60, 0.31, 0.32), *points(eight - timedelta(hours=1), 60, 0.2)]
    series = series_of(known, TimeGrid(eight, 60, 3), BERLIN)
    assert series.per_kwh.round(9).tolist() == [0.31, 0.32, 0.2]  # the last known one
    assert series.stale.tolist() == [True, True, True]


def test_the_newest_good_week_counts_and_known_values_are_left() -> None:
    weeks = [
        point
        for back, value in ((3, 0.3), (2, 0.2))
        for point in points(START - timedelta(weeks=back), 60, value)
    ]
    series = series_of([*weeks, *points(START + timedelta(hours=1), 60, 0.9)], TimeGrid(START, 60, 2), BERLIN)
    assert series.per_kwh.round(9).tolist() == [0.2, 0.9]
    assert series.stale.tolist() == [True, False]


def test_nothing_known_stays_unknown() -> None:
    series = series_of([], TimeGrid(START, 15, 4), BERLIN)
    assert np.isnan(series.per_kwh).all()
    assert series.stale.all()
