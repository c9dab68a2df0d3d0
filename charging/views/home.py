"""The cards of Home: the answer, the next pull-outs, the site now, and the chargers' connection."""

from __future__ import annotations

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from charging.models import Charger
from charging.selectors.links import linked
from charging.selectors.plan_view import site_view
from charging.selectors.plans import cost_sentence, running_plan
from charging.selectors.readiness import Outlook, readiness
from charging.selectors.site_now import STALE, site_now
from charging.views.site_chart import site_chart
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from fleet.models import Block, Vehicle

SHOWN = 8
STATE_ORDER = ("will_miss", "at_risk", "on_track", "ready")


@require_GET
@depot_page()
def answer(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Say in two sentences whether all will be ready and what it costs."""
    now = clock.now()
    plan = running_plan(depot, now)
    empty = _empty(depot)
    context = {
        "empty": empty,
        "sentence": "" if empty else Outlook(readiness(depot, now)).sentence(depot),
        "cost": cost_sentence(depot, plan) if plan else "",
    }
    return render(request, "charging/card_answer.html", context)


@require_GET
@depot_page()
def pull_outs_card(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the next pull-outs, each with its state and what to do."""
    rows = readiness(depot, clock.now())
    doubtful = [row for row in rows if not row.sure]
    first = [row for row in rows if row.sure][: max(0, SHOWN - len(doubtful[:SHOWN]))]
    shown = sorted([*doubtful[:SHOWN], *first], key=lambda row: row.duty.pull_out_at)
    context = {
        "outlook": Outlook(rows),
        "counts": _counts(Outlook(rows)),
        "rows": shown,
        "empty": _empty(depot) if not rows else "",
    }
    return render(request, "charging/card_readiness.html", context)


@require_GET
@depot_page()
def pull_outs(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show every pull-out of the next 24 hours."""
    outlook = Outlook(readiness(depot, clock.now()))
    context = {"outlook": outlook, "counts": _counts(outlook), "sentence": outlook.sentence(depot)}
    return render(request, "charging/pull_outs.html", context)


@require_GET
@depot_page()
def site_card(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show what the site draws now, against its limit and this month's peak, and the rest of today."""
    now = clock.now()
    plan = running_plan(depot, now)
    context = {
        "site": site_now(depot, now, plan),
        "chart": site_chart(site_view(depot, now, plan)) if plan else None,
        "stale_s": STALE.total_seconds(),
    }
    return render(request, "charging/card_site.html", context)


@require_GET
@depot_page()
def connection(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Say how many chargers are connected, for the top bar."""
    counts = Charger.objects.filter(depot=depot).aggregate(
        all=Count("pk"), connected=Count("pk", filter=linked(clock.now()))
    )
    return render(request, "charging/connection.html", counts)


def _counts(outlook: Outlook) -> list[tuple[str, int]]:
    """Return the states that occur with their counts, the worst first."""
    return [(state, outlook.counts[state]) for state in STATE_ORDER if outlook.counts[state]]  # type: ignore[index]


def _empty(depot: Depot) -> str:
    """Name what is missing before anything can be said: "vehicles", "schedule" or ""."""
    if not Vehicle.objects.filter(depot=depot, active=True).exists():
        return "vehicles"
    return "" if Block.objects.filter(depot=depot).exists() else "schedule"
