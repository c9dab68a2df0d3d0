"""Read a load from CSV: one row per step, times with a UTC offset or local to a named zone."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from math import isfinite, nan

import numpy as np
import numpy.typing as npt

from billing.tariff.load import MAX_STEP_MINUTES, MIN_STEP_MINUTES, LoadSeries, make_load
from billing.tariff.problems import LoadError, Notice, Problem
from depot.words import tr

REQUIRED = ("start", "import_kw")
MARK = "estimated"
OPTIONAL = ("export_kw", "import_price_per_kwh", "export_price_per_kwh", "reactive_kvar", MARK)
POWERS = ("import_kw", "export_kw", "reactive_kvar")
MAX_PROBLEMS = 20
MAX_MISSING_SHARE = 0.5
ROWS_OF_ANOTHER_STEP = 6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)

Columns = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Table:
    starts: list[str]
    cells: dict[str, list[str]]
    lines: list[int]


def read_load(text: str, *, file: str = "load", zone: tzinfo | None = None) -> LoadSeries:
    """Read a load from CSV text with columns `start`, `import_kw` and optionally `export_kw`,
    `import_price_per_kwh`, `export_price_per_kwh`, `reactive_kvar`, `estimated`.

    `start` is ISO 8601 with a UTC offset, or local time in `zone`: the hour that the autumn change repeats is
    told apart by its order. The step (5 to 60 minutes) is found from the rows. Missing rows and empty cells
    are estimated and reported as notices. Raises LoadError with file, row, column, value and cure.
    """
    table = _table(text, file)
    columns = _numbers(table, file)
    utc_minute, offsets = _times(table, zone, file)
    notices: list[Notice] = []
    keep = _in_order(utc_minute, columns, table, file, notices)
    utc_minute = utc_minute[keep]
    step_minutes = _step(utc_minute, file)
    slots = _slots(utc_minute, step_minutes, [table.lines[row] for row in keep], file)
    grid = {name: np.full(int(slots[-1]) + 1, nan) for name in columns}
    for name, values in columns.items():
        grid[name][slots] = values[keep]
    series = make_load(
        _EPOCH + timedelta(minutes=int(utc_minute[0])),
        step_minutes,
        grid["import_kw"],
        grid.get("export_kw"),
        import_price_per_kwh=grid.get("import_price_per_kwh"),
        export_price_per_kwh=grid.get("export_price_per_kwh"),
        estimated=_marked(grid.get(MARK)),
        reactive_kvar=grid.get("reactive_kvar"),
        written_in=timezone(timedelta(minutes=offsets.pop())) if len(offsets) == 1 else None,
    )
    return replace(series, notices=(*notices, *series.notices))


def _table(text: str, file: str) -> _Table:
    rows = csv.reader(io.StringIO(text.lstrip("\ufeff")))
    header = [name.strip() for name in next(rows, [])]
    _check_header(header, file)
    cells: dict[str, list[str]] = {name: [] for name in header}
    lines: list[int] = []
    problems = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            message = tr("{row} cells where the header has {header}", row=len(row), header=len(header))
            problems.append(
                Problem(
                    tr("{file}, row {line_num}", file=file, line_num=rows.line_num),
                    message,
                    tr("Give one cell per column"),
                )
            )
            continue
        lines.append(rows.line_num)
        for name, cell in zip(header, row, strict=True):
            cells[name].append(cell)
    _raise(problems)
    if len(lines) < 2:
        raise LoadError(
            [Problem(file, tr("{lines} rows of readings", lines=len(lines)), tr("Give at least two"))]
        )
    return _Table(cells.pop("start"), cells, lines)


def _check_header(header: list[str], file: str) -> None:
    place = tr("{file}, row 1", file=file)
    known = (*REQUIRED, *OPTIONAL)
    names = ", ".join(known)
    problems = []
    if len(header) == 1 and ";" in header[0]:
        problems.append(
            Problem(place, tr("the columns are separated by semicolons"), tr("Separate them by commas"))
        )
    else:
        for name in [name for name in REQUIRED if name not in header]:
            problems.append(
                Problem(
                    place,
                    tr("column '{name}' is missing", name=name),
                    tr("Columns are: {names}", names=names),
                )
            )
        for name in [name for name in header if name not in known]:
            cure = tr("Remove it or give it one of the names {names}", names=names)
            problems.append(Problem(place, tr("column '{name}' is not supported", name=name), cure))
        for name, count in Counter(header).items():
            if count > 1:
                problems.append(
                    Problem(
                        place,
                        tr("column '{name}' is there {count} times", name=name, count=count),
                        tr("Keep one"),
                    )
                )
    _raise(problems)


def _numbers(table: _Table, file: str) -> Columns:
    problems: list[Problem] = []
    columns = {}
    for name, cells in table.cells.items():
        try:
            values = np.array([float(cell) if cell else nan for cell in cells])
        except ValueError:
            values = np.array([_number(cell) for cell in cells])
        empty = np.array([not cell.strip() for cell in cells])
        bad = ~np.isfinite(values) & ~empty
        for row in np.flatnonzero(bad):
            place = tr("{file}, row {lines}, column {name}", file=file, lines=table.lines[row], name=name)
            cure = tr("Write a number with a decimal point, or leave the cell empty when there is no reading")
            problems.append(Problem(place, tr("'{cells}' is not a number", cells=cells[row]), cure))
        if name in POWERS:
            for row in np.flatnonzero(values < 0):
                place = tr("{file}, row {lines}, column {name}", file=file, lines=table.lines[row], name=name)
                cure = tr("Give powers of 0 or more; export has its own column export_kw")
                problems.append(Problem(place, tr("'{cells}' is negative", cells=cells[row]), cure))
        if name == MARK:
            for row in np.flatnonzero(~empty & ~bad & (values != 0) & (values != 1)):
                place = tr("{file}, row {lines}, column {name}", file=file, lines=table.lines[row], name=name)
                cure = tr("Write 1 for a value that was estimated, 0 for one that was measured")
                problems.append(Problem(place, tr("'{cells}' is neither 0 nor 1", cells=cells[row]), cure))
        columns[name] = values
    _raise(problems)
    return columns


def _marked(values: npt.NDArray[np.float64] | None) -> npt.NDArray[np.bool_] | None:
    """Return which steps the file marks as estimated; an empty cell marks nothing."""
    return None if values is None else values == 1


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return nan
    return value if isfinite(value) else nan


def _times(table: _Table, zone: tzinfo | None, file: str) -> tuple[npt.NDArray[np.int64], set[int]]:
    """Return each row's UTC minute and the set of UTC offsets (minutes) that the file itself wrote.

    Rows without an offset are one fault, not thousands, when no zone is named.
    """
    problems: list[Problem] = []
    minutes: list[int] = []
    offsets: set[int] = set()
    seen: set[datetime] = set()
    for line, text in zip(table.lines, table.starts, strict=True):
        at = _parse(text)
        fault = tr("is not an ISO 8601 time of whole minutes") if at is None else None
        if at is not None and at.tzinfo is not None:
            offset = _minutes(at.utcoffset())
            offsets.add(offset)
            minutes.append(_since_epoch(at) - offset)
        elif at is not None and zone is not None:
            offset, fault = _local_offset(at, zone, seen)
            minutes.append(_since_epoch(at) - offset)
        elif fault is None:
            cure = tr("Write 2025-07-01T00:15:00-07:00, or name the file's zone with --timezone")
            problems.append(
                Problem(
                    tr("{file}, row {line}, column start", file=file, line=line),
                    tr("'{text}' has no UTC offset", text=text),
                    cure,
                )
            )
            break
        if fault:
            cure = tr("Write 2025-07-01T00:15:00-07:00, or local time of a zone named with --timezone")
            problems.append(
                Problem(
                    tr("{file}, row {line}, column start", file=file, line=line), f"'{text}' {fault}", cure
                )
            )
    _raise(problems)
    return np.array(minutes, dtype=np.int64), offsets


def _parse(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return None if at.second or at.microsecond else at


def _since_epoch(at: datetime) -> int:
    return _minutes(at.replace(tzinfo=None) - _NAIVE_EPOCH)


def _minutes(delta: timedelta | None) -> int:
    return 0 if delta is None else delta.days * 1440 + delta.seconds // 60


def _local_offset(at: datetime, zone: tzinfo, seen: set[datetime]) -> tuple[int, str | None]:
    """Return a local time's UTC offset in minutes, and the fault when the spring change leaves it out."""
    first = _minutes(at.replace(tzinfo=zone).utcoffset())
    second = _minutes(at.replace(tzinfo=zone, fold=1).utcoffset())
    if first < second:
        return first, tr("does not exist in {zone}: the clock change leaves it out", zone=zone)
    if first > second:
        if at in seen:
            return second, None
        seen.add(at)
    return first, None


def _in_order(
    utc_minute: npt.NDArray[np.int64], columns: Columns, table: _Table, file: str, notices: list[Notice]
) -> npt.NDArray[np.int64]:
    """Return row indices in time order without repeated rows; differing values for one time are a fault."""
    order = np.argsort(utc_minute, kind="stable")
    if (np.diff(utc_minute) < 0).any():
        notices.append(
            Notice("order", tr("{file}: the rows are not in time order; they were sorted.", file=file))
        )
    repeated = np.flatnonzero(np.diff(utc_minute[order]) == 0)
    problems = []
    for position in repeated:
        first, second = order[position], order[position + 1]
        if any(not np.array_equal(v[[first]], v[[second]], equal_nan=True) for v in columns.values()):
            place = tr(
                "{file}, rows {lines} and {lines2}",
                file=file,
                lines=table.lines[first],
                lines2=table.lines[second],
            )
            message = tr("two different readings for {starts}", starts=table.starts[second].strip())
            problems.append(Problem(place, message, tr("Keep the right one")))
    _raise(problems)
    if repeated.size:
        notices.append(
            Notice(
                "duplicate", tr("{file}: {size} repeated rows were read once.", file=file, size=repeated.size)
            )
        )
    return np.delete(order, repeated + 1)


def _step(utc_minute: npt.NDArray[np.int64], file: str) -> int:
    if utc_minute.size < 2:
        raise LoadError(
            [Problem(file, tr("all rows have the same time"), tr("Give at least two different times"))]
        )
    sizes, counts = np.unique(np.diff(utc_minute), return_counts=True)
    step = int(sizes[np.argmax(counts)])
    if not MIN_STEP_MINUTES <= step <= MAX_STEP_MINUTES:
        raise LoadError(
            [
                Problem(
                    file,
                    tr("the rows are {step} minutes apart", step=step),
                    tr("Give steps of 5 to 60 minutes"),
                )
            ]
        )
    _check_one_step(np.diff(utc_minute), step, file)
    slots = int(utc_minute[-1] - utc_minute[0]) // step + 1
    if 1 - utc_minute.size / slots > MAX_MISSING_SHARE:
        message = tr(
            "{slots} of {slots2} steps of {step} minutes are missing",
            slots=slots - utc_minute.size,
            slots2=slots,
            step=step,
        )
        raise LoadError([Problem(file, message, tr("Give a regular series, or fill the gap from the meter"))])
    return step


def _check_one_step(differences: npt.NDArray[np.int64], step: int, file: str) -> None:
    """Refuse a file that changes its step: many rows in a row apart by another time are no gaps."""
    edges = np.flatnonzero(np.diff(differences, prepend=-1, append=-1))
    lengths, sizes = np.diff(edges), differences[edges[:-1]]
    mixed = sizes[(lengths >= ROWS_OF_ANOTHER_STEP) & (sizes != step)]
    if mixed.size:
        message = tr("some rows are {step} minutes apart and others {mixed}", step=step, mixed=int(mixed[0]))
        raise LoadError([Problem(file, message, tr("Give one regular step in the whole file"))])


def _slots(
    utc_minute: npt.NDArray[np.int64], step_minutes: int, lines: list[int], file: str
) -> npt.NDArray[np.int64]:
    elapsed = utc_minute - utc_minute[0]
    problems = [
        Problem(
            tr("{file}, row {lines}, column start", file=file, lines=lines[row]),
            tr("the row is off the {step_minutes}-minute grid of the first row", step_minutes=step_minutes),
            tr("Give one regular step in the whole file"),
        )
        for row in np.flatnonzero(elapsed % step_minutes)
    ]
    _raise(problems)
    return np.asarray(elapsed // step_minutes)


def _raise(problems: list[Problem]) -> None:
    if len(problems) > MAX_PROBLEMS:
        more = len(problems) - MAX_PROBLEMS
        place = problems[0].place.split(",")[0]
        problems = [
            *problems[:MAX_PROBLEMS],
            Problem(place, tr("{more} more problems", more=more), tr("Cure the first ones")),
        ]
    if problems:
        raise LoadError(problems)
