"""The Savings page: what a month cost, what it would have cost, and every step between."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.models import SavingsStatement
from billing.savings import with_solar
from billing.selectors.charge_only import charge_only_bill, solar_saving
from billing.selectors.emissions import emissions_of
from billing.selectors.export import bill_csv, ledger_csv
from billing.selectors.ledger import read_ledger
from billing.selectors.savings import (
    band_of,
    compared_lines,
    compared_peaks,
    costs_by_day,
    data_quality,
    months_with_statements,
    statement_of,
    stored_steps,
)
from billing.selectors.statement import statement_csv
from billing.views.charts import TOTALS, days_chart, waterfall_chart
from billing.views.words import RULES, UNMANAGED, answer, quality_words, shares
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr


@require_GET
@depot_page()
def savings(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the savings of `?month=YYYY-MM` (default: the newest month that has been billed)."""
    months = months_with_statements(depot)
    this = depot.cycles.month_of(clock.now())
    wanted = request.GET.get("month")
    month = _month(wanted) if wanted else (months[0] if months else this)
    context: dict[str, Any] = {
        "month": month,
        "before": max((other for other in months if other < month), default=None),
        "after": min((other for other in months if other > month), default=None),
    }
    statement = statement_of(depot, depot.cycles.bounds(month)[0])
    if statement is None:
        return render(
            request, "billing/savings_none.html", context | {"newest": months[0] if months else None}
        )
    return render(request, "billing/savings.html", context | _page(depot, statement, month, this))


@require_GET
@depot_page()
def statement_file(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give a month's statement as a file."""
    statement = statement_of(depot, depot.cycles.bounds(_month(month))[0])
    if statement is None:
        raise Http404(tr("{month} has not been billed.", month=month))
    return _file(statement_csv(depot, statement), f"savings-{depot.slug}-{month}.csv")


@require_GET
@depot_page()
def document(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give a month's statement as a PDF."""
    from billing.views.savings_pdf import statement_pdf

    first = _month(month)
    statement = statement_of(depot, depot.cycles.bounds(first)[0])
    if statement is None:
        raise Http404(tr("{month} has not been billed.", month=month))
    now = clock.now()
    told = _page(depot, statement, first, depot.cycles.month_of(now))
    response = HttpResponse(statement_pdf(depot, told, now), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="savings-{depot.slug}-{month}.pdf"'
    return response


@require_GET
@depot_page()
def bill_lines(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give the lines of both bills of a month as a file."""
    statement = statement_of(depot, depot.cycles.bounds(_month(month))[0])
    if statement is None:
        raise Http404(tr("{month} has not been billed.", month=month))
    return _file(bill_csv(statement), f"bills-{depot.slug}-{month}.csv")


@require_GET
@depot_page()
def intervals(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give every interval of a month with its energy, counterfactual and frozen prices as a file."""
    return _file(
        ledger_csv(depot, *depot.cycles.bounds(_month(month))), f"intervals-{depot.slug}-{month}.csv"
    )


def _page(depot: Depot, statement: SavingsStatement, month: date, this: date) -> dict[str, Any]:
    span = (statement.start_at, statement.end_at)
    running = month == this
    quality = data_quality(depot, *span)
    ledger = read_ledger(depot, *span)
    days = costs_by_day(depot, ledger, *span)
    currency = statement.currency
    steps = with_solar(stored_steps(statement), currency, solar_saving(ledger, currency)).steps
    between = charge_only_bill(depot, statement)
    return {
        "statement": statement,
        "answer": answer(depot, statement, running=running),
        "running": running,
        "waterfall": waterfall_chart(steps, currency),
        "steps": [
            {"id": step.id, "label": step.label, "amount": step.amount, "rule": tr(RULES[step.id])}
            for step in steps
            if step.id in TOTALS or step.amount
        ],
        "same": [step.label.lower() for step in steps if step.id not in TOTALS and not step.amount],
        "between": between,
        "programmes": statement.programme_revenue,
        "shares": shares(between, currency, statement.programme_revenue) if between else "",
        "emissions": emissions_of(depot, ledger),
        "lines": compared_lines(statement, between.result.periods[-1].lines if between else ()),
        "peaks": compared_peaks(depot, statement),
        "days": days_chart(days, currency) if any(day.actual is not None for day in days) else None,
        "band": band_of(statement),
        "unmanaged_rules": [tr(rule) for rule in UNMANAGED],
        "quality": quality,
        "quality_words": quality_words(quality),
        "wear_and_bill": statement.actual.total + statement.wear_added,
        "bill_difference": statement.actual.total - statement.unmanaged.total,
    }


def _month(text: str) -> date:
    try:
        month = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
        if not date.min.year < month.year < date.max.year:
            raise ValueError(tr("the months beside it are outside the calendar"))
    except ValueError as error:
        raise Http404(tr("“{text}” is not a month. Write it like 2026-10.", text=text)) from error
    return month


def _file(text: str, name: str) -> HttpResponse:
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    response = HttpResponse("\ufeff" + text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
