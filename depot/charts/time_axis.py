"""Time axes in a depot's own zone, on days of 23, 24 and 25 hours alike.

A chart's axis knows no time zones. Moments are therefore drawn at their UTC time shifted by ONE offset (the
zone's at the start of the axis), which keeps every hour the same width; the labels say the true local time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from depot.words import day_words, month_words, speaking, spoken, tr, weekday_words

TICK_HOURS = (1, 2, 3, 6, 12, 24)
DAYS_WITH_HOURS = 5
_SEARCH_STEP = timedelta(minutes=15)  # offsets of zones are multiples of a quarter of an hour


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """A span of time (aware moments) seen from a depot's zone."""

    from_at: datetime
    to_at: datetime
    tz: tzinfo

    def __post_init__(self) -> None:
        if self.from_at.tzinfo is None or self.to_at.tzinfo is None:
            raise ValueError("A time axis needs moments with a time zone.")
        if self.to_at <= self.from_at:
            raise ValueError("A time axis must end after it begins.")

    @property
    def clock_changes(self) -> bool:
        """Tell whether the zone's offset changes on this axis, so that drawn and local time differ somewhere."""
        return self.from_at.astimezone(self.tz).utcoffset() != self.to_at.astimezone(self.tz).utcoffset()

    def x(self, at: datetime) -> str:
        """Return where a moment is drawn: ISO text without an offset."""
        return self.xs([at])[0]

    def xs(self, moments: Iterable[datetime]) -> list[str]:
        """Return where moments are drawn."""
        offset = self.from_at.astimezone(self.tz).utcoffset() or timedelta()
        return [
            (at.astimezone(UTC) + offset).replace(tzinfo=None).isoformat(timespec="seconds") for at in moments
        ]

    def label(self, at: datetime) -> str:
        """Return a moment in true local words: Tue 24 Nov 06:10."""
        return _moment(at, self.tz, spoken())

    def labels(self, moments: Iterable[datetime]) -> list[str]:
        """Return moments in true local words."""
        return [self.label(at) for at in moments]

    def ticks(self, hours: int) -> dict[str, list[str]]:
        """Return `tickvals` and `ticktext` at local multiples of `hours`; midnight is named by its date."""
        moments = self._round_moments(hours)
        return {"tickvals": self.xs(moments), "ticktext": [self._tick_text(at) for at in moments]}

    def tick_choices(self) -> list[dict[str, list[str]]]:
        """Return sets of ticks from dense to sparse; the browser takes the first that fits its width."""
        if self.to_at - self.from_at > timedelta(days=DAYS_WITH_HOURS):
            midnights = self._round_moments(24)
            return [self._day_ticks(midnights[::every]) for every in (1, 2, 7, 14, 31)]
        choices = [self.ticks(hours) for hours in TICK_HOURS]
        return [choice for choice in choices if choice["tickvals"]]

    def layout(self) -> dict[str, Any]:
        """Return the properties of the x axis."""
        return {
            "type": "date",
            "range": [self.x(self.from_at), self.x(self.to_at)],
            "tickmode": "array",
            "unifiedhovertitle": {
                "text": tr("Local time") if self.clock_changes else f"%{{x|{tr('%a %-d %b %H:%M')}}}"
            },
        }

    def _round_moments(self, hours: int) -> list[datetime]:
        at = self.from_at.astimezone(UTC)
        at -= timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
        # The next one is as many hours away, or one fewer or more when the clock changes.
        leap = max(_SEARCH_STEP, timedelta(hours=hours - 2))
        moments: list[datetime] = []
        while at <= self.to_at:
            local = at.astimezone(self.tz)
            found = at >= self.from_at and local.minute == 0 and local.hour % hours == 0
            if found:
                moments.append(at)
            at += leap if found else _SEARCH_STEP
        return moments

    def _day_ticks(self, midnights: Sequence[datetime]) -> dict[str, list[str]]:
        return {"tickvals": self.xs(midnights), "ticktext": [self._day(at) for at in midnights]}

    def _tick_text(self, at: datetime) -> str:
        local = at.astimezone(self.tz)
        return f"{weekday_words(local.weekday())} {local.day}" if local.hour == 0 else f"{local:%H:%M}"

    def _day(self, at: datetime) -> str:
        local = at.astimezone(self.tz)
        return f"{local.day} {month_words(local.month)}"


@lru_cache(maxsize=20_000)
def _moment(at: datetime, tz: tzinfo, language: str) -> str:
    """Return a moment in a language's words; a page says the same few hundred moments again and again."""
    local = at.astimezone(tz)
    with speaking(language):
        return f"{day_words(local)} {local:%H:%M}"
