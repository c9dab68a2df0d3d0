"""The life of a station over real sockets: boots, unknown callers, wrong clocks, lost ids, and attackers."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from charging.models import Charger, ChargerCommand, ChargingSession, StationNotice, UnknownStation
from charging.ocpp import doorman, gateway, link
from charging.services import adoption, certificates, relinking
from charging.services.adoption import adopt, note_unknown
from charging.services.alerts import watch
from charging.services.commands import send
from charging.services.notices import KEEP, note, prune_notices
from charging.services.operations import OPERATIONS, operate
from depot import clock
from depot.models import Alert, AuditEvent, Depot
from tests import factories
from tests.charging.ocpp.conftest import (
    BOOT_16,
    BOOT_201,
    PASSWORD,
    Running,
    Talk,
    dial,
    event,
    knock,
    wait_for,
)
from tests.charging.plans import make_plan_row

STATUS = {"evseId": 1, "connectorId": 1, "connectorStatus": "Occupied", "timestamp": "2026-03-10T16:00:00Z"}


# Boots


@pytest.mark.parametrize(("admission", "word"), [("pending", "Pending"), ("rejected", "Rejected")])
def test_a_station_that_is_not_accepted_says_and_hears_nothing_else(
    running: Running, charger: Charger, admission: str, word: str
) -> None:
    Charger.objects.filter(pk=charger.pk).update(admission=admission)
    waiting = send(charger, "reset", {})
    with dial(running, charger) as socket:
        talk = Talk(socket)
        answer = talk.ask("BootNotification", BOOT_201)[2]
        assert (answer["status"], answer["interval"]) == (word, 60)
        assert talk.ask("StatusNotification", STATUS)[2] == "SecurityError"
        assert talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z"))[2] == "SecurityError"
        time.sleep(0.4)
        assert talk.told == []
        assert not ChargingSession.objects.exists()
        charger.refresh_from_db()
        assert (charger.booted_at, charger.vendor) == (None, "V")
        Charger.objects.filter(pk=charger.pk).update(admission="accepted")
        assert talk.ask("BootNotification", BOOT_201)[2]["status"] == "Accepted"
        talk.listen(lambda: any(action == "Reset" for action, _ in talk.told))
        wait_for(lambda: ChargerCommand.objects.get(pk=waiting.pk).state == "accepted")


def test_a_station_that_is_rejected_later_is_told_nothing_more(talk: Talk, charger: Charger) -> None:
    talk.listen(lambda: len(talk.told) == 1)
    Charger.objects.filter(pk=charger.pk).update(admission="rejected")
    assert talk.ask("BootNotification", BOOT_201)[2]["status"] == "Rejected"
    send(charger, "reset", {})
    time.sleep(0.4)
    assert len(talk.told) == 1


def test_a_short_drop_needs_no_new_boot(running: Running, charger: Charger, talk: Talk) -> None:
    talk.socket.close()
    with dial(running, charger) as socket:
        again = Talk(socket)
        again.listen(lambda: len(again.told) == 1)
        assert again.told[0][0] == "SetChargingProfile", "the safe default, after it has settled"


# Unknown callers


def test_an_unknown_station_is_noted_and_can_be_adopted(running: Running, charger: Charger) -> None:
    for _ in range(3):
        with pytest.raises(InvalidStatus):
            knock(running, charger, identity="NEW-01", user="NEW-01", password="guess")
    stranger = wait_for(lambda: UnknownStation.objects.filter(tries=3).first())  # noted after the answer
    assert (stranger.identity, stranger.protocols) == ("NEW-01", "ocpp2.0.1")
    boss = factories.make_person(charger.depot, "technician")
    made, password = adopt(stranger, charger.node, boss, max_charge_kw=50.0)
    assert (made.admission, made.fallback_kw, made.connectors.count()) == ("pending", 0.0, 1)
    assert not UnknownStation.objects.exists()
    with dial(running, made, password=password) as socket:
        assert Talk(socket).ask("BootNotification", BOOT_201)[2]["status"] == "Pending"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="elsewhere one writes at a time")
def test_knocks_at_the_same_moment_are_all_counted() -> None:
    together = threading.Barrier(4)

    def knock_once(_: int) -> None:
        together.wait()
        note_unknown("NEW-02", "127.0.0.1", "ocpp2.0.1")
        connection.close()

    for _ in range(5):
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(knock_once, range(4)))
        assert UnknownStation.objects.get().tries == 4
        UnknownStation.objects.all().delete()


def test_whoever_guesses_identities_fills_no_table(
    running: Running, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorman, "MOST_STRANGERS", 2)
    for number in range(4):
        with pytest.raises(InvalidStatus):
            knock(running, charger, identity=f"GUESS-{number}", user="x")
    with pytest.raises(InvalidStatus):
        knock(running, charger, identity="'%20OR%201=1", user="x")
    wait_for(lambda: UnknownStation.objects.count() == 2)
    monkeypatch.setattr(adoption, "MOST_UNKNOWN", 1)
    note_unknown("LAST", "::1", "")
    assert [one.identity for one in UnknownStation.objects.all()] == ["LAST"]


# Ids and clocks


def test_1_6_words_without_an_id_find_their_session(running: Running, charger: Charger) -> None:
    with dial(running, charger, version="1.6") as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_16)
        start = {"connectorId": 1, "idTag": "AABBCC", "meterStart": 0, "timestamp": "2026-03-10T16:00:00Z"}
        number = talk.ask("StartTransaction", start)[2]["transactionId"]
        assert number > 0
        value = [{"timestamp": "2026-03-10T16:30:00Z", "sampledValue": [{"value": "500"}]}]
        talk.ask("MeterValues", {"connectorId": 1, "transactionId": -1, "meterValue": value})
        stop = {"transactionId": -1, "meterStop": 900, "timestamp": "2026-03-10T17:00:00Z"}
        assert talk.ask("StopTransaction", stop)[0] == 3
        session = ChargingSession.objects.get()
        assert (session.import_kwh, session.unplugged_at) == (0.9, datetime(2026, 3, 10, 17, tzinfo=UTC))
        assert talk.ask("StopTransaction", stop)[0] == 3
        stop = {"transactionId": 4242, "meterStop": 9, "timestamp": "2026-03-10T18:00:00Z"}
        assert talk.ask("StopTransaction", stop)[0] == 3, "else it would be sent for ever"
    assert ChargingSession.objects.count() == 1
    orphans = StationNotice.objects.filter(kind="orphan", level="warning")
    assert [one.data["transaction_id"] for one in orphans] == ["4242", ""]


def test_a_start_that_is_told_again_after_a_reconnect_has_one_effect(
    running: Running, charger: Charger
) -> None:
    start = {"connectorId": 1, "idTag": "AABBCC", "meterStart": 0, "timestamp": "2026-03-10T16:00:00Z"}
    answers = []
    for _ in range(2):
        with dial(running, charger, version="1.6") as socket:
            talk = Talk(socket)
            answers += [
                talk.ask("StartTransaction", start, "same"),
                talk.ask("StartTransaction", start, "other"),
            ]
    assert len({answer[2]["transactionId"] for answer in answers}) == 1
    assert ChargingSession.objects.count() == 1


def test_a_clock_that_was_never_set_dates_nothing(talk: Talk, charger: Charger) -> None:
    begin = clock.now()
    talk.ask("TransactionEvent", event("Started", 0, "1970-01-01T00:00:05Z", import_wh=0))
    session = ChargingSession.objects.get()
    assert begin <= session.plugged_in_at <= clock.now()
    assert session.samples.get().sampled_at >= begin


def test_a_wrong_clock_is_measured_and_said(talk: Talk, charger: Charger) -> None:
    ahead = (clock.now() + timedelta(minutes=5)).isoformat()
    talk.ask("StatusNotification", STATUS | {"timestamp": ahead})
    charger.refresh_from_db()
    assert charger.clock_offset_s == pytest.approx(300, abs=5)
    watch(charger.depot, clock.now())
    assert "300 s fast" in Alert.objects.get(key=f"clock:{charger.pk}").title.replace("299", "300")
    talk.ask("BootNotification", BOOT_201)
    talk.ask("StatusNotification", STATUS | {"timestamp": clock.now().isoformat()})
    watch(charger.depot, clock.now())
    assert Alert.objects.get(key=f"clock:{charger.pk}").cleared_at is not None


# Notices and operations


def test_alarms_are_alerts_until_they_are_over(running: Running, charger: Charger) -> None:
    alarm = {
        "controlType": "LimitMaxDischarge",
        "gridEventFault": "OverVoltage",
        "timestamp": "2026-03-10T16:00:00Z",
    }
    with dial(running, charger, version="2.1") as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        talk.ask("NotifyDERAlarm", alarm)
        talk.ask(
            "SecurityEventNotification",
            {"type": "TamperDetectionActivated", "timestamp": "2026-03-10T16:00:00Z"},
        )
        watch(charger.depot, clock.now())
        levels = dict(Alert.objects.filter(key__startswith="station:").values_list("key", "level"))
        assert levels == {
            f"station:{charger.pk}:NotifyDERAlarm": "warning", f"station:{charger.pk}:SecurityEvent": "critical",
        }  # fmt: skip
        talk.ask("NotifyDERAlarm", alarm | {"alarmEnded": True})
    watch(charger.depot, clock.now())
    assert Alert.objects.get(key=f"station:{charger.pk}:NotifyDERAlarm").cleared_at is not None


def test_signed_meter_values_are_kept_word_by_word(talk: Talk, charger: Charger) -> None:
    signed = {"signedMeterData": "c2lnbmVk", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}
    start = event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0)
    start["meterValue"][0]["sampledValue"][0]["signedMeterValue"] = signed
    talk.ask("TransactionEvent", start)
    assert StationNotice.objects.get(kind="signed meter value").data["signedMeterData"] == "c2lnbmVk"


def test_operations_are_ordered_by_name_and_recorded(charger: Charger) -> None:
    boss = factories.make_person(charger.depot, "technician")
    certificates.authority().create("Test", clock.wall_now())
    given = {"set_variables": "HeartbeatInterval.Of=5\nOther.One = x", "trigger": "Heartbeat"}
    for name, operation in OPERATIONS.items():
        assert operate(charger, name, boss, given.get(name, "A.B") if operation.asks else "")
    assert AuditEvent.objects.filter(verb__startswith="charger.").count() == len(OPERATIONS)
    with pytest.raises(ValueError, match="no operation 'dance'"):
        operate(charger, "dance", boss)
    for name, wrong, sentence in (
        ("start", " ", "enter the token to charge with"),
        ("set_variables", "Interval", "Write each as name=value"),
        ("read_variables", "Interval", "is not Component.Variable"),
        ("trigger", "MakeCoffee", "does not fit OCPP 2.1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            operate(charger, name, boss, wrong)
    charger.protocol = ""
    with pytest.raises(ValueError, match="never logged in"):
        operate(charger, "trigger", boss, "Heartbeat")


def test_notices_are_forgotten_after_a_month(charger: Charger) -> None:
    note(charger, "x", "y")
    assert prune_notices(charger.depot, clock.now() + KEEP / 2) == 0
    assert prune_notices(charger.depot, clock.now() + KEEP * 2) == 1


# Attackers


def test_an_impostor_with_the_password_does_not_displace_a_live_charger(
    running: Running, charger: Charger, talk: Talk
) -> None:
    talk.listen(lambda: len(talk.told) == 1)
    connection = Charger.objects.get(pk=charger.pk).connection
    for _ in range(10):
        with dial(running, charger) as impostor, pytest.raises(ConnectionClosed):
            send(charger, "reset", {}, coalesce="reset")
            impostor.recv(5)
    talk.listen(lambda: any(action == "Reset" for action, _ in talk.told))
    assert Charger.objects.get(pk=charger.pk).connection == connection
    assert talk.ask("Heartbeat", {})[0] == 3
    assert StationNotice.objects.filter(kind="second log-in", level="warning").exists()


def test_a_charger_ends_only_its_own_transactions(running: Running, charger: Charger) -> None:
    other = factories.make_charger(charger.depot, password_hash=make_password(PASSWORD))
    start = {"connectorId": 1, "idTag": "AABBCC", "meterStart": 0, "timestamp": "2026-03-10T16:00:00Z"}
    with dial(running, charger, version="1.6") as mine, dial(running, other, version="1.6") as theirs:
        number = Talk(mine).ask("StartTransaction", start)[2]["transactionId"]
        stop = {"transactionId": number, "meterStop": 9, "timestamp": "2026-03-10T17:00:00Z"}
        assert Talk(theirs).ask("StopTransaction", stop)[0] == 3
        for transaction in (number, -1):
            Talk(theirs).ask("StopTransaction", stop | {"transactionId": transaction})
    assert ChargingSession.objects.get().unplugged_at is None


def test_noise_ends_the_link(running: Running, charger: Charger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MOST_UNREADABLE", 5)
    with dial(running, charger) as socket, pytest.raises(ConnectionClosed) as closed:
        for _ in range(20):
            socket.send("noise")
        while True:
            socket.recv(5)
    assert closed.value.rcvd.code == 1008


def test_a_flood_of_calls_ends_the_link_and_not_the_gateway(running: Running, charger: Charger) -> None:
    with dial(running, charger) as socket, pytest.raises(ConnectionClosed):
        for number in range(3000):
            socket.send(json.dumps([2, f"n{number}", "StatusNotification", STATUS]))
        while True:
            socket.recv(5)
    wait_for(lambda: not Charger.objects.get(pk=charger.pk).connected)
    with dial(running, charger) as socket:
        assert Talk(socket).ask("Heartbeat", {})[0] == 3


@pytest.mark.parametrize("version", ["ocpp1.5", "soap", "ocpp2.2"])
def test_an_unknown_version_is_refused(running: Running, charger: Charger, version: str) -> None:
    with dial(running, charger, version=version[4:] if version.startswith("ocpp") else "x") as socket:
        assert socket.subprotocol is None
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(5)
    assert closed.value.rcvd.code == 1002


def test_of_several_versions_the_newest_is_taken(running: Running, charger: Charger) -> None:
    def dialled(*versions: str) -> Any:
        return dial(running, charger, version=versions[0], more=versions[1:])

    for versions, best in (
        (("1.6", "2.1", "2.0.1"), "2.1"),
        (("1.6", "2.0.1"), "2.0.1"),
        (("0.9", "1.6"), "1.6"),
    ):
        with dialled(*versions) as socket:
            assert socket.subprotocol == f"ocpp{best}"
        wait_for(lambda: not Charger.objects.get(pk=charger.pk).connected)


def test_a_gateway_that_ends_says_good_bye_slice_by_slice(
    running: Running, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "SLICE", 1)
    monkeypatch.setattr(gateway, "SLICE_PAUSE_S", 1.0)
    others = [factories.make_charger(charger.depot, password_hash=charger.password_hash) for _ in range(2)]
    sockets = [dial(running, one) for one in (charger, *others)]
    wait_for(lambda: Charger.objects.filter(connected=True).count() == len(sockets))
    stopping = threading.Thread(target=running.stop)
    stopping.start()
    wait_for(lambda: any(socket.close_code for socket in sockets))
    assert not all(socket.close_code for socket in sockets), "the others are served a moment longer"
    stopping.join(20)
    assert {socket.close_code for socket in sockets} == {1012}
    assert not Charger.objects.filter(connected=True).exists()


def test_who_is_missed_is_looked_up_once_however_many_leave(
    running: Running, charger: Charger, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look reads all chargers of the depot: one for each that leaves would be their number squared."""
    looks: list[Depot] = []
    look = relinking.plan_for_links
    monkeypatch.setattr(
        relinking, "plan_for_links", lambda depot, now: looks.append(depot) or look(depot, now)
    )
    depot = charger.depot
    Depot.objects.filter(pk=depot.pk).update(dispatch_enabled=True)
    others = [factories.make_charger(depot, password_hash=charger.password_hash) for _ in range(5)]
    Charger.objects.update(booted_at=clock.now())
    now = clock.now()
    plan = make_plan_row(depot, {}, now, dispatched_at=now, notes={"away": []})
    powers = {"start_at": now.isoformat(), "step_seconds": 900, "power_kw": [-20.0] * 8}
    send(charger, "set_schedule", powers | {"evse_id": 1, "max_offline_s": 900}, plan=plan)
    with dial(running, others[0]), ExitStack() as leaving:
        for one in (charger, *others[1:]):
            leaving.enter_context(dial(running, one))
        wait_for(lambda: Charger.objects.filter(connected=True).count() == 6)
        leaving.close()
        wait_for(lambda: asked)
        assert set(asked) == {f"{charger} is lost while it discharges"}
        wait_for(lambda: Charger.objects.filter(connected=True).count() == 1)
        assert 1 <= len(looks) <= 2, "two where the second began between them"
