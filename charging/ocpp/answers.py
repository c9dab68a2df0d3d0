"""Answers that are alike in all protocol versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.ocpp.events import Outcome
from charging.ocpp.profiles import wire_time

Payload = dict[str, Any]
HEARTBEAT_S, ASK_AGAIN_S = 300, 60
STATUSES = {"accepted": "Accepted", "pending": "Pending", "rejected": "Rejected"}


def accept_boot(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer a boot as a technician has decided; who is not accepted asks again after a minute."""
    interval_s = HEARTBEAT_S if outcome.admission == "accepted" else ASK_AGAIN_S
    return {"currentTime": wire_time(now), "interval": interval_s, "status": STATUSES[outcome.admission]}


def tell_time(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer a heartbeat."""
    return {"currentTime": wire_time(now)}


def noted(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer what needs no answer."""
    return {}


def accepted(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer yes."""
    return {"status": "Accepted"}


def refused(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer no."""
    return {"status": "Rejected"}


def signed(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer whether a certificate follows."""
    return {"status": "Accepted" if outcome.signed else "Rejected"}


def nothing_for_vendor(payload: Payload, outcome: Outcome, now: datetime) -> Payload:
    """Answer a vendor's own message: none is understood, all are kept."""
    return {"status": "UnknownVendorId"}
