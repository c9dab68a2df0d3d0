"""A charge that nobody has told lately is planned lower, the more the older it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleet.demand.assumed_soc import assumed_soc, is_stale, margin


@pytest.mark.parametrize(
    ("hours", "lower"),
    [(-0.05, 0), (0, 0), (2, 0), (2.01, 0.0501), (3, 0.06), (10, 0.13), (17, 0.2), (500, 0.2), (-1, 0.05)],
)
def test_the_margin_widens_with_age(hours, lower):
    age = timedelta(hours=hours)
    assert margin(age) == pytest.approx(lower)
    assert is_stale(age) == (lower > 0)
    assert assumed_soc(0.6, age, 200) == pytest.approx(0.6 - lower)


def test_what_has_flowed_since_counts_within_the_battery():
    old = timedelta(hours=3)
    assert assumed_soc(0.6, old, 200, used_kwh=40, charged_kwh=20) == pytest.approx(0.44)
    assert assumed_soc(0.6, old, 200, charged_kwh=200) == pytest.approx(0.94)
    assert assumed_soc(0.1, old, 200, used_kwh=40) == 0
