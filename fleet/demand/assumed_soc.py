"""The charge to plan with when nobody has told it lately. PURE."""

from __future__ import annotations

from datetime import timedelta

STALE = timedelta(hours=2)
STALE_MARGIN = 0.05
MARGIN_PER_H = 0.01
GREATEST_MARGIN = 0.20
AHEAD = timedelta(minutes=5)


def is_stale(age: timedelta) -> bool:
    """Tell whether a SoC of this age is too old to be taken as it is; one from the future is, too."""
    return not -AHEAD <= age <= STALE


def margin(age: timedelta) -> float:
    """Return how much lower (0..1) a SoC is taken: 5 % at two hours of age, then 1 % more an hour, 20 % at most."""
    if not is_stale(age):
        return 0.0
    hours = max((age - STALE) / timedelta(hours=1), 0.0)
    return min(STALE_MARGIN + MARGIN_PER_H * hours, GREATEST_MARGIN)


def assumed_soc(
    soc: float, age: timedelta, capacity_kwh: float, *, used_kwh: float = 0.0, charged_kwh: float = 0.0
) -> float:
    """Return the SoC (0..1) to plan with: the last one known, what has flowed since, less the margin of its age.

    `used_kwh` are the trips that have ended since, `charged_kwh` what chargers have put into the battery since
    (below zero: taken out).
    """
    known = min(max(soc + (charged_kwh - used_kwh) / capacity_kwh, 0.0), 1.0)
    return max(known - margin(age), 0.0)
