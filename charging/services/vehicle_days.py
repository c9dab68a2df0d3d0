"""Write down each day what every vehicle took and gave, and what that was worth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from django.db import transaction
from django.db.models import Min

from billing.models import Interval
from billing.selectors.ledger import Ledger, read_ledger
from charging.models import VehicleDay
from charging.selectors.energy import VehicleFlow, energy_by_vehicle
from depot.models import Depot
from depot.timegrid import local_day_bounds
from depot.words import tr

AGAIN = timedelta(days=3)
"""So many days back what comes late from chargers is still taken in."""
MOST_AT_ONCE = 60
Tell = Callable[[float, str], None]


def record_vehicle_days(depot: Depot, now: datetime, progress: Tell | None = None) -> int:
    """Write the days since three days before the last one written, or since the ledger begins; return how many.

    A long history is written over several runs, sixty days each.
    """
    today = depot.local(now).date()
    first = _first_day(depot)
    if first is None:
        return 0
    days = [first + timedelta(days=number) for number in range((today - first).days + 1)][:MOST_AT_ONCE]
    for number, day in enumerate(days):
        if progress is not None:
            progress(number / len(days), tr("Energy of {day:%d %b}", day=day))
        record_day(depot, day, now)
    return len(days)


def _first_day(depot: Depot) -> date | None:
    written = VehicleDay.objects.filter(depot=depot).order_by("-date").values_list("date", flat=True).first()
    if written is not None:
        return written - AGAIN
    begun = Interval.objects.filter(depot=depot).aggregate(at=Min("start_at"))["at"]
    return depot.local(begun).date() if begun else None


def record_day(depot: Depot, day: date, now: datetime) -> int:
    """Write one local day anew, as far as the ledger has closed it; return of how many vehicles."""
    ledger = read_ledger(depot, *local_day_bounds(day, depot.tz))
    rows = [
        _row(depot, day, vehicle_id, flow, ledger, now)
        for vehicle_id, flow in energy_by_vehicle(depot, ledger.grid).items()
    ]
    with transaction.atomic():
        VehicleDay.objects.filter(depot=depot, date=day).delete()
        VehicleDay.objects.bulk_create(rows)
    return len(rows)


def _row(
    depot: Depot, day: date, vehicle_id: int | None, flow: VehicleFlow, ledger: Ledger, now: datetime
) -> VehicleDay:
    closed = np.isfinite(ledger.kwh("import_kwh"))
    charged, given = (np.where(closed, series, 0.0) for series in (flow.charge, flow.discharge))
    worth = float(((charged - given) * price_of_a_kwh(ledger)).sum())
    return VehicleDay(
        depot=depot,
        vehicle_id=vehicle_id,
        date=day,
        charged_kwh=round(float(charged.sum()), 6),
        given_kwh=round(float(given.sum()), 6),
        worth=Decimal(f"{worth:.6f}"),
        wear_cost=Decimal(f"{float(np.where(closed, flow.wear_cost, 0.0).sum()):.6f}"),
        computed_at=now,
    )


def price_of_a_kwh(ledger: Ledger) -> np.ndarray:
    """Return what one kWh more would have cost in each interval: the credit where the site sold; 0 where unknown."""
    sold = ledger.kwh("export_kwh") > ledger.kwh("import_kwh")
    bought, credit = ledger.kwh("import_price_per_kwh"), ledger.kwh("export_price_per_kwh")
    return np.nan_to_num(np.where(sold, credit, bought))
