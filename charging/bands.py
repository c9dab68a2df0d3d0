"""How far what happens may be worse than what is expected: quantiles of what has happened. PURE.

A bad day (planner.rolling.BadDay) is made of them. With few samples a quantile says little, so a documented default
stands in: it is what is taken until there is a history.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

QUANTILE = 0.95
LATE_QUANTILE = 0.99
"""Of lateness: a bus that comes back later than thought may miss its next departure, and no money makes that good."""
FEWEST_SAMPLES = 20
DEFAULT_LATE_STEPS = 2
DEFAULT_EXTRA_SHARE = 0.1
DEFAULT_BUILDING_SHARE = 0.15
DEFAULT_SOLAR_SHARE = -0.5


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least a share of all samples do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def late_quantile(late_steps: Sequence[float], default: int = DEFAULT_LATE_STEPS) -> int:
    """Return by how many whole steps a trip may be late; early ones count as on time."""
    if len(late_steps) < FEWEST_SAMPLES:
        return default
    return max(0, math.ceil(quantile(late_steps, LATE_QUANTILE)))


def share_quantile(shares: Sequence[float], default: float = DEFAULT_EXTRA_SHARE) -> float:
    """Return by which share of what is expected more may be used; never less than nothing."""
    return default if len(shares) < FEWEST_SAMPLES else max(0.0, quantile(shares, QUANTILE))


def least_quantile(shares: Sequence[float], default: float = DEFAULT_SOLAR_SHARE) -> float:
    """Return by how much less there may be than expected, as a share: from -1 to 0."""
    if len(shares) < FEWEST_SAMPLES:
        return default
    return min(0.0, max(-1.0, -quantile([-share for share in shares], QUANTILE)))
