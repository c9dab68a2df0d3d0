"""A bill on paper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from reportlab.platypus import Flowable

from billing.models import Bill
from billing.selectors.bills import correction_of, peaks_of
from billing.views import paper
from depot.money import format_money
from depot.templatetags.depot_pages import exact, kw, local_moment
from depot.words import mark, month_year, tr

INSTANT = timedelta(microseconds=1)
STATUS = {"estimate": mark("Estimate"), "final": mark("Final bill"), "corrected": mark("Corrected bill")}


def bill_pdf(bill: Bill, notes: Sequence[str], now: datetime) -> bytes:
    """Return a bill as PDF: lines with their explanations, peaks, what a correction changed, and `notes`."""
    depot = bill.depot
    first, last = depot.local(bill.start_at), depot.local(bill.end_at - INSTANT)
    title = f"{depot.name}: {month_year(first)}"
    versions = "; ".join(
        f"{version['name']}{' from ' + version['from'] if version['from'] else ''}"
        for version in bill.versions
    )
    parts: list[Flowable] = [
        paper.text(title, paper.TITLE),
        paper.text(
            tr(
                "{status}, {first:%Y-%m-%d} to {last:%Y-%m-%d} ({time_zone})",
                status=tr(STATUS[bill.status]),
                first=first,
                last=last,
                time_zone=depot.time_zone,
            )
        ),
        paper.text(tr("Tariff: {versions}", versions=versions)),
        *(paper.text(note, paper.SMALL) for note in notes),
        paper.space(4),
        _lines(bill),
        *_peaks(bill),
        *_correction(bill),
        *_warnings(bill),
    ]
    footer = tr(
        "{title} · {status} · computed {computed_at:%Y-%m-%d %H:%M}",
        title=title,
        status=tr(STATUS[bill.status]).lower(),
        computed_at=depot.local(bill.computed_at),
    )
    return paper.render(title, f"{footer} · {tr('printed {day}', day=f'{depot.local(now):%Y-%m-%d}')}", parts)


def _lines(bill: Bill) -> Flowable:
    rows: list[list[Flowable | list[Flowable]]] = [
        [
            paper.text(tr("Line"), paper.BOLD),
            paper.text(tr("Quantity"), paper.BOLD_NUMBER),
            paper.text(tr("Rate"), paper.BOLD_NUMBER),
            paper.text(tr("Amount"), paper.BOLD_NUMBER),
        ]
    ]
    for line in bill.lines.all():
        rows.append(
            [
                [paper.text(line.label), paper.text(line.explanation, paper.SMALL)],
                paper.text(f"{exact(line.quantity)} {tr(line.unit)}", paper.NUMBER),
                paper.text(exact(line.rate), paper.NUMBER),
                paper.text(format_money(line.amount, bill.currency), paper.NUMBER),
            ]
        )
    total = paper.text(format_money(bill.total, bill.currency), paper.BOLD_NUMBER)
    rows.append([paper.text(tr("Total"), paper.BOLD), paper.text(""), paper.text(""), total])
    return paper.ruled(rows, (0.52, 0.19, 0.12, 0.17))


def _peaks(bill: Bill) -> list[Flowable]:
    peaks = peaks_of(bill)
    if not peaks:
        return []
    rows = [
        [
            paper.text(tr("Charge"), paper.BOLD),
            paper.text(tr("Peak"), paper.BOLD_NUMBER),
            paper.text(tr("Set on"), paper.BOLD),
        ]
    ]
    rows += [
        [
            paper.text(peak.label),
            paper.text(kw(float(peak.kw)), paper.NUMBER),
            paper.text(local_moment(peak.at, bill.depot)),
        ]
        for peak in peaks
    ]
    return [paper.text(tr("Demand peaks"), paper.HEADING), paper.ruled(rows, (0.52, 0.19, 0.29))]


def _correction(bill: Bill) -> list[Flowable]:
    if bill.corrects is None:
        return []
    rows = [
        [
            paper.text(tr("Line"), paper.BOLD),
            *(paper.text(word, paper.BOLD_NUMBER) for word in (tr("Was"), "Is", tr("Difference"))),
        ]
    ]
    for line in correction_of(bill):
        amounts = [line.before.amount if line.before else None, line.after.amount if line.after else None]
        cells = ["–" if amount is None else format_money(amount, bill.currency) for amount in amounts]
        cells.append(format_money(line.difference, bill.currency))
        rows.append([paper.text(line.label), *(paper.text(cell, paper.NUMBER) for cell in cells)])
    totals = (bill.corrects.total, bill.total, bill.total - bill.corrects.total)
    amounts_shown = [paper.text(format_money(amount, bill.currency), paper.BOLD_NUMBER) for amount in totals]
    rows.append([paper.text(tr("Total"), paper.BOLD), *amounts_shown])
    return [
        paper.text(tr("What the correction changed"), paper.HEADING),
        paper.text(bill.reason),
        paper.space(1),
        paper.ruled(rows, (0.46, 0.18, 0.18, 0.18)),
    ]


def _warnings(bill: Bill) -> list[Flowable]:
    if not bill.warnings:
        return []
    return [
        paper.text(tr("Notes"), paper.HEADING),
        *(paper.text(warning, paper.SMALL) for warning in bill.warnings),
    ]
