"""From the unmanaged bill to what was really paid, step by step, adding up exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.tariff.result import BillResult
from depot.money import format_money
from depot.words import mark, tr

_GROUPS = ("energy", "demand", "export")
_WHAT = {
    "energy": mark("Moving charging to other hours"),
    "demand": mark("Other demand peaks"),
    "solar": mark("Using more of the sun on the site"),
    "other": mark("Fixed charges, minimum bill and taxes"),
    "export": mark("Energy sold to the grid"),
    "programmes": mark("Grid programmes"),
    "wear": mark("Different use of the batteries"),
}
_Change = tuple[str, str, Decimal, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One bar: what it adds to the cost (negative = saves), the running total after it, and a sentence."""

    id: str
    label: str
    amount: Decimal
    running_total: Decimal
    sentence: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All steps in order; the first is the unmanaged bill, the last the actual cost (both are totals)."""

    currency: str
    steps: tuple[Step, ...]
    net_saving: Decimal


def waterfall(
    unmanaged_bill: BillResult,
    actual_bill: BillResult,
    wear_actual: Decimal,
    wear_baseline: Decimal,
    programme_revenue: Decimal = Decimal(0),
    solar_saving: Decimal = Decimal(0),
) -> Waterfall:
    """Explain actual cost = unmanaged bill + changes - programme revenue + added battery wear.

    Both bills come from the same tariff version and the same billing periods; otherwise ValueError. The net
    saving is the unmanaged bill less the actual cost, so that wear counts on both sides once. `solar_saving` is
    the part of the energy lines' difference that is solar energy used on the site instead of bought.
    """
    start = _total(unmanaged_bill)
    _total(actual_bill)
    _check_same(unmanaged_bill, actual_bill)
    before, after = _grouped(unmanaged_bill), _grouped(actual_bill)
    changes: list[_Change] = [
        (
            "energy",
            tr("Energy shifted"),
            after["energy"] - before["energy"] + solar_saving,
            tr(_WHAT["energy"]),
        ),
        ("demand", tr("Demand charges"), after["demand"] - before["demand"], tr(_WHAT["demand"])),
        ("solar", tr("Solar self-use"), -solar_saving, tr(_WHAT["solar"])),
        ("other", tr("Fixed and other"), after["other"] - before["other"], tr(_WHAT["other"])),
        ("export", tr("Export credit"), after["export"] - before["export"], tr(_WHAT["export"])),
        ("programmes", tr("Programmes"), -programme_revenue, tr(_WHAT["programmes"])),
        ("wear", tr("Battery wear added"), wear_actual - wear_baseline, tr(_WHAT["wear"])),
    ]
    return _added_up(actual_bill.currency, start, changes)


def with_solar(steps: Sequence[Step], currency: str, solar_saving: Decimal) -> Waterfall:
    """Return the steps of a stored waterfall with this much of shifted energy as solar self-use; the ends stay."""
    amounts = {step.id: step.amount for step in steps}
    amounts["energy"] += amounts.get("solar", Decimal(0)) + solar_saving
    changes: list[_Change] = []
    for step in steps[1:-1]:
        if step.id != "solar":
            changes.append(
                (
                    step.id,
                    step.label,
                    amounts[step.id],
                    tr(_WHAT[step.id]) if step.id in _WHAT else step.label,
                )
            )
        if step.id == "demand":
            changes.append(("solar", tr("Solar self-use"), -solar_saving, tr(_WHAT["solar"])))
    return _added_up(currency, steps[0].amount, changes)


def _added_up(currency: str, start: Decimal, changes: Sequence[_Change]) -> Waterfall:
    running = start
    first = tr("Charging at full power on plug-in: {start}.", start=format_money(start, currency))
    steps = [Step("unmanaged", tr("Unmanaged"), start, start, first)]
    for id, label, amount, what in changes:
        running += amount
        steps.append(Step(id, label, amount, running, _sentence(what, amount, currency)))
    last = tr("Paid and worn in fact: {running}.", running=format_money(running, currency))
    steps.append(Step("actual", tr("Actual"), running, running, last))
    return Waterfall(currency, tuple(steps), start - running)


def _total(bill: BillResult) -> Decimal:
    if bill.total is None:
        raise ValueError(tr("A bill without a total has no waterfall: ") + " ".join(bill.unsupported))
    return bill.total


def _check_same(unmanaged_bill: BillResult, actual_bill: BillResult) -> None:
    both = (unmanaged_bill, actual_bill)
    kinds = {(bill.currency, tuple((p.start_at, p.end_at) for p in bill.periods)) for bill in both}
    if len(kinds) > 1:
        raise ValueError(
            tr("The bills differ in currency or billing periods. Bill both by one tariff and calendar.")
        )


def _grouped(bill: BillResult) -> dict[str, Decimal]:
    sums = dict.fromkeys((*_GROUPS, "other"), Decimal(0))
    for period in bill.periods:
        for line in period.lines:
            group = next((name for name in _GROUPS if line.id.startswith(name)), "other")
            sums[group] += line.amount
    return sums


def _sentence(what: str, amount: Decimal, currency: str) -> str:
    if not amount:
        return tr("{what} made no difference.", what=what)
    return f"{what} {'saved' if amount < 0 else 'cost'} {format_money(abs(amount), currency)}."
