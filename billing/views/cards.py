"""The money card of Home."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.selectors.savings import cost_of_day, statement_of
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot


@require_GET
@depot_page()
def money(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show today's energy cost, the month's net saving, and the bill so far with where it goes."""
    now = clock.now()
    day = cost_of_day(depot, depot.local(now).date())
    statement = statement_of(depot, depot.cycles.bounds(depot.cycles.month_of(now))[0])
    context = {
        "day": day,
        "statement": statement,
    }
    return render(request, "billing/card_money.html", context)
