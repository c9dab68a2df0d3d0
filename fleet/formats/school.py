"""School-run exports: one row a run of a bus, without blocks. Runs that follow each other are one block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from depot.imports import (
    CellError,
    Column,
    RowError,
    Table,
    decimal_mark,
    match_columns,
    parse_clock,
    parse_number,
    plain_title,
)
from depot.words import tr
from fleet.formats.blocks import BlockRow, Fleet, Place, Reading
from fleet.formats.checks import Names
from fleet.formats.service_days import WEEKDAYS, parse_service_days

COLUMNS = (
    Column(
        "vehicle",
        ("bus", "bus number", "bus no", "bus id", "bus name", "vehicle number", "busses", "buses"),
        True,
    ),
    Column(
        "run",
        ("run id", "run name", "run number", "run description", "route", "route id", "id", "description"),
    ),
    Column(
        "start_time", ("start", "begin", "begin time", "depart", "depart at", "leave", "leave time"), True
    ),
    Column("end_time", ("end", "finish", "finish time", "return", "return at", "arrive", "arrival"), True),
    Column(
        "distance_km",
        ("km", "kilometres", "kilometers", "distance"),
    ),
    Column("miles", ("distance miles", "run miles", "total miles", "mileage")),
    Column("service_days", ("days", "weekdays", "operating days")),
)
TELLING = (
    {"run", "run_id", "run_name", "run_number", "run_description"},
    {"bus", "bus_number", "bus_no", "bus_id", "bus_name", "busses", "buses", "vehicle"},
    {"start_time", "begin_time", "start", "begin"},
    {"end_time", "finish_time", "end", "finish"},
)
"""Titles of runs per bus; a schedule of blocks has other words for one of these."""
LONGEST_GAP_MINUTES = 60
KM_PER_MILE = 1.609344
AM_UNTIL, PM_FROM = 10 * 60, 13 * 60


@dataclass(frozen=True, slots=True)
class _Run:
    row: int
    vehicle: str
    days: int
    start: int
    end: int
    km: float


def is_school(titles: Sequence[str], fleet: Fleet) -> bool:
    """Tell whether a header is that of runs per bus: runs, a bus, start and end, and no block."""
    plain = {plain_title(title) for title in titles}
    spoken_for = {"block", "block_id", *fleet.columns}
    return not plain & spoken_for and all(plain & names for names in TELLING)


def read_runs(table: Table, misshapen: Sequence[RowError], file_format: str, fleet: Fleet) -> Reading:
    """Read runs per bus; runs of a bus with at most an hour between them become one block, named by its time of day."""
    matched = match_columns(table, COLUMNS, fleet.columns)
    errors = [*matched.errors, *misshapen]
    if not {"vehicle", "start_time", "end_time"} <= matched.index.keys():
        return Reading(file_format, (), tuple(errors), (), table.facts, unknown_columns=matched.unknown)
    if not {"distance_km", "miles"} & matched.index.keys():
        message = tr("The file has neither distance_km nor miles. Add one.")
        errors.append(RowError(table.sheet, table.header.number, "distance_km", "", message))
    runs, row_errors = _runs(table, matched.index, matched.header, fleet)
    errors += row_errors
    rows = _blocks(table.sheet, runs, fleet.deadhead or (0, 0.0))
    if not rows and not errors:
        errors.append(
            RowError(
                table.sheet,
                None,
                "",
                "",
                tr("{sheet} has no runs. Add one row for each run.", sheet=table.sheet),
            )
        )
    notes = []
    if "service_days" not in matched.index:
        notes.append(
            tr(
                "The file does not say the days; Mon-Fri is taken. Add a column service_days where runs "
                "differ."
            )
        )
    if fleet.deadhead is None:
        notes.append(
            tr("The way from the depot to the first stop and back is left out. Enter its minutes and km.")
        )
    warnings = tuple(RowError(table.sheet, None, "", "", note) for note in notes)
    facts = (*table.facts, (tr("Runs"), f"{len(runs):,}"))
    fields = frozenset({"distance_km", "vehicle"})
    return Reading(file_format, rows, tuple(errors), warnings, facts, fields, matched.unknown)


def _runs(
    table: Table, index: Mapping[str, int], headers: Mapping[str, str], fleet: Fleet
) -> tuple[list[_Run], list[RowError]]:
    names = Names(fleet)
    lengths = [name for name in ("distance_km", "miles") if name in index]
    mark = decimal_mark([cell for name in lengths for cell in table.column(index[name])])
    runs: list[_Run] = []
    errors: list[RowError] = []
    for row in table.rows:
        place = Place(table.sheet, row.number, headers)
        cells = {name: row.cells[position] for name, position in index.items()}
        found: dict[str, int | float | str] = {}
        for name, text in cells.items():
            try:
                found[name] = _value(name, text, names, mark)
            except CellError as problem:
                errors.append(place.error(name, text[:80], str(problem)))
        if len(found) < len(cells):
            continue
        start, end = int(found["start_time"]), int(found["end_time"])
        if end <= start:
            errors.append(
                place.error("end_time", cells["end_time"], tr("The run ends before it starts. Correct it."))
            )
            continue
        km = float(found.get("distance_km") or 0.0) or float(found.get("miles") or 0.0) * KM_PER_MILE
        runs.append(
            _Run(
                row.number, str(found["vehicle"]), int(found.get("service_days") or WEEKDAYS), start, end, km
            )
        )
    return runs, errors


def _value(name: str, text: str, names: Names, mark: str) -> int | float | str:
    if name == "vehicle":
        if not text:
            raise CellError(tr("The run has no bus. Enter its number."))
        return names.vehicle(text)
    if name in ("start_time", "end_time"):
        return parse_clock(text)
    if name in ("distance_km", "miles"):
        return parse_number(text, mark) if text else 0.0  # type: ignore[arg-type]
    if name == "service_days":
        return parse_service_days(text) if text else WEEKDAYS
    return text


def _blocks(sheet: str, runs: Sequence[_Run], deadhead: tuple[int, float]) -> tuple[BlockRow, ...]:
    minutes, way_km = deadhead
    of_bus: dict[tuple[str, int], list[_Run]] = defaultdict(list)
    for run in runs:
        of_bus[run.vehicle, run.days].append(run)
    rows: list[BlockRow] = []
    for (vehicle, days), driven in of_bus.items():
        chains: list[list[_Run]] = []
        for run in sorted(driven, key=lambda run: (run.start, run.end)):
            if chains and run.start - max(before.end for before in chains[-1]) <= LONGEST_GAP_MINUTES:
                chains[-1].append(run)
            else:
                chains.append([run])
        used: dict[str, int] = defaultdict(int)
        for chain in chains:
            part = _part_of_day(chain[0].start)
            used[part] += 1
            number = f" {used[part]}" if used[part] > 1 else ""
            rows.append(
                BlockRow(
                    f"{vehicle} {part}{number}",
                    max(0, chain[0].start - minutes),
                    max(run.end for run in chain) + minutes,
                    weekdays=days,
                    distance_km=round(sum(run.km for run in chain) + 2 * way_km, 3),
                    vehicle=vehicle,
                    place=Place(sheet, chain[0].row),
                )
            )
    return tuple(rows)


def _part_of_day(minute: int) -> str:
    if minute < AM_UNTIL:
        return "AM"
    return "PM" if minute >= PM_FROM else "midday"
