"""What needs somebody now: the page, the card of Home, the bell of the top bar, and what one does about it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from depot import clock
from depot.access.pages import depot_page
from depot.alerts import acknowledge, open_alerts, pressing_alerts, snooze
from depot.alerts.kinds import kind_of, of_role
from depot.alerts.mail import can_mail
from depot.forms_alerts import AlertPreferenceForm
from depot.models import Alert, AlertPreference, Depot
from depot.templatetags.depot_pages import installed_url
from depot.timegrid import local_to_utc
from depot.words import mark, tr, weekday_time

SHOWN_ON_HOME = 8
LATELY = timedelta(hours=24)
MOST_OVER = 50
MORNING = 6 * 60
SNOOZES = {"1h": mark("For 1 hour"), "4h": mark("For 4 hours"), "morning": mark("Until 06:00")}


@depot_page()
def card(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the worst alerts that concern the user and nobody sees to yet, and how many more there are."""
    alerts = _pressing(request, depot)
    context = {"alerts": alerts[:SHOWN_ON_HOME], "more": max(0, len(alerts) - SHOWN_ON_HOME)}
    return render(request, "depot/card_alerts.html", context)


@depot_page()
def bell(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show how many alerts concern the user and nobody sees to yet, in the tone of the worst."""
    alerts = _pressing(request, depot)
    context = {"count": len(alerts), "worst": alerts[0].level if alerts else ""}
    return render(request, "depot/alert_bell.html", context)


def _pressing(request: HttpRequest, depot: Depot) -> list[Alert]:
    return of_role(pressing_alerts(depot, clock.now()), request.role)  # type: ignore[attr-defined]


@require_GET
@depot_page()
def page(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show what needs the user's role (or anybody), what others see to, and what was over lately."""
    now = clock.now()
    everything = request.GET.get("show") == "all"
    alerts = list(open_alerts(depot))
    shown = alerts if everything else of_role(alerts, request.role)  # type: ignore[attr-defined]
    waiting = [alert for alert in shown if _presses(alert, now)]
    over = Alert.objects.filter(depot=depot, cleared_at__gte=now - LATELY).order_by("-cleared_at")[:MOST_OVER]
    context = {
        "waiting": [_row(alert, depot) for alert in waiting],
        "attended": [_row(alert, depot) for alert in shown if not _presses(alert, now)],
        "over": over,
        "hidden": len(alerts) - len(shown),
        "everything": everything,
        "snoozes": SNOOZES.items(),
        "now": now,
    }
    return render(request, "depot/alerts.html", context)


def _presses(alert: Alert, now: datetime) -> bool:
    return alert.acknowledged_at is None and (alert.snoozed_until is None or alert.snoozed_until <= now)


def _row(alert: Alert, depot: Depot) -> dict[str, Any]:
    """Return an alert with its kind and the address of the page on which to act."""
    kind = kind_of(alert.key)
    address = installed_url(kind.view, depot.slug) if kind.view else ""
    return {"alert": alert, "kind": kind, "address": f"{address}?{kind.query}" if kind.query else address}


@require_POST
@depot_page("handle_alerts")
def see_to(request: HttpRequest, depot: Depot, alert_id: int) -> HttpResponse:
    """Note that the user sees to an alert."""
    alert = _alert(depot, alert_id)
    if acknowledge(alert, request.user):
        messages.success(request, tr("You see to it: {alert}.", alert=alert.title))
    else:
        messages.info(
            request, tr("Nothing to do: {alert} is over, or somebody sees to it.", alert=alert.title)
        )
    return _back(request, depot)


@require_POST
@depot_page("handle_alerts")
def put_aside(request: HttpRequest, depot: Depot, alert_id: int) -> HttpResponse:
    """Put an alert aside for a while; one that becomes worse comes back at once."""
    alert = _alert(depot, alert_id)
    until = _until(depot, request.POST.get("for", ""), clock.now())
    if until is None:
        messages.error(request, tr("Nothing was changed. Choose for how long."))
    elif snooze(alert, until, request.user):
        messages.success(
            request,
            tr("Put aside until {at}: {alert}.", at=weekday_time(depot.local(until)), alert=alert.title),
        )
    else:
        messages.info(
            request, tr("Nothing to do: {alert} is over, or somebody sees to it.", alert=alert.title)
        )
    return _back(request, depot)


@require_http_methods(["GET", "POST"])
@depot_page()
def by_email(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Let the user choose what to be written to about; for this depot and this person alone."""
    user: Any = request.user
    known = AlertPreference.objects.filter(depot=depot, user=user).first()
    wish = known or AlertPreference(depot=depot, user=user)
    form = AlertPreferenceForm(request.POST or None, instance=wish)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, tr("Your choice is saved."))
        return redirect("depot:alerts", slug=depot.slug)
    return render(request, "depot/alerts_email.html", {"form": form, "can_mail": can_mail()})


def _alert(depot: Depot, alert_id: int) -> Alert:
    return get_object_or_404(Alert.objects.of_depot(depot).select_related("depot"), pk=alert_id)


def _until(depot: Depot, choice: str, now: datetime) -> datetime | None:
    """Return until when a choice puts aside; None for one that does not exist."""
    if choice == "morning":
        local = depot.local(now)
        day = local.date() if local.time() < time(MORNING // 60) else local.date() + timedelta(days=1)
        return local_to_utc(day, MORNING, depot.tz)
    hours = {"1h": 1, "4h": 4}.get(choice)
    return None if hours is None else now + timedelta(hours=hours)


def _back(request: HttpRequest, depot: Depot) -> HttpResponse:
    answer = redirect("depot:alerts", slug=depot.slug)
    if request.POST.get("show") == "all":
        answer["Location"] += "?show=all"
    return answer
