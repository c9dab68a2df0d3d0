"""The Programmes page: calls of grid programmes, what they pay and paid, and entering them."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from billing.forms_programmes import ProgrammeEventForm
from billing.models import ProgrammeEvent
from billing.selectors.programmes import listed, pay_words
from billing.services import programmes as service
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr

ABILITY = "write_programmes"


@require_http_methods(["GET", "POST"])
@depot_page()
def programmes(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the events that are coming and those of the last months; a manager enters one."""
    now = clock.now()
    may_write = ABILITY in request.abilities  # type: ignore[attr-defined]
    if request.method == "POST" and not may_write:
        raise PermissionDenied(tr("Your role does not enter events. Ask a manager of the depot."))
    form = ProgrammeEventForm(depot, now, request.POST or None)
    if request.method == "POST" and form.is_valid():
        event = form.row()
        try:
            service.enter(event, request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            form.add_faults(error)
        else:
            then = (
                tr("A new plan follows in a moment.")
                if event.end_at > now
                else tr("It counts in its month's savings.")
            )
            messages.success(request, tr("{event} is entered. {then}", event=event, then=then))
            return redirect("billing:programmes", slug=depot.slug)
    coming, over = listed(depot, now)
    return render(
        request,
        "billing/programmes.html",
        {
            "form": form if may_write else None,
            "coming": [(event, pay_words(event, depot.currency)) for event in coming],
            "over": over,
            "zone": f"{depot.local(now):%Z}",
        },
    )


@require_POST
@depot_page(ABILITY)
def delete(request: HttpRequest, depot: Depot, event_id: int) -> HttpResponse:
    """Delete an event that was called off or entered wrongly."""
    event = get_object_or_404(ProgrammeEvent.objects.of_depot(depot).select_related("depot"), pk=event_id)
    try:
        service.delete(event, request.user)  # type: ignore[arg-type]
    except ValidationError as error:
        messages.error(request, tr("Nothing was deleted. {reason}", reason=" ".join(error.messages)))
    else:
        messages.success(request, tr("{event} is deleted. A new plan follows in a moment.", event=event))
    return redirect("billing:programmes", slug=depot.slug)
