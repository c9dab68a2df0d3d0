"""Tell which demand has already been set, in the form the planner needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, tzinfo

from billing.tariff.calendar import date_of, moment
from billing.tariff.load import LoadSeries
from billing.tariff.metering import Maximum, Meter, demand_line_id, maxima
from billing.tariff.model import Tariff
from billing.tariff.money import quantity
from billing.tariff.result import Peak
from billing.tariff.sheet import make_sheets, zone_of

LOWEST_COUNTED = ".lowest"
"""Ends the id of the lowest value that a mean of the N highest counts so far."""


def peaks_so_far(
    tariff: Tariff,
    load: LoadSeries,
    *,
    time_zone: tzinfo | None = None,
    cycle_starts: Sequence[date] | None = None,
) -> dict[tuple[str, date], Peak]:
    """Return the demand peaks that a load has already set, by (demand line id, first day).

    The first day is that of the billing period; of a yearly charge 1 January; of a daily one, and of a mean of
    the N highest days, the day. The ids are those of the bill and of the price curve. Estimated steps and
    the missing part of a block count as 0 kW, so a block that is still running gives the least it can become.
    """
    zone = zone_of(tariff, load, time_zone)
    (sheet,) = make_sheets([tariff], load, zone, cycle_starts)
    meter = Meter(sheet)
    found: dict[tuple[str, date], Peak] = {}
    for peak in maxima(sheet, meter):
        at, line_id = moment(peak.utc_minute, zone), demand_line_id(peak.charge, peak.price)
        for suffix, first, kw in _values(peak, sheet.spans[peak.period].first):
            key = (line_id + suffix, first)
            if key not in found or kw > float(found[key].kw):
                found[key] = Peak(quantity(tariff, kw), at)
    for charge in tariff.subscriptions:
        for index, span in enumerate(sheet.spans):
            top = meter.highest_kw(index, charge.metering_minutes)
            if top is not None:
                key = (f"subscription.{charge.id}", span.first)
                found[key] = Peak(quantity(tariff, top[0]), moment(top[1], zone))
    return found


def _values(peak: Maximum, first: date) -> list[tuple[str, date, float]]:
    """Return what a maximum sets: id suffix, first day that it counts for, kW from which on more costs more."""
    charge = peak.charge
    by_day = [("", date_of(day), kw) for day, kw in peak.by_day]
    if charge.per == "year":
        return [("", first.replace(month=1, day=1), peak.kw)]
    if charge.per == "day":
        return by_day
    if charge.highest > 1:
        full = len(peak.values) == charge.highest
        return [*by_day, (LOWEST_COUNTED, first, min(peak.values) if full else 0.0)]
    return [("", first, peak.kw)]
