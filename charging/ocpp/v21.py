"""Understand and answer what OCPP 2.1 stations send.

Their everyday messages are those of 2.0.1. What 2.1 adds in our calls is in `profiles` and `wording`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.ocpp import v201
from charging.ocpp.answers import accepted, noted
from charging.ocpp.events import Event, Handler, Noticed, Outcome, UpdatePulled, moment
from charging.ocpp.v201 import notice
from depot.words import later, mark

Payload = dict[str, Any]
ONE_WAY = ("DC", "AC_single_phase", "AC_two_phase", "AC_three_phase")
BOTH_WAYS = ("DC_BPT", "AC_BPT")


def _authorize(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer whether a token may charge and, for a known one, in which directions energy may flow."""
    answer = v201.HANDLERS["Authorize"].answer(payload, outcome, now)
    if outcome.token_known:
        answer["allowedEnergyTransfer"] = [*ONE_WAY, *(BOTH_WAYS if outcome.may_discharge else ())]
    return answer


def _pulled(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    if outcome.setpoint_kw is None:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "UnknownProfile"}}
    return {"status": "Accepted", "scheduleUpdate": {"setpoint": round(outcome.setpoint_kw * 1000)}}


def _grid_alarm(payload: Payload) -> Noticed:
    """Return a grid event at the inverter; it lasts until the station says that it has ended."""
    over = payload.get("alarmEnded", False)
    fault = payload.get("gridEventFault", "a grid event")
    pattern = mark("{control}: {fault} has ended.") if over else mark("{control}: {fault} is present.")
    words = later(pattern, control=payload["controlType"], fault=fault)
    level = "info" if over else "warning"
    return Noticed("NotifyDERAlarm", words, payload, moment(payload["timestamp"]), level, over=over)


def _no_chain(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {
        "certificateStatus": [
            {
                "certificateHashData": one["certificateHashData"],
                "source": one["source"],
                "status": "Failed",
                "nextUpdate": "1970-01-01T00:00:00Z",
            }
            for one in payload["certificateStatusRequests"]
        ]
    }


def _no_vat(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    return {"status": "Rejected", "vatNumber": payload["vatNumber"]}


def streamed(payload: Payload) -> Event:
    """Return the values of a periodic event stream; nobody answers them."""
    return Noticed(
        "NotifyPeriodicEventStream", f"stream {payload['id']}", payload, moment(payload["basetime"])
    )


HANDLERS = v201.HANDLERS | {
    "Authorize": Handler(_authorize, v201.HANDLERS["Authorize"].event),
    "PullDynamicScheduleUpdate": Handler(_pulled, lambda payload: UpdatePulled(payload["chargingProfileId"])),
    "NotifyPriorityCharging": Handler(noted, notice("NotifyPriorityCharging", "transactionId", "activated")),
    "NotifyDERAlarm": Handler(noted, _grid_alarm),
    "NotifyDERStartStop": Handler(noted, notice("NotifyDERStartStop", "controlId", "started")),
    "ReportDERControl": Handler(noted, notice("ReportDERControl", "requestId")),
    "OpenPeriodicEventStream": Handler(accepted),
    "ClosePeriodicEventStream": Handler(noted),
    "GetCertificateChainStatus": Handler(_no_chain),
    "VatNumberValidation": Handler(_no_vat),
    "NotifySettlement": Handler(noted, notice("NotifySettlement", "pspRef", "status")),
    "NotifyWebPaymentStarted": Handler(noted, notice("NotifyWebPaymentStarted", "evseId")),
}
"""Battery swapping is not done here: it is refused by name (NotSupported)."""

SENDS = {"NotifyPeriodicEventStream": streamed}
"""Messages that nobody answers."""
