"""How far a piece of background work is, for the person who asked for it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from depot.access.pages import depot_page
from depot.jobs.registry import KINDS
from depot.jobs.services import UNFINISHED, cancel
from depot.models import Depot, Job
from depot.words import tr

LOOK_AGAIN_S = 2


@require_GET
@depot_page()
def status(request: HttpRequest, depot: Depot, job_id: uuid.UUID) -> HttpResponse:
    """Show a job's progress as a fragment that asks again, or as a page; go to `next` when it is done."""
    job = get_object_or_404(Job.objects.of_depot(depot), pk=job_id)
    htmx = bool(request.htmx) and not request.htmx.boosted  # type: ignore[attr-defined]
    following = _own_address(request)
    if job.state == Job.State.DONE and following:
        return HttpResponseClientRedirect(following) if htmx else redirect(following)
    context = {
        "job": job,
        "title": tr(KINDS[job.kind].title) if job.kind in KINDS else job.kind,
        "unfinished": job.state in UNFINISHED,
        "may_cancel": job.state in UNFINISHED and job.requested_by_id == request.user.pk,
        "following": following,
    }
    response = render(request, "depot/job_status.html" if htmx else "depot/job.html", context)
    if context["unfinished"] and not htmx:
        response["Refresh"] = str(LOOK_AGAIN_S)
    return response


@require_POST
@depot_page()
def stop(request: HttpRequest, depot: Depot, job_id: uuid.UUID) -> HttpResponse:
    """Cancel a job; only who asked for it may."""
    job = get_object_or_404(Job.objects.of_depot(depot), pk=job_id, requested_by=request.user)
    if cancel(job):
        messages.success(request, tr("Cancelled. Nothing was changed."))
    else:
        messages.info(request, tr("It was finished already."))
    return redirect("depot:job", slug=depot.slug, job_id=job.pk)


def _own_address(request: HttpRequest) -> str:
    """Return the address to go on to; one that leads elsewhere is left out."""
    wanted = request.GET.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else ""
