"""A tile of the board says what the facts say; no database is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from charging.models import Charger, Connector
from charging.selectors.board import Board
from charging.selectors.board_stations import station_of, stations_sentence
from charging.selectors.board_tile import Facts, Stay, in_hours, ready_at, stalled, tile_of
from charging.selectors.board_yard import placed, suggested, yard_rows
from charging.selectors.lanes import Reason
from charging.selectors.readiness import Readiness
from charging.views.board_versions import digest, read_versions, write_versions
from depot.models import Depot
from depot.timegrid import TimeGrid
from fleet.models import Vehicle, VehicleState, VehicleType
from tests.factories import NOW

DEPOT = Depot(name="Maple Street", time_zone="America/New_York")
MINUTE = timedelta(minutes=1)


def connector(pk: int = 1, status: str = "occupied", **charger: Any) -> Connector:
    """Return a connector that is nowhere stored."""
    values = {
        "name": f"C-{pk:02}",
        "connected": True,
        "booted_at": NOW,
        "last_seen_at": NOW,
        "fallback_kw": 6.0,
    } | charger
    return Connector(pk=pk, bay=f"B-{pk:02}", status=status, charger=Charger(depot=DEPOT, **values))


def vehicle(soc: float = 0.5) -> Vehicle:
    bus = Vehicle(pk=7, name="Bus 07", type=VehicleType(max_soc=1.0))
    VehicleState(vehicle=bus, soc=soc, soc_observed_at=NOW - MINUTE)
    return bus


def plugged(power_kw: float | None = 0.0, **facts: Any) -> Facts:
    """Return a vehicle at a plug for an hour, last measured half a minute ago."""
    stay = Stay(NOW - timedelta(hours=1), power_kw, None if power_kw is None else NOW - MINUTE / 2)
    values = {"connector": connector(), "vehicle": vehicle(), "stay": stay} | facts
    return Facts(**values)


def pull_out(state: str = "ready", hours: float = 3, **values: Any) -> Readiness:
    duty = SimpleNamespace(pull_out_at=NOW + timedelta(hours=hours))
    known = {"soc_now": 0.5, "soc_at_departure": 0.84, "required_soc": 0.75, "reason": "Why.", "act_by": None}
    return Readiness(duty=duty, vehicle=None, state=state, **known | values)  # type: ignore[arg-type]


def planned(power_kw: float, state: str = "charging", ago: timedelta = timedelta(minutes=30)) -> Reason:
    return Reason(NOW - ago, NOW + timedelta(hours=1), state, power_kw, "It is cheap now.")


@pytest.mark.parametrize(
    ("facts", "state", "word"),
    [
        (plugged(41.6), "charging", "Charging"),
        (plugged(-15.0), "discharging", "Discharging"),
        (plugged(0.1), "waiting", "Waiting"),
        (plugged(0.0, vehicle=vehicle(1.0)), "waiting", "Full"),
        (plugged(None), "waiting", "Plugged in"),
        (plugged(9.0, connector=connector(connected=False)), "offline", "Offline"),
        (plugged(9.0, connector=connector(connected=False, booted_at=None)), "offline", "Never connected"),
        (plugged(9.0, connector=connector(admission="pending")), "offline", "Not accepted"),
        (plugged(9.0, connector=connector(status="faulted")), "fault", "Fault"),
        (Facts(connector(status="unavailable")), "offline", "Out of service"),
        (Facts(connector(status="available")), "free", "Free"),
        (Facts(connector(status="available"), vehicle()), "free", "Not plugged in"),
        (Facts(connector(status="available"), vehicle(), away_on="101 AM"), "away", "Away"),
        (Facts(connector()), "waiting", "Plugged in"),
    ],
)
def test_the_state_is_what_the_charger_shows(facts: Facts, state: str, word: str) -> None:
    tile = tile_of(facts, NOW)
    assert (tile.state, tile.word) == (state, word)


def test_the_first_concern_is_the_pull_out_then_the_charger_then_the_power() -> None:
    silent = connector(connected=False, last_seen_at=NOW)
    doubtful = pull_out("at_risk", reason="It is not plugged in.", act_by=NOW + timedelta(hours=1))
    tile = tile_of(plugged(0.0, connector=silent, pull_out=doubtful), NOW)
    assert (tile.concern, tile.rank, tile.spare, tile.leaves_with) == ("It is not plugged in.", 1, None, None)
    tile = tile_of(plugged(0.0, connector=silent), NOW)
    assert tile.concern == (
        "The charger does not answer; last heard of Tue 10 Mar 11:00. It keeps to its safe level of 6 kW."
    )
    tile = tile_of(plugged(0.0, connector=connector(strays_since=NOW)), NOW)
    assert tile.concern.startswith("The charger does not follow its schedule")
    assert tile_of(plugged(0.0, planned=planned(40.0)), NOW).concern == (
        "The plan charges it with 40 kW now, but it takes 0 kW."
    )
    assert "but it gives 0 kW" in tile_of(plugged(0.0, planned=planned(-20.0, "discharging")), NOW).concern
    assert tile_of(plugged(9.0, planned=planned(40.0)), NOW).concern == ""


@pytest.mark.parametrize(
    "facts",
    [
        plugged(0.0, planned=planned(40.0, ago=MINUTE)),
        plugged(0.0, planned=planned(0.4)),
        plugged(0.0, planned=planned(40.0), vehicle=vehicle(0.995)),
        plugged(0.0, planned=planned(40.0), stay=Stay(NOW - timedelta(hours=1), 0.0, NOW - 5 * MINUTE)),
        plugged(None, planned=planned(40.0)),
    ],
    ids=["just begun", "next to nothing", "full", "old sample", "no sample"],
)
def test_nothing_is_called_stalled_too_early(facts: Facts) -> None:
    assert stalled(facts, NOW) == ""


def test_a_tile_says_why_and_what_is_planned_where_that_differs() -> None:
    assert tile_of(plugged(30.0, planned=planned(40.0)), NOW).why == "It is cheap now."
    waits = tile_of(plugged(0.0, planned=planned(40.0, ago=MINUTE)), NOW)
    assert waits.why == "Planned: charging with 40 kW until 12:00. It is cheap now."
    assert tile_of(plugged(30.0, order="hold until Tue 14:00", planned=planned(9.0)), NOW).why == (
        "Ordered: hold until Tue 14:00."
    )
    assert "did not name itself" in tile_of(plugged(3.0, vehicle=None), NOW).why
    away = Facts(connector(status="available"), vehicle(), away_on="101 AM", back_at=NOW + timedelta(hours=1))
    assert (tile_of(away, NOW).why, tile_of(away, NOW).back_at) == ("On block 101 AM.", away.back_at)


def test_old_values_are_marked_and_ages_alone_change_no_tile() -> None:
    facts = plugged(30.0)
    tile = tile_of(facts, NOW)
    assert not tile.power_stale and not tile.soc_stale
    assert digest(tile_of(facts, NOW + MINUTE / 2)) == digest(tile)
    later = tile_of(facts, NOW + timedelta(hours=3))
    assert later.power_stale and later.soc_stale and digest(later) != digest(tile)


def test_ready_at_is_the_moment_from_which_it_stays_enough() -> None:
    grid = TimeGrid(NOW, 15, 8)
    soc = [0.5, 0.8, 0.6, 0.75, 0.8, 0.9, 0.9, 0.9, 0.9]
    leaves_at = NOW + timedelta(minutes=100)
    assert ready_at(grid, soc, 0.75, NOW, leaves_at) == NOW + timedelta(minutes=45)
    assert ready_at(grid, soc, 0.4, NOW + MINUTE, leaves_at) == NOW + MINUTE
    assert ready_at(grid, soc, 0.95, NOW, leaves_at) is None
    assert ready_at(grid, soc, 0.4, NOW, NOW + timedelta(hours=9)) is None
    tile = tile_of(plugged(9.0, pull_out=pull_out(hours=2), ready_at=NOW + timedelta(minutes=45)), NOW)
    assert (tile.spare_words, tile.soc_words) == ("1 h 15 min to spare", "50 % charged, needs 75 %")
    assert [in_hours(timedelta(minutes=number)) for number in (0, 60, 61)] == ["0 min", "1 h", "1 h 1 min"]


def test_the_worst_comes_first_and_the_sentence_counts() -> None:
    tiles = [
        tile_of(Facts(connector(1, "available")), NOW),
        tile_of(plugged(40.0, connector=connector(2), pull_out=pull_out(hours=5)), NOW),
        tile_of(plugged(-15.0, connector=connector(3), pull_out=pull_out("will_miss")), NOW),
        tile_of(plugged(0.0, connector=connector(4), pull_out=pull_out(hours=2)), NOW),
        tile_of(Facts(connector(5, connected=False)), NOW),
    ]
    board = Board(tiles, [])
    assert [tile.pk for tile in board.sorted("urgency")] == [3, 5, 4, 2, 1]
    assert board.sentence == (
        "3 of 5 connectors have a vehicle: 1 charging with 40 kW, 1 discharging with 15 kW, 1 waiting; 2 need you."
    )
    assert Board(tiles[:1], []).sentence == "0 of 1 connectors have a vehicle; nothing needs you."


def test_the_yard_keeps_its_rows_and_gaps() -> None:
    tile = tile_of(Facts(connector()), NOW)
    places = [(2, 1), (1, 4), (1, 2), (None, None)]
    tiles = [replace(tile, pk=pk, row=row, bay=bay) for pk, (row, bay) in enumerate(places)]
    rows = [(row, [one and one.pk for one in line]) for row, line in yard_rows(tiles)]
    assert rows == [(1, [None, 2, None, 1]), (2, [0]), (None, [3])]
    assert placed(tiles) == tiles
    assert [(one.row, one.bay) for one in placed([tile, tile])] == [(1, 1), (1, 2)]
    assert suggested(["B-10", "B-2", "A-1"]) == [(2, 2), (2, 1), (1, 1)]
    assert suggested(["C-2/1", "C-2/2", "C-1/1"]) == [(1, 2), (1, 3), (1, 1)]
    assert suggested([f"B-{number}" for number in range(1, 14)])[-1] == (2, 1)


def test_versions_survive_their_way_and_nonsense_counts_as_not_had() -> None:
    versions = {"order": "a1", "12": "b2"}
    assert read_versions(write_versions(versions)) == versions
    assert read_versions("x-12.b2--.") == {"12": "b2", "": ""}


def test_a_station_tells_its_troubles_the_worst_first() -> None:
    faulty = connector(
        status="faulted", strays_since=NOW, clock_offset_s=-90.0, protocol="ocpp2.1", vendor="ABB"
    )
    station = station_of(faulty.charger, [faulty], [], {}, NOW)
    assert (station.state, station.rank, station.protocol, station.product) == ("fault", 0, "2.1", "ABB")
    assert station.problems == (
        "Fault at B-01.",
        "It has not followed its schedule since Tue 10 Mar 11:00; it is planned around.",
        "Its clock is 1 min behind.",
    )
    waiting = station_of(connector(admission="pending").charger, [], [], {}, NOW)
    assert waiting.state == "warning" and "quarantine" in waiting.problems[0]
    fresh = station_of(connector(connected=False, booted_at=None).charger, [], [], {}, NOW)
    assert (fresh.word, fresh.silent) == ("Never connected", False)
    silent = station_of(connector(connected=False).charger, [], [], {}, NOW)
    assert silent.problems == ("It does not answer; it keeps to its safe level of 6 kW.",)
    fine = station_of(connector().charger, [], [], {}, NOW)
    assert stations_sentence([fine]) == "1 of 1 stations are connected; no problem is known."
    assert stations_sentence([station, fine]) == "2 of 2 stations are connected; 1 needs you."
