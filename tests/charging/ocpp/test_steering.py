"""OCPP 2.1 between two plans, both directions: moving set-points, curves, signals, priority, the inverter."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from charging.models import Charger, ChargerCommand, ChargingSession, StationNotice
from charging.ocpp.outbox import Errand, messages
from charging.ocpp.profiles import VERSIONS, Capability, Manner
from charging.ocpp.profiles_v2x import STEERED, steered_messages
from charging.ocpp.schemas import check_request
from charging.ocpp.simulator import station as simulated
from charging.ocpp.simulator.station import Meter, Setup, Station
from charging.services import commands
from charging.services.commands import send
from charging.services.steering import steer
from depot import clock
from depot.models import AuditEvent
from fleet.models import Vehicle
from tests.charging.ocpp.conftest import PASSWORD, Running, wait_for
from tests.charging.ocpp.test_simulator import on_loop, schedule, url
from tests.factories import NOW

PAYLOAD: dict[str, Any] = {"evse_id": 1, "seconds": 900, "max_offline_s": 30}
VALUES: dict[str, dict[str, Any]] = {
    "set_dynamic": {"setpoint_kw": -500.0, "pull_every_s": 60},
    "set_local_frequency": {"baseline_kw": 50.0, "curve": [[50.2, 40.0], [49.8, -80.0]]},
    "set_signal_curve": {"baseline_kw": 10.0, "curve": [[-100, -500.0], [100, 500.0]]},
}
BOTH_WAYS = Capability(60.0, 40.0)


@pytest.mark.parametrize("action", STEERED)
def test_steering_keeps_the_schema_and_the_chargers_limits_and_ends_with_the_link(action: str) -> None:
    [(name, body)] = steered_messages(action, "2.1", PAYLOAD | VALUES[action], BOTH_WAYS, "tx", NOW)
    check_request("2.1", name, body)
    profile = body["chargingProfile"]
    assert (profile["chargingProfilePurpose"], profile["transactionId"]) == ("TxProfile", "tx")
    assert profile["maxOfflineDuration"] == 30
    [period] = profile["chargingSchedule"][0]["chargingSchedulePeriod"]
    base = period.get("v2xBaseline", period.get("setpoint"))
    curve = period.get("v2xFreqWattCurve", period.get("v2xSignalWattCurve", [{"power": 0}]))
    assert all(-40_000 <= base + point["power"] <= 60_000 for point in curve)


def test_what_cannot_be_steered_is_refused_by_name() -> None:
    body = PAYLOAD | VALUES["set_dynamic"]
    for version in VERSIONS[:2]:
        with pytest.raises(ValueError, match=r"it needs OCPP 2\.1"):
            steered_messages("set_dynamic", version, body, BOTH_WAYS, "tx", NOW)
    with pytest.raises(ValueError, match="no running transaction"):
        steered_messages("set_dynamic", "2.1", body, BOTH_WAYS, "", NOW)
    in_amps = Capability(60.0, 40.0, manner=Manner(unit="A"))
    with pytest.raises(ValueError, match="no powers in W"):
        steered_messages("set_dynamic", "2.1", body, in_amps, "tx", NOW)
    for curve in ([], [[50.0, 1.0], [50.0, 2.0]], [[place, 1.0] for place in range(21)]):
        with pytest.raises(ValueError, match="1 to 20 points"):
            steered_messages("set_local_frequency", "2.1", PAYLOAD | {"curve": curve}, BOTH_WAYS, "tx", NOW)


def test_a_station_that_wants_bounds_gets_them_beside_the_set_point() -> None:
    manner = Capability(60.0, 40.0, manner=Manner(setpoint_bounds=True))
    [(_, body)] = steered_messages("set_dynamic", "2.1", PAYLOAD | {"setpoint_kw": 5.0}, manner, "tx", NOW)
    [period] = body["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert (period["limit"], period["setpoint"], period["dischargeLimit"]) == (60_000, 5_000, -40_000)


@pytest.fixture
def station(running: Running, charger: Charger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    """A station of OCPP 2.1 at which the charger's vehicle is plugged in."""
    monkeypatch.setattr(simulated, "PULL_LOOK_S", 0.05)
    station = Station(Setup(url(running), charger.identity, PASSWORD, "2.1", 60.0, 60.0))
    life = running.spawn(station.run())
    wait_for(station.connected.is_set)
    on_loop(running, station.plug_in, Meter(0.0, 0.0, 0.0, 0.6), clock.now(), "AABBCC")
    wait_for(lambda: ChargingSession.objects.filter(vehicle__isnull=False).exists())
    yield station
    life.cancel()


def order(charger: Charger, action: str, **values: Any) -> ChargerCommand:
    command = steer(charger.connectors.get(), action, values, "Kim")
    return wait_for(
        lambda: ChargerCommand.objects.filter(pk=command.pk).exclude(state__in=("waiting", "sent")).first()
    )


def power(station: Station, later_s: float = 0.0) -> float:
    return station.setpoint_kw(clock.now() + timedelta(seconds=later_s))


def test_a_set_point_moves_and_ends_by_itself(charger: Charger, station: Station) -> None:
    assert order(charger, "set_dynamic", setpoint_kw=-20.0, seconds=60).state == "accepted"
    assert power(station) == -20.0
    assert order(charger, "setpoint", setpoint_kw=-33.0).state == "accepted"
    assert power(station) == -33.0
    assert power(station, 61) == 6.0, "the safe default, once nobody moves it any more"
    station.lost_at = clock.now() - timedelta(seconds=31)
    assert power(station) == 6.0, "and when the link has been dead for half a minute"
    assert AuditEvent.objects.filter(verb="charger.setpoint").exists()


def test_a_set_point_for_nobody_known_never_discharges(charger: Charger, station: Station) -> None:
    command = send(charger, "setpoint", {"evse_id": 1, "profile_id": 14, "setpoint_kw": -9.0})
    [(_, body)] = messages(Errand(command, "tx", None), "2.1")
    assert body["scheduleUpdate"] == {"setpoint": 0}


def test_a_station_asks_for_the_plans_power_of_the_moment(charger: Charger, station: Station) -> None:
    schedule(charger, [-25.0])
    assert order(charger, "set_dynamic", setpoint_kw=5.0, seconds=600, pull_every_s=1).state == "accepted"
    wait_for(lambda: power(station) == -25.0)


def test_a_station_follows_the_grids_frequency_and_the_operators_signal(
    charger: Charger, station: Station
) -> None:
    curve = [[49.8, -40.0], [50.0, 0.0], [50.2, 40.0]]
    order(charger, "set_local_frequency", baseline_kw=10.0, curve=curve, seconds=600)
    station.profiles.frequency_hz = 49.9
    assert power(station) == pytest.approx(-10.0)
    station.profiles.frequency_hz = 51.0
    assert power(station) == pytest.approx(50.0)
    order(charger, "set_signal_curve", baseline_kw=0.0, curve=[[-100, -60.0], [100, 60.0]], seconds=600)
    assert order(charger, "afrr_signal", signal=-50).state == "accepted"
    assert power(station) == pytest.approx(-30.0)


def test_priority_charging_is_ordered_and_confirmed(charger: Charger, station: Station) -> None:
    assert order(charger, "priority_charging", on=True).state == "accepted"
    assert station.grid.priority
    wait_for(lambda: StationNotice.objects.filter(kind="NotifyPriorityCharging").exists())


def test_the_inverters_controls_are_set_read_and_cleared_and_its_alarms_heard(
    running: Running, charger: Charger, station: Station
) -> None:
    control = {
        "isDefault": True,
        "controlId": "c1",
        "controlType": "FixedPFInject",
        "fixedPFInject": {"priority": 0, "displacement": 0.9, "excitation": True},
    }
    for action, payload in (
        ("set_der_control", control),
        ("get_der_control", {"controlId": "c1"}),
        ("clear_der_control", {"isDefault": True, "controlId": "c1"}),
    ):
        command = send(charger, action, payload)
        wait_for(lambda pk=command.pk: ChargerCommand.objects.get(pk=pk).state == "accepted")
    report = wait_for(lambda: StationNotice.objects.filter(kind="ReportDERControl").first())
    assert report.data["fixedPFInject"][0]["id"] == "c1"
    assert station.grid.controls == {}
    alarm = {
        "controlType": "FreqDroop",
        "timestamp": datetime.now().astimezone().isoformat(),
        "gridEventFault": "OverVoltage",
    }
    on_loop(running, station.tell, "NotifyDERAlarm", alarm)
    notice = wait_for(lambda: StationNotice.objects.filter(kind="NotifyDERAlarm").first())
    assert notice.level == "warning"
    started = {"controlId": "c1", "started": True, "timestamp": alarm["timestamp"]}
    on_loop(running, station.tell, "NotifyDERStartStop", started)
    wait_for(lambda: StationNotice.objects.filter(kind="NotifyDERStartStop").exists())


def test_who_may_not_discharge_is_not_steered_and_told_why(charger: Charger, station: Station) -> None:
    connector = charger.connectors.get()
    with pytest.raises(ValueError, match="no steering action 'dance'"):
        steer(connector, "dance", {}, "Kim")
    Vehicle.objects.update(v2g_enabled=False)
    with pytest.raises(ValueError, match="V2G is switched off"):
        steer(connector, "set_dynamic", {"setpoint_kw": -5.0, "seconds": 60}, "Kim")
    ChargingSession.objects.all().delete()
    with pytest.raises(ValueError, match="No vehicle that is known"):
        steer(connector, "priority_charging", {"on": True}, "Kim")


def test_a_command_survives_a_database_that_goes_away_around_its_delivery(
    station: Station, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its taking is written but not heard of; later the station's answer cannot be written at first."""
    claim, settle, gone = commands.claim, commands.settle, ["claim", "settle"]

    def lose(name: str, told: Collection[ChargerCommand]) -> None:
        if name in gone and any(one.payload.get("power_kw") == [7.0] for one in told):
            gone.remove(name)
            raise OperationalError("the database went away")

    def claim_unheard(*args: Any) -> list[ChargerCommand]:
        taken = claim(*args)
        lose("claim", taken)
        return taken

    def settle_late(command: ChargerCommand, *args: Any) -> None:
        lose("settle", [command])
        settle(command, *args)

    monkeypatch.setattr(commands, "claim", claim_unheard)
    monkeypatch.setattr(commands, "settle", settle_late)
    wait_for(lambda: not ChargerCommand.objects.filter(state__in=("waiting", "sent")).exists())
    command = schedule(charger, [7.0])
    wait_for(lambda: ChargerCommand.objects.get(pk=command.pk).state == "accepted")
    assert gone == []
    assert ChargerCommand.objects.get(pk=command.pk).attempts == 2
