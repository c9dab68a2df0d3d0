"""Write the ledger: energy, prices and counterfactual of closed intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

from billing.models import Interval
from billing.models import Tariff as TariffRow
from billing.selectors.tariffs import parsed, tariff_on
from billing.tariff import PriceCurve, TariffError, price_curve
from depot.models import Depot, Quality
from depot.timegrid import TimeGrid

SIX = Decimal("0.000001")


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
class Priced:
    """Prices of consecutive intervals of one local day, from one tariff version."""

    tariff: TariffRow | None
    curve: PriceCurve | None


def record(depot: Depot, rows: Sequence[Measured], closed_at: datetime) -> int:
    """Close intervals: energy as measured, prices of the tariff that holds now, frozen. Return how many were new.

    An interval that is closed already is left as it is.
    """
    if not rows:
        return 0
    priced = _prices(depot, rows)
    new = [_interval(depot, row, priced[index], closed_at) for index, row in enumerate(rows)]
    with transaction.atomic():
        before = Interval.objects.filter(depot=depot).count()
        Interval.objects.bulk_create(new, ignore_conflicts=True, batch_size=1000)
        return Interval.objects.filter(depot=depot).count() - before


def _interval(
    depot: Depot,
    row: Measured,
    price: tuple[TariffRow | None, Decimal | None, Decimal | None],
    closed_at: datetime,
) -> Interval:
    tariff, import_price, export_price = price
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
        tariff=tariff,
        import_price_per_kwh=import_price,
        export_price_per_kwh=export_price,
        quality=row.quality,
        closed_at=closed_at,
    )


def _prices(
    depot: Depot, rows: Sequence[Measured]
) -> list[tuple[TariffRow | None, Decimal | None, Decimal | None]]:
    """Return tariff, import price and export price of each row; a day is priced at once."""
    by_day: dict[date, list[Measured]] = {}
    for row in rows:
        by_day.setdefault(depot.local(row.start_at).date(), []).append(row)
    found: dict[datetime, tuple[TariffRow | None, Decimal | None, Decimal | None]] = {}
    for day, members in by_day.items():
        tariff = tariff_on(depot, day)
        first, last = members[0].start_at, members[-1].start_at
        steps = int((last - first).total_seconds() // 60 // depot.step_minutes) + 1
        grid = TimeGrid(first, depot.step_minutes, steps)
        curve = _curve(tariff, grid, depot)
        for row in members:
            if curve is None:
                found[row.start_at] = (tariff, None, None)
                continue
            index = grid.index_of(row.start_at)
            found[row.start_at] = (
                tariff,
                Decimal(float(curve.import_per_kwh[index])).quantize(SIX),
                Decimal(float(curve.export_per_kwh[index])).quantize(SIX),
            )
    return [found[row.start_at] for row in rows]


def _curve(tariff: TariffRow | None, grid: TimeGrid, depot: Depot) -> PriceCurve | None:
    if tariff is None:
        return None
    try:
        return price_curve(parsed(tariff), grid.start_at, grid.steps, grid.step_minutes, time_zone=depot.tz)
    except TariffError:
        return None


def record_unmanaged(depot: Depot, rows: Sequence[Unmanaged], at: datetime) -> int:
    """Write the counterfactual of intervals whose counterfactual is not final yet; return how many changed."""
    wanted = {row.start_at: row for row in rows}
    with transaction.atomic():
        still_open = list(
            Interval.objects.select_for_update().filter(
                depot=depot, start_at__in=list(wanted), baseline_frozen_at__isnull=True
            )
        )
        for interval in still_open:
            row = wanted[interval.start_at]
            interval.unmanaged_charge_kwh = row.charge_kwh
            interval.unmanaged_import_kwh = row.import_kwh
            interval.unmanaged_export_kwh = row.export_kwh
            interval.baseline_frozen_at = at if row.final else None
        Interval.objects.bulk_update(
            still_open,
            ["unmanaged_charge_kwh", "unmanaged_import_kwh", "unmanaged_export_kwh", "baseline_frozen_at"],
            batch_size=500,
        )
    return len(still_open)
