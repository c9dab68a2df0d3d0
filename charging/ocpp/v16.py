"""Understand and answer what OCPP 1.6 stations send.

A 1.6 station leaves it to us to number its transactions, so a started event comes without an id.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.ocpp.answers import accept_boot, noted, nothing_for_vendor, signed, tell_time
from charging.ocpp.events import (
    POWER_IN,
    POWER_OUT,
    REGISTER_IN,
    SOC,
    Booted,
    Event,
    Handler,
    Noticed,
    Outcome,
    Reading,
    Sampled,
    SecurityEvent,
    SigningAsked,
    StatusChanged,
    TokenAsked,
    TransactionEvent,
    moment,
    reading,
)
from charging.ocpp.frames import Fault
from charging.ocpp.v201 import notice
from depot.words import later

Payload = dict[str, Any]
OCCUPIED = ("Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing")


def _booted(payload: Payload) -> Booted:
    return Booted(
        payload["chargePointVendor"],
        payload["chargePointModel"],
        payload.get("firmwareVersion", ""),
        payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber") or "",
    )


def _status(payload: Payload) -> Event | None:
    """Return the status of a connector; connector 0 is the station itself, of which only faults are kept."""
    at = moment(payload["timestamp"]) if "timestamp" in payload else None
    if payload["connectorId"] == 0:
        if payload["errorCode"] == "NoError":
            return None
        words = later(
            "The station reports {fault}. {info}", fault=payload["errorCode"], info=payload.get("info", "")
        )
        return Noticed("StatusNotification", words, payload, at, level="warning")
    status = "occupied" if payload["status"] in OCCUPIED else payload["status"].lower()
    return StatusChanged(payload["connectorId"], 0, status, at)


def _started(payload: Payload) -> TransactionEvent:
    at = moment(payload["timestamp"])
    first = Reading(at, import_kwh_total=payload["meterStart"] / 1000)
    return TransactionEvent(
        "started", "", at, payload["connectorId"], id_token=payload["idTag"], readings=(first,)
    )


def _stopped(payload: Payload) -> TransactionEvent:
    at = moment(payload["timestamp"])
    data = [_reading(value) for value in payload.get("transactionData", []) if value["sampledValue"]]
    last = Reading(at, import_kwh_total=payload["meterStop"] / 1000)
    if all(one.at != at for one in data):
        data.append(last)
    return TransactionEvent(
        "ended",
        _transaction_id(payload["transactionId"]),
        at,
        id_token=payload.get("idTag", ""),
        readings=tuple(data),
        signed=_signed(payload.get("transactionData", [])),
    )


def _meter_values(payload: Payload) -> TransactionEvent:
    readings = tuple(_reading(value) for value in payload["meterValue"])
    return TransactionEvent(
        "updated",
        _transaction_id(payload.get("transactionId")),
        readings[-1].at,
        payload["connectorId"],
        readings=readings,
        signed=_signed(payload["meterValue"]),
    )


def _reading(meter_value: Payload) -> Reading:
    values = []
    for sample in meter_value["sampledValue"]:
        if sample.get("format", "Raw") != "Raw":
            continue
        measurand = sample.get("measurand", REGISTER_IN)
        values.append(
            Sampled(
                measurand,
                _number(sample["value"]),
                sample.get("unit", _usual_unit(measurand)),
                sample.get("phase", ""),
            )
        )
    return reading(moment(meter_value["timestamp"]), values)


def _transaction_id(number: int | None) -> str:
    """Return a transaction's id; -1 (or 0) is what stations send for one that they began without us."""
    return "" if number is None or number <= 0 else str(number)


def _signed(meter_values: list[Payload]) -> tuple[Payload, ...]:
    """Return the signed values among meter values, each with its moment."""
    return tuple(
        {"at": value["timestamp"], **sample}
        for value in meter_values
        for sample in value["sampledValue"]
        if sample.get("format") == "SignedData"
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Fault("PropertyConstraintViolation", f"{text!r:.40} is not a number.") from error


def _usual_unit(measurand: str) -> str:
    if measurand == SOC:
        return "Percent"
    return "W" if measurand in (POWER_IN, POWER_OUT) else "Wh"


def _security_event(payload: Payload) -> SecurityEvent:
    return SecurityEvent(payload["type"], payload.get("techInfo", ""), moment(payload["timestamp"]))


def _tag_info(outcome: Outcome) -> Payload:
    return {"idTagInfo": {"status": "Accepted" if outcome.token_known else "Invalid"}}


def _authorize(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return _tag_info(outcome)


def _number_transaction(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return _tag_info(outcome) | {"transactionId": int(outcome.transaction_id)}


def _stop(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return _tag_info(outcome) if "idTag" in payload else {}


HANDLERS = {
    "BootNotification": Handler(accept_boot, _booted, early=True),
    "Heartbeat": Handler(tell_time),
    "StatusNotification": Handler(noted, _status),
    "Authorize": Handler(_authorize, lambda payload: TokenAsked(payload["idTag"])),
    "StartTransaction": Handler(_number_transaction, _started),
    "StopTransaction": Handler(_stop, _stopped),
    "MeterValues": Handler(noted, _meter_values),
    "SecurityEventNotification": Handler(noted, _security_event),
    "FirmwareStatusNotification": Handler(noted, notice("FirmwareStatusNotification", "status")),
    "SignedFirmwareStatusNotification": Handler(noted, notice("FirmwareStatusNotification", "status")),
    "DiagnosticsStatusNotification": Handler(noted, notice("LogStatusNotification", "status")),
    "LogStatusNotification": Handler(noted, notice("LogStatusNotification", "status")),
    "SignCertificate": Handler(signed, lambda payload: SigningAsked(payload["csr"])),
    "DataTransfer": Handler(nothing_for_vendor, notice("DataTransfer", "vendorId", "messageId")),
}
