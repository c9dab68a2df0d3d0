"""The rows of the demonstration depot: made by us from published facts.

Vehicles are of the classes on the market: a Type C school bus with 200 kWh usable (NMC), one with 155 kWh (LFP), a
delivery van with 79 kWh. Bell times: elementary 7:50-14:20, secondary 8:50-15:50, as many districts stagger them.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from billing.models import Tariff
from charging.models import Charger, Connector
from depot.measures import US
from depot.models import (
    Depot,
    ElectricalNode,
    InterconnectionAgreement,
    Membership,
    Meter,
    SolarArray,
    User,
)
from depot.project.demo import truth
from depot.project.secret import secret_from
from fleet.models import Block, ServiceCalendar, Vehicle, VehicleType

SLUG = "greensboro"
BUSES, VANS = 24, 12
TARIFF_FILE = Path(__file__).with_name("tariff.json")


@dataclass(frozen=True, slots=True)
class Place:
    """The depot and the parts of it that others hang on."""

    depot: Depot
    feeders: list[ElectricalNode]
    types: dict[str, VehicleType]


def make_site(history_from: date) -> Depot:
    """Make the demonstration depot with all that a technician would enter; schedule and log-in included."""
    place = _place()
    Tariff.objects.create(
        depot=place.depot,
        name="EV-HP",
        utility="San Diego Gas & Electric",
        valid_from=history_from,
        definition=json.loads(TARIFF_FILE.read_text()),
        source="https://www.sdge.com/rates-and-regulations/current-and-effective-tariffs",
    )
    vehicles = _vehicles(place)
    _chargers(place, vehicles)
    _schedule(place.depot, vehicles)
    return place.depot


def _place() -> Place:
    depot = Depot.objects.create(
        name="Greensboro School Transport",
        slug=SLUG,
        time_zone="America/New_York",
        currency="USD",
        units=US,
        latitude=36.1,
        longitude=-79.95,
        elevation_m=273.0,
        demo=True,
    )
    grid = ElectricalNode.objects.create(
        depot=depot, kind="grid", name="Grid connection", import_limit_kw=1100, export_limit_kw=500
    )
    transformer = ElectricalNode.objects.create(
        depot=depot,
        parent=grid,
        kind="transformer",
        name="Vehicle transformer",
        import_limit_kw=900,
        export_limit_kw=500,
    )
    feeders = [
        ElectricalNode.objects.create(
            depot=depot,
            parent=transformer,
            kind="feeder",
            name=f"Feeder {letter}",
            import_limit_kw=360,
            export_limit_kw=250,
        )
        for letter in "ABC"
    ]
    InterconnectionAgreement.objects.create(
        depot=depot,
        state="approved",
        export_limit_kw=truth.EXPORT_LIMIT_KW,
        bidirectional_meter=True,
        reference="demonstration",
        approved_on=date(2025, 7, 1),
    )
    for name, peak_kw, inverter_kw, tilt, azimuth in (
        ("Bus canopy", 420, 360, 7, 180),
        ("Workshop roof", 280, 250, 15, 195),
    ):
        SolarArray.objects.create(
            depot=depot,
            node=grid,
            name=name,
            peak_kw=peak_kw,
            inverter_kw=inverter_kw,
            tilt_degrees=tilt,
            azimuth_degrees=azimuth,
            loss_fraction=0.12,
        )
    for kind, name in (("grid", "Utility meter"), ("solar", "Solar meter"), ("building", "Building meter")):
        Meter.objects.create(depot=depot, node=grid, kind=kind, name=name)
    return Place(depot, feeders, _types(depot))


def _types(depot: Depot) -> dict[str, VehicleType]:
    common = {"depot": depot, "min_soc": 0.10, "max_soc": 1.0, "reserve_soc": 0.10}
    return {
        "nmc": VehicleType.objects.create(
            name="Type C school bus, 200 kWh",
            kind="bus",
            usable_kwh=200,
            chemistry="nmc622",
            max_charge_ac_kw=19.2,
            max_charge_dc_kw=60,
            max_discharge_dc_kw=60,
            inverter="off_board",
            iso15118_2=True,
            iso15118_20=True,
            consumption_kwh_per_km=0.87,
            auxiliary_kw=2.0,
            warranty_throughput_kwh=400_000,
            **common,
        ),
        "lfp": VehicleType.objects.create(
            name="Type C school bus, 155 kWh",
            kind="bus",
            usable_kwh=155,
            chemistry="lfp",
            max_charge_ac_kw=19.2,
            max_charge_dc_kw=60,
            max_discharge_dc_kw=60,
            inverter="off_board",
            iso15118_2=True,
            iso15118_20=True,
            consumption_kwh_per_km=0.84,
            auxiliary_kw=2.0,
            warranty_throughput_kwh=600_000,
            **common,
        ),
        "van": VehicleType.objects.create(
            name="Delivery van, 79 kWh",
            kind="van",
            usable_kwh=79,
            chemistry="nmc622",
            max_charge_ac_kw=11,
            max_charge_dc_kw=115,
            consumption_kwh_per_km=0.31,
            auxiliary_kw=0.5,
            iso15118_2=True,
            warranty_throughput_kwh=150_000,
            **common,
        ),
    }


def _vehicles(place: Place) -> list[Vehicle]:
    rows = [
        Vehicle(
            depot=place.depot,
            type=place.types["nmc" if number <= 16 else "lfp"],
            name=f"Bus {number:02}",
            external_id=f"bus-{number:02}",
            v2g_min_soc=0.25,
            v2g_enabled=number != 24,
            in_service_on=date(2024 if number <= 12 else 2025, 8, 12),
        )
        for number in range(1, BUSES + 1)
    ] + [
        Vehicle(
            depot=place.depot,
            type=place.types["van"],
            name=f"Van {number:02}",
            external_id=f"van-{number:02}",
            v2g_enabled=False,
            in_service_on=date(2025, 3, 3),
        )
        for number in range(1, VANS + 1)
    ]
    return Vehicle.objects.bulk_create(rows)


def _chargers(place: Place, vehicles: list[Vehicle]) -> None:
    """Give each bus a charger (20 bidirectional DC, 4 one-way DC) and each van an AC one."""
    for number, vehicle in enumerate(vehicles, start=1):
        van = number > BUSES
        two_way = number <= 20
        charger = Charger.objects.create(
            depot=place.depot,
            node=place.feeders[(number - 1) // 12],
            name=f"C-{number:02}",
            identity=f"GSO-C{number:02}",
            current="ac" if van else "dc",
            max_charge_kw=11 if van else 30,
            max_discharge_kw=30 if two_way else 0,
            charge_efficiency=0.93 if van else 0.95,
            discharge_efficiency=0.93 if van else 0.95,
            iso15118_20=two_way,
            protocol="ocpp2.1",  # as the simulated chargers will log in; the first plan comes before them
            fallback_kw=4 if van else 8,
        )
        Connector.objects.create(charger=charger, bay=f"B-{number:02}", vehicle=vehicle)


def _schedule(depot: Depot, vehicles: list[Vehicle]) -> None:
    calendar = ServiceCalendar.objects.create(depot=depot, name="School year", country="US")
    random = np.random.default_rng(7)
    blocks = []
    for number, vehicle in enumerate(vehicles, start=1):
        if number <= BUSES:
            early = number % 2 == 1
            out, back = (365, 500) if early else (400, 545)
            out2, back2 = (830, 965) if early else (875, 1015)
            km = float(random.integers(46, 72))
            blocks += [
                _block(depot, calendar, vehicle, f"{100 + number} AM", out + number, back + number, km),
                _block(depot, calendar, vehicle, f"{100 + number} PM", out2 + number, back2 + number, km - 2),
            ]
        else:
            out = 425 + 5 * (number - BUSES)
            km = float(random.integers(85, 125))
            blocks.append(_block(depot, None, vehicle, f"{300 + number} day", out, out + 490, km))
    Block.objects.bulk_create(blocks)


def _block(
    depot: Depot,
    calendar: ServiceCalendar | None,
    vehicle: Vehicle,
    block_id: str,
    depart_minute: int,
    return_minute: int,
    distance_km: float,
) -> Block:
    return Block(
        depot=depot,
        key=f"{block_id}|Mon-Fri",
        block_id=block_id,
        calendar=calendar,
        weekdays=0b0011111,
        depart_minute=depart_minute,
        return_minute=return_minute,
        distance_km=distance_km,
        vehicle=vehicle,
    )


def demo_log_in(var: Path) -> tuple[str, str]:
    """Return the demonstration's user name and password; the random password is kept in a private file."""
    return "demo", secret_from(var / "demo_password")[:14]


def make_log_in(depot: Depot, var: Path) -> User:
    """Make the demonstration's user, owner of its depot."""
    name, password = demo_log_in(var)
    user, _ = User.objects.get_or_create(username=name, defaults={"first_name": "Demo", "is_staff": True})
    if not user.check_password(password):
        user.set_password(password)
        user.save()
    Membership.objects.get_or_create(user=user, depot=depot, defaults={"role": "owner"})
    return user


def charger_passwords(depot: Depot, var: Path) -> dict[str, Any]:
    """Give every charger a random password and keep the readable ones for the simulated chargers, privately."""
    path = var / "charger_passwords.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    for charger in depot.chargers.all():
        if charger.identity not in known or not charger.password_hash:
            known[charger.identity] = secret_word()
            charger.set_password(known[charger.identity])
            charger.save(update_fields=["password_hash"])
    path.touch(mode=0o600)
    path.write_text(json.dumps(known))
    return known


def secret_word() -> str:
    return secrets.token_urlsafe(18)
