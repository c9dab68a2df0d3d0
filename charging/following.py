"""Does a charger do what it was told? Its meter against its set-points. PURE.

Less than a charging limit is no fault: a battery is full, or takes less. More than it, or more discharge than was
asked for, is one, once the charger has had time to react.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SETTLE = timedelta(seconds=60)
ENOUGH = 3
TOLERANCE_KW, TOLERANCE_SHARE = 2.0, 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """Signed powers a charger was told, in kW per step from `start_at` on; it has known them since `known_at`."""

    start_at: datetime
    step: timedelta
    power_kw: Sequence[float]
    known_at: datetime

    def at(self, moment: datetime) -> float | None:
        """Return the set-point at a moment; None when nothing was said of it, or only just."""
        index = (moment - self.start_at) // self.step
        if not 0 <= index < len(self.power_kw):
            return None
        since = max(self.start_at + index * self.step, self.known_at)
        if index and self.power_kw[index] == self.power_kw[index - 1]:
            since = self.known_at
        return self.power_kw[index] if moment >= since + SETTLE else None


def excess_kw(told_kw: float, measured_kw: float) -> float:
    """Return by how much a measured power is outside a set-point and its tolerance, in kW; 0 = inside."""
    slack = max(TOLERANCE_KW, TOLERANCE_SHARE * abs(told_kw))
    above = measured_kw - max(told_kw, 0.0) - slack
    below = min(told_kw, 0.0) - slack - measured_kw
    return max(above, below, 0.0)


def verdict(told: Told, samples: Sequence[tuple[datetime, float]]) -> bool | None:
    """Tell whether a charger follows; None when there are not enough samples to say.

    `samples` are (moment, measured kW), oldest first. It strays when the last few all lie outside, and follows
    when they all lie inside.
    """
    judged = [excess_kw(want, power) for at, power in samples if (want := told.at(at)) is not None][-ENOUGH:]
    if len(judged) < ENOUGH:
        return None
    if all(excess > 0 for excess in judged):
        return False
    return True if not any(judged) else None
