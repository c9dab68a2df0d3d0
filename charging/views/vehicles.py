"""The vehicles: all of them in a row each, and one with everything that is known of it."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from charging.selectors.readiness import STALE_SOC
from charging.selectors.vehicle_page import FleetRow, VehiclePage, fleet_rows, vehicle_page
from charging.views.vehicle_trace import trace_chart
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.templatetags.depot_pages import local_moment, percent, state_word
from fleet.models import Vehicle
from fleet.selectors.duties import MOMENT


@require_GET
@depot_page()
def vehicles(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show every vehicle with its charge, its next pull-out and its battery."""
    rows = fleet_rows(depot, clock.now())
    context = {"rows": rows, "answer": fleet_answer(rows), "stale_s": STALE_SOC.total_seconds()}
    return render(request, "charging/vehicles.html", context)


@require_GET
@depot_page()
def vehicle(request: HttpRequest, depot: Depot, vehicle_id: int) -> HttpResponse:
    """Show one vehicle: its state, its charge over the last days, its blocks, sessions, battery and alerts."""
    now = clock.now()
    found = get_object_or_404(Vehicle.objects.of_depot(depot).select_related("type", "state"), pk=vehicle_id)
    page = vehicle_page(depot, found, now)
    context = {
        "page": page,
        "vehicle": found,
        "answer": vehicle_answer(page, depot),
        "chart": trace_chart(page, depot, now),
        "outages": [(outage, outage.covers(now, now + MOMENT)) for outage in page.outages],
        "stale_s": STALE_SOC.total_seconds(),
    }
    return render(request, "charging/vehicle_detail.html", context)


def fleet_answer(rows: Sequence[FleetRow]) -> str:
    """Say where the vehicles are and how many next pull-outs are in doubt."""
    if not rows:
        return "No vehicle is entered yet."
    out = sum(row.outage is not None for row in rows)
    away = sum(row.away is not None and row.outage is None for row in rows)
    plugged = sum(row.state is not None and row.state.plugged_in for row in rows)
    doubtful = sum(row.next is not None and not row.next.sure for row in rows)
    parts = [f"{plugged} plugged in", f"{away} on a block"] + ([f"{out} out of service"] if out else [])
    doubt = (
        f"{doubtful} next pull-out{'' if doubtful == 1 else 's'} in doubt"
        if doubtful
        else "no pull-out in doubt"
    )
    return f"{len(rows)} vehicle{'' if len(rows) == 1 else 's'}: {', '.join(parts)}; {doubt}."


def vehicle_answer(page: VehiclePage, depot: Depot) -> str:
    """Say where a vehicle is, with what charge, and how its next pull-out looks."""
    return f"{_whereabouts(page, depot)}{_leaves(page, depot)}"


def _whereabouts(page: VehiclePage, depot: Depot) -> str:
    name = page.vehicle.name
    if not page.vehicle.active:
        return f"{name} is no longer in use."
    charge = f" with {percent(page.state.soc)}" if page.state else "; its charge is not known"
    if page.running is not None:
        back = local_moment(page.running.pull_in_at, depot)
        return f"{name} is on block {page.running.block.block_id} until {back}{charge}."
    if page.state is not None and page.state.plugged_in:
        place = f" at {page.connector}" if page.connector else ""
        return f"{name} is plugged in{place}{charge}."
    return f"{name} is not plugged in{charge}."


def _leaves(page: VehiclePage, depot: Depot) -> str:
    if not page.vehicle.active:
        return ""
    if not page.coming:
        return " No block is ahead in the next 7 days."
    first = page.coming[0]
    leaves = local_moment(first.need.duty.pull_out_at, depot)
    verdict = f": {state_word(first.verdict.state).lower()}" if first.verdict else ""
    return f" It leaves {leaves} and needs {percent(first.need.required_soc)}{verdict}."
