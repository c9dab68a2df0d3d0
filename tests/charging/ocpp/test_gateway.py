"""The gateway over real sockets: who gets in, what is answered, what is kept."""

from __future__ import annotations

import base64
import json
import socket as sockets
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as project
from django.db import OperationalError
from websockets.exceptions import ConnectionClosed, InvalidStatus

from charging.models import Charger, ChargerCommand, ChargingSession, Connector, MeterSample
from charging.ocpp import doorman, gateway, inbox, keeping, outbox
from charging.ocpp import link as links
from charging.ocpp.events import TransactionEvent
from charging.ocpp.gateway import Gateway
from charging.services import guarding
from charging.services.credentials import new_password
from charging.services.plugs import plug_in
from charging.services.samples import record_sample
from depot import clock
from depot.models import AuditEvent
from depot.services.readings import take_in
from fleet.models import VehicleState
from tests import factories
from tests.charging.ocpp.conftest import BOOT_16, BOOT_201, PASSWORD, Talk, dial, event, knock, wait_for


def test_a_boot_is_answered_and_kept(talk: Talk, charger: Charger) -> None:
    charger.refresh_from_db()
    assert (charger.vendor, charger.model, charger.firmware) == ("V", "M1", "7")
    assert charger.connected and charger.booted_at and charger.protocol == "ocpp2.0.1"
    answer = talk.ask("Heartbeat", {})[2]["currentTime"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(answer)).total_seconds()) < 5


def test_the_end_of_a_link_is_noted(running, charger: Charger) -> None:
    with dial(running, charger):
        wait_for(lambda: Charger.objects.get(pk=charger.pk).connected)
    wait_for(lambda: not Charger.objects.get(pk=charger.pk).connected)


@pytest.mark.parametrize(
    "values",
    [
        {"password": "wrong"},
        {"password": ""},
        {"identity": "unknown"},
        {"user": "somebody-else"},
        {"identity": ""},
    ],
)
def test_without_the_right_credential_nobody_gets_in(running, charger: Charger, values: dict) -> None:
    with pytest.raises(InvalidStatus) as refused:
        knock(running, charger, **values)
    response = refused.value.response
    assert (response.status_code, response.body) == (401, b"")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="OCPP"'


def test_a_charger_without_a_password_cannot_log_in(running, charger: Charger) -> None:
    Charger.objects.update(password_hash="")
    with pytest.raises(InvalidStatus):
        knock(running, charger, password="anything")


def test_a_changed_password_counts_at_once(running, charger: Charger) -> None:
    knock(running, charger)
    charger.set_password("another password")
    charger.save()
    with pytest.raises(InvalidStatus):
        knock(running, charger, password=PASSWORD)


def test_guessing_is_slowed_but_the_true_charger_gets_in(
    running, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that this gateway has never seen, behind the same address."""
    monkeypatch.setattr(doorman, "PAUSE_STEP_S", 0.5)
    took = []
    for _ in range(doorman.FREE_TRIES + 2):
        begin = time.monotonic()
        with pytest.raises(InvalidStatus):
            knock(running, charger, password="guess")
        took.append(time.monotonic() - begin)
    assert took[-1] > 0.9 > max(took[: doorman.FREE_TRIES])
    begin = time.monotonic()
    knock(running, charger)
    assert time.monotonic() - begin < 0.9


def test_whoever_knocks_without_a_credential_holds_up_no_life_signs(
    running, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them chargers that are linked would count as gone."""
    monkeypatch.setattr(gateway, "LIFE_SIGN_S", 0.05)
    monkeypatch.setattr(doorman, "PAUSE_STEP_S", 0.0)
    running.stop()
    running.start()
    with dial(running, charger), ThreadPoolExecutor(8) as crowd:
        monkeypatch.setattr(doorman.Doorman, "admit", lambda self, guest: time.sleep(0.3))
        refused = [crowd.submit(knock, running, charger, password="guess") for _ in range(8)]
        time.sleep(0.2)
        Charger.objects.update(last_seen_at=None)
        wait_for(lambda: Charger.objects.get().last_seen_at, timeout=0.4)
        assert all(isinstance(one.exception(), InvalidStatus) for one in refused)


@pytest.mark.parametrize("what", ["password", "deleted", "rejected"])
def test_a_link_ends_when_its_charger_may_not_come_in_any_more(
    running, charger: Charger, what, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "LIFE_SIGN_S", 0.05)
    running.stop()
    running.start()
    with dial(running, charger) as socket:
        wait_for(lambda: Charger.objects.get(pk=charger.pk).connected)
        charger.refresh_from_db()
        if what == "password":
            new_password(charger, None)
        elif what == "deleted":
            charger.delete()
        else:
            Charger.objects.update(admission="rejected")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(5)
    assert closed.value.rcvd.code == 1008


def test_without_a_common_version_the_link_ends(running, charger: Charger) -> None:
    with dial(running, charger, version="") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(5)
    assert closed.value.rcvd.code == 1002


def test_a_live_charger_is_not_displaced(running, charger: Charger, talk: Talk) -> None:
    with dial(running, charger) as second, pytest.raises(ConnectionClosed) as closed:
        second.recv(5)
    assert closed.value.rcvd.code == 1008
    assert talk.ask("Heartbeat", {})[0] == 3
    assert Charger.objects.get(pk=charger.pk).connected


def test_a_dead_link_is_replaced(running, charger: Charger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PROBE_S", 0.2)
    with silent_charger(running, charger):
        old = wait_for(lambda: Charger.objects.filter(pk=charger.pk, connected=True).first())
        with dial(running, charger) as socket:
            assert Talk(socket).ask("Heartbeat", {})[0] == 3
            time.sleep(0.1)
            now = Charger.objects.get(pk=charger.pk)
            assert now.connected and now.connection == old.connection + 1


def silent_charger(running, charger: Charger) -> sockets.socket:
    """Log in and then never say a word again, not even to a ping."""
    secret = base64.b64encode(f"{charger.identity}:{PASSWORD}".encode()).decode()
    socket = sockets.create_connection(("127.0.0.1", running.gateway.port))
    lines = [
        f"GET /ocpp/{charger.identity} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: ocpp2.0.1", f"Authorization: Basic {secret}", "", "",
    ]  # fmt: skip
    socket.sendall("\r\n".join(lines).encode())
    assert b" 101 " in socket.recv(4096)
    return socket


def test_unknown_actions_are_refused_by_name(talk: Talk) -> None:
    assert talk.ask("MakeCoffee", {})[:3] == [4, "m2", "NotImplemented"]
    assert talk.ask("NotifyDERAlarm", {})[2] == "NotImplemented"
    assert talk.ask("Reset", {"type": "Immediate"})[2] == "NotSupported"


@pytest.mark.parametrize(
    ("frame", "number", "code"),
    [
        ("not json", "-1", "RpcFrameworkError"),
        ("{}", "-1", "RpcFrameworkError"),
        ("[]", "-1", "RpcFrameworkError"),
        ('[2,"a"]', "a", "RpcFrameworkError"),
        ('[2,5,"Heartbeat",{}]', "-1", "RpcFrameworkError"),
        ('[2,"a","Heartbeat",[]]', "a", "FormatViolation"),
        ('[2,"a","Heartbeat",{"x":NaN}]', "-1", "RpcFrameworkError"),
        ("[" * 5000, "-1", "RpcFrameworkError"),
        ('[9,"a"]', "a", "MessageTypeNotSupported"),
        ('[2,"a","BootNotification",{}]', "a", "OccurrenceConstraintViolation"),
        ('[2,"a","Heartbeat",{"x":1}]', "a", "FormatViolation"),
        ('[2,"a","StatusNotification",{"timestamp":"2026-01-01T00:00:00Z","connectorStatus":"Fine","evseId":1,'
         '"connectorId":1}]', "a", "PropertyConstraintViolation"),
        ('[2,"a","StatusNotification",{"timestamp":"yesterday","connectorStatus":"Available","evseId":1,'
         '"connectorId":1}]', "a", "PropertyConstraintViolation"),
        ('[2,"a","StatusNotification",{"timestamp":1,"connectorStatus":"Available","evseId":1,"connectorId":1}]',
         "a", "TypeConstraintViolation"),
    ],
)  # fmt: skip
def test_bad_frames_get_the_right_error(talk: Talk, frame: str, number: str, code: str) -> None:
    talk.socket.send(frame)
    answer = talk.receive()
    while answer[0] == 2:
        answer = talk.receive()
    assert answer[:3] == [4, number, code]
    assert talk.ask("Heartbeat", {})[0] == 3


def test_binary_and_stray_answers_do_no_harm(talk: Talk) -> None:
    talk.socket.send(b"\x00\xff")
    talk.socket.send('[3,"nobody-asked",{}]')
    talk.socket.send('[4,"nobody-asked","GenericError","",{}]')
    assert talk.ask("Heartbeat", {})[0] == 3


def test_too_large_a_frame_ends_the_link(talk: Talk) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        talk.socket.send(json.dumps([2, "a", "Heartbeat", {"x": "y" * 70_000}]))
        while True:
            talk.receive()
    assert closed.value.rcvd.code == 1009


def test_a_stay_becomes_a_session_with_samples_and_a_state(
    talk: Talk, charger: Charger, asked: list[str]
) -> None:
    connector = charger.connectors.get()
    status = {
        "evseId": 1,
        "connectorId": 1,
        "connectorStatus": "Occupied",
        "timestamp": "2026-03-10T16:00:00Z",
    }
    assert talk.ask("StatusNotification", status)[2] == {}
    start = event("Started", 0, "2026-03-10T16:00:00Z", import_wh=5000, export_wh=100, power_w=0, soc=50)
    token = {"idToken": "AABBCC", "type": "MacAddress"}
    assert talk.ask("TransactionEvent", start | {"idToken": token})[2] == {
        "idTokenInfo": {"status": "Accepted"}
    }
    talk.ask(
        "TransactionEvent", event("Updated", 1, "2026-03-10T16:10:00Z", import_wh=9000, power_w=24000, soc=52)
    )
    talk.ask(
        "TransactionEvent", event("Updated", 2, "2026-03-10T16:20:00Z", export_wh=3100, out_w=18000, soc=50.5)
    )
    session = ChargingSession.objects.get(connector=connector)
    assert (session.import_kwh, session.export_kwh, session.soc_in) == (4.0, 3.0, 0.5)
    assert [sample.power_kw for sample in session.samples.all()] == [0.0, 24.0, -18.0]
    state = VehicleState.objects.get(vehicle=connector.vehicle)
    assert (state.soc, state.plugged_in, state.charging_power_kw) == (0.505, True, -18.0)
    talk.ask(
        "TransactionEvent",
        event("Ended", 3, "2026-03-10T16:30:00Z", import_wh=9000, export_wh=3100, soc=50.4),
    )
    session.refresh_from_db()
    assert session.unplugged_at == datetime(2026, 3, 10, 16, 30, tzinfo=UTC)
    assert session.soc_out == pytest.approx(0.504)
    state.refresh_from_db()
    assert (state.plugged_in, state.charging_power_kw) == (False, 0.0)
    assert Connector.objects.get(pk=connector.pk).status == "occupied"
    assert asked == [f"Bus 01 plugged in at {charger.name}", f"Bus 01 unplugged at {charger.name}"]


def test_what_comes_twice_has_one_effect(talk: Talk, charger: Charger) -> None:
    start = event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0, power_w=0, soc=50)
    update = event("Updated", 1, "2026-03-10T16:10:00Z", import_wh=4000, power_w=24000, soc=52)
    for number in ("same", "same", "other"):
        talk.ask("TransactionEvent", start, number)
    for number in ("one", "one", "two"):
        assert talk.ask("TransactionEvent", update, number)[0] == 3
    assert MeterSample.objects.count() == 2
    assert ChargingSession.objects.get().import_kwh == 4.0


def test_a_used_message_id_with_new_content_is_a_new_call(talk: Talk) -> None:
    talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0), "1")
    talk.ask("TransactionEvent", event("Updated", 1, "2026-03-10T16:05:00Z", import_wh=2000), "1")
    assert MeterSample.objects.count() == 2


def test_tokens_are_known_or_not(talk: Talk) -> None:
    def status(token: str, kind: str) -> str:
        answer = talk.ask("Authorize", {"idToken": {"idToken": token, "type": kind}})
        return answer[2]["idTokenInfo"]["status"]

    assert status("AABBCC", "ISO14443") == "Accepted"
    assert status("UNKNOWN", "ISO14443") == "Unknown"
    assert status("", "NoAuthorization") == "Accepted"


def test_notices_are_taken(talk: Talk, charger: Charger) -> None:
    now = "2026-03-10T16:00:00Z"
    event_data = {
        "eventId": 1, "timestamp": now, "trigger": "Alerting", "actualValue": "x",
        "eventNotificationType": "HardWiredNotification", "component": {"name": "A"}, "variable": {"name": "B"},
    }  # fmt: skip
    needs = {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "DC"}}
    limit = {"chargingLimit": {"chargingLimitSource": "SO"}}
    assert talk.ask("NotifyReport", {"requestId": 1, "generatedAt": now, "seqNo": 0})[2] == {}
    assert talk.ask("NotifyEvent", {"generatedAt": now, "seqNo": 0, "eventData": [event_data]})[2] == {}
    assert talk.ask("NotifyEVChargingNeeds", needs)[2] == {"status": "Accepted"}
    assert talk.ask("NotifyChargingLimit", limit)[2] == {}
    assert talk.ask("DataTransfer", {"vendorId": "x"})[2] == {"status": "UnknownVendorId"}
    assert (
        talk.ask("SecurityEventNotification", {"type": "TamperDetectionActivated", "timestamp": now})[2] == {}
    )
    assert AuditEvent.objects.get(verb="charger.security").sentence.endswith("TamperDetectionActivated.")


def test_meter_values_alone_belong_to_what_is_plugged_in(talk: Talk) -> None:
    def values(at: str, wh: float) -> dict:
        sampled = [{"value": wh / 1000, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}]
        return {"evseId": 1, "meterValue": [{"timestamp": at, "sampledValue": sampled}]}

    assert talk.ask("MeterValues", values("2026-03-10T15:00:00Z", 1))[2] == {}
    assert MeterSample.objects.count() == 0
    talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=1000))
    talk.ask("MeterValues", values("2026-03-10T16:30:00Z", 6000))
    assert ChargingSession.objects.get().import_kwh == 5.0
    assert MeterSample.objects.last().power_kw == 10.0


def test_an_update_without_its_start_begins_a_session(talk: Talk) -> None:
    talk.ask("TransactionEvent", event("Updated", 4, "2026-03-10T16:00:00Z", import_wh=0, soc=40))
    assert ChargingSession.objects.get().soc_in == 0.4


def test_one_word_that_cannot_be_kept_does_not_hold_up_others(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = keeping.plug_in

    def failing(connector, transaction_id, *rest, **more):
        if transaction_id == "bad":
            raise ValueError("bad")
        return real(connector, transaction_id, *rest, **more)

    monkeypatch.setattr(keeping, "plug_in", failing)
    connector = Connector.objects.get()
    words = [
        (connector.charger_id, TransactionEvent("started", number, factories.NOW, 1))
        for number in ("good", "bad", "better")
    ]
    verdicts = keeping.apply_all(words)
    assert [type(verdict).__name__ for verdict in verdicts] == ["Outcome", "Fault", "Outcome"]
    assert ChargingSession.objects.count() == 2


def test_words_wait_on_disk_while_the_database_is_away(
    talk: Talk, charger: Charger, monkeypatch: pytest.MonkeyPatch, settings
) -> None:
    monkeypatch.setattr(inbox, "PAUSE_S", 0.05)
    real, away = inbox.apply_all, True

    def absent(words):
        if away:
            raise OperationalError("away")
        return real(words)

    monkeypatch.setattr(inbox, "apply_all", absent)
    start = event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0)
    update = event("Updated", 1, "2026-03-10T16:05:00Z", import_wh=10)
    assert talk.ask("TransactionEvent", start)[0] == 3
    assert talk.ask("TransactionEvent", update, "x")[0] == 3
    assert talk.ask("BootNotification", BOOT_201)[2]["status"] == "Accepted"
    assert MeterSample.objects.count() == 0
    [journal] = (settings.VAR_DIR / "ocpp").glob("journal-*.jsonl")
    assert journal.read_text().count("TransactionEvent") == 2
    away = False
    wait_for(lambda: MeterSample.objects.count() == 2)
    assert talk.ask("TransactionEvent", update, "y")[0] == 3
    assert MeterSample.objects.count() == 2
    wait_for(lambda: journal.read_text() == "")


def test_a_journal_whose_place_cannot_be_kept_ends_no_gateway(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, settings
) -> None:
    monkeypatch.setattr(inbox, "PAUSE_S", 0.05)
    real, away = inbox.apply_all, True

    def absent(words):
        if away:
            raise OperationalError("away")
        return real(words)

    monkeypatch.setattr(inbox, "apply_all", absent)
    assert talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0))[0] == 3
    [journal] = (settings.VAR_DIR / "ocpp").glob("journal-*.jsonl")
    journal.with_suffix(".done").mkdir()
    away = False
    wait_for(lambda: MeterSample.objects.count() == 1)
    update = event("Updated", 1, "2026-03-10T16:05:00Z", import_wh=10)
    assert talk.ask("TransactionEvent", update, "x")[0] == 3
    wait_for(lambda: MeterSample.objects.count() == 2)


def test_a_slow_database_makes_no_charger_wait_long(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "PATIENCE_S", 0.3)
    real, pauses = inbox.apply_all, [1.5]

    def slow(words):
        time.sleep(pauses.pop() if pauses else 0.0)
        return real(words)

    monkeypatch.setattr(inbox, "apply_all", slow)
    begin = time.monotonic()
    assert talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0))[0] == 3
    assert time.monotonic() - begin < 1.2
    time.sleep(1.5)
    assert (ChargingSession.objects.count(), MeterSample.objects.count()) == (1, 1)


def test_the_guard_looks_after_the_depots_of_linked_chargers(
    running, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[list[int]] = []
    monkeypatch.setattr(guarding, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(guarding.Rounds, "look", lambda _rounds, chargers: looks.append(list(chargers)))
    running.stop()
    running.start()
    with dial(running, charger):
        wait_for(lambda: [charger.pk] in looks)


def test_a_reading_above_the_limit_reaches_the_charger_at_once(
    running, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "LOOK_EVERY_S", 0.1)
    running.stop()
    running.start()
    with dial(running, charger, "1.6") as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_16)
        now = clock.now()
        session = plug_in(charger.connectors.get(), "tx", now - timedelta(hours=1), None, 0.5)
        record_sample(session, now - timedelta(seconds=1), 50.0, 10.0, 0.0, None)
        meter = charger.depot.meters.get(kind="grid")
        for seconds, power_kw in ((15, 100), (10, 100), (5, 100), (0, 420)):
            item = {"power_kw": power_kw, "import_kwh_total": 1.0}
            take_in(meter, [item | {"observed_at": (now - timedelta(seconds=seconds)).isoformat()}], now)
        begin = time.monotonic()
        held: list[dict] = []

        def is_held() -> bool:
            profiles = [words for action, words in talk.told if action == "SetChargingProfile"]
            held[:] = [words for words in profiles if words["connectorId"] == 0]
            return bool(held)

        talk.listen(is_held)
        assert time.monotonic() - begin < 3.0
    [period] = held[0]["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    assert period["limit"] == pytest.approx(22_000, abs=100), "50 kW, less the 28 kW above 98 % of 400 kW"


def test_half_a_gateway_does_not_go_on(running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self) -> None:
        raise RuntimeError("broken")

    running.stop()
    monkeypatch.setattr(inbox.Inbox, "run", broken)
    with pytest.raises(RuntimeError, match="broken"):
        running.do(Gateway("127.0.0.1", 0).run())


@pytest.mark.parametrize(("token", "first_w"), [("AABBCC", -20_000), ("GUEST", 0)])
def test_only_the_vehicle_that_was_planned_is_discharged(running, charger: Charger, token, first_w) -> None:
    Charger.objects.filter(pk=charger.pk).update(negative_limits=True)
    connector = charger.connectors.get()
    guest = factories.make_vehicle(charger.depot, "Bus 02", id_token="GUEST")
    with dial(running, charger) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        start = event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0)
        talk.ask("TransactionEvent", start | {"idToken": {"idToken": token, "type": "ISO14443"}})
        assert (ChargingSession.objects.get().vehicle == guest) == (token == "GUEST")
        _schedule(connector, [-20.0, 5.0], vehicle_id=connector.vehicle_id)
        talk.listen(lambda: len(talk.told) == 2)
    periods = talk.told[-1][1]["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert [period["limit"] for period in periods] == [first_w, 5000]


def test_an_unknown_token_is_not_the_vehicle_that_parks_here(talk: Talk, charger: Charger) -> None:
    start = event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0)
    talk.ask("TransactionEvent", start | {"idToken": {"idToken": "WHO", "type": "ISO14443"}})
    assert ChargingSession.objects.get().vehicle is None


def test_a_charger_speaks_only_for_itself(running, charger: Charger, talk: Talk) -> None:
    other = factories.make_charger(charger.depot, password_hash=charger.password_hash)
    talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0))
    with dial(running, other) as socket:
        Talk(socket).ask("TransactionEvent", event("Ended", 1, "2026-03-10T17:00:00Z"))
    assert ChargingSession.objects.get(connector__charger=charger).unplugged_at is None


def test_the_safe_default_comes_first_then_the_schedule(running, charger: Charger) -> None:
    connector = charger.connectors.get()
    _schedule(connector, [11.0, 7.0])
    with dial(running, charger) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        talk.listen(lambda: len(talk.told) == 2)
        wait_for(
            lambda: not ChargerCommand.objects.exclude(state="accepted").exclude(state="superseded").exists()
        )
    default, plan = (payload["chargingProfile"] for _, payload in talk.told)
    assert (default["stackLevel"], default["chargingSchedule"][0]["chargingSchedulePeriod"]) == (
        0, [{"startPeriod": 0, "limit": 6000}],
    )  # fmt: skip
    assert plan["chargingProfilePurpose"] == "TxDefaultProfile"
    assert [period["limit"] for period in plan["chargingSchedule"][0]["chargingSchedulePeriod"]] == [
        11000,
        7000,
    ]


def _schedule(
    connector: Connector, power_kw: list[float], vehicle_id: int | None = None, **values
) -> ChargerCommand:
    from charging.services.commands import send

    payload = {
        "evse_id": 1,
        "start_at": datetime.now(UTC).isoformat(),
        "step_seconds": 900,
        "power_kw": power_kw,
        "max_offline_s": 1800,
        "vehicle_id": vehicle_id,
    }
    return send(connector.charger, "set_schedule", payload, connector=connector,
                coalesce=f"schedule:{connector.pk}", **values)  # fmt: skip


def test_a_schedule_is_sent_again_for_the_transaction(talk: Talk, charger: Charger) -> None:
    _schedule(charger.connectors.get(), [11.0])
    talk.listen(lambda: len(talk.told) == 2)
    talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0))
    talk.listen(lambda: len(talk.told) == 3)
    profile = talk.told[-1][1]["chargingProfile"]
    assert (profile["chargingProfilePurpose"], profile["transactionId"]) == ("TxProfile", "tx-1")


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        ({"status": "Rejected"}, "rejected"),
        (["NotSupported", "no"], "failed"),
        ({"status": "Accepted", "surprise": 1.5}, "accepted"),
    ],
)
def test_what_a_charger_answers_is_kept(talk: Talk, charger: Charger, reply, state: str) -> None:
    talk.listen(lambda: len(talk.told) == 1)
    talk.reply = lambda action, payload: reply
    command = _schedule(charger.connectors.get(), [11.0])
    talk.listen(lambda: len(talk.told) == 2)
    wait_for(lambda: ChargerCommand.objects.get(pk=command.pk).state == state)
    assert ChargerCommand.objects.get(pk=command.pk).answer["answers"][0]["action"] == "SetChargingProfile"


def test_a_command_without_an_answer_is_given_again(running, charger: Charger) -> None:
    command = _schedule(charger.connectors.get(), [11.0])
    with dial(running, charger) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        talk.listen(lambda: len(talk.told) == 1)
        while json.loads(socket.recv(5))[2] != "SetChargingProfile":
            continue
    wait_for(lambda: not Charger.objects.get(pk=charger.pk).connected)
    with dial(running, charger) as socket:
        talk = Talk(socket)
        talk.listen(lambda: len(talk.told) >= 2)
    newest = ChargerCommand.objects.filter(coalesce=command.coalesce).order_by("-created_at").first()
    wait_for(lambda: ChargerCommand.objects.get(pk=newest.pk).state == "accepted")


def test_commands_that_nobody_can_say_fail_by_name(talk: Talk, charger: Charger) -> None:
    from charging.services.commands import send

    command = send(charger, "sing", {})
    talk.listen(lambda: ChargerCommand.objects.get(pk=command.pk).state == "failed")
    assert "knows no action 'sing'" in ChargerCommand.objects.get(pk=command.pk).answer["error"]


def test_a_1_6_charger_is_served(running, charger: Charger) -> None:
    with dial(running, charger, version="1.6") as socket:
        talk = Talk(socket)
        assert talk.ask("BootNotification", BOOT_16)[2]["status"] == "Accepted"
        talk.listen(lambda: len(talk.told) == 1)
        assert talk.ask("Authorize", {"idTag": "AABBCC"})[2] == {"idTagInfo": {"status": "Accepted"}}
        start = {"connectorId": 1, "idTag": "X", "meterStart": 1000, "timestamp": "2026-03-10T16:00:00Z"}
        first, again = talk.ask("StartTransaction", start), talk.ask("StartTransaction", start)
        assert first[2] == again[2] and first[2]["idTagInfo"] == {"status": "Invalid"}
        number = first[2]["transactionId"]
        sampled = [
            {"value": "7.5", "measurand": "Power.Active.Import", "unit": "kW"},
            {"value": "2000", "measurand": "Energy.Active.Import.Register"},
            {"value": "50", "measurand": "Energy.Active.Export.Register"},
            {"value": "61", "measurand": "SoC"},
        ]
        values = [{"timestamp": "2026-03-10T16:30:00Z", "sampledValue": sampled}]
        assert (
            talk.ask("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})[2]
            == {}
        )
        status = {
            "connectorId": 1,
            "errorCode": "NoError",
            "status": "Charging",
            "timestamp": "2026-03-10T16:30:00Z",
        }
        assert talk.ask("StatusNotification", status)[2] == {}
        stop = {"transactionId": number, "meterStop": 3000, "timestamp": "2026-03-10T17:00:00Z"}
        assert talk.ask("StopTransaction", stop)[2] == {}
        assert talk.ask("MakeCoffee", {})[2] == "NotImplemented"
        socket.send("rubbish")
        assert talk.receive()[:3] == [4, "-1", "ProtocolError"]
    session = ChargingSession.objects.get()
    assert (session.import_kwh, session.export_kwh, session.soc_out) == (2.0, 0.0, 0.61)
    assert [row.export_kwh_total for row in session.samples.all()] == [0.05] * 3
    assert session.unplugged_at is not None
    assert Connector.objects.get().status == "occupied"
    assert (
        talk.told[0][1]["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        == 6000
    )


@pytest.mark.services
@pytest.mark.skipif(not project.REDIS_URL, reason="needs Redis: set REDIS_URL")
def test_redis_wakes_the_gateway(talk: Talk, charger: Charger, monkeypatch: pytest.MonkeyPatch) -> None:
    talk.listen(lambda: len(talk.told) == 1)
    monkeypatch.setattr(outbox, "LOOK_EVERY_S", 60.0)
    time.sleep(0.5)
    _schedule(charger.connectors.get(), [11.0])
    talk.listen(lambda: len(talk.told) == 2, timeout=5)
