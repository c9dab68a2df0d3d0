"""The technician's checklist for one charger: from its first connection to the signature."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from charging.models import Charger
from charging.selectors.commissioning import commissioning, open_sessions
from charging.services.commissioning import CannotTestError, order_test, sign_off
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr

ABILITY = "command_chargers"
KINDS = ("limit", "discharge")


@require_GET
@depot_page(ABILITY)
def checklist(request: HttpRequest, depot: Depot, charger_id: int) -> HttpResponse:
    """Show the steps of a charger, each with what proves it, and what can be ordered."""
    charger = _charger(depot, charger_id)
    steps = commissioning(charger, clock.now())
    ready = all(step.passed for step in steps[:-1])
    next_step = next((step for step in steps if not step.passed), None)
    context = {
        "charger": charger,
        "steps": steps,
        "next_step": next_step,
        "done": sum(step.passed for step in steps),
        "sessions": open_sessions(charger),
        "kinds": KINDS if charger.bidirectional else KINDS[:1],
        "may_sign": ready and not steps[-1].passed,
    }
    return render(request, "charging/commissioning.html", context)


@require_POST
@depot_page(ABILITY)
def test(request: HttpRequest, depot: Depot, charger_id: int) -> HttpResponse:
    """Order a test that was confirmed."""
    charger, kind = _charger(depot, charger_id), request.POST.get("kind", "")
    try:
        if kind not in KINDS:
            raise CannotTestError(tr("Choose a test."))
        if request.POST.get("confirmed") != "on":
            raise CannotTestError(tr("Confirm that the vehicle may be used for the test."))
        wanted = request.POST.get("session", "")
        session = next((one for one in open_sessions(charger) if str(one.pk) == wanted), None)
        order_test(charger, session, kind, request.user, clock.now())  # type: ignore[arg-type]
        messages.success(request, tr("The test is ordered. Load this page again in three minutes."))
    except CannotTestError as error:
        messages.error(request, tr("Nothing was ordered. {error}", error=error))
    return redirect("charging:commissioning", slug=depot.slug, charger_id=charger.pk)


@require_POST
@depot_page(ABILITY)
def sign(request: HttpRequest, depot: Depot, charger_id: int) -> HttpResponse:
    """Sign a charger off."""
    charger = _charger(depot, charger_id)
    try:
        if request.POST.get("confirmed") != "on":
            raise CannotTestError(tr("Confirm that the charger may be used."))
        sign_off(charger, request.user, clock.now())
        messages.success(request, tr("{name} is signed off.", name=charger.name))
    except CannotTestError as error:
        messages.error(request, tr("Nothing was signed. {error}", error=error))
    return redirect("charging:commissioning", slug=depot.slug, charger_id=charger.pk)


def _charger(depot: Depot, charger_id: int) -> Charger:
    rows = Charger.objects.of_depot(depot).select_related("depot").prefetch_related("connectors")
    return get_object_or_404(rows, pk=charger_id)
