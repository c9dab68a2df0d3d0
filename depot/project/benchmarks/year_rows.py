"""A depot with a year behind it, for measuring pages: sessions, samples, telemetry, ledger, bills, batteries.

The year is made up from a seed, each day alike: what counts is how many rows of each kind there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction
from django.db.models import Model

from billing.services.bills import bill_month
from billing.services.ledger import Measured, Unmanaged, record, record_unmanaged
from charging.models import (
    Charger,
    ChargerCommand,
    ChargingSession,
    Connector,
    MeterSample,
    NotReady,
    VehicleDay,
)
from charging.services.planning import make_plan
from depot.models import Alert, Depot, Membership, Meter, MeterReading, User
from depot.project.benchmarks.depot_rows import make_depot
from depot.timegrid import TimeGrid, floor_to_step, local_to_utc
from fleet.battery.ageing import new_cell
from fleet.battery.cells import cell_models
from fleet.models import BatteryHealth, Block, TelemetryReading, Vehicle

Floats = npt.NDArray[np.float64]
BATCH, MANY = 5_000, 100_000
SOC_IN, SOC_FULL, CHARGE_HOURS = 0.45, 0.85, 4
PLANS_KEPT = 30
COMMAND_DAYS = 7
ALERTS = 200
OPEN_ALERTS = 6


@dataclass(slots=True)
class Stay:
    """A vehicle at its plug from one quarter hour to another, counted from the year's first."""

    session: ChargingSession
    first: int
    last: int
    charge_kw: float


@dataclass(slots=True)
class Year:
    """The quarter hours of the year, and the power of all vehicles in each, in kW."""

    depot: Depot
    grid: TimeGrid
    charge_kw: Floats
    stays: list[Stay] = field(default_factory=list)


def make_year(vehicles: int, days: int, now: datetime, seed: int) -> tuple[Depot, User]:
    """Store a depot that has been charging its `vehicles` for `days` days until `now`, and its owner."""
    depot = make_depot(1, vehicles, now, seed)
    owner = User.objects.create_user(username="owner", password=None)
    Membership.objects.create(user=owner, depot=depot, role="owner")
    first_day = depot.local(now).date() - timedelta(days=days)
    start_at = local_to_utc(first_day, 0, depot.tz)
    end_at = floor_to_step(now, depot.step_minutes)
    grid = TimeGrid(
        start_at, depot.step_minutes, (end_at - start_at) // timedelta(minutes=depot.step_minutes)
    )
    year = Year(depot, grid, np.zeros(grid.steps))
    _sessions(year, first_day, days)
    _samples(year)
    _site(year, now)
    _batteries(depot, first_day, days, now)
    _machinery(depot, now)
    _plans(depot, now)
    _bills(depot, first_day, now)
    _vehicle_days(depot, first_day, days, now)
    return depot, owner


def _sessions(year: Year, first_day: date, days: int) -> None:
    """Plug every vehicle in whenever it is not on a block."""
    blocks: dict[int, list[Block]] = {}
    for block in Block.objects.filter(depot=year.depot).order_by("depart_minute"):
        blocks.setdefault(block.vehicle_id or 0, []).append(block)
    connectors = Connector.objects.filter(charger__depot=year.depot).select_related("charger")
    for connector in connectors:
        early, late = blocks[connector.vehicle_id or 0]
        for number in range(days + 1):
            day = first_day + timedelta(days=number)
            spans = [
                (early.return_minute, late.depart_minute),
                (late.return_minute, early.depart_minute + 1440),
            ]
            for begin, end in spans:
                _stay(
                    year,
                    connector,
                    local_to_utc(day, begin, year.depot.tz),
                    local_to_utc(day, end, year.depot.tz),
                )
    ChargingSession.objects.bulk_create([stay.session for stay in year.stays], batch_size=BATCH)


def _stay(year: Year, connector: Connector, plug_in: datetime, plug_out: datetime) -> None:
    first = -((year.grid.start_at - plug_in) // year.grid.step)
    last = min((plug_out - year.grid.start_at) // year.grid.step, year.grid.steps)
    if first >= last:
        return
    charge_kw = connector.charger.max_charge_kw / 2
    charged = min(last - first, CHARGE_HOURS * 4)
    session = ChargingSession(
        connector=connector,
        vehicle_id=connector.vehicle_id,
        transaction_id=f"{connector.pk}-{first}",
        plugged_in_at=plug_in,
        unplugged_at=plug_out if plug_out <= year.grid.end_at else None,
        soc_in=SOC_IN,
        soc_out=SOC_FULL,
        import_kwh=charge_kw * charged / 4,
        last_sample_at=year.grid.time_of(last),
    )
    year.charge_kw[first : first + charged] += charge_kw
    year.stays.append(Stay(session, first, last, charge_kw))


def _samples(year: Year) -> None:
    """Write what chargers and vehicles said every quarter hour of every stay."""
    moments = [str(at.replace(tzinfo=None)) for at in [*year.grid.times(), year.grid.end_at]]

    def said() -> Iterator[tuple[Stay, str, float, float, float]]:
        for stay in year.stays:
            for step in range(stay.first, stay.last + 1):
                quarters = min(step - stay.first, CHARGE_HOURS * 4)
                power = stay.charge_kw if 0 < step - stay.first <= CHARGE_HOURS * 4 else 0.0
                soc = SOC_IN + (SOC_FULL - SOC_IN) * quarters / (CHARGE_HOURS * 4)
                yield stay, moments[step], power, stay.charge_kw * quarters / 4, soc

    samples = (
        {
            "session_id": stay.session.pk,
            "sampled_at": at,
            "received_at": at,
            "power_kw": power_kw,
            "import_kwh_total": kwh,
            "export_kwh_total": 0.0,
            "soc": soc,
            "quality": "good",
        }
        for stay, at, power_kw, kwh, soc in said()
    )
    telemetry = (
        {
            "vehicle_id": stay.session.vehicle_id,
            "observed_at": at,
            "received_at": at,
            "source": "charger",
            "source_event_id": "",
            "soc": soc,
            "plugged_in": True,
            "quality": "good",
        }
        for stay, at, _, _, soc in said()
    )
    _insert(MeterSample, samples)
    _insert(TelemetryReading, telemetry)


def _insert(model: type[Model], rows: Iterator[dict[str, Any]]) -> None:
    """Insert plain rows: millions of model instances would take minutes."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        while batch := list(islice(rows, MANY)):
            names = ", ".join(quote(name) for name in batch[0])
            places = ", ".join(["%s"] * len(batch[0]))
            statement = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({places})"  # noqa: S608
            with transaction.atomic():
                cursor.executemany(statement, [tuple(row.values()) for row in batch])


def _site(year: Year, now: datetime) -> None:
    """Write the site's meters and the ledger, beside an unmanaged depot that charges all at once."""
    depot, grid = year.depot, year.grid
    hours = np.array([depot.local(at).hour + depot.local(at).minute / 60 for at in grid.times()])
    size = year.charge_kw.max() or 1.0
    building = 0.2 * size * np.where((hours >= 7) & (hours < 18), 1.5, 1.0)
    solar = 0.4 * size * np.exp(-(((hours - 12.5) / 2.6) ** 2))
    net = building + year.charge_kw - solar
    unmanaged = np.roll(year.charge_kw, 4) * 1.3
    flows = {"grid": net, "solar": solar, "building": building}
    root = depot.nodes.get(kind="grid")
    for kind, power_kw in flows.items():
        meter = Meter.objects.create(depot=depot, node=root, kind=kind, name=f"{kind.capitalize()} meter")
        totals = np.cumsum(np.clip(power_kw, 0, None)) / 4
        MeterReading.objects.bulk_create(
            (
                MeterReading(
                    meter=meter,
                    observed_at=at,
                    received_at=at,
                    power_kw=float(kw),
                    import_kwh_total=float(total),
                )
                for at, kw, total in zip(grid.times(), power_kw, totals, strict=True)
            ),
            batch_size=BATCH,
        )
        MeterReading.objects.create(
            meter=meter, observed_at=now, received_at=now, power_kw=0.0, import_kwh_total=float(totals[-1])
        )
    columns = {
        "import_kwh": np.clip(net, 0, None),
        "export_kwh": np.clip(-net, 0, None),
        "building_kwh": building,
        "solar_kwh": solar,
        "charge_kwh": year.charge_kw,
    }
    kwh = {name: (power_kw / 4).tolist() for name, power_kw in columns.items()}
    measured = [
        Measured(
            at, **{name: values[step] for name, values in kwh.items()}, discharge_kwh=0.0, wear_cost=0.01
        )
        for step, at in enumerate(grid.times())
    ]
    record(depot, measured, now)
    alone = building + unmanaged - solar
    month = 28 * 96
    rows = [
        Unmanaged(
            at,
            float(unmanaged[step]) / 4,
            max(float(alone[step]), 0.0) / 4,
            max(-float(alone[step]), 0.0) / 4,
            True,
        )
        for step, at in enumerate(grid.times())
    ]
    for begin in range(0, len(rows), month):
        record_unmanaged(depot, rows[begin : begin + month], now)


def _batteries(depot: Depot, first_day: date, days: int, now: datetime) -> None:
    """Write every battery's health of every day, with the ageing state that it continues from."""
    cells = cell_models("lfp")
    state = {cell.name: asdict(replace(new_cell(cell), age_days=400.0, calendar_loss=0.03)) for cell in cells}
    vehicles = Vehicle.objects.filter(depot=depot)
    BatteryHealth.objects.bulk_create(
        (
            BatteryHealth(
                vehicle=vehicle,
                date=first_day + timedelta(days=number),
                computed_at=now,
                soh=0.97 - 0.02 * number / 365 - 0.0002 * (vehicle.pk % 50),
                soh_uncertainty=0.02,
                calendar_loss=0.02,
                cycling_loss=0.01,
                v2g_loss=0.001,
                trend_per_year=0.02,
                outlook_per_year=0.02 + 0.0002 * (vehicle.pk % 50),
                v2g_outlook_per_year=0.004,
                equivalent_full_cycles=0.8 * number,
                throughput_kwh=150.0 * number,
                v2g_throughput_kwh=10.0 * number,
                hours_above_80=4.0 * number,
                recorded_hours=16.0 * number,
                wear_cost_per_kwh=0.035,
                model=cells[0].name,
                state=state,
            )
            for vehicle in vehicles
            for number in range(days)
        ),
        batch_size=500,
    )


def _machinery(depot: Depot, now: datetime) -> None:
    """Connect the chargers, and write what they were told, what was alerted, and what was not ready."""
    Charger.objects.filter(depot=depot).update(connected=True, last_seen_at=now, booted_at=now)
    Connector.objects.filter(charger__depot=depot).update(status=Connector.Status.OCCUPIED)
    hours = [now - timedelta(hours=number) for number in range(1, COMMAND_DAYS * 24)]
    ChargerCommand.objects.bulk_create(
        (
            ChargerCommand(
                charger=charger,
                action="set_schedule",
                payload={"periods": [[0, 20.0]] * 24},
                state=ChargerCommand.State.ACCEPTED,
                created_at=at,
                expires_at=at + timedelta(minutes=5),
                answered_at=at,
            )
            for charger in depot.chargers.all()
            for at in hours
        ),
        batch_size=500,
    )
    Alert.objects.bulk_create(
        Alert(
            depot=depot,
            key=f"charger:{number}",
            level="warning",
            title=f"Charger C-{number:03} does not follow its plan",
            raised_at=now - timedelta(hours=2 * number + 1),
            seen_at=now,
            cleared_at=None if number < OPEN_ALERTS else now - timedelta(hours=2 * number),
        )
        for number in range(ALERTS)
    )
    NotReady.objects.bulk_create(
        NotReady(
            depot=depot,
            vehicle=block.vehicle,
            vehicle_name=str(block.vehicle),
            block_id=block.block_id,
            duty_key=f"{block.pk}|{number}",
            service_date=depot.local(now).date() - timedelta(days=number),
            pull_out_at=now - timedelta(days=number),
            soc=0.5,
            required_soc=0.7,
            missing_kwh=40.0,
            cause=NotReady.Cause.SHORT,
            because="It was unplugged before it was ready.",
            written_at=now,
        )
        for number, block in enumerate(Block.objects.filter(depot=depot)[:60], start=1)
    )


def _plans(depot: Depot, now: datetime) -> None:
    """Store the running plan, and one like it for each of the last days."""
    plan = make_plan(depot, floor_to_step(now, depot.step_minutes), "Every 15 minutes")
    for number in range(1, PLANS_KEPT + 1):
        back = timedelta(days=number)
        plan.pk = None
        plan.made_at, plan.start_at = plan.made_at - back, plan.start_at - back
        plan.save(force_insert=True)
        plan.made_at, plan.start_at = plan.made_at + back, plan.start_at + back


def _bills(depot: Depot, first_day: date, now: datetime) -> None:
    """Bill every month from the ledger."""
    month, last = first_day.replace(day=1), depot.local(now).date()
    while month <= last:
        bill_month(depot, month, now)
        month = (month + timedelta(days=32)).replace(day=1)


def _vehicle_days(depot: Depot, first_day: date, days: int, now: datetime) -> None:
    """Store what each vehicle took and gave on each day, as the hourly work adds it up."""
    VehicleDay.objects.bulk_create(
        (
            VehicleDay(
                depot=depot, vehicle=vehicle, date=first_day + timedelta(days=number), charged_kwh=120.0,
                given_kwh=20.0, worth=15, wear_cost=1, computed_at=now,
            )
            for vehicle in Vehicle.objects.filter(depot=depot)
            for number in range(days + 1)
        ),
        batch_size=2000,
    )  # fmt: skip
