"""Order what one vehicle must do: a form, what it would cost, the confirmation; and the withdrawal."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from charging.forms import OrderForm
from charging.models import Override
from charging.services import overrides as service
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr
from fleet.models import Vehicle

SALT = "charging.override"
PREVIEW_LASTS_S = 1800


@require_http_methods(["GET", "POST"])
@depot_page("override")
def order(request: HttpRequest, depot: Depot, vehicle_id: int) -> HttpResponse:
    """Show the form, or what the order in it would cost and mean; nothing is stored."""
    vehicle = _vehicle(depot, vehicle_id)
    now = clock.now()
    form = OrderForm(depot, now, request.POST or None)
    context: dict[str, Any] = {"vehicle": vehicle, "form": form}
    if request.method == "POST" and form.is_valid():
        try:
            wanted = service.checked(depot, form.wanted(vehicle), now)
            context["preview"] = preview = service.preview(depot, wanted, now)
        except service.OrderError as error:
            form.add_problems(error.problems)
        else:
            context["order"] = wanted.row(depot, str(request.user), now)
            context["token"] = _sign(depot, wanted, preview.cost)
    return _answer(request, context)


@require_POST
@depot_page("override")
def confirm(request: HttpRequest, depot: Depot, vehicle_id: int) -> HttpResponse:
    """Give the order that was previewed."""
    vehicle, now = _vehicle(depot, vehicle_id), clock.now()
    try:
        wanted, cost = _read(depot, vehicle, request.POST.get("token", ""))
        given = service.create(depot, service.checked(depot, wanted, now), request.user, now, cost)
    except signing.BadSignature:
        messages.error(request, tr("Nothing was ordered: this preview is too old. Look at the cost again."))
    except service.OrderError as error:
        messages.error(request, tr("Nothing was ordered. {error}", error=error))
    else:
        messages.success(
            request,
            tr(
                "{vehicle}: {in_words}. A new plan follows in a moment.",
                vehicle=vehicle,
                in_words=given.in_words(),
            ),
        )
    return _to_plan(request, depot)


@require_POST
@depot_page("override")
def withdraw(request: HttpRequest, depot: Depot, override_id: int) -> HttpResponse:
    """End an order."""
    rows = Override.objects.of_depot(depot).select_related("vehicle", "depot")
    one = get_object_or_404(rows, pk=override_id)
    if service.withdraw(one, request.user, clock.now()):
        messages.success(
            request,
            tr("{vehicle}: the order is withdrawn. A new plan follows in a moment.", vehicle=one.vehicle),
        )
    else:
        messages.info(request, tr("{vehicle}: this order was over already.", vehicle=one.vehicle))
    return _to_plan(request, depot)


def _vehicle(depot: Depot, vehicle_id: int) -> Vehicle:
    return get_object_or_404(Vehicle.objects.of_depot(depot).select_related("type"), pk=vehicle_id)


def _answer(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    name = "charging/order.html" if request.htmx else "charging/order_page.html"  # type: ignore[attr-defined]
    return render(request, name, context)


def _to_plan(request: HttpRequest, depot: Depot) -> HttpResponse:
    back = redirect("charging:plan", slug=depot.slug)
    return HttpResponseClientRedirect(back.url) if request.htmx else back  # type: ignore[attr-defined]


def _sign(depot: Depot, wanted: service.Wanted, cost: float) -> str:
    """Return the previewed order as text that only this server can have written."""
    values = {
        "depot": depot.pk,
        "vehicle": wanted.vehicle.pk,
        "kind": wanted.kind,
        "to_at": wanted.to_at.isoformat(),
        "max_kw": wanted.max_kw,
        "soc": wanted.soc,
        "reason": wanted.reason,
        "cost": cost,
    }
    return signing.dumps(values, salt=SALT)


def _read(depot: Depot, vehicle: Vehicle, token: str) -> tuple[service.Wanted, float]:
    """Return the order and its cost; raises BadSignature for another vehicle's, a changed or an old one."""
    values = signing.loads(token, salt=SALT, max_age=PREVIEW_LASTS_S)
    if (values["depot"], values["vehicle"]) != (depot.pk, vehicle.pk):
        raise signing.BadSignature
    wanted = service.Wanted(vehicle, values["kind"], datetime.fromisoformat(values["to_at"]))
    wanted = replace(wanted, **{key: values[key] for key in ("max_kw", "soc", "reason")})
    return wanted, values["cost"]
