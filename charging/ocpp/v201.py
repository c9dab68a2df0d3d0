"""Understand and answer what OCPP 2.0.1 stations send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.ocpp.events import (
    POWER_IN,
    POWER_OUT,
    REGISTER_IN,
    SOC,
    Booted,
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
from charging.ocpp.profiles import wire_time

Payload = dict[str, Any]
HEARTBEAT_S = 300
OPEN_TOKEN_TYPES = ("NoAuthorization", "Central", "Local")
"""Tokens that need no card: the charger itself or the operator let the vehicle charge."""


def _booted(payload: Payload) -> Booted:
    station = payload["chargingStation"]
    return Booted(station["vendorName"], station["model"], station.get("firmwareVersion", ""))


def _status(payload: Payload) -> StatusChanged:
    return StatusChanged(
        payload["evseId"],
        payload["connectorId"],
        payload["connectorStatus"].lower(),
        moment(payload["timestamp"]),
    )


def _transaction(payload: Payload) -> TransactionEvent:
    evse = payload.get("evse", {})
    return TransactionEvent(
        kind=payload["eventType"].lower(),
        transaction_id=payload["transactionInfo"]["transactionId"],
        at=moment(payload["timestamp"]),
        evse_id=evse.get("id", 0),
        connector_id=evse.get("connectorId", 0),
        sequence=payload["seqNo"],
        id_token=_card(payload.get("idToken")),
        readings=tuple(_reading(value) for value in payload.get("meterValue", [])),
    )


def _card(token: Payload | None) -> str:
    """Return the token that must be known, "" when none is needed."""
    if token is None or token["type"] in OPEN_TOKEN_TYPES:
        return ""
    return str(token["idToken"])


def _reading(meter_value: Payload) -> Reading:
    values = []
    for sample in meter_value["sampledValue"]:
        measurand = sample.get("measurand", REGISTER_IN)
        unit = sample.get("unitOfMeasure", {})
        values.append(
            Sampled(
                measurand,
                sample["value"] * 10.0 ** unit.get("multiplier", 0),
                unit.get("unit", _usual_unit(measurand)),
                sample.get("phase", ""),
            )
        )
    return reading(moment(meter_value["timestamp"]), values)


def _usual_unit(measurand: str) -> str:
    if measurand == SOC:
        return "Percent"
    return "W" if measurand in (POWER_IN, POWER_OUT) else "Wh"


def _meter_values(payload: Payload) -> TransactionEvent:
    """Return the values of an EVSE outside a transaction's own events; they belong to whatever is plugged in."""
    readings = tuple(_reading(value) for value in payload["meterValue"])
    return TransactionEvent("updated", "", readings[-1].at, payload["evseId"], readings=readings)


def _token_asked(payload: Payload) -> TokenAsked:
    return TokenAsked(_card(payload["idToken"]))


def _security_event(payload: Payload) -> SecurityEvent:
    return SecurityEvent(payload["type"], payload.get("techInfo", ""), moment(payload["timestamp"]))


def _time(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"currentTime": wire_time(now)}


def _accept_boot(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"currentTime": wire_time(now), "interval": HEARTBEAT_S, "status": "Accepted"}


def _token_info(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    if "idToken" not in payload:
        return {}
    return {"idTokenInfo": {"status": "Accepted" if outcome.token_known else "Unknown"}}


def _noted(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {}


def _accepted(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"status": "Accepted"}


def _no_such_vendor(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"status": "UnknownVendorId"}


HANDLERS = {
    "BootNotification": Handler(_accept_boot, _booted),
    "Heartbeat": Handler(_time),
    "StatusNotification": Handler(_noted, _status),
    "TransactionEvent": Handler(_token_info, _transaction),
    "MeterValues": Handler(_noted, _meter_values),
    "Authorize": Handler(_token_info, _token_asked),
    "NotifyReport": Handler(_noted),
    "NotifyEvent": Handler(_noted),
    "SecurityEventNotification": Handler(_noted, _security_event),
    "NotifyEVChargingNeeds": Handler(_accepted),
    "NotifyEVChargingSchedule": Handler(_accepted),
    "NotifyChargingLimit": Handler(_noted),
    "ClearedChargingLimit": Handler(_noted),
    "FirmwareStatusNotification": Handler(_noted),
    "LogStatusNotification": Handler(_noted),
    "DataTransfer": Handler(_no_such_vendor),
}
