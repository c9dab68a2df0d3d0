"""Profiles: what is refused, how they repeat, and the daily stress they are reduced to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.battery.profile import cut, daily_use, make_profile, repeated, repetition_hours
from fleet.battery.rainflow import count_cycles
from tests.fleet.battery.duties import duty


@pytest.mark.parametrize(
    ("hours", "soc", "temperature_c", "words"),
    [
        ([0, 1], [0.5], 20, "same length"),
        ([0], [0.5], 20, "two samples"),
        ([0, 0], [0.5, 0.5], 20, "rise"),
        ([0, np.nan], [0.5, 0.5], 20, "rise"),
        ([0, 1], [0.5, 1.2], 20, "SoC"),
        ([0, 1], [0.5, np.nan], 20, "SoC"),
        ([0, 1], [0.5, 0.5], 200, "temperatures"),
    ],
)
def test_impossible_profiles_are_refused(
    hours: list[float], soc: list[float], temperature_c: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make_profile(hours, soc, temperature_c)


def test_a_day_is_reduced_to_its_stress() -> None:
    use = daily_use(make_profile([0, 6, 8, 20, 24], [0.8, 0.8, 0.4, 0.4, 0.8], [10, 10, 30, 30, 10]))
    assert use.days.tolist() == [1.0]
    assert use.soc_travel == pytest.approx([0.8])
    assert use.depth == pytest.approx([0.4])
    assert use.mean_soc == pytest.approx([(6 * 0.8 + 2 * 0.6 + 12 * 0.4 + 4 * 0.6) / 24])
    assert use.mean_kelvin == pytest.approx([273.15 + (6 * 10 + 2 * 20 + 12 * 30 + 4 * 20) / 24])
    assert use.mean_rate == pytest.approx([0.8 / 24])
    assert use.charge_rate == pytest.approx([0.1])


def test_standing_losses_are_no_charging() -> None:
    use = daily_use(make_profile([0, 24], [0.5, 0.6], 20))
    assert use.mean_rate.tolist() == use.charge_rate.tolist() == [0.0]
    assert use.soc_travel == pytest.approx([0.1])


def test_days_are_cut_at_24_hours_even_between_samples() -> None:
    use = daily_use(make_profile([5, 15, 35, 60], [0.8, 0.4, 0.8, 0.2], 20))
    assert use.days == pytest.approx([1.0, 1.0, 7 / 24])
    assert use.soc_travel.sum() == pytest.approx(1.4)
    assert use.samples.hours.tolist() == [5, 15, 29, 35, 53, 60]


@given(st.lists(st.floats(0, 1), min_size=4, max_size=60))
def test_the_depth_of_a_day_is_its_largest_rainflow_range(soc: list[float]) -> None:
    use = daily_use(make_profile(np.linspace(0, 24, len(soc)), soc, 20))
    cycles = count_cycles(soc)
    assert use.depth[0] == pytest.approx(cycles.depth.max() if cycles.depth.size else 0.0)
    assert use.soc_travel[0] / 2 == pytest.approx(cycles.equivalent_full_cycles)


def test_open_and_closed_profiles_repeat_with_the_right_period() -> None:
    assert repetition_hours(make_profile([0, 12, 24], [0.5, 0.8, 0.5], 20)) == 24
    assert repetition_hours(duty("late80", days=1)) == 24
    assert repetition_hours(make_profile([0, 1, 2, 3], [0.5, 0.8, 0.5, 0.6], 20)) == 4


def test_a_repeated_profile_is_periodic_from_any_hour() -> None:
    day = duty("v2g", days=1)
    later = repeated(day, 24 * 40 + 7.5, 24 * 43)
    assert later.hours[[0, -1]].tolist() == [24 * 40 + 7.5, 24 * 43]
    expected = np.interp(later.hours % 24, [*day.hours, 24], [*day.soc, day.soc[0]])
    assert later.soc == pytest.approx(expected)


def test_a_cut_keeps_the_line_between_samples() -> None:
    part = cut(make_profile([0, 10], [0.0, 1.0], [0, 20]), 2.5, 5)
    assert part.soc.tolist() == [0.25, 0.5]
    assert part.temperature_c.tolist() == [5, 10]
