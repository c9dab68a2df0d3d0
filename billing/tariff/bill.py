"""Bill a load: energy, demand, fixed charges, export, minimum and taxes, each line explained.

The rules, with numbers, are in docs/algorithms/tariff.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal

import numpy as np

from billing.tariff import lines as line
from billing.tariff.calendar import Floats
from billing.tariff.capacity import coincident_lines, missing_capacity, reactive_lines, subscription_lines
from billing.tariff.carried import NOTHING, Carried
from billing.tariff.demand import bill_demand
from billing.tariff.energy import Bank, Flows, energy_lines, export_lines, export_sums, flows_of
from billing.tariff.history import History, PeakBook
from billing.tariff.load import LoadSeries
from billing.tariff.metering import Maximum, Meter, maxima
from billing.tariff.model import Tariff
from billing.tariff.periods import Span
from billing.tariff.problems import LoadError, Problem, TariffError
from billing.tariff.result import BillLine, BillPeriod, BillResult, Peak
from billing.tariff.sheet import Sheet, make_sheets, zone_of
from billing.tariff.warnings import bill_warnings
from depot.words import tr


@dataclass(slots=True)
class _Version:
    """One tariff version at work: its sheet, what was metered, and what rolls from period to period."""

    sheet: Sheet
    meter: Meter
    peaks: list[Maximum]
    flows: Flows
    exported: Floats | None


@dataclass(slots=True)
class _Carry:
    """What rolls from one billing period to the next: peaks, kWh and money credits, the year's charges."""

    book: PeakBook
    bank: Bank = field(default_factory=Bank)
    credit: Decimal = Decimal(0)
    charges: dict[date, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, history: History | None, carried: Carried) -> _Carry:
        """Begin with what was known and what was left before the load."""
        kwh = {(component, row): kwh for component, row, kwh in carried.kwh}
        return cls(PeakBook.of(history), Bank(kwh), carried.credit, dict(carried.charges))

    def after(self, year: int) -> Carried:
        """Return what rolls on, with the charges of a calendar year."""
        kwh = tuple((*key, left) for key, left in sorted(self.bank.kwh.items()) if left)
        charges = ((day, amount) for day, amount in sorted(self.charges.items()) if day.year == year)
        return Carried(self.credit, kwh, tuple(charges))


def bill(
    tariff: Tariff | Sequence[Tariff],
    load: LoadSeries,
    *,
    time_zone: tzinfo | None = None,
    cycle_starts: Sequence[date] | None = None,
    history: History | None = None,
    carried: Carried = NOTHING,
) -> BillResult:
    """Bill a load with a tariff, or with its versions by validity, and return every line of every period.

    The zone is the tariff's, else `time_zone`, else the one UTC offset in which the load was written. Billing
    periods are calendar months of that zone, or cycles beginning on `cycle_starts` (which must enclose the
    load). Of several versions each day has the newest valid one; the lines of a period that has two are
    marked `@` and the version's first day. `history` holds demand peaks from before the load, `carried` what
    the billing period before it handed on (of a bill: `BillResult.carried`). A tariff with an
    unsupported element, or one that this load cannot bear, gives no periods and no total. Raises LoadError
    when no zone is known or a needed price series is missing.
    """
    versions = in_order(tariff)
    zone = zone_of(versions[0], load, time_zone)
    unsupported = tuple(dict.fromkeys(text for version in versions for text in version.unsupported))
    if unsupported:
        return _refused(versions[0], load, zone, unsupported)
    for version in versions:
        _check_series(version, load)
    work = [_version(sheet, bool(carried.kwh)) for sheet in make_sheets(versions, load, zone, cycle_starts)]
    missing = tuple(
        text for each in work for text in missing_capacity(each.sheet.tariff, each.sheet, each.meter)
    )
    if missing:
        return _refused(versions[0], load, zone, tuple(dict.fromkeys(missing)))
    carry = _Carry.of(history, carried)
    spans = work[0].sheet.spans
    periods = [_bill_period(work, index, carry) for index in range(len(spans))]
    total = sum((period.total for period in periods), Decimal(0))
    warnings = bill_warnings([each.sheet for each in work], periods, history or {}, carried)
    left = carry.after(spans[-1].end.year)
    return BillResult(versions[0].currency, str(zone), tuple(periods), total, warnings, carried=left)


def in_order(tariff: Tariff | Sequence[Tariff]) -> list[Tariff]:
    """Return the versions of a tariff, oldest first; raise TariffError for none or for two currencies."""
    if isinstance(tariff, Tariff):
        return [tariff]
    if not tariff:
        raise TariffError([Problem(tr("tariff versions"), tr("there is none"), tr("Give at least one"))])
    if len({version.currency for version in tariff}) > 1:
        raise TariffError(
            [Problem(tr("tariff versions"), tr("their currencies differ"), tr("Give all one currency"))]
        )
    return sorted(tariff, key=lambda version: version.valid_from or date.min)


def _refused(tariff: Tariff, load: LoadSeries, zone: tzinfo, unsupported: tuple[str, ...]) -> BillResult:
    notes = (*tariff.notes, *map(str, load.notices))
    return BillResult(tariff.currency, str(zone), (), None, notes, unsupported)


def _check_series(tariff: Tariff, load: LoadSeries) -> None:
    dynamic = any(component.series for component in tariff.energy)
    exported = tariff.export is not None and tariff.export.series is not None
    needed = {
        "import_price_per_kwh": dynamic and load.import_price_per_kwh is None,
        "export_price_per_kwh": exported and load.export_price_per_kwh is None and bool(load.export_kw.any()),
    }
    problems = [
        Problem(
            tr("column {name}", name=name),
            tr("the tariff takes this price from the load, which has none"),
            tr("Add the column"),
        )
        for name, missing in needed.items()
        if missing
    ]
    if problems:
        raise LoadError(problems)


def _version(sheet: Sheet, banked: bool) -> _Version:
    _check_months(sheet)
    meter, flows = Meter(sheet), flows_of(sheet, banked)
    return _Version(sheet, meter, maxima(sheet, meter), flows, export_sums(sheet, flows))


def _check_months(sheet: Sheet) -> None:
    """Raise LoadError when a monthly rider has no price for a month of the load."""
    days = sheet.steps.day[sheet.period >= 0]
    months = np.unique(days.astype("datetime64[D]").astype("datetime64[M]"))
    problems = [
        Problem(
            f"energy/{component.id}/monthly",
            tr("no price for {month}", month=month),
            tr("Add the month's price"),
        )
        for component in sheet.tariff.energy
        if component.monthly
        for month in map(str, months)
        if int(month.replace("-", "")) not in dict(component.monthly)
    ]
    if problems:
        raise LoadError(problems)


def _bill_period(work: Sequence[_Version], index: int, carry: _Carry) -> BillPeriod:
    held = [each for each in work if each.sheet.days(index) and each.sheet.covered_days[index]]
    lines: list[BillLine] = []
    peaks: dict[str, Peak] = {}
    for number, each in enumerate(held):
        mine, mine_peaks = _charges(each, index, carry)
        if number == len(held) - 1:
            mine += _closing(each.sheet, index, [*lines, *mine], carry)
        mine += line.tax_lines(each.sheet.tariff, mine, each.flows.imported[index])
        mark = f"@{each.sheet.tariff.valid_from or 'start'}" if len(held) > 1 else ""
        lines += line.of_version(mine, each.sheet.tariff) if mark else mine
        peaks |= {id + mark: peak for id, peak in mine_peaks.items()}
    span = work[0].sheet.spans[index]
    zone = work[0].sheet.zone
    return BillPeriod(_midnight(span.first, zone), _midnight(span.end, zone), tuple(lines), peaks)


def _charges(each: _Version, index: int, carry: _Carry) -> tuple[list[BillLine], dict[str, Peak]]:
    """Return the lines of one version in one billing period, up to export, and its peaks."""
    sheet, meter, flows = each.sheet, each.meter, each.flows
    tariff = sheet.tariff
    mine = [peak for peak in each.peaks if peak.period == index]
    demand = bill_demand(sheet, index, mine, carry.book)
    lines = energy_lines(sheet, index, flows, demand.billed_kw, meter, carry.bank)
    lines += demand.lines
    peaks = demand.peaks_kw
    for billed in (
        *(subscription_lines(sheet, index, charge, meter) for charge in tariff.subscriptions),
        *(coincident_lines(sheet, index, charge, meter) for charge in tariff.coincident),
    ):
        lines += billed[0]
        peaks |= billed[1]
    lines += [line.fixed_line(sheet, index, charge) for charge in tariff.fixed]
    lines += reactive_lines(sheet, index, meter, flows.imported[index])
    lines += export_lines(sheet, index, flows, each.exported, carry.bank)
    return lines, peaks


def _closing(sheet: Sheet, index: int, lines: list[BillLine], carry: _Carry) -> list[BillLine]:
    """Carry credit, and raise to the minimum bill; the last version of a period closes it."""
    found, carry.credit = line.carried_lines(sheet.tariff, lines, carry.credit)
    carry.charges[sheet.spans[index].first] = sum((one.amount for one in (*lines, *found)), Decimal(0))
    return found + line.minimum_lines(sheet, index, [*lines, *found], _rest_of_year(sheet, index, carry))


def _rest_of_year(sheet: Sheet, index: int, carry: _Carry) -> Decimal | None:
    """Return the charges of the year's earlier billing periods when this one ends a year known whole."""
    span = sheet.spans[index]
    first = _first_of_year(min(sheet.spans[0].first, *carry.charges), span)
    if first is None:
        return None
    return sum((amount for day, amount in carry.charges.items() if first <= day < span.first), Decimal(0))


def _first_of_year(known_from: date, last: Span) -> date | None:
    if (last.end.month, last.end.day) != (1, 1):
        return None
    first = date(last.end.year - 1, 1, 1)
    return first if known_from <= first else None


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), UTC).replace(tzinfo=zone)
