"""Every message of the three versions over a real socket: what a station may send is answered by its schema."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charging.models import Charger, ChargerCommand, ChargingSession, StationNotice, StationVariable
from charging.ocpp import keeping
from charging.ocpp.events import TokenAsked, TransactionEvent
from charging.ocpp.frames import Fault
from charging.ocpp.journal import HANDLERS
from charging.ocpp.masking import masked
from charging.ocpp.needs import read_needs
from charging.ocpp.schemas import check_response, request_schema
from charging.ocpp.tolerance import mended
from charging.services.commands import send
from charging.services.recognition import find_vehicle
from tests import factories
from tests.charging.ocpp.conftest import BOOT_16, BOOT_201, Running, Talk, dial, event, wait_for
from tests.charging.ocpp.payloads import actions, payload

VERSIONS = ["1.6", "2.0.1", "2.1"]
BOOTS = {"1.6": BOOT_16, "2.0.1": BOOT_201, "2.1": BOOT_201}
MUST_HAVE = {
    "1.6": "Authorize BootNotification DataTransfer DiagnosticsStatusNotification FirmwareStatusNotification Heartbeat "
    "LogStatusNotification MeterValues SecurityEventNotification SignCertificate SignedFirmwareStatusNotification "
    "StartTransaction StatusNotification StopTransaction",
    "2.0.1": "Authorize BootNotification ClearedChargingLimit DataTransfer FirmwareStatusNotification "
    "Get15118EVCertificate GetCertificateStatus Heartbeat LogStatusNotification MeterValues NotifyChargingLimit "
    "NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds NotifyEVChargingSchedule NotifyEvent "
    "NotifyMonitoringReport NotifyReport PublishFirmwareStatusNotification ReportChargingProfiles "
    "ReservationStatusUpdate SecurityEventNotification SignCertificate StatusNotification TransactionEvent",
}
MUST_HAVE["2.1"] = MUST_HAVE["2.0.1"] + (
    " ClosePeriodicEventStream GetCertificateChainStatus NotifyDERAlarm NotifyDERStartStop NotifyPriorityCharging "
    "NotifySettlement NotifyWebPaymentStarted OpenPeriodicEventStream PullDynamicScheduleUpdate ReportDERControl "
    "VatNumberValidation"
)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_of_a_station_is_answered_in_its_schema(
    running: Running, charger: Charger, version: str
) -> None:
    with dial(running, charger, version=version) as socket:
        talk = Talk(socket)
        assert talk.ask("BootNotification", BOOTS[version])[2]["status"] == "Accepted"
        for full in (False, True):
            for action in MUST_HAVE[version].split():
                if action == "BootNotification":
                    continue
                answer = talk.ask(action, payload(version, action, full=full))
                assert answer[0] == 3, f"{action}: {answer}"
                check_response(version, action, answer[2])
        for action in actions(version):
            if action not in HANDLERS[version]:
                assert talk.ask(action, payload(version, action))[2] == "NotSupported", action
        assert talk.ask("MakeCoffee", {})[2] == "NotImplemented"


@pytest.mark.parametrize("version", VERSIONS)
def test_wrong_payloads_get_the_words_of_their_version(
    running: Running, charger: Charger, version: str
) -> None:
    occurrence = "OccurenceConstraintViolation" if version == "1.6" else "OccurrenceConstraintViolation"
    form = "FormationViolation" if version == "1.6" else "FormatViolation"
    connector = {"1.6": {"connectorId": "one"}}.get(version, {"evseId": "one"})
    bad_status = {"1.6": {"status": "Fine"}}.get(version, {"connectorStatus": "Fine"})
    status = payload(version, "StatusNotification")
    with dial(running, charger, version=version) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOTS[version])
        assert talk.ask("BootNotification", {})[2] == occurrence
        assert talk.ask("StatusNotification", status | connector)[2] == "TypeConstraintViolation"
        assert talk.ask("StatusNotification", status | bad_status)[2] == "PropertyConstraintViolation"
        assert talk.ask("Heartbeat", {"x": 1})[2] == form
        socket.send('[2,"a","Heartbeat",[]]')
        assert talk.answer()[:3] == [4, "a", form]
        socket.send('[6,"s","NotifyPeriodicEventStream",{}]')
        if version != "2.1":
            expected = "ProtocolError" if version == "1.6" else "MessageTypeNotSupported"
            assert talk.answer()[:3] == [4, "s", expected]
        assert talk.ask("Heartbeat", {})[0] == 3


def test_a_2_1_stream_is_kept_and_never_answered(running: Running, charger: Charger) -> None:
    stream = {"data": [{"t": 0, "v": "7"}], "id": 3, "pending": 0, "basetime": "2026-03-10T16:00:00Z"}
    with dial(running, charger, version="2.1") as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        socket.send(json.dumps([6, "s1", "NotifyPeriodicEventStream", stream]))
        socket.send(json.dumps([5, "nobody-asked", "FormatViolation", "no", {}]))
        assert talk.ask("Heartbeat", {})[0] == 3
        wait_for(lambda: StationNotice.objects.filter(kind="NotifyPeriodicEventStream").exists())


def test_what_stations_send_wrongly_is_mended_and_said(talk: Talk, charger: Charger) -> None:
    wrong = event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0, power_w=0, soc=50)
    wrong |= {"triggerReason": "LimitSet", "vendorThing": 1, "reservationId": None}
    wrong["meterValue"][0]["sampledValue"][0]["value"] = "12.5"
    wrong["meterValue"][0]["sampledValue"].append({"value": 1, "measurand": "Power.Secret"})
    assert talk.ask("TransactionEvent", wrong)[0] == 3
    assert talk.ask("TransactionEvent", wrong | {"seqNo": 1})[0] == 3
    assert ChargingSession.objects.get().samples.count() == 1
    notice = wait_for(lambda: StationNotice.objects.filter(kind="mended").first())
    assert "TransactionEvent broke its schema" in notice.summary
    assert StationNotice.objects.filter(kind="mended").count() == 1


@pytest.mark.parametrize(
    ("action", "change", "expected"),
    [
        ("MeterValues", {"sampledValue": [{"value": 7.5}]}, [{"value": "7.5"}]),
        (
            "MeterValues",
            {"sampledValue": [{"value": "7"}, {"value": "1", "unit": "horses"}]},
            [{"value": "7"}],
        ),
        ("MeterValues", {"sampledValue": [{"value": "7"}, {"value": None}]}, [{"value": "7"}]),
    ],
)
def test_1_6_samples_are_mended(action: str, change: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    values = {"connectorId": 1, "meterValue": [{"timestamp": "2026-03-10T16:00:00Z", **change}]}
    better, notes = mended("1.6", action, values)
    assert better["meterValue"][0]["sampledValue"] == expected
    assert notes


def test_names_are_never_cut() -> None:
    start = {"connectorId": 1, "idTag": "x" * 21, "meterStart": 10, "timestamp": "2026-03-10T16:00:00Z"}
    with pytest.raises(Fault, match="PropertyConstraintViolation"):
        mended("1.6", "StartTransaction", start)
    assert (
        mended("1.6", "StartTransaction", start | {"idTag": "x", "meterStart": 10.4})[0]["meterStart"] == 10
    )


def test_a_bad_moment_among_good_ones_does_not_cost_the_others() -> None:
    values = {
        "connectorId": 1,
        "meterValue": [
            {"timestamp": "2026-03-10T16:00:00Z", "sampledValue": []},
            {"timestamp": "2026-03-10T16:01:00Z", "sampledValue": [{"value": "5"}]},
        ],
    }
    better, _ = mended("1.6", "MeterValues", values)
    assert [one["timestamp"] for one in better["meterValue"]] == ["2026-03-10T16:01:00Z"]


JSON = st.sampled_from(
    [None, True, -1, 0, 7, 10**9, 0.55, 3.0, "", "Accepted", "x" * 600, [], {}, [1], {"a": 1}]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(version=st.sampled_from(VERSIONS), data=st.data())
def test_the_quick_test_says_what_the_full_validator_says(version: str, data: st.DataObject) -> None:
    action = data.draw(st.sampled_from(actions(version)))
    body = payload(version, action, full=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(0, 3))):
        _spoil(body, data)
    schema = request_schema(version, action)
    if schema.passes(body):
        assert not list(schema.validator.iter_errors(body))
    elif version == "1.6":
        schema.errors(body)
    else:
        integral = any(isinstance(leaf, float) and leaf.is_integer() for leaf in _leaves(body))
        assert list(schema.validator.iter_errors(body)) or integral


def _spoil(value: Any, data: st.DataObject) -> None:
    """Put something else at some place of a payload."""
    while isinstance(value, dict | list) and value:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = data.draw(st.sampled_from(list(keys)))
        if isinstance(value[key], dict | list) and data.draw(st.booleans()):
            value = value[key]
            continue
        value[key] = deepcopy(data.draw(JSON))
        return


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def test_reports_become_variables_without_secrets(talk: Talk, charger: Charger) -> None:
    def row(component: str, variable: str, value: str) -> dict[str, Any]:
        return {
            "component": {"name": component, "evse": {"id": 1}},
            "variable": {"name": variable},
            "variableAttribute": [{"value": value}],
        }

    report = {"requestId": 1, "generatedAt": "2026-03-10T16:00:00Z", "seqNo": 0}
    for value in ("old", "new"):
        rows = [row("SecurityCtrlr", "BasicAuthPassword", "hush"), row("EVSE", "Power", value)]
        assert talk.ask("NotifyReport", report | {"reportData": rows})[0] == 3
    found = {str(one): one.value for one in StationVariable.objects.all()}
    assert found == {"SecurityCtrlr#1.BasicAuthPassword": "***", "EVSE#1.Power": "new"}


def test_secrets_are_masked() -> None:
    body = {
        "key": "AuthorizationKey",
        "value": "hush",
        "location": "ftp://me:hush@host/x",
        "list": [{"csr": "hush"}],
    }
    assert "hush" not in str(masked(body))
    assert masked({"key": "Heartbeat", "value": "5"}) == {"key": "Heartbeat", "value": "5"}


def test_tokens_are_masked_and_still_told_apart() -> None:
    card = {"idToken": "04A1B2C3", "type": "ISO14443"}
    body = {
        "idToken": card,
        "idTag": "04A1B2C3",
        "id_token": "04A1B2C3",
        "groupIdToken": {"idToken": "04FFFF"},
    }
    hidden = masked(body | {"idTagInfo": {"parentIdTag": "04A1B2C3", "status": "Accepted"}, "idTokens": []})
    assert "04A1B2C3" not in str(hidden) and "04FFFF" not in str(hidden)
    assert hidden["idToken"]["type"] == "ISO14443" and hidden["idTagInfo"]["status"] == "Accepted"
    assert hidden["idTag"] == hidden["id_token"] == hidden["idToken"]["idToken"]
    assert hidden["groupIdToken"]["idToken"] != hidden["idTag"]
    told = HANDLERS["1.6"]["Authorize"].event({"idTag": "04A1B2C3"})
    begun = TransactionEvent("started", "7", datetime(2026, 3, 10, tzinfo=UTC), id_token="04A1B2C3")
    assert "04A1B2C3" not in f"{told} {begun!r}"


def test_a_word_that_cannot_be_kept_is_logged_without_its_token(
    depot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "_token", lambda *_: 1 / 0)
    charger = factories.make_charger(depot)
    [verdict] = keeping.apply_all([(charger.pk, TokenAsked("04A1B2C3"))])
    assert isinstance(verdict, Fault)
    assert "TokenAsked" in caplog.text and "04A1B2C3" not in caplog.text


def test_a_vehicle_says_what_it_needs_and_is_offered_both_ways(running: Running, charger: Charger) -> None:
    needs = {
        "evseId": 1,
        "chargingNeeds": {
            "requestedEnergyTransfer": "DC",
            "availableEnergyTransfer": ["DC", "DC_BPT"],
            "departureTime": "2026-03-11T06:00:00Z",
            "dcChargingParameters": {
                "evMaxCurrent": 200,
                "evMaxVoltage": 800,
                "stateOfCharge": 41,
                "evEnergyCapacity": 200_000,
            },
            "v2xChargingParameters": {
                "maxChargePower": 60_000,
                "maxDischargePower": -50_000,
                "evTargetEnergyRequest": 90_000,
            },
        },
    }
    with dial(running, charger, version="2.1") as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        token = {"idToken": {"idToken": "aa:bb:cc", "type": "MacAddress"}}
        allowed = talk.ask("Authorize", token)[2]["allowedEnergyTransfer"]
        assert "DC_BPT" in allowed
        talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0) | token)
        assert talk.ask("NotifyEVChargingNeeds", needs)[2] == {"status": "Accepted"}
        session = ChargingSession.objects.get()
        assert session.needs["max_discharge_kw"] == 50.0
        assert (session.needs["energy_kwh"], session.needs["soc"]) == (90.0, 0.41)
        talk.listen(lambda: any(action == "NotifyAllowedEnergyTransfer" for action, _ in talk.told))
    told = dict(talk.told)["NotifyAllowedEnergyTransfer"]
    assert told == {"transactionId": "tx-1", "allowedEnergyTransfer": ["DC_BPT"]}


def test_needs_are_magnitudes_whatever_the_sign() -> None:
    v2x = {"maxDischargePower": -10_000, "maxDischargePower_L2": -10_000, "maxDischargePower_L3": 10_000}
    needs = read_needs({"chargingNeeds": {"requestedEnergyTransfer": "AC_BPT", "v2xChargingParameters": v2x}})
    assert (needs.max_discharge_kw, needs.bidirectional, needs.said()["mode"]) == (30.0, True, "AC_BPT")


@pytest.mark.parametrize("token", ["AABBCC", "aa:bb:cc", "VID:AABBCC", "aa-bb-cc"])
def test_a_vehicle_is_known_by_its_address_however_it_is_written(charger: Charger, token: str) -> None:
    assert find_vehicle(charger, token) == charger.connectors.get().vehicle
    assert find_vehicle(charger, "AABBCD") is None


def test_a_vehicle_that_names_itself_late_is_recognised(talk: Talk, charger: Charger) -> None:
    guest = factories.make_vehicle(charger.depot, "Bus 02", id_token="GUEST")
    talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0))
    late = {"idToken": {"idToken": "GUEST", "type": "MacAddress"}}
    talk.ask("TransactionEvent", event("Updated", 1, "2026-03-10T16:01:00Z", import_wh=10) | late)
    assert ChargingSession.objects.get().vehicle == guest
    card = {"idToken": {"idToken": "AABBCC", "type": "ISO14443"}}
    talk.ask("TransactionEvent", event("Updated", 2, "2026-03-10T16:02:00Z", import_wh=20) | card)
    assert ChargingSession.objects.get().vehicle == guest


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_to_a_station_goes_out_as_the_standard_has_it(
    running: Running, charger: Charger, version: str
) -> None:
    """Whatever stations do not send is sent to them: all of it, with everything its schema allows."""
    theirs = {*HANDLERS[version], "BatterySwap"}  # the last is refused by name
    ours = [action for action in actions(version) if action not in theirs]
    with dial(running, charger, version=version) as socket:
        talk = Talk(socket)
        talk.reply = lambda action, body: payload(version, action, "Response")
        assert talk.ask("BootNotification", BOOTS[version])[2]["status"] == "Accepted"
        sent = {action: payload(version, action, full=True) for action in ours}
        ids = [send(charger, "call", {"action": action, "payload": body}).pk for action, body in sent.items()]
        rows = ChargerCommand.objects.filter(pk__in=ids)
        talk.listen(lambda: not rows.filter(state__in=("waiting", "sent")).exists(), timeout=40)
    told = dict(talk.told)
    assert {action: told.get(action) for action in sent} == sent
    assert not rows.exclude(state__in=("accepted", "rejected")).exists()
