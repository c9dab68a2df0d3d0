"""What a schedule file would do to the schedule of a depot: the same answer for preview and commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from depot.imports import Difference, RowError, difference
from depot.words import tr
from fleet.formats.blocks import BlockRow, Fleet, Reading
from fleet.formats.checks import with_known_names, within_battery, without_doubles
from fleet.formats.overlaps import overlap_errors
from fleet.formats.ranges import DateRange, TakenOut, take_out


@dataclass(frozen=True, slots=True)
class Preview:
    """A file checked against a depot.

    Adding forbids what is in `conflicts`. Replacing the days removes `difference.missing`, takes the days out of the
    blocks in `taken_out` (before, after), and forbids what is in `replace_conflicts`. `errors` forbid both.
    """

    reading: Reading
    rows: tuple[BlockRow, ...]
    difference: Difference[BlockRow]
    errors: tuple[RowError, ...]
    conflicts: tuple[RowError, ...]
    warnings: tuple[RowError, ...]
    taken_out: tuple[tuple[BlockRow, BlockRow], ...] = ()
    replace_conflicts: tuple[RowError, ...] = ()
    days: DateRange = field(default_factory=DateRange)

    def problems(self, replacing: bool) -> tuple[RowError, ...]:
        """Return what forbids saving in a way."""
        return self.errors or (self.replace_conflicts if replacing else self.conflicts)

    def changes(self, replacing: bool) -> tuple[tuple[BlockRow, BlockRow], ...]:
        """Return the blocks (before, after) that saving in a way changes."""
        return (*self.difference.changed, *(self.taken_out if replacing else ()))

    def removed(self, replacing: bool) -> tuple[BlockRow, ...]:
        """Return the blocks that saving in a way removes."""
        return self.difference.missing if replacing else ()


def preview(
    reading: Reading, fleet: Fleet, existing: Sequence[BlockRow], days: DateRange | None = None
) -> Preview:
    """Check all rows of a file and compare them with the depot's blocks.

    With `days`, rows that cannot run on any of them are left out (with a warning), only blocks that lie wholly
    within them count as missing from the file, and others that the file lacks stop running on them when replacing.
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
    out = take_out(standing, days) if not days.is_open else TakenOut()
    conflicts, replace_conflicts = ((), ()) if errors else _conflicts(rows, standing, out, days)
    left_out = _left_out(reading, len(single.rows) - len(rows))
    warnings = (*reading.warnings, *left_out, *battery.warnings)
    return Preview(
        reading,
        rows,
        found,
        _by_row(errors),
        conflicts,
        _by_row(warnings),
        out.changed,
        replace_conflicts,
        days,
    )


def _conflicts(
    rows: Sequence[BlockRow], standing: Sequence[BlockRow], out: TakenOut, days: DateRange
) -> tuple[tuple[RowError, ...], tuple[RowError, ...]]:
    """Return what forbids adding, and what forbids replacing: vehicles that blocks which stay have at that time."""
    changed = {before.key: after for before, after in out.changed}
    stay = [changed.get(row.key, row) for row in standing if not days.contains(row)]
    return overlap_errors(rows, standing), (*out.errors, *overlap_errors(rows, stay))


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
    "exceptions",
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
    rows = tr("1 row runs") if number == 1 else tr("{number:,} rows run", number=number)
    return (
        RowError(
            sheet, None, "", "", tr("{rows} only outside the chosen days and will not be saved.", rows=rows)
        ),
    )


def _by_row(errors: Sequence[RowError]) -> tuple[RowError, ...]:
    return tuple(sorted(errors, key=lambda error: (error.row is not None, error.row or 0)))
