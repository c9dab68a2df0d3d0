"""The energy of a block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.demand.energy import DEFAULT_CURVE, Consumption, TemperatureCurve, energy_needed

BUS = Consumption(kwh_per_km=0.9, auxiliary_kw=2.0)


def test_the_parts_of_a_mild_day() -> None:
    need = energy_needed(60, BUS, 20, hours=3, preconditioning_kwh=4)
    assert need.driving_kwh == pytest.approx(54)
    assert need.weather_kwh == 0
    assert need.auxiliary_kwh == 6
    assert need.total_kwh == pytest.approx(64)
    assert not need.given


def test_cold_and_heat_cost_more() -> None:
    assert energy_needed(60, BUS, -3).total_kwh == pytest.approx(54 * 1.61)
    assert energy_needed(60, BUS, 30).total_kwh == pytest.approx(54 * 1.125)
    assert DEFAULT_CURVE.factor(-40) == 1.83
    assert DEFAULT_CURVE.factor(50) == 1.25


@given(st.floats(-40, 13), st.floats(0, 20))
def test_colder_is_never_cheaper(temperature_c: float, colder: float) -> None:
    assert DEFAULT_CURVE.factor(temperature_c - colder) >= DEFAULT_CURVE.factor(temperature_c)


@given(st.floats(20, 45), st.floats(0, 20))
def test_hotter_is_never_cheaper(temperature_c: float, hotter: float) -> None:
    assert DEFAULT_CURVE.factor(temperature_c + hotter) >= DEFAULT_CURVE.factor(temperature_c)


def test_an_energy_given_by_the_schedule_stands() -> None:
    need = energy_needed(60, BUS, -20, hours=3, preconditioning_kwh=4, given_kwh=70.5)
    assert need.total_kwh == 70.5
    assert need.given
    assert energy_needed(60, BUS, given_kwh=0).total_kwh == 0


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        energy_needed(-1, BUS)
    with pytest.raises(ValueError, match="must not be negative"):
        energy_needed(1, BUS, given_kwh=-1)
    with pytest.raises(ValueError, match="must not be negative"):
        Consumption(kwh_per_km=-0.1)


@pytest.mark.parametrize(
    ("points", "words"), [([], "one point"), ([(1, 1), (1, 2)], "rise"), ([(1, 0)], "positive")]
)
def test_impossible_curves_are_refused(points: list[tuple[float, float]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TemperatureCurve(points)
