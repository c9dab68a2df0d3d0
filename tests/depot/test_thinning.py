"""Thinning readings leaves the energy of every step exactly as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.forecasting.registers import counted_energy, read_register, register_energy
from depot.forecasting.thinning import spare_registers, spare_said

STEP_S = 900.0


def without(values, spare):
    return np.delete(np.asarray(values, dtype=float), spare)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(3, 400),
    st.sampled_from([5.0, 60.0, 400.0]),
    st.sampled_from([0.0, 0.001, 1.0, 10.0]),
)
def test_the_energy_of_each_step_stays(seed: int, number: int, every_s: float, counts_by_kwh: float) -> None:
    rng = np.random.default_rng(seed)
    at = 1_000.0 + np.cumsum(rng.uniform(0.2, 1.8, number) * every_s)
    power_kw = rng.choice([0.0, 0.0, 20.0, 60.0], number)
    total = 500 + np.cumsum(power_kw * np.diff(at, prepend=at[0]) / 3600)
    if counts_by_kwh:
        total = np.floor(total / counts_by_kwh) * counts_by_kwh
    spare = spare_registers(at, (total, np.zeros(number)), 100.0, STEP_S)
    edges = np.arange(0.0, at[-1] + 2 * STEP_S, STEP_S)
    before, after = (
        read_register(at, total, 100.0),
        read_register(without(at, spare), without(total, spare), 100.0),
    )
    np.testing.assert_allclose(register_energy(after, edges), register_energy(before, edges), atol=1e-9)
    np.testing.assert_allclose(
        counted_energy(after, without(power_kw, spare), edges, 100.0).energy_kwh,
        counted_energy(before, power_kw, edges, 100.0).energy_kwh,
        atol=1e-9,
    )


def test_a_quarter_of_an_hour_keeps_a_few_of_its_readings() -> None:
    at = np.arange(0.0, 3600.0, 5.0)
    spare = spare_registers(at, (at / 3600, at * 0), 100.0, STEP_S)
    assert without(at, spare).tolist() == [0, 895, 900, 1795, 1800, 2695, 2700, 3595]


def test_the_reading_at_which_a_register_stood_still_stays() -> None:
    at = np.arange(0.0, 900.0, 60.0)
    total = np.where(at >= 300, 10.0, 0.0)
    spare = spare_registers(at, (total, at * 0), 100.0, STEP_S)
    assert without(at, spare).tolist() == [0, 300, 840]


@pytest.mark.parametrize("jump", [-50.0, -0.04, 5_000.0, float("nan")])
def test_a_register_in_doubt_keeps_all_its_readings(jump: float) -> None:
    at = np.arange(0.0, 3600.0, 5.0)
    total = 100 + at / 3600
    total[400] += jump
    assert spare_registers(at, (total, at * 0), 100.0, STEP_S).size == 0
    assert spare_registers(at, (at * 0, total), 100.0, STEP_S).size == 0


def test_few_readings_are_left_alone() -> None:
    assert spare_registers(np.zeros(0), (), 100.0, STEP_S).size == 0
    assert spare_registers(np.array([1.0, 2.0]), (np.zeros(2),), 100.0, STEP_S).size == 0


def test_the_first_and_last_word_on_each_matter_stay() -> None:
    seconds = np.array([0.0, 10, 20, 30, 40, 50, 900, 910])
    kinds = ["soc", "soc", "odometer", "soc", "odometer", "soc", "soc", "odometer"]
    assert spare_said(seconds, kinds, STEP_S).tolist() == [1, 3]
