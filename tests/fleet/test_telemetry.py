"""Telemetry: every reading once, the state forward only, whatever the order."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.models import TelemetryReading, VehicleState
from fleet.services.telemetry import STATE_FIELDS, Observation, observe
from tests.factories import NOW, make_depot, make_type, make_vehicle

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=1)


def said(vehicle, minutes=0.0, **values) -> Observation:
    return Observation(
        vehicle.pk, NOW + timedelta(minutes=minutes), values.pop("source", "telematics"), **values
    )


def state_of(vehicle) -> VehicleState:
    return VehicleState.objects.get(vehicle=vehicle)


def test_a_new_reading_is_kept_and_moves_the_state(depot):
    bus = make_vehicle(depot, soc=0.6)
    one = said(bus, 5, soc=0.55, odometer_km=1200.5, battery_temp_c=21.0, soh=0.97, plugged_in=False)
    assert observe([one], NOW + timedelta(minutes=6)) == ["accepted"]
    state = state_of(bus)
    assert (state.soc, state.odometer_km, state.battery_temp_c, state.soh) == (0.55, 1200.5, 21.0, 0.97)
    assert (state.plugged_in, state.soc_source, state.soc_observed_at) == (
        False,
        "telematics",
        one.observed_at,
    )
    reading = TelemetryReading.objects.get()
    assert (reading.soc, reading.received_at) == (0.55, NOW + timedelta(minutes=6))


def test_the_same_reading_again_is_a_duplicate_and_the_first_one_stays(depot):
    bus = make_vehicle(depot)
    one = said(bus, 5, soc=0.55, source_event_id="e1")
    assert observe([one, one], NOW) == ["accepted", "duplicate"]
    assert observe([replace(one, soc=0.9)], NOW) == ["duplicate"]
    assert TelemetryReading.objects.get().soc == 0.55
    assert state_of(bus).soc == 0.55


def test_a_late_reading_is_kept_but_moves_nothing_back(depot):
    bus = make_vehicle(depot, soc=0.6)
    assert observe([said(bus, -30, soc=0.9)], NOW) == ["late"]
    assert state_of(bus).soc == 0.6
    assert TelemetryReading.objects.count() == 1


def test_a_late_value_fills_what_nothing_newer_has_said(depot):
    bus = make_vehicle(depot, soc=None)
    observe([said(bus, 10, soc=0.5)], LATER)
    assert observe([said(bus, 5, odometer_km=900.0, soc=0.7)], LATER) == ["late"]
    assert (state_of(bus).odometer_km, state_of(bus).soc) == (900.0, 0.5)
    assert state_of(bus).observed_at == NOW + timedelta(minutes=10)


def test_a_state_begins_with_the_first_known_soc_and_with_all_said_before(depot):
    bus = make_vehicle(depot, soc=None)
    observe([said(bus, 0, odometer_km=900.0, plugged_in=True)], NOW)
    assert not VehicleState.objects.exists()
    observe([said(bus, 1, soc=0.4, source="charger")], NOW)
    state = state_of(bus)
    assert (state.soc, state.soc_source, state.odometer_km, state.plugged_in) == (0.4, "charger", 900.0, True)


def test_of_two_words_at_one_moment_the_charger_counts(depot):
    bus = make_vehicle(depot)
    observe([said(bus, 1, soc=0.5, source="charger"), said(bus, 1, soc=0.4)], NOW)
    assert (state_of(bus).soc, state_of(bus).soc_source) == (0.5, "charger")


def test_an_unplugged_vehicle_has_no_charging_power(depot):
    bus = make_vehicle(depot)
    observe([said(bus, 1, plugged_in=True, charging_power_kw=-40.0)], NOW)
    assert state_of(bus).charging_power_kw == -40.0
    observe([said(bus, 2, plugged_in=False)], NOW)
    assert state_of(bus).charging_power_kw == 0.0


def test_a_suspect_reading_is_kept_and_changes_no_state(depot):
    bus = make_vehicle(depot, soc=0.6)
    assert observe([said(bus, 1, soc=0.05, quality="suspect")], NOW) == ["accepted"]
    assert state_of(bus).soc == 0.6
    assert TelemetryReading.objects.get().quality == "suspect"


def test_no_word_from_the_future_holds_a_state_up(depot):
    bus = make_vehicle(depot, soc=0.6)
    observe([said(bus, 300, soc=0.9, odometer_km=7.0)], NOW)
    assert TelemetryReading.objects.get().quality == "suspect"
    assert observe([said(bus, 1, soc=0.55)], NOW + timedelta(minutes=1)) == ["accepted"]
    assert (state_of(bus).soc, state_of(bus).odometer_km) == (0.55, None)


def test_a_state_that_was_left_in_the_future_is_found_again(depot):
    """Our clock was five hours ahead for a while: what is known from before it, and after it, counts."""
    bus = make_vehicle(depot, soc=0.6)
    observe([said(bus, 2, soc=0.58, battery_temp_c=20.0)], NOW + timedelta(minutes=2))
    observe([said(bus, 300, soc=0.9, odometer_km=7.0)], NOW + timedelta(minutes=300))
    assert observe([said(bus, 10, plugged_in=True)], NOW + timedelta(minutes=10)) == ["accepted"]
    state = state_of(bus)
    assert (state.soc, state.battery_temp_c, state.odometer_km) == (0.58, 20.0, 7.0)
    assert (state.observed_at, state.soc_observed_at) == (
        NOW + timedelta(minutes=10),
        NOW + timedelta(minutes=2),
    )
    assert observe([said(bus, 11, soc=0.57)], NOW + timedelta(minutes=11)) == ["accepted"]
    assert state_of(bus).soc == 0.57


def test_nothing_said_is_nothing_done(depot):
    with CaptureQueriesContext(connection) as queries:
        assert observe([], NOW) == []
    assert len(queries) == 0


def test_the_number_of_queries_does_not_grow_with_the_readings(depot):
    kind = make_type(depot)
    buses = [make_vehicle(depot, f"Bus {i}", type=kind) for i in range(6)]

    def queries(start, count):
        batch = [said(bus, start + i, soc=0.5) for i in range(count) for bus in buses]
        with CaptureQueriesContext(connection) as captured:
            assert set(observe(batch, LATER)) == {"accepted"}
        return len(captured)

    assert queries(1, 1) == queries(100, 8)


NUMBERS = itertools.count(1)
OBSERVED = st.tuples(
    st.integers(0, 1),
    st.integers(-3, 6),
    st.sampled_from(["charger", "telematics"]),
    st.sampled_from(["", "a"]),
)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "soc": st.sampled_from([0.2, 0.5, 0.8]),
        "plugged_in": st.booleans(),
        "charging_power_kw": st.sampled_from([-20.0, 30.0]),
        "odometer_km": st.sampled_from([100.0, 101.0]),
        "quality": st.sampled_from(["good", "suspect"]),
    },
)


SEQUENCES = int(os.environ.get("DEPOT_TEST_SEQUENCES", "60"))
"""How many streams are tried: a few in every run, 10,000 with `make sequences`."""


@pytest.mark.timeout(0)
@settings(max_examples=SEQUENCES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=st.dictionaries(OBSERVED, SAID, max_size=10), data=st.data())
def test_any_order_splitting_and_repetition_ends_in_the_same_state(db, stream, data):
    depot = make_depot(slug=f"depot-{next(NUMBERS)}")
    kind = make_type(depot)

    def end_state(batches, name):
        buses = [
            make_vehicle(depot, f"{name} known", 0.6, type=kind),
            make_vehicle(depot, f"{name} new", None, type=kind),
        ]
        for batch in batches:
            observe(
                [
                    said(buses[who], at, source=source, source_event_id=event, **values)
                    for (who, at, source, event), values in batch
                ],
                LATER,
            )
        states = [VehicleState.objects.filter(vehicle=bus).first() for bus in buses]
        names = ("observed_at", "soc_source", "soc_observed_at", "marks", *STATE_FIELDS)
        return [state and [getattr(state, name) for name in names] for state in states]

    items = list(stream.items())
    shuffled = data.draw(st.permutations(items + items[:3]))
    cut = data.draw(st.integers(0, len(shuffled)))
    assert end_state([items], "A") == end_state([shuffled[:cut], shuffled[cut:]], "B")
