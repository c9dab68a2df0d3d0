"""What a station does with the charging profiles it holds: the composite of purposes, levels and time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Profile = dict[str, Any]
STATION_PURPOSES = ("ChargingStationMaxProfile", "ChargingStationExternalConstraints")


class RefusedError(Exception):
    """A profile that the station does not take, and why."""


@dataclass(slots=True)
class Profiles:
    """The profiles of a station with one EVSE. `bidirectional` = it takes set-points and limits below zero.

    `frequency_hz` is what it measures at the grid, `signal` what the grid operator sent last, for curves of both.
    """

    bidirectional: bool
    held: dict[int, Profile] = field(default_factory=dict)
    frequency_hz: float = 50.0
    signal: int = 0

    def install(self, profile: Profile, transaction_id: str | None, at: datetime | None = None) -> None:
        """Take a profile; the one with the same id, or the same purpose and level, makes room for it.

        A dynamic one lasts from the moment `at` on, and anew from each update.
        """
        own = transaction_id is not None and profile.get("transactionId") == transaction_id
        if profile["chargingProfilePurpose"] == "TxProfile" and not own:
            raise RefusedError("TxNotFound")
        if any(schedule["chargingRateUnit"] != "W" for schedule in profile["chargingSchedule"]):
            raise RefusedError("UnsupportedRateUnit")
        if not self.bidirectional and any(power < 0 for power in _powers(profile)):
            raise RefusedError("InvalidSchedule")
        place = (profile["chargingProfilePurpose"], profile["stackLevel"])
        self.held = {
            number: other
            for number, other in self.held.items()
            if (other["chargingProfilePurpose"], other["stackLevel"]) != place
        }
        self.held[profile["id"]] = profile
        if profile["chargingProfileKind"] == "Dynamic" and at is not None:
            self.held[profile["id"]] = profile | {"dynUpdateTime": at.isoformat()}

    def update(self, profile_id: int, changes: dict[str, Any], at: datetime) -> bool:
        """Move the running step of a dynamic profile; tell whether there is such a profile that may move so."""
        profile = self.held.get(profile_id)
        if profile is None or profile["chargingProfileKind"] != "Dynamic":
            return False
        if not self.bidirectional and any(value < 0 for value in changes.values()):
            return False
        schedule = profile["chargingSchedule"][0]
        period = schedule["chargingSchedulePeriod"][0] | changes
        self.held[profile_id] = profile | {
            "dynUpdateTime": at.isoformat(),
            "chargingSchedule": [schedule | {"chargingSchedulePeriod": [period]}],
        }
        return True

    def clear(self, profile_id: int | None, criteria: dict[str, Any]) -> bool:
        """Drop a profile by id, or those that fit the criteria; tell whether there was any."""
        wanted = {
            "chargingProfilePurpose": criteria.get("chargingProfilePurpose"),
            "stackLevel": criteria.get("stackLevel"),
        }
        gone = [
            number
            for number, profile in self.held.items()
            if (profile_id is None or number == profile_id)
            and all(value is None or profile[name] == value for name, value in wanted.items())
        ]
        for number in gone:
            del self.held[number]
        return bool(gone)

    def end_transaction(self) -> None:
        """Forget the profiles of the transaction that is over."""
        self.clear(None, {"chargingProfilePurpose": "TxProfile"})

    def power_kw(
        self, at: datetime, max_charge_kw: float, began_at: datetime, offline_s: float | None = None
    ) -> float:
        """Return what the EVSE is to do at a moment, in kW: below zero it discharges.

        `began_at` is the start of the transaction; `offline_s` how long the link has been dead, None = it is up.
        Without any profile it charges as fast as it can.
        """
        wanted = max_charge_kw
        for purpose in ("TxProfile", "TxDefaultProfile"):
            found = self._highest(purpose, at, began_at, offline_s)
            if found is not None:
                wanted = found
                break
        for purpose in STATION_PURPOSES:
            ceiling = self._highest(purpose, at, began_at, offline_s)
            wanted = wanted if ceiling is None else min(wanted, ceiling)
        return min(wanted, max_charge_kw)

    def composite(
        self, at: datetime, seconds: int, max_charge_kw: float, began_at: datetime
    ) -> list[tuple[int, float]]:
        """Return (second, kW) where the power of the coming `seconds` changes, the first at 0."""
        moments = {0} | {
            math.ceil((change - at).total_seconds())
            for change in self._changes(began_at)
            if at < change < at + timedelta(seconds=seconds)
        }
        found: list[tuple[int, float]] = []
        for second in sorted(moments):
            power = self.power_kw(at + timedelta(seconds=second), max_charge_kw, began_at)
            if not found or found[-1][1] != power:
                found.append((second, power))
        return found

    def _highest(
        self, purpose: str, at: datetime, began_at: datetime, offline_s: float | None
    ) -> float | None:
        fitting = [
            profile
            for profile in self.held.values()
            if profile["chargingProfilePurpose"] == purpose and not _outlived(profile, offline_s)
        ]
        for profile in sorted(fitting, key=lambda one: one["stackLevel"], reverse=True):
            power = self._power_of(profile, at, began_at)
            if power is not None:
                return power
        return None

    def _power_of(self, profile: Profile, at: datetime, began_at: datetime) -> float | None:
        """Return the power a profile asks for at a moment, in kW; None when it says nothing of it."""
        for bound, outside in (("validFrom", lambda edge: at < edge), ("validTo", lambda edge: at >= edge)):
            if bound in profile and outside(datetime.fromisoformat(profile[bound])):
                return None
        schedule = profile["chargingSchedule"][0]
        second = (at - _start(profile, schedule, began_at)).total_seconds()
        if second < 0 or second >= schedule.get("duration", float("inf")):
            return None
        begun = [period for period in schedule["chargingSchedulePeriod"] if period["startPeriod"] <= second]
        return _period_power(begun[-1], self.frequency_hz, self.signal) if begun else None

    def _changes(self, began_at: datetime) -> Iterator[datetime]:
        for profile in self.held.values():
            for schedule in profile["chargingSchedule"]:
                start = _start(profile, schedule, began_at)
                if "duration" in schedule:
                    yield start + timedelta(seconds=schedule["duration"])
                for period in schedule["chargingSchedulePeriod"]:
                    yield start + timedelta(seconds=period["startPeriod"])


def _outlived(profile: Profile, offline_s: float | None) -> bool:
    longest = profile.get("maxOfflineDuration")
    return longest is not None and offline_s is not None and offline_s > longest


def _start(profile: Profile, schedule: dict[str, Any], began_at: datetime) -> datetime:
    if "dynUpdateTime" in profile:
        return datetime.fromisoformat(profile["dynUpdateTime"])
    return datetime.fromisoformat(schedule["startSchedule"]) if "startSchedule" in schedule else began_at


def _period_power(period: dict[str, Any], frequency_hz: float = 50.0, signal: int = 0) -> float:
    """Return the power of a step in kW; what a curve says is added to its baseline or set-point."""
    if "v2xFreqWattCurve" in period:
        points = [(one["frequency"], one["power"]) for one in period["v2xFreqWattCurve"]]
        return float(period["v2xBaseline"] + _along(points, frequency_hz)) / 1000
    power = float(period["setpoint"] if "setpoint" in period else period["limit"])
    if "v2xSignalWattCurve" in period:
        power += _along([(one["signal"], one["power"]) for one in period["v2xSignalWattCurve"]], signal)
    return power / 1000


def _along(points: list[tuple[float, float]], at: float) -> float:
    """Return a curve's value: straight between its points, level beyond them."""
    (first, value), *rest = points
    if at <= first:
        return value
    for place, height in rest:
        if at <= place:
            return value + (height - value) * (at - first) / (place - first)
        first, value = place, height
    return value


def _powers(profile: Profile) -> Iterator[float]:
    for schedule in profile["chargingSchedule"]:
        for period in schedule["chargingSchedulePeriod"]:
            yield _period_power(period)
