"""Compare tariffs on the depot's own year: ask for it, wait for it, see it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from billing.price_jobs import COMPARE
from billing.selectors.tariff_bills import OWN, chosen
from billing.selectors.tariffs import tariff_on
from depot import clock
from depot.access.pages import depot_page
from depot.jobs import enqueue
from depot.models import Depot, Job
from depot.words import mark, tr

MOST = 20
KIND_WORDS = {
    "energy": mark("Energy"),
    "demand": mark("Demand"),
    "subscription": mark("Subscribed power"),
    "coincident": mark("Coincident peak"),
    "fixed": mark("Fixed"),
    "reactive": mark("Reactive"),
    "export": mark("Export"),
    "minimum": mark("Minimum bill"),
    "tax": mark("Taxes"),
}


@require_POST
@depot_page("write_tariffs")
def compare(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Ask for the comparison of the chosen tariffs; the same choice on one day is worked out once."""
    keys = sorted({key for key, _ in chosen(depot, request.POST.getlist("tariff")[:MOST])})
    if not keys:
        messages.error(request, tr("No tariff was chosen. Tick the ones to compare."))
        return redirect("billing:tariffs", slug=depot.slug)
    digest = hashlib.sha256(repr(keys).encode()).hexdigest()[:16]
    window = f"{depot.local(clock.now()):%Y-%m-%d} {digest}"
    job = enqueue(COMPARE, depot, window, {"keys": keys}, request.user)  # type: ignore[arg-type]
    result = reverse("billing:tariff-comparison", args=[depot.slug, job.pk])
    return redirect(reverse("depot:job", args=[depot.slug, job.pk]) + "?" + urlencode({"next": result}))


@require_GET
@depot_page()
def comparison(request: HttpRequest, depot: Depot, job_id: uuid.UUID) -> HttpResponse:
    """Show what each tariff would have cost, beside the one that is valid today."""
    job = get_object_or_404(Job.objects.of_depot(depot), pk=job_id, kind=COMPARE)
    if job.state != Job.State.DONE or not job.result:
        raise Http404(tr("This comparison is not finished."))
    today = tariff_on(depot, depot.local(clock.now()).date())
    return render(
        request, "billing/tariff_compare.html", _context(job.result, f"{OWN}{today.pk}" if today else "")
    )


def _context(result: dict[str, Any], current: str) -> dict[str, Any]:
    tariffs = result["tariffs"]
    billed = [one for one in tariffs if "total" in one]
    kinds = [kind for kind in KIND_WORDS if any(kind in one["by_kind"] for one in billed)]
    now = next((one["total"] for one in billed if one["key"] == current), None)
    rows = [
        {
            "name": one["name"],
            "current": one["key"] == current,
            "total": Decimal(str(one["total"])),
            "difference": None if now is None else Decimal(str(one["total"])) - Decimal(str(now)),
            "saved": None if now is None else Decimal(str(now)) - Decimal(str(one["total"])),
            "parts": [one["by_kind"].get(kind) for kind in kinds],
        }
        for one in billed
    ]
    return {
        "result": result,
        "rows": rows,
        "kinds": [tr(KIND_WORDS[kind]) for kind in kinds],
        "refused": [one for one in tariffs if "total" not in one],
        "has_current": now is not None,
        "from_at": datetime.fromisoformat(result["from"]),
        "to_at": datetime.fromisoformat(result["to"]),
    }
