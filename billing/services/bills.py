"""Bill a period from the ledger, managed and unmanaged, and state what was saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Sum

from billing.models import Bill, BillLine, Interval, SavingsStatement, Scenario
from billing.models import Tariff as TariffRow
from billing.savings.waterfall import waterfall
from billing.selectors.ledger import load_of
from billing.selectors.tariffs import parsed, tariff_on
from billing.tariff import BillResult, LoadSeries, bill
from depot.models import Depot
from depot.money import round_money
from depot.timegrid import month_bounds


class BillingError(Exception):
    """A bill that cannot be made, with the reason a person can act on."""


@dataclass(frozen=True, slots=True)
class Billed:
    """One scenario of one period: what was billed, and from which load."""

    scenario: str
    load: LoadSeries
    result: BillResult


def compute(
    depot: Depot, tariff: TariffRow, start_at: datetime, end_at: datetime, scenario: str
) -> Billed | None:
    """Bill the ledger of `[start_at, end_at)`; None when the ledger has nothing there."""
    load = load_of(depot, start_at, end_at, scenario)
    if load is None:
        return None
    result = bill(parsed(tariff), load, time_zone=depot.tz)
    if result.total is None:
        raise BillingError(f"Tariff {tariff.name} cannot be billed: {' '.join(result.unsupported)}")
    return Billed(scenario, load, result)


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
    tariff = tariff_on(depot, min(depot.local(end_at).date(), depot.local(now).date()))
    if tariff is None:
        raise BillingError("No tariff is valid in this period. Enter the tariff in the set-up.")
    actual = compute(depot, tariff, start_at, end_at, Scenario.ACTUAL)
    unmanaged = compute(depot, tariff, start_at, end_at, Scenario.UNMANAGED)
    if actual is None or unmanaged is None:
        return None
    wear = wear_added(depot, start_at, end_at)
    steps = waterfall(unmanaged.result, actual.result, wear, Decimal(0))
    final = now >= end_at and not _unsettled(depot, start_at, end_at)
    with transaction.atomic():
        bills = {
            row.scenario: _store(depot, tariff, row, (start_at, end_at), now, final)
            for row in (actual, unmanaged)
        }
        statement, _ = SavingsStatement.objects.update_or_create(
            depot=depot,
            start_at=start_at,
            defaults={
                "end_at": end_at,
                "actual": bills[Scenario.ACTUAL],
                "unmanaged": bills[Scenario.UNMANAGED],
                "currency": depot.currency,
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


def wear_added(depot: Depot, start_at: datetime, end_at: datetime) -> Decimal:
    """Return what discharging cost in battery wear over a span, in the depot's currency."""
    span = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    total = span.aggregate(total=Sum("v2g_wear_cost"))["total"] or Decimal(0)
    return round_money(Decimal(total), depot.currency)


def _unsettled(depot: Depot, start_at: datetime, end_at: datetime) -> bool:
    """Tell whether the ledger of a span still waits for its last interval or for its counterfactual."""
    span = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    return span.filter(baseline_frozen_at__isnull=True).exists()


def _store(
    depot: Depot,
    tariff: TariffRow,
    billed: Billed,
    span: tuple[datetime, datetime],
    now: datetime,
    final: bool,
) -> Bill:
    result = billed.result
    row, _ = Bill.objects.update_or_create(
        depot=depot,
        scenario=billed.scenario,
        start_at=span[0],
        defaults={
            "end_at": span[1],
            "tariff": tariff,
            "covered_to": billed.load.end_at,
            "state": Bill.State.FINAL if final else Bill.State.ESTIMATE,
            "currency": result.currency,
            "total": result.total,
            "peaks_kw": _peaks(result),
            "warnings": list(result.warnings),
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
            for position, line in enumerate(line for period in result.periods for line in period.lines)
        ]
    )
    return row


def _peaks(result: BillResult) -> dict[str, Any]:
    return {
        line_id: {"kw": str(peak.kw), "at": peak.at.isoformat()}
        for period in result.periods
        for line_id, peak in period.peaks_kw.items()
    }
