"""What a day that differs means for a block."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from depot.words import tr, weekday_name

NOON = 12 * 60


@dataclass(frozen=True, slots=True)
class DayRule:
    """How a day differs from the weekly rule.

    `runs` tells whether blocks run (None = as their weekdays say); with `like_weekday` (0 = Monday) those of that
    weekday run. On a half day blocks that leave at noon or later leave and return `early_minutes` earlier.
    """

    runs: bool | None = None
    like_weekday: int | None = None
    early_minutes: int = 0
    note: str = ""

    def lets_run(self, weekdays: int, day: date) -> bool:
        """Tell whether a block with these weekdays (bit 0 = Monday) runs on `day`."""
        if self.runs is False:
            return False
        if self.like_weekday is not None:
            return bool(weekdays >> self.like_weekday & 1)
        return bool(self.runs) or bool(weekdays >> day.weekday() & 1)

    def earlier(self, depart_minute: int) -> int:
        """Return by how many minutes a block that leaves at `depart_minute` is pulled forward."""
        return min(self.early_minutes, depart_minute) if depart_minute >= NOON else 0

    def in_words(self) -> str:
        """Say what it means, like "no service" or "half day, from noon on 150 min earlier"."""
        if self.early_minutes:
            return tr("half day, from noon on {minutes} min earlier", minutes=self.early_minutes)
        if self.like_weekday is not None:
            return tr("as on {weekday}s", weekday=weekday_name(self.like_weekday))
        if self.runs is False:
            return tr("no service")
        return tr("all blocks run") if self.runs else tr("as usual")


USUAL = DayRule()
