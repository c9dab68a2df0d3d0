"""The world around simulated chargers: vehicles that drive and come back, sun, building and the site's meters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import DatabaseError

from charging.models import ChargingSession, Connector, MeterSample
from charging.ocpp.database import Database
from charging.ocpp.simulator.faults import Faults
from charging.ocpp.simulator.physics import Pack, step_fleet
from charging.ocpp.simulator.station import Meter as StationMeter
from charging.ocpp.simulator.station import Setup, Station
from charging.permission import charge_limit_kw, discharge_limit_kw
from depot import clock
from depot.models import Depot, Meter, MeterReading
from depot.services.meters import record_all
from fleet.models import Vehicle
from fleet.selectors.duties import Duty, duties
from fleet.selectors.needs import energy_as_entered

log = logging.getLogger(__name__)

LOOK_AHEAD = timedelta(hours=2)
LOOK_AGAIN = timedelta(minutes=5)
LONGEST_STEP_S = 900.0
"""A longer pause of this program is a power cut: nothing flowed in it."""
STARTING_SOC = 0.6
EMPTY_SOC = 0.02


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happens, in kW at a moment, and in kWh for a duty."""

    solar_kw: Callable[[datetime], float] = lambda at: 0.0
    building_kw: Callable[[datetime], float] = lambda at: 40.0
    trip_kwh: Callable[[Duty, Vehicle], float] = energy_as_entered
    export_limit_kw: float = float("inf")
    """Above this the solar inverters hold back."""


@dataclass(slots=True)
class Bay:
    """A charger with the vehicle that parks there."""

    connector: Connector
    vehicle: Vehicle | None
    station: Station
    soc: float = STARTING_SOC
    import_kwh: float = 0.0
    export_kwh: float = 0.0
    power_kw: float = 0.0
    duty: Duty | None = None
    """The duty its vehicle is away on."""

    def meter(self) -> StationMeter:
        return StationMeter(self.power_kw, self.import_kwh, self.export_kwh, self.soc)


@dataclass(slots=True)
class SiteMeter:
    """A meter of the site and where its registers stand."""

    meter: Meter
    import_kwh: float = 0.0
    export_kwh: float = 0.0

    def count(self, power_kw: float, hours: float, at: datetime) -> MeterReading:
        """Count a mean power and return the reading."""
        self.import_kwh += max(power_kw, 0.0) * hours
        self.export_kwh += max(-power_kw, 0.0) * hours
        return MeterReading(
            meter=self.meter,
            observed_at=at,
            power_kw=power_kw,
            import_kwh_total=self.import_kwh,
            export_kwh_total=self.export_kwh,
        )


@dataclass(slots=True)
class World:
    """The bays of a depot, its site meters, and the duties of its vehicles."""

    depot: Depot
    bays: list[Bay]
    meters: dict[str, SiteMeter]
    truth: Truth
    at: datetime
    duties: Sequence[Duty] = ()
    duties_read_at: datetime | None = None
    _pack: Pack = field(init=False)

    def __post_init__(self) -> None:
        self._pack = _pack(self.bays)

    def advance(self, now: datetime) -> list[MeterReading]:
        """Let time pass until `now`: power flows, vehicles come and go; return what the site's meters read."""
        seconds = (now - self.at).total_seconds()
        if seconds <= 0:
            return []
        flowing_s = min(seconds, LONGEST_STEP_S)
        self._flow(now - timedelta(seconds=flowing_s / 2), flowing_s)
        for bay in self.bays:
            self._move(bay, now)
        self.at = now
        return self._read_site(now, flowing_s / 3600)

    def _flow(self, middle: datetime, seconds: float) -> None:
        """Charge and discharge for `seconds` as the stations' profiles ask, and count it."""
        wanted = [bay.station.setpoint_kw(middle) for bay in self.bays]
        before = np.array([bay.soc for bay in self.bays])
        soc, power_kw = step_fleet(before, wanted, seconds, **self._pack)
        hours = seconds / 3600
        for bay, soc_after, power in zip(self.bays, soc.tolist(), power_kw.tolist(), strict=True):
            bay.soc, bay.power_kw = soc_after, power
            bay.import_kwh += max(power, 0.0) * hours
            bay.export_kwh += max(-power, 0.0) * hours

    def _move(self, bay: Bay, now: datetime) -> None:
        """Let a bay's vehicle leave or come back, else report its meter."""
        if bay.vehicle is None:
            return
        running = self._running(bay.vehicle, now)
        if bay.duty is not None and bay.duty is not running and now >= bay.duty.pull_in_at:
            used = self.truth.trip_kwh(bay.duty, bay.vehicle) / bay.vehicle.capacity_kwh
            bay.soc = max(bay.soc - used, EMPTY_SOC)
            bay.duty = None
        if running is not None and bay.duty is None:
            bay.duty, bay.power_kw = running, 0.0
            if bay.station.transaction is not None:
                bay.station.unplug(bay.meter(), now)
        elif bay.duty is None and bay.station.transaction is None:
            bay.station.plug_in(bay.meter(), now, bay.vehicle.id_token)
        elif bay.station.transaction is not None:
            bay.station.measure(bay.meter(), now)

    def _running(self, vehicle: Vehicle, now: datetime) -> Duty | None:
        mine = (duty for duty in self.duties if duty.vehicle is not None and duty.vehicle.pk == vehicle.pk)
        return next((duty for duty in mine if duty.pull_out_at <= now < duty.pull_in_at), None)

    def _read_site(self, now: datetime, hours: float) -> list[MeterReading]:
        building, sun = self.truth.building_kw(now), self.truth.solar_kw(now)
        used = building + sum(bay.power_kw for bay in self.bays)
        produced = max(min(sun, used + self.truth.export_limit_kw), 0.0)
        flows = {"building": building, "solar": produced, "grid": used - produced}
        return [
            self.meters[kind].count(power, hours, now) for kind, power in flows.items() if kind in self.meters
        ]

    def read_duties(self, now: datetime) -> None:
        """Read from the database who must leave when, if that was not done in the last minutes."""
        if self.duties_read_at is None or now - self.duties_read_at >= LOOK_AGAIN:
            self.duties = duties(self.depot, now - LOOK_AHEAD, now + LOOK_AHEAD)
            self.duties_read_at = now

    async def run(self, meter_seconds: float) -> None:
        """Keep the stations connected and let the world run on the depot's clock, until cancelled."""
        database = Database(threads=1)
        links = [asyncio.create_task(bay.station.run()) for bay in self.bays]
        unwritten: list[MeterReading] = []
        try:
            while True:
                now = await _next_tick(meter_seconds)
                for link in links:
                    if link.done():  # it never ends by itself, so this raises what ended it
                        link.result()
                unwritten += self.advance(now)
                try:
                    await database.run(self.read_duties, now)
                    await database.run(record_all, unwritten)
                except DatabaseError as error:
                    log.warning("the database is not there (%s); readings are kept until it is", error)
                else:
                    unwritten = []
        finally:
            for link in links:
                link.cancel()
            await asyncio.gather(*links, return_exceptions=True)
            database.close()


async def _next_tick(seconds: float) -> datetime:
    """Wait for the next whole multiple of `seconds` on the depot's clock and return it."""
    now = clock.now()
    tick = (now.timestamp() // seconds + 1) * seconds
    await asyncio.sleep(clock.wall_seconds(tick - now.timestamp()))
    return datetime.fromtimestamp(tick, UTC)


def load(
    depot: Depot,
    url: str,
    version: str,
    passwords: Mapping[str, str],
    truth: Truth,
    faults: Faults | None = None,
) -> World:
    """Make the world of a depot as the database last knew it: charge, registers, open sessions, vehicles away.

    Raises ValueError for a charger that cannot be simulated or has no password.
    """
    now = clock.now()
    connectors = Connector.objects.filter(charger__depot=depot).select_related(
        "charger", "vehicle__type", "vehicle__state"
    )
    bays = [_bay(connector, url, version, passwords, faults) for connector in connectors]
    identities = [bay.station.setup.identity for bay in bays]
    twice = sorted({identity for identity in identities if identities.count(identity) > 1})
    if twice:
        raise ValueError(
            f"Simulated chargers have one connector each; more have: {', '.join(twice)}. "
            "Give each connector a charger of its own."
        )
    _catch_up(depot, bays, now, truth)
    meters = {row.kind: _site_meter(row) for row in Meter.objects.filter(depot=depot).order_by("-pk")}
    world = World(depot, bays, meters, truth, now)
    world.read_duties(now)
    return world


def _bay(
    connector: Connector, url: str, version: str, passwords: Mapping[str, str], faults: Faults | None
) -> Bay:
    charger, vehicle = connector.charger, connector.vehicle
    if charger.identity not in passwords:
        raise ValueError(
            f"There is no password for charger {charger.identity}. Set one for it and add it to the file."
        )
    station = Station(
        Setup(
            url,
            charger.identity,
            passwords[charger.identity],
            version,
            max_charge_kw=charger.max_charge_kw,
            max_discharge_kw=charger.max_discharge_kw if charger.iso15118_20 else 0.0,
            commissioned_kw=charger.fallback_kw,
        ),
        faults,
    )
    bay = Bay(connector, vehicle, station)
    state = getattr(vehicle, "state", None)
    if state is not None:
        bay.soc = state.soc
    last = MeterSample.objects.filter(session__connector=connector).order_by("-sampled_at").first()
    if last is not None:
        bay.import_kwh, bay.export_kwh = last.import_kwh_total, last.export_kwh_total
    session = ChargingSession.objects.filter(connector=connector, unplugged_at__isnull=True).first()
    if session is not None:
        station.resume(session.transaction_id, session.plugged_in_at, session.last_sequence + 1)
    return bay


def _catch_up(depot: Depot, bays: list[Bay], now: datetime, truth: Truth) -> None:
    """Drive the duties that ended since each vehicle's charge was last known, and find who is away now."""
    by_vehicle = {bay.vehicle.pk: bay for bay in bays if bay.vehicle is not None}
    known_at = {pk: _known_at(bay.vehicle, now) for pk, bay in by_vehicle.items()}
    oldest = min(known_at.values(), default=now)
    for duty in duties(depot, oldest, now + LOOK_AHEAD):
        bay = by_vehicle.get(duty.vehicle.pk) if duty.vehicle is not None else None
        if bay is None or bay.vehicle is None or duty.pull_out_at > now:
            continue
        if duty.pull_in_at > now:
            bay.duty = duty
        elif duty.pull_in_at > known_at[bay.vehicle.pk]:
            used = truth.trip_kwh(duty, bay.vehicle) / bay.vehicle.capacity_kwh
            bay.soc = max(bay.soc - used, EMPTY_SOC)


def _known_at(vehicle: Vehicle | None, now: datetime) -> datetime:
    state = getattr(vehicle, "state", None)
    return state.soc_observed_at if state is not None else now


def _site_meter(meter: Meter) -> SiteMeter:
    last = meter.readings.order_by("-observed_at").first()
    return SiteMeter(meter, last.import_kwh_total, last.export_kwh_total) if last else SiteMeter(meter)


def _pack(bays: list[Bay]) -> Pack:
    """Return the batteries at their chargers; a bay without a vehicle has one that takes nothing."""
    limits = [
        (
            bay.vehicle.capacity_kwh,
            charge_limit_kw(bay.vehicle, bay.connector.charger),
            discharge_limit_kw(bay.vehicle, bay.connector.charger),
        )
        if bay.vehicle is not None
        else (1.0, 0.0, 0.0)
        for bay in bays
    ]
    capacity_kwh, charge_kw, discharge_kw = np.array(limits, dtype=float).reshape(-1, 3).T
    chargers = [bay.connector.charger for bay in bays]
    return Pack(
        capacity_kwh=capacity_kwh,
        max_charge_kw=charge_kw,
        max_discharge_kw=discharge_kw,
        charge_efficiency=np.array([charger.charge_efficiency for charger in chargers]),
        discharge_efficiency=np.array([charger.discharge_efficiency for charger in chargers]),
        charge_loss_kw=np.array([charger.charge_loss_kw for charger in chargers]),
        discharge_loss_kw=np.array([charger.discharge_loss_kw for charger in chargers]),
        min_soc=EMPTY_SOC,
    )
