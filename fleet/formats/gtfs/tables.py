"""The tables of a feed as rows of named columns, with every row's number and its problems."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from depot.imports import FileError
from depot.imports.archive import Archive
from fleet.formats.problems import Problems

LATEST_SECOND = 72 * 3600


def records(
    archive: Archive, member: str, required: Sequence[str], optional: Sequence[str], problems: Problems
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the number of each row and its cells of the required and then the optional columns.

    A column that is absent gives "" for each row; a missing required one is one error and no rows.
    """
    if member not in archive:
        return
    with archive.text(member) as text:
        rows = csv.reader(text, strict=False)
        try:
            header = [name.strip() for name in next(rows, [])]
            lacking = [name for name in required if name not in header]
            for name in lacking:
                problems.error(member, 1, name, "", f"The file has no column {name}. Export the feed again.")
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
            raise FileError(f"{archive.name}, {member}: {error}. Export the feed again.") from error


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
