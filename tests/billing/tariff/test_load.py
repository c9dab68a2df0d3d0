"""Loads: what is read, what is estimated, and what is refused with row, column and cure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from billing.tariff import LoadError, make_load, read_load

NEW_YORK = ZoneInfo("America/New_York")


HOURS_AFTER = [f"2025-07-02T{hour:02d}:00Z,1" for hour in range(12)]


def rows(*lines: str, header: str = "start,import_kw") -> str:
    return "\n".join((header, *lines)) + "\n"


def problems(text: str, zone: ZoneInfo | None = None) -> tuple[str, ...]:
    with pytest.raises(LoadError) as caught:
        read_load(text, file="load.csv", zone=zone)
    return caught.value.problems


def test_reads_times_with_offset_in_any_form():
    load = read_load(
        "\ufeff"
        + rows("2025-07-01T00:00:00-04:00,1.5", "2025-07-01 00:30:00-04:00,2", "", "2025-07-01T05:00Z,3")
    )

    assert load.start_at == datetime(2025, 7, 1, 4, tzinfo=UTC)
    assert load.end_at == datetime(2025, 7, 1, 5, 30, tzinfo=UTC)
    assert load.step_minutes == 30
    assert load.import_kw.tolist() == [1.5, 2, 3]
    assert load.written_in is None


def test_one_fixed_offset_is_remembered():
    load = read_load(rows("2025-07-01T00:00:00-04:00,1", "2025-07-01T01:00:00-04:00,2"))

    assert load.written_in is not None
    assert load.written_in.utcoffset(None) == timedelta(hours=-4)


def test_the_autumn_day_has_25_local_hours():
    clock = ["00:00", "01:00", "01:00", *(f"{hour:02d}:00" for hour in range(2, 24))]
    load = read_load(rows(*(f"2025-11-02T{at},{n}" for n, at in enumerate(clock))), zone=NEW_YORK)

    assert load.steps == 25
    assert load.import_kw.tolist() == list(range(25))
    assert load.notices == ()


def test_the_spring_day_has_23_local_hours():
    clock = [f"{hour:02d}:00" for hour in range(24) if hour != 2]
    load = read_load(rows(*(f"2025-03-09T{at},{n}" for n, at in enumerate(clock))), zone=NEW_YORK)

    assert load.steps == 23
    assert not load.estimated.any()


def test_an_hour_that_the_clock_change_leaves_out_is_refused():
    (problem,) = problems(rows("2025-03-09T01:00,1", "2025-03-09T02:00,1", "2025-03-09T03:00,1"), NEW_YORK)

    assert "row 3, column start: '2025-03-09T02:00' does not exist in America/New_York" in problem


def test_short_gaps_are_interpolated_and_marked():
    load = read_load(
        rows("2025-07-01T00:00Z,10", "2025-07-01T00:15Z,", "2025-07-01T00:45Z,40", "2025-07-01T01:00Z,40")
    )

    assert load.import_kw.tolist() == [10, 20, 30, 40, 40]
    assert load.estimated.tolist() == [False, True, True, False, False]
    assert [notice.code for notice in load.notices] == ["gap"]
    assert "0.5 h from 2025-07-01T00:15" in str(load.notices[0])


def test_values_that_were_estimated_before_are_billed_and_stay_marked():
    text = (
        "start,import_kw,estimated\n2025-07-01T00:00Z,10,0\n2025-07-01T00:15Z,90,1\n2025-07-01T00:30Z,40,\n"
    )
    load = read_load(text)

    assert load.import_kw.tolist() == [10, 90, 40]
    assert load.estimated.tolist() == [False, True, False]
    (problem,) = problems(text.replace("90,1", "90,2"))
    assert (
        "row 3, column estimated: '2' is neither 0 nor 1. Write 1 for a value that was estimated" in problem
    )


def test_long_gaps_take_the_same_hour_of_the_weeks_around():
    power = np.tile(np.arange(24.0), 21)
    power[7 * 24 + 5 : 7 * 24 + 15] = np.nan
    load = make_load(datetime(2025, 7, 1, tzinfo=UTC), 60, power)

    assert load.import_kw.tolist() == np.tile(np.arange(24.0), 21).tolist()


def test_long_gaps_without_weeks_around_are_interpolated():
    for minutes in (60, 50):
        load = make_load(datetime(2025, 7, 1, tzinfo=UTC), minutes, [0.0, *[np.nan] * 3, 4.0])
        assert load.import_kw.tolist() == [0, 1, 2, 3, 4]


def test_a_missing_price_is_the_last_known():
    text = rows(
        "2025-07-01T00:00Z,1,",
        "2025-07-01T01:00Z,1,0.2",
        "2025-07-01T02:00Z,1,",
        "2025-07-01T03:00Z,1,0.4",
        header="start,import_kw,import_price_per_kwh",
    )
    load = read_load(text)

    assert load.import_price_per_kwh is not None
    assert load.import_price_per_kwh.tolist() == [0.2, 0.2, 0.2, 0.4]
    assert [notice.code for notice in load.notices] == ["stale_price"]


def test_rows_out_of_order_and_repeated_are_told():
    load = read_load(
        rows("2025-07-01T01:00Z,2", "2025-07-01T00:00Z,1", "2025-07-01T01:00Z,2", "2025-07-01T02:00Z,3")
    )

    assert load.import_kw.tolist() == [1, 2, 3]
    assert [notice.code for notice in load.notices] == ["order", "duplicate"]


def test_two_different_readings_for_one_time_are_refused():
    (problem,) = problems(rows("2025-07-01T00:00Z,1", "2025-07-01T01:00Z,2", "2025-07-01T01:00Z,3"))

    assert problem == (
        "load.csv, rows 3 and 4: two different readings for 2025-07-01T01:00Z. Keep the right one."
    )


def test_a_lonely_spike_is_flagged_and_kept():
    power = [10.0, 12, 11, 900, 10, 12]
    load = make_load(datetime(2025, 7, 1, tzinfo=UTC), 15, power)

    assert load.import_kw.max() == 900
    assert [notice.code for notice in load.notices] == ["spike"]
    assert "900 kW at 2025-07-01T00:45:00+00:00" in str(load.notices[0])


@pytest.mark.parametrize("power", [[0, 0, 80, 0, 0, 79, 0], [5.0, 50.0], [0, 0, 0, 0], [0, 0, 7, 0, 0]])
def test_ordinary_peaks_are_not_flagged(power: list[float]):
    assert make_load(datetime(2025, 7, 1, tzinfo=UTC), 15, power).notices == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "row 1: column 'start' is missing"),
        ("start;import_kw\n", "separated by semicolons"),
        (rows(header="start,load_kw"), "row 1: column 'load_kw' is not supported. Remove it"),
        (rows(header="start,import_kw,import_kw"), "column 'import_kw' is there 2 times"),
        (rows("2025-07-01T00:00Z,1"), "1 rows of readings"),
        (rows("2025-07-01T00:00Z,1,2", "2025-07-01T01:00Z,1"), "row 2: 3 cells where the header has 2"),
        (rows("2025-07-01T00:00Z,x", "2025-07-01T01:00Z,1"), "row 2, column import_kw: 'x' is not a number"),
        (rows("2025-07-01T00:00Z,nan", "2025-07-01T01:00Z,1"), "'nan' is not a number"),
        (rows("2025-07-01T00:00Z,-4", "2025-07-01T01:00Z,1"), "column import_kw: '-4' is negative"),
        (rows("01.07.2025 00:00,4", "2025-07-01T01:00Z,1"), "'01.07.2025 00:00' is not an ISO 8601 time"),
        (rows("2025-07-01T00:00:30Z,4", "2025-07-01T01:00Z,1"), "is not an ISO 8601 time of whole minutes"),
        (rows("2025-07-01T00:00,4", "2025-07-01T01:00,1"), "has no UTC offset"),
        (rows("2025-07-01T00:00Z,1", "2025-07-01T00:00Z,1"), "all rows have the same time"),
        (rows("2025-07-01T00:00Z,1", "2025-07-01T02:00Z,1"), "the rows are 120 minutes apart"),
        (rows("2025-07-01T00:00Z,1", "2025-07-01T00:01Z,1"), "the rows are 1 minutes apart"),
        (
            rows("2025-07-01T00:00Z,1", "2025-07-01T01:00Z,1", "2025-07-01T02:20Z,1", "2025-07-01T03:20Z,1"),
            "row 4, column start: the row is off the 60-minute grid",
        ),
        (rows("2025-07-01T00:00Z,1", "2025-07-01T01:00Z,1", "2025-07-09T01:00Z,1"), "are missing"),
        (
            rows(*(f"2025-07-01T{n // 4:02d}:{n % 4 * 15:02d}Z,1" for n in range(80)), *HOURS_AFTER),
            "some rows are 15 minutes apart and others 60. Give one regular step in the whole file",
        ),
        (rows("2025-07-01T00:00Z,", "2025-07-01T01:00Z,"), "import_kw: there is no reading"),
    ],
)
def test_refused(text: str, sentence: str):
    assert any(sentence in problem for problem in problems(text))


def test_thousands_of_faults_are_summed_up():
    found = problems(rows(*(f"2025-07-01T{n // 60:02d}:{n % 60:02d}Z,x" for n in range(0, 600, 5))))

    assert len(found) == 21
    assert found[-1].startswith("load.csv: 100 more problems.")


def test_arrays_are_checked():
    with pytest.raises(LoadError) as caught:
        make_load(
            datetime(2025, 7, 1),  # noqa: DTZ001
            3,
            [1, -2],
            [1],
            import_price_per_kwh=[np.nan, np.nan],
        )

    assert len(caught.value.problems) == 5


def test_a_year_of_quarter_hours_is_read():
    start = datetime(2025, 1, 1, tzinfo=UTC)
    text = rows(*(f"{(start + timedelta(minutes=15 * n)).isoformat()},{n % 97}" for n in range(35040)))
    assert read_load(text).steps == 35040
