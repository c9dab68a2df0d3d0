"""Rainflow counting against the standard's own example, a known package, and its invariants."""

import numpy as np
import pytest
import rainflow
from hypothesis import given
from hypothesis import strategies as st

from fleet.battery.rainflow import bin_cycles, count_cycles, turning_points

# Rounded, so that the two programs cannot disagree about which of two equal ranges is larger.
SERIES = st.lists(st.integers(0, 100).map(lambda percent: percent / 100), min_size=2, max_size=80)


def test_the_example_of_the_standard() -> None:
    # ASTM E1049-85, figure 6: peaks and valleys A to I and the counts of its table.
    cycles = count_cycles([-2, 1, -3, 5, -1, 3, -4, 4, -2])
    counted: dict[float, float] = {}
    for depth, count in zip(cycles.depth.tolist(), cycles.count.tolist(), strict=True):
        counted[depth] = counted.get(depth, 0.0) + count
    assert counted == {3: 0.5, 4: 1.5, 6: 0.5, 8: 1.0, 9: 0.5}


@given(SERIES.filter(lambda series: len(series) > 2))  # the package counts nothing in two samples
def test_the_cycles_are_those_of_the_package(series: list[float]) -> None:
    ours = count_cycles(series)
    table = sorted(zip(ours.depth.tolist(), ours.mean.tolist(), ours.count.tolist(), strict=True))
    theirs = sorted(row[:3] for row in rainflow.extract_cycles(series) if row[0] > 0)
    assert np.array(table).reshape(-1, 3) == pytest.approx(np.array(theirs).reshape(-1, 3))


@given(SERIES)
def test_the_distance_travelled_is_conserved(series: list[float]) -> None:
    travelled = np.abs(np.diff(series)).sum()
    assert count_cycles(series).equivalent_full_cycles == pytest.approx(travelled / 2)


@given(SERIES)
def test_the_largest_cycle_is_the_whole_range(series: list[float]) -> None:
    depths = count_cycles(series).depth
    assert (depths.max() if depths.size else 0.0) == pytest.approx(max(series) - min(series))


@given(SERIES)
def test_standing_still_changes_nothing(series: list[float]) -> None:
    doubled = [value for value in series for _ in range(2)]
    assert count_cycles(doubled).depth.tolist() == count_cycles(series).depth.tolist()


@pytest.mark.parametrize("series", [[], [0.5], [0.5, 0.5, 0.5]])
def test_nothing_that_turns_is_no_cycle(series: list[float]) -> None:
    assert count_cycles(series).depth.size == 0


def test_turning_points_keep_both_ends() -> None:
    assert turning_points([0.2, 0.4, 0.4, 0.6, 0.5, 0.5, 0.9]).tolist() == [0.2, 0.6, 0.5, 0.9]


@given(SERIES)
def test_binning_loses_no_cycle(series: list[float]) -> None:
    cycles = count_cycles(series)
    boxes = bin_cycles(cycles, [0, 0.25, 0.5], [0, 0.5, 1])
    assert sum(box.count for box in boxes) == pytest.approx(cycles.count.sum())


def test_a_cycle_falls_into_its_box() -> None:
    (box,) = bin_cycles(count_cycles([0.8, 0.5, 0.8]), [0, 0.2, 0.4, 1], [0, 0.6, 1])
    assert (box.depth_from, box.depth_to, box.mean_from, box.mean_to, box.count) == (0.2, 0.4, 0.6, 1, 1.0)
