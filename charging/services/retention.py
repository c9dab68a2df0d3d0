"""Thin old readings to a few in each quarter of an hour: what is counted in each step stays exactly as it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import F, Max, Min, QuerySet

from billing.models import Interval
from charging.models import MeterSample
from charging.selectors.energy import greatest_kw as charger_kw
from depot.forecasting.thinning import Indices, spare_registers, spare_said
from depot.jobs import Progress
from depot.models import Depot, Job, Meter, MeterReading, Quality
from depot.selectors.metering import greatest_kw as meter_kw
from depot.timegrid import days as days_between
from depot.timegrid import local_day_bounds
from depot.words import tr
from fleet.models import TelemetryReading

JOB = "retention"
BATCH = 500
MOST_DAYS = 31
"""Days of one run: years of a depot that was never thinned are worked off night by night."""
MONTHLY = (TelemetryReading._meta.db_table, MeterReading._meta.db_table)
"""Tables that lie in monthly partitions on PostgreSQL."""
LATE_DATA = timedelta(days=3)
LONGEST_STEP = 15
"""Minutes of the steps in which the first and last reading stay, where the ledger's are not shorter."""
SAID = (
    "soc",
    "odometer_km",
    "energy_used_kwh_total",
    "battery_temp_c",
    "outside_temp_c",
    "soh",
    "latitude",
    "plugged_in",
    "charging_power_kw",
)

Row = tuple[Any, ...]


@dataclass(slots=True)
class Thinned:
    """How many rows went, and up to which day everything is thin (None = nothing was old enough)."""

    meter_readings: int = 0
    charger_samples: int = 0
    telemetry: int = 0
    until: date | None = None

    def as_json(self) -> dict[str, int | str | None]:
        counts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "until"}
        return counts | {"until": self.until.isoformat() if self.until else None}


def thin(depot: Depot, now: datetime, progress: Progress) -> Thinned:
    """Thin the days that are older than `DEPOT_RAW_DAYS`; those the last run did are left, but for late data.

    Of meters and chargers only what lies in closed intervals of the ledger. Every batch is deleted by itself, so
    a run that is stopped has done a part, and the next one does the rest.
    """
    done = Thinned()
    last = depot.local(now).date() - timedelta(days=settings.RAW_DAYS + 1)
    first = _first_day(depot, last) if settings.RAW_DAYS else None
    if first is None:
        return done
    days = list(days_between(first, min(last, first + timedelta(days=MOST_DAYS - 1))))
    closed_until = _closed_until(depot)
    step_s = 60.0 * min(depot.step_minutes, LONGEST_STEP)
    for number, day in enumerate(days):
        progress(number / len(days), tr("Thinning {day:%d %b %Y}", day=day))
        begin, end = local_day_bounds(day, depot.tz)
        if closed_until is not None and end <= closed_until:
            done.meter_readings += _meters(depot, begin, end, step_s)
            done.charger_samples += _chargers(depot, begin, end, step_s)
        done.telemetry += _telemetry(depot, begin, end, step_s)
        done.until = day
    return done


def _first_day(depot: Depot, last: date) -> date | None:
    """Return the day to begin with: three before the last run's last one, else that of the oldest reading."""
    before = Job.objects.filter(depot=depot, kind=JOB, state=Job.State.DONE).order_by("-due_at").first()
    if before is not None and before.result and before.result["until"]:
        first = date.fromisoformat(before.result["until"]) - LATE_DATA
    else:
        oldest = [
            MeterReading.objects.filter(meter__depot=depot).aggregate(at=Min("observed_at"))["at"],
            _samples(depot).aggregate(at=Min("sampled_at"))["at"],
            TelemetryReading.objects.of_depot(depot).aggregate(at=Min("observed_at"))["at"],
        ]
        known = [at for at in oldest if at is not None]
        if not known:
            return None
        first = depot.local(min(known)).date()
    return first if first <= last else None


def _closed_until(depot: Depot) -> datetime | None:
    newest: datetime | None = Interval.objects.filter(depot=depot).aggregate(at=Max("start_at"))["at"]
    return newest + timedelta(minutes=depot.step_minutes) if newest else None


def _samples(depot: Depot) -> QuerySet[MeterSample]:
    return MeterSample.objects.filter(session__connector__charger__depot=depot)


def _meters(depot: Depot, begin: datetime, end: datetime, step_s: float) -> int:
    """Thin the readings of meters; suspect ones count nothing, and stay as they are."""
    number = 0
    solar_kw = sum(array.inverter_kw for array in depot.solar_arrays.all())
    for meter in depot.meters.select_related("node"):
        rows = meter.readings.filter(observed_at__gte=begin, observed_at__lt=end)
        counting = rows.exclude(quality=Quality.SUSPECT).order_by("observed_at")
        values = counting.values_list("pk", "observed_at", "import_kwh_total", "export_kwh_total", "quality")
        limit_kw = meter_kw(meter, solar_kw if meter.kind == Meter.Kind.SOLAR else 0.0)
        number += _drop(rows, _spare(list(values), limit_kw, step_s))
    return number


def _chargers(depot: Depot, begin: datetime, end: datetime, step_s: float) -> int:
    charger = "session__connector__charger__max"
    rows = _samples(depot).filter(sampled_at__gte=begin, sampled_at__lt=end).order_by("session", "sampled_at")
    ratings: dict[int, float] = {}
    by_session: dict[int, list[Row]] = defaultdict(list)
    for session_id, charge_kw, discharge_kw, *row in rows.values_list(
        "session_id",
        F(f"{charger}_charge_kw"),
        F(f"{charger}_discharge_kw"),
        "pk",
        "sampled_at",
        "import_kwh_total",
        "export_kwh_total",
        "quality",
    ):
        ratings[session_id] = charger_kw(charge_kw, discharge_kw)
        by_session[session_id].append(tuple(row))
    spare = [pk for session, own in by_session.items() for pk in _spare(own, ratings[session], step_s)]
    return _drop(MeterSample.objects.all(), spare)


def _spare(rows: list[Row], greatest_kw: float, step_s: float) -> list[int]:
    """Return the ids that can go of one register's rows; where one of them is not plainly good, all stay."""
    if any(quality != Quality.GOOD for *_, quality in rows):
        return []
    at, imported, exported = (
        np.array([row[place].timestamp() if place == 1 else row[place] for row in rows], dtype=float)
        for place in (1, 2, 3)
    )
    return _ids(rows, spare_registers(at, (imported, exported), greatest_kw, step_s))


def _telemetry(depot: Depot, begin: datetime, end: datetime, step_s: float) -> int:
    """Thin what vehicles said: the first and last word of each step on each matter stay."""
    of_day = TelemetryReading.objects.filter(observed_at__gte=begin, observed_at__lt=end)
    rows = of_day.filter(vehicle__depot=depot)
    by_vehicle: dict[int, list[Row]] = defaultdict(list)
    values = rows.order_by("vehicle", "observed_at", "source", "source_event_id")
    for vehicle_id, *row in values.values_list(
        "vehicle_id", "pk", "observed_at", "source", "quality", *SAID
    ).iterator():
        by_vehicle[vehicle_id].append(tuple(row))
    spare: list[int] = []
    for own in by_vehicle.values():
        seconds = np.array([row[1].timestamp() for row in own])
        kinds = [(row[2], row[3], *(value is None for value in row[4:])) for row in own]
        spare += _ids(own, spare_said(seconds, kinds, step_s))
    return _drop(of_day, spare)


def _ids(rows: list[Row], places: Indices) -> list[int]:
    return [rows[place][0] for place in places]


def _drop(rows: QuerySet[Any, Any], ids: Iterable[int]) -> int:
    """Delete rows by their ids; those of `rows` are of one day, so that PostgreSQL looks into its month only."""
    keys = list(ids)
    for start in range(0, len(keys), BATCH):
        rows.filter(pk__in=keys[start : start + BATCH]).delete()
    return len(keys)
