"""The closed loop: simulated stations and vehicles against the real gateway."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import CommandError

from charging.management.commands import simulate_chargers
from charging.models import Charger, ChargerCommand, ChargingSession, MeterSample
from charging.ocpp.simulator.faults import Faults, faults_of
from charging.ocpp.simulator.station import CallError, Meter, Setup, Station
from charging.ocpp.simulator.world import Truth, World, load
from charging.services.commands import send
from depot import clock
from depot.models import Depot, MeterReading
from fleet.models import VehicleState
from tests import factories
from tests.charging.ocpp.conftest import PASSWORD, Running, wait_for

SPEED = 60.0


@pytest.fixture
def fast(settings: Any) -> None:
    """Run the depot's clock at sixty times the wall's, from 11:00 in New York on a Tuesday."""
    settings.CLOCK_SPEED = SPEED
    settings.CLOCK_ANCHOR_WALL = datetime.now(UTC).isoformat()
    settings.CLOCK_ANCHOR_SIMULATED = factories.NOW.isoformat()


def url(running: Running) -> str:
    assert running.gateway is not None
    return f"ws://127.0.0.1:{running.gateway.port}/ocpp"


@pytest.fixture(params=["2.0.1", "2.1"])
def station(request: pytest.FixtureRequest, running: Running, charger: Charger) -> Iterator[Station]:
    """A bidirectional station in either version, connected; on 2.0.1 with the dialect switched on."""
    Charger.objects.update(negative_limits=True)
    station = Station(Setup(url(running), charger.identity, PASSWORD, request.param, 60.0, 60.0))
    life = running.spawn(station.run())
    wait_for(station.connected.is_set)
    yield station
    life.cancel()


def told(station: Station, action: str) -> list[dict[str, Any]]:
    return [payload for name, payload in station.calls if name == action]


def schedule(charger: Charger, power_kw: list[float], step_seconds: int = 900) -> ChargerCommand:
    connector = charger.connectors.get()
    start = clock.now() - timedelta(seconds=5)
    payload = {
        "evse_id": 1,
        "start_at": start.isoformat(),
        "step_seconds": step_seconds,
        "power_kw": power_kw,
        "vehicle_id": connector.vehicle_id,
        "max_offline_s": 2 * step_seconds,
    }
    return send(charger, "set_schedule", payload, connector=connector, coalesce=f"schedule:{connector.pk}")


def state_of(command: ChargerCommand) -> str:
    """Return the state of a command, or of the newest that took its place."""
    return ChargerCommand.objects.filter(coalesce=command.coalesce).order_by("created_at").last().state


def on_loop(running: Running, work: Any, *args: Any) -> Any:
    async def do() -> Any:
        return work(*args)

    return running.do(do())


def test_a_plan_reaches_the_plug_and_its_power_comes_back(
    running: Running, charger: Charger, station: Station
) -> None:
    wait_for(lambda: len(station.profiles.held) == 1)
    begin = clock.now()
    number = on_loop(running, station.plug_in, Meter(0.0, 10.0, 2.0, 0.6), begin)
    wait_for(lambda: ChargingSession.objects.filter(transaction_id=number).exists())
    assert station.setpoint_kw(clock.now()) == 6.0, "the safe default"
    wait_for(lambda: state_of(command) == "accepted") if (
        command := schedule(charger, [-25.0, 30.0])
    ) else None
    assert station.setpoint_kw(clock.now()) == -25.0
    assert station.setpoint_kw(clock.now() + timedelta(seconds=900)) == 30.0
    on_loop(running, station.measure, Meter(-25.0, 10.0, 3.5, 0.59), begin + timedelta(seconds=10))
    sample = wait_for(lambda: MeterSample.objects.filter(power_kw=-25.0).first())
    assert (sample.import_kwh_total, sample.export_kwh_total, sample.soc) == (10.0, 3.5, 0.59)
    assert VehicleState.objects.get().charging_power_kw == -25.0
    wait_for(lambda: state_of(command) == "accepted") if (
        command := schedule(charger, [12.0, 12.0])
    ) else None
    assert station.setpoint_kw(clock.now()) == 12.0
    on_loop(running, station.unplug, Meter(0.0, 10.0, 3.5, 0.59), begin + timedelta(seconds=20))
    session = wait_for(lambda: ChargingSession.objects.filter(unplugged_at__isnull=False).first())
    assert (session.export_kwh, session.soc_out) == (1.5, 0.59)
    assert station.setpoint_kw(clock.now()) == 0.0
    assert list(station.profiles.held) == [11]


def test_without_the_dialect_a_2_0_1_station_is_not_asked_to_discharge(
    running: Running, charger: Charger, station: Station
) -> None:
    Charger.objects.update(negative_limits=False)
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), clock.now())
    wait_for(ChargingSession.objects.exists)
    command = schedule(charger, [-25.0])
    wait_for(lambda: state_of(command) == "accepted")
    assert station.setpoint_kw(clock.now()) == (-25.0 if station.setup.version == "2.1" else 0.0)


def test_nothing_measured_is_lost_when_the_gateway_dies(
    running: Running, charger: Charger, station: Station
) -> None:
    begin = clock.now()
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), begin)
    command = schedule(charger, [-20.0, -20.0, 30.0], step_seconds=60)
    wait_for(lambda: state_of(command) == "accepted" and ChargingSession.objects.exists())
    wait_for(lambda: station.setpoint_kw(clock.now()) == -20.0 and not station.waiting)
    port = running.gateway.port
    running.stop()
    wait_for(lambda: station.lost_at is not None)
    for minute in range(1, 6):
        on_loop(running, station.measure, Meter(5.0, minute, 0.0, 0.6), begin + timedelta(minutes=minute))
    lost_at = station.lost_at
    assert station.setpoint_kw(lost_at + timedelta(seconds=121)) >= 0, "discharge ends without a link"
    assert [one["action"] for one in station.waiting].count("TransactionEvent") == 5
    running.start(port)
    wait_for(lambda: not station.waiting, timeout=20)
    session = ChargingSession.objects.get()
    wait_for(lambda: session.samples.count() == 6)
    assert ChargingSession.objects.get().import_kwh == 5.0
    assert Charger.objects.get().connected
    wait_for(lambda: len(told(station, "SetChargingProfile")) > 2)


def test_a_station_answers_with_its_composite(running: Running, charger: Charger, station: Station) -> None:
    from charging.ocpp.schemas import check_response

    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), clock.now())
    wait_for(ChargingSession.objects.exists)
    command = schedule(charger, [7.0, 20.0])
    wait_for(lambda: state_of(command) == "accepted")
    link = next(iter(running.gateway._links.values()))
    answer, _ = running.do(link.call("GetCompositeSchedule", {"duration": 3600, "evseId": 1}))
    check_response(station.setup.version, "GetCompositeSchedule", answer)
    periods = answer["schedule"]["chargingSchedulePeriod"]
    powers = [period.get("setpoint", period.get("limit")) for period in periods]
    assert powers == [7000, 20000, 6000]
    with pytest.raises(Exception, match="NotImplemented"):
        running.do(link.call("Reset", {"type": "Immediate"}))


def test_a_station_without_a_link_or_vehicle_says_so(running: Running) -> None:
    async def make() -> Station:
        return Station(Setup("ws://127.0.0.1:1/ocpp", "x", "y"))

    station = running.do(make())
    with pytest.raises(CallError, match="no link"):
        running.do(station.call("Heartbeat", {}))
    with pytest.raises(ValueError, match="plug in first"):
        station.measure(Meter(0, 0, 0, 0.5), clock.now())
    life = running.spawn(station.run())
    running.do(asyncio.sleep(0.1))
    assert station.lost_at is not None and not station.connected.is_set()
    life.cancel()


def test_a_refused_message_is_given_up(running: Running, charger: Charger, station: Station) -> None:
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), clock.now())
    on_loop(running, station.measure, Meter(math.inf, 0.0, 0.0, 0.6), clock.now())
    on_loop(running, station.measure, Meter(1.0, 0.5, 0.0, 0.6), clock.now() + timedelta(seconds=1))
    wait_for(lambda: MeterSample.objects.filter(power_kw=1.0).exists())
    assert MeterSample.objects.count() == 2


# The world


@pytest.fixture
def two_bays(yard: Depot, settings: Any, fast: None) -> Depot:
    """A bus that leaves at 11:20 in New York for 20 minutes, and one that stays; both bidirectional."""
    for name in ("Bus 01", "Bus 02"):
        factories.make_charger(
            yard, factories.make_vehicle(yard, name), password_hash=make_password(PASSWORD)
        )
    factories.make_block(
        yard, yard.vehicles.get(name="Bus 01"), service_date=date(2026, 3, 10), weekdays=0,
        depart_minute=680, return_minute=700, energy_kwh=20,
    )  # fmt: skip
    return yard


def world_of(depot: Depot, address: str = "ws://127.0.0.1:1/ocpp", **truth: Any) -> World:
    passwords = dict.fromkeys(depot.chargers.values_list("identity", flat=True), PASSWORD)
    return load(depot, address, "2.1", passwords, Truth(**truth))


def at(minutes: float) -> datetime:
    return factories.NOW + timedelta(minutes=minutes)


def test_vehicles_leave_and_come_back_with_less(two_bays: Depot) -> None:
    world = world_of(two_bays, building_kw=lambda at: 40.0, solar_kw=lambda at: 100.0, export_limit_kw=30.0)
    world.at = at(0)
    bus = next(bay for bay in world.bays if bay.vehicle.name == "Bus 01")
    readings = {row.meter.kind: row for row in world.advance(at(10))}
    assert bus.station.transaction is not None, "it plugs in first"
    assert (readings["building"].power_kw, readings["solar"].power_kw, readings["grid"].power_kw) == (
        40,
        70,
        -30,
    )
    assert readings["grid"].export_kwh_total == pytest.approx(5.0)
    world.advance(at(15))
    soc = bus.soc
    assert bus.power_kw == pytest.approx(6.0), "no profile yet: the level set at commissioning"
    assert soc == pytest.approx(0.6 + 6 * 0.94 * (5 / 60) / 200)
    assert world.advance(at(15)) == []
    world.advance(at(21))
    assert bus.duty is not None and bus.station.transaction is None
    left_with = bus.soc
    world.advance(at(30))
    assert bus.soc == left_with
    world.advance(at(41))
    assert bus.duty is None and bus.station.transaction is not None
    assert bus.soc == pytest.approx(left_with - 20 / 200)
    kinds = [message["payload"].get("eventType") for message in bus.station.waiting]
    assert [kind for kind in kinds if kind] == ["Started", "Updated", "Ended", "Started"]


def test_a_world_goes_on_where_the_database_left_it(two_bays: Depot) -> None:
    connector = two_bays.chargers.first().connectors.get()
    session = ChargingSession.objects.create(
        connector=connector,
        vehicle=connector.vehicle,
        transaction_id="open",
        plugged_in_at=at(-60),
        last_sequence=7,
    )
    MeterSample.objects.create(
        session=session,
        sampled_at=at(-1),
        received_at=at(-1),
        power_kw=1,
        import_kwh_total=80,
        export_kwh_total=8,
    )
    meter = two_bays.meters.get(kind="grid")
    MeterReading.objects.create(
        meter=meter,
        observed_at=at(-1),
        received_at=at(-1),
        power_kw=1,
        import_kwh_total=900,
        export_kwh_total=9,
    )
    VehicleState.objects.filter(vehicle=connector.vehicle).update(soc=0.33)
    world = world_of(two_bays)
    bay = next(bay for bay in world.bays if bay.connector == connector)
    assert (bay.soc, bay.import_kwh, bay.export_kwh) == (0.33, 80, 8)
    assert (bay.station.transaction.number, bay.station.transaction.sequence) == ("open", 8)
    assert (world.meters["grid"].import_kwh, world.meters["grid"].export_kwh) == (900, 9)


def test_a_world_drives_what_it_slept_through(two_bays: Depot, settings: Any) -> None:
    settings.CLOCK_ANCHOR_SIMULATED = at(25).isoformat()
    bus = next(bay for bay in world_of(two_bays).bays if bay.vehicle.name == "Bus 01")
    assert bus.duty is not None and bus.soc == 0.6
    settings.CLOCK_ANCHOR_SIMULATED = at(60).isoformat()
    bus = next(bay for bay in world_of(two_bays).bays if bay.vehicle.name == "Bus 01")
    assert bus.duty is None and bus.soc == pytest.approx(0.5)


def test_the_whole_loop_runs_on_the_depots_clock(running: Running, two_bays: Depot) -> None:
    world = world_of(two_bays, url(running))
    life = running.spawn(world.run(10.0))
    charger = two_bays.chargers.first()
    wait_for(lambda: ChargingSession.objects.count() == 2)
    command = schedule(charger, [-15.0, -15.0])
    wait_for(lambda: state_of(command) == "accepted")
    sample = wait_for(lambda: MeterSample.objects.filter(power_kw__lt=-14.9).first())
    assert sample.session.connector.charger == charger
    wait_for(lambda: ChargingSession.objects.get(connector__charger=charger).export_kwh > 0.1)
    reading = MeterReading.objects.filter(meter__kind="grid").order_by("-observed_at").first()
    newest = MeterSample.objects.filter(sampled_at=reading.observed_at)
    wait_for(lambda: newest.count() == 2)
    assert reading.power_kw == pytest.approx(40 + sum(newest.values_list("power_kw", flat=True)), abs=0.01)
    assert reading.observed_at.timestamp() % 10 == 0
    life.cancel()


# The command


def test_the_command_says_what_is_missing(two_bays: Depot, settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    path = tmp_path / simulate_chargers.PASSWORDS

    def refused(match: str, slug: str = two_bays.slug) -> None:
        with pytest.raises(CommandError, match=match):
            call_command("simulate_chargers", slug)

    refused("no depot 'nowhere'. Known: maple-street", "nowhere")
    refused("There is no .*charger_passwords.json")
    path.write_text("{")
    refused("is not JSON")
    path.write_text("[]")
    refused("chmod 600")
    path.chmod(0o600)
    refused("one JSON object")
    path.write_text(json.dumps({}))
    refused("no password for charger maple-street-C")
    charger = two_bays.chargers.first()
    charger.connectors.create(evse_id=2)
    path.write_text(json.dumps(dict.fromkeys(two_bays.chargers.values_list("identity", flat=True), "x")))
    refused(f"one connector each; more have: {charger.identity}")


def test_a_1_6_station_lives_a_day(running: Running, charger: Charger) -> None:
    Charger.objects.update(negative_limits=True)
    station = Station(Setup(url(running), charger.identity, PASSWORD, "1.6", 60.0, 60.0))
    running.spawn(station.run())
    wait_for(lambda: len(station.profiles.held) == 1)
    begin = clock.now() - timedelta(minutes=10)
    on_loop(running, station.plug_in, Meter(0.0, 10.0, 2.0, 0.6), begin, "AABBCC")
    session = wait_for(ChargingSession.objects.first)
    wait_for(lambda: not station.waiting)
    command = schedule(charger, [-25.0, 30.0])
    wait_for(lambda: station.setpoint_kw(clock.now()) == -25.0)
    wait_for(lambda: state_of(command) == "accepted")
    [link] = running.gateway._links.values()
    answer, broken = running.do(link.call("GetCompositeSchedule", {"duration": 3600, "connectorId": 1}))
    assert not broken
    assert answer["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == -25_000
    port = running.gateway.port
    running.stop()
    wait_for(lambda: station.lost_at is not None)
    on_loop(running, station.measure, Meter(-25.0, 10.0, 3.5, 0.59), begin + timedelta(minutes=5))
    running.start(port)
    on_loop(running, station.unplug, Meter(0.0, 11.0, 3.5, 0.59), begin + timedelta(minutes=9))
    wait_for(lambda: not station.waiting, timeout=20)
    session.refresh_from_db()
    assert session.vehicle == charger.connectors.get().vehicle
    assert (session.import_kwh, session.samples.count(), session.soc_out) == (1.0, 3, 0.59)
    assert session.samples.order_by("sampled_at")[1].power_kw == -25.0


# Faults


def faulty(running: Running, charger: Charger, faults: Faults, version: str = "2.1") -> Station:
    station = Station(Setup(url(running), charger.identity, PASSWORD, version, 60.0, 60.0), faults)
    running.spawn(station.run())
    wait_for(station.connected.is_set)
    return station


@pytest.mark.parametrize("version", ["1.6", "2.1"])
def test_what_is_said_twice_counts_once(running: Running, charger: Charger, version: str) -> None:
    station = faulty(running, charger, faults_of(["duplicate"]), version)
    begin = clock.now() - timedelta(minutes=10)
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), begin)
    on_loop(running, station.measure, Meter(5.0, 1.0, 0.0, 0.6), begin + timedelta(minutes=5))
    on_loop(running, station.unplug, Meter(0.0, 2.0, 0.0, 0.6), begin + timedelta(minutes=9))
    wait_for(lambda: not station.waiting)
    assert (ChargingSession.objects.get().import_kwh, MeterSample.objects.count()) == (2.0, 3)


def test_a_clock_that_is_ahead_is_noticed(running: Running, charger: Charger) -> None:
    station = faulty(running, charger, faults_of(["clock"]))
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), clock.now())
    wait_for(lambda: (Charger.objects.get().clock_offset_s or 0) > 290)


def test_a_station_that_refuses_profiles_is_not_believed_to_follow(
    running: Running, charger: Charger
) -> None:
    station = faulty(running, charger, faults_of(["refuse"]))
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), clock.now())
    command = schedule(charger, [5.0])
    wait_for(lambda: state_of(command) == "failed")
    assert "refuses it on purpose" in str(ChargerCommand.objects.filter(state="failed").last().answer)


def test_links_that_are_lost_again_and_again_lose_nothing(running: Running, charger: Charger) -> None:
    station = faulty(running, charger, Faults(drop_every_s=0.3, reboot_every_s=0.6))
    begin = clock.now() - timedelta(hours=1)
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), begin)
    for minute in range(1, 31):
        on_loop(running, station.measure, Meter(5.0, minute, 0.0, 0.6), begin + timedelta(minutes=minute))
        time.sleep(0.05)
    station.faults.drop_every_s = station.faults.reboot_every_s = 0.0
    wait_for(lambda: not station.waiting, timeout=30)
    wait_for(lambda: MeterSample.objects.count() == 31)
    session = ChargingSession.objects.get()
    assert (session.import_kwh, session.missing_events) == (30.0, 0)


def test_a_vehicle_negotiates_both_ways(running: Running, charger: Charger) -> None:
    station = faulty(running, charger, Faults())
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), clock.now(), "AABBCC")
    wait_for(lambda: (ChargingSession.objects.first() or ChargingSession()).needs == {
        "mode": "DC_BPT", "modes": ["DC", "DC_BPT"], "control": "DynamicControl",
        "max_charge_kw": 60.0, "max_discharge_kw": 60.0,
    })  # fmt: skip
    assert told(station, "NotifyAllowedEnergyTransfer")


def test_faults_are_named() -> None:
    assert faults_of(["lie", "delay"]) == Faults(soc_offset=0.3, delay_s=5.0)
    with pytest.raises(ValueError, match="no fault 'hiccup'"):
        faults_of(["hiccup"])
