"""How a simulated station combines its profiles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from charging.ocpp.simulator.composite import Profiles, RefusedError

NOW = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)


def profile(
    number: int, purpose: str, level: int, *periods: tuple[int, float], **values: Any
) -> dict[str, Any]:
    schedule = {
        "id": 1,
        "chargingRateUnit": values.pop("unit", "W"),
        "chargingSchedulePeriod": [{"startPeriod": at, "limit": kw * 1000} for at, kw in periods],
    }
    for name in ("startSchedule", "duration"):
        if name in values:
            schedule[name] = values.pop(name)
    head = {"id": number, "chargingProfilePurpose": purpose, "stackLevel": level}
    return head | {"chargingProfileKind": "Absolute", "chargingSchedule": [schedule]} | values


def held(*profiles: dict[str, Any]) -> Profiles:
    found = Profiles(bidirectional=True)
    for one in profiles:
        found.install(one, "tx")
    return found


def power(profiles: Profiles, seconds: float = 0, offline_s: float | None = None) -> float:
    return profiles.power_kw(NOW + timedelta(seconds=seconds), 60.0, NOW - timedelta(hours=1), offline_s)


DEFAULT = profile(1, "TxDefaultProfile", 0, (0, 6))
PLAN = profile(
    2, "TxProfile", 1, (0, 20), (900, 30), transactionId="tx", startSchedule=NOW.isoformat(), duration=1800
)
OUT = profile(3, "TxProfile", 2, (0, -40), transactionId="tx", maxOfflineDuration=60)


def test_nothing_held_means_full_power() -> None:
    assert power(held()) == 60.0


def test_own_profiles_go_before_defaults_and_higher_levels_before_lower() -> None:
    assert power(held(DEFAULT)) == 6.0
    assert power(held(DEFAULT, PLAN)) == 20.0
    assert power(held(DEFAULT, PLAN), 900) == 30.0
    assert power(held(DEFAULT, PLAN, OUT)) == -40.0


def test_a_schedule_that_is_over_or_not_begun_says_nothing() -> None:
    assert power(held(DEFAULT, PLAN), 1800) == 6.0
    assert power(held(DEFAULT, PLAN), -1) == 6.0
    assert power(held(profile(4, "TxDefaultProfile", 0, (60, 6), startSchedule=NOW.isoformat()))) == 60.0


def test_a_dead_link_ends_discharge_and_leaves_charging() -> None:
    profiles = held(DEFAULT, PLAN, OUT)
    assert power(profiles, 0, 60) == -40.0
    assert power(profiles, 0, 61) == 20.0


def test_validity_bounds() -> None:
    early = (NOW - timedelta(hours=1)).isoformat()
    later = (NOW + timedelta(hours=1)).isoformat()
    assert power(held(profile(4, "TxDefaultProfile", 0, (0, 6), validFrom=later))) == 60.0
    assert power(held(profile(4, "TxDefaultProfile", 0, (0, 6), validTo=early))) == 60.0
    assert power(held(profile(4, "TxDefaultProfile", 0, (0, 6), validFrom=early, validTo=later))) == 6.0


def test_the_stations_own_ceiling_holds() -> None:
    ceiling = profile(5, "ChargingStationMaxProfile", 0, (0, 10))
    assert power(held(PLAN, ceiling)) == 10.0
    assert power(held(PLAN, OUT, ceiling)) == -40.0


def test_the_newer_replaces_the_older_in_its_place() -> None:
    profiles = held(DEFAULT, profile(9, "TxDefaultProfile", 0, (0, 8)))
    assert list(profiles.held) == [9]


def test_profiles_of_the_transaction_go_with_it() -> None:
    profiles = held(DEFAULT, PLAN, OUT)
    profiles.end_transaction()
    assert list(profiles.held) == [1]
    assert not profiles.clear(7, {})


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (profile(2, "TxProfile", 1, (0, 20), transactionId="other"), "TxNotFound"),
        (profile(2, "TxDefaultProfile", 1, (0, 20), unit="A"), "UnsupportedRateUnit"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        held(wrong)


def test_a_one_way_station_takes_no_discharge() -> None:
    with pytest.raises(RefusedError, match="InvalidSchedule"):
        Profiles(bidirectional=False).install(OUT, "tx")


def test_the_composite_says_where_power_changes() -> None:
    assert held(DEFAULT, PLAN).composite(NOW, 3600, 60.0, NOW) == [(0, 20.0), (900, 30.0), (1800, 6.0)]
