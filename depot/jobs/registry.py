"""Which kinds of work exist, how each is run, and when it recurs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from depot.timegrid import floor_to_step

if TYPE_CHECKING:
    from depot.models import Depot, Job

Progress = Callable[[float, str], None]
Handler = Callable[["Job", Progress], dict[str, Any] | None]

MINUTE = timedelta(minutes=1)
KINDS: dict[str, JobKind] = {}


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of work. `every` repeats it on the clock, `local_at` once a day in each depot's own time."""

    name: str
    title: str
    run: Handler
    every: timedelta | None = None
    local_at: time | None = None
    max_attempts: int = 3

    def window(self, depot: Depot, now: datetime) -> str | None:
        """Return the name of the window that is due for `depot` at `now`, or None when none is."""
        if self.every is not None:
            return floor_to_step(now, self.every // MINUTE).isoformat()
        if self.local_at is not None:
            local = depot.local(now)
            due = local.time() >= self.local_at
            return (local.date() if due else local.date() - timedelta(days=1)).isoformat()
        return None


def job(
    name: str, *, title: str, every: timedelta | None = None, local_at: time | None = None
) -> Callable[[Handler], Handler]:
    """Register the function that runs jobs of kind `name`.

    Raises ValueError for two rhythms at once, and for an `every` that is not a whole number of minutes.
    """
    if every is not None and local_at is not None:
        raise ValueError(f"Job {name}: give either every or local_at.")
    if every is not None and (every < MINUTE or every % MINUTE):
        raise ValueError(f"Job {name}: every must be a whole number of minutes.")

    def register(run: Handler) -> Handler:
        KINDS[name] = JobKind(name, title, run, every, local_at)
        return run

    return register
