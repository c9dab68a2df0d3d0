"""Market prices and emission factors on the depot's steps, and how far they are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np
import numpy.typing as npt
from django.db.models import Count, Min, OuterRef, Subquery

from billing.models import PricePoint, PriceSeries
from billing.sources import Point, Series, series_of
from billing.sources.points import WEEKS_BACK
from depot.models import Depot
from depot.timegrid import TimeGrid, local_to_utc
from depot.words import tr

Kind = PriceSeries.Kind
PRICES = (Kind.MARKET, Kind.EXPORT)
LONGEST_POINT = timedelta(hours=1)
PUBLISHED_BY = time(15, 0)
"""Local time by which the next day's prices are out (the coupled auction is published about 13:00 CET)."""
FILE_AHEAD = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Market:
    """Prices per kWh on a grid, None where the depot follows no such series; and since when they are not real."""

    import_per_kwh: npt.NDArray[np.float64] | None = None
    export_per_kwh: npt.NDArray[np.float64] | None = None
    stale_steps: int = 0
    stale_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """How far a series reaches, and what is wrong with it (empty when nothing is)."""

    series: PriceSeries
    count: int
    first_at: datetime | None
    known_to: datetime | None
    problem: str = ""


def market_on(depot: Depot, grid: TimeGrid) -> Market:
    """Return the market's prices on a grid; what is missing has the last good value of its weekday and hour.

    A depot without a series of its own for export sells at the market price.
    """
    found = {row.kind: row for row in PriceSeries.objects.filter(depot=depot, kind__in=PRICES)}
    series = {kind: values_of(row, grid) for kind, row in found.items()}
    known = {kind: one for kind, one in series.items() if np.isfinite(one.per_kwh).all()}
    market = known.get(Kind.MARKET)
    export = known.get(Kind.EXPORT, market)
    stale = np.zeros(grid.steps, dtype=bool)
    for one in known.values():
        stale |= one.stale
    return Market(
        market.per_kwh if market else None,
        export.per_kwh if export else None,
        int(stale.sum()),
        grid.time_of(int(np.argmax(stale))) if stale.any() else None,
    )


def values_of(series: PriceSeries, grid: TimeGrid) -> Series:
    """Return one series on a grid, filled where it is missing, from one query."""
    since = grid.start_at - timedelta(weeks=WEEKS_BACK) - LONGEST_POINT
    points = PricePoint.objects.filter(series=series, start_at__gt=since, start_at__lt=grid.end_at)
    rows = points.order_by("start_at").values_list("start_at", "minutes", "per_kwh")
    return series_of([Point(*row) for row in rows], grid, series.depot.tz)


def known_series(depot: Depot, now: datetime) -> list[Known]:
    """Return every series of a depot with how far it is known and whether that is too short, from one query."""
    newest = PricePoint.objects.filter(series=OuterRef("pk")).order_by("-start_at")
    rows = (
        PriceSeries.objects.filter(depot=depot)
        .select_related("depot")
        .annotate(
            count=Count("points"),
            first_at=Min("points__start_at"),
            last_at=Subquery(newest.values("start_at")[:1]),
            last_minutes=Subquery(newest.values("minutes")[:1]),
        )
        .order_by("pk")
    )
    found = []
    for row in rows:
        known_to = row.last_at + timedelta(minutes=row.last_minutes) if row.last_at else None
        found.append(Known(row, row.count, row.first_at, known_to, shortage(row, known_to, now)))
    return found


def shortage(series: PriceSeries, known_to: datetime | None, now: datetime) -> str:
    """Say that a series does not reach far enough at `now`; empty when it does.

    Fetched prices must hold tomorrow from 15:00 local time; uploaded ones the next 12 hours. Emission factors
    are used for reports only and may lag.
    """
    depot = series.depot
    if not series.is_money:
        return ""
    if known_to is None:
        return tr("No price is known yet.")
    local = depot.local(now)
    tomorrow = local.date() + timedelta(days=1)
    day_after = local_to_utc(tomorrow + timedelta(days=1), 0, depot.tz)
    fetched = series.source != PriceSeries.Source.FILE
    if fetched:
        needed = day_after if local.time() >= PUBLISHED_BY else local_to_utc(tomorrow, 0, depot.tz)
    else:
        needed = now + FILE_AHEAD
    if known_to >= needed:
        return ""
    words = tr("Prices are known to {known_to:%Y-%m-%d %H:%M} only.", known_to=depot.local(known_to))
    return f"{words} {series.problem}".strip()
