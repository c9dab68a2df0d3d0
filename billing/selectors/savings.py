"""What was saved in a month, as the Savings page and Home tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np

from billing.models import Bill, BillLine, Interval, SavingsStatement, Scenario
from billing.selectors.ledger import read_ledger
from depot.models import Depot, Quality
from depot.timegrid import local_day_bounds, local_midnights


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """One line of both bills; None where a bill does not have it."""

    label: str
    unmanaged: BillLine | None
    actual: BillLine | None

    @property
    def difference(self) -> Decimal:
        """Return what the line adds to the actual bill; below zero it saves."""
        return _amount(self.actual) - _amount(self.unmanaged)

    @property
    def explanations(self) -> list[tuple[str, str]]:
        """Return how each bill came to its amount."""
        both = (("Unmanaged", self.unmanaged), ("Actual", self.actual))
        return [(name, line.explanation) for name, line in both if line is not None]


@dataclass(frozen=True, slots=True)
class ComparedPeak:
    """One demand charge: the highest metered import of either bill and when it was."""

    label: str
    unmanaged_kw: Decimal
    unmanaged_at: datetime
    actual_kw: Decimal
    actual_at: datetime


@dataclass(frozen=True, slots=True)
class DayCost:
    """Energy cost of one local day at its frozen prices, export credited; None where no price is known."""

    day: date
    actual: float | None
    unmanaged: float | None

    @property
    def saved(self) -> float | None:
        """Return what the day saved in energy; None while that is not known."""
        return None if self.unmanaged is None or self.actual is None else self.unmanaged - self.actual


@dataclass(frozen=True, slots=True)
class DataQuality:
    """How sure a month is: intervals recorded, estimated, and whose counterfactual may still move."""

    recorded: int
    estimated: int
    not_final: int


def statement_of(depot: Depot, month_start_at: datetime) -> SavingsStatement | None:
    """Return the statement of the month that starts at a moment, with both bills and their lines."""
    return (
        SavingsStatement.objects.filter(depot=depot, start_at=month_start_at)
        .select_related("actual__tariff", "unmanaged")
        .prefetch_related("actual__lines", "unmanaged__lines")
        .first()
    )


def months_with_statements(depot: Depot) -> list[date]:
    """Return the first day of each month that has a statement, the newest first."""
    starts = SavingsStatement.objects.filter(depot=depot).order_by("-start_at")
    return [depot.local(at).date() for at in starts.values_list("start_at", flat=True)]


def compared_lines(statement: SavingsStatement) -> list[ComparedLine]:
    """Return the lines of both bills side by side, in the order of the bills."""
    unmanaged = {line.line_id: line for line in statement.unmanaged.lines.all()}
    actual = {line.line_id: line for line in statement.actual.lines.all()}
    longer, other = (actual, unmanaged) if len(actual) >= len(unmanaged) else (unmanaged, actual)
    order = list(dict.fromkeys([*longer, *other]))
    return [
        ComparedLine((actual.get(id) or unmanaged[id]).label, unmanaged.get(id), actual.get(id))
        for id in order
    ]


def compared_peaks(depot: Depot, statement: SavingsStatement) -> list[ComparedPeak]:
    """Return the demand peaks of both bills with their local moments."""
    labels = {line.line_id: line.label for line in statement.actual.lines.all()}
    actual, unmanaged = statement.actual.peaks_kw, statement.unmanaged.peaks_kw
    return [
        ComparedPeak(labels.get(id, id), *_peak(depot, unmanaged[id]), *_peak(depot, actual[id]))
        for id in actual
        if id in unmanaged
    ]


def day_costs(depot: Depot, start_at: datetime, end_at: datetime) -> list[DayCost]:
    """Return the energy cost of each local day of a span that has been recorded."""
    ledger = read_ledger(depot, start_at, end_at)
    if not ledger.grid.steps:
        return []
    first, last = depot.local(start_at).date(), depot.local(end_at - timedelta(microseconds=1)).date()
    midnights = local_midnights(depot.tz, first, last)
    edges = [max(0, (at - ledger.grid.start_at) // ledger.grid.step) for at in midnights] + [
        ledger.grid.steps
    ]
    recorded = np.isfinite(ledger.kwh("import_kwh"))
    costs = {scenario: ledger.cost(scenario) for scenario in Scenario.values}
    return [
        DayCost(
            first + timedelta(days=index),
            _sum(costs[Scenario.ACTUAL][begin:end]),
            _sum(costs[Scenario.UNMANAGED][begin:end]),
        )
        for index, (begin, end) in enumerate(pairwise(edges))
        if recorded[begin:end].any()
    ]


def cost_of_day(depot: Depot, day: date) -> DayCost:
    """Return the energy cost of one local day, as far as it has been recorded."""
    found = day_costs(depot, *local_day_bounds(day, depot.tz))
    return found[0] if found else DayCost(day, None, None)


def data_quality(depot: Depot, start_at: datetime, end_at: datetime) -> DataQuality:
    """Count the intervals of a span."""
    span = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    rows = list(span.values_list("quality", "baseline_frozen_at"))
    return DataQuality(
        recorded=len(rows),
        estimated=sum(quality == Quality.ESTIMATED for quality, _ in rows),
        not_final=sum(frozen_at is None for _, frozen_at in rows),
    )


def projected_total(depot: Depot, bill: Bill) -> Decimal:
    """Return what a running month will cost if its other days are like those so far.

    Energy, export and charges by the day grow with the days; demand and monthly charges stay as they are; taxes
    grow with the rest.
    """
    covered = (bill.covered_to - bill.start_at) / timedelta(days=1)
    whole = (bill.end_at - bill.start_at) / timedelta(days=1)
    growth = Decimal(whole / covered)
    so_far = grown = taxes = Decimal(0)
    for line in bill.lines.all():
        if line.line_id.startswith("tax"):
            taxes += line.amount
            continue
        by_the_day = line.line_id.startswith(("energy", "export")) or line.unit == "day"
        so_far += line.amount
        grown += line.amount * growth if by_the_day else line.amount
    return grown + (taxes * grown / so_far if so_far else taxes)


def _amount(line: BillLine | None) -> Decimal:
    return line.amount if line else Decimal(0)


def _peak(depot: Depot, peak: dict[str, str]) -> tuple[Decimal, datetime]:
    return Decimal(peak["kw"]), depot.local(datetime.fromisoformat(peak["at"]))


def _sum(costs: np.ndarray) -> float | None:
    known = costs[np.isfinite(costs)]
    return float(known.sum()) if known.size else None
