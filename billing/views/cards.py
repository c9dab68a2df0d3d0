"""The money card of Home."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.selectors.savings import cost_of_day, projected_total, statement_of
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.timegrid import month_bounds


@require_GET
@depot_page()
def money(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show today's energy cost, the month's net saving, and the bill so far with where it goes."""
    today = depot.local(clock.now()).date()
    day = cost_of_day(depot, today)
    statement = statement_of(depot, month_bounds(today, depot.tz)[0])
    context = {
        "day": day,
        "statement": statement,
        "projected": projected_total(depot, statement.actual) if statement else None,
    }
    return render(request, "billing/card_money.html", context)
