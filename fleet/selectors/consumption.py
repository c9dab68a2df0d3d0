"""What was last learnt of a depot's vehicles, and how cold or warm its days are taken to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import fmean

from django.db.models import F, OuterRef, QuerySet, Subquery

from depot.models import Depot
from depot.words import mark
from fleet.demand.learnt import Learnt
from fleet.models import DayTemperature, LearntConsumption, Vehicle

KNOWN_FOR = timedelta(days=30)
"""Nothing is planned with what was learnt longer ago: the nightly work has then stopped."""
LOOK_BACK = timedelta(days=10)
DAYS_TAKEN = 3
SIGMA_ENTERED_C, SIGMA_AS_LATELY_C = 2.0, 4.0
"""Assumptions: a person's figure is good to 2 °C, and a day differs from the last ones by 4 °C."""


@dataclass(frozen=True, slots=True)
class DayWeather:
    """The outside temperature that a day is planned with, its standard error (°C), and where it is from, in words."""

    outside_temp_c: float
    sigma_c: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class ConsumptionBook:
    """What is known to work out a depot's duties: learnt consumption by vehicle id, and temperatures by day."""

    learnt: Mapping[int, Learnt] = field(default_factory=dict)
    temperatures: Mapping[date, DayTemperature] = field(default_factory=dict)

    def weather(self, day: date) -> DayWeather | None:
        """Return the temperature of a day: as told or entered, else as on the last days; None where nothing is told."""
        known = self.temperatures.get(day)
        if known is not None:
            entered = known.source == DayTemperature.Source.ENTERED
            return DayWeather(known.outside_temp_c, SIGMA_ENTERED_C if entered else 0.0)
        before = [
            row.outside_temp_c
            for at, row in sorted(self.temperatures.items())
            if day - LOOK_BACK <= at < day and row.source == DayTemperature.Source.TOLD
        ]
        if not before:
            return None
        return DayWeather(fmean(before[-DAYS_TAKEN:]), SIGMA_AS_LATELY_C, mark("as lately"))


def consumption_book(depot: Depot, first: date, last: date) -> ConsumptionBook:
    """Return what is known for the service days from `first` to `last`, from two queries."""
    return consumption_books([depot], first, last)[depot.pk]


def consumption_books(depots: Sequence[Depot], first: date, last: date) -> dict[int, ConsumptionBook]:
    """Return by depot id what is known for the service days from `first` to `last`, from two queries in all."""
    ids = [depot.pk for depot in depots]
    learnt: dict[int, dict[int, Learnt]] = {pk: {} for pk in ids}
    rows = _latest(LearntConsumption.objects.of_depots(ids), last).annotate(depot_id=F("vehicle__depot"))
    for row in rows:
        learnt[row.depot_id][row.vehicle_id] = learnt_of(row)
    temperatures: dict[int, dict[date, DayTemperature]] = {pk: {} for pk in ids}
    for day in DayTemperature.objects.of_depots(ids).filter(date__range=(first - LOOK_BACK, last)):
        temperatures[day.depot_id][day.date] = day
    return {pk: ConsumptionBook(learnt[pk], temperatures[pk]) for pk in ids}


def latest_learnt(depot: Depot, on: date) -> QuerySet[LearntConsumption]:
    """Return the rows of the depot's last nightly learning before `on`, one a vehicle."""
    return _latest(LearntConsumption.objects.of_depot(depot), on)


def _latest(rows: QuerySet[LearntConsumption], on: date) -> QuerySet[LearntConsumption]:
    """Narrow rows to those of the last night of each one's depot."""
    known = rows.filter(date__range=(on - KNOWN_FOR, on))
    of_depot = known.filter(vehicle__depot=OuterRef("vehicle__depot")).order_by("-date")
    return known.filter(date=Subquery(of_depot.values("date")[:1]))


def learnt_of(row: LearntConsumption) -> Learnt:
    """Return a stored row as the pure rooms know it."""
    points = [(at, factor, sigma) for at, factor, sigma in row.points]
    return Learnt(row.kwh_per_km, points, row.trips, row.fleet_trips, row.spread, row.mean_temp_c)


def learnt_history(vehicle: Vehicle) -> QuerySet[LearntConsumption]:
    """Return what was learnt of a vehicle, the newest first."""
    return LearntConsumption.objects.filter(vehicle=vehicle).order_by("-date")
