"""When to write to somebody about an alert: not in quiet hours, and each time later than the last.

Nothing here asks the database or reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

AGAIN_AFTER = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), timedelta(hours=24))
"""How long after the first, second … mail the next one may follow; the last holds for all later ones."""
FORGOTTEN = timedelta(days=3)
"""A cause that nobody was written to about for so long begins anew."""
LEVELS = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to be written to about, in the depot's local time."""

    least_level: str
    quiet_from: time | None = None
    quiet_to: time | None = None
    critical_always: bool = True


def is_quiet(wish: Wish, local: time) -> bool:
    """Tell whether a time of day lies in the quiet hours, which may go over midnight."""
    start, end = wish.quiet_from, wish.quiet_to
    if start is None or end is None or start == end:
        return False
    return start <= local < end if start < end else local >= start or local < end


def is_wanted(wish: Wish, level: str, local: time) -> bool:
    """Tell whether an alert of a level is to be written about at this time of day."""
    if LEVELS.index(level) < LEVELS.index(wish.least_level):
        return False
    return not is_quiet(wish, local) or (wish.critical_always and level == "critical")


def is_due(now: datetime, sent_at: datetime | None, times: int) -> bool:
    """Tell whether the next mail about a cause may go out; `times` were sent, the last one at `sent_at`."""
    if sent_at is None or times < 1:
        return True
    return now - sent_at >= AGAIN_AFTER[min(times, len(AGAIN_AFTER)) - 1]


def count_after(now: datetime, sent_at: datetime | None, times: int) -> int:
    """Return how many mails about a cause count once one more is sent."""
    return 1 if sent_at is None or now - sent_at >= FORGOTTEN else times + 1
