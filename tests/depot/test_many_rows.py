"""Many rows at once: the same rows on every database, conflicts left out or overwritten."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Interval
from depot.many_rows import insert_new, insert_or_update, update_rows
from depot.timegrid import TimeGrid
from fleet.models import TelemetryReading, VehicleState
from fleet.services.telemetry import KEY_FIELDS
from tests.billing.money import fill
from tests.factories import NOW, make_vehicle


def reading(vehicle_id: int, **values: Any) -> dict[str, Any]:
    return {
        "vehicle_id": vehicle_id, "observed_at": NOW, "received_at": NOW, "source": "charger",
        "source_event_id": "ü\"'\\ %s", "soc": 0.1 + 0.2, "plugged_in": None, "quality": "good",
    } | values  # fmt: skip


def test_values_come_back_as_they_were_and_a_double_is_left_out(depot) -> None:
    bus = make_vehicle(depot)
    key = (bus.pk, NOW, "charger", "ü\"'\\ %s")
    assert insert_new(TelemetryReading, [reading(bus.pk), reading(bus.pk, soc=0.9)], KEY_FIELDS) == {key}
    assert insert_new(TelemetryReading, [reading(bus.pk, soc=0.8)], KEY_FIELDS) == set()
    row = TelemetryReading.objects.get()
    assert (row.soc, row.plugged_in, row.observed_at) == (0.1 + 0.2, None, NOW)
    assert (row.source_event_id, row.vehicle) == ("ü\"'\\ %s", bus)


def test_what_is_there_is_overwritten_in_the_named_fields_only(depot) -> None:
    bus = make_vehicle(depot, soc=0.5)
    state = VehicleState.objects.get(vehicle=bus)
    row = {
        "vehicle_id": bus.pk, "observed_at": NOW, "soc_observed_at": NOW, "soc_source": "charger", "soc": 0.75,
        "plugged_in": True, "charging_power_kw": 1.5, "soh": 0.9, "marks": {"soc": "x"},
    }  # fmt: skip
    insert_or_update(VehicleState, [row], "vehicle", ["soc", "marks"])
    found = VehicleState.objects.get(pk=state.pk)
    assert (found.soc, found.marks, found.soh) == (0.75, {"soc": "x"}, state.soh)


def test_a_number_that_is_none_stops_nothing(depot) -> None:
    bus = make_vehicle(depot)
    insert_new(TelemetryReading, [reading(bus.pk, odometer_km=math.nan)], KEY_FIELDS)
    kept = TelemetryReading.objects.get().odometer_km
    assert kept is None or math.isnan(kept)


def test_nothing_is_nothing_and_unknown_fields_are_named(depot) -> None:
    assert insert_new(TelemetryReading, [], KEY_FIELDS) == set()
    assert not TelemetryReading.objects.exists()
    with pytest.raises((TypeError, ValueError), match="colour"):
        insert_new(TelemetryReading, [reading(make_vehicle(depot).pk, colour="red")], KEY_FIELDS)


def test_rows_that_are_there_are_written_in_the_named_fields_only(depot) -> None:
    buses = [make_vehicle(depot, name, soc=0.5) for name in ("Bus 1", "Bus 2")]
    states = [VehicleState.objects.get(vehicle=bus) for bus in buses]
    later = NOW + timedelta(microseconds=1)
    for state, soc, soh in zip(states, (0.1 + 0.2, 0.75), (0.8, 0.9), strict=True):
        state.soc, state.soh, state.soc_observed_at, state.odometer_km = soc, soh, later, 12.0
    update_rows(VehicleState, states, ("soc", "soh", "soc_observed_at", "battery_temp_c"))
    found = [VehicleState.objects.get(vehicle=bus) for bus in buses]
    assert [(one.soc, one.soh, one.soc_observed_at) for one in found] == [
        (0.1 + 0.2, 0.8, later),
        (0.75, 0.9, later),
    ]
    assert [one.odometer_km for one in found] == [None, None]


def test_no_rows_are_written_as_none_and_a_number_that_is_none_stops_nothing(depot) -> None:
    update_rows(VehicleState, [], ("soc",))
    state = VehicleState.objects.get(vehicle=make_vehicle(depot, soc=0.5))
    state.charging_power_kw = math.inf
    update_rows(VehicleState, [state], ("charging_power_kw",))
    assert VehicleState.objects.get(pk=state.pk).charging_power_kw == math.inf


def test_prices_keep_all_their_digits_and_what_is_not_known_is_none(depot) -> None:
    fill(depot, TimeGrid(NOW, 15, 2), 50.0)
    rows = list(Interval.objects.order_by("start_at"))
    for row, price in zip(rows, (Decimal("0.123456"), None), strict=True):
        row.import_price_per_kwh, row.baseline_frozen_at = price, None
    update_rows(Interval, rows, ("import_price_per_kwh", "baseline_frozen_at"))
    found = Interval.objects.order_by("start_at").values_list("import_price_per_kwh", "baseline_frozen_at")
    assert list(found) == [(Decimal("0.123456"), None), (None, None)]


def test_a_field_that_is_none_is_named(depot) -> None:
    state = VehicleState.objects.get(vehicle=make_vehicle(depot))
    with pytest.raises(ValueError, match="colour"):
        update_rows(VehicleState, [state], ("colour",))
