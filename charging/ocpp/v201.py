"""Understand and answer what OCPP 2.0.1 stations send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.ocpp.answers import accept_boot, accepted, noted, nothing_for_vendor, signed, tell_time
from charging.ocpp.events import (
    POWER_IN,
    POWER_OUT,
    REGISTER_IN,
    SOC,
    Booted,
    Handler,
    NeedsTold,
    Noticed,
    Outcome,
    Reading,
    Sampled,
    SecurityEvent,
    SigningAsked,
    StatusChanged,
    TokenAsked,
    TransactionEvent,
    VariablesTold,
    moment,
    reading,
)
from charging.ocpp.needs import read_needs
from depot.words import later

Payload = dict[str, Any]
OPEN_TOKEN_TYPES = ("NoAuthorization", "Central", "Local")
"""Tokens that need no card: the charger itself or the operator let the vehicle charge."""


def _booted(payload: Payload) -> Booted:
    station = payload["chargingStation"]
    return Booted(
        station["vendorName"],
        station["model"],
        station.get("firmwareVersion", ""),
        station.get("serialNumber", ""),
    )


def _status(payload: Payload) -> StatusChanged | None:
    if payload["evseId"] == 0:  # the station itself
        return None
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
        offline=payload.get("offline", False),
        signed=signed_values(payload.get("meterValue", [])),
    )


def signed_values(meter_values: list[Payload]) -> tuple[Payload, ...]:
    """Return the signed values among meter values, each with its moment."""
    return tuple(
        {"at": value["timestamp"], "value": sample["value"], **sample["signedMeterValue"]}
        for value in meter_values
        for sample in value["sampledValue"]
        if "signedMeterValue" in sample
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


def _report(payload: Payload) -> VariablesTold | None:
    rows = tuple(
        (
            place_of(data["component"]),
            place_of(data["variable"]),
            one.get("type", "Actual"),
            str(one.get("value", "")),
        )
        for data in payload.get("reportData", [])
        for one in data["variableAttribute"]
    )
    return VariablesTold(rows) if rows else None


def place_of(named: Payload) -> str:
    """Return a component's or variable's name with its instance and EVSE, like "EVSE#1" or "SmartChargingCtrlr"."""
    instance = f"[{named['instance']}]" if named.get("instance") else ""
    evse = f"#{named['evse']['id']}" if "evse" in named else ""
    return f"{named['name']}{instance}{evse}"


def _events(payload: Payload) -> Noticed:
    """Return what the station noticed; alerts are those of its monitors that have not cleared."""
    data = payload["eventData"]
    alerting = [one for one in data if one["trigger"] == "Alerting" and not one.get("cleared")]
    words = [
        f"{place_of(one['component'])} {place_of(one['variable'])} = {one['actualValue'][:60]}"
        for one in alerting or data
    ]
    return Noticed(
        "NotifyEvent",
        "; ".join(words)[:200],
        payload,
        moment(payload["generatedAt"]),
        level="warning" if alerting else "info",
        over=any(one.get("cleared") for one in data) and not alerting,
    )


def notice(kind: str, *named: str, level: str = "info") -> Any:
    """Return how a message is kept as a notice: its summary is made of the fields `named`."""

    def event(payload: Payload) -> Noticed:
        words = ", ".join(f"{name} {payload[name]}" for name in named if name in payload)
        at = moment(payload["timestamp"]) if "timestamp" in payload else None
        return Noticed(kind, words[:200], payload, at, level, payload.get("evseId", 0))

    return event


def _needs(payload: Payload) -> NeedsTold:
    return NeedsTold(payload["evseId"], read_needs(payload), payload)


def _limited(payload: Payload) -> Noticed:
    source = payload["chargingLimit"]["chargingLimitSource"]
    words = later("Its power is limited from outside ({source}).", source=source)
    return Noticed("NotifyChargingLimit", words, payload, level="warning", evse_id=payload.get("evseId", 0))


def _limit_over(payload: Payload) -> Noticed:
    words = later("The limit from outside ({source}) is over.", source=payload["chargingLimitSource"])
    return Noticed("NotifyChargingLimit", words, payload, evse_id=payload.get("evseId", 0), over=True)


def _token_info(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    if "idToken" not in payload:
        return {}
    return {"idTokenInfo": {"status": "Accepted" if outcome.token_known else "Unknown"}}


def _no_certificate(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"status": "Failed", "exiResponse": ""}


def _no_status(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"status": "Failed"}


HANDLERS = {
    "BootNotification": Handler(accept_boot, _booted, early=True),
    "Heartbeat": Handler(tell_time),
    "StatusNotification": Handler(noted, _status),
    "TransactionEvent": Handler(_token_info, _transaction),
    "MeterValues": Handler(noted, _meter_values),
    "Authorize": Handler(_token_info, _token_asked),
    "NotifyReport": Handler(noted, _report, early=True),
    "NotifyMonitoringReport": Handler(noted, notice("NotifyMonitoringReport", "requestId"), early=True),
    "NotifyEvent": Handler(noted, _events),
    "SecurityEventNotification": Handler(noted, _security_event),
    "NotifyEVChargingNeeds": Handler(accepted, _needs),
    "NotifyEVChargingSchedule": Handler(accepted, notice("NotifyEVChargingSchedule", "timeBase")),
    "NotifyChargingLimit": Handler(noted, _limited),
    "ClearedChargingLimit": Handler(noted, _limit_over),
    "ReportChargingProfiles": Handler(noted, notice("ReportChargingProfiles", "chargingLimitSource")),
    "FirmwareStatusNotification": Handler(noted, notice("FirmwareStatusNotification", "status")),
    "PublishFirmwareStatusNotification": Handler(
        noted, notice("PublishFirmwareStatusNotification", "status")
    ),
    "LogStatusNotification": Handler(noted, notice("LogStatusNotification", "status")),
    "ReservationStatusUpdate": Handler(
        noted, notice("ReservationStatusUpdate", "reservationId", "reservationUpdateStatus")
    ),
    "NotifyDisplayMessages": Handler(noted, notice("NotifyDisplayMessages", "requestId")),
    "NotifyCustomerInformation": Handler(noted, notice("NotifyCustomerInformation", "requestId")),
    "SignCertificate": Handler(
        signed, lambda payload: SigningAsked(payload["csr"], payload.get("certificateType", ""))
    ),
    "Get15118EVCertificate": Handler(_no_certificate),
    "GetCertificateStatus": Handler(_no_status),
    "DataTransfer": Handler(nothing_for_vendor, notice("DataTransfer", "vendorId", "messageId")),
}
