"""GTFS feeds: blocks by day, odd calendars, odd times, odd units; the real feed against its raw files."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from depot.models import Depot, User
from fleet.formats.blocks import BlockRow, Fleet, Reading
from fleet.formats.overlaps import first_collision
from fleet.formats.registry import read_schedule
from fleet.formats.timetable import weekly_rule
from fleet.models import Block, ScheduleSettings
from fleet.services import schedules as service
from tests.shared import shared

FLEET = Fleet(frozenset({"maple"}), (), (), time_zone="America/New_York")
FEED = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\nA,Maple,http://m.example,America/New_York\n",
    "routes.txt": "route_id,agency_id,route_short_name,route_type\nR,A,1,3\n",
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\nX,X,36.00,-79.80\nY,Y,36.09,-79.80\n",
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
    "WD,1,1,1,1,1,0,0,20260302,20260529\n",
    "trips.txt": "route_id,service_id,trip_id,block_id\nR,WD,t1,101\nR,WD,t2,101\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence,shape_dist_traveled\n"
    "t1,6:30:00,6:30:00,X,1,0\nt1,7:00:00,7:00:00,Y,2,12\n"
    "t2,23:40:00,23:40:00,Y,1,0\nt2,24:20:30,24:20:30,X,2,12\n",
}


def zipped(**changes: str | None) -> bytes:
    out = io.BytesIO()
    files = FEED | {name.replace("_txt", ".txt"): text for name, text in changes.items()}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            if text is not None:
                archive.writestr(f"feed/{name}", text)
    return out.getvalue()


def read(fleet: Fleet = FLEET, **changes: str | None) -> Reading:
    return read_schedule(zipped(**changes), "feed.zip", fleet)


def runs(row: BlockRow) -> set[date]:
    """Every day a row runs, spelled out."""
    if row.service_date:
        return {row.service_date}
    return {date.fromordinal(day) for day in range(row.first_day, row.last_day + 1) if row.running()(day)}


def test_a_block_is_its_first_departure_to_its_last_arrival() -> None:
    found = read()
    assert found.errors == ()
    (row,) = found.rows
    assert (row.block_id, row.depart_minute, row.return_minute) == ("101", 390, 24 * 60 + 21)
    assert (row.weekdays, row.valid_from, row.valid_to) == (31, date(2026, 3, 2), date(2026, 5, 29))
    assert row.distance_km == 24
    assert ("Distances", "shape_dist_traveled in km") in found.facts
    assert "left out" in found.warnings[0].message


def test_the_way_from_the_depot_is_added_once_it_is_known() -> None:
    fleet = Fleet(frozenset({"maple"}), (), (), deadhead=(20, 7.5))
    found = read(fleet)
    (row,) = found.rows
    assert (row.depart_minute, row.return_minute, row.distance_km) == (370, 24 * 60 + 41, 39)
    assert found.warnings == ()


def test_a_long_wait_brings_the_bus_home_when_the_depot_says_so() -> None:
    fleet = Fleet(frozenset({"maple"}), (), (), deadhead=(10, 2.0), split_gap_minutes=120)
    rows = read(fleet).rows
    assert [(row.block_id, row.depart_minute, row.return_minute) for row in rows] == [
        ("101/1", 380, 430),
        ("101/2", 23 * 60 + 30, 24 * 60 + 31),
    ]


def test_days_that_differ_are_exceptions_of_one_row() -> None:
    dates = "service_id,date,exception_type\nWD,20260406,2\nWD,20260307,1\n"
    (row,) = read(calendar_dates_txt=dates).rows
    assert dict(row.exceptions) == {date(2026, 4, 6): False, date(2026, 3, 7): True}
    assert len(runs(row)) == 13 * 5


def test_a_day_both_added_and_removed_does_not_run() -> None:
    dates = "service_id,date,exception_type\nWD,20260307,1\nWD,20260307,2\n"
    (row,) = read(calendar_dates_txt=dates).rows
    assert row.exceptions == ()


def test_a_feed_of_single_dates_needs_no_calendar() -> None:
    dates = "service_id,date,exception_type\nWD,20260303,1\nWD,20260305,1\nWD,20260310,1\n"
    (row,) = read(calendar_txt=None, calendar_dates_txt=dates).rows
    assert runs(row) == {date(2026, 3, 3), date(2026, 3, 5), date(2026, 3, 10)}


def test_services_that_share_a_day_drive_one_block_together() -> None:
    calendar = FEED["calendar.txt"] + "FR,0,0,0,0,1,0,0,20260302,20260529\n"
    trips = "route_id,service_id,trip_id,block_id\nR,WD,t1,101\nR,FR,t2,101\n"
    rows = read(calendar_txt=calendar, trips_txt=trips).rows
    by_length = {row.return_minute - row.depart_minute: row for row in rows}
    assert {day.weekday() for day in runs(by_length[30])} == {0, 1, 2, 3}
    assert {day.weekday() for day in runs(by_length[17 * 60 + 51])} == {4}
    assert first_collision(*rows) is None


def test_service_periods_stay_apart() -> None:
    calendar = FEED["calendar.txt"] + "SU,1,1,1,1,1,0,0,20260601,20260828\n"
    trips = "route_id,service_id,trip_id,block_id\nR,WD,t1,101\nR,SU,t2,101\n"
    rows = sorted(read(calendar_txt=calendar, trips_txt=trips).rows, key=lambda row: row.first_day)
    assert [(row.valid_from, row.return_minute) for row in rows] == [
        (date(2026, 3, 2), 420),
        (date(2026, 6, 1), 1461),
    ]


def test_one_block_number_of_two_agencies_is_two_blocks() -> None:
    agencies = FEED["agency.txt"] + "B,Oak,http://o.example,America/New_York\n"
    routes = FEED["routes.txt"] + "S,B,2,3\n"
    trips = "route_id,service_id,trip_id,block_id\nR,WD,t1,101\nS,WD,t2,101\n"
    rows = read(agency_txt=agencies, routes_txt=routes, trips_txt=trips).rows
    assert sorted(row.block_id for row in rows) == ["A:101", "B:101"]


def test_trips_without_a_block_are_chained_as_a_proposal_and_never_merged() -> None:
    trips = "route_id,service_id,trip_id,block_id\nR,WD,t1,\nR,WD,t2,\n"
    found = read(trips_txt=trips)
    assert sorted(row.block_id for row in found.rows) == ["~t1", "~t2"], "16 h of waiting is no chain"
    assert "2 trips have no block_id" in found.warnings[0].message
    times = FEED["stop_times.txt"].replace("23:40:00", "7:10:00").replace("24:20:30", "7:40:00")
    (row,) = read(trips_txt=trips, stop_times_txt=times).rows
    assert (row.block_id, row.depart_minute, row.return_minute) == ("~t1", 390, 460)


def test_frequencies_repeat_a_trip() -> None:
    repeats = "trip_id,start_time,end_time,headway_secs\nt1,06:00:00,08:00:00,3600\n"
    trips = "route_id,service_id,trip_id,block_id\nR,WD,t1,101\n"
    (row,) = read(frequencies_txt=repeats, trips_txt=trips).rows
    assert (row.depart_minute, row.return_minute) == (360, 450)
    assert row.distance_km == pytest.approx(24 + 1.3 * 10.0075, abs=0.05), "back to the first stop once"


@pytest.mark.parametrize(("factor", "unit"), [(1, "km"), (1000, "m"), (0.6214, "miles"), (3280.84, "feet")])
def test_the_unit_of_distances_is_found_from_the_stops(factor: float, unit: str) -> None:
    times = FEED["stop_times.txt"].replace(",12\n", f",{12 * factor}\n")
    found = read(stop_times_txt=times)
    assert found.rows[0].distance_km == pytest.approx(24, rel=1e-3)
    assert ("Distances", f"shape_dist_traveled in {unit}") in found.facts


def test_without_distances_the_shape_counts_and_else_the_stops() -> None:
    times = FEED["stop_times.txt"].replace(",12\n", ",\n").replace(",0\n", ",\n")
    straight = read(stop_times_txt=times)
    assert straight.rows[0].distance_km == pytest.approx(2 * 1.3 * 10.0075, rel=1e-3)
    assert any("straight lines" in warning.message for warning in straight.warnings)
    shapes = "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\n"
    shapes += "S,36.00,-79.80,1\nS,36.00,-79.90,2\nS,36.09,-79.80,3\n"
    trips = "route_id,service_id,trip_id,block_id,shape_id\nR,WD,t1,101,S\nR,WD,t2,101,S\n"
    shaped = read(stop_times_txt=times, trips_txt=trips, shapes_txt=shapes)
    assert shaped.rows[0].distance_km == pytest.approx(2 * (8.995 + 13.457), rel=1e-3)


BAD_FEEDS = {
    "no zip": (b"PK\x03\x04abc", "", None, "not a readable ZIP archive"),
    "no trips": (zipped(trips_txt=None), "", None, "no trips.txt, so it is no GTFS feed"),
    "no calendar": (zipped(calendar_txt=None), "", None, "no calendar.txt or calendar_dates.txt"),
    "a column lacks": (
        zipped(trips_txt="route_id,trip_id\nR,t1\n"),
        "trips.txt",
        1,
        "no column service_id",
    ),
    "a time": (
        zipped(stop_times_txt=FEED["stop_times.txt"].replace("6:30:00,6:30:00", "6:70:00,6:70:00")),
        "stop_times.txt",
        2,
        "“6:70:00” is not a time",
    ),
    "a service": (
        zipped(trips_txt=FEED["trips.txt"].replace("WD,t1", "XX,t1")),
        "trips.txt",
        2,
        "Service “XX” stands neither",
    ),
    "a date": (
        zipped(calendar_txt=FEED["calendar.txt"].replace("20260302", "20260230")),
        "calendar.txt",
        2,
        "“20260230” is not a date",
    ),
    "a flag": (
        zipped(calendar_txt=FEED["calendar.txt"].replace("WD,1", "WD,x")),
        "calendar.txt",
        2,
        "“x” is neither 0 nor 1",
    ),
    "an end before the start": (
        zipped(calendar_txt=FEED["calendar.txt"].replace("20260529", "20250529")),
        "calendar.txt",
        2,
        "no period",
    ),
    "a twin": (
        zipped(trips_txt=FEED["trips.txt"] + "R,WD,t1,102\n"),
        "trips.txt",
        4,
        "stands in row 2 already",
    ),
    "no times": (
        zipped(trips_txt=FEED["trips.txt"] + "R,WD,t9,102\n"),
        "trips.txt",
        4,
        "has no times in stop_times.txt",
    ),
    "another clock": (
        zipped(agency_txt=FEED["agency.txt"].replace("America/New_York", "Europe/Berlin")),
        "agency.txt",
        2,
        "those of Europe/Berlin, this depot's those of America/New_York",
    ),
    "a headway": (
        zipped(frequencies_txt="trip_id,start_time,end_time,headway_secs\nt1,06:00:00,08:00:00,1\n"),
        "frequencies.txt",
        2,
        "cannot run",
    ),
    "never runs": (
        zipped(calendar_txt=FEED["calendar.txt"].replace("1,1,1,1,1,0,0", "0,0,0,0,0,0,0")),
        "trips.txt",
        None,
        "no trip that ever runs",
    ),
}


@pytest.mark.parametrize("kind", BAD_FEEDS)
def test_bad_feeds_name_place_and_cure(kind: str) -> None:
    content, sheet, row, words = BAD_FEEDS[kind]
    error = read_schedule(content, "feed.zip", FLEET).errors[0]
    assert words in error.message
    assert (error.sheet if sheet else "", error.row) == (sheet, row)


def test_an_archive_that_would_fill_the_memory_is_not_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("stop_times.txt", b"0" * 50_000_000)
    (error,) = read_schedule(out.getvalue(), "bomb.zip", FLEET).errors
    assert "packed too tightly" in error.message


def test_weekly_rules_say_exactly_the_days_they_were_made_from() -> None:
    start = date(2026, 3, 2)
    row = BlockRow("1", 60, 120, weekdays=127)
    for pattern in range(1, 1 << 11):
        days = frozenset(start + timedelta(days=3 * bit) for bit in range(11) if pattern >> bit & 1)
        assert runs(weekly_rule(row, days)) == days


def test_a_supplement_changes_adds_and_takes_out_rows() -> None:
    """By the rules of TODS 2: cells that are empty leave what the feed says."""
    found = read(
        trips_supplement_txt="trip_id,block_id,route_id,service_id,TODS_delete\nt1,102,,,\nt2,,,,1\nt3,102,R,WD,\n",
        stop_times_supplement_txt="trip_id,stop_sequence,arrival_time,departure_time,stop_id,shape_dist_traveled\n"
        "t1,2,7:05:00,,,\nt3,1,8:00:00,8:00:00,Y,0\nt3,2,8:30:00,8:30:00,X,12\n",
        calendar_dates_supplement_txt="service_id,date,exception_type\nWD,20260302,2\n",
    )
    assert found.errors == ()
    [row] = found.rows
    assert (row.block_id, row.depart_minute, row.return_minute) == ("102", 390, 510)
    assert date(2026, 3, 2) not in runs(row) and date(2026, 3, 3) in runs(row)
    supplements = "calendar_dates_supplement.txt, stop_times_supplement.txt, trips_supplement.txt"
    assert dict(found.facts)["Supplements"] == supplements


def test_the_ways_that_a_supplement_tells_are_not_added_again() -> None:
    """A pull-out is told, the way home is not: the depot's own counts for that one only."""
    pull_out = {
        "stops_supplement_txt": "stop_id,stop_lat,stop_lon\nD,35.95,-79.80\n",
        "trips_supplement_txt": "trip_id,block_id,route_id,service_id,TODS_trip_type\nout,101,R,WD,Pull-out\n",
        "stop_times_supplement_txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence,shape_dist_traveled\n"
        "out,6:10:00,6:10:00,D,1,0\nout,6:25:00,6:25:00,X,2,7\n",
    }
    found = read(replace(FLEET, deadhead=(10, 5.0)), **pull_out)
    [row] = found.rows
    assert (row.depart_minute, row.return_minute) == (370, 1461 + 10)
    assert row.distance_km == pytest.approx(7 + 12 + 12 + 5)
    plain = read(**pull_out)
    assert not any("the way from the depot" in warning.message for warning in plain.warnings)


def test_mistakes_of_a_supplement_name_its_own_file_and_row() -> None:
    found = read(trips_supplement_txt="trip_id,block_id,route_id,service_id\nt9,101,R,WD\n")
    [error] = found.errors
    assert (error.sheet, error.row, error.column, error.value) == (
        "trips_supplement.txt", 2, "trip_id", "t9",
    )  # fmt: skip
    lacking = read(trips_supplement_txt="block_id\n101\n")
    assert [(error.sheet, error.column) for error in lacking.errors] == [("trips_supplement.txt", "trip_id")]


def test_operational_files_that_are_not_read_are_named() -> None:
    found = read(deadheads_txt="deadhead_id\n", run_events_txt="run_id\n", routes_x_supplement_txt="x\n")
    [words] = [warning.message for warning in found.warnings if "TODS" in warning.message]
    assert words.startswith("deadheads.txt, routes_x_supplement.txt: not read.")


@pytest.mark.django_db
def test_a_feed_is_saved_with_its_exceptions_and_saves_nothing_new_again(
    depot: Depot, dispatcher: User
) -> None:
    ScheduleSettings.objects.create(depot=depot, deadhead_minutes=15, deadhead_km=4)
    depot.time_zone = "America/New_York"
    depot.save()
    dates = "service_id,date,exception_type\nWD,20260406,2\n"
    content = zipped(calendar_dates_txt=dates)
    for expected in ((1, 0, 0), (0, 0, 1)):
        batch = service.upload(depot, dispatcher, content, "feed.zip")
        saved = service.commit(batch, dispatcher)
        assert (saved.new, saved.changed, saved.unchanged) == expected
    block = Block.objects.get()
    assert block.depart_minute == 375
    assert not block.runs_on(date(2026, 4, 6), {})
    assert block.runs_on(date(2026, 4, 7), {})


def test_the_shuttle_feed_agrees_with_its_raw_files() -> None:
    path: Path = shared("data", "gtfs_shuttle", "amazon-2017-08-06.zip")
    found = read_schedule(path.read_bytes(), path.name, Fleet(frozenset({"d"}), (), ()))
    with zipfile.ZipFile(path) as archive:
        trips = list(csv.DictReader(io.StringIO(archive.read("trips.txt").decode("utf-8-sig"))))
        calls = list(csv.DictReader(io.StringIO(archive.read("stop_times.txt").decode("utf-8-sig"))))
    block_of = {trip["trip_id"]: trip["block_id"] for trip in trips}
    seconds = defaultdict(list)
    for call in calls:
        for text in (call["arrival_time"], call["departure_time"]):
            if text:
                hours, minutes, rest = map(int, text.split(":"))
                seconds[block_of[call["trip_id"]]].append(hours * 3600 + minutes * 60 + rest)
    assert found.errors == ()
    assert len(trips) == 442
    assert len(found.rows) == len(set(block_of.values())) == 72
    for row in found.rows:
        assert row.depart_minute == min(seconds[row.block_id]) // 60
        assert row.return_minute == -(-max(seconds[row.block_id]) // 60)


@pytest.mark.django_db
def test_the_page_asks_once_for_the_way_to_the_first_stop(
    depot: Depot, dispatcher: User, viewer: User, login
) -> None:
    batch = service.upload(depot, dispatcher, zipped(), "feed.zip")
    page = f"/{depot.slug}/schedules/upload/{batch.pk}/"
    client = login(dispatcher)
    assert b"What the feed does not say" in client.get(page).content
    answer = {"batch": batch.pk, "deadhead_minutes": 12, "deadhead_km": 3, "split_gap_minutes": ""}
    settings = f"/{depot.slug}/schedules/settings/"
    assert client.post(settings, answer).url == page
    assert "06:18" in client.get(page).content.decode(), "6:30 less 12 minutes"
    assert client.post(settings, answer | {"deadhead_minutes": 500}).url == page
    assert ScheduleSettings.objects.get().deadhead_minutes == 12
    assert login(viewer).post(settings, answer).status_code in (403, 404)


@pytest.mark.django_db
def test_the_template_comes_as_a_workbook_too(depot: Depot, viewer: User, login) -> None:
    answer = login(viewer).get(f"/{depot.slug}/schedules/template.xlsx")
    assert read_schedule(bytes(answer.content), "t.xlsx", FLEET).file_format == "xlsx"
