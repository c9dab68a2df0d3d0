"""The depot's own schedule file: a CSV with one row a block. Read it, and write templates and schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from depot.imports import (
    CellError,
    Column,
    DecimalMark,
    RowError,
    Table,
    date_style,
    decimal_mark,
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
from depot.words import tr, trn
from fleet.formats import school
from fleet.formats.blocks import BlockRow, Fleet, Place, Reading
from fleet.formats.checks import Names
from fleet.formats.clock import MINUTES_PER_DAY, clock
from fleet.formats.privacy import private_errors
from fleet.formats.service_days import describe_service_days, parse_service_days

Value = TypeVar("Value")

FORMAT = "csv"
COLUMNS = (
    Column("depot", ("depot name", "garage", "yard", "departure depot")),
    Column(
        "block_id",
        ("block", "block no", "block number", "run", "duty", "name", "route", "route id", "tour", "trip"),
        required=True,
    ),
    Column("service_days", ("days", "repeat days", "operating days", "weekdays")),
    Column("date", ("service date", "operating date")),
    Column("valid_from", ("start date", "from date", "first day")),
    Column("valid_to", ("end date", "to date", "last day", "valid until")),
    Column(
        "depart_at",
        ("departure", "depart", "pull out", "time out", "departure time", "leave", "start", "start time"),
        required=True,
    ),
    Column(
        "return_at",
        ("arrival", "return", "pull in", "time in", "return time", "back", "end", "end time"),
        required=True,
    ),
    Column("distance_km", ("distance", "km", "kilometres", "kilometers", "planned km", "planned distance")),
    Column("energy_kwh", ("energy", "kwh")),
    Column("min_soc_departure", ("min soc", "minimum soc", "required soc", "target soc")),
    Column(
        "vehicle",
        (
            "bus",
            "van",
            "vehicle name",
            "bus number",
            "plate",
            "number plate",
            "licence plate",
            "license plate",
        ),
    ),
    Column("vehicle_type", ("type", "model")),
    Column("precondition", ("preconditioning", "pre condition")),
)
HEADER = tuple(column.name for column in COLUMNS)
REQUIRED = frozenset(column.name for column in COLUMNS if column.required)
UNFILLED = frozenset({"depot", "vehicle", "vehicle_type"})
LATEST_DEPARTURE_MINUTE, LATEST_RETURN_MINUTE = 2880, 4320
LONGEST_BLOCK_ID = 60
LONGEST_KM = 3000.0
LARGEST_KWH = 3000.0


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table by field: what stands there, what it means, and what the file calls them."""

    texts: Mapping[str, Sequence[str]]
    values: Mapping[str, Sequence[Any]]
    headers: Mapping[str, str]
    facts: tuple[tuple[str, str], ...]


def read(content: bytes, name: str, fleet: Fleet) -> Reading:
    """Read a canonical CSV: every row is checked, and every problem gets a sentence.

    Raises FileError when the file cannot be read as a table at all.
    """
    table, misshapen = read_delimited(content, name)
    return read_table(table, misshapen, FORMAT, fleet)


def read_table(table: Table, misshapen: Sequence[RowError], file_format: str, fleet: Fleet) -> Reading:
    """Read the rows of a schedule's table; `misshapen` are the rows that its file could not shape."""
    name = table.sheet
    if private := private_errors(table):
        return Reading(file_format, (), private, private=True)
    if school.is_school(table.header.cells, fleet):
        return school.read_runs(table, misshapen, file_format, fleet)
    matched = match_columns(table, COLUMNS, fleet.columns)
    missing_choices = _missing_choices(table, matched.index)
    errors = [*matched.errors, *missing_choices]
    if missing_choices or not matched.index.keys() >= REQUIRED:
        return Reading(file_format, (), tuple(errors), (), table.facts, unknown_columns=matched.unknown)
    texts = {column: table.column(index) for column, index in matched.index.items()}
    columns = _typed(texts, matched.header, fleet)
    rows, row_errors, unfilled = _rows(table, columns)
    errors += [*misshapen, *row_errors]
    if not rows and not errors:
        errors.append(
            RowError(name, None, "", "", tr("{name} has no blocks. Add one row for each block.", name=name))
        )
    facts = (*table.facts, *columns.facts, (tr("Rows"), f"{len(table.rows):,}"))
    warnings = _unfilled_warning(name, unfilled)
    fields = frozenset(matched.index)
    return Reading(file_format, tuple(rows), tuple(errors), warnings, facts, fields, matched.unknown)


def write(rows: Iterable[BlockRow], depot_name: str) -> str:
    """Return blocks as CSV text that `read` understands as the same blocks."""
    return write_delimited(HEADER, (_cells(row, depot_name) for row in rows))


def write_template(fleet: Fleet, depot_name: str) -> str:
    """Return an empty schedule with one row for each vehicle in service, to be filled in."""
    return write_delimited(HEADER, template_rows(fleet, depot_name))


def template_rows(fleet: Fleet, depot_name: str) -> Iterator[tuple[str, ...]]:
    """Yield the cells of a template: depot, vehicle and type are there, the rest is to be filled in."""
    empty = dict.fromkeys(HEADER, "")
    for vehicle in fleet.vehicles:
        if vehicle.active:
            filled = {"depot": depot_name, "vehicle": vehicle.name, "vehicle_type": vehicle.vehicle_type}
            yield tuple((empty | filled).values())


def _missing_choices(table: Table, index: Mapping[str, int]) -> list[RowError]:
    choices = (("service_days", "date"), ("distance_km", "energy_kwh"))
    return [
        RowError(
            table.sheet,
            table.header.number,
            one,
            "",
            tr("The file has neither {one} nor {other}. Add one.", one=one, other=other),
        )
        for one, other in choices
        if one not in index and other not in index
    ]


def _typed(texts: Mapping[str, list[str]], headers: Mapping[str, str], fleet: Fleet) -> _Columns:
    """Turn each column into values or CellErrors; styles that need the whole column are decided first."""
    numbers = [text for name in ("distance_km", "energy_kwh") for text in texts.get(name, ())]
    mark = decimal_mark([*numbers, *texts.get("min_soc_departure", ())])
    shares = texts.get("min_soc_departure", [])
    percent = percent_column(shares, mark)
    dates = {name: texts.get(name, []) for name in ("date", "valid_from", "valid_to")}
    style = date_style(text for column in dates.values() for text in column)
    day = _optional(partial(parse_date, style=style))
    known = Names(fleet)
    parsers: dict[str, Callable[[str], Any]] = {
        "depot": partial(_depot, fleet=fleet),
        "block_id": _block_id,
        "service_days": _optional(parse_service_days),
        "date": day,
        "valid_from": day,
        "valid_to": day,
        "depart_at": partial(_moment, latest_minute=LATEST_DEPARTURE_MINUTE, movement="departure"),
        "return_at": partial(_moment, latest_minute=LATEST_RETURN_MINUTE, movement="return"),
        "distance_km": _optional(partial(_amount, mark=mark, largest=LONGEST_KM, unit="km", small_unit="m")),
        "energy_kwh": _optional(
            partial(_amount, mark=mark, largest=LARGEST_KWH, unit="kWh", small_unit="Wh")
        ),
        "min_soc_departure": _optional(partial(parse_fraction, in_percent=percent, mark=mark)),
        "vehicle": known.vehicle,
        "vehicle_type": known.vehicle_type,
        "precondition": parse_yes_no,
    }
    values = {name: parse_column(cells, parsers[name]) for name, cells in texts.items()}
    marks = {".": "point", ",": "comma", "mixed": tr("point and comma"), "": tr("not needed")}
    facts = ((tr("Decimal mark"), marks[mark]), (tr("Dates with slashes"), style or "unambiguous"))
    return _Columns(texts, values, headers, facts)


def _rows(table: Table, columns: _Columns) -> tuple[list[BlockRow], list[RowError], list[int]]:
    """Return the good rows, the errors of the others, and the numbers of template rows left unfilled."""
    names = tuple(columns.values)
    rows: list[BlockRow] = []
    errors: list[RowError] = []
    unfilled: list[int] = []
    records = zip(
        table.rows,
        zip(*columns.texts.values(), strict=True),
        zip(*columns.values.values(), strict=True),
        strict=True,
    )
    for row, row_texts, row_values in records:
        texts = dict(zip(names, row_texts, strict=True))
        if all(name in UNFILLED for name, text in texts.items() if text):
            unfilled.append(row.number)
            continue
        place = Place(table.sheet, row.number, columns.headers)
        cells = dict(zip(names, row_values, strict=True))
        problems = _row_problems(place, cells, texts)
        errors += problems
        if not problems:
            rows.append(_block(place, cells))
    return rows, errors, unfilled


def _row_problems(place: Place, cells: Mapping[str, Any], texts: Mapping[str, str]) -> list[RowError]:
    """Return what is wrong with single cells, and with how the good ones fit together."""
    found = {name: str(value) for name, value in cells.items() if isinstance(value, CellError)}
    for together, check in FITS:
        if not together & found.keys():
            found |= check(cells, texts)
    return [place.error(name, texts.get(name, "")[:80], message) for name, message in found.items()]


def _days_problems(cells: Mapping[str, Any], _texts: Mapping[str, str]) -> dict[str, str]:
    day, weekdays = cells.get("date"), cells.get("service_days")
    first, last = cells.get("valid_from"), cells.get("valid_to")
    if day is None and weekdays is None:
        name = "service_days" if "service_days" in cells else "date"
        return {name: tr("The block has no days. Enter service days like Mon-Fri, or one date.")}
    if day is not None and weekdays is not None:
        return {"date": tr("The block has service days and a date. Delete one of the two.")}
    if day is not None and (first or last):
        name = "valid_from" if first else "valid_to"
        return {name: tr("A block on one date has no validity. Delete it, or use service days.")}
    if first and last and last < first:
        return {
            "valid_to": tr(
                "The validity ends on {last}, before it begins on {first}. Change one of them.",
                last=last,
                first=first,
            )
        }
    return {}


def _times_problems(cells: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, str]:
    depart, back = cells["depart_at"], cells["return_at"]
    if back > depart:
        return {}
    return {
        "return_at": tr(
            "The block returns at {return_at}, not after it leaves at {depart_at}. If it returns on "
            "the next day, write {back}+1.",
            return_at=texts["return_at"],
            depart_at=texts["depart_at"],
            back=clock(back % MINUTES_PER_DAY),
        )
    }


def _use_problems(cells: Mapping[str, Any], _texts: Mapping[str, str]) -> dict[str, str]:
    if cells.get("distance_km") or cells.get("energy_kwh"):
        return {}
    name = "distance_km" if "distance_km" in cells else "energy_kwh"
    return {name: tr("The block has neither a distance nor an energy. Enter the km or the kWh it needs.")}


FITS: tuple[tuple[frozenset[str], Callable[[Mapping[str, Any], Mapping[str, str]], dict[str, str]]], ...] = (
    (frozenset({"service_days", "date", "valid_from", "valid_to"}), _days_problems),
    (frozenset({"depart_at", "return_at"}), _times_problems),
    (frozenset({"distance_km", "energy_kwh"}), _use_problems),
)
"""Which cells must fit together, looked at when each of them is good by itself."""


def _block(place: Place, cells: Mapping[str, Any]) -> BlockRow:
    return BlockRow(
        block_id=cells["block_id"],
        depart_minute=cells["depart_at"],
        return_minute=cells["return_at"],
        service_date=cells.get("date"),
        weekdays=cells.get("service_days") or 0,
        valid_from=cells.get("valid_from"),
        valid_to=cells.get("valid_to"),
        distance_km=cells.get("distance_km"),
        energy_kwh=cells.get("energy_kwh"),
        min_soc_departure=cells.get("min_soc_departure"),
        precondition=cells.get("precondition", False),
        vehicle=cells.get("vehicle", ""),
        vehicle_type=cells.get("vehicle_type", ""),
        place=place,
    )


def _optional(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: parse(text) if text else None


def _depot(text: str, fleet: Fleet) -> None:
    if text and text.casefold() not in {name.casefold() for name in fleet.depot_names}:
        raise CellError(
            tr(
                "“{text}” is another depot. Upload its rows there, or write {depot_names} or nothing.",
                text=text,
                depot_names=min(fleet.depot_names),
            )
        )


def _block_id(text: str) -> str:
    if not text:
        raise CellError(tr("The block has no name. Enter its block_id, like 101."))
    if len(text) > LONGEST_BLOCK_ID:
        raise CellError(
            tr(
                "“{text}…” has {count} characters. Use at most {most}.",
                text=text[:30],
                count=len(text),
                most=LONGEST_BLOCK_ID,
            )
        )
    return text


def _moment(text: str, latest_minute: int, movement: str) -> int:
    if not text:
        raise CellError(tr("The block has no {movement} time. Enter it like 06:30.", movement=movement))
    minute = parse_clock(text)
    if minute > latest_minute:
        raise CellError(
            tr(
                "“{text}” is too late for a {movement}: at most {latest_minute}:00, counted from the "
                "service day. Use the service day on which the block leaves.",
                text=text,
                movement=movement,
                latest_minute=latest_minute // 60,
            )
        )
    return minute


def _amount(text: str, mark: DecimalMark, largest: float, unit: str, small_unit: str) -> float:
    value = parse_number(text, mark)
    if value < 0:
        raise CellError(tr("“{text}” is negative. Enter {unit} of 0 or more.", text=text, unit=unit))
    if value > largest:
        raise CellError(
            tr(
                "“{text}” {unit} is more than a vehicle can use in one block ({largest:,.0f} {unit}). "
                "Write it in {unit}, not in {small_unit}.",
                text=text,
                unit=unit,
                largest=largest,
                small_unit=small_unit,
            )
        )
    return value


def _unfilled_warning(name: str, unfilled: Sequence[int]) -> tuple[RowError, ...]:
    if not unfilled:
        return ()
    rows = ", ".join(str(number) for number in unfilled[:5]) + (
        tr(" and others") if len(unfilled) > 5 else ""
    )
    message = trn(
        "Row {rows} has a vehicle but no block and is left out. Fill it in if this vehicle has work.",
        "Rows {rows} have a vehicle but no block and are left out. Fill them in if these vehicles have work.",
        len(unfilled),
        rows=rows,
    )
    return (RowError(name, None, "", "", message),)


def _cells(row: BlockRow, depot_name: str) -> tuple[str, ...]:
    values = {
        "depot": depot_name,
        "block_id": row.block_id,
        "service_days": "" if row.service_date else describe_service_days(row.weekdays),
        "date": _iso(row.service_date),
        "valid_from": _iso(row.valid_from),
        "valid_to": _iso(row.valid_to),
        "depart_at": clock(row.depart_minute),
        "return_at": clock(row.return_minute),
        "distance_km": _number(row.distance_km),
        "energy_kwh": _number(row.energy_kwh),
        "min_soc_departure": "" if row.min_soc_departure is None else _percent(row.min_soc_departure),
        "vehicle": row.vehicle,
        "vehicle_type": row.vehicle_type,
        "precondition": "yes" if row.precondition else "",
    }
    return tuple(values[name] for name in HEADER)


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def _number(value: float | None) -> str:
    """Return the shortest text that is read as the same number, never with an exponent."""
    return "" if value is None else format(Decimal(repr(value)), "f")


def _percent(fraction: float) -> str:
    return f"{format((Decimal(repr(fraction)) * 100).normalize(), 'f')} %"
