"""The chart of the Bills page."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from billing.selectors.bills import Month
from billing.views.charts import prefix_of
from depot import charts
from depot.money import minor_units
from depot.templatetags.depot_pages import percent
from depot.words import mark, month_words, tr

FEWEST_MONTHS = 2
KINDS = (
    ("energy", mark("Energy"), "price"),
    ("demand", mark("Demand"), "limit"),
    ("other", mark("Fixed, taxes, other"), "building"),
)
"""Stacked from below; what was paid for export lies under zero."""


def months_chart(months: Sequence[Month], kinds: dict[int, dict[str, Decimal]]) -> charts.Chart | None:
    """Draw what each month's bill was made of; None for a single month."""
    if len(months) < FEWEST_MONTHS:
        return None
    shown = list(reversed(months))
    currency = shown[0].bill.currency
    unit = prefix_of(currency).strip()
    labels = [f"{month_words(month.first.month)} {month.first.year}" for month in shown]
    amounts = {
        kind: [float(kinds.get(month.bill.pk, {}).get(kind, 0)) for month in shown]
        for kind in ("energy", "demand", "other", "export")
    }
    bottom = [0.0] * len(shown)
    traces = []
    for kind, name, role in KINDS:
        part = charts.bars(labels, amounts[kind], role, unit=unit, name=tr(name))
        traces.append(charts.styled(part, base=list(bottom), width=0.5))
        bottom = [below + amount for below, amount in zip(bottom, amounts[kind], strict=True)]
    if any(amounts["export"]):
        export = charts.bars(labels, amounts["export"], "discharge", unit=unit, name=tr("Export"))
        traces.append(charts.styled(export, width=0.5))
    parts = (tr("Energy"), tr("Demand"), tr("Other"), tr("Export"), tr("Bill"))
    table = charts.table_of(
        [tr("Month"), *(f"{part} {currency}" for part in parts)],
        [
            (label, *(amounts[kind][index] for kind in amounts), month.bill.total)
            for index, (label, month) in enumerate(zip(labels, shown, strict=True))
        ],
        decimals=minor_units(currency),
    )
    figure = charts.figure(traces, panels=(charts.Panel(unit),), height_px=260, hover="closest")
    return charts.Chart("months", tr("What the bills are made of"), _summary(amounts), figure, table)


def _summary(amounts: dict[str, list[float]]) -> str:
    charged = sum(sum(amounts[kind]) for kind in ("energy", "demand", "other"))
    share = sum(amounts["demand"]) / charged if charged else 0.0
    return tr(
        "Demand charges are {share} of what was charged in these {demand} months.",
        share=percent(share),
        demand=len(amounts["demand"]),
    )
