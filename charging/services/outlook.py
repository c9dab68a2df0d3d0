"""Look a week ahead for the demand peaks that are to be expected anyway, and keep what was found."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from charging.assemble import assemble
from charging.models import PeakOutlook
from charging.peak_outlook import DAYS, look_ahead
from charging.planner.case import case_from_json
from charging.selectors.outlook import months_of
from depot.jobs import enqueue
from depot.jobs.services import UNFINISHED
from depot.models import Depot, Job

JOB = "peak-outlook"
TIME_LIMIT_S = 120.0
KEPT = timedelta(days=30)
CHANGES = (
    "assignment ",
    "calendar ",
    "charging requests ",
    "departures ",
    "prices ",
    "schedule ",
    "set-up ",
    "tariff ",
)
"""Plans asked for with such a window follow a change of what the outlook was made of."""


def make_outlook(depot: Depot, now: datetime) -> PeakOutlook:
    """Find and store the peaks of the coming days. Without a good plan it is empty, and plans expect nothing.

    Raises SolverError where the solver fails; the last outlook then counts until it is stale.
    """
    started = time.perf_counter()
    assembled = assemble(depot, now, outlook_days=DAYS)
    case, grid = case_from_json(assembled.case), assembled.grid
    peaks = look_ahead(case, TIME_LIMIT_S) if case.demand_charges else []
    charges = {charge["id"]: charge for charge in assembled.case["demand_charges"]}
    rows = [
        {
            "charge": peak.charge,
            "month": months_of(depot, charges[peak.charge], grid)[peak.period].isoformat(),
            "kw": round(peak.kw, 3),
            "at": grid.time_of(peak.step).isoformat(),
            "building_kw": round(peak.building_kw, 3),
            "solar_kw": round(peak.solar_kw, 3),
            "vehicles_kw": round(peak.vehicles_kw, 3),
            "vehicles": peak.vehicles,
        }
        for peak in peaks
    ]
    PeakOutlook.objects.filter(depot=depot, made_at__lt=now - KEPT).delete()
    seconds = time.perf_counter() - started
    return PeakOutlook.objects.create(
        depot=depot, made_at=now, until_at=grid.end_at, peaks=rows, seconds=seconds
    )


def look_again(depot: Depot, window: str) -> None:
    """Ask for a new outlook if a plan's window names a change and none waits or runs yet."""
    waiting = Job.objects.filter(depot=depot, kind=JOB, state__in=UNFINISHED)
    if window.startswith(CHANGES) and not waiting.exists():
        enqueue(JOB, depot, window)
