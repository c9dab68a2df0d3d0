"""Understand and answer what OCPP 1.6 stations send.

A 1.6 station leaves it to us to number its transactions, so a started event comes without an id.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.ocpp.events import (
    POWER_IN,
    POWER_OUT,
    REGISTER_IN,
    SOC,
    Booted,
    Event,
    Handler,
    Outcome,
    Reading,
    Sampled,
    SecurityEvent,
    StatusChanged,
    TokenAsked,
    TransactionEvent,
    moment,
    reading,
)
from charging.ocpp.frames import Fault
from charging.ocpp.profiles import wire_time

Payload = dict[str, Any]
HEARTBEAT_S = 300
OCCUPIED = ("Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing")


def _booted(payload: Payload) -> Booted:
    return Booted(
        payload["chargePointVendor"], payload["chargePointModel"], payload.get("firmwareVersion", "")
    )


def _status(payload: Payload) -> Event | None:
    """Return the status of a connector; connector 0 is the station itself, and without a time it is not kept."""
    if payload["connectorId"] == 0 or "timestamp" not in payload:
        return None
    status = "occupied" if payload["status"] in OCCUPIED else payload["status"].lower()
    return StatusChanged(payload["connectorId"], 0, status, moment(payload["timestamp"]))


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
    return TransactionEvent("ended", str(payload["transactionId"]), at, readings=tuple(data))


def _meter_values(payload: Payload) -> TransactionEvent:
    readings = tuple(_reading(value) for value in payload["meterValue"])
    number = payload.get("transactionId")
    return TransactionEvent(
        "updated",
        "" if number is None else str(number),
        readings[-1].at,
        payload["connectorId"],
        readings=readings,
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


def _time(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"currentTime": wire_time(now)}


def _accept_boot(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"currentTime": wire_time(now), "interval": HEARTBEAT_S, "status": "Accepted"}


def _tag_info(outcome: Outcome) -> Payload:
    return {"idTagInfo": {"status": "Accepted" if outcome.token_known else "Invalid"}}


def _authorize(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return _tag_info(outcome)


def _number_transaction(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return _tag_info(outcome) | {"transactionId": int(outcome.transaction_id)}


def _stop(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return _tag_info(outcome) if "idTag" in payload else {}


def _noted(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {}


def _no_such_vendor(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"status": "UnknownVendorId"}


HANDLERS = {
    "BootNotification": Handler(_accept_boot, _booted),
    "Heartbeat": Handler(_time),
    "StatusNotification": Handler(_noted, _status),
    "Authorize": Handler(_authorize, lambda payload: TokenAsked(payload["idTag"])),
    "StartTransaction": Handler(_number_transaction, _started),
    "StopTransaction": Handler(_stop, _stopped),
    "MeterValues": Handler(_noted, _meter_values),
    "SecurityEventNotification": Handler(_noted, _security_event),
    "FirmwareStatusNotification": Handler(_noted),
    "DiagnosticsStatusNotification": Handler(_noted),
    "DataTransfer": Handler(_no_such_vendor),
}
