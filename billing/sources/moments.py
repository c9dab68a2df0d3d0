"""Text cells to moments: local times of a zone, an hour that the autumn change repeats, offsets, ranges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from depot.imports import CellError, date_style, parse_clock, parse_date
from depot.words import tr

RANGE = re.compile(r"\s+[-–]\s+|\s*–\s*|\s+to\s+")
MOMENT = re.compile(
    r"(?P<day>.+?)(?:[T ]+(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[ap]\.?m\.?)?))?", re.I
)
OFFSET = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
HOURS = re.compile(r"(?P<hour>\d{1,2})(?P<fold>[ab])?(?:\s*[-–]\s*\d{1,2}[ab]?)?", re.I)
MINUTES_PER_HOUR = 60


class Reader:
    """Read the moments of one column in its order, so that a repeated local time is told apart.

    The first time a local time of the autumn's repeated hour appears it is the summer one, the second time the
    winter one.
    """

    def __init__(self, tz: ZoneInfo, cells: Sequence[str]) -> None:
        self._tz = tz
        self._style = date_style(_split(cell)[0] for cell in cells)
        self._seen: dict[datetime, int] = {}

    def moment(self, cell: str) -> datetime:
        """Return the UTC moment of a cell (of a range its beginning); CellError when it is none."""
        text = RANGE.split(cell.strip())[0]
        if OFFSET.search(text) and ":" in text:
            try:
                return datetime.fromisoformat(text).astimezone(UTC)
            except ValueError:
                raise CellError(
                    tr("“{cell}” is not a time. Write it like 2026-03-29T01:00+01:00.", cell=cell)
                ) from None
        day, clock = _split(text)
        return self.local(self.day(day), parse_clock(clock) if clock else 0, False, cell)

    def day(self, cell: str) -> date:
        """Return the date of a cell."""
        return parse_date(cell, self._style)

    def local(self, day: date, minutes: int, repeated: bool, cell: str) -> datetime:
        """Return the UTC moment of a wall-clock time; refuse one that the spring change leaves out or a third."""
        wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
        early, late = (wall.replace(tzinfo=self._tz, fold=fold).astimezone(UTC) for fold in (0, 1))
        if early.astimezone(self._tz).replace(tzinfo=None) != wall:
            raise CellError(
                tr("“{cell}” does not exist: the clocks go forward over it. Delete the row.", cell=cell)
            )
        seen = self._seen.get(wall, 0) + (1 if repeated and wall not in self._seen else 0)
        self._seen[wall] = seen + 1
        if seen >= (2 if early != late else 1):
            raise CellError(tr("“{cell}” is there twice. Keep one row.", cell=cell))
        return late if seen else early


def clock_of(cell: str, from_one: bool) -> tuple[int, bool]:
    """Return the minutes after midnight at which an hour begins, and whether it is the second of its name.

    Understands 01:00, 00:00 - 00:15, 00-01, 3B, and plain hours, which count from one when `from_one`.
    """
    text = cell.strip()
    if ":" in text:
        return parse_clock(RANGE.split(text)[0].split("-")[0]), False
    parts = HOURS.fullmatch(text)
    if parts is None:
        raise CellError(tr("“{cell}” is not an hour. Write it like 13:00.", cell=cell))
    plain = text.rstrip("abAB").isdigit()
    hour = int(parts["hour"]) - (1 if from_one and plain else 0)
    if not 0 <= hour <= 23:
        raise CellError(tr("“{cell}” is not an hour of the day. Write it like 13:00.", cell=cell))
    return hour * MINUTES_PER_HOUR, (parts["fold"] or "").casefold() == "b"


def _split(cell: str) -> tuple[str, str]:
    """Return the date and the time of day of a cell, which may have none."""
    parts = MOMENT.fullmatch(RANGE.split(cell.strip())[0])
    return (parts["day"], parts["clock"] or "") if parts else (cell, "")
