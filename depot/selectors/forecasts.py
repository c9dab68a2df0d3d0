"""Read what is expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from depot.models import Depot, Forecast
from depot.timegrid import TimeGrid
from depot.words import tr


@dataclass(frozen=True, slots=True)
class Expected:
    """A forecast cut to a grid: kW per step, when it was made, from what."""

    power_kw: npt.NDArray[np.float64]
    made_at: datetime | None
    source: str


def expected(depot: Depot, kind: str, grid: TimeGrid, now: datetime) -> Expected:
    """Return the newest forecast made at or before `now`, on `grid`; steps it does not reach repeat its last day."""
    row = Forecast.objects.filter(depot=depot, kind=kind, made_at__lte=now).order_by("-made_at").first()
    if row is None:
        return Expected(np.zeros(grid.steps), None, tr("No forecast has been made yet."))
    values = np.array(row.power_kw, dtype=float)
    day = max(1, 24 * 60 // row.step_minutes)
    offset_s = (grid.start_at - row.start_at).total_seconds() + np.arange(grid.steps) * grid.step_minutes * 60
    index = np.floor_divide(offset_s, row.step_minutes * 60).astype(int)
    beyond = index >= values.size
    index[beyond] = values.size - day + (index[beyond] - values.size) % day
    return Expected(values[np.clip(index, 0, values.size - 1)], row.made_at, row.source)
