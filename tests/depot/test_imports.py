"""The import engine: bytes, tables, columns, cells, differences."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.imports import (
    CellError,
    Column,
    FileError,
    RowError,
    date_style,
    decimal_mark,
    decode,
    difference,
    escape_cell,
    match_columns,
    parse_clock,
    parse_column,
    parse_date,
    parse_fraction,
    parse_number,
    parse_yes_no,
    percent_column,
    read_delimited,
    write_delimited,
)
from depot.imports.workbook import read_workbook, write_workbook

NAMES = "block,Zürich\n1,ä€\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (NAMES.encode(), "UTF-8"),
        (NAMES.encode("utf-8-sig"), "UTF-8"),
        (NAMES.encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + NAMES.encode("utf-16-be"), "UTF-16"),
        (NAMES.encode("utf-16-le"), "UTF-16"),
        (NAMES.encode("utf-16-be"), "UTF-16"),
        (NAMES.encode("cp1252"), "Windows-1252"),
        (NAMES.replace("€", "\x81").encode("latin-1"), "Latin-1"),
    ],
)
def test_encodings_are_recognised(content: bytes, encoding: str) -> None:
    decoded = decode(content, "a.csv")
    assert decoded.text.removeprefix("\ufeff").replace("\x81", "€") == NAMES
    assert decoded.encoding == encoding


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a.csv is empty"),
        (b"\xef\xbb\xbf \r\n,,;\n", "a.csv is empty"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"PK\x05\x06", "empty ZIP"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel workbook"),
        (b"%PDF-1.7", "PDF document"),
        (b"\x1f\x8bxx", "compressed"),
        (b"{\\rtf1", "RTF"),
        (b"a,b\n1,2\n3,\x00\n", "row 3: there is a NUL byte"),
        (b"a,b\n1,\x07\n", "row 2: there is the control character 0x07"),
        (b"\xff\xfea\x00b", "says it is UTF-16 but is damaged at byte"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        decode(content, "a.csv")


def test_size_has_a_limit() -> None:
    with pytest.raises(FileError, match=r"has 2\.0 MB; at most 1 MB are read\. Split it"):
        decode(b"x" * 2**21, "a.csv", max_bytes=2**20)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", "comma"),
        ("a;b\n1;2\n", "semicolon"),
        ("a\tb\n1\t2\n", "tab"),
        ('"a;x;y",b\n1,2\n', "comma"),
        ("sep=;\na;b\n1;2\n", "semicolon"),
        ("\n\na,b\r\n1,2\r\n", "comma"),
        ("a,b\r1,2\r", "comma"),
        ("a,b,,\n1,2,,\n", "comma"),
    ],
)
def test_delimiters_are_recognised(text: str, delimiter: str) -> None:
    table, errors = read_delimited(text.encode(), "a.csv")
    assert dict(table.facts)["Delimiter"] == delimiter
    assert [cell.split(";")[0] for cell in table.header.cells] == ["a", "b"]
    assert [row.cells for row in table.rows] == [("1", "2")]
    assert table.column(1) == ["2"]
    assert not errors


def test_rows_are_numbered_as_in_the_file() -> None:
    table, _ = read_delimited(b'a,b\n\n"1\n1",2\n,\n3\n', "a.csv")
    assert [(row.number, row.cells) for row in table.rows] == [(3, ("1\n1", "2")), (5, ("3", ""))]


def test_a_leading_separator_line_counts_as_a_row() -> None:
    table, _ = read_delimited(b"\nsep=;\na;b\n1;2\n", "a.csv")
    assert (table.header.number, table.rows[0].number) == (3, 4)


def test_misshapen_rows_are_errors_of_their_own() -> None:
    table, errors = read_delimited(b"a,b\n1,2,3\n1,2,\n" + b"x" * 501 + b",2\n", "a.csv")
    assert len(table.rows) == 1
    assert [(error.row, error.value[:3]) for error in errors] == [(2, "3"), (4, "xxx")]
    assert "the row has 3 cells, the header 2" in errors[0].message
    assert "has 501 characters; at most 500 fit" in errors[1].message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a,b\n1,"2\n3,4\n', r"a\.csv, row 2: the quotes"),
        ('a,b\n1,"2"x\n', r"a\.csv, row 2: the quotes"),
        (",".join("abc" for _ in range(61)), "has 61 columns; at most 60"),
        ("sep=,\n", "has no header row"),
        ("a\n" + "1\n" * 11, "has more than 10 rows. Split it"),
    ],
)
def test_files_that_are_no_table_are_refused(text: str, words: str) -> None:
    with pytest.raises(FileError, match=words):
        read_delimited(text.encode(), "a.csv", max_rows=10)


@given(st.lists(st.lists(st.text("=+-@a1,;'\" \n", max_size=5), min_size=2, max_size=2), max_size=5))
def test_what_is_written_is_safe_and_comes_back(rows: list[list[str]]) -> None:
    text = write_delimited(("a", "b"), rows)
    raw = list(csv.reader(io.StringIO(text)))
    assert not any(cell[:1] in {"=", "+", "-", "@"} for row in raw for cell in row)
    table, errors = read_delimited(text.encode(), "a.csv")
    plain = [tuple(cell.strip() for cell in row) for row in rows]
    if not any(cell.startswith("'") for row in plain for cell in row):
        assert [row.cells for row in table.rows] == [row for row in plain if any(row)]
    assert not errors


def test_formulas_get_a_mark() -> None:
    assert [escape_cell(cell) for cell in ("=1", "+1", "-1", "@a", "\ta", "a=1", "")] == [
        "'=1",
        "'+1",
        "'-1",
        "'@a",
        "'\ta",
        "a=1",
        "",
    ]


COLUMNS = (Column("block_id", ("Block No",), required=True), Column("depart_at", required=True), Column("km"))


def test_columns_are_found_by_name_or_alias() -> None:
    table, _ = read_delimited(b"KM,block-no.,Depart at\n1,2,3\n", "a.csv")
    matched = match_columns(table, COLUMNS)
    assert matched.index == {"km": 0, "block_id": 1, "depart_at": 2}
    assert matched.header["block_id"] == "block-no."
    assert not matched.errors


def test_wrong_columns_are_errors_by_name() -> None:
    table, _ = read_delimited(b"block_id,Block no,,pupil,departat,\n1,2,3,4,5,6\n", "a.csv")
    sentences = [error.sentence for error in match_columns(table, COLUMNS).errors]
    assert sentences == [
        "a.csv, row 1, column Block no: “Block no” and “block_id” both mean block_id. "
        "Delete one of the two columns.",
        "a.csv, row 1: Column 3 has no name. Name it or delete it.",
        "a.csv, row 1, column pupil: “pupil” is not a column of a schedule. Delete it, or name it as one of "
        "block_id, depart_at, km.",
        "a.csv, row 1, column departat: “departat” is not a column of a schedule. Do you mean depart_at?",
        "a.csv, row 1, column depart_at: The column depart_at is missing. Add it, or start from the template.",
    ]


def test_equal_cells_are_parsed_once() -> None:
    calls: list[str] = []

    def parse(text: str) -> int:
        calls.append(text)
        if not text.isdigit():
            raise CellError(f"“{text}” is none.")
        return int(text)

    values = parse_column(["1", "x", "1", "x"], parse)
    assert calls == ["1", "x"]
    assert values[0] == values[2] == 1
    assert isinstance(values[3], CellError)


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1", "12", ""], ""),
        (["1,234", "1.234"], ""),
        (["12.5"], "."),
        (["12,5"], ","),
        (["1,234.5"], "."),
        (["1.234,5"], ","),
        (["1,234,567"], "."),
        (["0,750"], ","),
        (["12,5", "12.5"], "mixed"),
    ],
)
def test_the_decimal_mark_is_proved_by_the_numbers(texts: list[str], mark: str) -> None:
    assert decimal_mark(texts) == mark


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("40", "", 40),
        (" 40.5 ", "", 40.5),
        ("40,5", "", 40.5),
        ("-1.5", "", -1.5),
        ("+3", "", 3),
        (".5", "", 0.5),
        ("5.", "", 5),
        ("1.234", "", 1.234),
        ("1.234", ",", 1234),
        ("1,234", ".", 1234),
        ("1,234", ",", 1.234),
        ("1 234,5", "", 1234.5),
        ("1'234.5", "", 1234.5),
        ("1,234,567", "", 1234567),
        ("1.234.567,25", "", 1234567.25),
    ],
)
def test_numbers(text: str, mark: str, value: float) -> None:
    assert parse_number(text, mark) == value


@pytest.mark.parametrize(
    ("text", "mark", "words"),
    [
        ("", "", "is not a number"),
        ("40 km", "", "Write only the number, like 12.5"),
        ("1e3", "", "is not a number"),
        ("nan", "", "is not a number"),
        ("1,234", "", r"can be read in two ways. Write 1234 or 1\.234"),
        ("1.234", "mixed", "can be read in two ways"),
        ("12,34,567", "", "without thousands marks"),
        ("1.23,456,7", "", "without thousands marks"),
        ("9" * 400, "", "too large for a number"),
    ],
)
def test_what_is_no_number(text: str, mark: str, words: str) -> None:
    with pytest.raises(CellError, match=words):
        parse_number(text, mark)


@given(st.decimals(0, 99999, places=2), st.sampled_from([".", ","]))
def test_numbers_with_two_decimals_are_never_mistaken(value, mark: str) -> None:
    assert parse_number(str(value).replace(".", mark)) == float(value)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (["80 %", "75%", "100 %"], [0.8, 0.75, 1.0]),
        (["80", "100", "0"], [0.8, 1.0, 0.0]),
        (["0.8", "1", "0"], [0.8, 1.0, 0.0]),
        (["0,8", "0,55"], [0.8, 0.55]),
        (["80 %", "0.5"], [0.8, 0.5]),
    ],
)
def test_percentages(column: list[str], values: list[float]) -> None:
    mark, percent = decimal_mark(column), percent_column(column)
    assert [parse_fraction(text, percent, mark) for text in column] == values


@pytest.mark.parametrize(
    ("text", "in_percent", "words"),
    [
        ("0.8", True, r"can mean 0\.8 % or 80 %"),
        ("120 %", False, "outside 0 to 100 %"),
        ("-5", True, "outside 0 to 100 %"),
        ("80 % now", True, "not a percentage"),
        ("full", True, "not a number"),
    ],
)
def test_what_is_no_percentage(text: str, in_percent: bool, words: str) -> None:
    with pytest.raises(CellError, match=words):
        parse_fraction(text, in_percent)


def test_words_do_not_decide_a_percent_column() -> None:
    assert not percent_column(["full", "0.5"])


def test_yes_and_no() -> None:
    assert [parse_yes_no(text) for text in ("Yes", "x", "1", "no", "", "FALSE")] == [True] * 3 + [False] * 3
    with pytest.raises(CellError, match="“maybe” is neither yes nor no"):
        parse_yes_no("maybe")


@pytest.mark.parametrize(
    ("text", "minute"),
    [
        ("6:30", 390),
        ("06:30", 390),
        ("06:30:00", 390),
        ("0630", 390),
        ("1:30 PM", 810),
        ("1:30pm", 810),
        ("1:30 p.m.", 810),
        ("12:05 AM", 5),
        ("12:00 PM", 720),
        ("25:10", 1510),
        ("01:10+1", 1510),
        ("01:10 +2", 2950),
        ("11:00 PM+1", 2820),
        ("72:00", 4320),
        ("0.270833333333333", 390),
        ("0,270833", 390),
        (".5000", 720),
        ("1.0486111", 1510),
    ],
)
def test_times(text: str, minute: int) -> None:
    assert parse_clock(text) == minute


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a time"),
        ("6.30", "is not a time. Write it like 06:30"),
        ("630", "is not a time"),
        ("half six", "is not a time"),
        ("06:60", "minutes 00 to 59"),
        ("06:30:15", "has seconds. Round it to a whole minute, like 06:30"),
        ("13:30 PM", "the hour is 1 to 12"),
        ("0:30 AM", "the hour is 1 to 12"),
        ("01:10+3", "too late"),
        ("25:10+1", "too late"),
        ("72:01", "more than two days later"),
        ("2026-03-09 06:30", "is not a time"),
        ("0.2713", "no whole minute"),
    ],
)
def test_what_is_no_time(text: str, words: str) -> None:
    with pytest.raises(CellError, match=words):
        parse_clock(text)


@given(st.integers(0, 3 * 1440 - 1))
def test_every_minute_is_read_back_in_every_way(minute: int) -> None:
    days, rest = divmod(minute, 1440)
    hour, past = divmod(rest, 60)
    half = "PM" if hour >= 12 else "AM"
    for text in (
        f"{minute // 60}:{past:02}",
        f"{hour:02}:{past:02}+{days}",
        f"{(hour - 1) % 12 + 1}:{past:02} {half}+{days}",
        f"{minute / 1440:.9f}",
    ):
        assert parse_clock(text) == minute


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("2026-03-09", ""),
        ("2026-3-9", ""),
        ("2026/03/09", ""),
        ("20260309", ""),
        ("2026-03-09 00:00:00", ""),
        ("2026-03-09T00:00", ""),
        ("46090", ""),
        ("46090.0", ""),
        ("9.3.2026", ""),
        ("09.03.2026", "month first"),
        ("09/03/2026", "day first"),
        ("03/09/2026", "month first"),
        ("3/9/2026 0:00", "month first"),
        ("9-Mar-26", ""),
        ("9 March 2026", ""),
        ("Mar 9, 2026", ""),
    ],
)
def test_dates(text: str, style: str) -> None:
    assert parse_date(text, style) == date(2026, 3, 9)


@pytest.mark.parametrize("text", ["13/02/2026", "02/13/2026"])
def test_a_date_that_can_be_read_in_one_way_needs_no_style(text: str) -> None:
    assert parse_date(text) == date(2026, 2, 13)
    assert parse_date("05/05/2026") == date(2026, 5, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("03/09/2026", "can be day/month or month/day.*Write 2026-03-09 or 2026-09-03"),
        ("2026-02-30", "is not a day of the calendar"),
        ("31/31/2026", "is not a day of the calendar"),
        ("9 Foo 2026", "there is no month “Foo”"),
        ("3/9/26", "a year of two digits"),
        ("1926-03-09", "outside the years 2000 to 2099"),
        ("tomorrow", "is not a date"),
        ("2026-03-09 06:30", "is not a date"),
        ("", "is not a date"),
    ],
)
def test_what_is_no_date(text: str, words: str) -> None:
    with pytest.raises(CellError, match=words):
        parse_date(text)


def test_the_column_decides_its_style() -> None:
    assert date_style(["03/09/2026", "25/03/2026", "x"]) == "day first"
    assert date_style(["03/09/2026", "03/25/2026"]) == "month first"
    assert date_style(["03/09/2026", "2026-03-09"]) == ""
    assert date_style(["25/03/2026", "03/25/2026"]) == "mixed"
    with pytest.raises(CellError, match="does not say which"):
        parse_date("03/09/2026", "mixed")


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_every_day_is_read_back_in_every_style(day: date) -> None:
    serial = (day - date(1899, 12, 30)) // timedelta(days=1)
    assert parse_date(day.isoformat()) == parse_date(f"{day:%d.%m.%Y}") == parse_date(str(serial)) == day
    assert parse_date(f"{day:%d/%m/%Y}", "day first") == parse_date(f"{day:%m/%d/%Y}", "month first") == day


def test_a_difference_has_four_parts() -> None:
    found = difference(
        [("a", 1), ("b", 1), ("c", 1)], [("b", 2), ("c", 1), ("d", 1)], key=lambda item: item[0]
    )
    assert found.new == (("d", 1),)
    assert found.changed == ((("b", 1), ("b", 2)),)
    assert found.unchanged == (("c", 1),)
    assert found.missing == (("a", 1),)


pairs = st.dictionaries(st.integers(0, 9), st.integers(0, 3)).map(lambda found: list(found.items()))


@given(pairs, pairs)
def test_a_difference_accounts_for_every_item(before: list, after: list) -> None:
    found = difference(before, after, key=lambda item: item[0])
    assert {*found.new, *found.unchanged, *(new for _, new in found.changed)} == set(after)
    assert {*found.missing, *found.unchanged, *(old for old, _ in found.changed)} == set(before)
    again = difference(after, after, key=lambda item: item[0])
    assert not again.new + again.changed + again.missing


def test_an_error_is_a_sentence_with_its_place() -> None:
    assert RowError("a.csv", 3, "km", "x", "“x” is not a number.").sentence == (
        "a.csv, row 3, column km: “x” is not a number."
    )
    whole = RowError("", None, "", "", "The file is empty.")
    assert whole.sentence == "The file is empty."
    assert whole.as_json() == {
        "sheet": "",
        "row": None,
        "column": "",
        "value": "",
        "message": "The file is empty.",
    }


def test_empty_lines_are_no_rows_however_many() -> None:
    table, errors = read_delimited(b"a,b\n" + b", ,\n" * 50 + b"1,2\n", "a.csv", max_rows=10)
    assert ([row.cells for row in table.rows], errors) == ([("1", "2")], ())


def test_lines_inside_quotes_are_no_rows() -> None:
    cell = "\n".join("x" for _ in range(50))
    table, errors = read_delimited(f'a,b\n1,"{cell}"\n'.encode(), "a.csv", max_rows=10)
    assert ([row.cells for row in table.rows], errors) == ([("1", cell)], ())


def test_a_sheet_of_too_many_rows_is_refused_before_it_is_parsed() -> None:
    content = write_workbook("Week", ("a",), (("1",) for _ in range(40)))
    with pytest.raises(FileError, match="has more than 20 rows"):
        read_workbook(content, "week.xlsx", max_rows=20)
    with pytest.raises(FileError, match="has a sheet of more than 30 rows"):
        read_workbook(content, "week.xlsx", max_rows=10)
