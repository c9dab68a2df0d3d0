"""The charts about money."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from billing.savings import Step
from billing.selectors.savings import DayCost
from depot import charts
from depot.money import format_money, minor_units
from depot.templatetags.depot_pages import money

TOTALS = ("unmanaged", "actual")
SHORT = {
    "energy": "Energy",
    "demand": "Demand",
    "solar": "Sun",
    "other": "Fixed, other",
    "export": "Export",
    "programmes": "Programmes",
    "wear": "Wear",
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
            SHORT.get(step.id, step.label), float(step.amount), "total" if step.id in TOTALS else "change"
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
        ["Step", f"Amount {currency}", f"Cost after it {currency}"],
        [(step.label, step.amount, step.running_total) for step in steps],
        decimals=minor_units(currency),
    )
    changes = [step for step in shown if step.id not in TOTALS]
    best = min(changes, key=lambda step: step.amount, default=None)
    summary = "The bills are the same."
    if best is not None and best.amount < 0:
        summary = f"{best.label} made the largest difference: {money(-best.amount, currency)} less."
    elif changes:
        summary = "No step made the month cheaper."
    return charts.Chart("waterfall", "From the unmanaged bill to the actual cost", summary, figure, table)


def days_chart(days: Sequence[DayCost], currency: str) -> charts.Chart:
    """Draw each day's energy cost, unmanaged beside actual."""
    labels = [f"{day.day.day} {day.day:%b}" for day in days]
    unit = prefix_of(currency).strip()
    traces = [
        charts.styled(charts.bars(labels, values, role, unit=unit, name=name), width=0.38, offset=offset)
        for values, role, name, offset in (
            ([day.unmanaged for day in days], "building", "Unmanaged", -0.4),
            ([day.actual for day in days], "charge", "Actual", 0.02),
        )
    ]
    figure = charts.figure(traces, panels=(charts.Panel(unit),), height_px=260, hover="closest")
    saved = [amount for day in days if (amount := day.saved) is not None]
    total = sum(saved)
    cheaper = sum(amount > 0 for amount in saved)
    summary = (
        f"Energy was cheaper on {cheaper} of {len(saved)} days, by {money(total, currency)} together; demand, fixed "
        "charges and wear are not in it."
    )
    if total < 0:
        summary = (
            f"Energy cost {money(-total, currency)} more than unmanaged over these {len(saved)} days; demand, fixed "
            "charges and wear are not in it."
        )
    table = charts.table_of(
        ["Day", f"Unmanaged {currency}", f"Actual {currency}", f"Saved {currency}"],
        [
            (f"{day.day:%a} {label}", day.unmanaged, day.actual, day.saved)
            for day, label in zip(days, labels, strict=True)
        ],
        decimals=minor_units(currency),
    )
    return charts.Chart("days", "Energy cost by day", summary, figure, table)
