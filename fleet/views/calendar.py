"""The Schedule calendar: a month with services, holidays and half days, and the forms that change them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import month_year, tr, trn, weekday_name, weekday_words
from fleet.forms import CalendarDaysForm, CalendarForm, FollowForm, TemperatureForm
from fleet.models import ServiceCalendar
from fleet.selectors.calendar import Month, month_of
from fleet.services import calendars as service


@require_GET
@depot_page()
def calendar(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show which services run on each day of a month, and what is special."""
    today = depot.local(clock.now()).date()
    first = _first(request.GET.get("month", ""), today)
    month = month_of(depot, first)
    context: dict[str, Any] = {
        "month": month,
        "today": today,
        "weekdays": [(weekday_words(day), weekday_name(day)) for day in range(7)],
        "answer": _answer(month),
        "before": (first - timedelta(days=1)).replace(day=1),
        "after": (first + timedelta(days=31)).replace(day=1),
    }
    if "write_schedules" in request.abilities:  # type: ignore[attr-defined]
        start = today if first <= today <= month.days[-1].date else first
        context |= {
            "days_form": CalendarDaysForm(depot=depot, initial={"first": start}),
            "follow_form": FollowForm(depot=depot),
            "temperature_form": TemperatureForm(initial={"date": max(today, start)}, prefix="t", depot=depot),
        }
    return render(request, "fleet/calendar.html", context)


@require_POST
@depot_page("write_schedules")
def set_days(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Let days of a calendar differ, or be as usual again."""
    form = CalendarDaysForm(request.POST, depot=depot)
    if not form.is_valid():
        return _refused(request, depot, form)
    chosen = form.chosen
    number = service.set_days(
        form.cleaned_data["calendar"], request.user, chosen, form.rule, form.cleaned_data["note"]
    )
    messages.success(
        request,
        trn(
            "{count} day changed; a new plan is asked for.",
            "{count} days changed; a new plan is asked for.",
            number,
        ),
    )
    return _back(depot, chosen[0])


@require_http_methods(["GET", "POST"])
@depot_page("write_schedules")
def edit(request: HttpRequest, depot: Depot, calendar_id: int | None = None) -> HttpResponse:
    """Make a calendar, or change its name and its holidays."""
    mine = ServiceCalendar.objects.of_depot(depot)
    one = get_object_or_404(mine, pk=calendar_id) if calendar_id is not None else None
    form = CalendarForm(request.POST or None, instance=one, depot=depot)
    if request.method == "POST" and form.is_valid():
        service.save_calendar(form.save(commit=False), request.user)
        messages.success(request, tr("{name} is saved.", name=form.instance.name))
        return redirect("fleet:calendar", slug=depot.slug)
    return render(request, "fleet/calendar_edit.html", {"form": form, "calendar": one})


@require_POST
@depot_page("write_schedules")
def follow(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Let all blocks without a calendar follow one."""
    form = FollowForm(request.POST, depot=depot)
    if not form.is_valid():
        return _refused(request, depot, form)
    chosen = form.cleaned_data["calendar"]
    number = service.follow(depot, request.user, chosen)
    messages.success(
        request,
        tr("{number:,} blocks now follow {name}, and new ones will.", number=number, name=chosen.name),
    )
    return redirect("fleet:calendar", slug=depot.slug)


@require_POST
@depot_page("write_schedules")
def temperature(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Keep how cold or warm a day will be."""
    form = TemperatureForm(request.POST, prefix="t", depot=depot)
    if not form.is_valid():
        return _refused(request, depot, form)
    day = form.cleaned_data["date"]
    try:
        service.expect_temperature(depot, request.user, day, form.cleaned_data["outside_temp_c"])
        messages.success(request, tr("Kept; what blocks need on that day is worked out anew."))
    except ValueError as refusal:
        messages.error(request, str(refusal))
    return _back(depot, day)


def _first(text: str, today: date) -> date:
    """Return the first day of the month that an address asks for."""
    if not text:
        return today.replace(day=1)
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise Http404(tr("Write the month like 2026-03.")) from error
    if not 2000 <= first.year <= 2100:
        raise Http404(tr("The calendar reaches from 2000 to 2100."))
    return first


def _answer(month: Month) -> str:
    running = [day for day in month.days if day.blocks]
    special = sum(bool(day.remarks) for day in month.days)
    name = month_year(month.first)
    if not running:
        return tr("No block of the schedule runs in {name}.", name=name)
    differs = (
        tr("no day differs")
        if not special
        else trn("{count} differs from its week", "{count} differ from its week", special)
    )
    return tr(
        "In {name} blocks run on {running} days; {differs}.", name=name, running=len(running), differs=differs
    )


def _refused(request: HttpRequest, depot: Depot, form: forms.Form) -> HttpResponse:
    for name, problems in form.errors.items():
        label = form.fields[name].label or name.replace("_", " ").capitalize() if name in form.fields else ""
        messages.error(
            request,
            tr("Nothing was changed. {label}: {problems}", label=label, problems=problems[0])
            if label
            else str(problems[0]),
        )
    return redirect("fleet:calendar", slug=depot.slug)


def _back(depot: Depot, day: date) -> HttpResponse:
    return redirect(f"{reverse('fleet:calendar', args=[depot.slug])}?month={day:%Y-%m}")
