"""What a load says of power: its highest means over usual metering intervals, and its highest estimate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from billing.tariff import LoadSeries
from billing.tariff.calendar import local_steps

USUAL_MINUTES = (15, 30, 60)


def block_peaks(load: LoadSeries, zone: tzinfo) -> dict[int, tuple[float, datetime]]:
    """Return by usual metering interval the highest mean import in kW and the moment its block begins.

    Blocks are aligned to the local clock; what was not measured counts as 0, as in a bill. Intervals shorter than
    the load's step are left out.
    """
    import_kw = np.where(load.estimated, 0.0, load.import_kw)
    steps = local_steps(load.start_at, load.steps, load.step_minutes, zone)
    shift = int(steps.local_minute[0] - steps.utc_minute[0])
    found = {}
    for minutes in USUAL_MINUTES:
        if minutes < load.step_minutes or minutes % load.step_minutes:
            continue
        block = (steps.utc_minute + shift) // minutes
        first = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
        means = np.add.reduceat(import_kw, first) * (load.step_minutes / minutes)
        top = int(np.argmax(means))
        found[minutes] = (float(means[top]), _moment(int(steps.utc_minute[first[top]])))
    return found


def estimated_peak(load: LoadSeries) -> tuple[float, datetime] | None:
    """Return the highest estimated import in kW and its moment; None when everything was measured."""
    if not load.estimated.any():
        return None
    index = int(np.argmax(np.where(load.estimated, load.import_kw, -1.0)))
    return float(load.import_kw[index]), load.start_at + index * timedelta(minutes=load.step_minutes)


def _moment(utc_minute: int) -> datetime:
    return datetime.fromtimestamp(utc_minute * 60, UTC)
