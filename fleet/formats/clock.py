"""Days and minutes of a service day as people read them."""

from __future__ import annotations

from datetime import date

from depot.words import day_words

MINUTES_PER_DAY = 1440


def clock(minute: int) -> str:
    """Return minutes after midnight as 06:30, on a later day as 01:10+1."""
    days, rest = divmod(minute, MINUTES_PER_DAY)
    return f"{rest // 60:02}:{rest % 60:02}" + (f"+{days}" if days else "")


def day_text(day: date) -> str:
    """Return a day as Mon 9 Mar 2026."""
    return f"{day_words(day)} {day.year}"
