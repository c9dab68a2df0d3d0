"""Age every battery by what it really went through, each night."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt

from depot.models import Depot
from depot.timegrid import local_to_utc
from depot.words import tr
from fleet.battery.ageing import AgeingState, advance, new_cell
from fleet.battery.cells import cell_models
from fleet.battery.health import HealthReport, History, assess_health, without_discharge
from fleet.battery.outlook import loss_per_year_ahead
from fleet.battery.profile import HOURS_PER_DAY, SocProfile, make_profile, repeated
from fleet.models import BatteryHealth, TelemetryReading, Vehicle, VehicleState
from fleet.selectors.battery import FULL_WEEK_HOURS
from fleet.selectors.wear import BATTERY_TEMPERATURE_C, type_wear_cost

Floats = npt.NDArray[np.float64]
WINDOW = timedelta(days=7)
HOTTEST_C = 60.0
"""A cell temperature beyond this, either way, is a fault of the sensor."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was found of one battery: the report, its history, where each model stands, and the day it goes on from."""

    report: HealthReport
    history: History
    starts: dict[str, AgeingState]
    states: dict[str, AgeingState]
    base: BatteryHealth | None

    @property
    def outlook(self) -> float:
        """Return the loss a year in the years ahead if the vehicle is used as in this history."""
        return loss_per_year_ahead(self.starts[self.report.model], self.report.state)

    @property
    def outlook_without_v2g(self) -> float:
        """Return the same for the same driving without V2G."""
        start = self.starts[self.report.model]
        return loss_per_year_ahead(start, advance(start, driving_only(self.history)))


def assess_fleet(
    depot: Depot, day: date, computed_at: datetime, progress: Callable[[float, str], None] | None = None
) -> int:
    """Assess every vehicle of `depot` at the end of local `day`; return how many had data."""
    vehicles = list(Vehicle.objects.filter(depot=depot, active=True).select_related("type", "depot"))
    done = 0
    for number, vehicle in enumerate(vehicles):
        if progress is not None:
            progress(number / len(vehicles), tr("Battery of {name}", name=vehicle.name))
        done += assess_vehicle(vehicle, day, computed_at) is not None
    return done


def assess_vehicle(vehicle: Vehicle, day: date, computed_at: datetime) -> BatteryHealth | None:
    """Store the health of a vehicle's battery at the end of local `day`; None when it has said nothing since.

    The window goes back to a stored day a week earlier, so that a discharge in the evening and the charge that
    follows in the night are seen together. Before the first reading the vehicle is taken to have driven as in its
    first recorded week, without V2G. A stored day counts once it has that week behind it, and not after a change
    of chemistry.
    """
    end_at = local_to_utc(day + timedelta(days=1), 0, vehicle.depot.tz)
    models = {model.name for model in cell_models(vehicle.type.chemistry)}
    stored = BatteryHealth.objects.filter(
        vehicle=vehicle, date__lte=day - WINDOW, recorded_hours__gte=FULL_WEEK_HOURS
    )
    base = stored.order_by("-date").first()
    if base is not None and set(base.state) != models:
        base = None
    start_at = local_to_utc(base.date + timedelta(days=1), 0, vehicle.depot.tz) if base else None
    history = read_history(vehicle, start_at, end_at)
    if history is None:
        return None
    starts = _stored_states(base) if base else _assumed_states(vehicle, history, end_at)
    report = assess_health(vehicle.type.chemistry, history, starts)
    states = {name: advance(start, history.profile) for name, start in starts.items() if name != report.model}
    states[report.model] = report.state
    row = _store(vehicle, day, computed_at, Assessment(report, history, starts, states, base))
    VehicleState.objects.filter(vehicle=vehicle).update(soh=min(row.soh, 1.0))
    return row


def read_history(vehicle: Vehicle, start_at: datetime | None, end_at: datetime) -> History | None:
    """Return what the battery went through from `start_at` (None = ever) to `end_at`; None without two readings.

    What left while the charger took power from the plugged-in vehicle went through the charger. Cells of which
    no temperature is known are taken to be at 25 °C.
    """
    rows = TelemetryReading.objects.filter(
        vehicle=vehicle, observed_at__lte=end_at, soc__isnull=False, quality=TelemetryReading.Quality.GOOD
    )
    if start_at is not None:
        rows = rows.filter(observed_at__gte=start_at)
    values = rows.order_by("observed_at").values_list(
        "observed_at", "soc", "plugged_in", "charging_power_kw", "battery_temp_c"
    )
    by_moment = {at: said for at, *said in values}
    if len(by_moment) < 2:
        return None
    seconds = np.array([at.timestamp() for at in by_moment])
    soc, plugged, power_kw, temperature_c = np.array(list(by_moment.values()), dtype=float).T
    soc = np.clip(soc, 0.0, 1.0)
    plugged_in, giving = _last_said(plugged) == 1.0, power_kw < 0
    through_charger = plugged_in[:-1] & plugged_in[1:] & (giving[:-1] | giving[1:])
    v2g_kwh = np.where(through_charger, np.clip(-np.diff(soc), 0.0, None), 0.0) * vehicle.type.usable_kwh
    profile = make_profile((seconds - seconds[0]) / 3600.0, soc, _temperatures(seconds, temperature_c))
    return History(profile, vehicle.type.usable_kwh, v2g_kwh)


def _last_said(values: Floats) -> Floats:
    """Let a value hold until another one is said."""
    said = np.where(np.isnan(values), 0, np.arange(values.size))
    return values[np.maximum.accumulate(said)]


def _temperatures(seconds: Floats, temperature_c: Floats) -> Floats:
    """Join known temperatures by straight lines; an impossible one is not known."""
    known = np.flatnonzero(np.abs(temperature_c) < HOTTEST_C)
    if not known.size:
        return np.full_like(seconds, BATTERY_TEMPERATURE_C)
    return np.interp(seconds, seconds[known], temperature_c[known])


def _stored_states(base: BatteryHealth) -> dict[str, AgeingState]:
    return {name: AgeingState(**values) for name, values in base.state.items()}


def _assumed_states(vehicle: Vehicle, history: History, end_at: datetime) -> dict[str, AgeingState]:
    """Return the state at the first reading: new on the first day in service, then driven as in the first week."""
    known_hours = history.profile.span_hours
    in_service = datetime.combine(vehicle.in_service_on, time(), tzinfo=vehicle.depot.tz)
    before_hours = (end_at - in_service).total_seconds() / 3600.0 - known_hours
    models = cell_models(vehicle.type.chemistry)
    if before_hours < HOURS_PER_DAY:
        return {model.name: new_cell(model) for model in models}
    past = repeated(_first_week(history), 0.0, before_hours // HOURS_PER_DAY * HOURS_PER_DAY)
    return {model.name: advance(new_cell(model), past) for model in models}


def driving_only(history: History) -> SocProfile:
    """Return the charge history that the same driving would have made without V2G."""
    if history.v2g_kwh is None or not history.v2g_kwh.any():
        return history.profile
    return without_discharge(history.profile, history.v2g_kwh, history.nominal_kwh)


def _first_week(history: History) -> SocProfile:
    """Return the first recorded week (or what there is of it) as it would have been without V2G."""
    profile = driving_only(history)
    inside = profile.hours - profile.hours[0] <= WINDOW.total_seconds() / 3600.0
    if inside.sum() < 2:
        return profile
    return SocProfile(profile.hours[inside], profile.soc[inside], profile.temperature_c[inside])


def _store(vehicle: Vehicle, day: date, computed_at: datetime, found: Assessment) -> BatteryHealth:
    """Store an assessment. The state counts from new; V2G's part and the hours are added to the stored day's."""
    kind, report, base = vehicle.type, found.report, found.base
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
            "outlook_per_year": found.outlook,
            "v2g_outlook_per_year": found.outlook - found.outlook_without_v2g,
            "equivalent_full_cycles": report.state.equivalent_full_cycles,
            "throughput_kwh": report.throughput_kwh,
            "v2g_throughput_kwh": report.v2g_throughput_kwh + (base.v2g_throughput_kwh if base else 0.0),
            "hours_above_80": report.hours_above_80_percent + (base.hours_above_80 if base else 0.0),
            "recorded_hours": found.history.profile.span_hours + (base.recorded_hours if base else 0.0),
            "wear_cost_per_kwh": type_wear_cost(kind.chemistry, kind.usable_kwh, kind.pack_price_per_kwh),
            "extrapolated": report.extrapolated,
            "model": report.model,
            "state": {name: asdict(state) for name, state in found.states.items()},
        },
    )
    return row
