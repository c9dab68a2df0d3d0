"""Bill a period from the ledger, managed and unmanaged, and state what was saved.

When a bill becomes final, and what happens to it then, is in `billing.services.close`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet, Sum

from billing.bills.outlook import Before, cost_of_exceeding, projected
from billing.models import Bill, BillInputs, BillLine, Interval, SavingsStatement, Scenario
from billing.models import Tariff as TariffRow
from billing.savings import Waterfall, waterfall
from billing.selectors.bills_inputs import Inputs, Packed, as_entered, inputs_of, pack, versions_between
from billing.selectors.ledger import load_of
from billing.selectors.programmes import Settled, settled
from billing.tariff import ENGINE, BillResult, InputError, LoadSeries, Tariff, bill
from depot import audit
from depot.models import Depot, User
from depot.money import format_money, round_money
from depot.words import later, listed, month_year, tr

WEEK = timedelta(days=7)
SETTLING = timedelta(days=7)
"""A month becomes final this long after its end, when its ledger is complete. Late meters have reported by then,
and the unmanaged side of every interval is final."""


class BillingError(Exception):
    """A bill that cannot be made, with the reason a person can act on."""


@dataclass(frozen=True, slots=True)
class Period:
    """One billing period of a depot: `[start_at, end_at)` and the tariff versions that hold in it."""

    depot: Depot
    start_at: datetime
    end_at: datetime
    rows: tuple[TariffRow, ...]
    versions: tuple[Tariff, ...]

    @property
    def intervals(self) -> QuerySet[Interval]:
        return _intervals(self.depot, self.start_at, self.end_at)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a running month will end: its projected bill, and by line id what a peak 10 kW higher would cost."""

    total: Decimal | None = None
    exceeding: dict[str, Decimal] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Billed:
    """One scenario of one period: what was billed, from what, and what is to be expected while it runs."""

    scenario: str
    inputs: Inputs
    result: BillResult
    total: Decimal
    outlook: Outlook = field(default_factory=Outlook)

    @property
    def load(self) -> LoadSeries:
        return self.inputs.load


@dataclass(frozen=True, slots=True)
class Added:
    """What a statement holds beside its bills: battery wear, what programmes paid, and its revision."""

    wear: Decimal
    programmes: Sequence[Settled]
    revision: int


@dataclass(frozen=True, slots=True)
class Closing:
    """That a bill becomes final: when, by whom (None: by time), and what it corrects with which reason."""

    at: datetime
    by: User | None = None
    before: SavingsStatement | None = None
    reason: str = ""

    @property
    def revision(self) -> int:
        return self.before.revision + 1 if self.before else 0


def bill_month(depot: Depot, day: date, now: datetime) -> SavingsStatement | None:
    """Bill the cycle that the month of `day` names, actual and unmanaged, and store both with the savings.

    A month that has been over for `SETTLING` and is fully recorded becomes final; a final month is not billed
    again. None when there is nothing to bill; raises BillingError when no tariff is valid or it cannot be billed.
    """
    start_at, end_at = depot.cycles.bounds(day)
    found = statement_in_force(depot, start_at)
    if found is not None and found.actual.state == Bill.State.FINAL:
        return found
    if not _intervals(depot, start_at, end_at).exists():
        return None
    period = period_of(depot, day, now)
    final = becomes_final(end_at, now, now >= end_at and is_complete(period))
    return write(period, compute_both(period), now, Closing(now) if final else None)


def becomes_final(end_at: datetime, now: datetime, complete: bool) -> bool:
    """Tell whether a month becomes final by itself: it has been over for `SETTLING`, and its ledger is complete."""
    return complete and now >= end_at + SETTLING


def statement_in_force(depot: Depot, start_at: datetime) -> SavingsStatement | None:
    """Return the newest statement of the month that starts at a moment, with its bills."""
    statements = SavingsStatement.objects.filter(depot=depot, start_at=start_at)
    return statements.select_related("actual", "unmanaged").order_by("-revision").first()


def period_of(depot: Depot, day: date, now: datetime) -> Period:
    """Return the cycle that a month names with the tariff versions that hold in it; BillingError while none does."""
    start_at, end_at = depot.cycles.bounds(day)
    first = depot.local(start_at).date()
    last = depot.local(end_at).date() - timedelta(days=1)
    today = max(first, min(last, depot.local(now).date()))
    rows = versions_between(depot, first, last)
    if not any(row.valid_from <= today for row in rows):
        raise BillingError(tr("No tariff is valid in this period. Enter the tariff in the set-up."))
    versions = []
    for row in rows:
        try:
            versions.append(as_entered(row))
        except InputError as error:
            raise BillingError(
                tr("Tariff {name} cannot be billed: {error}", name=row.name, error=error)
            ) from error
    return Period(depot, start_at, end_at, tuple(rows), tuple(versions))


def compute_both(period: Period) -> dict[str, Billed]:
    """Bill every scenario of a period."""
    return {scenario: compute(period, scenario) for scenario in Scenario.values}


def compute(period: Period, scenario: str) -> Billed:
    """Bill the ledger of one billing period; raise BillingError when there is none or the tariff cannot bill it."""
    depot = period.depot
    names = listed(version.name for version in period.versions)
    try:
        inputs = inputs_of(depot, period.versions, period.start_at, period.end_at, scenario)
        if inputs is None:
            raise BillingError(tr("Nothing is recorded in this period."))
        result = bill_of(inputs, depot)
    except InputError as error:
        raise BillingError(
            tr("Tariff {names} cannot be billed: {error}", names=names, error=error)
        ) from error
    if result.total is None:
        raise BillingError(
            tr(
                "Tariff {names} cannot be billed: {unsupported}",
                names=names,
                unsupported=" ".join(result.unsupported),
            )
        )
    if len(result.periods) != 1:
        raise BillingError(
            tr(
                "Tariff {names} keeps the clock of {time_zone} and the depot that of {time_zone2}, so "
                "their months differ. Set both to one time zone.",
                names=names,
                time_zone=result.time_zone,
                time_zone2=depot.time_zone,
            )
        )
    return Billed(scenario, inputs, result, result.total)


def bill_of(inputs: Inputs, depot: Depot) -> BillResult:
    """Return what the engine makes of inputs; raises InputError."""
    return bill(
        inputs.versions,
        inputs.load,
        time_zone=depot.tz,
        cycle_starts=depot.cycles.starts(inputs.load.start_at, inputs.load.end_at),
        history=inputs.peaks,
        carried=inputs.carried,
    )


def with_outlook(period: Period, billed: Billed) -> Billed:
    """Add how a running month will end if it goes on like its last seven days."""
    inputs, depot = billed.inputs, period.depot
    starts = depot.cycles.starts(period.start_at, period.end_at)
    before = Before(depot.tz, inputs.peaks, inputs.carried, starts)
    costs = cost_of_exceeding(inputs.versions, inputs.load, billed.result.periods[0].peaks_kw, before)
    recent = load_of(depot, inputs.load.end_at - WEEK, inputs.load.end_at, billed.scenario) or inputs.load
    try:
        whole = projected(inputs.versions, inputs.load, recent, period.end_at, before)
    except InputError as error:
        told = tr("The month's end cannot be projected: {error}", error=error)
        return replace(billed, outlook=Outlook(None, costs, (told,)))
    return replace(billed, outlook=Outlook(whole.total, costs))


def wear_added(depot: Depot, start_at: datetime, end_at: datetime) -> Decimal:
    """Return what discharging cost in battery wear over a span, in the depot's currency.

    The counterfactual never discharges, so this is all wear that V2G added.
    """
    total = _intervals(depot, start_at, end_at).aggregate(total=Sum("v2g_wear_cost"))["total"] or Decimal(0)
    return round_money(Decimal(total), depot.currency)


def _intervals(depot: Depot, start_at: datetime, end_at: datetime) -> QuerySet[Interval]:
    return Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)


def is_complete(period: Period) -> bool:
    """Tell whether the ledger of a period has every interval and its counterfactual is final."""
    steps = (period.end_at - period.start_at) // timedelta(minutes=period.depot.step_minutes)
    recorded = period.intervals.count() == steps
    return recorded and not period.intervals.filter(baseline_frozen_at__isnull=True).exists()


def write(
    period: Period, billed: dict[str, Billed], now: datetime, closing: Closing | None
) -> SavingsStatement:
    """Store the bills of a period with what was saved; what became final meanwhile is left as it is."""
    wear = wear_added(period.depot, period.start_at, period.end_at)
    paid = settled(period.depot, period.start_at, min(now, period.end_at))
    revenue = sum((one.revenue for one in paid), Decimal(0))
    steps = waterfall(
        billed[Scenario.UNMANAGED].result, billed[Scenario.ACTUAL].result, wear, Decimal(0), revenue
    )
    if closing is None and now < period.end_at:
        billed = billed | {Scenario.ACTUAL: with_outlook(period, billed[Scenario.ACTUAL])}
    packed = {scenario: pack(one.inputs, period.depot) for scenario, one in billed.items()} if closing else {}
    with transaction.atomic():
        revision = closing.revision if closing else 0
        # One writer at a time for a depot. Locking its bills would not do: who waits for them does not see new ones.
        Depot.objects.select_for_update(no_key=True).get(pk=period.depot.pk)
        final = Bill.objects.filter(depot=period.depot, start_at=period.start_at, state=Bill.State.FINAL)
        if final.filter(revision__gte=revision).exists():
            found = statement_in_force(period.depot, period.start_at)
            assert found is not None  # noqa: S101 – bills and statement are written together
            return found
        bills = [_store(period, one, now, closing, packed.get(scenario)) for scenario, one in billed.items()]
        if closing:
            _record(period, bills, closing)
        return _state(period, bills, steps, Added(wear, paid, revision), now)


def _record(period: Period, bills: Sequence[Bill], closing: Closing) -> None:
    """Tell the audit trail that a bill became final, or that a correction took its place."""
    actual = next(row for row in bills if row.scenario == Scenario.ACTUAL)
    month = month_year(period.depot.local(period.start_at))
    total = format_money(actual.total, actual.currency)
    facts: dict[str, Any] = {"bill": actual.pk, "month": month, "total": str(actual.total)}
    if closing.before is None:
        how = (
            later("{by} closed it", by=closing.by)
            if closing.by
            else later("{days} days after its end", days=SETTLING.days)
        )
        audit.record(
            period.depot,
            closing.by,
            "bill.closed",
            later("The bill of {month} is final, {total}: {how}.", month=month, total=total, how=how),
            **facts,
        )
        return
    was = closing.before.actual.total
    sentence = later(
        "The bill of {month} is corrected from {was} to {total}: {reason}",
        month=month,
        was=format_money(was, actual.currency),
        total=total,
        reason=closing.reason,
    )
    facts |= {"corrects": closing.before.actual_id, "was": str(was)}
    audit.record(period.depot, closing.by, "bill.corrected", sentence, **facts)


def _store(
    period: Period, billed: Billed, now: datetime, closing: Closing | None, packed: Packed | None
) -> Bill:
    result = billed.result
    before = closing.before if closing else None
    row, _ = Bill.objects.update_or_create(
        depot=period.depot,
        scenario=billed.scenario,
        start_at=period.start_at,
        revision=closing.revision if closing else 0,
        defaults={
            "end_at": period.end_at,
            "tariff": period.rows[-1],
            "versions": [_version(version) for version in billed.inputs.versions],
            "covered_to": billed.load.end_at,
            "state": Bill.State.FINAL if closing else Bill.State.ESTIMATE,
            "corrects": getattr(before, billed.scenario) if before else None,
            "reason": closing.reason[:300] if closing else "",
            "closed_at": closing.at if closing else None,
            "closed_by": closing.by if closing else None,
            "currency": result.currency,
            "total": billed.total,
            "projected_total": billed.outlook.total,
            "peaks_kw": _peaks(result, billed.outlook),
            "carried": result.carried.as_json(),
            "warnings": [*result.warnings, *billed.outlook.warnings],
            "computed_at": now,
        },
    )
    row.lines.all().delete()
    BillLine.objects.bulk_create(_lines(row, result))
    if packed is not None:
        BillInputs.objects.create(
            bill=row,
            engine=ENGINE,
            time_zone=period.depot.time_zone,
            tariffs=packed.tariffs,
            peaks=packed.peaks,
            brought=packed.brought,
            load=packed.load,
            load_sha256=packed.load_sha256,
        )
    return row


def _lines(row: Bill, result: BillResult) -> list[BillLine]:
    return [
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


def _version(version: Tariff) -> dict[str, Any]:
    """Return how a bill names a tariff version that it was made by."""
    return {"name": version.name, "from": version.valid_from and version.valid_from.isoformat()}


def _state(
    period: Period, bills: Sequence[Bill], steps: Waterfall, added: Added, now: datetime
) -> SavingsStatement:
    by_scenario = {row.scenario: row for row in bills}
    statement, _ = SavingsStatement.objects.update_or_create(
        depot=period.depot,
        start_at=period.start_at,
        revision=added.revision,
        defaults={
            "end_at": period.end_at,
            "actual": by_scenario[Scenario.ACTUAL],
            "unmanaged": by_scenario[Scenario.UNMANAGED],
            "currency": steps.currency,
            "wear_added": added.wear,
            "programmes": [one.as_json() for one in added.programmes],
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


def _peaks(result: BillResult, outlook: Outlook) -> dict[str, Any]:
    found = {}
    for line_id, peak in result.periods[0].peaks_kw.items():
        found[line_id] = {"kw": str(peak.kw), "at": peak.at.isoformat()}
        if line_id in outlook.exceeding:
            found[line_id]["next_10_kw"] = str(outlook.exceeding[line_id])
    return found
