"""The Plan page, one vehicle of it, the comparison with unmanaged charging, and asking for a new plan."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from charging.models import Plan
from charging.selectors.overrides import overrides_in_force
from charging.selectors.plan_view import compare, plan_view, vehicle_lane
from charging.selectors.plans import (
    cost_sentence,
    grid_of,
    latest_plan,
    proof_words,
    running_plan,
)
from charging.selectors.timeline import demand_labels, timeline
from charging.views.plan_charts import lanes_chart, power_chart
from charging.views.vehicle_chart import vehicle_chart
from depot import clock
from depot.access.pages import depot_page
from depot.audit import record
from depot.jobs import enqueue
from depot.models import Depot, Job
from depot.words import later, tr
from fleet.models import Vehicle

REQUEST = "request "
OLD_PLAN_S = 3600


@require_GET
@depot_page()
def plan(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show what every vehicle and the site will do until the plan ends, and why."""
    now = clock.now()
    view = plan_view(depot, now)
    if view is None:
        return render(request, "charging/plan_none.html", {"last": latest_plan(depot, now)})
    context = {
        "plan": view.plan,
        "answer": cost_sentence(depot, view.plan),
        "proof": proof_words(view.plan),
        "power_chart": power_chart(view),
        "lanes_chart": lanes_chart(view),
        "lanes": view.lanes,
        "rows": _row_addresses(view.lanes, depot),
        "notes": view.plan.notes.get("depot", []),
        "remarks": view.plan.notes.get("remarks", []),
        "peaks": view.peaks,
        "orders": overrides_in_force(depot, now),
        "old_plan_s": OLD_PLAN_S,
    }
    return render(request, "charging/plan.html", context)


def _row_addresses(lanes: list[Any], depot: Depot) -> list[str]:
    """Return the address of each lane's vehicle, in the order of the chart's rows."""
    return [reverse("charging:plan-vehicle", args=[depot.slug, lane.vehicle.pk]) for lane in lanes]


@require_GET
@depot_page()
def status(request: HttpRequest, depot: Depot, plan_id: int) -> HttpResponse:
    """Say how old the plan on the page is, and whether there is a newer one."""
    shown = get_object_or_404(Plan.objects.of_depot(depot).defer("case", "answer"), pk=plan_id)
    newest = latest_plan(depot, clock.now())
    context = {
        "plan": shown,
        "proof": proof_words(shown),
        "newer": newest if newest and newest.pk != shown.pk else None,
        "old_plan_s": OLD_PLAN_S,
    }
    return render(request, "charging/plan_status.html", context)


@require_GET
@depot_page()
def vehicle(request: HttpRequest, depot: Depot, vehicle_id: int) -> HttpResponse:
    """Show one vehicle's charge and power, and every reason of the plan; a fragment inside the Plan page."""
    now = clock.now()
    one = get_object_or_404(Vehicle.objects.of_depot(depot).select_related("type", "state"), pk=vehicle_id)
    found = vehicle_lane(depot, now, one, running_plan(depot, now))
    context: dict[str, Any] = {"vehicle": one, "lane": None}
    if found is not None:
        line, lane = found
        context |= {"lane": lane, "chart": vehicle_chart(line, lane, depot, now)}
    name = "charging/vehicle.html" if request.htmx else "charging/vehicle_page.html"  # type: ignore[attr-defined]
    return render(request, name, context)


@require_GET
@depot_page()
def comparison(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the plan's cost beside that of charging everything on arrival, part by part."""
    now = clock.now()
    running = running_plan(depot, now)
    context: dict[str, Any] = {"plan": running}
    if running is not None:
        context["end_at"] = grid_of(running).end_at
        context["comparison"] = found = compare(running, _demand_names(depot, running, now))
        context["less"] = -found.stored_worth
    name = "charging/compare.html" if request.htmx else "charging/compare_page.html"  # type: ignore[attr-defined]
    return render(request, name, context)


def _demand_names(depot: Depot, running: Plan, now: datetime) -> dict[str, str]:
    labels = demand_labels(depot, timeline(running, depot, now).grid)
    return {key: label for key, (label, _, _) in labels.items()}


@require_POST
@depot_page("replan")
def replan(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Ask for a new plan now, and show how far it is; a second click follows the first one's."""
    waiting = Job.objects.filter(
        depot=depot,
        kind="plan",
        window__startswith=REQUEST,
        state__in=(Job.State.QUEUED, Job.State.RUNNING),
    ).first()
    if waiting is None:
        user = request.user
        payload = {"trigger": tr("Asked for by {user}", user=user)}
        waiting = enqueue("plan", depot, f"{REQUEST}{uuid.uuid4()}", payload, user)  # type: ignore[arg-type]
        record(depot, user, "plan.requested", later("Asked for a new plan."), job=str(waiting.pk))
    address = reverse("depot:job", args=[depot.slug, waiting.pk])
    return redirect(f"{address}?{urlencode({'next': reverse('charging:plan', args=[depot.slug])})}")
