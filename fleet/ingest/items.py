"""Read one telemetry item: the fields, units and limits of the API's contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from depot.intake import IntakeError, Limits, flag, moment, number, record, text

NUMBERS = {
    "soc_percent": Limits(0, 100, "percent"),
    "odometer_km": Limits(0, 5_000_000, "km"),
    "energy_used_kwh_total": Limits(0, 10_000_000, "kWh"),
    "battery_temp_c": Limits(-60, 120, "°C"),
    "outside_temp_c": Limits(-60, 60, "°C"),
    "soh_percent": Limits(10, 100, "percent"),
    "lat": Limits(-90, 90, "degrees"),
    "lon": Limits(-180, 180, "degrees"),
    "charging_power_kw": Limits(-2_000, 2_000, "kW"),
}
FIELDS = ("vehicle", "observed_at", *NUMBERS, "plugged_in", "source_event_id")
LONGEST_ID = 80


@dataclass(frozen=True, slots=True)
class Item:
    """One telemetry item in the product's own units: `soc` and `soh` are fractions 0..1.

    `vehicle` is what the sender called it; a number means the vehicle's id.
    """

    vehicle: str | int
    observed_at: datetime
    source_event_id: str
    soc: float | None
    odometer_km: float | None
    energy_used_kwh_total: float | None
    battery_temp_c: float | None
    outside_temp_c: float | None
    soh: float | None
    latitude: float | None
    longitude: float | None
    plugged_in: bool | None
    charging_power_kw: float | None


def read_item(raw: object, now: datetime) -> Item:
    """Return the item that `raw` (a parsed JSON value) says. Raise `IntakeError` when it cannot be used."""
    item = record(raw, FIELDS)
    numbers = {name: number(item, name, limits) for name, limits in NUMBERS.items()}
    plugged_in = flag(item, "plugged_in")
    if plugged_in is None and all(value is None for value in numbers.values()):
        raise IntakeError("nothing_said", "This item holds no value. Send at least one, like soc_percent.")
    if (numbers["lat"] is None) != (numbers["lon"] is None):
        raise IntakeError("half_a_position", "Send lat and lon together.")
    return Item(
        vehicle=_vehicle(item.get("vehicle")),
        observed_at=moment(item, "observed_at", now),
        source_event_id=text(item, "source_event_id", LONGEST_ID),
        soc=_fraction(numbers["soc_percent"]),
        odometer_km=numbers["odometer_km"],
        energy_used_kwh_total=numbers["energy_used_kwh_total"],
        battery_temp_c=numbers["battery_temp_c"],
        outside_temp_c=numbers["outside_temp_c"],
        soh=_fraction(numbers["soh_percent"]),
        latitude=numbers["lat"],
        longitude=numbers["lon"],
        plugged_in=plugged_in,
        charging_power_kw=numbers["charging_power_kw"],
    )


def _vehicle(raw: Any) -> str | int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        if 0 < raw < 2**63:
            return raw
        raise IntakeError("out_of_range", "vehicle is not an id of this depot.")
    name = text({"vehicle": raw}, "vehicle", LONGEST_ID).strip()
    if not name:
        raise IntakeError("vehicle_missing", "vehicle is missing. Send its id, VIN or external id.")
    return name


def _fraction(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
