"""Measure yesterday's trips and learn from those of a year what each vehicle uses, each night."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import sqrt
from statistics import fmean

from django.db import transaction
from django.db.models import Min

from depot.models import Depot, Job
from depot.timegrid import local_to_utc
from depot.words import tr
from fleet.demand.learnt import Learnt, TripUse, learn
from fleet.demand.measured_trips import LATE, NEAR, Said, measure_trip
from fleet.models import DayTemperature, LearntConsumption, MeasuredTrip, TelemetryReading, Vehicle
from fleet.selectors.duties import Duty, duties

LATE_DATA = timedelta(days=3)
"""Readings arrive up to so much later: the trips of these days are measured again."""
JOB = "consumption"
YEAR = timedelta(days=365)
CHUNK = timedelta(days=28)
BULK = 500
SOC_SIGMA = 0.005 * sqrt(2)
"""Standard error of a difference of two SoC that are told in steps of half to one percent."""
SAID = (
    "observed_at",
    "soc",
    "plugged_in",
    "charging_power_kw",
    "odometer_km",
    "energy_used_kwh_total",
    "outside_temp_c",
)

Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class LearntNight:
    """What a night's work did: trips measured anew, vehicles of which something is known, and the last day (ISO)."""

    trips: int
    vehicles: int
    until: str


def learn_consumption(
    depot: Depot, day: date, computed_at: datetime, progress: Report | None = None
) -> LearntNight:
    """Measure the trips up to the end of local `day` and store what every vehicle uses, dated `day`.

    Only the last days are measured anew; the first time it is a year, as far as there are readings. What was learnt
    for the same day is replaced.
    """
    measured = measure_trips(depot, day, computed_at, progress)
    vehicles = list(Vehicle.objects.of_depot(depot).filter(active=True).select_related("type"))
    by_type: dict[int, list[Vehicle]] = defaultdict(list)
    for vehicle in vehicles:
        by_type[vehicle.type_id].append(vehicle)
    uses = _uses(depot, vehicles, day)
    rows = []
    for alike in by_type.values():
        trips = [trip for vehicle in alike for trip in uses.get(vehicle.pk, [])]
        found = learn(trips, [vehicle.pk for vehicle in alike], alike[0].type.consumption_kwh_per_km)
        rows += [_row(vehicle_id, day, computed_at, learnt) for vehicle_id, learnt in found.items()]
    with transaction.atomic():
        LearntConsumption.objects.of_depot(depot).filter(date=day).delete()
        LearntConsumption.objects.bulk_create(rows, batch_size=BULK)
    return LearntNight(measured, len(rows), day.isoformat())


def measure_trips(depot: Depot, until: date, now: datetime, progress: Report | None = None) -> int:
    """Store what the trips of the last days up to `until` took, and how cold those days were; return how many."""
    first = _measure_from(depot, until)
    if first is None:
        return 0
    total, number = (until - first).days + 1, 0
    day = first
    while day <= until:
        last = min(day + CHUNK - timedelta(days=1), until)
        if progress is not None:
            progress(0.9 * (day - first).days / total, tr("Trips from {day:%d %b}", day=day))
        number += _measure(depot, day, last, now)
        day = last + timedelta(days=1)
    return number


def _measure_from(depot: Depot, until: date) -> date | None:
    """Return the first day to measure: three before the last night's last, else that of the first reading."""
    done = Job.objects.filter(depot=depot, kind=JOB, state=Job.State.DONE).order_by("-due_at").first()
    if done is not None and done.result:
        return min(date.fromisoformat(done.result["until"]), until) - LATE_DATA
    since = local_to_utc(until - YEAR, 0, depot.tz)
    readings = TelemetryReading.objects.filter(vehicle__depot=depot, observed_at__gte=since)
    oldest = readings.aggregate(at=Min("observed_at"))["at"]
    return depot.local(oldest).date() if oldest else None


def _measure(depot: Depot, first: date, last: date, now: datetime) -> int:
    """Measure the trips of some service days anew, in one transaction."""
    begin, end = local_to_utc(first, 0, depot.tz), local_to_utc(last + timedelta(days=1), 0, depot.tz)
    by_vehicle: dict[int, list[Duty]] = defaultdict(list)
    for duty in duties(depot, begin, end):
        if duty.vehicle is not None and duty.outage is None:
            by_vehicle[duty.vehicle.pk].append(duty)
    found = [
        trip
        for run in by_vehicle.values()
        for trip in _measured(run)
        if first <= trip.service_date <= last and trip.in_at <= now
    ]
    with transaction.atomic():
        MeasuredTrip.objects.of_depot(depot).filter(service_date__range=(first, last)).delete()
        MeasuredTrip.objects.bulk_create(found, batch_size=BULK, ignore_conflicts=True)
        _store_temperatures(depot, found)
    return len(found)


def _measured(run: Sequence[Duty]) -> Iterable[MeasuredTrip]:
    """Yield what the trips of one vehicle took; one that overlaps another is not told apart."""
    vehicle = run[0].vehicle
    if vehicle is None:
        return
    said = _said(vehicle, run[0].pull_out_at - 2 * NEAR, run[-1].pull_in_at + LATE)
    bounds = [run[0].pull_out_at - 2 * NEAR]
    bounds += [
        before.pull_in_at + (after.pull_out_at - before.pull_in_at) / 2 for before, after in pairwise(run)
    ]
    bounds.append(run[-1].pull_in_at + LATE)
    place = 0
    for duty, (start, stop) in zip(run, pairwise(bounds), strict=True):
        own = []
        while place < len(said) and said[place].at < start:
            place += 1
        index = place
        while index < len(said) and said[index].at < stop:
            own.append(said[index])
            index += 1
        place = index
        trip = measure_trip(
            own, duty.pull_out_at, duty.pull_in_at, duty.block.distance_km, vehicle.capacity_kwh
        )
        if trip is not None:
            yield MeasuredTrip(
                vehicle=vehicle,
                service_date=duty.service_date,
                block_id=duty.block.block_id,
                pull_out_at=duty.pull_out_at,
                pull_in_at=duty.pull_in_at,
                **asdict(trip),
            )


def _said(vehicle: Vehicle, begin: datetime, end: datetime) -> list[Said]:
    """Return the plausible readings of a vehicle in order."""
    rows = TelemetryReading.objects.filter(
        vehicle=vehicle, observed_at__range=(begin, end), quality=TelemetryReading.Quality.GOOD
    )
    return [Said(*values) for values in rows.order_by("observed_at").values_list(*SAID)]


def _store_temperatures(depot: Depot, trips: Iterable[MeasuredTrip]) -> None:
    """Keep the mean temperature of each day's trips; what vehicles tell takes the place of what was expected."""
    told: dict[date, list[float]] = defaultdict(list)
    for trip in trips:
        if trip.outside_temp_c is not None:
            told[trip.service_date].append(trip.outside_temp_c)
    DayTemperature.objects.bulk_create(
        [
            DayTemperature(
                depot=depot, date=day, outside_temp_c=fmean(values), source=DayTemperature.Source.TOLD
            )
            for day, values in told.items()
        ],
        update_conflicts=True,
        unique_fields=["depot", "date"],
        update_fields=["outside_temp_c", "source"],
    )


def _uses(depot: Depot, vehicles: Sequence[Vehicle], day: date) -> dict[int, list[TripUse]]:
    """Return the trips of a year by vehicle id; of one that told no temperature, that of its day counts."""
    kinds = {vehicle.pk: vehicle.type for vehicle in vehicles}
    days = DayTemperature.objects.of_depot(depot).filter(source=DayTemperature.Source.TOLD)
    told = dict(days.filter(date__range=(day - YEAR, day)).values_list("date", "outside_temp_c"))
    trips = MeasuredTrip.objects.filter(vehicle__in=kinds, service_date__range=(day - YEAR, day))
    values = trips.values_list(
        "vehicle_id",
        "service_date",
        "pull_out_at",
        "pull_in_at",
        "distance_km",
        "energy_kwh",
        "outside_temp_c",
    )
    found: dict[int, list[TripUse]] = defaultdict(list)
    for vehicle_id, on, pull_out_at, pull_in_at, km, kwh, outside_temp_c in values.iterator():
        kind = kinds[vehicle_id]
        driving_kwh = kwh - kind.auxiliary_kw * (pull_in_at - pull_out_at) / timedelta(hours=1)
        if driving_kwh <= 0:
            continue
        noise = SOC_SIGMA * kind.usable_kwh / driving_kwh
        temperature_c = told.get(on) if outside_temp_c is None else outside_temp_c
        found[vehicle_id].append(TripUse(vehicle_id, (day - on).days, km, driving_kwh, temperature_c, noise))
    return found


def _row(vehicle_id: int, day: date, computed_at: datetime, learnt: Learnt) -> LearntConsumption:
    values = asdict(learnt)
    return LearntConsumption(vehicle_id=vehicle_id, date=day, computed_at=computed_at, **values)
