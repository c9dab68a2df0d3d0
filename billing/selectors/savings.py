"""What was saved in a month, as the Savings page and Home tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
from django.db.models import Count, Q

from billing.models import BillLine, Interval, SavingsBand, SavingsStatement, Scenario
from billing.savings import Step
from billing.selectors.ledger import Ledger, read_ledger
from billing.tariff import BillLine as ReckonedLine
from depot.models import Depot, Quality
from depot.timegrid import local_day_bounds, local_midnights
from depot.words import tr


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """One line of both bills; None where a bill does not have it."""

    label: str
    unmanaged: BillLine | None
    actual: BillLine | None
    charge_only: ReckonedLine | None = None

    @property
    def difference(self) -> Decimal:
        """Return what the line adds to the actual bill; below zero it saves."""
        return _amount(self.actual) - _amount(self.unmanaged)

    @property
    def explanations(self) -> list[tuple[str, str]]:
        """Return how each bill came to its amount."""
        both = (
            (tr("Unmanaged"), self.unmanaged),
            (tr("Charge-only"), self.charge_only),
            (tr("Actual"), self.actual),
        )
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
    """Return the newest statement of the month that starts at a moment, with both bills and their lines."""
    return (
        SavingsStatement.objects.filter(depot=depot, start_at=month_start_at)
        .select_related("actual__tariff", "unmanaged")
        .prefetch_related("actual__lines", "unmanaged__lines")
        .order_by("-revision")
        .first()
    )


def newest_statements(depot: Depot, starts: Iterable[datetime]) -> dict[datetime, SavingsStatement]:
    """Return by start the newest statements of the months that start then, with both bills; one query."""
    rows = SavingsStatement.objects.filter(depot=depot, start_at__in=list(starts))
    rows = rows.select_related("actual__tariff", "unmanaged").order_by("revision")
    return {statement.start_at: statement for statement in rows}


def band_of(statement: SavingsStatement) -> SavingsBand | None:
    """Return how far the assumptions of the baseline move a month's net saving; None until that is worked out."""
    return SavingsBand.objects.filter(depot_id=statement.depot_id, start_at=statement.start_at).first()


def months_with_statements(depot: Depot) -> list[date]:
    """Return the first day of each month that has a statement, the newest first."""
    starts = SavingsStatement.objects.filter(depot=depot, revision=0).order_by("-start_at")
    return [depot.cycles.month_of(at) for at in starts.values_list("start_at", flat=True)]


def compared_lines(
    statement: SavingsStatement, charge_only: Iterable[ReckonedLine] = ()
) -> list[ComparedLine]:
    """Return the lines of the bills side by side, in the order of the bills."""
    unmanaged = {line.line_id: line for line in statement.unmanaged.lines.all()}
    actual = {line.line_id: line for line in statement.actual.lines.all()}
    between = {line.id: line for line in charge_only}
    longer, other = (actual, unmanaged) if len(actual) >= len(unmanaged) else (unmanaged, actual)
    order = list(dict.fromkeys([*longer, *other]))
    return [
        ComparedLine(
            (actual.get(id) or unmanaged[id]).label, unmanaged.get(id), actual.get(id), between.get(id)
        )
        for id in order
    ]


def stored_steps(statement: SavingsStatement) -> list[Step]:
    """Return the waterfall of a statement as it was stored."""
    return [
        Step(
            step["id"],
            step["label"],
            Decimal(step["amount"]),
            Decimal(step["running_total"]),
            step["sentence"],
        )
        for step in statement.steps
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
    return costs_by_day(depot, read_ledger(depot, start_at, end_at), start_at, end_at)


def costs_by_day(depot: Depot, ledger: Ledger, start_at: datetime, end_at: datetime) -> list[DayCost]:
    """Return the energy cost of each recorded local day of a ledger that has been read."""
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
    counts = span.aggregate(
        recorded=Count("pk"),
        estimated=Count("pk", filter=Q(quality=Quality.ESTIMATED)),
        not_final=Count("pk", filter=Q(baseline_frozen_at__isnull=True)),
    )
    return DataQuality(**counts)


def _amount(line: BillLine | None) -> Decimal:
    return line.amount if line else Decimal(0)


def _peak(depot: Depot, peak: dict[str, str]) -> tuple[Decimal, datetime]:
    return Decimal(peak["kw"]), depot.local(datetime.fromisoformat(peak["at"]))


def _sum(costs: np.ndarray) -> float | None:
    known = costs[np.isfinite(costs)]
    return float(known.sum()) if known.size else None
