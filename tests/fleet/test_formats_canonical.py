"""The canonical schedule: what is read, every kind of bad file with its place and cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.imports import CellError, RowError
from fleet.formats import canonical
from fleet.formats.blocks import BlockRow, Fleet, KnownType, KnownVehicle, Place, Reading
from fleet.formats.clock import clock
from fleet.formats.overlaps import first_collision, overlap_errors
from fleet.formats.preview import Preview, preview
from fleet.formats.ranges import DateRange
from fleet.formats.registry import read_schedule
from fleet.formats.service_days import describe_service_days, parse_service_days, weekday_bits

FLEET = Fleet(
    frozenset({"maple", "Maple Street"}),
    (
        KnownVehicle("Bus 01", "Bus 200", ("VIN1", "tele-1")),
        KnownVehicle("Bus 02", "Bus 200"),
        KnownVehicle("Van 01", "Van 60"),
        KnownVehicle("Bus 99", "Bus 200", active=False),
    ),
    (
        KnownType("Bus 200", 200, 1.0, 1.0, min_soc=0.1, max_soc=0.9, reserve_soc=0.1),
        KnownType("Van 60", 60, 0.3),
    ),
)
HEADER = "block_id,service_days,depart_at,return_at,distance_km,min_soc_departure,vehicle"
GOOD = "101,Mon-Fri,06:30,08:45,40,80 %,Bus 01"


def look(content: str | bytes, existing: Sequence[BlockRow] = (), name: str = "week.csv") -> Preview:
    data = content if isinstance(content, bytes) else content.encode()
    return preview(read_schedule(data, name, FLEET), FLEET, existing)


def table(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


BAD_FILES = {
    "empty": ("", None, "", "", "Download the template"),
    "only a header": (table(), None, "", "", "Add one row for each block"),
    "an Excel workbook named .csv": (b"PK\x03\x04\x14\x00", None, "", "", "week.csv is damaged"),
    "a NUL byte": (b"block_id\n1\x00\n", None, "", "", "row 2: there is a NUL byte"),
    "an open quote": (table('"101,Mon-Fri'), None, "", "", "row 2: the quotes"),
    "a missing column": (
        table("101,daily,06:30,40", header="block_id,service_days,depart_at,distance_km"),
        1,
        "return_at",
        "",
        "start from the template",
    ),
    "an unknown column": (
        table(f"{GOOD},Ann", header=f"{HEADER},driver"),
        1,
        "driver",
        "driver",
        "Delete it, or name it as one of depot, block_id",
    ),
    "a misspelled column": (
        table(GOOD, header=HEADER.replace("return_at", "retrun_at")),
        1,
        "retrun_at",
        "retrun_at",
        "Do you mean return_at?",
    ),
    "two columns for one thing": (
        table(f"{GOOD},1", header=f"{HEADER},Distance"),
        1,
        "Distance",
        "Distance",
        "Delete one of the two columns",
    ),
    "neither days nor date": (
        table("101,06:30,08:45,40", header="block_id,depart_at,return_at,distance_km"),
        1,
        "service_days",
        "",
        "neither service_days nor date",
    ),
    "neither distance nor energy": (
        table("101,daily,06:30,08:45", header="block_id,service_days,depart_at,return_at"),
        1,
        "distance_km",
        "",
        "neither distance_km nor energy_kwh",
    ),
    "more cells than columns": (table(GOOD, f"{GOOD},x"), 3, "", "x", "Put quotes around cells"),
    "no block name": (table(GOOD.replace("101", "")), 2, "block_id", "", "Enter its block_id"),
    "a block name too long": (table(GOOD.replace("101", "1" * 61)), 2, "block_id", "1" * 61, "at most 60"),
    "an impossible time": (
        table(GOOD.replace("06:30", "06:75")),
        2,
        "depart_at",
        "06:75",
        "minutes 00 to 59",
    ),
    "no time": (table(GOOD.replace("08:45", "")), 2, "return_at", "", "no return time. Enter it like 06:30"),
    "a departure two days later": (
        table(GOOD.replace("06:30", "49:00").replace("08:45", "50:00")),
        2,
        "depart_at",
        "49:00",
        "at most 48:00",
    ),
    "return before departure": (
        table(GOOD.replace("08:45", "02:00")),
        2,
        "return_at",
        "02:00",
        "write 02:00+1",
    ),
    "unknown days": (
        table(GOOD.replace("Mon-Fri", "Mon-Fry")),
        2,
        "service_days",
        "Mon-Fry",
        "Write it like Mon-Fri",
    ),
    "no days": (table(GOOD.replace("Mon-Fri", "")), 2, "service_days", "", "Enter service days like Mon-Fri"),
    "days and a date": (
        table(f"{GOOD},2026-03-09", header=f"{HEADER},date"),
        2,
        "date",
        "2026-03-09",
        "Delete one of the two",
    ),
    "an ambiguous date": (
        table("101,03/09/2026,06:30,08:45,40", header="block_id,date,depart_at,return_at,distance_km"),
        2,
        "date",
        "03/09/2026",
        "Write 2026-03-09 or 2026-09-03",
    ),
    "a day that is not": (
        table("101,2026-02-30,06:30,08:45,40", header="block_id,date,depart_at,return_at,distance_km"),
        2,
        "date",
        "2026-02-30",
        "year-month-day",
    ),
    "a validity on a dated block": (
        table(
            "1,2026-03-09,6:30,8:45,40,2026-03-10",
            header="block_id,date,depart_at,return_at,distance_km,valid_to",
        ),
        2,
        "valid_to",
        "2026-03-10",
        "Delete it, or use service days",
    ),
    "a validity that ends first": (
        table(f"{GOOD},2026-03-10,2026-03-09", header=f"{HEADER},valid_from,valid_to"),
        2,
        "valid_to",
        "2026-03-09",
        "Change one of them",
    ),
    "no number": (table(GOOD.replace(",40,", ",forty,")), 2, "distance_km", "forty", "Write only the number"),
    "a negative distance": (table(GOOD.replace(",40,", ",-4,")), 2, "distance_km", "-4", "0 or more"),
    "metres for km": (table(GOOD.replace(",40,", ",40000,")), 2, "distance_km", "40000", "not in m"),
    "no distance": (table(GOOD.replace(",40,", ",,")), 2, "distance_km", "", "Enter the km or the kWh"),
    "min SoC above 100 %": (
        table(GOOD.replace("80 %", "180")),
        2,
        "min_soc_departure",
        "180",
        "Write it like 80 %",
    ),
    "an unknown vehicle": (
        table(GOOD.replace("Bus 01", "Bus 03")),
        2,
        "vehicle",
        "Bus 03",
        "Do you mean Bus 0",
    ),
    "a vehicle without the zeros of its number": (
        table(GOOD.replace("Bus 01", "bus 1")),
        2,
        "vehicle",
        "bus 1",
        "Do you mean Bus 01?",
    ),
    "a vehicle like no other": (
        table(GOOD.replace("Bus 01", "Tram")),
        2,
        "vehicle",
        "Tram",
        "It has Bus 01, Bus 02, Van 01.",
    ),
    "a vehicle out of service": (
        table(GOOD.replace("Bus 01", "Bus 99")),
        2,
        "vehicle",
        "Bus 99",
        "Choose another vehicle",
    ),
    "an unknown type": (
        table(f"{GOOD},Bus 300", header=f"{HEADER},type"),
        2,
        "type",
        "Bus 300",
        "Do you mean Bus 200?",
    ),
    "a type that is not the vehicle's": (
        table(f"{GOOD},Van 60", header=f"{HEADER},type"),
        2,
        "type",
        "Van 60",
        "Bus 01 is a Bus 200, not a Van 60",
    ),
    "another depot": (
        table(f"{GOOD},Harbor", header=f"{HEADER},depot"),
        2,
        "depot",
        "Harbor",
        "Upload its rows there",
    ),
    "neither yes nor no": (
        table(f"{GOOD},maybe", header=f"{HEADER},precondition"),
        2,
        "precondition",
        "maybe",
        "Write yes or no",
    ),
    "the same block twice": (
        table(GOOD, GOOD.replace("06:30", "07:00")),
        3,
        "block_id",
        "101",
        "stands in row 2 already",
    ),
    "overlapping blocks of one vehicle": (
        table(GOOD, GOOD.replace("101", "102").replace("06:30", "08:00").replace("08:45", "09:30")),
        3,
        "vehicle",
        "Bus 01",
        "Change a time, a day or the vehicle",
    ),
    "more than the battery holds": (
        table(GOOD.replace(",40,", ",190,")),
        2,
        "distance_km",
        "190",
        "gives 160 kWh. Shorten",
    ),
}


@pytest.mark.parametrize(
    ("content", "row", "column", "value", "cure"), BAD_FILES.values(), ids=BAD_FILES.keys()
)
def test_each_kind_of_bad_file_names_its_place_and_cure(
    content: str | bytes, row: int | None, column: str, value: str, cure: str
) -> None:
    errors = look(content).errors
    found = [error for error in errors if (error.row, error.column, error.value) == (row, column, value)]
    assert found, [error.sentence for error in errors]
    assert cure in found[0].message
    assert found[0].sheet == "week.csv"
    assert found[0].message[-1] in ".?)"


def test_all_rows_are_checked_not_only_the_first() -> None:
    rows = [GOOD.replace("06:30", f"06:{minute}") for minute in range(60, 90)]
    found = look(table(*rows, GOOD))
    assert [error.row for error in found.errors] == list(range(2, 32))
    assert [row.block_id for row in found.rows] == ["101"]


def test_several_mistakes_of_a_row_are_told_together() -> None:
    found = look(table("101,Someday,6h,08:45,x,80 %,Bus 71", "102,,08:00,06:00,,180,Bus 01"))
    assert [(error.row, error.column) for error in found.errors] == [
        (2, "service_days"),
        (2, "depart_at"),
        (2, "distance_km"),
        (2, "vehicle"),
        (3, "min_soc_departure"),
        (3, "service_days"),
        (3, "return_at"),
        (3, "distance_km"),
    ]


def test_a_good_file_in_the_styles_of_another_country() -> None:
    content = (
        "sep=;\nBlock;Date;Departure;Arrival;Distance;Energy;Min SoC;Bus\n"
        "N1;09/03/2026;22:30;01:10+1;1.040,5;;80;VIN1\nN2;25/03/2026;0,270833;8:45;;33,5;75;bus 02\n"
    )
    content = content.replace("1.040,5", "104,5")
    found = look(content.encode("cp1252"))
    assert not found.errors
    first, second = found.rows
    assert (first.service_date, first.depart_minute, first.return_minute) == (date(2026, 3, 9), 1350, 1510)
    assert (first.distance_km, first.min_soc_departure, first.vehicle) == (104.5, 0.8, "Bus 01")
    assert (second.depart_minute, second.energy_kwh, second.vehicle) == (390, 33.5, "Bus 02")
    assert dict(found.reading.facts) == {
        "Encoding": "UTF-8",
        "Delimiter": "semicolon",
        "Decimal mark": "comma",
        "Dates with slashes": "day first",
        "Rows": "2",
    }


def test_spreadsheet_serials_are_understood() -> None:
    content = table("1,46090,0.25,0.5,40", header="block_id,date,depart_at,return_at,distance_km")
    assert len(look(content).errors) == 2, "0.25 may be meant as 00:25"
    content = content.replace("0.25,0.5", "0.250,0.500")
    (row,) = look(content).rows
    assert (row.service_date, row.depart_minute, row.return_minute) == (date(2026, 3, 9), 360, 720)


def test_template_rows_left_unfilled_are_a_warning() -> None:
    found = look(table(GOOD, ",,,,,,Bus 02", ",,,,,,Van 01"))
    assert not found.errors
    assert [warning.message for warning in found.warnings] == [
        "Rows 3, 4 have a vehicle but no block and are left out. Fill them in if these vehicles have work."
    ]
    many = look(table(GOOD, *[",,,,,,Bus 02"] * 7))
    assert "Rows 3, 4, 5, 6, 7 and others have" in many.warnings[0].message
    assert "Row 3 has a vehicle" in look(table(GOOD, ",,,,,,Bus 02")).warnings[0].message


def test_a_block_into_the_reserve_is_a_warning() -> None:
    found = look(table(GOOD.replace(",40,", ",150,")))
    assert not found.errors
    assert "needs 152 kWh, but Bus 01 gives 140 kWh above its reserve" in found.warnings[0].message


def test_a_type_alone_and_a_given_energy_are_checked_against_the_battery() -> None:
    header = "block_id,service_days,depart_at,return_at,energy_kwh,vehicle_type"
    found = look(table("1,daily,06:00,07:00,61,van 60", header=header))
    assert "Block 1 needs 61 kWh, but Van 60 gives 60 kWh" in found.errors[0].message
    assert look(table("1,daily,06:00,07:00,61,", header=header)).errors == ()


def test_files_that_are_not_what_they_seem_are_refused_by_name() -> None:
    for name, content, words in (
        ("week.xlsx", b"PK\x03\x04", "week.xlsx is damaged"),
        ("feed.zip", b"PK\x03\x04", "feed.zip is not a readable ZIP archive"),
        ("week.x10", b"mod; DD.MM.YYYY", "week.x10 has no table REC_FRT"),
    ):
        assert words in look(content, name=name).errors[0].message
    assert read_schedule(b"", "a", FLEET, "odd").errors[0].message.startswith("Files of format “odd” are not")
    assert look(table(GOOD), name="tabs.xls").rows, "text is text, whatever its name"


def test_an_empty_fleet_sends_to_the_set_up() -> None:
    nobody = Fleet(frozenset({"maple"}), (), ())
    found = preview(read_schedule(table(GOOD).encode(), "week.csv", nobody), nobody, ())
    assert "Add it in the set-up first." in found.errors[0].message


# --- service days -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("Mon-Fri", 0b0011111),
        ("mon – fri", 0b0011111),
        ("Monday to Friday", 0b0011111),
        ("weekdays", 0b0011111),
        ("School days", 0b0011111),
        ("1111100", 0b0011111),
        ("MTWTF--", 0b0011111),
        ("M-W-F--", 0b0010101),
        ("Mon,Wed,Fri", 0b0010101),
        ("Mon Wed Fri", 0b0010101),
        ("Mo/We/Fr", 0b0010101),
        ("Tues and Thurs", 0b0001010),
        ("thur", 0b0001000),
        ("daily", 127),
        ("weekends", 0b1100000),
        ("Fri-Mon", 0b1110001),
        ("Sa+Su", 0b1100000),
        ("Mon-Wed; Sat", 0b0100111),
    ],
)
def test_service_days(text: str, bits: int) -> None:
    assert parse_service_days(text) == bits


@pytest.mark.parametrize("text", ["0000000", "-------", "M", "T", "Mon,,Foo", "1-5", "11111", ",", ""])
def test_what_is_no_service_day(text: str) -> None:
    with pytest.raises(CellError, match="Monday first"):
        parse_service_days(text)


@given(st.integers(1, 127))
def test_service_days_are_read_as_they_are_written(bits: int) -> None:
    assert parse_service_days(describe_service_days(bits)) == bits
    assert parse_service_days(weekday_bits(bits)) == bits


# --- overlaps ---------------------------------------------------------------------------------------------


def block(block_id: str, depart: int, back: int, weekdays: int = 127, **values) -> BlockRow:
    place = Place("s", int(block_id)) if block_id.isdigit() else Place()
    return BlockRow(block_id, depart, back, weekdays=weekdays, vehicle="Bus 01", place=place, **values)


def test_touching_blocks_do_not_overlap() -> None:
    assert overlap_errors([block("1", 300, 400), block("2", 400, 500)]) == ()


def test_a_night_block_meets_the_next_morning() -> None:
    sunday_night = block("1", 1400, 1500, weekdays=0b1000000)
    monday_early = block("2", 30, 90, weekdays=0b0000001)
    (error,) = overlap_errors([sunday_night, monday_early])
    assert "block 2 (Mon 00:30–01:30) and block 1 (Sun 23:20–01:00+1, row 1)" in error.message
    assert overlap_errors([sunday_night, replace(monday_early, weekdays=0b0000010)]) == ()


def test_validities_that_never_meet_do_not_overlap() -> None:
    spring = block("1", 300, 400, valid_from=date(2026, 1, 1), valid_to=date(2026, 6, 1))
    autumn = block("2", 300, 400, valid_from=date(2026, 6, 2))
    assert overlap_errors([spring, autumn]) == ()
    assert len(overlap_errors([spring, replace(autumn, valid_from=date(2026, 6, 1))])) == 1


def test_a_date_meets_its_weekday() -> None:
    weekly = block("1", 300, 400, weekdays=0b0000001)
    monday = block("2", 350, 450, weekdays=0, service_date=date(2026, 3, 9))
    (error,) = overlap_errors([weekly, monday])
    assert "first on 2026-03-09" in error.message
    (error,) = overlap_errors([weekly, replace(weekly, block_id="2")])
    assert "at the same time. Change" in error.message, "without a first day there is none to name"
    assert overlap_errors([weekly, replace(monday, service_date=date(2026, 3, 10))]) == ()


def test_standing_blocks_are_told_apart() -> None:
    standing = [block("old", 300, 400), block("older", 350, 450)]
    assert overlap_errors([], standing) == ()
    (error,) = overlap_errors([block("1", 390, 500)], standing)
    assert error.row == 1
    assert "already in the schedule" in error.message
    late = block("later", 300, 400, valid_from=date(2026, 3, 9))
    (error,) = overlap_errors([block("1", 390, 500)], [late])
    assert error.row == 1


def test_vehicles_and_open_blocks_do_not_meet() -> None:
    rows = [block("1", 300, 400), replace(block("2", 300, 400), vehicle="Bus 02")]
    assert (
        overlap_errors([*rows, replace(rows[0], vehicle="", block_id="3"), replace(rows[0], vehicle="")])
        == ()
    )


small_blocks = st.builds(
    lambda start, length, bits, first, last, dated: BlockRow(
        "b",
        start,
        start + length,
        service_date=date.fromordinal(738000 + first) if dated else None,
        weekdays=0 if dated else bits,
        valid_from=None if dated else date.fromordinal(738000 + first),
        valid_to=None if dated else date.fromordinal(738000 + first + last),
    ),
    st.integers(0, 2879),
    st.integers(1, 1440),
    st.integers(1, 127),
    st.integers(0, 20),
    st.integers(0, 20),
    st.booleans(),
)


@given(small_blocks, small_blocks)
def test_collisions_are_those_found_by_trying_every_day(one: BlockRow, other: BlockRow) -> None:
    def runs(row: BlockRow) -> list[int]:
        days = range(row.first_day, row.last_day + 1)
        return [day for day in days if row.running_days >> (day - 1) % 7 & 1]

    expected = [
        day
        for day in runs(one)
        for other_day in runs(other)
        if day * 1440 + one.depart_minute < other_day * 1440 + other.return_minute
        and other_day * 1440 + other.depart_minute < day * 1440 + one.return_minute
    ]
    assert first_collision(one, other) == (date.fromordinal(min(expected)) if expected else None)


# --- preview ----------------------------------------------------------------------------------------------


def test_a_file_is_compared_with_the_schedule() -> None:
    before = look(table(GOOD, GOOD.replace("101", "102").replace("Mon-Fri", "Sat"))).rows
    after = table(GOOD, GOOD.replace("101", "103").replace("Mon-Fri", "Sun"))
    change = look(after, before).difference
    assert [row.block_id for row in change.new] == ["103"]
    assert [row.block_id for row in change.unchanged] == ["101"]
    assert [row.block_id for row in change.missing] == ["102"]
    (changed,) = look(table(GOOD.replace("40,", "41,")), before).difference.changed
    assert (changed[0].distance_km, changed[1].distance_km) == (40, 41)


def test_conflicts_are_told_only_when_the_file_itself_is_right() -> None:
    standing = [replace(look(table(GOOD)).rows[0], block_id="old", place=Place())]
    assert len(look(table(GOOD), standing).conflicts) == 1
    wrong = look(table(GOOD, GOOD.replace("101,Mon-Fri", "102,nodays")), standing)
    assert (len(wrong.errors), wrong.conflicts) == (1, ())


def test_days_narrow_what_is_read_and_what_is_missing() -> None:
    days = DateRange(date(2026, 3, 1), date(2026, 3, 31))
    inside = BlockRow("in", 1, 2, service_date=date(2026, 3, 31))
    beyond = BlockRow("out", 1, 2, weekdays=1, valid_from=date(2026, 3, 1))
    reading = read_schedule(table(GOOD).encode(), "week.csv", FLEET)
    found = preview(reading, FLEET, [inside, beyond], days)
    assert found.difference.missing == (inside,)
    ended = DateRange(to_date=date(2025, 1, 1))
    header = HEADER + ",valid_from"
    late = read_schedule(
        table(*[GOOD.replace("101", n) + ",2026-01-01" for n in "12"], header=header).encode(), "w", FLEET
    )
    narrowed = preview(late, FLEET, (), ended)
    assert narrowed.rows == ()
    assert narrowed.warnings[0].message.startswith("2 rows run only outside")


def test_what_the_file_has_no_column_for_comes_from_the_schedule() -> None:
    before = look(table(GOOD)).rows
    short = table(GOOD.rsplit(",", 2)[0], header=HEADER.rsplit(",", 2)[0])
    found = look(short, before)
    assert found.difference.unchanged == before
    assert look(short).rows[0].vehicle == ""


def test_names_of_rows_that_another_format_made_are_checked_as_well() -> None:
    good = look(table(GOOD)).rows[0]
    strange = [
        replace(good, block_id="a", vehicle="Bus 77"),
        replace(good, block_id="b", vehicle_type="Tram"),
        replace(good, block_id="c", vehicle="tele-1", vehicle_type="bus 200", weekdays=0b1000000),
    ]
    found = preview(Reading("gtfs", tuple(strange)), FLEET, ())
    assert [error.column for error in found.errors] == ["vehicle", "vehicle_type"]
    assert (found.rows[0].vehicle, found.rows[0].vehicle_type) == ("Bus 01", "Bus 200")


def test_doubles_in_another_sheet_are_named_by_it() -> None:
    rows = look(table(GOOD)).rows
    reading = read_schedule(table(GOOD).encode(), "other.csv", FLEET)
    both = replace(reading, rows=(*rows, *reading.rows))
    assert "stands in week.csv already" in preview(both, FLEET, ()).errors[0].message


# --- writing ----------------------------------------------------------------------------------------------


rows_to_write = st.builds(
    BlockRow,
    block_id=st.text('=+-@aB1 ;,"', min_size=1, max_size=8).filter(lambda text: text == text.strip()),
    depart_minute=st.integers(0, 2000),
    return_minute=st.integers(2001, 4319),
    weekdays=st.integers(1, 127),
    valid_from=st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    distance_km=st.floats(0.1, 100),
    energy_kwh=st.none() | st.integers(1, 100).map(float),
    min_soc_departure=st.none() | st.integers(0, 100).map(lambda percent: percent / 100),
    precondition=st.booleans(),
)


@given(rows_to_write)
def test_a_written_schedule_is_read_back_the_same(row: BlockRow) -> None:
    found = canonical.read(canonical.write([row], "maple").encode(), "back.csv", FLEET)
    assert found.errors == ()
    assert found.rows == (row,)


def test_clock_shows_the_day_after() -> None:
    assert [clock(minute) for minute in (0, 390, 1510, 4320)] == ["00:00", "06:30", "01:10+1", "00:00+3"]


def test_an_error_takes_the_name_the_file_uses() -> None:
    assert Place("s", 2, {"distance_km": "Miles"}).error("distance_km", "x", "m") == RowError(
        "s", 2, "Miles", "x", "m"
    )
