"""Prices per interval: upload a file, see what is in it, save it; choose the source of new ones."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from billing.forms import SourceForm
from billing.models import PriceSeries
from billing.services.market import PriceFileError, check_file, import_file, set_source
from billing.sources import FACTORS
from billing.sources.points import UNIT_WORDS
from depot import clock
from depot.access.pages import depot_page
from depot.imports import MAX_BYTES
from depot.models import Depot, ImportBatch, User
from depot.words import tr

KIND = "prices"
SHOWN = 50


@require_http_methods(["GET", "POST"])
@depot_page("write_tariffs")
def upload(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Take a price file, keep it, and go to what is in it."""
    if request.method == "POST":
        return _take(request, depot)
    context = {
        "kinds": PriceSeries.Kind.choices,
        "max_megabytes": MAX_BYTES // 2**20,
    }
    return render(request, "billing/prices_upload.html", context)


def _take(request: HttpRequest, depot: Depot) -> HttpResponse:
    file, kind = request.FILES.get("file"), request.POST.get("kind", "")
    if file is None or kind not in PriceSeries.Kind.values:
        messages.error(request, tr("No file was chosen. Choose a file and what it holds."))
    elif (file.size or 0) > MAX_BYTES:
        messages.error(
            request,
            tr(
                "{name} is larger than {most} MB. Split it by year.",
                name=file.name,
                most=MAX_BYTES // 2**20,
            ),
        )
    else:
        content = file.read()
        batch = ImportBatch.objects.create(
            depot=depot,
            kind=KIND,
            file_format=kind,
            file_name=(file.name or tr("the file"))[:200],
            file_digest=hashlib.sha256(content).hexdigest(),
            content=content,
            uploaded_by=request.user if isinstance(request.user, User) else None,
            uploaded_at=clock.now(),
        )
        return redirect("billing:prices-check", slug=depot.slug, batch_id=batch.pk)
    return redirect("billing:prices-upload", slug=depot.slug)


@require_GET
@depot_page("write_tariffs")
def check(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Show what an uploaded file holds, or every fault in it; ask for column and unit where it leaves them open."""
    batch = _batch(depot, batch_id)
    if batch.report.get("emptied"):
        messages.error(
            request, tr("{file_name} is not kept any more. Upload it again.", file_name=batch.file_name)
        )
        return redirect("billing:prices-upload", slug=depot.slug)
    column, unit = request.GET.get("column", ""), request.GET.get("unit", "")
    reading = check_file(
        depot,
        batch.file_format,
        bytes(batch.content),
        batch.file_name,
        column,
        unit if unit in FACTORS else "",
    )
    points = reading.points
    values = [point.per_kwh for point in points]
    context: dict[str, Any] = {
        "batch": batch,
        "kind": PriceSeries.Kind(batch.file_format),
        "reading": reading,
        "column": column or reading.column,
        "unit": unit,
        "units": [(known, UNIT_WORDS[known]) for known in FACTORS if reading.unit in ("", unit)],
        "problems": reading.errors[:SHOWN],
        "hidden": max(len(reading.errors) - SHOWN, 0),
        "first": points[0] if points else None,
        "last": points[-1] if points else None,
        "lowest": min(values, default=None),
        "highest": max(values, default=None),
        "asking": bool(reading.errors) and not reading.unit and bool(reading.columns),
        "saved": batch.state == ImportBatch.State.COMMITTED,
    }
    return render(request, "billing/prices_check.html", context)


@require_POST
@depot_page("write_tariffs")
def save(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Save all prices of a checked file, or none."""
    batch = _batch(depot, batch_id)
    column, unit = request.POST.get("column", ""), request.POST.get("unit", "")
    now = clock.now()
    try:
        reading, stored = import_file(
            depot,
            request.user,
            batch.file_format,
            bytes(batch.content),
            batch.file_name,
            now,
            column,
            unit if unit in FACTORS else "",
        )
    except PriceFileError as error:
        messages.error(request, tr("Nothing was saved. {value}", value=error.problems[0].sentence))
        return redirect("billing:prices-check", slug=depot.slug, batch_id=batch.pk)
    batch.state, batch.committed_at = ImportBatch.State.COMMITTED, now
    batch.report = {"column": reading.column, "new": stored.new, "changed": stored.changed}
    batch.save(update_fields=["state", "committed_at", "report"])
    messages.success(
        request,
        tr(
            "{file_name} is saved: {new:,} new intervals, {changed:,} changed.",
            file_name=batch.file_name,
            new=stored.new,
            changed=stored.changed,
        ),
    )
    return redirect("billing:tariffs", slug=depot.slug)


@require_POST
@depot_page("write_tariffs")
def source(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Choose where new market prices come from."""
    series = PriceSeries.objects.filter(depot=depot, kind=PriceSeries.Kind.MARKET).first()
    form = SourceForm(request.POST, instance=series or PriceSeries(depot=depot, kind=PriceSeries.Kind.MARKET))
    if form.is_valid():
        set_source(form.save(commit=False), request.user)
        messages.success(request, tr("The source is saved; it is asked every hour."))
    else:
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
    return redirect("billing:tariffs", slug=depot.slug)


def _batch(depot: Depot, batch_id: int) -> ImportBatch:
    return get_object_or_404(ImportBatch.objects.of_depot(depot), pk=batch_id, kind=KIND)
