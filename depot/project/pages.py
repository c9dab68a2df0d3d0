"""The pages of the roof: they place cards that the apps serve."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from charging.selectors.portfolio import portfolio, portfolio_sentence
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot


@login_required
def depots(request: HttpRequest) -> HttpResponse:
    """Go straight to the only depot, or show all that the user has a part in."""
    visible = list(Depot.objects.visible_to(request.user))
    if len(visible) == 1:
        return redirect("home", slug=visible[0].slug)
    rows = portfolio(request.user, visible, clock.now())
    return render(request, "depot/depots.html", {"rows": rows, "sentence": portfolio_sentence(rows)})


@depot_page()
def home(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show readiness, site power, money and alerts; each card is served by the app that owns it."""
    return render(request, "depot/home.html")
