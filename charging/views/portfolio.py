"""All depots of a person, for Home and the page of depots."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from charging.selectors.portfolio import portfolio, portfolio_sentence
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot


@require_GET
@depot_page()
def card(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show each depot in which the user has a part, in a row."""
    rows = portfolio(request.user, list(Depot.objects.visible_to(request.user)), clock.now())
    context = {"rows": rows, "sentence": portfolio_sentence(rows)}
    return render(request, "charging/card_portfolio.html", context)
