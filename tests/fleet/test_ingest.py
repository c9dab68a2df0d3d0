"""Telemetry items: strict types, limits with units, doubt where something cannot be true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.intake import IntakeError
from fleet.ingest import Item, Known, Limits, doubt, read_item

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
BUS = Limits(capacity_kwh=200, max_charge_kw=60, max_discharge_kw=60)
VAN = Limits(capacity_kwh=80, max_charge_kw=11, max_discharge_kw=0)


def raw(**values):
    return {"vehicle": "BUS-7", "observed_at": "2026-03-10T14:59:00Z", "soc_percent": 50} | values


def item(**values) -> Item:
    return read_item(raw(**values), NOW)


def test_an_item_is_read_in_the_products_units():
    read = item(
        observed_at="2026-03-10T10:59:00-04:00",
        soc_percent=55.5,
        soh_percent=97,
        outside_temp_c=-4.5,
        odometer_km=1200,
        lat=36.1,
        lon=-79.9,
        plugged_in=True,
        charging_power_kw=-12.5,
        source_event_id="e-1",
    )
    assert read.observed_at == datetime(2026, 3, 10, 14, 59, tzinfo=UTC)
    assert (read.soc, read.soh, read.odometer_km) == (0.555, 0.97, 1200.0)
    assert read.outside_temp_c == -4.5
    assert (read.latitude, read.longitude, read.plugged_in) == (36.1, -79.9, True)
    assert (read.charging_power_kw, read.source_event_id, read.energy_used_kwh_total) == (-12.5, "e-1", None)


@pytest.mark.parametrize(("sent", "read"), [(12, 12), ("12", "12"), (" BUS-7 ", "BUS-7")])
def test_a_number_is_an_id_and_a_text_is_a_name(sent, read):
    assert item(vehicle=sent).vehicle == read


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"vehicle": None}, "vehicle_missing"),
        ({"vehicle": "  "}, "vehicle_missing"),
        ({"vehicle": True}, "not_a_text"),
        ({"vehicle": -1}, "out_of_range"),
        ({"vehicle": 2**70}, "out_of_range"),
        ({"vehicle": "x" * 81}, "too_long"),
        ({"soh_percent": 0}, "out_of_range"),
        ({"vehicle": "a\x00b"}, "unprintable"),
        ({"vehicle": "\ud800"}, "unprintable"),
        ({"observed_at": None}, "time_missing"),
        ({"observed_at": 1773154740}, "time_missing"),
        ({"observed_at": "yesterday"}, "time_unreadable"),
        ({"observed_at": "0001-01-01T00:00:00+23:00"}, "time_unreadable"),
        ({"observed_at": "2026-03-10T14:59:00"}, "time_without_offset"),
        ({"observed_at": "2026-03-10T15:05:01Z"}, "in_future"),
        ({"observed_at": "1970-01-01T00:00:00Z"}, "too_old"),
        ({"soc_percent": 100.1}, "out_of_range"),
        ({"soc_percent": -0.1}, "out_of_range"),
        ({"soc_percent": "50"}, "not_a_number"),
        ({"soc_percent": True}, "not_a_number"),
        ({"soc_percent": float("nan")}, "out_of_range"),
        ({"odometer_km": float("inf")}, "out_of_range"),
        ({"odometer_km": 10**400}, "out_of_range"),
        ({"battery_temp_c": 300}, "out_of_range"),
        ({"plugged_in": 1}, "not_a_boolean"),
        ({"lat": 36.1}, "half_a_position"),
        ({"soc_percent": None}, "nothing_said"),
        ({"speed_kmh": 50}, "unknown_field"),
        ({"source_event_id": 5}, "not_a_text"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_code_and_a_cure(values, code):
    with pytest.raises(IntakeError) as caught:
        item(**values)
    assert caught.value.code == code
    assert caught.value.message.endswith(".") and caught.value.message.isprintable()


@pytest.mark.parametrize("thing", [None, 5, "text", ["list"]])
def test_what_is_no_object_is_refused(thing):
    with pytest.raises(IntakeError) as caught:
        read_item(thing, NOW)
    assert caught.value.code == "not_an_object"


def test_five_minutes_ahead_is_still_taken():
    assert item(observed_at="2026-03-10T15:05:00Z").observed_at == NOW + timedelta(minutes=5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*raw(), "plugged_in", "lat", "lon", "odd"]), JSON) | JSON)
def test_whatever_is_sent_it_is_read_or_refused(thing):
    try:
        read = read_item(thing, NOW)
    except IntakeError as refusal:
        assert refusal.code and refusal.message
    else:
        assert read.soc is None or 0 <= read.soc <= 1


@pytest.mark.parametrize(
    ("values", "limits", "words"),
    [
        ({"charging_power_kw": 60}, BUS, ""),
        ({"charging_power_kw": 78}, BUS, "above the vehicle's 60 kW"),
        ({"charging_power_kw": -78}, BUS, "discharges above the vehicle's 60 kW"),
        ({"charging_power_kw": -5}, VAN, "discharges above the vehicle's 0 kW"),
        ({"charging_power_kw": -1.5}, VAN, ""),
        ({"charging_power_kw": 10, "plugged_in": False}, BUS, "although plugged_in is false"),
        ({"charging_power_kw": 0.3, "plugged_in": False}, BUS, ""),
    ],
)
def test_power_that_the_vehicle_cannot_have_is_doubted(values, limits, words):
    answer = doubt(item(soc_percent=None, **values), limits, None)
    assert words in answer and bool(words) == bool(answer)


@pytest.mark.parametrize(
    ("soc", "minutes", "words"),
    [
        (0.50, 10, ""),
        (0.60, 10, ""),
        (0.65, 10, "rose faster"),
        (0.80, 60, ""),
        (0.10, 1, "fell faster"),
        (0.10, 15, ""),
        (0.95, -5, ""),
    ],
)
def test_an_soc_that_jumps_is_doubted_until_time_makes_it_possible(soc, minutes, words):
    known = Known(0.5, NOW)
    said = Item("b", NOW + timedelta(minutes=minutes), "", soc, *[None] * 9)
    answer = doubt(said, BUS, known)
    assert words in answer and bool(words) == bool(answer)


def test_without_an_soc_known_before_there_is_nothing_to_doubt():
    assert doubt(item(soc_percent=1), BUS, None) == ""
