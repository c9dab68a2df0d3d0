"""How much the site may draw now without setting a demand peak that nobody has planned."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Avg

from charging.guard import rest_kw
from charging.models import Plan
from charging.selectors.site_now import prices_now
from depot.models import Depot, Meter, MeterReading
from depot.timegrid import floor_to_step

PLAN_AGE = timedelta(hours=1)
"""What an older plan wanted to peak at is no guide any more."""


def peak_room_kw(depot: Depot, now: datetime) -> float | None:
    """Return what the rest of the running metering interval may draw on average, in kW, from a few small queries.

    Of each demand charge that counts now, the greater of the peak so far and the planned one is held. None where there
    is no such charge, or no recent plan that was searched and found sound.
    """
    charges = [charge for charge in prices_now(depot, now).demand_charges if charge["window"][0]]
    planned = _planned_peaks(depot, now) if charges else None
    if planned is None:
        return None
    rooms = []
    for charge in charges:  # the prices begin with the running step
        so_far = float(charge["billed_kw_so_far"][charge["period"][0]])
        peak = max(so_far, float(planned.get(charge["id"], [so_far])[0]))
        minutes = charge.get("metering_minutes", depot.step_minutes)
        start_at = floor_to_step(now, minutes)
        share = (now - start_at) / timedelta(minutes=minutes)
        mean = mean_import_kw(depot, start_at, now)
        rooms.append(rest_kw(peak, peak if mean is None else mean, share))
    return min(rooms)


def _planned_peaks(depot: Depot, now: datetime) -> dict[str, list[float]] | None:
    """Return the peaks of the newest plan by demand charge, without reading all of the plan."""
    recent = Plan.objects.filter(depot=depot, made_at__lte=now, made_at__gt=now - PLAN_AGE)
    newest = (
        recent.order_by("-made_at", "-pk").values_list("violations", "status", "answer__demand_peaks").first()
    )
    if newest is None:
        return None
    violations, status, peaks = newest
    unfit = violations or status == Plan.Status.FALLBACK
    planned: dict[str, list[float]] | None = None if unfit else peaks
    return planned


def mean_import_kw(depot: Depot, from_at: datetime, to_at: datetime) -> float | None:
    """Return the mean import of a span as the grid meter read it, in kW; None without a reading."""
    rows = MeterReading.objects.filter(
        meter__depot=depot, meter__kind=Meter.Kind.GRID, observed_at__gte=from_at, observed_at__lte=to_at
    )
    mean: float | None = rows.aggregate(mean=Avg("power_kw"))["mean"]
    return None if mean is None else max(mean, 0.0)
