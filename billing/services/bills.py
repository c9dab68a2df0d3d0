"""Bill a period from the ledger, managed and unmanaged, and state what was saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet, Sum

from billing.models import Bill, BillLine, Interval, SavingsStatement, Scenario
from billing.models import Tariff as TariffRow
from billing.savings import Waterfall, waterfall
from billing.selectors.ledger import load_of
from billing.selectors.tariffs import parsed, tariffs_by_day
from billing.tariff import BillResult, InputError, LoadSeries, bill
from depot.models import Depot
from depot.money import round_money
from depot.timegrid import month_bounds


class BillingError(Exception):
    """A bill that cannot be made, with the reason a person can act on."""


@dataclass(frozen=True, slots=True)
class Period:
    """One billing period of a depot: `[start_at, end_at)`, its tariff, and what the bill must say of them."""

    depot: Depot
    start_at: datetime
    end_at: datetime
    tariff: TariffRow
    notes: tuple[str, ...] = ()

    @property
    def intervals(self) -> QuerySet[Interval]:
        return _intervals(self.depot, self.start_at, self.end_at)


@dataclass(frozen=True, slots=True)
class Billed:
    """One scenario of one period: what was billed, and from which load."""

    scenario: str
    load: LoadSeries
    result: BillResult
    total: Decimal


def bill_month(depot: Depot, day: date, now: datetime) -> SavingsStatement | None:
    """Bill the calendar month of `day`, actual and unmanaged, and store both with the savings.

    A month that is over and fully recorded becomes final and is not billed again. None when there is nothing to
    bill; raises BillingError when no tariff is valid or it cannot be billed.
    """
    start_at, end_at = month_bounds(day, depot.tz)
    settled = SavingsStatement.objects.filter(
        depot=depot, start_at=start_at, actual__state=Bill.State.FINAL
    ).first()
    if settled is not None:
        return settled
    if not _intervals(depot, start_at, end_at).exists():
        return None
    period = _period(depot, start_at, end_at, now)
    actual, unmanaged = compute(period, Scenario.ACTUAL), compute(period, Scenario.UNMANAGED)
    wear = wear_added(depot, start_at, end_at)
    steps = waterfall(unmanaged.result, actual.result, wear, Decimal(0))
    final = now >= end_at and _settled(period)
    with transaction.atomic():
        bills = [_store(period, billed, now, final) for billed in (actual, unmanaged)]
        return _state(period, bills, steps, wear, now)


def _period(depot: Depot, start_at: datetime, end_at: datetime, now: datetime) -> Period:
    """Return a calendar month with its tariff: the version that holds on its last day, or today in a running one."""
    first = depot.local(start_at).date()
    last = min(depot.local(end_at).date() - timedelta(days=1), max(depot.local(now).date(), first))
    versions = tariffs_by_day(depot, first, last)
    tariff = versions[last]
    if tariff is None:
        raise BillingError("No tariff is valid in this period. Enter the tariff in the set-up.")
    before = [day for day, version in versions.items() if version not in (tariff, None)]
    notes: tuple[str, ...] = ()
    if before:
        notes = (
            f"The tariff changed after {before[-1]:%Y-%m-%d}: the whole month is billed by {tariff}. "
            "Energy costs by day keep the prices of their day.",
        )
    return Period(depot, start_at, end_at, tariff, notes)


def compute(period: Period, scenario: str) -> Billed:
    """Bill the ledger of one billing period; raise BillingError when there is none or the tariff cannot bill it."""
    depot, tariff = period.depot, period.tariff
    load = load_of(depot, period.start_at, period.end_at, scenario)
    if load is None:
        raise BillingError("Nothing is recorded in this period.")
    try:
        result = bill(parsed(tariff), load, time_zone=depot.tz)
    except InputError as error:
        raise BillingError(f"Tariff {tariff.name} cannot be billed: {error}") from error
    if result.total is None:
        raise BillingError(f"Tariff {tariff.name} cannot be billed: {' '.join(result.unsupported)}")
    if len(result.periods) != 1:
        raise BillingError(
            f"Tariff {tariff.name} keeps the clock of {result.time_zone} and the depot that of {depot.time_zone}, "
            "so their months differ. Set both to one time zone."
        )
    return Billed(scenario, load, result, result.total)


def wear_added(depot: Depot, start_at: datetime, end_at: datetime) -> Decimal:
    """Return what discharging cost in battery wear over a span, in the depot's currency.

    The counterfactual never discharges, so this is all wear that V2G added.
    """
    total = _intervals(depot, start_at, end_at).aggregate(total=Sum("v2g_wear_cost"))["total"] or Decimal(0)
    return round_money(Decimal(total), depot.currency)


def _intervals(depot: Depot, start_at: datetime, end_at: datetime) -> QuerySet[Interval]:
    return Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)


def _settled(period: Period) -> bool:
    """Tell whether the ledger of a period has its last interval and its counterfactual is final."""
    last_at = period.end_at - timedelta(minutes=period.depot.step_minutes)
    recorded = period.intervals.filter(start_at__gte=last_at).exists()
    return recorded and not period.intervals.filter(baseline_frozen_at__isnull=True).exists()


def _store(period: Period, billed: Billed, now: datetime, final: bool) -> Bill:
    result = billed.result
    row, _ = Bill.objects.update_or_create(
        depot=period.depot,
        scenario=billed.scenario,
        start_at=period.start_at,
        defaults={
            "end_at": period.end_at,
            "tariff": period.tariff,
            "covered_to": billed.load.end_at,
            "state": Bill.State.FINAL if final else Bill.State.ESTIMATE,
            "currency": result.currency,
            "total": billed.total,
            "peaks_kw": _peaks(result),
            "warnings": [*period.notes, *result.warnings],
            "computed_at": now,
        },
    )
    row.lines.all().delete()
    BillLine.objects.bulk_create(
        [
            BillLine(
                bill=row,
                position=position,
                line_id=line.id,
                label=line.label,
                quantity=line.quantity,
                unit=line.unit,
                rate=line.rate,
                amount=line.amount,
                explanation=line.explanation,
            )
            for position, line in enumerate(result.periods[0].lines)
        ]
    )
    return row


def _state(
    period: Period, bills: list[Bill], steps: Waterfall, wear: Decimal, now: datetime
) -> SavingsStatement:
    actual, unmanaged = bills
    statement, _ = SavingsStatement.objects.update_or_create(
        depot=period.depot,
        start_at=period.start_at,
        defaults={
            "end_at": period.end_at,
            "actual": actual,
            "unmanaged": unmanaged,
            "currency": steps.currency,
            "wear_added": wear,
            "net_saving": steps.net_saving,
            "steps": [
                {
                    "id": step.id,
                    "label": step.label,
                    "amount": str(step.amount),
                    "running_total": str(step.running_total),
                    "sentence": step.sentence,
                }
                for step in steps.steps
            ],
            "computed_at": now,
        },
    )
    return statement


def _peaks(result: BillResult) -> dict[str, Any]:
    return {
        line_id: {"kw": str(peak.kw), "at": peak.at.isoformat()}
        for line_id, peak in result.periods[0].peaks_kw.items()
    }
