"""Say commands in the words of each protocol version. PURE but for the moment, which is an argument.

A command has a name of our own and a payload of plain values; here it becomes the calls of OCPP 1.6, 2.0.1 or 2.1.
What a version cannot say is refused by name (ValueError). Whatever has no name of our own goes as `call`, with
action and payload as the standard has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from charging.ocpp.profiles import (
    V16,
    V21,
    Manner,
    Message,
    ceiling_message,
    default_message,
    profile_id,
    wire_time,
)
from depot.words import tr

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What a command is said with: version, moment, a number for requests, the transaction at its connector."""

    version: str
    now: datetime
    number: int
    transaction_id: str = ""
    manner: Manner = field(default_factory=Manner)

    @property
    def old(self) -> bool:
        return self.version == V16


def messages(action: str, payload: Payload, context: Context) -> list[Message]:
    """Return the calls that carry a command, in the order in which they must be accepted.

    Raises ValueError for an action that is not known, or that this version has no words for, and KeyError for a
    part that is missing in the payload.
    """
    say = WORDS.get(action)
    if say is None:
        raise ValueError(f"This gateway knows no action {action!r}; known: {', '.join(sorted(WORDS))}.")
    return say(payload, context)


def _only_since(version: str, name: str, context: Context) -> None:
    if context.version < version:
        raise ValueError(
            tr(
                "OCPP {version} has no {name}; it needs OCPP {least}.",
                version=context.version,
                name=name,
                least=version,
            )
        )


def _default(payload: Payload, context: Context) -> list[Message]:
    return [default_message(context.version, payload["evse_id"], payload["limit_kw"], context.manner)]


def _ceiling(payload: Payload, context: Context) -> list[Message]:
    """Hold the whole station under a power for a while; without one, take the ceiling away."""
    if payload.get("limit_kw") is None:
        return _clear({"level": 0, "purpose": "station", "evse_id": 0}, context)
    limit_kw, seconds = payload["limit_kw"], payload["seconds"]
    return [ceiling_message(context.version, limit_kw, context.now, seconds, context.manner)]


def _start(payload: Payload, context: Context) -> list[Message]:
    token, evse_id = payload["id_token"], payload.get("evse_id", 0)
    if context.old:
        place = {"connectorId": evse_id} if evse_id else {}
        return [("RemoteStartTransaction", {"idTag": token, **place})]
    place = {"evseId": evse_id} if evse_id else {}
    kind = payload.get("token_type", "Central")
    body = {"remoteStartId": context.number, "idToken": {"idToken": token, "type": kind}, **place}
    return [("RequestStartTransaction", body)]


def _stop(payload: Payload, context: Context) -> list[Message]:
    number = payload.get("transaction_id") or context.transaction_id
    if not number:
        raise ValueError(tr("There is no running transaction to stop at this connector."))
    if context.old:
        return [("RemoteStopTransaction", {"transactionId": int(number)})]
    return [("RequestStopTransaction", {"transactionId": number})]


RESETS = {"soft": ("Soft", "OnIdle"), "hard": ("Hard", "Immediate"), "resume": ("", "ImmediateAndResume")}


def _reset(payload: Payload, context: Context) -> list[Message]:
    kind = payload.get("kind", "soft")
    if kind not in RESETS:
        raise ValueError(
            tr("There is no reset {kind!r}; known: {names}.", kind=kind, names=", ".join(RESETS))
        )
    if kind == "resume":
        _only_since(V21, "reset that resumes transactions", context)
    old, new = RESETS[kind]
    place = {"evseId": payload["evse_id"]} if payload.get("evse_id") and not context.old else {}
    return [("Reset", {"type": old if context.old else new, **place})]


def _unlock(payload: Payload, context: Context) -> list[Message]:
    if context.old:
        return [("UnlockConnector", {"connectorId": payload["evse_id"]})]
    body = {"evseId": payload["evse_id"], "connectorId": payload.get("connector_id", 1)}
    return [("UnlockConnector", body)]


def _availability(payload: Payload, context: Context) -> list[Message]:
    kind, evse_id = ("Operative" if payload["operative"] else "Inoperative"), payload.get("evse_id", 0)
    if context.old:
        return [("ChangeAvailability", {"connectorId": evse_id, "type": kind})]
    place = {"evse": _evse(payload)} if evse_id else {}
    return [("ChangeAvailability", {"operationalStatus": kind, **place})]


def _evse(payload: Payload) -> dict[str, int]:
    connector = {"connectorId": payload["connector_id"]} if payload.get("connector_id") else {}
    return {"id": payload["evse_id"], **connector}


OLD_TRIGGERS = (
    "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification", "Heartbeat", "MeterValues",
    "StatusNotification",
)  # fmt: skip
OLD_EXTENDED = {"SignChargingStationCertificate": "SignChargePointCertificate"}
"""What 1.6 asks for by ExtendedTriggerMessage, where its name differs."""


def _trigger(payload: Payload, context: Context) -> list[Message]:
    message, evse_id = payload["message"], payload.get("evse_id", 0)
    if context.old:
        place = {"connectorId": evse_id} if evse_id else {}
        action = "TriggerMessage" if message in OLD_TRIGGERS else "ExtendedTriggerMessage"
        return [(action, {"requestedMessage": OLD_EXTENDED.get(message, message), **place})]
    place = {"evse": _evse(payload)} if evse_id else {}
    return [("TriggerMessage", {"requestedMessage": message, **place})]


def _place(name: str) -> dict[str, Any]:
    """Return component and variable of a name like "SampledDataCtrlr.TxUpdatedInterval"."""
    component, dot, variable = name.partition(".")
    if not dot:
        raise ValueError(tr("{name!r} is not Component.Variable, as OCPP 2 names its variables.", name=name))
    return {"component": {"name": component}, "variable": {"name": variable}}


def _get_variables(payload: Payload, context: Context) -> list[Message]:
    names = payload["names"]
    if context.old:
        return [("GetConfiguration", {"key": names})]
    return [("GetVariables", {"getVariableData": [_place(name) for name in names]})]


def _set_variables(payload: Payload, context: Context) -> list[Message]:
    values = payload["values"]
    if context.old:
        return [("ChangeConfiguration", {"key": name, "value": str(value)}) for name, value in values.items()]
    data = [{"attributeValue": str(value), **_place(name)} for name, value in values.items()]
    return [("SetVariables", {"setVariableData": data})]


def _report(payload: Payload, context: Context) -> list[Message]:
    if context.old:
        return [("GetConfiguration", {})]
    return [
        ("GetBaseReport", {"requestId": context.number, "reportBase": payload.get("base", "FullInventory")})
    ]


def _log(payload: Payload, context: Context) -> list[Message]:
    kind, span = payload.get("kind", "DiagnosticsLog"), (payload.get("from_at"), payload.get("to_at"))
    if context.old and kind == "DiagnosticsLog":
        times = {name: at for name, at in zip(("startTime", "stopTime"), span, strict=True) if at}
        return [("GetDiagnostics", {"location": payload["url"], **times})]
    times = {name: at for name, at in zip(("oldestTimestamp", "latestTimestamp"), span, strict=True) if at}
    log = {"remoteLocation": payload["url"], **times}
    return [("GetLog", {"logType": kind, "requestId": context.number, "log": log})]


def _firmware(payload: Payload, context: Context) -> list[Message]:
    at = payload.get("retrieve_at") or wire_time(context.now)
    signed = {
        ours: payload[name]
        for name, ours in (("certificate", "signingCertificate"), ("signature", "signature"))
        if name in payload
    }
    if context.old and not signed:
        return [("UpdateFirmware", {"location": payload["url"], "retrieveDate": at})]
    install = {"installDateTime": payload["install_at"]} if payload.get("install_at") else {}
    firmware = {"location": payload["url"], "retrieveDateTime": at, **install, **signed}
    action = "SignedUpdateFirmware" if context.old else "UpdateFirmware"
    return [(action, {"requestId": context.number, "firmware": firmware})]


def _local_list(payload: Payload, context: Context) -> list[Message]:
    kind, tokens = payload.get("kind", "Full"), payload["tokens"]
    if context.old:
        rows: list[dict[str, Any]] = [
            {"idTag": token, "idTagInfo": {"status": "Accepted"}} for token in tokens
        ]
        name = "listVersion"
    else:
        rows = [
            {"idToken": {"idToken": token, "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}
            for token in tokens
        ]
        name = "versionNumber"
    filled = {"localAuthorizationList": rows} if rows else {}
    return [("SendLocalList", {name: payload["version"], "updateType": kind, **filled})]


def _plain(action: str) -> Callable[[Payload, Context], list[Message]]:
    """Return how a call without any values is said."""
    return lambda payload, context: [(action, {})]


def _composite(payload: Payload, context: Context) -> list[Message]:
    name = "connectorId" if context.old else "evseId"
    body = {name: payload["evse_id"], "duration": payload["seconds"]}
    return [("GetCompositeSchedule", body | {"chargingRateUnit": payload.get("unit", "W")})]


PURPOSES = {
    "default": ("TxDefaultProfile", "TxDefaultProfile"),
    "transaction": ("TxProfile", "TxProfile"),
    "station": ("ChargePointMaxProfile", "ChargingStationMaxProfile"),
}


def _clear(payload: Payload, context: Context) -> list[Message]:
    """Take profiles away: one by EVSE and level, or all that fit."""
    evse_id, level, purpose = payload.get("evse_id"), payload.get("level"), payload.get("purpose")
    word = PURPOSES[purpose][0 if context.old else 1] if purpose else None
    criteria: dict[str, Any] = {"chargingProfilePurpose": word, "stackLevel": level}
    if context.old:
        one = {"id": profile_id(evse_id, level)} if evse_id and level is not None and not purpose else {}
        if not one:
            one = {name: value for name, value in criteria.items() if value is not None}
            one |= {"connectorId": evse_id} if evse_id is not None else {}
        return [("ClearChargingProfile", one)]
    if evse_id and level is not None and not purpose:
        return [("ClearChargingProfile", {"chargingProfileId": profile_id(evse_id, level)})]
    if evse_id is not None:
        criteria["evseId"] = evse_id
    found = {name: value for name, value in criteria.items() if value is not None}
    return [("ClearChargingProfile", {"chargingProfileCriteria": found} if found else {})]


def _get_profiles(payload: Payload, context: Context) -> list[Message]:
    _only_since("2.0.1", "GetChargingProfiles", context)
    place = {"evseId": payload["evse_id"]} if "evse_id" in payload else {}
    return [("GetChargingProfiles", {"requestId": context.number, "chargingProfile": {}, **place})]


OLD_CERTIFICATES = {"CSMSRootCertificate": "CentralSystemRootCertificate"}


def _install_certificate(payload: Payload, context: Context) -> list[Message]:
    kind = payload["kind"]
    kind = OLD_CERTIFICATES.get(kind, kind) if context.old else kind
    return [("InstallCertificate", {"certificateType": kind, "certificate": payload["pem"]})]


def _certificates(payload: Payload, context: Context) -> list[Message]:
    kind = payload.get("kind", "CSMSRootCertificate")
    if context.old:
        return [("GetInstalledCertificateIds", {"certificateType": OLD_CERTIFICATES.get(kind, kind)})]
    return [("GetInstalledCertificateIds", {"certificateType": [kind]})]


def _delete_certificate(payload: Payload, context: Context) -> list[Message]:
    return [("DeleteCertificate", {"certificateHashData": payload["hash"]})]


def _signed_certificate(payload: Payload, context: Context) -> list[Message]:
    kind = {} if context.old else {"certificateType": "ChargingStationCertificate"}
    return [("CertificateSigned", {"certificateChain": payload["chain"], **kind})]


def _transaction_status(payload: Payload, context: Context) -> list[Message]:
    _only_since("2.0.1", "GetTransactionStatus", context)
    return [("GetTransactionStatus", {"transactionId": payload["transaction_id"]})]


def _allow_transfer(payload: Payload, context: Context) -> list[Message]:
    _only_since(V21, "NotifyAllowedEnergyTransfer", context)
    body = {"transactionId": payload["transaction_id"], "allowedEnergyTransfer": payload["modes"]}
    return [("NotifyAllowedEnergyTransfer", body)]


def _setpoint(payload: Payload, context: Context) -> list[Message]:
    """Move the running step of a dynamic profile; only what is given moves."""
    _only_since(V21, "UpdateDynamicSchedule", context)
    names = {"setpoint_kw": "setpoint", "limit_kw": "limit", "discharge_limit_kw": "dischargeLimit"}
    update = {ours: round(payload[name] * 1000) for name, ours in names.items() if name in payload}
    if not update:
        raise ValueError(f"A set-point needs at least one of {', '.join(names)}.")
    return [("UpdateDynamicSchedule", {"chargingProfileId": payload["profile_id"], "scheduleUpdate": update})]


def _priority(payload: Payload, context: Context) -> list[Message]:
    _only_since(V21, "UsePriorityCharging", context)
    number = payload.get("transaction_id") or context.transaction_id
    return [("UsePriorityCharging", {"transactionId": number, "activate": payload["on"]})]


def _afrr(payload: Payload, context: Context) -> list[Message]:
    _only_since(V21, "AFRRSignal", context)
    return [("AFRRSignal", {"timestamp": wire_time(context.now), "signal": payload["signal"]})]


def _der(action: str) -> Callable[[Payload, Context], list[Message]]:
    """Return how a control of the inverter is said: its curve or limit as the standard has it."""

    def say(payload: Payload, context: Context) -> list[Message]:
        _only_since(V21, action, context)
        numbered = {"requestId": context.number} if action == "GetDERControl" else {}
        return [(action, {**numbered, **payload})]

    return say


def _data(payload: Payload, context: Context) -> list[Message]:
    rest = {
        ours: payload[name] for name, ours in (("message", "messageId"), ("data", "data")) if name in payload
    }
    return [("DataTransfer", {"vendorId": payload["vendor"], **rest})]


def _call(payload: Payload, context: Context) -> list[Message]:
    return [(payload["action"], dict(payload.get("payload", {})))]


WORDS: dict[str, Callable[[Payload, Context], list[Message]]] = {
    "set_default": _default,
    "set_ceiling": _ceiling,
    "remote_start": _start,
    "remote_stop": _stop,
    "reset": _reset,
    "unlock": _unlock,
    "availability": _availability,
    "trigger": _trigger,
    "get_variables": _get_variables,
    "set_variables": _set_variables,
    "report": _report,
    "get_log": _log,
    "update_firmware": _firmware,
    "local_list": _local_list,
    "local_list_version": _plain("GetLocalListVersion"),
    "clear_cache": _plain("ClearCache"),
    "composite": _composite,
    "clear_profiles": _clear,
    "get_profiles": _get_profiles,
    "install_certificate": _install_certificate,
    "certificates": _certificates,
    "delete_certificate": _delete_certificate,
    "certificate_signed": _signed_certificate,
    "transaction_status": _transaction_status,
    "allow_energy_transfer": _allow_transfer,
    "setpoint": _setpoint,
    "priority_charging": _priority,
    "afrr_signal": _afrr,
    "set_der_control": _der("SetDERControl"),
    "get_der_control": _der("GetDERControl"),
    "clear_der_control": _der("ClearDERControl"),
    "data_transfer": _data,
    "call": _call,
}

YES = {"Accepted", "AcceptedCanceled", "Scheduled", "RebootRequired", "Unlocked", "Downloading"}
WHATEVER = {"ClearChargingProfile", "GetVariables", "GetInstalledCertificateIds", "GetLocalListVersion"}
"""Calls whose answer is taken as it is: nothing to clear, or nothing installed, is no refusal."""


def is_yes(action: str, answer: Mapping[str, Any]) -> bool:
    """Tell whether a station's answer means that it does what it was told."""
    if action in WHATEVER:
        return True
    results = answer.get("setVariableResult")
    if isinstance(results, list):
        return all(isinstance(one, dict) and one.get("attributeStatus") in YES for one in results)
    return answer.get("status", "Accepted") in YES


def is_unclear(action: str, answer: Mapping[str, Any], broken: bool) -> bool:
    """Tell whether an answer that breaks its schema leaves open what the station does."""
    return broken and action not in WHATEVER and not {"status", "setVariableResult"} & answer.keys()
