"""Turn a plan's powers into charging profiles, each in the words of its protocol version.

A charger holds three profiles for each EVSE, one above the other:

* the safe default (TxDefaultProfile, stack level 0): a low charging power that is never taken away;
* what the charger does on its own (TxProfile while a vehicle is plugged in, else TxDefaultProfile; stack level 1):
  charging that fits every limit of the site though nothing discharges (`planner.offline`), hours ahead, so that
  vehicles fill overnight without the server;
* on OCPP 2.1 the plan itself (TxProfile, stack level 2) where it differs from that in its first `NEAR_STEPS` steps: no
  longer than those, and with `maxOfflineDuration`. A charger that has lost us falls back to the level below, so
  discharge and the charging that lives on it end together.

OCPP 1.6 and 2.0.1 know no offline duration: there the first `NEAR_STEPS` steps of level 1 are those of the plan. They
have no words for discharge either. Some stations take a negative limit as discharge; real ones need that switched on
by a technician, so it is off unless `Capability.negative_limits` says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from charging.planner.offline import NEAR_STEPS

V16, V201, V21 = "1.6", "2.0.1", "2.1"
VERSIONS = (V16, V201, V21)
DEFAULT_LEVEL, PLAN_LEVEL, NEAR_LEVEL = 0, 1, 2
CEILING_ID = 9
ROUNDING = 1e-6
EXACT_SHARE = 0.5
"""Of the steps a station takes this share keeps its exact powers; those later are merged where that costs least."""

Message = tuple[str, dict[str, Any]]
"""An action and its payload, as they go over the wire."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a station wants its profiles: what its maker's model does other than the standard.

    `unit` W, or A per phase (then `phases` at `voltage` V to neutral); `max_periods` 0 = any number of steps;
    `tx_profiles` False: it takes no profile for a transaction; `setpoint_bounds`: it wants the greatest powers
    beside each set-point.
    """

    unit: str = "W"
    phases: int = 3
    voltage: float = 230.0
    max_periods: int = 0
    whole_numbers: bool = True
    tx_profiles: bool = True
    setpoint_bounds: bool = False

    def rate(self, power_kw: float) -> float:
        """Return a power in the station's unit, never farther from zero than asked."""
        exact = power_kw * 1000 / (self.voltage * self.phases if self.unit == "A" else 1.0)
        scale = 1 if self.whole_numbers else 10
        cut = math.trunc(exact * scale + math.copysign(ROUNDING, exact))
        return cut if scale == 1 else cut / scale


@dataclass(frozen=True, slots=True)
class Capability:
    """What a charger may be told to do, in kW at its grid side, and how.

    `negative_limits`: on 1.6 and 2.0.1 this station takes a limit below zero as discharge.
    """

    max_charge_kw: float
    max_discharge_kw: float = 0.0
    negative_limits: bool = False
    manner: Manner = Manner()


@dataclass(frozen=True, slots=True)
class Schedule:
    """Signed powers from `start_at` on, in kW per step, and the charging of a charger on its own.

    With OCPP 2.1 the powers stay valid for `max_offline_s` after the link has died. Without `offline_kw` a charger
    on its own does all the charging of the plan.
    """

    evse_id: int
    start_at: datetime
    step_seconds: int
    power_kw: Sequence[float]
    max_offline_s: int
    offline_kw: Sequence[float] | None = None


def schedule_messages(
    version: str, schedule: Schedule, capability: Capability, transaction_id: str | None
) -> list[Message]:
    """Return the calls that make a charger follow `schedule`, in the order in which they must be accepted.

    Without a transaction the profile meets whichever vehicle comes next, so it never discharges.
    Raises ValueError for an unknown version or an empty schedule.
    """
    _check(version, schedule)
    if not capability.manner.tx_profiles:
        transaction_id = None
    powers = [_within(power, capability, version) for power in schedule.power_kw]
    alone = powers if schedule.offline_kw is None else schedule.offline_kw
    offline = [min(max(power, 0.0), capability.max_charge_kw) for power in alone]
    near = powers[:NEAR_STEPS]
    if transaction_id is None:
        near = [max(power, 0.0) for power in near]
    frame = _Frame(version, schedule, capability)
    if version != V21:
        return [frame.plan(near + offline[NEAR_STEPS:], transaction_id)]
    plan = frame.plan(offline, transaction_id)
    if transaction_id is None:
        return [plan]
    if near == offline[:NEAR_STEPS]:
        return [plan, clear_near(schedule.evse_id)]
    return [plan, frame.near(near, transaction_id)]


def default_message(version: str, evse_id: int, limit_kw: float, manner: Manner | None = None) -> Message:
    """Return the call that installs the safe default: charging at `limit_kw` at most, never discharging."""
    head = {
        "stackLevel": DEFAULT_LEVEL,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    }
    body = _constant(version, limit_kw, manner or Manner())
    return _set(version, evse_id, _profile(version, profile_id(evse_id, DEFAULT_LEVEL), head, body))


def ceiling_message(
    version: str, limit_kw: float, start_at: datetime, seconds: int, manner: Manner | None = None
) -> Message:
    """Return the call that holds the whole station under `limit_kw` for `seconds`, whatever else it was told."""
    head = {
        "stackLevel": DEFAULT_LEVEL,
        "chargingProfilePurpose": "ChargePointMaxProfile" if version == V16 else "ChargingStationMaxProfile",
        "chargingProfileKind": "Absolute",
    }
    span = {"startSchedule": wire_time(start_at), "duration": seconds}
    body = span | _constant(version, limit_kw, manner or Manner())
    return _set(version, 0, _profile(version, CEILING_ID, head, body))


def _constant(version: str, limit_kw: float, manner: Manner) -> dict[str, Any]:
    """Return a schedule of one step."""
    if version not in VERSIONS:
        raise ValueError(f"There are no profiles for OCPP {version}; known: {', '.join(VERSIONS)}.")
    period = {"startPeriod": 0, "limit": manner.rate(max(limit_kw, 0.0))} | _step_words(version, manner)
    return {"chargingRateUnit": manner.unit, "chargingSchedulePeriod": [period]}


def _step_words(version: str, manner: Manner) -> dict[str, Any]:
    """Return what each step of a charging schedule says beside its limit."""
    words: dict[str, Any] = {"operationMode": "ChargingOnly"} if version == V21 else {}
    if manner.unit == "A" and manner.phases != 3:
        words["numberPhases"] = manner.phases
    return words


def clear_near(evse_id: int) -> Message:
    """Return the 2.x call that takes the profile of the near steps away (answered Unknown when there is none)."""
    return "ClearChargingProfile", {"chargingProfileId": profile_id(evse_id, NEAR_LEVEL)}


def profile_id(evse_id: int, level: int) -> int:
    """Return the id under which a level's profile of an EVSE is always sent, so that the newer replaces it."""
    return evse_id * 10 + level + 1


def _check(version: str, schedule: Schedule) -> None:
    if version not in VERSIONS:
        raise ValueError(f"There are no profiles for OCPP {version}; known: {', '.join(VERSIONS)}.")
    if not schedule.power_kw or schedule.step_seconds <= 0:
        raise ValueError("A schedule needs at least one power and a step longer than 0 s.")
    if schedule.offline_kw is not None and len(schedule.offline_kw) != len(schedule.power_kw):
        raise ValueError("A schedule needs as many powers for a charger on its own as it has steps.")


def _within(power_kw: float, capability: Capability, version: str) -> float:
    """Return the power as this charger and version can be asked for it."""
    can_discharge = version == V21 or capability.negative_limits
    lowest = -capability.max_discharge_kw if can_discharge else 0.0
    return min(max(power_kw, lowest), capability.max_charge_kw)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A schedule on its way to one charger."""

    version: str
    schedule: Schedule
    capability: Capability

    def plan(self, powers: Sequence[float], transaction_id: str | None) -> Message:
        """Return the call with what the charger does on its own (before OCPP 2.1 first the plan itself)."""
        purpose = "TxDefaultProfile" if transaction_id is None else "TxProfile"
        head: dict[str, Any] = {"stackLevel": PLAN_LEVEL, "chargingProfilePurpose": purpose}
        if transaction_id is not None:
            head["transactionId"] = int(transaction_id) if self.version == V16 else transaction_id
        head["chargingProfileKind"] = "Absolute"
        words = _step_words(self.version, self.capability.manner)
        periods = [{"startPeriod": start, "limit": rate} | words for start, rate in self._steps(powers)]
        return self._message(PLAN_LEVEL, head, periods, len(powers))

    def near(self, powers: Sequence[float], transaction_id: str) -> Message:
        """Return the 2.1 call with the plan's near steps: set-points where it discharges, else limits."""
        head = {
            "stackLevel": NEAR_LEVEL,
            "chargingProfilePurpose": "TxProfile",
            "transactionId": transaction_id,
            "chargingProfileKind": "Absolute",
            "maxOfflineDuration": self.schedule.max_offline_s,
        }
        manner = self.capability.manner
        name, words = "limit", _step_words(V21, manner)
        if min(powers) < 0:
            name, words = "setpoint", {"operationMode": "CentralSetpoint"}
            if manner.setpoint_bounds:
                words["limit"] = manner.rate(self.capability.max_charge_kw)
                words["dischargeLimit"] = manner.rate(-self.capability.max_discharge_kw)
        periods = [{"startPeriod": start, name: rate} | words for start, rate in self._steps(powers)]
        return self._message(NEAR_LEVEL, head, periods, len(powers))

    def _steps(self, powers: Sequence[float]) -> list[tuple[int, float]]:
        """Return (second, rate) wherever the rate changes, in no more steps than the station takes."""
        manner, step_s = self.capability.manner, self.schedule.step_seconds
        steps = list(_merged([manner.rate(power) for power in powers], step_s))
        return _fewer(steps, manner.max_periods, len(powers) * step_s) if manner.max_periods else steps

    def _message(
        self, level: int, head: dict[str, Any], periods: list[dict[str, Any]], steps: int
    ) -> Message:
        body = {
            "startSchedule": wire_time(self.schedule.start_at),
            "duration": steps * self.schedule.step_seconds,
            "chargingRateUnit": self.capability.manner.unit,
            "chargingSchedulePeriod": periods,
        }
        number = profile_id(self.schedule.evse_id, level)
        return _set(self.version, self.schedule.evse_id, _profile(self.version, number, head, body))


def _fewer(steps: list[tuple[int, float]], most: int, end: int) -> list[tuple[int, float]]:
    """Merge steps until `most` are left, the near ones last.

    Two steps become the one that is nearer to zero, so that no limit a plan keeps can be passed; of all pairs
    that may merge, those whose merging moves the least energy go first.
    """
    steps = list(steps)
    while len(steps) > most:
        exact = min(int(most * EXACT_SHARE), len(steps) - 2)
        ends = [start for start, _ in steps[1:]] + [end]

        def lost(at: int, ends: list[int] = ends) -> float:
            (start, rate), (middle, next_rate) = steps[at], steps[at + 1]
            kept = _nearer_zero(rate, next_rate)
            return abs(rate - kept) * (middle - start) + abs(next_rate - kept) * (ends[at + 1] - middle)

        at = min(range(exact, len(steps) - 1), key=lost)
        steps[at : at + 2] = [(steps[at][0], _nearer_zero(steps[at][1], steps[at + 1][1]))]
    return steps


def _nearer_zero(one: float, other: float) -> float:
    if one * other <= 0:
        return 0
    return min(one, other, key=abs)


def _profile(version: str, number: int, head: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    if version == V16:
        return {"chargingProfileId": number} | head | {"chargingSchedule": body}
    return {"id": number} | head | {"chargingSchedule": [{"id": number} | body]}


def _set(version: str, evse_id: int, profile: dict[str, Any]) -> Message:
    if version == V16:
        return "SetChargingProfile", {"connectorId": evse_id, "csChargingProfiles": profile}
    return "SetChargingProfile", {"evseId": evse_id, "chargingProfile": profile}


def _merged(rates: Sequence[float], step_seconds: int) -> Iterator[tuple[int, float]]:
    """Yield (second, rate) wherever the rate changes."""
    previous: float | None = None
    for index, rate in enumerate(rates):
        if rate != previous:
            yield index * step_seconds, rate
            previous = rate


def wire_time(at: datetime) -> str:
    """Return a moment as OCPP writes it: UTC, to the millisecond."""
    utc = at.astimezone(UTC)
    text = (
        utc.isoformat(timespec="milliseconds")
        if utc.microsecond >= 1000
        else utc.isoformat(timespec="seconds")
    )
    return text.replace("+00:00", "Z")
