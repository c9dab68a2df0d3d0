"""The charts about money."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from billing.savings import Step
from billing.selectors.savings import DayCost
from depot import charts
from depot.money import format_money, minor_units
from depot.templatetags.depot_pages import money
from depot.words import day_month, mark, tr, weekday_words

TOTALS = ("unmanaged", "actual")
SHORT = {
    "energy": mark("Energy"),
    "demand": mark("Demand"),
    "solar": mark("Sun"),
    "other": mark("Fixed, other"),
    "export": mark("Export"),
    "programmes": mark("Programmes"),
    "wear": mark("Wear"),
}


def prefix_of(currency: str) -> str:
    """Return what stands before an amount: "$", "€" or "NOK "."""
    shown = format_money(Decimal(1), currency)
    return shown.split("1")[0] or f"{currency} "


def waterfall_chart(steps: Sequence[Step], currency: str) -> charts.Chart:
    """Draw the way from the unmanaged bill to the actual cost; what made no difference is left out."""
    shown = [step for step in steps if step.id in TOTALS or step.amount]
    bars = [
        charts.Step(
            tr(SHORT[step.id]) if step.id in SHORT else step.label,
            float(step.amount),
            "total" if step.id in TOTALS else "change",
        )
        for step in shown
    ]
    figure = charts.figure(
        [charts.waterfall(bars, unit=prefix_of(currency))],
        panels=(charts.Panel(prefix_of(currency).strip()),),
        height_px=400,
        hover="closest",
    )
    table = charts.table_of(
        [
            tr("Step"),
            tr("Amount {currency}", currency=currency),
            tr("Cost after it {currency}", currency=currency),
        ],
        [(step.label, step.amount, step.running_total) for step in steps],
        decimals=minor_units(currency),
    )
    changes = [step for step in shown if step.id not in TOTALS]
    best = min(changes, key=lambda step: step.amount, default=None)
    summary = tr("The bills are the same.")
    if best is not None and best.amount < 0:
        summary = tr(
            "{label} made the largest difference: {amount} less.",
            label=best.label,
            amount=money(-best.amount, currency),
        )
    elif changes:
        summary = tr("No step made the month cheaper.")
    return charts.Chart("waterfall", tr("From the unmanaged bill to the actual cost"), summary, figure, table)


def days_chart(days: Sequence[DayCost], currency: str) -> charts.Chart:
    """Draw each day's energy cost, unmanaged beside actual."""
    labels = [day_month(day.day) for day in days]
    unit = prefix_of(currency).strip()
    traces = [
        charts.styled(charts.bars(labels, values, role, unit=unit, name=name), width=0.38, offset=offset)
        for values, role, name, offset in (
            ([day.unmanaged for day in days], "building", tr("Unmanaged"), -0.4),
            ([day.actual for day in days], "charge", tr("Actual"), 0.02),
        )
    ]
    figure = charts.figure(traces, panels=(charts.Panel(unit),), height_px=260, hover="closest")
    saved = [amount for day in days if (amount := day.saved) is not None]
    total = sum(saved)
    cheaper = sum(amount > 0 for amount in saved)
    summary = tr(
        "Energy was cheaper on {cheaper} of {saved} days, by {total} together; demand, fixed "
        "charges and wear are not in it.",
        cheaper=cheaper,
        saved=len(saved),
        total=money(total, currency),
    )
    if total < 0:
        summary = tr(
            "Energy cost {total} more than unmanaged over these {saved} days; demand, fixed charges "
            "and wear are not in it.",
            total=money(-total, currency),
            saved=len(saved),
        )
    table = charts.table_of(
        [
            tr("Day"),
            tr("Unmanaged {currency}", currency=currency),
            tr("Actual {currency}", currency=currency),
            tr("Saved {currency}", currency=currency),
        ],
        [
            (f"{weekday_words(day.day.weekday())} {label}", day.unmanaged, day.actual, day.saved)
            for day, label in zip(days, labels, strict=True)
        ],
        decimals=minor_units(currency),
    )
    return charts.Chart("days", tr("Energy cost by day"), summary, figure, table)
