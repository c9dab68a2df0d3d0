"""The tables of a feed as rows of named columns, with every row's number and its problems."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from depot.imports import FileError
from depot.imports.archive import Archive
from depot.words import tr
from fleet.formats.problems import ElsewhereRow, Problems

LATEST_SECOND = 72 * 3600
KEYS: Mapping[str, tuple[str, ...]] = {
    "trips.txt": ("trip_id",),
    "stops.txt": ("stop_id",),
    "stop_times.txt": ("trip_id", "stop_sequence"),
    "routes.txt": ("route_id",),
    "calendar.txt": ("service_id",),
    "calendar_dates.txt": ("service_id", "date"),
    "shapes.txt": ("shape_id", "shape_pt_sequence"),
}
"""What names a row in the files that an operational supplement (TODS 2) may amend."""
DELETE = "TODS_delete"


@dataclass(slots=True)
class _Amendment:
    """A row of a supplement: its number, its cells of the wanted columns, whether it takes the row out."""

    row: int
    cells: tuple[str, ...]
    deletes: bool
    used: bool = False


def supplement_of(member: str) -> str:
    """Return the name of the file that amends another one."""
    return f"{member.removesuffix('.txt')}_supplement.txt"


def records(
    archive: Archive, member: str, required: Sequence[str], optional: Sequence[str], problems: Problems
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the number of each row and its cells of the required and then the optional columns.

    A column that is absent gives "" for each row; a missing required one is one error and no rows. What the file's
    supplement says goes before it: a row of the same key is taken out or gets the cells that are not empty, others are
    added at the end.
    """
    amendments = _amendments(archive, member, required, optional, problems)
    if not amendments:
        yield from _plain(archive, member, required, optional, problems)
        return
    columns = (*required, *optional)
    places = [columns.index(name) for name in KEYS[member]]
    for number, cells in _plain(archive, member, required, optional, problems):
        amendment = amendments.get(tuple(cells[place] for place in places))
        if amendment is None:
            yield number, cells
            continue
        amendment.used = True
        if not amendment.deletes:
            yield number, tuple(new or old for new, old in zip(amendment.cells, cells, strict=True))
    for amendment in amendments.values():
        if not amendment.used and not amendment.deletes:
            yield ElsewhereRow(amendment.row, supplement_of(member)), amendment.cells


def _amendments(
    archive: Archive, member: str, required: Sequence[str], optional: Sequence[str], problems: Problems
) -> dict[tuple[str, ...], _Amendment]:
    """Return the rows of a file's supplement by their key."""
    supplement = supplement_of(member)
    if member not in KEYS or supplement not in archive:
        return {}
    key = KEYS[member]
    others = tuple(name for name in (*required, *optional) if name not in key)
    found = {}
    for number, cells in _plain(archive, supplement, key, (*others, DELETE), problems):
        said = dict(zip((*key, *others, DELETE), cells, strict=True))
        wanted = tuple(said[name] for name in (*required, *optional))
        found[cells[: len(key)]] = _Amendment(number, wanted, said[DELETE] == "1")
    return found


def _plain(
    archive: Archive, member: str, required: Sequence[str], optional: Sequence[str], problems: Problems
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the rows of one file as it is."""
    if member not in archive:
        return
    with archive.text(member) as text:
        rows = csv.reader(text, strict=False)
        try:
            header = [name.strip() for name in next(rows, [])]
            lacking = [name for name in required if name not in header]
            for name in lacking:
                problems.error(
                    member,
                    1,
                    name,
                    "",
                    tr("The file has no column {name}. Export the feed again.", name=name),
                )
            if lacking:
                return
            places = [header.index(name) if name in header else -1 for name in (*required, *optional)]
            for number, row in enumerate(rows, 2):
                if row:
                    width = len(row)
                    yield (
                        number,
                        tuple(row[place].strip() if 0 <= place < width else "" for place in places),
                    )
        except csv.Error as error:
            raise FileError(
                tr(
                    "{name}, {member}: {error}. Export the feed again.",
                    name=archive.name,
                    member=member,
                    error=error,
                )
            ) from error


def seconds_of(text: str) -> int | None:
    """Return a GTFS time (H:MM:SS after noon minus 12 h, may pass 24:00) in seconds; None where it is none."""
    hours, _, rest = text.partition(":")
    minutes, _, seconds = rest.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and seconds.isdecimal() and len(hours) <= 3):
        return None
    if int(minutes) > 59 or int(seconds) > 59:
        return None
    total = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return total if total <= LATEST_SECOND else None


def day_of(text: str) -> date | None:
    """Return a GTFS date (YYYYMMDD); None where it is none."""
    try:
        return datetime.strptime(text, "%Y%m%d").date() if len(text) == 8 else None  # noqa: DTZ007 - a date
    except ValueError:
        return None
