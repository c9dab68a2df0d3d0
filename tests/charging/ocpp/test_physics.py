"""Simulated batteries: energy is conserved, limits hold, and the length of a step does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charging.ocpp.simulator.physics import Pack, step, step_fleet

PACK = Pack(
    capacity_kwh=200.0,
    max_charge_kw=60.0,
    max_discharge_kw=50.0,
    charge_efficiency=0.95,
    discharge_efficiency=0.9,
)


def test_charging_and_discharging_lose_energy() -> None:
    assert step(0.5, 40.0, 3600, **PACK) == pytest.approx((0.5 + 40 * 0.95 / 200, 40.0))
    assert step(0.5, -40.0, 3600, **PACK) == pytest.approx((0.5 - 40 / 0.9 / 200, -40.0))
    assert step(0.5, 0.0, 3600, **PACK) == (0.5, 0.0)


def test_setpoints_are_cut_to_the_limits() -> None:
    assert step(0.2, 500.0, 60, **PACK)[1] == pytest.approx(60.0)
    assert step(0.8, -500.0, 60, **PACK)[1] == pytest.approx(-50.0)


def test_power_tapers_above_ninety_percent() -> None:
    powers = [step(soc, 60.0, 1, **PACK)[1] for soc in (0.89, 0.95, 0.999)]
    assert powers == pytest.approx([60.0, 60 * 0.55, 60 * 0.109], rel=1e-3)
    assert step(0.95, 20.0, 1, **PACK)[1] == pytest.approx(20.0)


def test_batteries_stop_at_their_bounds() -> None:
    bounds = PACK | {"min_soc": 0.1, "max_soc": 0.9}
    soc, power = step(0.89, 60.0, 3600, **bounds)
    assert (soc, power) == pytest.approx((0.9, 0.01 * 200 / 0.95))
    soc, power = step(0.11, -50.0, 3600, **bounds)
    assert (soc, power) == pytest.approx((0.1, -0.01 * 200 * 0.9))
    assert step(0.95, 60.0, 60, **bounds) == (0.95, 0.0)
    assert step(0.05, -50.0, 60, **bounds) == (0.05, 0.0)


def test_a_loss_lowers_what_is_stored_at_low_power_most() -> None:
    lossy = PACK | {"charge_loss_kw": 2.0, "discharge_loss_kw": 1.0}
    assert step(0.5, 40.0, 3600, **lossy) == pytest.approx((0.5 + (40 * 0.95 - 2) / 200, 40.0))
    assert step(0.5, 10.0, 3600, **lossy) == pytest.approx((0.5 + (10 * 0.95 - 2) / 200, 10.0))
    assert step(0.5, -40.0, 3600, **lossy) == pytest.approx((0.5 - (40 / 0.9 + 1) / 200, -40.0))
    assert step(0.5, 0.0, 3600, **lossy) == (0.5, 0.0)
    assert step(0.5, 1.0, 3600, **lossy) == (0.5, 0.0), "less comes than is lost"


def test_a_battery_with_a_loss_stops_at_its_bounds_and_loses_nothing_then() -> None:
    bounds = PACK | {"min_soc": 0.1, "max_soc": 0.9, "charge_loss_kw": 2.0, "discharge_loss_kw": 1.0}
    soc, power = step(0.89, 60.0, 3600, **bounds)
    hours = 0.01 * 200 / (60 * 0.95 - 2)
    assert (soc, power) == pytest.approx((0.9, 60 * hours))
    soc, power = step(0.11, -50.0, 3600, **bounds)
    hours = 0.01 * 200 / (50 / 0.9 + 1)
    assert (soc, power) == pytest.approx((0.1, -50 * hours))


@given(soc=st.floats(0.1, 1.0), setpoint=st.floats(5, 100), loss=st.sampled_from([0.0, 0.5, 3.0]))
def test_short_steps_and_a_long_one_agree_with_a_loss(soc: float, setpoint: float, loss: float) -> None:
    lossy = PACK | {"charge_loss_kw": loss}
    whole, power = step(soc, setpoint, 1800, **lossy)
    parts, powers = soc, []
    for _ in range(30):
        parts, part_kw = step(parts, setpoint, 60, **lossy)
        powers.append(part_kw)
    assert parts == pytest.approx(whole, abs=1e-9)
    assert np.mean(powers) == pytest.approx(power, abs=1e-6)


def test_a_battery_that_cannot_charge_does_not() -> None:
    assert step(0.5, 60.0, 60, **(PACK | {"max_charge_kw": 0.0})) == (0.5, 0.0)


def test_a_step_has_a_length() -> None:
    with pytest.raises(ValueError, match="longer than 0 s"):
        step(0.5, 1.0, 0.0, **PACK)


@given(
    soc=st.floats(0, 1),
    setpoint=st.floats(-100, 100),
    seconds=st.floats(10, 7200),
    parts=st.integers(2, 9),
)
def test_one_step_equals_many(soc: float, setpoint: float, seconds: float, parts: int) -> None:
    whole_soc, whole_kw = step(soc, setpoint, seconds, **PACK)
    energy, now = 0.0, soc
    for _ in range(parts):
        now, power = step(now, setpoint, seconds / parts, **PACK)
        energy += power / parts
    assert now == pytest.approx(whole_soc, abs=1e-9)
    assert energy == pytest.approx(whole_kw, abs=1e-6)
    assert 0 <= now <= 1


def test_a_fleet_is_its_vehicles() -> None:
    random = np.random.default_rng(3)
    soc, setpoints = random.random(50), random.uniform(-80, 80, 50)
    fleet_soc, fleet_kw = step_fleet(soc, setpoints, 900, **(PACK | {"capacity_kwh": np.full(50, 200.0)}))
    singles = [step(one, setpoint, 900, **PACK) for one, setpoint in zip(soc, setpoints, strict=True)]
    assert pytest.approx(np.array([fleet_soc, fleet_kw])) == np.array(singles).T
