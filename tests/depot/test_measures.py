"""Distances, temperatures and consumption are written in the units of a depot."""

from depot.measures import METRIC, US, consumption, distance, temperature
from depot.templatetags.depot_pages import distance as distance_shown
from depot.templatetags.depot_pages import temperature as temperature_shown
from depot.words import speaking
from tests.factories import make_depot


def test_metric_units() -> None:
    assert (distance(1234.4, METRIC), temperature(21.26, METRIC, 1)) == ("1,234 km", "21.3 °C")
    assert consumption(0.932, METRIC) == "0.93 kWh/km"


def test_units_of_the_united_states() -> None:
    assert (distance(160.9344, US, 1), temperature(-40, US), temperature(21, US)) == (
        "100.0 mi",
        "-40 °F",
        "70 °F",
    )
    assert consumption(1.0, US) == "1.61 kWh/mi"


def test_german_writes_a_decimal_comma() -> None:
    with speaking("de"):
        assert (distance(1234.4, METRIC, 1), temperature(7.25, METRIC, 1)) == ("1.234,4 km", "7,2 °C")


def test_pages_follow_the_depot(db: None) -> None:
    german, american = make_depot("Ost"), make_depot("West", units=US)
    assert (distance_shown(100, german), distance_shown(100, american)) == ("100 km", "62 mi")
    assert (temperature_shown(30, american), temperature_shown(None, american)) == ("86 °F", "–")
