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
from depot.words import tr, trn
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
        return tr("No vehicle is entered yet.")
    out = sum(row.outage is not None for row in rows)
    away = sum(row.away is not None and row.outage is None for row in rows)
    plugged = sum(row.state is not None and row.state.plugged_in for row in rows)
    doubtful = sum(row.next is not None and not row.next.sure for row in rows)
    parts = [tr("{plugged} plugged in", plugged=plugged), tr("{away} on a block", away=away)] + (
        [tr("{out} out of service", out=out)] if out else []
    )
    doubt = (
        trn("{count} next pull-out in doubt", "{count} next pull-outs in doubt", doubtful)
        if doubtful
        else tr("no pull-out in doubt")
    )
    return trn(
        "{count} vehicle: {parts}; {doubt}.",
        "{count} vehicles: {parts}; {doubt}.",
        len(rows),
        parts=", ".join(parts),
        doubt=doubt,
    )


def vehicle_answer(page: VehiclePage, depot: Depot) -> str:
    """Say where a vehicle is, with what charge, and how its next pull-out looks."""
    return f"{_whereabouts(page, depot)}{_leaves(page, depot)}"


def _whereabouts(page: VehiclePage, depot: Depot) -> str:
    name = page.vehicle.name
    if not page.vehicle.active:
        return tr("{name} is no longer in use.", name=name)
    charge = tr(" with {soc}", soc=percent(page.state.soc)) if page.state else tr("; its charge is not known")
    if page.running is not None:
        back = local_moment(page.running.pull_in_at, depot)
        return tr(
            "{name} is on block {block_id} until {back}{charge}.",
            name=name,
            block_id=page.running.block.block_id,
            back=back,
            charge=charge,
        )
    if page.state is not None and page.state.plugged_in:
        place = tr(" at {connector}", connector=page.connector) if page.connector else ""
        return tr("{name} is plugged in{place}{charge}.", name=name, place=place, charge=charge)
    return tr("{name} is not plugged in{charge}.", name=name, charge=charge)


def _leaves(page: VehiclePage, depot: Depot) -> str:
    if not page.vehicle.active:
        return ""
    if not page.coming:
        return tr(" No block is ahead in the next 7 days.")
    first = page.coming[0]
    leaves = local_moment(first.need.duty.pull_out_at, depot)
    verdict = f": {state_word(first.verdict.state).lower()}" if first.verdict else ""
    return tr(
        " It leaves {leaves} and needs {required_soc}{verdict}.",
        leaves=leaves,
        required_soc=percent(first.need.required_soc),
        verdict=verdict,
    )
