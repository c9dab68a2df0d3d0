"""The one clock: real time, or time that runs faster for demonstration and simulation.

All code takes the depot's time from `now()` or as an argument. `wall_now()` is for the machinery alone
(heartbeats, leases, log-ins), which must not run faster with the depot.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Clock:
    """Map wall time to the depot's time: `simulated + (wall - anchor) * speed`."""

    anchor_wall: datetime
    anchor_simulated: datetime
    speed: float

    def at(self, wall: datetime) -> datetime:
        return self.anchor_simulated + (wall - self.anchor_wall) * self.speed


def wall_now() -> datetime:
    """Return the machine's time, aware, in UTC."""
    return datetime.now(UTC)


def clock() -> Clock:
    """Return the clock that the settings describe (the real one when they name no anchor)."""
    if not settings.CLOCK_ANCHOR_SIMULATED:
        now = wall_now()
        return Clock(now, now, 1.0)
    return Clock(
        anchor_wall=datetime.fromisoformat(settings.CLOCK_ANCHOR_WALL),
        anchor_simulated=datetime.fromisoformat(settings.CLOCK_ANCHOR_SIMULATED),
        speed=settings.CLOCK_SPEED,
    )


def now() -> datetime:
    """Return the depot's time, aware, in UTC."""
    return clock().at(wall_now())


def wall_seconds(depot_seconds: float) -> float:
    """Return how long a span of the depot's time takes on the wall, in seconds."""
    return depot_seconds / clock().speed
