"""The Schedules page and the upload in visible steps: file, check, preview, done."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from depot import clock
from depot.access.pages import depot_page
from depot.imports import MAX_BYTES
from depot.models import Depot, ImportBatch
from fleet.formats import canonical
from fleet.formats.blocks import BlockRow
from fleet.formats.clock import clock as clock_text
from fleet.formats.preview import Preview
from fleet.formats.service_days import describe_service_days
from fleet.selectors.schedules import blocks_of, last_uploads, schedule_answer
from fleet.services import schedules as service

BLOCKS_A_PAGE = 200
LINES_SHOWN = 200
STEPS = ("File", "Check", "Preview", "Done")
SHOWN_FIELDS = (
    ("depart_minute", "pull-out"),
    ("return_minute", "pull-in"),
    ("valid_from", "valid from"),
    ("valid_to", "valid to"),
    ("distance_km", "km"),
    ("energy_kwh", "kWh"),
    ("min_soc_departure", "leave with"),
    ("vehicle", "vehicle"),
    ("vehicle_type", "type"),
    ("precondition", "precondition"),
)


@require_GET
@depot_page()
def schedules(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show who has which blocks on which days."""
    now = clock.now()
    words = request.GET.get("q", "").strip()[:60]
    blocks = blocks_of(depot, depot.local(now).date(), words)
    page = Paginator(blocks, BLOCKS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "answer": schedule_answer(depot, now),
        "page": page,
        "lines": [_line(block) for block in page],
        "words": words,
        "uploads": last_uploads(depot),
    }
    return render(request, "fleet/schedules.html", context)


@require_http_methods(["GET", "POST"])
@depot_page("write_schedules")
def upload(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Take a file, keep it, and go to what was found in it."""
    if request.method == "POST":
        return _take(request, depot)
    context = {"steps": _steps(0), "max_megabytes": MAX_BYTES // 2**20}
    return render(request, "fleet/schedules_upload.html", context)


def _take(request: HttpRequest, depot: Depot) -> HttpResponse:
    file = request.FILES.get("file")
    size, name = (file.size or 0, file.name or "the file") if file else (0, "")
    if file is None:
        problem = "No file was chosen. Choose a CSV file and upload it again."
    elif size > MAX_BYTES:
        problem = (
            f"{name} has {size / 2**20:.0f} MB; at most {MAX_BYTES // 2**20} MB are read. Nothing was saved. "
            "Split it, for instance by month."
        )
    else:
        batch = service.upload(depot, request.user, file.read(), name)
        return redirect("fleet:schedule-preview", slug=depot.slug, batch_id=batch.pk)
    messages.error(request, problem)
    return redirect("fleet:schedule-upload", slug=depot.slug)


@require_GET
@depot_page("write_schedules")
def preview(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Show what is wrong with an uploaded file, or what saving it would change, or what was saved."""
    batch = _batch(depot, batch_id)
    if batch.state == ImportBatch.State.COMMITTED:
        context = {"batch": batch, "report": batch.report, "saved": batch.report["saved"], "steps": _steps(3)}
        return render(request, "fleet/schedules_done.html", context)
    found = service.check(depot, bytes(batch.content), batch.file_name, batch.file_format)
    return render(request, "fleet/schedules_preview.html", _preview_context(batch, found))


@require_POST
@depot_page("write_schedules")
def save(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Save the blocks of a checked file, all of them or none."""
    batch = _batch(depot, batch_id)
    try:
        service.commit(batch, request.user, replace=request.POST.get("mode") == "replace")
    except service.ScheduleRefused as refusal:
        messages.error(request, f"Nothing was saved. {refusal}")
    return redirect("fleet:schedule-preview", slug=depot.slug, batch_id=batch.pk)


@require_GET
@depot_page()
def template(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Give an empty schedule file with this depot's vehicles."""
    text = canonical.write_template(service.known_fleet(depot), depot.slug)
    return _csv(text, f"schedule-template-{depot.slug}.csv")


@require_GET
@depot_page()
def download(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Give the schedule as it is, in the form that can be uploaded again."""
    return _csv(canonical.write(service.block_rows(depot), depot.slug), f"schedule-{depot.slug}.csv")


def _batch(depot: Depot, batch_id: int) -> ImportBatch:
    return get_object_or_404(ImportBatch.objects.of_depot(depot), pk=batch_id, kind=service.KIND)


def _csv(text: str, name: str) -> HttpResponse:
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    response = HttpResponse("\ufeff" + text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _steps(current: int) -> list[dict[str, Any]]:
    """Return the steps of the upload with what is behind and where it stands."""
    return [
        {"name": name, "done": index < current, "current": index == current}
        for index, name in enumerate(STEPS)
    ]


def _preview_context(batch: ImportBatch, found: Preview) -> dict[str, Any]:
    change = found.difference
    changed = [
        {"block": _line(after), "what": _what_changed(before, after)}
        for before, after in change.changed[:LINES_SHOWN]
    ]
    problems = found.errors or found.conflicts
    rows_with_errors = len({(error.sheet, error.row) for error in found.errors if error.row is not None})
    return {
        "batch": batch,
        "report": service.report(found),
        "steps": _steps(1 if found.errors else 2),
        "rows_with_errors": rows_with_errors,
        "problems": problems[:LINES_SHOWN],
        "problems_hidden": max(0, len(problems) - LINES_SHOWN),
        "warnings": found.warnings[:LINES_SHOWN],
        "new": [_line(row) for row in change.new[:LINES_SHOWN]],
        "changed": changed,
        "missing": [_line(row) for row in change.missing[:LINES_SHOWN]],
        "limit": LINES_SHOWN,
    }


def _line(block: Any) -> dict[str, Any]:
    """Return a block, of the database or of a file, in the words of the page."""
    day: date | None = block.service_date
    return {
        "block_id": block.block_id,
        "vehicle": str(block.vehicle or ""),
        "vehicle_type": str(block.vehicle_type or ""),
        "days": f"{day:%a} {day.day} {day:%b %Y}" if day else describe_service_days(block.weekdays),
        "valid_from": block.valid_from,
        "valid_to": block.valid_to,
        "calendar": str(getattr(block, "calendar", None) or ""),
        "pull_out": clock_text(block.depart_minute),
        "pull_in": clock_text(block.return_minute),
        "distance_km": block.distance_km,
        "energy_kwh": block.energy_kwh,
        "min_soc_departure": block.min_soc_departure,
    }


def _what_changed(before: BlockRow, after: BlockRow) -> list[str]:
    """Say each field that differs as “pull-out 06:30 → 06:45”."""
    pairs = [(label, name, getattr(before, name), getattr(after, name)) for name, label in SHOWN_FIELDS]
    return [
        f"{label} {_shown(name, old)} → {_shown(name, new)}" for label, name, old, new in pairs if old != new
    ]


def _shown(name: str, value: Any) -> str:
    if value in (None, ""):
        return "none"
    if name.endswith("_minute"):
        return clock_text(value)
    if name == "min_soc_departure":
        return f"{value * 100:g} %"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
