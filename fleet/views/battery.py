"""Battery health: the fleet by concern, one vehicle, and the card of Home."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from depot import charts, clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.timegrid import local_to_utc
from depot.words import tr
from fleet.models import BatteryHealth, Vehicle
from fleet.selectors.battery import (
    Battery,
    fleet_batteries,
    health_history,
    latest_health,
    recent_soc,
    standing_advice,
)
from fleet.views.battery_words import advice_words, fleet_answer, vehicle_answer

SHOWN_ON_HOME = 3
MIN_POINTS = 2


@require_GET
@depot_page()
def battery(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show every battery, the most worrying first."""
    batteries = fleet_batteries(depot)
    context = {
        "batteries": batteries,
        "answer": fleet_answer(batteries),
        "assessed": max((row.health.computed_at for row in batteries), default=None),
        "missing": Vehicle.objects.filter(depot=depot, active=True).count() - len(batteries),
        "short": any(row.short_history for row in batteries),
        "extrapolated": sum(row.health.extrapolated for row in batteries),
    }
    return render(request, "fleet/battery.html", context)


@require_GET
@depot_page()
def battery_vehicle(request: HttpRequest, depot: Depot, vehicle_id: int) -> HttpResponse:
    """Show one battery: its capacity over time, its last week, and what would help."""
    vehicle = get_object_or_404(Vehicle.objects.select_related("type"), depot=depot, pk=vehicle_id)
    latest = latest_health(vehicle)
    context: dict[str, object] = {"vehicle": vehicle}
    if latest is not None:
        row, history = Battery(vehicle, latest), health_history(vehicle)
        trace = recent_soc(vehicle, clock.now())
        context |= {
            "battery": row,
            "answer": vehicle_answer(row),
            "advice": advice_words(standing_advice(row.health, trace)),
            "capacity": _capacity_chart(depot, history) if len(history) >= MIN_POINTS else None,
            "charge": _charge_chart(depot, trace) if len(trace) >= MIN_POINTS else None,
        }
    return render(request, "fleet/battery_vehicle.html", context)


@require_GET
@depot_page()
def card(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show in one sentence how the batteries are, and the few that age fastest."""
    batteries = fleet_batteries(depot)
    context = {"answer": fleet_answer(batteries), "batteries": batteries[:SHOWN_ON_HOME]}
    return render(request, "fleet/battery_card.html", context)


def _capacity_chart(depot: Depot, history: Sequence[BatteryHealth]) -> charts.Chart:
    """Draw the state of health at the end of each assessed day, with its band."""
    moments = [local_to_utc(row.date + timedelta(days=1), 0, depot.tz) for row in history]
    axis = charts.TimeAxis(moments[0], moments[-1], depot.tz)
    low = [100 * (row.soh - row.soh_uncertainty) for row in history]
    high = [100 * min(row.soh + row.soh_uncertainty, 1.0) for row in history]
    soh = [100 * row.soh for row in history]
    floor = max(0.0, 5 * ((min(low) - 2) // 5))
    figure = charts.figure(
        [
            *charts.confidence(axis, moments, low, high, "building"),
            charts.line(axis, moments, soh, "soc", unit="%", name=tr("State of health")),
        ],
        axis=axis,
        panels=(charts.Panel("%", range=(floor, 101)),),
        height_px=280,
    )
    table = charts.table_of(
        [
            tr("Day"),
            tr("State of health %"),
            tr("Low %"),
            tr("High %"),
            tr("Standing lost %"),
            tr("Cycling lost %"),
        ],
        [
            (f"{row.date:%Y-%m-%d}", health, least, most, 100 * row.calendar_loss, 100 * row.cycling_loss)
            for row, health, least, most in zip(history, soh, low, high, strict=True)
        ],
        decimals=2,
    )
    summary = tr(
        "From {first:.2f} % to {last:.2f} % in {days} days; the band holds the truth in about 95 of 100 cases.",
        first=soh[0],
        last=soh[-1],
        days=(history[-1].date - history[0].date).days,
    )
    return charts.Chart("capacity", tr("Capacity over time"), summary, figure, table)


def _charge_chart(depot: Depot, trace: Sequence[tuple[datetime, float]]) -> charts.Chart:
    """Draw the charge of the last days against the level above which a battery ages faster."""
    moments = [at for at, _ in trace]
    charge = [100 * soc for _, soc in trace]
    axis = charts.TimeAxis(moments[0], moments[-1], depot.tz)
    figure = charts.figure(
        [
            charts.line(axis, moments, charge, "soc", unit="%"),
            charts.limit(axis, 80, "80 %"),
        ],
        axis=axis,
        panels=(charts.Panel("%", range=(0, 101)),),
        height_px=260,
    )
    summary = tr(
        "Between {low:.0f} % and {high:.0f} % since {since}.",
        low=min(charge),
        high=max(charge),
        since=axis.label(moments[0]),
    )
    table = charts.table_of(
        [tr("Time"), tr("State of charge %")], list(zip(axis.labels(moments), charge, strict=True))
    )
    return charts.Chart("charge", tr("State of charge, last 7 days"), summary, figure, table)
