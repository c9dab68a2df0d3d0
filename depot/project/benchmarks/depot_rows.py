"""Rows of random depots for measuring: feeders, mixed vehicles, schedules, a real tariff, forecasts."""

from __future__ import annotations

import json
import math
import random
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from billing.models import Tariff
from charging.models import Charger, Connector
from depot.models import Depot, ElectricalNode, Forecast, InterconnectionAgreement
from depot.timegrid import floor_to_step
from fleet.models import Block, Vehicle, VehicleState, VehicleType

TARIFF = Path(__file__).resolve().parents[1] / "demo" / "tariff.json"
EVERY_DAY = 0b1111111
STEP = timedelta(minutes=15)
FORECAST_STEPS = 96 * 4
# Usable kWh, what a day's two blocks take together at most (kWh), charger kW, and whether it can discharge.
KINDS: tuple[tuple[str, float, float, float, bool], ...] = (
    ("van", 79.0, 40.0, 22.0, False),
    ("bus", 155.0, 90.0, 60.0, True),
    ("bus", 200.0, 110.0, 60.0, True),
)


def make_depot(number: int, vehicles: int, now: datetime, seed: int) -> Depot:
    """Store one depot that is ready to be planned at `now`; the same seed gives the same depot."""
    rng = random.Random(seed * 100_000 + number)  # noqa: S311 - a benchmark, no secret
    depot = Depot.objects.create(
        name=f"Depot {number:04}",
        slug=f"depot-{number:04}",
        time_zone="America/New_York",
        currency="USD",
        latitude=36.1,
        longitude=-79.95,
    )
    feeders = _nodes(depot, vehicles)
    InterconnectionAgreement.objects.create(
        depot=depot,
        state="approved",
        export_limit_kw=10.0 * vehicles,
        bidirectional_meter=True,
        approved_on=date(2025, 1, 1),
    )
    Tariff.objects.create(
        depot=depot,
        name="EV tariff",
        valid_from=now.date() - timedelta(days=400),
        definition=json.loads(TARIFF.read_text(encoding="utf-8")),
    )
    _forecasts(depot, vehicles, now)
    _fleet(depot, feeders, vehicles, now, rng)
    return depot


def _nodes(depot: Depot, vehicles: int) -> list[ElectricalNode]:
    grid = ElectricalNode.objects.create(
        depot=depot,
        kind="grid",
        name="Grid",
        import_limit_kw=30.0 * vehicles,
        export_limit_kw=15.0 * vehicles,
    )
    return [
        ElectricalNode.objects.create(
            depot=depot,
            parent=grid,
            kind="feeder",
            name=f"Feeder {letter}",
            import_limit_kw=14.0 * vehicles,
            export_limit_kw=8.0 * vehicles,
        )
        for letter in "AB"
    ]


def _forecasts(depot: Depot, vehicles: int, now: datetime) -> None:
    start_at = floor_to_step(now, 60) - timedelta(hours=1)
    hours = [depot.local(start_at + index * STEP).hour for index in range(FORECAST_STEPS)]
    solar = [4.0 * vehicles * math.exp(-(((hour - 12.5) / 2.6) ** 2)) for hour in hours]
    building = [3.0 * vehicles * (1.5 if 7 <= hour < 18 else 1.0) for hour in hours]
    for kind, power in (("solar", solar), ("building", building)):
        Forecast.objects.create(
            depot=depot,
            kind=kind,
            made_at=now,
            start_at=start_at,
            step_minutes=15,
            power_kw=[round(value, 3) for value in power],
            source="benchmark",
        )


def _fleet(
    depot: Depot, feeders: list[ElectricalNode], count: int, now: datetime, rng: random.Random
) -> None:
    """Store vehicles with state, place and two blocks a day each."""
    chosen = [rng.randrange(len(KINDS)) for _ in range(count)]
    types = [_type(depot, place) for place in range(len(KINDS))]
    vehicles = Vehicle.objects.bulk_create(
        Vehicle(
            depot=depot,
            type=types[place],
            name=f"Vehicle {number:03}",
            v2g_enabled=KINDS[place][4],
            v2g_min_soc=rng.choice((0.2, 0.3, 0.4, 0.5)),
            in_service_on=date(2025, 1, 1),
        )
        for number, place in enumerate(chosen)
    )
    VehicleState.objects.bulk_create(
        VehicleState(
            vehicle=vehicle,
            observed_at=now,
            soc=round(rng.uniform(0.3, 0.9), 3),
            soc_source="charger",
            soc_observed_at=now,
            plugged_in=True,
        )
        for vehicle in vehicles
    )
    chargers = Charger.objects.bulk_create(
        _charger(depot, feeders[number % 2], number, place) for number, place in enumerate(chosen)
    )
    Connector.objects.bulk_create(
        Connector(charger=charger, vehicle=vehicle)
        for charger, vehicle in zip(chargers, vehicles, strict=True)
    )
    Block.objects.bulk_create(
        block
        for number, (vehicle, place) in enumerate(zip(vehicles, chosen, strict=True))
        for block in _blocks(vehicle, number, KINDS[place][2], rng)
    )


def _type(depot: Depot, place: int) -> VehicleType:
    kind, usable_kwh, _, power_kw, both_ways = KINDS[place]
    return VehicleType.objects.create(
        depot=depot,
        name=f"{kind} {usable_kwh:g} kWh",
        kind=kind,
        usable_kwh=usable_kwh,
        chemistry="lfp",
        max_charge_dc_kw=power_kw,
        max_discharge_dc_kw=power_kw if both_ways else 0.0,
        inverter="off_board" if both_ways else "none",
        iso15118_20=both_ways,
        consumption_kwh_per_km=0.9,
    )


def _charger(depot: Depot, node: ElectricalNode, number: int, place: int) -> Charger:
    _, _, _, power_kw, both_ways = KINDS[place]
    return Charger(
        depot=depot,
        node=node,
        name=f"C-{number:03}",
        identity=f"{depot.slug}-{number:03}",
        current="dc",
        max_charge_kw=power_kw,
        max_discharge_kw=power_kw if both_ways else 0.0,
        iso15118_20=both_ways,
        protocol="ocpp2.1",
        fallback_kw=2.0,
    )


def _blocks(vehicle: Vehicle, number: int, day_kwh: float, rng: random.Random) -> list[Block]:
    spans = (
        (rng.randrange(330, 450), rng.randrange(540, 660)),
        (rng.randrange(780, 870), rng.randrange(960, 1140)),
    )
    common: dict[str, Any] = {"depot": vehicle.depot, "vehicle": vehicle, "weekdays": EVERY_DAY}
    return [
        Block(
            key=f"{number}|{half}",
            block_id=f"{number}{half}",
            depart_minute=leave,
            return_minute=back,
            energy_kwh=round(day_kwh * rng.uniform(0.3, 0.5), 2),
            **common,
        )
        for half, (leave, back) in zip("ab", spans, strict=True)
    ]
