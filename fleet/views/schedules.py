"""The Schedules page and the upload in visible steps: file, check, preview, done."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import PurePath
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from depot import clock
from depot.access.pages import depot_page
from depot.imports import MAX_BYTES, FileError
from depot.jobs.services import UNFINISHED
from depot.models import Depot, ImportBatch, Job
from depot.words import mark, tr
from fleet.formats import canonical, gtfs, workbook
from fleet.formats.clock import clock as clock_text
from fleet.formats.clock import day_text
from fleet.formats.service_days import say_service_days
from fleet.formats.with_errors import with_errors
from fleet.forms import ScheduleDaysForm, ScheduleSettingsForm
from fleet.selectors.schedules import blocks_of, coming_duties, coming_needs, last_uploads, schedule_answer
from fleet.services import schedules as service
from fleet.services.undo import CannotUndo, last_saved, undo

WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BLOCKS_A_PAGE = 200
LINES_SHOWN = 200
STEPS = (mark("File"), mark("Check"), mark("Preview"), mark("Done"))


@require_GET
@depot_page()
def schedules(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show who has which blocks on which days."""
    now = clock.now()
    words = request.GET.get("q", "").strip()[:60]
    blocks = blocks_of(depot, depot.local(now).date(), words)
    page = Paginator(blocks, BLOCKS_A_PAGE).get_page(request.GET.get("page"))
    coming = coming_duties(depot, now)
    needs = coming_needs(coming, now)
    context = {
        "answer": schedule_answer(depot, coming, now),
        "page": page,
        "lines": [_line(block) | {"need": needs.get(block.pk)} for block in page],
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
    size, name = (file.size or 0, file.name or tr("the file")) if file else (0, "")
    if file is None:
        problem = tr("No file was chosen. Choose a file and upload it again.")
    elif size > MAX_BYTES:
        problem = tr(
            "{name} has {size:.0f} MB; at most {most} MB are read. Nothing was saved. Split it, "
            "for instance by month.",
            name=name,
            size=size / 2**20,
            most=MAX_BYTES // 2**20,
        )
    else:
        return _look(request, service.keep(depot, request.user, file.read(), name))
    messages.error(request, problem)
    return redirect("fleet:schedule-upload", slug=depot.slug)


@require_GET
@depot_page("write_schedules")
def preview(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Show what is wrong with an uploaded file, or what saving it would change, or what was saved."""
    batch = _batch(depot, batch_id)
    if "saved" in batch.report:
        context = {"batch": batch, "report": batch.report, "saved": batch.report["saved"], "steps": _steps(3)}
        context["can_undo"] = last_saved(depot) == batch and "undo" in batch.report
        return render(request, "fleet/schedules_done.html", context)
    if not batch.content:
        messages.error(request, _why_empty(batch))
        return redirect("fleet:schedule-upload", slug=depot.slug)
    job = service.working(batch)
    if job is not None and job.state in UNFINISHED:
        return _wait(batch, job)
    if batch.state == ImportBatch.State.WAITING or "change" not in batch.report:
        context = {"batch": batch, "job": job, "steps": _steps(1)}
        return render(request, "fleet/schedules_unchecked.html", context)
    context = _preview_context(batch) | {"not_saved": _why_not_saved(job)}
    return render(request, "fleet/schedules_preview.html", context)


def _why_not_saved(job: Job | None) -> str:
    """Return why the last job for a file did not save it, where it should have."""
    if job is None or job.kind != service.SAVE:
        return ""
    return str((job.result or {}).get("refused", "")) or job.error


@require_POST
@depot_page("write_schedules")
def check_again(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Check a kept file against the schedule as it is now."""
    return _look(request, _batch(depot, batch_id))


@require_POST
@depot_page("write_schedules")
def choose_days(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Read a file for some days only, and look at it again."""
    batch = _batch(depot, batch_id)
    form = ScheduleDaysForm(request.POST)
    if not form.is_valid():
        messages.error(request, _problems_of(form))
        return redirect("fleet:schedule-preview", slug=depot.slug, batch_id=batch.pk)
    service.choose_days(batch, form.days)
    return _look(request, batch)


def _look(request: HttpRequest, batch: ImportBatch) -> HttpResponse:
    """Check a file at once or in the background, and go to what was found."""
    if "saved" in batch.report or not batch.content:
        return redirect("fleet:schedule-preview", slug=batch.depot.slug, batch_id=batch.pk)
    job = service.working(batch)
    if job is None or job.kind != service.SAVE or job.state not in UNFINISHED:
        job = service.ask(batch, request.user)
    if job is None:
        return redirect("fleet:schedule-preview", slug=batch.depot.slug, batch_id=batch.pk)
    return _wait(batch, job)


def _wait(batch: ImportBatch, job: Job) -> HttpResponse:
    """Go to the progress of a check or of saving; from there it goes on to the preview, or to what was saved."""
    slug = batch.depot.slug
    result = reverse("fleet:schedule-preview", args=[slug, batch.pk])
    return redirect(reverse("depot:job", args=[slug, job.pk]) + "?" + urlencode({"next": result}))


@require_POST
@depot_page("write_schedules")
def save(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Save the blocks of a checked file, all of them or none: at once, or in the background where that takes long."""
    batch = _batch(depot, batch_id)
    replacing, shown = request.POST.get("mode") == service.REPLACE, request.POST.get("change", "")
    if not batch.content and "saved" not in batch.report:
        return redirect("fleet:schedule-preview", slug=depot.slug, batch_id=batch.pk)
    job = None if "saved" in batch.report else service.ask_to_save(batch, request.user, replacing, shown)
    if job is not None:
        return _wait(batch, job)
    try:
        service.commit(batch, request.user, replacing, shown)
    except service.ScheduleRefused as refusal:
        messages.error(request, tr("Nothing was saved. {refusal}", refusal=refusal))
        return _look(request, batch)
    return redirect("fleet:schedule-preview", slug=depot.slug, batch_id=batch.pk)


@require_POST
@depot_page("write_schedules")
def take_back(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Give the schedule back as it was before the last file."""
    batch = _batch(depot, batch_id)
    try:
        undo(batch, request.user)
        messages.success(
            request,
            tr("{file_name} is taken back; the schedule is what it was before.", file_name=batch.file_name),
        )
    except CannotUndo as refusal:
        messages.error(request, str(refusal))
    return redirect("fleet:schedules", slug=depot.slug)


@require_GET
@depot_page("write_schedules")
def errors(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Give an uploaded file back with what is wrong beside each row."""
    batch = _batch(depot, batch_id)
    content = bytes(batch.content)
    if not content:
        messages.error(request, _why_empty(batch))
        return redirect("fleet:schedule-upload", slug=depot.slug)
    try:
        days = service.days_of(batch)
        found = service.check(depot, content, batch.file_name, batch.file_format, days)
        text = with_errors(content, batch.file_name, batch.file_format, (*found.errors, *found.conflicts))
    except FileError as problem:
        messages.error(request, str(problem))
        return redirect("fleet:schedule-preview", slug=depot.slug, batch_id=batch.pk)
    return _csv(text, f"errors-{PurePath(batch.file_name).stem}.csv")


@require_GET
@depot_page()
def template(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Give an empty schedule file with this depot's vehicles."""
    text = canonical.write_template(service.known_fleet(depot), depot.slug)
    return _csv(text, f"schedule-template-{depot.slug}.csv")


@require_GET
@depot_page()
def template_workbook(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Give an empty schedule workbook with this depot's vehicles."""
    content = workbook.write_template(service.known_fleet(depot), depot.slug)
    return _file(content, WORKBOOK_TYPE, f"schedule-template-{depot.slug}.xlsx")


@require_POST
@depot_page("write_schedules")
def settle(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Keep what the depot's schedule files leave out, and go back to the file that asked for it."""
    form = ScheduleSettingsForm(request.POST, instance=service.settings_of(depot))
    if form.is_valid():
        service.settle(depot, request.user, form.save(commit=False))
        messages.success(request, tr("Kept for this and all later feeds of this depot."))
    else:
        messages.error(request, _problems_of(form))
    return _look(request, _batch(depot, form.batch_id))


@require_POST
@depot_page("write_schedules")
def name_columns(request: HttpRequest, depot: Depot, batch_id: int) -> HttpResponse:
    """Keep what titles of this depot's files mean, and look at the file again."""
    batch = _batch(depot, batch_id)
    titles, meanings = request.POST.getlist("title"), request.POST.getlist("meaning")
    service.name_columns(depot, request.user, dict(zip(titles, meanings, strict=False)))
    return _look(request, batch)


@require_GET
@depot_page()
def download(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Give the schedule as it is, in the form that can be uploaded again."""
    return _csv(canonical.write(service.block_rows(depot), depot.slug), f"schedule-{depot.slug}.csv")


def _batch(depot: Depot, batch_id: int) -> ImportBatch:
    return get_object_or_404(ImportBatch.objects.of_depot(depot), pk=batch_id, kind=service.KIND)


def _why_empty(batch: ImportBatch) -> str:
    """Return why the bytes of a file are not there: it is old, or was refused and not kept."""
    if batch.report.get("emptied") or not batch.report.get("errors"):
        return tr("{file_name} is not kept any more. Upload it again.", file_name=batch.file_name)
    return str(batch.report["errors"][0]["message"])


def _problems_of(form: BaseForm) -> str:
    return "; ".join(str(errors[0]) for errors in form.errors.values())


def _csv(text: str, name: str) -> HttpResponse:
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    return _file("\ufeff" + text, "text/csv; charset=utf-8", name)


def _file(content: str | bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _steps(current: int) -> list[dict[str, Any]]:
    """Return the steps of the upload with what is behind and where it stands."""
    return [
        {"name": tr(name), "done": index < current, "current": index == current}
        for index, name in enumerate(STEPS)
    ]


def _preview_context(batch: ImportBatch) -> dict[str, Any]:
    report = batch.report
    days = service.days_of(batch)
    either = "errors" if report["errors"] else "conflicts"
    return {
        "batch": batch,
        "report": report,
        "days": "" if days.is_open else str(days),
        "days_form": ScheduleDaysForm(initial={"from_date": days.from_date, "to_date": days.to_date}),
        "steps": _steps(1 if report["errors"] else 2),
        "rows_with_errors": report["rows_with_errors"],
        "problems": report[either][:LINES_SHOWN],
        "problems_hidden": max(0, report[f"{either[:-1]}_count"] - LINES_SHOWN),
        "replace_problems": report["replace_conflicts"][:LINES_SHOWN],
        "warnings": report["warnings"][:LINES_SHOWN],
        **report["lines"],
        "effects": _effects(report),
        "checked_at": datetime.fromisoformat(report["checked_at"]),
        "limit": LINES_SHOWN,
        "unknown_columns": report["unknown_columns"],
        "column_names": canonical.HEADER,
        "settings_form": _settings_form(batch) if batch.file_format == gtfs.FORMAT else None,
    }


def _effects(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what each way of saving does to readiness; one entry where both do the same."""
    told = {mode: found["readiness"] for mode, found in report["effects"].items() if "readiness" in found}
    if len(told) == len(service.MODES) and told[service.ADD] == told[service.REPLACE]:
        return [{"mode": "", "told": told[service.ADD]}]
    return [{"mode": mode, "told": one} for mode, one in told.items()]


def _settings_form(batch: ImportBatch) -> ScheduleSettingsForm:
    return ScheduleSettingsForm(instance=service.settings_of(batch.depot), initial={"batch": batch.pk})


def _line(block: Any) -> dict[str, Any]:
    """Return a block in the words of the page."""
    day: date | None = block.service_date
    return {
        "block_id": block.block_id,
        "vehicle": str(block.vehicle or ""),
        "vehicle_type": str(block.vehicle_type or ""),
        "days": day_text(day) if day else say_service_days(block.weekdays),
        "valid_from": block.valid_from,
        "valid_to": block.valid_to,
        "calendar": str(getattr(block, "calendar", None) or ""),
        "differing": len(block.exceptions),
        "pull_out": clock_text(block.depart_minute),
        "pull_in": clock_text(block.return_minute),
        "distance_km": block.distance_km,
        "energy_kwh": block.energy_kwh,
        "min_soc_departure": block.min_soc_departure,
    }
