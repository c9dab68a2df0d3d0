"""Age every battery by what it really went through, each night."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, time, timedelta

import numpy as np

from depot.models import Depot
from depot.timegrid import local_to_utc
from fleet.battery.ageing import AgeingState, advance, new_cell
from fleet.battery.cells import cell_models
from fleet.battery.health import HealthReport, History, assess_health
from fleet.battery.profile import HOURS_PER_DAY, SocProfile, make_profile, repeated
from fleet.models import BatteryHealth, TelemetryReading, Vehicle, VehicleState
from fleet.selectors.wear import BATTERY_TEMPERATURE_C, type_wear_cost

WINDOW = timedelta(days=7)
PRE_HISTORY = timedelta(days=28)


def assess_fleet(
    depot: Depot, day: date, computed_at: datetime, progress: Callable[[float, str], None] | None = None
) -> int:
    """Assess every vehicle of `depot` at the end of local `day`; return how many had data."""
    vehicles = list(Vehicle.objects.filter(depot=depot, active=True).select_related("type", "depot"))
    done = 0
    for number, vehicle in enumerate(vehicles):
        if progress is not None:
            progress(number / len(vehicles), f"Battery of {vehicle.name}")
        done += assess_vehicle(vehicle, day, computed_at) is not None
    return done


def assess_vehicle(vehicle: Vehicle, day: date, computed_at: datetime) -> BatteryHealth | None:
    """Store the health of a vehicle's battery at the end of local `day`; None when it has said nothing since.

    The window goes back to a stored day a week earlier, so that a discharge in the evening and the charge that
    follows in the night are seen together; before the first reading the vehicle is taken to have been used as
    in its first weeks.
    """
    end_at = local_to_utc(day + timedelta(days=1), 0, vehicle.depot.tz)
    base = BatteryHealth.objects.filter(vehicle=vehicle, date__lte=day - WINDOW).order_by("-date").first()
    start_at = local_to_utc(base.date + timedelta(days=1), 0, vehicle.depot.tz) if base else None
    history = read_history(vehicle, start_at, end_at)
    if history is None:
        return None
    starts = _stored_states(base) if base else _assumed_states(vehicle, history, end_at)
    report = assess_health(vehicle.type.chemistry, history, starts)
    row = _store(vehicle, day, computed_at, report, base)
    VehicleState.objects.filter(vehicle=vehicle).update(soh=min(row.soh, 1.0))
    return row


def read_history(vehicle: Vehicle, start_at: datetime | None, end_at: datetime) -> History | None:
    """Return what the battery went through from `start_at` (None = ever) to `end_at`; None without two readings.

    What left while plugged in went through the charger.
    """
    rows = TelemetryReading.objects.filter(
        vehicle=vehicle, observed_at__lt=end_at, soc__isnull=False, quality=TelemetryReading.Quality.GOOD
    )
    if start_at is not None:
        rows = rows.filter(observed_at__gte=start_at)
    values = list(rows.order_by("observed_at").values_list("observed_at", "soc", "plugged_in"))
    by_moment = {at: (soc, bool(plugged)) for at, soc, plugged in values}
    if len(by_moment) < 2:
        return None
    seconds = np.array([at.timestamp() for at in by_moment])
    soc = np.clip(np.array([value[0] for value in by_moment.values()]), 0.0, 1.0)
    plugged = np.array([value[1] for value in by_moment.values()])
    through_charger = plugged[:-1] & plugged[1:]
    v2g_kwh = np.where(through_charger, np.clip(-np.diff(soc), 0.0, None), 0.0) * vehicle.type.usable_kwh
    profile = make_profile((seconds - seconds[0]) / 3600.0, soc, BATTERY_TEMPERATURE_C)
    return History(profile, vehicle.type.usable_kwh, v2g_kwh)


def _stored_states(base: BatteryHealth) -> dict[str, AgeingState]:
    return {name: AgeingState(**values) for name, values in base.state.items()}


def _assumed_states(vehicle: Vehicle, history: History, end_at: datetime) -> dict[str, AgeingState]:
    """Return the state at the first reading: new on the first day in service, then used as in the first weeks."""
    known_hours = history.profile.span_hours
    in_service = datetime.combine(vehicle.in_service_on, time(), tzinfo=vehicle.depot.tz)
    before_hours = (end_at - in_service).total_seconds() / 3600.0 - known_hours
    models = cell_models(vehicle.type.chemistry)
    if before_hours < HOURS_PER_DAY:
        return {model.name: new_cell(model) for model in models}
    first = _first_weeks(history.profile)
    past = repeated(first, 0.0, before_hours // HOURS_PER_DAY * HOURS_PER_DAY)
    return {model.name: advance(new_cell(model), past) for model in models}


def _first_weeks(profile: SocProfile) -> SocProfile:
    inside = profile.hours - profile.hours[0] <= PRE_HISTORY.total_seconds() / 3600.0
    return SocProfile(profile.hours[inside], profile.soc[inside], profile.temperature_c[inside])


def _store(
    vehicle: Vehicle, day: date, computed_at: datetime, report: HealthReport, base: BatteryHealth | None
) -> BatteryHealth:
    kind = vehicle.type
    row, _ = BatteryHealth.objects.update_or_create(
        vehicle=vehicle,
        date=day,
        defaults={
            "computed_at": computed_at,
            "soh": report.soh,
            "soh_uncertainty": (report.soh_high - report.soh_low) / 2,
            "calendar_loss": report.state.calendar_loss,
            "cycling_loss": report.state.cycle_loss,
            "v2g_loss": report.v2g_loss + (base.v2g_loss if base else 0.0),
            "trend_per_year": report.loss_per_year,
            "equivalent_full_cycles": report.state.equivalent_full_cycles,
            "throughput_kwh": report.throughput_kwh + (base.throughput_kwh if base else 0.0),
            "v2g_throughput_kwh": report.v2g_throughput_kwh + (base.v2g_throughput_kwh if base else 0.0),
            "hours_above_80": report.hours_above_80_percent + (base.hours_above_80 if base else 0.0),
            "wear_cost_per_kwh": type_wear_cost(kind.chemistry, kind.usable_kwh, kind.pack_price_per_kwh),
            "extrapolated": report.extrapolated,
            "model": report.model,
            "state": {report.model: asdict(report.state)},
        },
    )
    return row
