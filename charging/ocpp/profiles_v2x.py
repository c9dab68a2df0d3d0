"""Charging profiles that are steered between two plans: set-points that move, and curves that a station follows. PURE.

They are OCPP 2.1's alone. Each is a profile of the running transaction, one level above the plan's, and ends by itself:
after its duration, or when the link has been dead for `max_offline_s`. Below it stand the plan and the safe default.

* `set_dynamic`: a set-point that later calls move (UpdateDynamicSchedule, action `setpoint`), or that the station asks
  for every `pull_every_s` (PullDynamicScheduleUpdate; it is told the plan's power of that moment);
* `set_local_frequency`: the station measures the grid's frequency and adds to a baseline what a curve says;
* `set_signal_curve`: the grid operator's signal (AFRRSignal, action `afrr_signal`) becomes power by a curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from charging.ocpp.profiles import V21, Capability, Message, profile_id, wire_time
from depot.words import tr

STEERED_LEVEL = 3
MOST_POINTS = 20
Payload = Mapping[str, Any]


def steered_messages(
    action: str, version: str, payload: Payload, capability: Capability, transaction_id: str, now: datetime
) -> list[Message]:
    """Return the calls of a steering action.

    Raises ValueError for what the version, the station or the moment does not allow, KeyError for a missing part.
    """
    if version != V21:
        raise ValueError(
            tr(
                "OCPP {version} has no {name}; it needs OCPP {least}.",
                version=version,
                name=action,
                least=V21,
            )
        )
    if not transaction_id:
        raise ValueError(tr("There is no running transaction of this vehicle at this connector."))
    if capability.manner.unit != "W":
        raise ValueError(tr("This station takes no powers in W, which steering needs."))
    return [STEERED[action](payload, capability, transaction_id, now)]


def _dynamic(payload: Payload, capability: Capability, transaction_id: str, now: datetime) -> Message:
    period = {"operationMode": "CentralSetpoint", "setpoint": _watts(payload["setpoint_kw"], capability)}
    if capability.manner.setpoint_bounds:
        period["limit"] = round(capability.max_charge_kw * 1000)
        period["dischargeLimit"] = -round(capability.max_discharge_kw * 1000)
    pull = {"dynUpdateInterval": payload["pull_every_s"]} if payload.get("pull_every_s") else {}
    return _message(payload, transaction_id, {"chargingProfileKind": "Dynamic", **pull}, {}, period)


def _local_frequency(payload: Payload, capability: Capability, transaction_id: str, now: datetime) -> Message:
    points = _curve(payload["curve"], "Hz")
    baseline_kw = payload.get("baseline_kw", 0.0)
    period = {
        "operationMode": "LocalFrequency",
        "v2xBaseline": _watts(baseline_kw, capability),
        "v2xFreqWattCurve": [
            {"frequency": frequency, "power": _beside(baseline_kw, power_kw, capability)}
            for frequency, power_kw in points
        ],
    }
    return _absolute(payload, transaction_id, now, period)


def _signal_curve(payload: Payload, capability: Capability, transaction_id: str, now: datetime) -> Message:
    points = _curve(payload["curve"], "the signal")
    baseline_kw = payload.get("baseline_kw", 0.0)
    period = {
        "operationMode": "CentralFrequency",
        "setpoint": _watts(baseline_kw, capability),
        "v2xSignalWattCurve": [
            {"signal": round(signal), "power": _beside(baseline_kw, power_kw, capability)}
            for signal, power_kw in points
        ],
    }
    return _absolute(payload, transaction_id, now, period)


STEERED: dict[str, Callable[[Payload, Capability, str, datetime], Message]] = {
    "set_dynamic": _dynamic,
    "set_local_frequency": _local_frequency,
    "set_signal_curve": _signal_curve,
}


def _watts(power_kw: float, capability: Capability) -> int:
    """Return a power within what the charger can do, in W."""
    return round(min(max(power_kw, -capability.max_discharge_kw), capability.max_charge_kw) * 1000)


def _beside(baseline_kw: float, power_kw: float, capability: Capability) -> int:
    """Return what a curve may add to a baseline so that the sum stays within what the charger can do, in W."""
    return _watts(baseline_kw + power_kw, capability) - _watts(baseline_kw, capability)


def _curve(points: Sequence[Sequence[float]], what: str) -> list[tuple[float, float]]:
    """Return a curve's points (x, kW) in the order of x; ValueError when it is none."""
    ordered = sorted((float(x), float(power_kw)) for x, power_kw in points)
    if not 1 <= len(ordered) <= MOST_POINTS or len({x for x, _ in ordered}) < len(ordered):
        raise ValueError(f"A curve over {what} needs 1 to {MOST_POINTS} points, each at another place.")
    return ordered


def _absolute(payload: Payload, transaction_id: str, now: datetime, period: dict[str, Any]) -> Message:
    span = {"startSchedule": wire_time(now)}
    return _message(payload, transaction_id, {"chargingProfileKind": "Absolute"}, span, period)


def _message(
    payload: Payload, transaction_id: str, kind: dict[str, Any], span: dict[str, Any], period: dict[str, Any]
) -> Message:
    number = profile_id(payload["evse_id"], STEERED_LEVEL)
    body = {"id": number, **span, "duration": payload["seconds"], "chargingRateUnit": "W"}
    profile = {
        "id": number,
        "stackLevel": STEERED_LEVEL,
        "chargingProfilePurpose": "TxProfile",
        "transactionId": transaction_id,
        "maxOfflineDuration": payload["max_offline_s"],
        **kind,
        "chargingSchedule": [{**body, "chargingSchedulePeriod": [{"startPeriod": 0, **period}]}],
    }
    return "SetChargingProfile", {"evseId": payload["evse_id"], "chargingProfile": profile}
