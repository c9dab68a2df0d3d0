"""Write the ledger: energy, prices and counterfactual of closed intervals."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from billing.models import Interval
from billing.models import Tariff as TariffRow
from billing.selectors.market import Market, market_on
from billing.selectors.prices import follows_market
from billing.selectors.tariffs import parsed, tariffs_by_day
from billing.tariff import PriceCurve, TariffError, price_curve
from depot.many_rows import update_rows
from depot.models import Depot, Quality
from depot.timegrid import TimeGrid

log = logging.getLogger(__name__)
SIX = Decimal("0.000001")
SAME_KWH = 1e-9
LEAST_KWH = 1e-5
"""Energy is kept to a millionth of a kWh; what was measured again and differs by less has not changed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What meters counted in one interval, in kWh; `wear_cost` in the depot's currency."""

    start_at: datetime
    import_kwh: float
    export_kwh: float
    building_kwh: float
    solar_kwh: float
    charge_kwh: float
    discharge_kwh: float
    wear_cost: float = 0.0
    quality: str = Quality.GOOD


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """The counterfactual of one interval, in kWh; `final` when no session that touches it is still open."""

    start_at: datetime
    charge_kwh: float
    import_kwh: float
    export_kwh: float
    final: bool


@dataclass(frozen=True, slots=True)
class Price:
    """The tariff that holds in an interval and its prices per kWh; None where no tariff names them."""

    tariff: TariffRow | None = None
    import_per_kwh: Decimal | None = None
    export_per_kwh: Decimal | None = None


def record(depot: Depot, rows: Sequence[Measured], closed_at: datetime) -> int:
    """Close intervals: energy as measured, prices of the tariff that holds now, frozen. Return how many were new.

    An interval that is closed already is left as it is.
    """
    if not rows:
        return 0
    prices = _prices(depot, rows)
    new = [_interval(depot, row, price, closed_at) for row, price in zip(rows, prices, strict=True)]
    with transaction.atomic():
        before = Interval.objects.filter(depot=depot).count()
        Interval.objects.bulk_create(new, ignore_conflicts=True, batch_size=1000)
        return Interval.objects.filter(depot=depot).count() - before


def _interval(depot: Depot, row: Measured, price: Price, closed_at: datetime) -> Interval:
    return Interval(
        depot=depot,
        start_at=row.start_at,
        minutes=depot.step_minutes,
        import_kwh=row.import_kwh,
        export_kwh=row.export_kwh,
        building_kwh=row.building_kwh,
        solar_kwh=row.solar_kwh,
        charge_kwh=row.charge_kwh,
        discharge_kwh=row.discharge_kwh,
        v2g_wear_cost=Decimal(row.wear_cost).quantize(SIX),
        tariff=price.tariff,
        import_price_per_kwh=price.import_per_kwh,
        export_price_per_kwh=price.export_per_kwh,
        quality=row.quality,
        closed_at=closed_at,
    )


@dataclass(frozen=True, slots=True)
class Revision:
    """How many closed intervals late data has changed, from when to when, and the energy that was added."""

    intervals: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    import_kwh: float = 0.0
    export_kwh: float = 0.0
    charge_kwh: float = 0.0
    discharge_kwh: float = 0.0

    def __add__(self, other: Revision) -> Revision:
        """Return both as one; `other` is the later one."""
        kwh = {name: getattr(self, name) + getattr(other, name) for name in REVISED}
        return Revision(
            self.intervals + other.intervals,
            self.first_at or other.first_at,
            other.last_at or self.last_at,
            **kwh,
        )

    def facts(self) -> dict[str, Any]:
        """Return it as JSON values."""
        kwh = {name: round(getattr(self, name), 3) for name in REVISED}
        return {
            "intervals": self.intervals,
            "first_at": self.first_at.isoformat() if self.first_at else None,
            "last_at": self.last_at.isoformat() if self.last_at else None,
            **kwh,
        }


REVISED = ("import_kwh", "export_kwh", "charge_kwh", "discharge_kwh")
ENERGY = (*REVISED, "building_kwh", "solar_kwh")


def revise(depot: Depot, rows: Sequence[Measured], at: datetime) -> Revision:
    """Measure closed intervals anew: what changed is written, at the frozen prices; return what that was.

    The counterfactual of a changed interval is no longer final. Bills that are final keep what they were made of.
    """
    wanted = {row.start_at: row for row in rows}
    if not wanted:
        return Revision()
    with transaction.atomic():
        closed = Interval.objects.select_for_update().filter(
            depot=depot, start_at__range=(min(wanted), max(wanted))
        )
        changed = [
            (interval, wanted[interval.start_at])
            for interval in closed.order_by("start_at")
            if interval.start_at in wanted and _differs(interval, wanted[interval.start_at])
        ]
        added = {
            name: sum(getattr(new, name) - getattr(old, name) for old, new in changed) for name in REVISED
        }
        for interval, row in changed:
            for name in ENERGY:
                setattr(interval, name, getattr(row, name))
            interval.v2g_wear_cost = Decimal(row.wear_cost).quantize(SIX)
            interval.quality, interval.closed_at, interval.baseline_frozen_at = row.quality, at, None
        update_rows(
            Interval,
            [interval for interval, _ in changed],
            [*ENERGY, "v2g_wear_cost", "quality", "closed_at", "baseline_frozen_at"],
        )
    if not changed:
        return Revision()
    return Revision(len(changed), changed[0][0].start_at, changed[-1][0].start_at, **added)


def _differs(interval: Interval, row: Measured) -> bool:
    moved = max(abs(getattr(interval, name) - getattr(row, name)) for name in ENERGY)
    return moved > LEAST_KWH or interval.quality != row.quality


def reopen_unmanaged(depot: Depot, from_at: datetime) -> None:
    """Let the counterfactual be worked out again from a moment on: a session was not known, or not as it was."""
    Interval.objects.filter(depot=depot, start_at__gte=from_at).update(baseline_frozen_at=None)


def _prices(depot: Depot, rows: Sequence[Measured]) -> list[Price]:
    """Return the price of each row; each tariff version is asked once, for the whole span."""
    moments = [row.start_at for row in rows]
    grid = TimeGrid(min(moments), depot.step_minutes, 0)
    steps = (max(moments) - grid.start_at) // grid.step + 1
    grid = TimeGrid(grid.start_at, depot.step_minutes, steps)
    days = [depot.local(at).date() for at in moments]
    tariff_of = tariffs_by_day(depot, min(days), max(days))
    curves = {row.pk: _curve(row, grid, depot) for row in set(tariff_of.values()) if row is not None}
    found = []
    for at, day in zip(moments, days, strict=True):
        tariff = tariff_of[day]
        curve = curves[tariff.pk] if tariff else None
        found.append(_price(tariff, curve, grid.index_of(at)))
    return found


def _price(tariff: TariffRow | None, curve: PriceCurve | None, index: int) -> Price:
    if curve is None:
        return Price(tariff)
    return Price(
        tariff,
        Decimal(float(curve.import_per_kwh[index])).quantize(SIX),
        Decimal(float(curve.export_per_kwh[index])).quantize(SIX),
    )


def _curve(tariff: TariffRow, grid: TimeGrid, depot: Depot) -> PriceCurve | None:
    """Return the prices of a tariff; None for one that has no price known beforehand, or that is refused."""
    try:
        document = parsed(tariff)
        market = market_on(depot, grid) if follows_market(document) else Market()
        return price_curve(
            document,
            grid.start_at,
            grid.steps,
            grid.step_minutes,
            time_zone=depot.tz,
            import_series_per_kwh=market.import_per_kwh,
            export_series_per_kwh=market.export_per_kwh,
        )
    except TariffError as error:
        log.warning("Intervals of %s are closed without a price: %s", depot.slug, error)
        return None


def record_unmanaged(depot: Depot, rows: Sequence[Unmanaged], at: datetime) -> int:
    """Write the counterfactual of intervals whose counterfactual is not final yet; return how many changed."""
    if not rows:
        return 0
    wanted = {row.start_at: row for row in rows}
    with transaction.atomic():
        still_open = Interval.objects.select_for_update().filter(
            depot=depot, start_at__range=(min(wanted), max(wanted)), baseline_frozen_at__isnull=True
        )
        changed = [
            interval
            for interval in still_open.order_by("start_at")
            if interval.start_at in wanted and _follow(interval, wanted[interval.start_at], at)
        ]
        update_rows(
            Interval,
            changed,
            ["unmanaged_charge_kwh", "unmanaged_import_kwh", "unmanaged_export_kwh", "baseline_frozen_at"],
        )
    return len(changed)


def _follow(interval: Interval, row: Unmanaged, at: datetime) -> bool:
    """Take a counterfactual over; tell whether that changed anything."""
    moved = max(
        abs(interval.unmanaged_charge_kwh - row.charge_kwh),
        abs(interval.unmanaged_import_kwh - row.import_kwh),
        abs(interval.unmanaged_export_kwh - row.export_kwh),
    )
    interval.unmanaged_charge_kwh = row.charge_kwh
    interval.unmanaged_import_kwh = row.import_kwh
    interval.unmanaged_export_kwh = row.export_kwh
    interval.baseline_frozen_at = at if row.final else None
    return moved > SAME_KWH or row.final
