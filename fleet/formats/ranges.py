"""The days a file is read for, and what replacing them does to blocks that also run on other days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from depot.imports import RowError
from depot.words import tr
from fleet.formats.blocks import EVER_FROM, EVER_TO, BlockRow
from fleet.formats.clock import day_text

MOST_DAYS = 366
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DateRange:
    """The days a file is to be read for, both ends included; None = open."""

    from_date: date | None = None
    to_date: date | None = None

    @property
    def first_day(self) -> int:
        return self.from_date.toordinal() if self.from_date else EVER_FROM

    @property
    def last_day(self) -> int:
        return self.to_date.toordinal() if self.to_date else EVER_TO

    @property
    def is_open(self) -> bool:
        """Tell whether it holds every day."""
        return self.from_date is None and self.to_date is None

    def touches(self, row: BlockRow) -> bool:
        """Tell whether a block can run on a day of the range."""
        return row.first_day <= self.last_day and row.last_day >= self.first_day

    def contains(self, row: BlockRow) -> bool:
        """Tell whether a block can run only on days of the range."""
        return row.first_day >= self.first_day and row.last_day <= self.last_day

    def __str__(self) -> str:
        begin = tr("from {from_date}", from_date=day_text(self.from_date)) if self.from_date else ""
        end = tr("to {to_date}", to_date=day_text(self.to_date)) if self.to_date else ""
        return f"{begin} {end}".strip() or tr("all days")


@dataclass(frozen=True, slots=True)
class TakenOut:
    """Blocks (before, after) that no longer run on the days of a range, and those of which that cannot be said."""

    changed: tuple[tuple[BlockRow, BlockRow], ...] = ()
    errors: tuple[RowError, ...] = ()


def take_out(rows: Iterable[BlockRow], days: DateRange) -> TakenOut:
    """Return how blocks that also run outside `days` stop running on them. Those that do not run there stay."""
    changed: list[tuple[BlockRow, BlockRow]] = []
    errors: list[RowError] = []
    for row in rows:
        if days.contains(row) or not days.touches(row) or not _runs_within(row, days):
            continue
        after = _without(row, days)
        if after is None:
            errors.append(_too_long(row))
        elif after != row:
            changed.append((row, after))
    return TakenOut(tuple(changed), tuple(errors))


def _runs_within(row: BlockRow, days: DateRange) -> bool:
    """Tell whether a block runs on a day of the range; one with a calendar may run on any."""
    first, last = max(row.first_day, days.first_day), min(row.last_day, days.last_day)
    if row.has_calendar or last - first >= MOST_DAYS:
        return True
    runs = row.running()
    return any(runs(day) for day in range(first, last + 1))


def _without(row: BlockRow, days: DateRange) -> BlockRow | None:
    """Return a block that does not run on days of the range; None where that takes too many single days."""
    if row.last_day <= days.last_day:
        return replace(row, valid_to=date.fromordinal(days.first_day) - DAY)
    first, last = max(row.first_day, days.first_day), days.last_day
    if last - first >= MOST_DAYS:
        return None
    out = {date.fromordinal(day): False for day in range(first, last + 1)}
    return replace(row, exceptions=tuple(sorted({**dict(row.exceptions), **out}.items())))


def _too_long(row: BlockRow) -> RowError:
    message = tr(
        "Block {block_id} runs on after the chosen days, and they hold more than a year of its "
        "days. Choose a first day, and a shorter span.",
        block_id=row.block_id,
    )
    return RowError("schedule", None, "", row.block_id, message)
