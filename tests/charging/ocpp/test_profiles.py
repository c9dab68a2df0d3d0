"""A plan's powers in the words of each protocol version, dict by dict."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.ocpp.profiles import (
    VERSIONS,
    Capability,
    Schedule,
    default_message,
    schedule_messages,
    wire_time,
)
from charging.ocpp.schemas import check_request

START = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)
PLAN = Schedule(1, START, 900, [60.0, 60.0, -30.0, 0.0], 1800)
BOTH_WAYS = Capability(60.0, 60.0)
DIALECT = Capability(60.0, 60.0, negative_limits=True)


def test_2_1_does_the_plan_for_two_steps_and_alone_what_needs_no_discharge() -> None:
    plan = replace(
        PLAN, power_kw=[60.0, -30.0, -30.0, 50.0], max_offline_s=30, offline_kw=[20.0, 0.0, 0.0, 10.0]
    )
    alone, near = (
        payload["chargingProfile"] for _, payload in schedule_messages("2.1", plan, BOTH_WAYS, "tx-1")
    )
    assert alone == {
        "id": 12,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "transactionId": "tx-1",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [
            {
                "id": 12,
                "startSchedule": "2026-03-10T16:00:00Z",
                "duration": 3600,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": 20000, "operationMode": "ChargingOnly"},
                    {"startPeriod": 900, "limit": 0, "operationMode": "ChargingOnly"},
                    {"startPeriod": 2700, "limit": 10000, "operationMode": "ChargingOnly"},
                ],
            }
        ],
    }
    assert near == {
        "id": 13,
        "stackLevel": 2,
        "chargingProfilePurpose": "TxProfile",
        "transactionId": "tx-1",
        "chargingProfileKind": "Absolute",
        "maxOfflineDuration": 30,
        "chargingSchedule": [
            {
                "id": 13,
                "startSchedule": "2026-03-10T16:00:00Z",
                "duration": 1800,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": 60000},
                    {"startPeriod": 900, "operationMode": "CentralSetpoint", "setpoint": -30000},
                ],
            }
        ],
    }


def test_2_1_charging_that_lives_on_discharge_ends_with_the_link_too() -> None:
    plan = replace(PLAN, power_kw=[60.0, 60.0, 60.0], max_offline_s=30, offline_kw=[20.0, 20.0, 20.0])
    alone, near = (
        payload["chargingProfile"] for _, payload in schedule_messages("2.1", plan, BOTH_WAYS, "tx-1")
    )
    [schedule] = near["chargingSchedule"]
    period = {"startPeriod": 0, "limit": 60000, "operationMode": "ChargingOnly"}
    assert (near["maxOfflineDuration"], schedule["duration"]) == (30, 1800)
    assert schedule["chargingSchedulePeriod"] == [period]
    assert alone["chargingSchedule"][0]["chargingSchedulePeriod"] == [period | {"limit": 20000}]
    assert "maxOfflineDuration" not in alone


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_older_versions_do_the_plan_for_two_steps_at_most(version: str) -> None:
    plan = replace(PLAN, power_kw=[60.0] * 4, offline_kw=[20.0] * 4)
    [(_, payload)] = schedule_messages(version, plan, BOTH_WAYS, "77")
    schedule = payload.get("csChargingProfiles", payload.get("chargingProfile"))["chargingSchedule"]
    periods = (schedule if version == "1.6" else schedule[0])["chargingSchedulePeriod"]
    assert [(one["startPeriod"], one["limit"]) for one in periods] == [(0, 60000), (1800, 20000)]


def test_2_1_without_any_difference_takes_the_near_profile_away() -> None:
    charging, clear = schedule_messages("2.1", replace(PLAN, power_kw=[7.0]), BOTH_WAYS, "tx-1")
    assert charging[1]["chargingProfile"]["stackLevel"] == 1
    assert "maxOfflineDuration" not in charging[1]["chargingProfile"]
    assert clear == ("ClearChargingProfile", {"chargingProfileId": 13})


def test_2_0_1_has_limits_only() -> None:
    [(action, payload)] = schedule_messages("2.0.1", PLAN, BOTH_WAYS, "tx-1")
    assert action == "SetChargingProfile"
    assert payload == {
        "evseId": 1,
        "chargingProfile": {
            "id": 12,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "transactionId": "tx-1",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [
                {
                    "id": 12,
                    "startSchedule": "2026-03-10T16:00:00Z",
                    "duration": 3600,
                    "chargingRateUnit": "W",
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "limit": 60000},
                        {"startPeriod": 1800, "limit": 0},
                    ],
                }
            ],
        },
    }


def test_1_6_numbers_transactions() -> None:
    [(action, payload)] = schedule_messages("1.6", replace(PLAN, evse_id=2), BOTH_WAYS, "77")
    assert action == "SetChargingProfile"
    assert payload == {
        "connectorId": 2,
        "csChargingProfiles": {
            "chargingProfileId": 22,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "transactionId": 77,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "startSchedule": "2026-03-10T16:00:00Z",
                "duration": 3600,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": 60000},
                    {"startPeriod": 1800, "limit": 0},
                ],
            },
        },
    }


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_dialect_discharges_for_two_steps_at_most(version: str) -> None:
    plan = replace(PLAN, power_kw=[5.0, -30.0, -30.0, -30.0, 11.0])
    [(_, payload)] = schedule_messages(version, plan, DIALECT, "77")
    schedule = payload.get("csChargingProfiles", payload.get("chargingProfile"))["chargingSchedule"]
    periods = (schedule if version == "1.6" else schedule[0])["chargingSchedulePeriod"]
    assert [(period["startPeriod"], period["limit"]) for period in periods] == [
        (0, 5000),
        (900, -30000),
        (1800, 0),
        (3600, 11000),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_transaction_nothing_discharges(version: str) -> None:
    [(_, payload)] = schedule_messages(version, PLAN, DIALECT, None)
    profile = payload.get("csChargingProfiles", payload.get("chargingProfile"))
    assert profile["chargingProfilePurpose"] == "TxDefaultProfile"
    assert "transactionId" not in profile
    assert min(_numbers(profile)) >= 0


@pytest.mark.parametrize("version", VERSIONS)
def test_the_safe_default_is_the_lowest_level(version: str) -> None:
    action, payload = default_message(version, 1, 6.4)
    profile = payload.get("csChargingProfiles", payload.get("chargingProfile"))
    assert action == "SetChargingProfile"
    assert (profile["stackLevel"], profile["chargingProfileKind"]) == (0, "Relative")
    assert profile["chargingProfilePurpose"] == "TxDefaultProfile"
    assert 6400 in _numbers(profile)
    assert 0 in _numbers(default_message(version, 1, -3.0)[1])
    check_request(version, action, payload)


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"no profiles for OCPP 2\.0;"):
        schedule_messages("2.0", PLAN, BOTH_WAYS, None)
    with pytest.raises(ValueError, match=r"no profiles for OCPP 2\.0;"):
        default_message("2.0", 1, 6.0)
    with pytest.raises(ValueError, match="as many powers"):
        schedule_messages("2.1", replace(PLAN, offline_kw=[1.0]), BOTH_WAYS, None)
    with pytest.raises(ValueError, match="at least one power"):
        schedule_messages("2.1", replace(PLAN, power_kw=[]), BOTH_WAYS, None)


def test_times_go_out_in_utc() -> None:
    local = datetime(2026, 3, 10, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=-4)))
    assert wire_time(local) == "2026-03-10T16:00:00.250Z"


@settings(deadline=None)
@given(
    version=st.sampled_from(VERSIONS),
    power_kw=st.lists(st.floats(-200, 200), min_size=1, max_size=200),
    transaction=st.none() | st.integers(1, 10**6).map(str),
    max_discharge_kw=st.floats(0, 100),
    negative_limits=st.booleans(),
)
def test_every_profile_is_valid_and_within_limits(
    version: str,
    power_kw: list[float],
    transaction: str | None,
    max_discharge_kw: float,
    negative_limits: bool,
) -> None:
    capability = Capability(60.0, max_discharge_kw, negative_limits)
    plan = replace(PLAN, power_kw=power_kw)
    for action, payload in schedule_messages(version, plan, capability, transaction):
        check_request(version, action, payload)
        profile = payload.get("chargingProfile", payload.get("csChargingProfiles"))
        if profile is None:
            continue
        schedule = profile["chargingSchedule"]
        periods = (schedule if version == "1.6" else schedule[0])["chargingSchedulePeriod"]
        powers = [period.get("setpoint", period.get("limit")) for period in periods]
        assert periods[0]["startPeriod"] == 0
        assert all(one != other for one, other in itertools.pairwise(powers))
        assert max(powers) <= 60_000
        assert min(powers) >= -max_discharge_kw * 1000 - 1
        if min(powers) < 0:
            assert transaction is not None
            assert profile.get("maxOfflineDuration") == 1800 if version == "2.1" else negative_limits
            ends = [period["startPeriod"] for period in periods[1:]] + [duration_of(schedule, version)]
            assert all(end <= 1800 for end, power in zip(ends, powers, strict=True) if power < 0)


def duration_of(schedule: Any, version: str) -> int:
    return int((schedule if version == "1.6" else schedule[0])["duration"])


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in _numbers(part)]
    if isinstance(value, list):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, int | float) else []
