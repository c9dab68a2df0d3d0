"""Demand peaks of earlier billing periods: what ratchets, yearly charges and means of months look back on.

The one rule for the planner's prices, every bill and its projection, from docs/algorithms/bills.md 1.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from django.db.models import Min, Q, QuerySet

from billing.models import Bill, Interval, KnownPeak, Scenario
from billing.selectors.ledger import load_of
from billing.tariff import InputError, Tariff, bill
from billing.tariff.history import look_back, months_before
from depot.models import Depot

IN_FORCE = Q(correction__isnull=True)
Peaks = dict[str, dict[date, Decimal]]
"""Peaks in kW (or kVA) by demand charge id and first day of the cycle."""


def bills_in_force(depot: Depot) -> QuerySet[Bill]:
    """Return the bills of a depot that no correction has taken the place of."""
    return Bill.objects.filter(IN_FORCE, depot=depot)


def looks_back_to(versions: Sequence[Tariff], first: date) -> date | None:
    """Return the first day of the earliest month that a month's demand charges look back on; None for none."""
    charges = (charge for version in versions for charge in version.demand)
    back = max(
        (look_back(one.ratchet, one.mean_of_periods, one.per == "year") for one in charges),
        default=0,
    )
    return months_before(first, back) if back else None


def earlier_peaks(depot: Depot, versions: Sequence[Tariff], first: date, scenario: str) -> Peaks:
    """Return the peaks that the demand charges of the month from `first` look back on, by charge and month.

    A peak that was entered comes first, because a person read it off the utility's bill; then that of the
    month's bill in force; then that of a month in the ledger that has no bill. The unmanaged depot has peaks of
    its own: what was entered counts for it only where the ledger had not begun. Nothing is asked when no charge
    looks back.
    """
    since = looks_back_to(versions, first)
    if since is None:
        return {}
    cycles = depot.cycles
    start_at, end_at = (cycles.bounds(day)[0] for day in (since, first))
    recorded = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    oldest = recorded.aggregate(at=Min("start_at"))["at"]
    begun = depot.local(oldest).date() if oldest else first
    bills = bills_in_force(depot).filter(scenario=scenario, start_at__gte=start_at, start_at__lt=end_at)
    by_month = {
        depot.local(at).date(): {line_id: Decimal(peak["kw"]) for line_id, peak in peaks.items()}
        for at, peaks in bills.values_list("start_at", "peaks_kw")
    }
    entered = entered_peaks(depot, since, first if scenario == Scenario.ACTUAL else begun)
    month = cycles.month_of_day(begun)
    while (day := cycles.first_day(month)) < first:
        if day not in by_month and not _is_entered(entered, versions, day):
            by_month[day] = _ledger_peaks(depot, versions[-1], month, scenario)
        month = months_before(month, -1)
    return first_known(versions, entered, peaks_by_charge(by_month.items()))


def entered_peaks(depot: Depot, since: date, before: date) -> Peaks:
    """Return the peaks that people entered for the cycles that began from one's to before a day."""
    found: Peaks = {}
    for peak in KnownPeak.objects.filter(depot=depot, month__gte=since.replace(day=1), month__lt=before):
        first = depot.cycles.first_day(peak.month)
        if first < before:
            found.setdefault(peak.charge, {})[first] = peak.kw
    return found


def peaks_by_charge(metered: Iterable[tuple[date, Mapping[str, Decimal]]]) -> Peaks:
    """Turn the kW of bills by line id into peaks by charge id: the highest row and version counts."""
    found: Peaks = {}
    for month, peaks in metered:
        for line_id, kw in peaks.items():
            if line_id.startswith("demand"):
                known = found.setdefault(line_id.split(".")[1], {})
                known[month] = max(kw, known.get(month, kw))
    return found


def first_known(versions: Sequence[Tariff], *sources: Peaks) -> Peaks:
    """Return for each charge and month the peak of the first source that has one, at least the charge's least kW."""
    found = {}
    for charge in sorted(
        {charge.id: charge for version in versions for charge in version.demand}.values(),
        key=lambda one: one.id,
    ):
        known: dict[date, Decimal] = {}
        for source in reversed(sources):
            known |= source.get(charge.id, {})
        if known:
            found[charge.id] = {day: max(kw, charge.least_kw) for day, kw in sorted(known.items())}
    return found


def _is_entered(entered: Peaks, versions: Sequence[Tariff], month: date) -> bool:
    """Tell whether the peak of every charge was entered for a month, so that nothing else need be looked for."""
    return all(month in entered.get(charge.id, {}) for version in versions for charge in version.demand)


def _ledger_peaks(depot: Depot, version: Tariff, month: date, scenario: str) -> dict[str, Decimal]:
    """Return the peaks of a month that was never billed, as this version meters them; none where it cannot."""
    span = depot.cycles.bounds(month)
    load = load_of(depot, *span, scenario)
    if load is None:
        return {}
    try:
        result = bill(version, load, time_zone=depot.tz, cycle_starts=depot.cycles.starts(*span))
    except InputError:
        return {}
    return (
        {line_id: peak.kw for line_id, peak in result.periods[-1].peaks_kw.items()} if result.periods else {}
    )
