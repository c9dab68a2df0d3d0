"""One station: what it says of itself, what was noticed, and the operations one may order."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from charging.models import Charger
from charging.selectors.board_stations import station_details
from charging.services import certificates
from charging.services.operations import OPERATIONS, operate
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr


@require_GET
@depot_page("command_chargers")
def station(request: HttpRequest, depot: Depot, charger_id: int) -> HttpResponse:
    """Show one station with its latest notices and commands."""
    charger = _charger(depot, charger_id)
    context = station_details(charger, clock.now()) | {"operations": OPERATIONS.items()}
    return render(request, "charging/board_station_page.html", context)


@require_POST
@depot_page("command_chargers")
def order(request: HttpRequest, depot: Depot, charger_id: int) -> HttpResponse:
    """Order an operation that was chosen and confirmed; it is audited."""
    charger, name = _charger(depot, charger_id), request.POST.get("operation", "")
    if name not in OPERATIONS:
        messages.error(request, tr("Nothing was ordered. Choose what the station shall do."))
    elif request.POST.get("confirmed") != "on":
        messages.error(
            request, tr("Nothing was ordered. Confirm: {words}.", words=OPERATIONS[name].words.lower())
        )
    else:
        try:
            operate(charger, name, request.user, request.POST.get("given", ""))
        except ValueError as error:
            messages.error(request, tr("Nothing was ordered. {error}", error=error))
        else:
            messages.success(
                request,
                tr("Ordered: {words}. Its answer appears below.", words=OPERATIONS[name].words.lower()),
            )
    return redirect("charging:board-station", slug=depot.slug, charger_id=charger.pk)


@require_POST
@depot_page("command_chargers")
def revoke(request: HttpRequest, depot: Depot, charger_id: int, certificate_id: int) -> HttpResponse:
    """End a certificate of a station, after a confirmation; it is audited."""
    charger = _charger(depot, charger_id)
    row = get_object_or_404(charger.certificates, pk=certificate_id)
    if request.POST.get("confirmed") != "on":
        messages.error(request, tr("Nothing was revoked. Confirm it."))
    elif certificates.revoke(row, request.user, "revoked"):
        messages.success(
            request, tr("Revoked. A link that {name} has by it is closed within seconds.", name=charger.name)
        )
    else:
        messages.info(request, tr("It was not valid any more."))
    return redirect("charging:board-station", slug=depot.slug, charger_id=charger.pk)


def _charger(depot: Depot, charger_id: int) -> Charger:
    rows = Charger.objects.of_depot(depot).select_related("depot").prefetch_related("connectors")
    return get_object_or_404(rows, pk=charger_id)
