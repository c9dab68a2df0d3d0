"""Charging times by hand, there and back, and the latest moment to act."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from fleet.demand.charging_time import Charging, latest_start

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
PLAIN = Charging(200, 60, 0.9)
TAPERED = Charging(200, 100, 1.0, taper=((0.8, 100), (1.0, 20)))


def test_plain_charging_is_energy_by_power() -> None:
    assert PLAIN.hours(0.4, 0.7) == pytest.approx(60 / 54)
    assert PLAIN.reached(0.4, 60 / 54) == pytest.approx(0.7)
    assert PLAIN.hours(0.7, 0.4) == 0.0
    assert PLAIN.reached(0.9, 99) == pytest.approx(1.0)


def test_a_taper_follows_its_integral() -> None:
    # Power 100 - 400 (soc - 0.8) kW: time = capacity / 400 x ln(100 / 20) from 80 to 100 %.
    exact = 200 / 400 * math.log(5)
    assert TAPERED.hours(0.8, 1.0) == pytest.approx(exact, rel=1e-3)
    assert TAPERED.reached(0.8, exact) == pytest.approx(1.0, abs=1e-3)
    assert TAPERED.hours(0.5, 0.8) == pytest.approx(0.6)
    assert [TAPERED.power_at(soc) for soc in (0.1, 0.9, 1.0)] == pytest.approx([100, 60, 20])


def test_what_cannot_be_reached_takes_for_ever() -> None:
    assert Charging(200, 60, max_soc=0.9).hours(0.5, 0.95) == math.inf
    assert Charging(200, 0).hours(0.5, 0.6) == math.inf
    assert Charging(200, 0).reached(0.5, 9) == 0.5
    with pytest.raises(ValueError, match="positive"):
        Charging(0, 60)


@pytest.mark.parametrize(
    ("charging", "soc", "required", "hours_before"),
    [
        (PLAIN, 0.4, 0.7, 60 / 54),
        (PLAIN, 0.8, 0.7, 0.0),  # needs no charge: until it leaves
        (PLAIN, 0.1, 1.0, 0.0),  # too late already: another vehicle, until it leaves
        (PLAIN, None, 0.7, 0.0),
        (None, 0.4, 0.7, 0.0),
        (Charging(200, 60, max_soc=0.6), 0.4, 0.7, 0.0),
    ],
)
def test_the_latest_moment_to_act(
    charging: Charging | None, soc: float | None, required: float, hours_before: float
) -> None:
    leaves_at = NOON + timedelta(hours=3)
    found = latest_start(charging, soc, required, leaves_at, NOON)
    assert (leaves_at - found).total_seconds() / 3600 == pytest.approx(hours_before, abs=1e-6)
