"""Bill a load: energy, demand, fixed charges, export, minimum and taxes, each line explained.

The rules, with numbers, are in docs/algorithms/tariff.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from itertools import chain
from zoneinfo import ZoneInfo

import numpy as np

from billing.tariff import lines as line
from billing.tariff.calendar import (
    Floats,
    Ints,
    LocalSteps,
    active_row,
    boundaries_of,
    local_steps,
    moment,
    refine,
)
from billing.tariff.load import LoadSeries
from billing.tariff.metering import (
    Maximum,
    demand_line_id,
    maxima,
    meter_blocks,
    metering_intervals,
    season_share,
)
from billing.tariff.model import EnergyComponent, SeriesPrice, Tariff
from billing.tariff.periods import Span, period_of, spans_of
from billing.tariff.problems import LoadError, Problem
from billing.tariff.result import BillLine, BillPeriod, BillResult, Peak
from billing.tariff.warnings import bill_warnings


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """The load on steps so fine that no price, metering block or billing period changes inside one."""

    tariff: Tariff
    load: LoadSeries
    zone: tzinfo
    steps: LocalSteps
    factor: int
    spans: list[Span]
    period: Ints

    @property
    def hours(self) -> float:
        return self.steps.minutes / 60

    def fine(self, values: Floats) -> Floats:
        return np.repeat(values, self.factor) if self.factor > 1 else values

    def sums(self, group: Ints, groups: int, weight: Floats) -> Floats:
        """Sum a weight by billing period and group; steps of group -1 are left out."""
        held = group >= 0
        key = self.period[held] * groups + group[held]
        summed = np.bincount(key, weights=weight[held], minlength=len(self.spans) * groups)
        return np.asarray(summed, dtype=np.float64).reshape(len(self.spans), groups)


def bill(
    tariff: Tariff,
    load: LoadSeries,
    *,
    time_zone: tzinfo | None = None,
    cycle_starts: Sequence[date] | None = None,
) -> BillResult:
    """Bill a load with one tariff version and return every line of every billing period.

    The zone is the tariff's, else `time_zone`, else the one UTC offset in which the load was written. Billing
    periods are calendar months of that zone, or cycles beginning on `cycle_starts` (which must enclose the
    load). A tariff with an unsupported element, or with a net-metering rule under a load that exports, gives
    no periods and no total. Raises LoadError when no zone is known or a needed price series is missing.
    """
    zone = zone_of(tariff, load, time_zone)
    unsupported = tariff.unsupported + _unsupported_with(tariff, load)
    if unsupported:
        notes = (*tariff.notes, *map(str, load.notices))
        return BillResult(tariff.currency, str(zone), (), None, notes, unsupported)
    _check_series(tariff, load)
    sheet = _sheet(tariff, load, zone, cycle_starts)
    energy, peaks = _energy_lines(sheet), _demand_maxima(sheet)
    exported = _export_lines(sheet)
    covered = _covered_days(sheet)
    periods = []
    for index, span in enumerate(sheet.spans):
        demand, peaks_kw = _demand_lines(sheet, span, [peak for peak in peaks if peak.period == index])
        fixed = [line.fixed_line(tariff, charge, covered[index], span) for charge in tariff.fixed]
        charges = [*energy[index], *demand, *fixed, *line.reactive_lines(tariff), *exported[index]]
        charges += line.minimum_lines(tariff, charges, covered[index])
        charges += line.tax_lines(tariff, charges)
        periods.append(
            BillPeriod(_midnight(span.first, zone), _midnight(span.end, zone), tuple(charges), peaks_kw)
        )
    total = sum((period.total for period in periods), Decimal(0))
    warnings = bill_warnings(tariff, load, periods, zone)
    return BillResult(tariff.currency, str(zone), tuple(periods), total, warnings)


def peaks_so_far(
    tariff: Tariff,
    load: LoadSeries,
    *,
    time_zone: tzinfo | None = None,
    cycle_starts: Sequence[date] | None = None,
) -> dict[tuple[str, date], Peak]:
    """Return the demand peaks that a load has already set, by (demand line id, first day of billing period).

    The ids are those of the bill and of the price curve. Estimated steps and the missing part of a block
    count as 0 kW, so a block that is still running gives the least it can become.
    """
    zone = zone_of(tariff, load, time_zone)
    sheet = _sheet(tariff, load, zone, cycle_starts)
    return {
        (demand_line_id(peak.charge, peak.price), sheet.spans[peak.period].first): Peak(
            line.quantity(peak.kw), moment(peak.utc_minute, zone)
        )
        for peak in _demand_maxima(sheet)
    }


def zone_of(tariff: Tariff, load: LoadSeries, time_zone: tzinfo | None) -> tzinfo:
    """Return the zone whose clock the tariff follows; raise LoadError when nothing names one."""
    if tariff.time_zone:
        return ZoneInfo(tariff.time_zone)
    zone = time_zone or load.written_in
    if zone is None:
        cure = "Name the depot's zone with --timezone, for example America/Los_Angeles"
        raise LoadError([Problem("time zone", "neither the tariff nor the load names one", cure)])
    return zone


def _unsupported_with(tariff: Tariff, load: LoadSeries) -> tuple[str, ...]:
    exports = bool((load.export_kw > 0).any())
    if exports and tariff.export and tariff.export.method in ("net_metering", "net_billing_hourly"):
        rule = tariff.export.method.replace("_", " ")
        return (f"{rule}: export credited by {rule} is not billed, and this load exports energy.",)
    return ()


def _check_series(tariff: Tariff, load: LoadSeries) -> None:
    dynamic = any(component.series for component in tariff.energy)
    exported = tariff.export is not None and tariff.export.series is not None
    needed = {
        "import_price_per_kwh": dynamic and load.import_price_per_kwh is None,
        "export_price_per_kwh": exported and load.export_price_per_kwh is None and bool(load.export_kw.any()),
    }
    problems = [
        Problem(
            f"column {name}", "the tariff takes this price from the load, which has none", "Add the column"
        )
        for name, missing in needed.items()
        if missing
    ]
    if problems:
        raise LoadError(problems)


def _sheet(tariff: Tariff, load: LoadSeries, zone: tzinfo, cycle_starts: Sequence[date] | None) -> _Sheet:
    coarse = local_steps(load.start_at, load.steps, load.step_minutes, zone)
    steps, factor = refine(coarse, boundaries_of(tariff), zone)
    days = steps.day
    spans = spans_of(days, cycle_starts)
    return _Sheet(tariff, load, zone, steps, factor, spans, period_of(days, spans))


def _energy_lines(sheet: _Sheet) -> list[list[BillLine]]:
    import_kwh = sheet.fine(sheet.load.import_kw) * sheet.hours
    price = sheet.load.import_price_per_kwh
    by_component = [
        _series_lines(sheet, component, component.series, import_kwh, price)
        if component.series is not None and price is not None
        else _priced_lines(sheet, component, import_kwh)
        for component in sheet.tariff.energy
    ]
    return [list(chain.from_iterable(period)) for period in zip(*by_component, strict=True)] or _none(sheet)


def _none(sheet: _Sheet) -> list[list[BillLine]]:
    return [[] for _ in sheet.spans]


def _priced_lines(sheet: _Sheet, component: EnergyComponent, import_kwh: Floats) -> list[list[BillLine]]:
    row = active_row(sheet.tariff, component.prices, sheet.steps)
    rows = len(component.prices)
    kwh, steps = sheet.sums(row, rows, import_kwh), sheet.sums(row, rows, np.ones_like(import_kwh))
    return [
        [
            line.energy_line(sheet.tariff, component, price, kwh[index, number])
            for number, price in enumerate(component.prices)
            if steps[index, number]
        ]
        for index in range(len(sheet.spans))
    ]


def _series_lines(
    sheet: _Sheet, component: EnergyComponent, series: SeriesPrice, import_kwh: Floats, price: Floats
) -> list[list[BillLine]]:
    paid = import_kwh * sheet.fine(series_price(series, price))
    everything = np.zeros(import_kwh.size, dtype=np.int64)
    kwh, cost = sheet.sums(everything, 1, import_kwh)[:, 0], sheet.sums(everything, 1, paid)[:, 0]
    return [
        [line.dynamic_line(sheet.tariff, component, kwh[index], cost[index])]
        for index in range(len(sheet.spans))
    ]


def series_price(series: SeriesPrice, market_per_kwh: Floats) -> Floats:
    """Return market price x factor + adder, held within floor and cap, per kWh."""
    price = market_per_kwh * float(series.factor) + float(series.adder_per_kwh)
    low = -np.inf if series.floor_per_kwh is None else float(series.floor_per_kwh)
    high = np.inf if series.cap_per_kwh is None else float(series.cap_per_kwh)
    return np.asarray(np.clip(price, low, high))


def _export_lines(sheet: _Sheet) -> list[list[BillLine]]:
    export, load = sheet.tariff.export, sheet.load
    if export is None or not load.export_kw.any():
        return _none(sheet)
    export_kwh = sheet.fine(load.export_kw) * sheet.hours
    if export.series is not None and load.export_price_per_kwh is not None:
        paid = export_kwh * sheet.fine(series_price(export.series, load.export_price_per_kwh))
        everything = np.zeros(export_kwh.size, dtype=np.int64)
        kwh, credit = sheet.sums(everything, 1, export_kwh)[:, 0], sheet.sums(everything, 1, paid)[:, 0]
        return [[line.export_series_line(sheet.tariff, kwh[i], credit[i])] for i in range(len(sheet.spans))]
    kwh = sheet.sums(active_row(sheet.tariff, export.prices, sheet.steps), len(export.prices), export_kwh)
    return [
        [
            line.export_line(sheet.tariff, price, kwh[index, number])
            for number, price in enumerate(export.prices)
            if kwh[index, number]
        ]
        for index in range(len(sheet.spans))
    ]


def _demand_maxima(sheet: _Sheet) -> list[Maximum]:
    measured_kw = sheet.fine(np.where(sheet.load.estimated, 0.0, sheet.load.import_kw))
    found = []
    for minutes in metering_intervals(sheet.tariff.demand):
        blocks = meter_blocks(sheet.steps, measured_kw, minutes)
        period = period_of(blocks.steps.day, sheet.spans)
        for charge in sheet.tariff.demand:
            if charge.metering_minutes == minutes:
                found += maxima(sheet.tariff, charge, blocks, period, len(sheet.spans))
    order = [charge.id for charge in sheet.tariff.demand]
    return sorted(found, key=lambda peak: order.index(peak.charge.id))


def _demand_lines(sheet: _Sheet, span: Span, peaks: list[Maximum]) -> tuple[list[BillLine], dict[str, Peak]]:
    lines, peaks_kw = [], {}
    for peak in peaks:
        at = moment(peak.utc_minute, sheet.zone)
        share = season_share(sheet.tariff, peak.price, span)
        billed = line.demand_line(sheet.tariff, peak, share, at)
        lines.append(billed)
        peaks_kw[billed.id] = Peak(billed.quantity, at)
    return lines, peaks_kw


def _covered_days(sheet: _Sheet) -> list[int]:
    _, index = np.unique(sheet.steps.day, return_index=True)
    counts = np.bincount(sheet.period[index], minlength=len(sheet.spans))
    return [int(count) for count in counts]


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), UTC).replace(tzinfo=zone)
