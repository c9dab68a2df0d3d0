"""Battery health as the pages tell it: every vehicle's last assessment, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery

from depot.models import Depot
from fleet.battery.ageing import AgeingState, advance
from fleet.battery.cells import CELL_MODELS
from fleet.battery.health import hours_above
from fleet.battery.profile import HOURS_PER_YEAR, SocProfile, make_profile, repeated
from fleet.models import BatteryHealth, TelemetryReading, Vehicle
from fleet.selectors.wear import BATTERY_TEMPERATURE_C

WORN_OUT_SOH = 0.80
SHORT_HISTORY_HOURS = 28 * 24.0
FULL_WEEK_HOURS = 6.5 * 24
"""A week of readings need not begin at midnight of its first day."""
HIGH_SOC = 0.8
BUCKET = timedelta(minutes=15)
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Battery:
    """A vehicle with its last assessment."""

    vehicle: Vehicle
    health: BatteryHealth

    @property
    def low(self) -> float:
        return max(0.0, self.health.soh - self.health.soh_uncertainty)

    @property
    def high(self) -> float:
        return self.health.soh + self.health.soh_uncertainty

    @property
    def warranty_share(self) -> float | None:
        """Return the throughput so far as a share of what the warranty covers; None without such a warranty."""
        covered_kwh = self.vehicle.type.warranty_throughput_kwh
        return self.health.throughput_kwh / covered_kwh if covered_kwh else None

    @property
    def v2g_points(self) -> float:
        """Return V2G's part of the yearly loss, in percentage points; below zero it spares the battery."""
        return 100 * self.health.v2g_outlook_per_year

    @property
    def share_above_80(self) -> float | None:
        """Return the share of the recorded time above 80 %."""
        hours = self.health.recorded_hours
        return self.health.hours_above_80 / hours if hours else None

    @property
    def short_history(self) -> bool:
        return self.health.recorded_hours < SHORT_HISTORY_HOURS

    @property
    def model_label(self) -> str:
        model = CELL_MODELS.get(self.health.model)
        return model.label if model else self.health.model

    @property
    def concern(self) -> str:
        """Return a state: beyond the warranty or worn out, close to it, or fine."""
        share = self.warranty_share or 0.0
        if share > 1 or self.health.soh < WORN_OUT_SOH:
            return "critical"
        if share > 0.9 or self.low < WORN_OUT_SOH:
            return "warning"
        return "ready"


CONCERNS = ("critical", "warning", "ready")


def fleet_batteries(depot: Depot) -> list[Battery]:
    """Return the last assessment of every active vehicle that has one, the most worrying first, from one query."""
    newest = BatteryHealth.objects.filter(vehicle=OuterRef("vehicle")).order_by("-date")
    rows = (
        BatteryHealth.objects.filter(
            vehicle__depot=depot, vehicle__active=True, pk=Subquery(newest.values("pk")[:1])
        )
        .select_related("vehicle__type")
        .defer("state")
    )
    batteries = [Battery(row.vehicle, row) for row in rows]
    return sorted(
        batteries,
        key=lambda battery: (
            CONCERNS.index(battery.concern),
            -battery.health.outlook_per_year,
            battery.vehicle.name,
        ),
    )


def health_history(vehicle: Vehicle) -> list[BatteryHealth]:
    """Return the assessments of a vehicle that have a full week behind them, the oldest first.

    Before that, the vehicle's unrecorded past is still being guessed anew each night.
    """
    rows = BatteryHealth.objects.filter(vehicle=vehicle, recorded_hours__gte=FULL_WEEK_HOURS)
    return list(rows.order_by("date").defer("state"))


def latest_health(vehicle: Vehicle) -> BatteryHealth | None:
    """Return the last assessment of a vehicle."""
    return BatteryHealth.objects.filter(vehicle=vehicle).order_by("-date").first()


def recent_soc(vehicle: Vehicle, until: datetime, span: timedelta = WEEK) -> list[tuple[datetime, float]]:
    """Return the vehicle's SoC (0..1) over the last days: the last word of each quarter of an hour."""
    rows = (
        TelemetryReading.objects.filter(
            vehicle=vehicle,
            observed_at__gt=until - span,
            observed_at__lte=until,
            soc__isnull=False,
            quality=TelemetryReading.Quality.GOOD,
        )
        .order_by("observed_at")
        .values_list("observed_at", "soc")
    )
    thinned = {at.timestamp() // BUCKET.total_seconds(): (at, soc) for at, soc in rows if soc is not None}
    return list(thinned.values())


@dataclass(frozen=True, slots=True)
class Advice:
    """What standing at 80 % at most would do: hours above it a week, and capacity saved in a year (fraction)."""

    hours_a_week: float
    saved_per_year: float


def standing_advice(health: BatteryHealth, trace: list[tuple[datetime, float]]) -> Advice | None:
    """Age the battery for a year as in `trace`, and again never above 80 %; None without a day of readings."""
    if len(trace) < 2 or trace[-1][0] - trace[0][0] < timedelta(days=1) or health.model not in health.state:
        return None
    start = AgeingState(**health.state[health.model])
    hours = [(at - trace[0][0]).total_seconds() / 3600 for at, _ in trace]
    soc = [value for _, value in trace]
    as_it_is = make_profile(hours, soc, BATTERY_TEMPERATURE_C)
    lower = make_profile(hours, [min(value, HIGH_SOC) for value in soc], BATTERY_TEMPERATURE_C)
    above = hours_above(as_it_is, HIGH_SOC) * 168 / as_it_is.span_hours
    return Advice(above, _calendar_loss(start, as_it_is) - _calendar_loss(start, lower))


def _calendar_loss(start: AgeingState, week: SocProfile) -> float:
    """Return the standing loss of a year like this week."""
    return advance(start, repeated(week, 0.0, HOURS_PER_YEAR)).calendar_loss - start.calendar_loss
