"""A month's savings on paper: the answer, every step, the bills line by line, peaks, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from reportlab.platypus import Flowable

from billing.models import SavingsStatement
from billing.views import paper
from billing.views.words import UNMANAGED
from depot.models import Depot
from depot.money import format_money
from depot.templatetags.depot_pages import kw, local_moment, number, percent
from depot.words import mark, tr

INSTANT = timedelta(microseconds=1)
HEADS = (mark("Unmanaged"), mark("Charge-only"), mark("Actual"), mark("Difference"))


def statement_pdf(depot: Depot, told: Mapping[str, Any], now: datetime) -> bytes:
    """Return the statement of a month as PDF; `told` is what the Savings page tells of it."""
    statement: SavingsStatement = told["statement"]
    first, last = depot.local(statement.start_at), depot.local(statement.end_at - INSTANT)
    state = tr("Final") if statement.actual.state == "final" else tr("Not final yet")
    title = tr("{name}: savings {first:%B %Y}", name=depot.name, first=first)
    computed = tr("computed {computed_at:%Y-%m-%d %H:%M}", computed_at=depot.local(statement.computed_at))
    parts: list[Flowable] = [
        paper.text(title, paper.TITLE),
        paper.text(told["answer"]),
        paper.text(
            tr(
                "{state}, {first:%Y-%m-%d} to {last:%Y-%m-%d} ({time_zone})",
                state=state,
                first=first,
                last=last,
                time_zone=depot.time_zone,
            ),
            paper.SMALL,
        ),
        paper.text(
            tr(
                "Tariff: {name}; recorded to {covered_to}",
                name=statement.actual.tariff.name,
                covered_to=local_moment(statement.actual.covered_to, depot),
            ),
            paper.SMALL,
        ),
        *_steps(statement, told),
        *_bills(statement, told),
        *_peaks(depot, told),
        *_emissions(told),
        *_certainty(statement, told),
        *_rules(),
    ]
    footer = tr(
        "{title} · {state} · {computed} · printed {now:%Y-%m-%d}",
        title=title,
        state=state.lower(),
        computed=computed,
        now=depot.local(now),
    )
    return paper.render(title, footer, parts)


def _steps(statement: SavingsStatement, told: Mapping[str, Any]) -> list[Flowable]:
    rows: list[list[Any]] = [
        [paper.text(tr("Step"), paper.BOLD), paper.text(tr("Amount"), paper.BOLD_NUMBER)]
    ]
    for step in told["steps"]:
        words = [paper.text(step["label"]), paper.text(step["rule"], paper.SMALL)]
        if step["id"] == "programmes":
            words += [
                paper.text(
                    f"{one['label']}: {_money(one['revenue'], statement)}. {one['words']}", paper.SMALL
                )
                for one in statement.programmes
            ]
        rows.append([words, paper.text(_money(step["amount"], statement), paper.NUMBER)])
    return [paper.text(tr("Step by step"), paper.HEADING), paper.ruled(rows, (0.8, 0.2))]


def _bills(statement: SavingsStatement, told: Mapping[str, Any]) -> list[Flowable]:
    between = told["between"]
    heads = [tr(head) for head in (HEADS if between else (HEADS[0], *HEADS[2:]))]
    rows: list[list[Any]] = [
        [paper.text(tr("Line"), paper.BOLD), *(paper.text(head, paper.BOLD_NUMBER) for head in heads)]
    ]

    def row(label: str, cells: list[str], *, total: bool = False) -> None:
        style, numbers = (paper.BOLD, paper.BOLD_NUMBER) if total else (paper.PLAIN, paper.NUMBER)
        shown = cells if between else [cells[0], *cells[2:]]
        rows.append([paper.text(label, style), *(paper.text(cell, numbers) for cell in shown)])

    for line in told["lines"]:
        amounts = [_amount(one, statement) for one in (line.unmanaged, line.charge_only, line.actual)]
        row(line.label, [*amounts, _money(line.difference, statement)])
    nothing = _money(0, statement)
    row(
        tr("Bill"),
        [
            _money(statement.unmanaged.total, statement),
            _money(between.total, statement) if between else "",
            _money(statement.actual.total, statement),
            _money(told["bill_difference"], statement),
        ],
        total=True,
    )
    if told["programmes"]:
        paid = _money(told["programmes"], statement)
        row(
            tr("Paid by grid programmes"),
            [nothing, _money(between.programmes, statement) if between else "", paid, paid],
        )
    wear = _money(statement.wear_added, statement)
    row(tr("Battery wear of V2G"), [nothing, nothing, wear, wear])
    shares = [paper.text(told["shares"])] if told["shares"] else []
    title = tr("Three bills, line by line") if between else tr("Both bills, line by line")
    widths = (0.36, 0.16, 0.16, 0.16, 0.16) if between else (0.46, 0.18, 0.18, 0.18)
    return [paper.text(title, paper.HEADING), *shares, paper.ruled(rows, widths)]


def _peaks(depot: Depot, told: Mapping[str, Any]) -> list[Flowable]:
    if not told["peaks"]:
        return []
    rows = [
        [
            paper.text(tr("Charge"), paper.BOLD),
            *(
                paper.text(head, style)
                for head in (tr("Unmanaged"), tr("Actual"))
                for head, style in ((head, paper.BOLD_NUMBER), (tr("Set on"), paper.BOLD))
            ),
        ]
    ]
    for peak in told["peaks"]:
        rows.append(
            [
                paper.text(peak.label),
                paper.text(kw(peak.unmanaged_kw), paper.NUMBER),
                paper.text(local_moment(peak.unmanaged_at, depot)),
                paper.text(kw(peak.actual_kw), paper.NUMBER),
                paper.text(local_moment(peak.actual_at, depot)),
            ]
        )
    return [paper.text(tr("Demand peaks"), paper.HEADING), paper.ruled(rows, (0.32, 0.14, 0.2, 0.14, 0.2))]


def _emissions(told: Mapping[str, Any]) -> list[Flowable]:
    words = [
        tr(
            "{kind}: {actual_kg} kg instead of {unmanaged_kg} kg; factors known for "
            "{known_share} of the intervals.",
            kind=series.get_kind_display(),
            actual_kg=number(found.actual_kg),
            unmanaged_kg=number(found.unmanaged_kg),
            known_share=percent(found.known_share),
        )
        for series, found in told["emissions"]
    ]
    if not words:
        return []
    return [paper.text(tr("CO2 beside the money"), paper.HEADING), *(paper.text(one) for one in words)]


def _certainty(statement: SavingsStatement, told: Mapping[str, Any]) -> list[Flowable]:
    parts: list[Flowable] = [
        paper.text(tr("How sure these numbers are"), paper.HEADING),
        paper.text(told["quality_words"]),
    ]
    band = told["band"]
    if band is not None:
        low, high = _money(band.low, statement), _money(band.high, statement)
        assumptions = tr("when the unmanaged depot's assumptions are varied one at a time:")
        parts.append(
            paper.text(
                tr(
                    "The net saving lies between {low} and {high} {assumptions}",
                    low=low,
                    high=high,
                    assumptions=assumptions,
                )
            )
        )
        parts += [
            paper.text(f"{tr(case['case'])}: {_money(case['net_saving'], statement)}", paper.SMALL)
            for case in band.cases
        ]
    parts += [paper.text(warning, paper.SMALL) for warning in statement.actual.warnings]
    return parts


def _rules() -> list[Flowable]:
    numbered = enumerate(map(tr, UNMANAGED), start=1)
    return [
        paper.text(tr("What “unmanaged” means"), paper.HEADING),
        *(paper.text(f"{place}. {rule}", paper.SMALL) for place, rule in numbered),
    ]


def _amount(line: Any, statement: SavingsStatement) -> str:
    return "–" if line is None else _money(line.amount, statement)


def _money(amount: Any, statement: SavingsStatement) -> str:
    return format_money(Decimal(str(amount)), statement.currency)
