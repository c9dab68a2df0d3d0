"""What a schedule file would do to the schedule of a depot: the same answer for preview and commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from depot.imports import Difference, RowError, difference
from fleet.formats.blocks import BlockRow, Fleet, Reading
from fleet.formats.checks import with_known_names, within_battery, without_doubles
from fleet.formats.overlaps import overlap_errors


@dataclass(frozen=True, slots=True)
class Preview:
    """A file checked against a depot.

    `errors` forbid saving at all; `conflicts` forbid only adding, as they are with blocks that replacing would
    remove (`difference.missing`).
    """

    reading: Reading
    rows: tuple[BlockRow, ...]
    difference: Difference[BlockRow]
    errors: tuple[RowError, ...]
    conflicts: tuple[RowError, ...]
    warnings: tuple[RowError, ...]


@dataclass(frozen=True, slots=True)
class DateRange:
    """The days a file is to be read for, both ends included; None = open."""

    from_date: date | None = None
    to_date: date | None = None

    @property
    def first_day(self) -> int:
        return (self.from_date or date.min).toordinal()

    @property
    def last_day(self) -> int:
        return (self.to_date or date.max).toordinal()

    def touches(self, row: BlockRow) -> bool:
        """Tell whether a block can run on a day of the range."""
        return row.first_day <= self.last_day and row.last_day >= self.first_day

    def contains(self, row: BlockRow) -> bool:
        """Tell whether a block can run only on days of the range."""
        return row.first_day >= self.first_day and row.last_day <= self.last_day


def preview(
    reading: Reading, fleet: Fleet, existing: Sequence[BlockRow], days: DateRange | None = None
) -> Preview:
    """Check all rows of a file and compare them with the depot's blocks.

    With `days`, rows that cannot run on any of them are left out (with a warning), and only blocks that lie
    wholly within them count as missing from the file.
    """
    days = days or DateRange()
    known = with_known_names(reading.rows, fleet)
    single = without_doubles(known.rows)
    rows = tuple(row for row in single.rows if days.touches(row))
    rows = _with_fields_of(existing, rows, reading.fields)
    battery = within_battery(rows, fleet)
    found = difference(existing, rows, key=lambda row: row.key)
    found = replace(found, missing=tuple(row for row in found.missing if days.contains(row)))
    errors = (
        *reading.errors,
        *known.errors,
        *single.errors,
        *overlap_errors(rows),
        *battery.errors,
    )
    in_file = {row.key for row in rows}
    standing = [row for row in existing if row.key not in in_file]
    conflicts = overlap_errors(rows, standing) if not errors else ()
    left_out = _left_out(reading, len(single.rows) - len(rows))
    warnings = (*reading.warnings, *left_out, *battery.warnings)
    return Preview(reading, rows, found, _by_row(errors), conflicts, _by_row(warnings))


def _with_fields_of(
    existing: Sequence[BlockRow], rows: Sequence[BlockRow], fields: frozenset[str]
) -> tuple[BlockRow, ...]:
    """Give rows what the schedule already knows where the file has no column for it."""
    absent = [name for name in OPTIONAL_FIELDS if name not in fields]
    if not absent:
        return tuple(rows)
    before = {row.key: row for row in existing}
    return tuple(
        replace(row, **{name: getattr(before[row.key], name) for name in absent})
        if row.key in before
        else row
        for row in rows
    )


OPTIONAL_FIELDS = (
    "valid_to",
    "distance_km",
    "energy_kwh",
    "min_soc_departure",
    "precondition",
    "vehicle",
    "vehicle_type",
)


def _left_out(reading: Reading, number: int) -> tuple[RowError, ...]:
    if not number:
        return ()
    sheet = reading.rows[0].place.sheet
    rows = "1 row runs" if number == 1 else f"{number:,} rows run"
    return (RowError(sheet, None, "", "", f"{rows} only outside the chosen days and will not be saved."),)


def _by_row(errors: Sequence[RowError]) -> tuple[RowError, ...]:
    return tuple(sorted(errors, key=lambda error: (error.row is not None, error.row or 0)))
