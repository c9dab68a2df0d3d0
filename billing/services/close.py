"""Close a month, and correct a closed one when more is known: never a silent change.

The rules are in docs/algorithms/bills.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import Min

from billing.bills.changes import ChangedLoad, changed_lines, changed_load
from billing.models import Bill, BillInputs, Interval, SavingsBand, SavingsStatement, Scenario
from billing.selectors.bills_inputs import (
    Inputs,
    inputs_of,
    is_same_before,
    is_same_load,
    unpack,
    versions_kept,
)
from billing.selectors.cycles import is_cycle
from billing.selectors.history import bills_in_force
from billing.services.bills import (
    Billed,
    BillingError,
    Closing,
    Period,
    bill_month,
    compute_both,
    period_of,
    statement_in_force,
    write,
)
from billing.tariff.history import months_before
from depot.alerts import sync
from depot.alerts.services import Cause
from depot.models import Alert, Depot, User
from depot.money import format_money
from depot.words import month_year, tr, trn

log = logging.getLogger(__name__)

MONTHS_BACK = 24
"""Older months are neither billed nor corrected by themselves; a manager still can."""


TOLD_FOR = timedelta(days=14)
"""A correction is an alert for this long, or until somebody sees to it."""


def close_month(depot: Depot, day: date, now: datetime, by: User) -> SavingsStatement:
    """Make a month that is over final at once, as a manager decides; one that is final already stays as it is.

    Raises BillingError while the month runs, and when it cannot be billed.
    """
    start_at, end_at = depot.cycles.bounds(day)
    if now < end_at:
        over = depot.local(end_at)
        raise BillingError(
            tr(
                "{day:%B %Y} is still running. It can be closed from {day2} {over:%B} on.",
                day=day,
                day2=over.day,
                over=over,
            )
        )
    found = statement_in_force(depot, start_at)
    if found is not None and found.actual.state == Bill.State.FINAL:
        return found
    period = period_of(depot, day, now)
    return write(period, compute_both(period), now, Closing(now, by))


def correct_month(depot: Depot, day: date, now: datetime, by: User, reason: str) -> SavingsStatement | None:
    """Correct a final month with today's ledger and tariffs, as a manager asks; None when no line changes.

    Raises BillingError for a month that is not final, without a reason, and when it cannot be billed.
    """
    before = statement_in_force(depot, depot.cycles.bounds(day)[0])
    if before is None or before.actual.state != Bill.State.FINAL:
        raise BillingError(
            tr("{day:%B %Y} is not final: it is billed again by itself, so nothing is to correct.", day=day)
        )
    if not reason.strip():
        raise BillingError(tr("Say why the bill is corrected. The reason stays with it."))
    made = _correct(period_of(depot, day, now), before, now, Closing(now, by, before, reason.strip()))
    tell_corrections(depot, now)
    return made


def correct_by_itself(depot: Depot, day: date, now: datetime) -> SavingsStatement | None:
    """Correct a final month whose ledger, or whose earlier peaks or credit, are no longer what it was made of.

    It is billed with the tariffs that were frozen with it: a tariff edited later changes nothing. None when
    nothing changed, when its inputs were not kept, and while the unmanaged side of an interval that was measured
    again is still open: one correction, not one a day.
    """
    before = statement_in_force(depot, depot.cycles.bounds(day)[0])
    if before is None or before.actual.state != Bill.State.FINAL:
        return None
    kept = {row.bill_id: row for row in BillInputs.objects.filter(bill__in=[before.actual, before.unmanaged])}
    if len(kept) < len(Scenario.values):
        return None
    actual = before.actual
    versions = versions_kept(kept[actual.pk])
    period = Period(depot, actual.start_at, actual.end_at, (actual.tariff,), versions)
    if period.intervals.filter(baseline_frozen_at__isnull=True).exists():
        return None
    reasons: dict[str, list[str]] = {}
    for scenario in Scenario.values:
        row = kept[getattr(before, scenario).pk]
        inputs = inputs_of(depot, period.versions, period.start_at, period.end_at, scenario)
        if inputs is None:
            return None
        reasons[scenario] = _reasons(row, inputs, depot)
    if not any(reasons.values()):
        return None
    said = reasons[Scenario.ACTUAL] or [tr("Only the unmanaged bill:"), *reasons[Scenario.UNMANAGED]]
    return _correct(period, before, now, Closing(now, None, before, " ".join(said)))


def _reasons(row: BillInputs, inputs: Inputs, depot: Depot) -> list[str]:
    """Say what is no longer as it was when a bill became final; nothing when all is."""
    found = []
    if not is_same_load(row, inputs, depot):
        found.append(change_words(changed_load(unpack(row).load, inputs.load), depot))
    if not is_same_before(row, inputs):
        found.append(tr("An earlier month was corrected, and this one looks back on it."))
    return found


def change_words(change: ChangedLoad, depot: Depot) -> str:
    """Say which intervals changed after a bill was final."""
    if change.from_at is None or change.to_at is None:
        return tr("The intervals were written anew.")
    from_at, to_at = depot.local(change.from_at), depot.local(change.to_at)
    what = trn("{count} interval", "{count} intervals", change.steps)
    measured = (
        tr(", {measured} of them measured that had been estimated", measured=change.measured)
        if change.measured
        else ""
    )
    return tr(
        "{what} between {from_at:%Y-%m-%d %H:%M} and {to_at:%Y-%m-%d %H:%M} came later or "
        "changed{measured}: import {import_kwh:+,.1f} kWh, export {export_kwh:+,.1f} kWh.",
        what=what,
        from_at=from_at,
        to_at=to_at,
        measured=measured,
        import_kwh=change.import_kwh,
        export_kwh=change.export_kwh,
    )


def _correct(
    period: Period, before: SavingsStatement, now: datetime, closing: Closing
) -> SavingsStatement | None:
    billed = compute_both(period)
    if not any(differs(getattr(before, scenario), one) for scenario, one in billed.items()):
        return None
    return write(period, billed, now, closing)


def differs(before: Bill, billed: Billed) -> bool:
    """Tell whether a new computation has other lines or peaks than a stored bill."""
    old = [(line.line_id, line) for line in before.lines.all()]
    new = [(line.id, line) for line in billed.result.periods[0].lines]
    return any(line.is_changed for line in changed_lines(old, new))


def open_months(depot: Depot, now: datetime) -> list[date]:
    """Return the months with intervals and a tariff that are not final yet, the oldest first; the last is this one."""
    oldest = Interval.objects.filter(depot=depot).aggregate(at=Min("start_at"))["at"]
    priced_from = depot.tariffs.aggregate(day=Min("valid_from"))["day"]
    if oldest is None or priced_from is None:
        return []
    cycles = depot.cycles
    this = cycles.month_of(now)
    final = SavingsStatement.objects.filter(depot=depot, actual__state=Bill.State.FINAL)
    known = {cycles.month_of(at) for at in final.values_list("start_at", flat=True)}
    month = max(cycles.month_of(oldest), cycles.month_of_day(priced_from), months_before(this, MONTHS_BACK))
    found = []
    while month <= this:
        if month not in known:
            found.append(month)
        month = months_before(month, -1)
    return found


def final_months(depot: Depot, now: datetime) -> list[date]:
    """Return the months whose bills late data may still correct, the oldest first."""
    since = depot.cycles.bounds(months_before(depot.cycles.month_of(now), MONTHS_BACK))[0]
    statements = SavingsStatement.objects.filter(
        depot=depot, actual__state=Bill.State.FINAL, start_at__gte=since, revision=0
    )
    return [
        depot.cycles.month_of(at) for at in statements.order_by("start_at").values_list("start_at", flat=True)
    ]


def for_each(
    months: Sequence[date],
    work: Callable[[date], SavingsStatement | None],
    say: Callable[[float, str], None],
) -> tuple[list[SavingsStatement], list[str]]:
    """Do one piece of work for each month; what fails in one is collected and never stops the others."""
    made, problems = [], []
    for number, month in enumerate(months):
        say(number / len(months), month_year(month))
        try:
            statement = work(month)
        except BillingError as error:
            problems.append(f"{month:%Y-%m}: {error}")
        except DatabaseError:
            raise  # the whole job is tried again
        except Exception:  # a fault of the program in one month must not keep the others from being billed
            log.exception("the bill of %s failed", month)
            problems.append(
                tr(
                    "{month:%Y-%m}: Something went wrong inside the program. The log has the details.",
                    month=month,
                )
            )
        else:
            made += [statement] if statement is not None else []
    return made, problems


def bill_months(
    depot: Depot, months: Iterable[date], now: datetime, say: Callable[[float, str], None]
) -> tuple[list[SavingsStatement], list[str]]:
    """Bill months that are not final, the oldest first: what a month hands on is there for the next."""
    return for_each(sorted(months), lambda month: bill_month(depot, month, now), say)


def drop_estimates(depot: Depot) -> None:
    """Delete the estimates of cycles that are none any more; the next hour bills those that are."""
    estimates = Bill.objects.filter(depot=depot, state=Bill.State.ESTIMATE)
    gone = [row.pk for row in estimates if not is_cycle((row.start_at, row.end_at), depot.cycles)]
    with transaction.atomic():
        estimates.filter(pk__in=gone).delete()
        billed = SavingsStatement.objects.filter(depot=depot).values("start_at")
        SavingsBand.objects.filter(depot=depot).exclude(start_at__in=billed).delete()


def last_two(depot: Depot, now: datetime) -> list[date]:
    """Return last month and this one."""
    this = depot.cycles.month_of(now)
    return [months_before(this, 1), this]


def correct_all(
    depot: Depot, now: datetime, say: Callable[[float, str], None]
) -> tuple[list[SavingsStatement], list[str]]:
    """Correct every final month whose inputs changed, the oldest first: a later one may look back on it."""
    found = for_each(final_months(depot, now), lambda month: correct_by_itself(depot, month, now), say)
    tell_corrections(depot, now)
    return found


def tell_corrections(depot: Depot, now: datetime) -> None:
    """Make the corrections in force of the last `TOLD_FOR` the depot's open alerts about bills."""
    rows = bills_in_force(depot).filter(
        scenario=Scenario.ACTUAL, revision__gt=0, closed_at__gt=now - TOLD_FOR
    )
    sync(depot, "bill:", [_corrected(row) for row in rows.select_related("depot", "corrects")])


def _corrected(bill: Bill) -> Cause:
    """Say what a correction changed, and why."""
    assert bill.corrects is not None  # noqa: S101 – the database keeps that of every revision
    month = bill.depot.local(bill.start_at)
    was, total = (format_money(one.total, bill.currency) for one in (bill.corrects, bill))
    change = tr("and stays at") if bill.total == bill.corrects.total else tr("from {was} to", was=was)
    return Cause(
        key=f"bill:{month:%Y-%m}:{bill.revision}",
        level=Alert.Level.WARNING,
        title=tr(
            "The bill of {month:%B %Y} was corrected {change} {total}",
            month=month,
            change=change,
            total=total,
        ),
        detail=tr("{reason} Compare it with what the utility billed.", reason=bill.reason),
    )
