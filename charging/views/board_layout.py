"""Lay out the yard: which connector stands in which row, at which place."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from charging.forms_yard import YardForm
from charging.models import Connector
from charging.services.yard import arrange
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr


@require_http_methods(["GET", "POST"])
@depot_page("set_up_site")
def layout(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the form, or store what it says and go back to the board."""
    rows = Connector.objects.of_depot(depot).select_related("charger", "vehicle")
    connectors = list(rows.order_by("yard_row", "yard_place", "bay", "charger__name", "evse_id"))
    form = YardForm(connectors, request.POST or None)
    if request.method == "POST" and form.is_valid():
        moved = arrange(depot, form.places, request.user)
        messages.success(
            request, tr("The layout is saved; {moved} connectors have another place.", moved=moved)
        )
        return redirect(f"{reverse('charging:board', args=[depot.slug])}?sort=yard")
    return render(request, "charging/board_layout.html", {"form": form})
