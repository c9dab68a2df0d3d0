"""Make small real rows for tests: plain functions, no magic."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from typing import Any

from charging.models import Charger, Connector
from depot.models import (
    Depot,
    ElectricalNode,
    InterconnectionAgreement,
    Membership,
    Meter,
    SolarArray,
    User,
)
from fleet.models import Block, Vehicle, VehicleState, VehicleType

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def make_depot(name: str = "Maple Street", **values: Any) -> Depot:
    """Make a depot with a 400 kW grid connection, an approved agreement and its meters."""
    slug = values.pop("slug", name.lower().replace(" ", "-"))
    values = {
        "time_zone": "America/New_York",
        "currency": "USD",
        "latitude": 36.1,
        "longitude": -79.95,
    } | values
    depot = Depot.objects.create(name=name, slug=slug, **values)
    grid = ElectricalNode.objects.create(
        depot=depot, kind="grid", name="Grid", import_limit_kw=400, export_limit_kw=200
    )
    InterconnectionAgreement.objects.create(
        depot=depot,
        state="approved",
        export_limit_kw=200,
        bidirectional_meter=True,
        approved_on=date(2026, 1, 5),
    )
    for kind in Meter.Kind:
        Meter.objects.create(depot=depot, node=grid, kind=kind, name=f"{kind.label} meter")
    return depot


def grid_of(depot: Depot) -> ElectricalNode:
    return depot.nodes.get(kind="grid")


def make_array(depot: Depot, **values: Any) -> SolarArray:
    values = {
        "name": "Roof",
        "peak_kw": 100,
        "inverter_kw": 90,
        "tilt_degrees": 10,
        "azimuth_degrees": 180,
    } | values
    return SolarArray.objects.create(depot=depot, node=grid_of(depot), **values)


def make_person(depot: Depot | None, role: str = "viewer", name: str | None = None) -> User:
    """Make a person with a role in `depot` (None = a stranger to every depot)."""
    user = User.objects.create_user(username=name or f"{role}{next(_numbers)}", password=None)
    if depot is not None:
        Membership.objects.create(user=user, depot=depot, role=role)
    return user


def make_type(depot: Depot, **values: Any) -> VehicleType:
    values = {
        "name": f"Type {next(_numbers)}",
        "kind": "bus",
        "usable_kwh": 200,
        "chemistry": "lfp",
        "max_charge_ac_kw": 19.2,
        "max_charge_dc_kw": 60,
        "max_discharge_dc_kw": 60,
        "inverter": "off_board",
        "iso15118_20": True,
        "consumption_kwh_per_km": 0.9,
    } | values
    return VehicleType.objects.create(depot=depot, **values)


def make_vehicle(depot: Depot, name: str = "Bus 01", soc: float | None = 0.6, **values: Any) -> Vehicle:
    """Make a vehicle of its own or the given type, with a state at `NOW` unless `soc` is None."""
    kind = values.pop("type", None) or make_type(depot)
    vehicle = Vehicle.objects.create(
        depot=depot, type=kind, name=name, **({"in_service_on": date(2025, 8, 1)} | values)
    )
    if soc is not None:
        VehicleState.objects.create(
            vehicle=vehicle,
            observed_at=NOW,
            soc=soc,
            soc_source="charger",
            soc_observed_at=NOW,
            plugged_in=True,
        )
    return vehicle


def make_charger(depot: Depot, vehicle: Vehicle | None = None, **values: Any) -> Charger:
    """Make a bidirectional 60 kW DC charger of OCPP 2.1 with one connector, at which `vehicle` parks."""
    number = next(_numbers)
    values = {
        "name": f"C-{number:02}",
        "identity": f"{depot.slug}-C{number:02}",
        "current": "dc",
        "max_charge_kw": 60,
        "max_discharge_kw": 60,
        "iso15118_20": True,
        "protocol": "ocpp2.1",
        "fallback_kw": 6,
    } | values
    if values.get("connected"):
        values.setdefault("last_seen_at", values.get("booted_at", NOW))
    charger = Charger.objects.create(depot=depot, node=values.pop("node", None) or grid_of(depot), **values)
    Connector.objects.create(charger=charger, bay=f"B-{number:02}", vehicle=vehicle)
    return charger


def make_block(depot: Depot, vehicle: Vehicle | None, block_id: str = "101", **values: Any) -> Block:
    """Make a block that runs on weekdays from 06:30 to 08:45."""
    values = {
        "key": f"{block_id}|{next(_numbers)}",
        "weekdays": 0b0011111,
        "depart_minute": 390,
        "return_minute": 525,
        "distance_km": 40,
    } | values
    return Block.objects.create(depot=depot, vehicle=vehicle, block_id=block_id, **values)
