"""Commands in the words of each version: every one keeps its schema, and reaches a charger over a real socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from websockets.exceptions import InvalidStatus

from charging.models import Charger, ChargerCommand, Dialect, StationNotice, StationVariable
from charging.ocpp import outbox
from charging.ocpp.profiles import VERSIONS, Manner, Message
from charging.ocpp.schemas import check_request
from charging.ocpp.wording import WORDS, Context, is_unclear, is_yes, messages
from charging.services import commands
from charging.services.commands import send
from charging.services.credentials import readings
from charging.services.dialects import dialects_of
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

NOW = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "c"}
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "set_default": [{"evse_id": 1, "limit_kw": 6.0}],
    "set_ceiling": [{"limit_kw": 20.0, "seconds": 60}, {"limit_kw": None}],
    "remote_start": [{"evse_id": 1, "id_token": "A"}, {"id_token": "A"}],
    "remote_stop": [{"transaction_id": "77"}, {"evse_id": 1}],
    "reset": [{"kind": "soft"}, {"kind": "hard", "evse_id": 1}],
    "unlock": [{"evse_id": 1, "connector_id": 1}],
    "availability": [{"operative": False}, {"operative": True, "evse_id": 1, "connector_id": 1}],
    "trigger": [{"message": "StatusNotification", "evse_id": 1}, {"message": "LogStatusNotification"}],
    "get_variables": [{"names": ["SampledDataCtrlr.TxUpdatedInterval"]}],
    "set_variables": [{"values": {"SampledDataCtrlr.TxUpdatedInterval": 10}}],
    "report": [{}],
    "get_log": [
        {"url": "ftp://x/y", "from_at": "2026-03-10T16:00:00Z"},
        {"url": "ftp://x/y", "kind": "SecurityLog"},
    ],
    "update_firmware": [{"url": "ftp://x/y"}, {"url": "ftp://x/y", "certificate": "c", "signature": "s"}],
    "local_list": [{"version": 1, "tokens": ["A"]}, {"version": 2, "tokens": [], "kind": "Differential"}],
    "local_list_version": [{}],
    "clear_cache": [{}],
    "composite": [{"evse_id": 1, "seconds": 900}],
    "clear_profiles": [{"evse_id": 1, "level": 1}, {"purpose": "default", "evse_id": 1}, {}],
    "get_profiles": [{"evse_id": 1}],
    "install_certificate": [{"kind": "CSMSRootCertificate", "pem": "x"}],
    "certificates": [{}],
    "delete_certificate": [{"hash": HASH}],
    "certificate_signed": [{"chain": "x"}],
    "transaction_status": [{"transaction_id": "a"}],
    "allow_energy_transfer": [{"transaction_id": "a", "modes": ["DC_BPT"]}],
    "setpoint": [
        {"profile_id": 13, "setpoint_kw": -12.0},
        {"profile_id": 13, "limit_kw": 1, "discharge_limit_kw": -1},
    ],
    "priority_charging": [{"transaction_id": "a", "on": True}],
    "afrr_signal": [{"signal": -10}],
    "set_der_control": [
        {
            "isDefault": True,
            "controlId": "c1",
            "controlType": "LimitMaxDischarge",
            "limitMaxDischarge": {"priority": 0, "pctMaxDischargePower": 50},
        },
        {
            "isDefault": True,
            "controlId": "c2",
            "controlType": "FixedPFInject",
            "fixedPFInject": {"priority": 0, "displacement": 0.9, "excitation": True},
        },
    ],
    "get_der_control": [{}],
    "clear_der_control": [{"isDefault": True}],
    "data_transfer": [{"vendor": "v", "message": "m", "data": "d"}],
    "call": [{"action": "ClearCache"}],
}
SINCE_201 = {"get_profiles", "transaction_status"}
SINCE_21 = {
    "allow_energy_transfer", "setpoint", "priority_charging", "afrr_signal", "set_der_control", "get_der_control",
    "clear_der_control",
}  # fmt: skip


def said(action: str, payload: dict[str, Any], version: str) -> list[Message]:
    return messages(action, payload, Context(version, NOW, 5, "77"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_command_is_said_in_the_schema_of_its_version(version: str) -> None:
    assert SAMPLES.keys() == WORDS.keys()
    for action, payloads in SAMPLES.items():
        missing = (action in SINCE_21 and version != "2.1") or (action in SINCE_201 and version == "1.6")
        for payload in payloads:
            if missing:
                with pytest.raises(ValueError, match=rf"OCPP {version} has no "):
                    said(action, payload, version)
                continue
            for name, body in said(action, payload, version):
                check_request(version, name, body)


def test_what_cannot_be_said_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no reset 'gently'"):
        said("reset", {"kind": "gently"}, "2.1")
    with pytest.raises(ValueError, match="not Component"):
        said("get_variables", {"names": ["Interval"]}, "2.0.1")
    with pytest.raises(ValueError, match="at least one of"):
        said("setpoint", {"profile_id": 1}, "2.1")
    with pytest.raises(ValueError, match="no running transaction"):
        messages("remote_stop", {}, Context("2.1", NOW, 5))


@pytest.mark.parametrize(
    ("action", "answer", "yes"),
    [
        ("SetChargingProfile", {"status": "Accepted"}, True),
        ("SetChargingProfile", {"status": "Rejected"}, False),
        ("ChangeAvailability", {"status": "Scheduled"}, True),
        ("ChangeConfiguration", {"status": "RebootRequired"}, True),
        ("UnlockConnector", {"status": "Unlocked"}, True),
        ("UnlockConnector", {"status": "UnlockFailed"}, False),
        ("ClearChargingProfile", {"status": "Unknown"}, True),
        ("UpdateFirmware", {}, True),
        ("GetConfiguration", {"configurationKey": []}, True),
        ("SetVariables", {"setVariableResult": [{"attributeStatus": "Accepted"}]}, True),
        (
            "SetVariables",
            {"setVariableResult": [{"attributeStatus": "Accepted"}, {"attributeStatus": "No"}]},
            False,
        ),
    ],
)
def test_what_counts_as_a_yes(action: str, answer: dict[str, Any], yes: bool) -> None:
    assert is_yes(action, answer) is yes
    assert not is_unclear(action, answer, broken=False)
    assert is_unclear("SetChargingProfile", {"state": "Accepted"}, broken=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_commands_reach_the_charger_and_their_answers_are_kept(
    running: Running, charger: Charger, version: str
) -> None:
    rows = {
        "1.6": {"configurationKey": [{"key": "HeartbeatInterval", "value": "300", "readonly": False}]},
        "2.0.1": {"status": "Accepted"},
        "2.1": {"status": "Accepted"},
    }[version]
    with dial(running, charger, version=version) as socket:
        talk = Talk(socket)
        talk.reply = lambda action, payload: (
            rows if action in ("GetConfiguration", "GetBaseReport") else {"status": "Accepted"}
        )
        talk.ask("BootNotification", BOOT_16 if version == "1.6" else BOOT_201)
        talk.listen(lambda: len(talk.told) == 1)
        with transaction.atomic():
            ids = [
                send(charger, action, SAMPLES[action][0]).pk
                for action in ("report", "reset", "remote_start", "unlock")
            ]
            ids.append(send(charger, "remote_stop", {"transaction_id": "77"}).pk)
        talk.listen(lambda: len(talk.told) == 6)
        wait_for(lambda: ChargerCommand.objects.filter(pk__in=ids).exclude(state="accepted").count() <= 1)
    told = [action for action, _ in talk.told]
    assert told[-1] in ("GetConfiguration", "GetBaseReport"), "reports come last"
    assert set(told[1:3]) <= {"UnlockConnector", "RemoteStopTransaction", "RequestStopTransaction", "Reset"}
    if version == "1.6":
        assert wait_for(StationVariable.objects.first).value == "300"


def test_a_stop_finds_the_transaction_at_its_connector(talk: Talk, charger: Charger) -> None:
    talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0))
    send(charger, "remote_stop", {"evse_id": 1})
    talk.listen(lambda: any(action == "RequestStopTransaction" for action, _ in talk.told))
    assert dict(talk.told)["RequestStopTransaction"] == {"transactionId": "tx-1"}


def test_what_2_1_adds_goes_out_with_all_its_names(running: Running, charger: Charger) -> None:
    with dial(running, charger, version="2.1") as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        period = {
            "startPeriod": 0,
            "setpoint": -1,
            "setpoint_L2": -2,
            "setpoint_L3": -3,
            "operationMode": "CentralSetpoint",
        }
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period],
                    "limitAtSoC": {"soc": 80, "limit": 5}}  # fmt: skip
        profile = {"id": 1, "stackLevel": 3, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Dynamic",
                   "transactionId": "t", "chargingSchedule": [schedule]}  # fmt: skip
        body = {"evseId": 1, "chargingProfile": profile}
        send(charger, "call", {"action": "SetChargingProfile", "payload": body})
        send(charger, "set_der_control", SAMPLES["set_der_control"][1])
        talk.listen(lambda: any(action == "SetDERControl" for action, _ in talk.told))
    assert ("SetChargingProfile", body) in talk.told
    assert dict(talk.told)["SetDERControl"] == SAMPLES["set_der_control"][1]


def test_a_passing_error_is_tried_again_a_no_is_not(
    talk: Talk, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "RETRY_AFTER", timedelta(seconds=0.05))
    talk.listen(lambda: len(talk.told) == 1)
    replies: list[Any] = [["InternalError", "busy"], {"status": "Accepted"}]
    talk.reply = lambda action, payload: replies.pop(0)
    command = send(charger, "composite", {"evse_id": 1, "seconds": 900})
    talk.listen(lambda: ChargerCommand.objects.get(pk=command.pk).state == "accepted")
    assert ChargerCommand.objects.get(pk=command.pk).attempts == 2
    replies[:] = [["InternalError", "busy"]]
    once = send(charger, "remote_start", {"id_token": "A"})
    talk.listen(lambda: ChargerCommand.objects.get(pk=once.pk).state == "failed")
    assert ChargerCommand.objects.get(pk=once.pk).attempts == 1


def test_an_answer_that_says_nothing_leaves_the_outcome_open(talk: Talk, charger: Charger) -> None:
    talk.listen(lambda: len(talk.told) == 1)
    talk.reply = lambda action, payload: {"state": "Accepted"}
    command = send(charger, "reset", {})
    talk.listen(lambda: ChargerCommand.objects.get(pk=command.pk).state == "failed")
    assert "outcome is not known" in ChargerCommand.objects.get(pk=command.pk).answer["error"]


@pytest.mark.parametrize(("version", "boot"), [("1.6", BOOT_16), ("2.0.1", BOOT_201)])
def test_a_password_is_renewed_and_until_it_is_used_both_count(
    running: Running, charger: Charger, version: str, boot: dict[str, Any]
) -> None:
    with dial(running, charger, version=version) as socket:
        talk = Talk(socket)
        talk.reply = lambda action, payload: (
            {"setVariableResult": [{"attributeStatus": "Accepted", **payload["setVariableData"][0]}]}
            if action == "SetVariables"
            else {"status": "Accepted"}
        )
        talk.ask("BootNotification", boot)
        send(charger, "new_password", {})
        talk.listen(lambda: {"ChangeConfiguration", "SetVariables"} & {action for action, _ in talk.told})
        wait_for(lambda: ChargerCommand.objects.get(action="new_password").state == "accepted")
    body = talk.told[-1][1]
    new = body["value"] if version == "1.6" else body["setVariableData"][0]["attributeValue"]
    assert new not in str(list(ChargerCommand.objects.values("payload", "answer")))
    knock(running, charger, password=PASSWORD)
    knock(running, charger, password=new)
    with pytest.raises(InvalidStatus):
        knock(running, charger, password=PASSWORD)
    knock(running, charger, password=readings(new)[-1])


def test_a_password_the_charger_refuses_is_forgotten(talk: Talk, charger: Charger) -> None:
    talk.listen(lambda: len(talk.told) == 1)
    talk.reply = lambda action, payload: ["NotSupported", "no"]
    send(charger, "new_password", {})
    talk.listen(lambda: ChargerCommand.objects.get(action="new_password").state == "failed")
    assert Charger.objects.get(pk=charger.pk).next_password_hash == ""


def test_a_dialect_is_found_by_model_and_firmware(charger: Charger) -> None:
    Charger.objects.filter(pk=charger.pk).update(vendor="ACME", model="M1", firmware="7.1")
    charger.refresh_from_db()
    assert dialects_of([charger]) == {}
    values = [("acme", "", ""), ("ACME", "M1", ""), ("ACME", "M1", "7."), ("ACME", "M2", "7.1")]
    rows = [Dialect.objects.create(depot=charger.depot, vendor=v, model=m, firmware=f) for v, m, f in values]
    assert dialects_of([charger]) == {charger.pk: rows[2]}
    rows[2].delete()
    assert dialects_of([charger]) == {charger.pk: rows[1]}


def test_a_dialect_shapes_what_is_sent(running: Running, charger: Charger) -> None:
    Dialect.objects.create(
        depot=charger.depot, vendor="V", rate_unit="A", phases=1, whole_numbers=False, pause_s=1
    )
    with dial(running, charger) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        talk.listen(lambda: len(talk.told) == 1)
    schedule = talk.told[0][1]["chargingProfile"]["chargingSchedule"][0]
    assert schedule["chargingRateUnit"] == "A"
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 26.0, "numberPhases": 1}]


def test_rates_are_never_above_what_was_asked() -> None:
    assert Manner(unit="A").rate(11.0) == 15
    assert Manner(unit="A", whole_numbers=False).rate(11.0) == 15.9
    assert Manner(unit="A").rate(-11.0) == -15
    assert Manner().rate(7.4) == 7400


@pytest.mark.django_db
def test_a_gap_in_a_transaction_is_asked_for(talk: Talk, charger: Charger) -> None:
    talk.reply = lambda action, payload: (
        {"messagesInQueue": False} if action == "GetTransactionStatus" else {"status": "Accepted"}
    )
    talk.ask("TransactionEvent", event("Started", 0, "2026-03-10T16:00:00Z", import_wh=0))
    talk.ask("TransactionEvent", event("Ended", 4, "2026-03-10T17:00:00Z", import_wh=9))
    talk.listen(lambda: StationNotice.objects.filter(kind="missing messages").count() == 2)
    assert dict(talk.told)["GetTransactionStatus"] == {"transactionId": "tx-1"}
    assert outbox.capability_of(charger).manner == Manner()
