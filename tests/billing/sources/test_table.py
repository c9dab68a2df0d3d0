"""Price files in the shapes in which they are published, read without one hour lost, doubled or moved."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from billing.sources.table import Reading, read_prices, unit_of
from depot.timegrid import local_day_bounds
from tests.shared import shared

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2025, 3, 30), date(2025, 10, 26)


def read(text: str, column: str = "", unit: str = "", tz: ZoneInfo = BERLIN) -> Reading:
    return read_prices(text.encode("utf-8-sig"), "prices.csv", tz, column, unit)


def starts(reading: Reading) -> list[str]:
    assert reading.errors == ()
    return [point.start_at.isoformat()[:16] for point in reading.points]


def whole_day(day: date, minutes: int) -> tuple[str, list[datetime]]:
    """Return a day as SMARD writes it (semicolons, decimal comma, local time), and its UTC starts."""
    begin, end = local_day_bounds(day, BERLIN)
    moments = [
        begin + timedelta(minutes=minutes * i) for i in range((end - begin) // timedelta(minutes=minutes))
    ]
    lines = ["Datum von;Datum bis;Deutschland/Luxemburg [€/MWh] Berechnete Auflösungen;Polen [€/MWh]"]
    for number, at in enumerate(moments):
        local, until = at.astimezone(BERLIN), (at + timedelta(minutes=minutes)).astimezone(BERLIN)
        lines.append(f"{local:%d.%m.%Y %H:%M};{until:%d.%m.%Y %H:%M};{number},5;-{number},25")
    return "\n".join(lines), moments


@pytest.mark.parametrize(
    ("day", "minutes", "count"),
    [(SPRING, 60, 23), (AUTUMN, 60, 25), (SPRING, 15, 92), (AUTUMN, 15, 100), (date(2025, 6, 1), 15, 96)],
)
def test_a_day_of_any_length_is_read_whole(day: date, minutes: int, count: int) -> None:
    text, moments = whole_day(day, minutes)
    reading = read(text, "deutschland")
    assert [point.start_at for point in reading.points] == moments
    assert len(moments) == count
    assert {point.minutes for point in reading.points} == {minutes}
    assert reading.points[3].per_kwh == Decimal("0.0035")
    assert reading.warnings == ()
    assert read(text, "Polen").points[2].per_kwh == Decimal("-0.00225")


def test_several_price_columns_are_a_question() -> None:
    text, _ = whole_day(SPRING, 60)
    reading = read(text)
    assert reading.points == ()
    assert reading.columns[1] == "Polen [€/MWh]"
    assert "several price columns" in reading.errors[0].message
    assert "is not one price column" in read(text, "Atlantis").errors[0].message


MARCH = "2025-03-29T23:00", "2025-03-30T00:00", "2025-03-30T01:00"
NOVEMBER = "2025-10-26T00:00", "2025-10-26T01:00", "2025-10-26T02:00"
SHAPES = {
    "ranges of ENTSO-E": (
        '"MTU (CET/CEST)","Area","Day-ahead Price (EUR/MWh)"\n'
        '"30/03/2025 00:00 - 30/03/2025 01:00","BZN|DE-LU","46.31"\n'
        '"30/03/2025 01:00 - 30/03/2025 03:00","BZN|DE-LU","15.89"\n'
        '"30/03/2025 03:00 - 30/03/2025 04:00","BZN|DE-LU","5.10"\n',
        MARCH,
    ),
    "UTC in the title": (
        "Delivery Start (UTC),Delivery End (UTC),SE3 (EUR/MWh)\n"
        "2025-03-29 23:00,,1.1\n2025-03-30 00:00,,1.2\n2025-03-30 01:00,,1.3\n",
        MARCH,
    ),
    "offsets": (
        "start,Price EUR/kWh\n2025-03-30T00:00+01:00,0.1\n2025-03-30T01:00+01:00,0.2\n2025-03-30T03:00+02:00,0.3\n",
        MARCH,
    ),
    "hours from one, the repeated one marked": (
        "Date;Hour;Price €/MWh\n26.10.2025;3A;1\n26.10.2025;3B;2\n26.10.2025;4;3\n",
        NOVEMBER,
    ),
    "ranges of hours": (
        "Date;Hours;Price €/MWh\n26.10.2025;02 - 03;1\n26.10.2025;02 - 03;2\n26.10.2025;03 - 04;3\n",
        NOVEMBER,
    ),
    "clock times": (
        "Datum;Uhrzeit;Preis €/MWh\n26.10.2025;02:00;1\n26.10.2025;02:00;2\n26.10.2025;03:00;3\n",
        NOVEMBER,
    ),
    "no value in the hour that is left out": (
        "start;Preis €/MWh\n30.03.2025 00:00;1,00\n30.03.2025 01:00;2,00\n30.03.2025 02:00;-\n30.03.2025 03:00;3,00\n",
        MARCH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_each_published_shape(shape: str) -> None:
    text, expected = SHAPES[shape]
    assert starts(read(text)) == list(expected)


def test_positions_of_a_long_day_count_from_midnight() -> None:
    rows = "\n".join(f"2025-10-26;{position};{position}" for position in range(1, 101))
    reading = read(f"Delivery date;Period;Price (EUR/MWh)\n{rows}")
    begin, _ = local_day_bounds(AUTUMN, BERLIN)
    assert [point.start_at for point in reading.points] == [
        begin + timedelta(minutes=15) * i for i in range(100)
    ]


def test_hours_turn_into_quarters_inside_a_file_and_gaps_are_told() -> None:
    moments = [f"2025-09-30 {hour:02}:00" for hour in (20, 21, 23)]
    moments += [
        f"2025-10-01 {hour:02}:{minute:02}"
        for hour in (0, 1)
        for minute in (0, 15, 30, 45)
        if (hour, minute) != (1, 15)
    ]
    reading = read("start,Price (EUR/MWh)\n" + "\n".join(f"{at},{i}" for i, at in enumerate(moments)))
    assert [point.minutes for point in reading.points] == [60] * 3 + [15] * 7
    assert [warning.message for warning in reading.warnings] == [
        "After 2025-09-30 21:00 60 minutes are missing.",
        "After 2025-10-01 01:00 15 minutes are missing.",
    ]


def test_a_workbook_reads_like_its_table() -> None:
    book = Workbook()
    book.active.append(["start", "CO2 (g/kWh)"])
    book.active.append([datetime(2025, 1, 1), 301.5])  # noqa: DTZ001 – a cell of a workbook has no zone
    book.active.append([datetime(2025, 1, 1, 1), None])  # noqa: DTZ001
    book.active.append([datetime(2025, 1, 1, 2), 250])  # noqa: DTZ001
    out = BytesIO()
    book.save(out)
    reading = read_prices(out.getvalue(), "co2.xlsx", BERLIN)
    assert starts(reading) == ["2024-12-31T23:00", "2025-01-01T01:00"]
    assert [point.per_kwh for point in reading.points] == [Decimal("0.3015"), Decimal("0.25")]
    assert reading.warnings[0].message.startswith("1 row has no value (row 3)")


FAULTS = {
    "no number": ("start,Price (EUR/MWh)\n2025-01-01 00:00,12\n2025-01-01 01:00,cheap\n", 3, "not a number"),
    "no time": ("start,Price (EUR/MWh)\nsoon,12\n", 2, "not a date"),
    "twice": ("start,Price (EUR/MWh)\n2025-01-01 00:00,1\n2025-01-01 00:00,2\n", 3, "there twice"),
    "thrice": (
        "start,Price (EUR/MWh)\n2025-10-26 02:00,1\n2025-10-26 02:00,2\n2025-10-26 02:00,3\n", 4, "there twice"),
    "skipped": ("start,Price (EUR/MWh)\n2025-03-30 02:00,1\n", 2, "does not exist"),
    "ambiguous day": ("start,Price (EUR/MWh)\n03/04/2025 00:00,1\n", 2, "day/month or month/day"),
    "unit": ("start,Price\n2025-01-01 00:00,1\n", 1, "does not say its unit"),
    "absurd": ("start,Price (EUR/kWh)\n2025-01-01 00:00,89000\n", 2, "Check the unit"),
    "no times": ("Price (EUR/MWh)\n12\n", None, "no column of times"),
    "no prices": ("start,name\n2025-01-01 00:00,a\n", None, "no column of prices"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_at_its_row_and_nothing_is_read(fault: str) -> None:
    text, row, words = FAULTS[fault]
    reading = read(text)
    assert reading.points == ()
    [error] = reading.errors
    assert (error.row, words in error.message) == (row, True), error


def test_a_unit_can_be_given() -> None:
    assert read("start,Price\n2025-01-01 00:00,8\n", unit="ct/kwh").points[0].per_kwh == Decimal("0.08")


@pytest.mark.parametrize(
    ("title", "unit"),
    [
        ("Preis [€/MWh]", "mwh"), ("USD/kWh", "kwh"), ("Arbeitspreis ct/kWh", "ct/kwh"), ("gCO₂/kWh", "g/kwh"),
        ("kg CO2eq/MWh", "kg/mwh"), ("t/MWh", "t/mwh"), ("Price", ""), ("LMP $/MWh", "mwh"),
    ],
)  # fmt: skip
def test_units_of_titles(title: str, unit: str) -> None:
    assert unit_of(title) == unit


@settings(max_examples=25, deadline=None)
@given(
    st.dates(date(2025, 3, 28), date(2025, 4, 1)) | st.dates(date(2025, 10, 24), date(2025, 10, 28)),
    st.sampled_from([15, 60]),
    st.lists(st.integers(-50_000, 50_000), min_size=1, max_size=4),
)
def test_what_is_written_is_read(day: date, minutes: int, cents: list[int]) -> None:
    _, moments = whole_day(day, minutes)
    values = [Decimal(cents[i % len(cents)]) / 100 for i in range(len(moments))]
    rows = [
        f"{at.astimezone(BERLIN):%Y-%m-%d %H:%M};{f'{value:.2f}'.replace('.', ',')}"
        for at, value in zip(moments, values, strict=True)
    ]
    reading = read("von;Preis €/MWh\n" + "\n".join(rows))
    assert [point.start_at for point in reading.points] == moments
    assert [point.per_kwh for point in reading.points] == [value / 1000 for value in values]


def test_the_real_year_is_read_whole() -> None:
    path = shared("data", "prices_dayahead_eu_2025", "Gro_handelspreise_202501010000_202601010000_Stunde.csv")
    reading = read_prices(path.read_bytes(), path.name, BERLIN, "Deutschland/Luxemburg")
    assert (len(reading.points), len(reading.columns), reading.errors) == (8376, 17, ())
    [missing] = reading.warnings
    assert missing.message == "384 rows have no value (the first is row 8378); not stored."
    first = datetime(2024, 12, 31, 23, tzinfo=UTC)
    assert [point.start_at for point in reading.points] == [first + timedelta(hours=i) for i in range(8376)]
    prices = [point.per_kwh * 1000 for point in reading.points]
    assert (min(prices), max(prices)) == (Decimal("-250.32"), Decimal("583.40"))
    assert sum(price < 0 for price in prices) == 573
