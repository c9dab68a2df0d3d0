"""What the reader of a bill must know beside its lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta, tzinfo

import numpy as np

from billing.tariff.load import LoadSeries
from billing.tariff.model import Tariff
from billing.tariff.result import BillPeriod


def bill_warnings(
    tariff: Tariff, load: LoadSeries, periods: Sequence[BillPeriod], zone: tzinfo
) -> tuple[str, ...]:
    """Return the tariff's notes, the load's notices, and what their meeting makes doubtful."""
    found = [*tariff.notes, *map(str, load.notices)]
    if not tariff.time_zone:
        found.append(f"The tariff names no time zone; it was billed on the clock of {zone}.")
    found += _validity(tariff, load, zone) + _coverage(load, periods) + _demand(tariff, load)
    found += _unused_prices(tariff, load)
    if tariff.reactive_price_per_kvar:
        found.append(
            f"The tariff charges {tariff.reactive_price_per_kvar} {tariff.currency}/kVAr of reactive demand; "
            "the load has no reactive readings, so a power factor of 1 is assumed and nothing is billed."
        )
    exported_kwh = float(load.export_kw.sum()) * load.step_minutes / 60
    if tariff.export is None and exported_kwh > 0:
        found.append(f"{exported_kwh:,.1f} kWh were exported; the tariff pays nothing for export.")
    return tuple(found)


def _unused_prices(tariff: Tariff, load: LoadSeries) -> list[str]:
    taken = any(component.series for component in tariff.energy)
    paid = tariff.export is not None and tariff.export.series is not None
    unused = {
        "import_price_per_kwh": load.import_price_per_kwh is not None and not taken,
        "export_price_per_kwh": load.export_price_per_kwh is not None and not paid,
    }
    return [
        f"The load's column {name} is not used: the tariff has prices of its own."
        for name, is_unused in unused.items()
        if is_unused
    ]


def _validity(tariff: Tariff, load: LoadSeries, zone: tzinfo) -> list[str]:
    first, last = load.start_at.astimezone(zone).date(), _last_day(load, zone)
    early = tariff.valid_from is not None and first < tariff.valid_from
    late = tariff.valid_to is not None and last > tariff.valid_to
    if not early and not late:
        return []
    since, until = tariff.valid_from or "any time", tariff.valid_to or "today's version"
    return [f"The tariff is valid from {since} to {until}; the load runs from {first} to {last}."]


def _last_day(load: LoadSeries, zone: tzinfo) -> date:
    return (load.end_at - timedelta(minutes=load.step_minutes)).astimezone(zone).date()


def _coverage(load: LoadSeries, periods: Sequence[BillPeriod]) -> list[str]:
    return [
        f"The load does not cover the whole billing period from {period.start_at:%Y-%m-%d} to "
        f"{period.end_at:%Y-%m-%d}: monthly charges and demand are billed in full, days only as covered."
        for period in periods
        if period.start_at < load.start_at or period.end_at > load.end_at
    ]


def _demand(tariff: Tariff, load: LoadSeries) -> list[str]:
    shorter = sorted({c.metering_minutes for c in tariff.demand if c.metering_minutes % load.step_minutes})
    if not shorter or not np.any(load.import_kw):
        return []
    intervals = ", ".join(map(str, shorter))
    return [
        f"Demand is metered over {intervals} minutes but the load has {load.step_minutes}-minute steps: the "
        "power is taken as even within a step, and the real peak may be higher."
    ]
