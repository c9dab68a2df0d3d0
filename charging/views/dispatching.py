"""The dispatcher's day: swap vehicles, accept a proposal, enter what came late or broke down."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from charging.dispatch_forms import LateForm, OutageForm
from charging.selectors.dispatching import Situation, options, readiness_of, situation
from charging.services import proposals
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot, Job
from depot.words import tr, trn
from fleet.assignment.propose import CannotProposeError
from fleet.models import Outage
from fleet.selectors.duties import Duty
from fleet.services import assignments as service

OPTIONS_SHOWN = 12


@require_GET
@depot_page()
def day(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show who drives what on a day, and how each pull-out looks."""
    now = clock.now()
    wanted = _day(depot, request.GET.get("date", ""))
    if wanted >= depot.local(now).date():
        known = situation(depot, wanted, now)
        judged, of_day = readiness_of(known, known.of_day), known.of_day
    else:
        judged, of_day = {}, service.duties_of_day(depot, wanted)
    rows = [(duty, judged.get(duty.key)) for duty in of_day]
    outages = Outage.objects.of_depot(depot).exclude(to_at__lte=now).select_related("vehicle", "made_by")
    seen = [judged[duty.key] for duty in of_day if duty.key in judged]
    context = {
        "day": wanted,
        "today": depot.local(now).date(),
        "before": wanted - timedelta(days=1),
        "after": wanted + timedelta(days=1),
        "rows": rows,
        "doubtful": sum(not row.sure for row in seen),
        "open": sum(duty.vehicle is None for duty in of_day),
        "outages": outages,
        "now": now,
    }
    return render(request, "charging/day.html", context)


@require_http_methods(["GET", "POST"])
@depot_page("write_schedules")
def duty(request: HttpRequest, depot: Depot, block_id: int, service_date: str) -> HttpResponse:
    """Show what each other vehicle would mean for a block of a day; a POST swaps as it was shown."""
    now = clock.now()
    if request.method == "POST":
        return _assign(request, depot, fixed=True)
    wanted = _service_day(depot, service_date)
    known = situation(depot, wanted, now)
    one = _duty_among(known.of_day, block_id)
    left = one.pull_out_at <= now
    found = [] if left else options(known, one)
    context = {
        "duty": one,
        "row": readiness_of(known, [one]).get(one.key),
        "left": left,
        "over": one.pull_in_at <= now,
        "options": found[:OPTIONS_SHOWN],
        "hidden": max(0, len(found) - OPTIONS_SHOWN),
        "late_form": LateForm(depot, initial={"back_at": depot.local(one.pull_in_at).replace(tzinfo=None)}),
        "outage_form": OutageForm(depot, initial={"from_at": depot.local(now).replace(tzinfo=None)}),
    }
    return render(request, "charging/duty.html", context)


@require_http_methods(["GET", "POST"])
@depot_page("write_schedules")
def proposal(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show who should drive what on a day and why; a POST accepts it while the day is as it was.

    In a large depot it is worked out in the background: `job` names the work whose answer is shown.
    """
    now = clock.now()
    if request.method == "POST":
        return _accept(request, depot, now)
    wanted = _day(depot, request.GET.get("date", ""))
    known = situation(depot, wanted, now)
    context: dict[str, Any] = {"day": wanted}
    try:
        if (job := _job(depot, request.GET.get("job", ""))) is not None:
            found = proposals.from_result(job.result or {}, known)
            context |= {"found": found} if found else {"problem": tr(proposals.STALE)}
        elif proposals.is_large(known, wanted):
            return _in_background(request, known, wanted)
        else:
            context["found"] = proposals.work_out(known, wanted)
    except CannotProposeError as error:
        context["problem"] = str(error)
    return render(request, "charging/proposal.html", context)


def _job(depot: Depot, text: str) -> Job | None:
    """Return the finished work that an address names; None where it names none, or one that is not done."""
    try:
        done = Job.objects.of_depot(depot).filter(kind=proposals.JOB, state=Job.State.DONE)
        return done.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def _in_background(request: HttpRequest, known: Situation, wanted: date) -> HttpResponse:
    """Ask for the proposal and lead to its progress, from there to its answer."""
    slug = known.depot.slug
    job = proposals.ask_for(known, wanted, request.user)
    answer = (
        f"{reverse('charging:proposal', args=[slug])}?{urlencode({'date': str(wanted), 'job': str(job.pk)})}"
    )
    if job.state == Job.State.DONE:
        return redirect(answer)
    return redirect(f"{reverse('depot:job', args=[slug, job.pk])}?{urlencode({'next': answer})}")


def _accept(request: HttpRequest, depot: Depot, now: datetime) -> HttpResponse:
    wanted = _day(depot, request.POST.get("date", ""))
    try:
        proposals.check_as_proposed(request.POST.get("digest", ""), situation(depot, wanted, now))
    except service.AssignmentRefused as refusal:
        messages.error(request, str(refusal))
        return _to_day(depot, wanted)
    return _assign(request, depot, reason=tr("Accepted proposal"))


@require_POST
@depot_page("write_schedules")
def late(request: HttpRequest, depot: Depot, block_id: int, service_date: str) -> HttpResponse:
    """Note that a vehicle comes back later, or earlier, than its block says."""
    one, form = _duty(depot, block_id, service_date), LateForm(depot, request.POST)
    if not form.is_valid():
        return _refused(request, depot, one, form)
    try:
        data = form.cleaned_data
        choice = service.choice_of(one, one.vehicle)
        service.come_back_late(depot, request.user, choice, data["back_at"], clock.now(), data["reason"])
        words = tr(
            "{vehicle} comes back at {back_at:%H:%M}. A new plan follows in a moment.",
            vehicle=one.vehicle,
            back_at=depot.local(data["back_at"]),
        )
        messages.success(request, words)
    except service.AssignmentRefused as refusal:
        messages.error(request, str(refusal))
    return _to_day(depot, one.service_date)


@require_POST
@depot_page("write_schedules")
def out(request: HttpRequest, depot: Depot, block_id: int, service_date: str) -> HttpResponse:
    """Take the vehicle of a block out of service."""
    one, form = _duty(depot, block_id, service_date), OutageForm(depot, request.POST)
    if one.vehicle is None:
        raise Http404
    if not form.is_valid():
        return _refused(request, depot, one, form)
    data, now = form.cleaned_data, clock.now()
    try:
        service.take_out(
            depot, request.user, one.vehicle, data["from_at"], data["to_at"], now, data["reason"]
        )
        messages.success(
            request,
            tr("{vehicle} is out of service. Give its blocks to other vehicles.", vehicle=one.vehicle),
        )
    except service.AssignmentRefused as refusal:
        messages.error(request, str(refusal))
    return _to_day(depot, one.service_date)


@require_POST
@depot_page("write_schedules")
def back(request: HttpRequest, depot: Depot, outage_id: int) -> HttpResponse:
    """Put a vehicle back into service."""
    outage = get_object_or_404(Outage.objects.of_depot(depot).select_related("vehicle"), pk=outage_id)
    now = clock.now()
    service.bring_back(depot, request.user, outage, now)
    messages.success(
        request, tr("{vehicle} is in service again. A new plan follows in a moment.", vehicle=outage.vehicle)
    )
    return _to_day(depot, depot.local(now).date())


def _assign(request: HttpRequest, depot: Depot, *, fixed: bool = False, reason: str = "") -> HttpResponse:
    texts = request.POST.getlist("choice")
    try:
        choices = [service.read_choice(text) for text in texts]
        number = service.assign(depot, request.user, choices, clock.now(), reason=reason, fixed=fixed)
        blocks = trn("{count} block", "{count} blocks", number)
        messages.success(request, tr("{blocks} changed. A new plan follows in a moment.", blocks=blocks))
        return _to_day(depot, choices[0].service_date)
    except service.AssignmentRefused as refusal:
        messages.error(request, str(refusal))
    return _to_day(depot, depot.local(clock.now()).date())


def _refused(request: HttpRequest, depot: Depot, one: Duty, form: Any) -> HttpResponse:
    messages.error(
        request,
        tr("Nothing was changed. {reason}", reason="; ".join(str(said[0]) for said in form.errors.values())),
    )
    return redirect(
        "charging:duty", slug=depot.slug, block_id=one.block.pk, service_date=str(one.service_date)
    )


def _to_day(depot: Depot, wanted: date) -> HttpResponse:
    return redirect(f"{reverse('charging:day', args=[depot.slug])}?date={wanted}")


def _day(depot: Depot, text: str) -> date:
    """Return the wanted day: today unless it is one from a fortnight ago to a fortnight ahead."""
    today = depot.local(clock.now()).date()
    try:
        wanted = date.fromisoformat(text)
    except ValueError:
        return today
    return wanted if abs(wanted - today) <= service.FARTHEST else today


def _duty(depot: Depot, block_id: int, service_date: str) -> Duty:
    return _duty_among(service.duties_of_day(depot, _service_day(depot, service_date)), block_id)


def _duty_among(duties: list[Duty], block_id: int) -> Duty:
    for one in duties:
        if one.block.pk == block_id:
            return one
    raise Http404


def _service_day(depot: Depot, service_date: str) -> date:
    try:
        wanted = date.fromisoformat(service_date)
    except ValueError:
        raise Http404 from None
    if abs(wanted - depot.local(clock.now()).date()) > service.FARTHEST:
        raise Http404
    return wanted
