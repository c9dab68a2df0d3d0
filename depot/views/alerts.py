"""What needs somebody now: the card of Home and the bell of the top bar."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from depot.access.pages import depot_page
from depot.alerts import open_alerts
from depot.models import Depot

SHOWN_ON_HOME = 8


@depot_page()
def card(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the worst open alerts, and how many more there are."""
    alerts = list(open_alerts(depot))
    context = {"alerts": alerts[:SHOWN_ON_HOME], "more": max(0, len(alerts) - SHOWN_ON_HOME)}
    return render(request, "depot/card_alerts.html", context)


@depot_page()
def bell(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show how many alerts are open, in the tone of the worst."""
    levels = list(open_alerts(depot).values_list("level", flat=True))
    return render(
        request, "depot/alert_bell.html", {"count": len(levels), "worst": levels[0] if levels else ""}
    )
