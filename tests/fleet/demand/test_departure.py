"""The state of charge at departure and its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.demand.departure import required_departure_soc

SOCS = st.floats(0, 0.4)


def test_block_minimum_and_reserve_add_up() -> None:
    required = required_departure_soc(90, 200, soh=0.9, min_soc=0.1, reserve_soc=0.05)
    assert required.soc == pytest.approx(0.65)
    assert required.reason == (
        "65 % because the block takes 90.0 kWh (50 % of 180 kWh) + minimum 10 % + reserve 5 %."
    )
    assert not required.exceeds_battery


def test_uncertainty_widens_the_reserve_and_the_basis_is_told() -> None:
    required = required_departure_soc(
        94,
        200,
        min_soc=0.1,
        reserve_soc=0.05,
        margin_kwh=14,
        basis=lambda: "84 km × 1.12 kWh/km (31 trips, at 4 °C)",
    )
    assert required.soc == pytest.approx(0.69)
    assert required.reason == (
        "69 % because 84 km × 1.12 kWh/km (31 trips, at 4 °C) = 94.0 kWh (47 % of 200 kWh) + minimum 10 % + "
        "reserve 12 %."
    )


def test_the_schedule_may_ask_for_more() -> None:
    required = required_departure_soc(40, 200, min_soc=0.1, min_soc_departure=0.8)
    assert required.soc == 0.8
    assert required.reason == "The schedule asks for at least 80 % at departure; the block itself needs 30 %."


def test_a_block_beyond_the_battery_is_flagged_with_what_is_missing() -> None:
    required = required_departure_soc(190, 200, min_soc=0.1)
    assert required.soc == 1.0
    assert required.exceeds_battery
    assert required.missing_kwh == pytest.approx(10)
    assert "10.0 kWh more than the full battery holds: shorten the block" in required.reason


def test_a_block_that_just_fits_is_no_alarm() -> None:
    required = required_departure_soc(170, 200, min_soc=0.1, reserve_soc=0.05)
    assert required.soc == pytest.approx(1.0)
    assert required.soc <= 1.0
    assert not required.exceeds_battery


@given(st.floats(0, 400), st.floats(0, 50), st.floats(0.5, 1), SOCS, SOCS, st.floats(0, 1))
def test_more_energy_or_less_health_never_lowers_the_need(
    energy: float, more: float, soh: float, min_soc: float, reserve: float, at_least: float
) -> None:
    socs = {"min_soc": min_soc, "reserve_soc": reserve, "min_soc_departure": at_least}
    base = required_departure_soc(energy, 250, soh=soh, **socs)
    assert required_departure_soc(energy + more, 250, soh=soh, **socs).soc >= base.soc
    assert required_departure_soc(energy, 250, soh=soh * 0.9, **socs).soc >= base.soc
    assert at_least - 1e-12 <= base.soc <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"energy_kwh": -1, "usable_kwh": 100}, "energy of a block"),
        ({"energy_kwh": 1, "usable_kwh": 0}, "usable energy"),
        ({"energy_kwh": 1, "usable_kwh": 100, "soh": 85}, "state of health"),
        ({"energy_kwh": 1, "usable_kwh": 100, "reserve_soc": 10}, "between 0 and 1"),
    ],
)
def test_impossible_values_are_refused(arguments: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        required_departure_soc(**arguments)
