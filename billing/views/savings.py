"""The Savings page: what a month cost, what it would have cost, and every step between."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.models import SavingsStatement
from billing.selectors.export import bill_csv, ledger_csv
from billing.selectors.savings import (
    compared_lines,
    compared_peaks,
    data_quality,
    day_costs,
    months_with_statements,
    statement_of,
)
from billing.views.charts import TOTALS, days_chart, waterfall_chart
from billing.views.words import RULES, answer, quality_words
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.timegrid import month_bounds


@require_GET
@depot_page()
def savings(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the savings of `?month=YYYY-MM` (default: the newest month that has been billed)."""
    months = months_with_statements(depot)
    today = depot.local(clock.now()).date()
    wanted = request.GET.get("month")
    month = _month(wanted) if wanted else (months[0] if months else today.replace(day=1))
    context: dict[str, Any] = {
        "month": month,
        "before": max((other for other in months if other < month), default=None),
        "after": min((other for other in months if other > month), default=None),
    }
    statement = statement_of(depot, month_bounds(month, depot.tz)[0])
    if statement is None:
        return render(
            request, "billing/savings_none.html", context | {"newest": months[0] if months else None}
        )
    return render(request, "billing/savings.html", context | _page(depot, statement, month, today))


@require_GET
@depot_page()
def bill_lines(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give the lines of both bills of a month as a file."""
    statement = statement_of(depot, month_bounds(_month(month), depot.tz)[0])
    if statement is None:
        raise Http404(f"{month} has not been billed.")
    return _file(bill_csv(statement), f"bills-{depot.slug}-{month}.csv")


@require_GET
@depot_page()
def intervals(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give every interval of a month with its energy, counterfactual and frozen prices as a file."""
    return _file(
        ledger_csv(depot, *month_bounds(_month(month), depot.tz)), f"intervals-{depot.slug}-{month}.csv"
    )


def _page(depot: Depot, statement: SavingsStatement, month: date, today: date) -> dict[str, Any]:
    span = (statement.start_at, statement.end_at)
    running = (month.year, month.month) == (today.year, today.month)
    quality = data_quality(depot, *span)
    days = day_costs(depot, *span)
    return {
        "statement": statement,
        "answer": answer(depot, statement, running=running),
        "running": running,
        "waterfall": waterfall_chart(statement),
        "steps": [step | {"rule": RULES[step["id"]]} for step in statement.steps if not _nothing(step)],
        "same": [step["label"].lower() for step in statement.steps if _nothing(step)],
        "lines": compared_lines(statement),
        "peaks": compared_peaks(depot, statement),
        "days": days_chart(days, statement.currency) if any(day.actual is not None for day in days) else None,
        "quality": quality,
        "quality_words": quality_words(quality),
        "wear_and_bill": statement.actual.total + statement.wear_added,
        "bill_difference": statement.actual.total - statement.unmanaged.total,
    }


def _nothing(step: dict[str, str]) -> bool:
    return step["id"] not in TOTALS and not Decimal(step["amount"])


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise Http404(f"“{text}” is not a month. Write it like 2026-10.") from error


def _file(text: str, name: str) -> HttpResponse:
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    response = HttpResponse("\ufeff" + text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
