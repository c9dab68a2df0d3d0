"""Uptime of a charging port as 23 CFR 680.116(b) reckons it.

    U = (T - (T_outage - T_excluded)) / T × 100 %,   T = 525,600 minutes for a year

An outage counts unless it lies in an excluded span: there the port was down for a reason outside the operator's
control, or for maintenance that was announced.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]
MINUTE = timedelta(minutes=1)
REQUIRED = 0.97
"""Each port must be up for more than this share of the year (23 CFR 680.116(b))."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """Minutes of a period, of outage in it, and of that outage in excluded spans."""

    minutes: float
    outage: float
    excluded: float

    @property
    def share(self) -> float | None:
        """Return the uptime (0..1); None for a period without a minute."""
        return 1 - (self.outage - self.excluded) / self.minutes if self.minutes > 0 else None


def uptime(period: Span, outages: Iterable[Span], excluded: Iterable[Span]) -> Uptime:
    """Return the uptime over a half-open period; spans may overlap and reach beyond it."""
    down = merged(outages, period)
    excused = merged(excluded, period)
    both = [
        (max(one[0], other[0]), min(one[1], other[1]))
        for one in down
        for other in excused
        if one[0] < other[1] and other[0] < one[1]
    ]
    return Uptime(max(_minutes([period]), 0.0), _minutes(down), _minutes(both))


def merged(spans: Iterable[Span], period: Span) -> list[Span]:
    """Return spans cut to a period, in their order, those that touch made one."""
    found: list[Span] = []
    for begin, end in sorted((max(begin, period[0]), min(end, period[1])) for begin, end in spans):
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _minutes(spans: Iterable[Span]) -> float:
    return sum((end - begin) / MINUTE for begin, end in spans)
