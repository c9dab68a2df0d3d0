"""Conversions, checked against values from the definitions of the units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot import units

QUANTITIES = st.floats(-1e6, 1e6)


def test_the_definitions() -> None:
    assert units.km_from_miles(26.21875) == pytest.approx(42.195, abs=1e-3)
    assert units.kwh_per_km_from_kwh_per_mile(1.4) == pytest.approx(0.86992, abs=1e-5)
    assert units.celsius_from_fahrenheit(212) == 100
    assert units.celsius_from_fahrenheit(-40) == -40
    assert units.kw_from_w(19_200) == 19.2
    assert units.energy_kwh(60, 0.25) == 15
    assert units.power_kw(15, 0.25) == 60
    assert units.hours(15) == 0.25


@given(QUANTITIES)
def test_there_and_back_is_the_same(value: float) -> None:
    assert units.miles_from_km(units.km_from_miles(value)) == pytest.approx(value)
    assert units.fahrenheit_from_celsius(units.celsius_from_fahrenheit(value)) == pytest.approx(
        value, abs=1e-6
    )
    assert units.w_from_kw(units.kw_from_w(value)) == pytest.approx(value)


def test_power_over_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="positive time"):
        units.power_kw(1, 0)
