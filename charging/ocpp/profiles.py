"""Turn a plan's powers into charging profiles, each in the words of its protocol version.

A charger holds three profiles for each EVSE, one above the other:

* the safe default (TxDefaultProfile, stack level 0): a low charging power that is never taken away;
* the plan's charging (TxProfile while a vehicle is plugged in, else TxDefaultProfile; stack level 1). It stays
  valid when the link is dead, so that vehicles fill overnight without the server;
* on OCPP 2.1 the plan with discharge (TxProfile, stack level 2, operation mode CentralSetpoint), always with
  `maxOfflineDuration`: a charger that has lost us stops discharging and falls back to the level below.

OCPP 1.6 and 2.0.1 have no words for discharge. Some stations take a negative limit as discharge; real ones need
that switched on by a technician, so it is off unless `Capability.negative_limits` says otherwise. As these
versions know no offline duration either, only the first `max_offline_s` of a schedule may then discharge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

V16, V201, V21 = "1.6", "2.0.1", "2.1"
VERSIONS = (V16, V201, V21)
DEFAULT_LEVEL, PLAN_LEVEL, DISCHARGE_LEVEL = 0, 1, 2

Message = tuple[str, dict[str, Any]]
"""An action and its payload, as they go over the wire."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a charger may be told to do, in kW at its grid side.

    `negative_limits`: on 1.6 and 2.0.1 this station takes a limit below zero as discharge.
    """

    max_charge_kw: float
    max_discharge_kw: float = 0.0
    negative_limits: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """Signed powers from `start_at` on, in kW per step; discharge stays valid offline for `max_offline_s`."""

    evse_id: int
    start_at: datetime
    step_seconds: int
    power_kw: Sequence[float]
    max_offline_s: int


def schedule_messages(
    version: str, schedule: Schedule, capability: Capability, transaction_id: str | None
) -> list[Message]:
    """Return the calls that make a charger follow `schedule`, in the order in which they must be accepted.

    Without a transaction the profile meets whichever vehicle comes next, so it never discharges.
    Raises ValueError for an unknown version or an empty schedule.
    """
    _check(version, schedule)
    powers = [_within(power, capability, version) for power in schedule.power_kw]
    charging = [max(power, 0.0) for power in powers]
    if transaction_id is None:
        return [_set(version, schedule.evse_id, _plan_profile(version, schedule, charging, None))]
    if version != V21:
        powers = _discharge_soon_only(powers, schedule)
        return [_set(version, schedule.evse_id, _plan_profile(version, schedule, powers, transaction_id))]
    plan = _set(version, schedule.evse_id, _plan_profile(version, schedule, charging, transaction_id))
    if min(powers) >= 0:
        return [plan, clear_discharge(schedule.evse_id)]
    return [plan, _set(version, schedule.evse_id, _discharge_profile(schedule, powers, transaction_id))]


def default_message(version: str, evse_id: int, limit_kw: float) -> Message:
    """Return the call that installs the safe default: charging at `limit_kw` at most, never discharging."""
    if version not in VERSIONS:
        raise ValueError(f"There are no profiles for OCPP {version}; known: {', '.join(VERSIONS)}.")
    limit: dict[str, Any] = {"startPeriod": 0, "limit": _watts(max(limit_kw, 0.0))}
    if version == V21:
        limit["operationMode"] = "ChargingOnly"
    body = {"chargingRateUnit": "W", "chargingSchedulePeriod": [limit]}
    head = {
        "stackLevel": DEFAULT_LEVEL,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    }
    return _set(version, evse_id, _profile(version, profile_id(evse_id, DEFAULT_LEVEL), head, body))


def clear_discharge(evse_id: int) -> Message:
    """Return the 2.x call that takes the discharge profile away (answered Unknown when there is none)."""
    return "ClearChargingProfile", {"chargingProfileId": profile_id(evse_id, DISCHARGE_LEVEL)}


def profile_id(evse_id: int, level: int) -> int:
    """Return the id under which a level's profile of an EVSE is always sent, so that the newer replaces it."""
    return evse_id * 10 + level + 1


def _check(version: str, schedule: Schedule) -> None:
    if version not in VERSIONS:
        raise ValueError(f"There are no profiles for OCPP {version}; known: {', '.join(VERSIONS)}.")
    if not schedule.power_kw or schedule.step_seconds <= 0:
        raise ValueError("A schedule needs at least one power and a step longer than 0 s.")


def _within(power_kw: float, capability: Capability, version: str) -> float:
    """Return the power as this charger and version can be asked for it."""
    can_discharge = version == V21 or capability.negative_limits
    lowest = -capability.max_discharge_kw if can_discharge else 0.0
    return min(max(power_kw, lowest), capability.max_charge_kw)


def _discharge_soon_only(powers: list[float], schedule: Schedule) -> list[float]:
    """Take discharge out of the steps that end later than `max_offline_s` after the start."""
    return [
        power if (index + 1) * schedule.step_seconds <= schedule.max_offline_s else max(power, 0.0)
        for index, power in enumerate(powers)
    ]


def _plan_profile(
    version: str, schedule: Schedule, powers: Sequence[float], transaction_id: str | None
) -> dict[str, Any]:
    purpose = "TxDefaultProfile" if transaction_id is None else "TxProfile"
    head: dict[str, Any] = {"stackLevel": PLAN_LEVEL, "chargingProfilePurpose": purpose}
    if transaction_id is not None:
        head["transactionId"] = int(transaction_id) if version == V16 else transaction_id
    head["chargingProfileKind"] = "Absolute"
    extra = {"operationMode": "ChargingOnly"} if version == V21 else {}
    periods = [
        {"startPeriod": start, "limit": watts} | extra
        for start, watts in _merged(powers, schedule.step_seconds)
    ]
    return _profile(
        version, profile_id(schedule.evse_id, PLAN_LEVEL), head, _span(schedule, len(powers), periods)
    )


def _discharge_profile(schedule: Schedule, powers: Sequence[float], transaction_id: str) -> dict[str, Any]:
    head = {
        "stackLevel": DISCHARGE_LEVEL,
        "chargingProfilePurpose": "TxProfile",
        "transactionId": transaction_id,
        "chargingProfileKind": "Absolute",
        "maxOfflineDuration": schedule.max_offline_s,
    }
    periods = [
        {"startPeriod": start, "operationMode": "CentralSetpoint", "setpoint": watts}
        for start, watts in _merged(powers, schedule.step_seconds)
    ]
    return _profile(
        V21, profile_id(schedule.evse_id, DISCHARGE_LEVEL), head, _span(schedule, len(powers), periods)
    )


def _span(schedule: Schedule, steps: int, periods: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "startSchedule": wire_time(schedule.start_at),
        "duration": steps * schedule.step_seconds,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": periods,
    }


def _profile(version: str, number: int, head: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    if version == V16:
        return {"chargingProfileId": number} | head | {"chargingSchedule": body}
    return {"id": number} | head | {"chargingSchedule": [{"id": number} | body]}


def _set(version: str, evse_id: int, profile: dict[str, Any]) -> Message:
    if version == V16:
        return "SetChargingProfile", {"connectorId": evse_id, "csChargingProfiles": profile}
    return "SetChargingProfile", {"evseId": evse_id, "chargingProfile": profile}


def _merged(powers: Sequence[float], step_seconds: int) -> Iterator[tuple[int, int]]:
    """Yield where the power changes: seconds from the start, and watts."""
    previous = None
    for index, power in enumerate(powers):
        watts = _watts(power)
        if watts != previous:
            yield index * step_seconds, watts
            previous = watts


def _watts(power_kw: float) -> int:
    return round(power_kw * 1000)


def wire_time(at: datetime) -> str:
    """Return a moment as OCPP writes it: UTC, to the millisecond."""
    utc = at.astimezone(UTC)
    text = (
        utc.isoformat(timespec="milliseconds")
        if utc.microsecond >= 1000
        else utc.isoformat(timespec="seconds")
    )
    return text.replace("+00:00", "Z")
