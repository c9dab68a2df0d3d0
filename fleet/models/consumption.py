"""What trips took from batteries, and what was learnt from them."""

from __future__ import annotations

from django.db import models

from depot.models import Depot, Scoped
from fleet.models.vehicles import Vehicle


class MeasuredTrip(Scoped):
    """One trip whose energy could be told from what its vehicle said. Kilometres, and kWh out of the battery."""

    depot_path = "vehicle__depot"

    class Distance(models.TextChoices):
        ODOMETER = "odometer", "Odometer"
        SCHEDULE = "schedule", "Schedule"

    class Energy(models.TextChoices):
        SOC = "soc", "Fall of the SoC"
        COUNTER = "counter", "The vehicle's counter"

    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="measured_trips")
    service_date = models.DateField()
    block_id = models.CharField(max_length=60)
    pull_out_at = models.DateTimeField(help_text="As scheduled.")
    pull_in_at = models.DateTimeField(help_text="As scheduled.")
    out_at = models.DateTimeField(help_text="Of the last charge told before it left.")
    in_at = models.DateTimeField(help_text="Of the first charge told when it was back.")
    distance_km = models.FloatField()
    distance_source = models.CharField(max_length=8, choices=Distance)
    energy_kwh = models.FloatField()
    energy_source = models.CharField(max_length=8, choices=Energy)
    outside_temp_c = models.FloatField(null=True, help_text="Mean of what was told on the way.")

    class Meta:
        ordering = ["vehicle", "pull_out_at"]
        constraints = [
            models.UniqueConstraint(fields=["vehicle", "pull_out_at"], name="one_measure_per_trip"),
            models.CheckConstraint(
                condition=models.Q(distance_km__gt=0, energy_kwh__gt=0), name="measured_trip_above_zero"
            ),
        ]


class LearntConsumption(Scoped):
    """What a vehicle uses per km, as learnt from its own trips and those of its type up to the end of `date`."""

    depot_path = "vehicle__depot"

    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="consumption")
    date = models.DateField()
    computed_at = models.DateTimeField()
    kwh_per_km = models.FloatField(help_text="At 20 °C, without auxiliaries.")
    points = models.JSONField(help_text="°C, factor on it, standard error of one trip (of the logarithm).")
    trips = models.PositiveIntegerField(help_text="Its own trips behind it.")
    fleet_trips = models.PositiveIntegerField(help_text="Trips of its type behind it.")
    spread = models.FloatField(help_text="Relative standard deviation of single trips.")
    mean_temp_c = models.FloatField(null=True, help_text="Of these trips; empty = no temperature was told.")

    class Meta:
        ordering = ["vehicle", "-date"]
        get_latest_by = "date"
        constraints = [
            models.UniqueConstraint(fields=["vehicle", "date"], name="one_consumption_per_vehicle_and_day")
        ]


class DayTemperature(Scoped):
    """How cold or warm a day was, as vehicles told on their trips, or will be, as a person expects."""

    class Source(models.TextChoices):
        TOLD = "told", "Told by vehicles"
        ENTERED = "entered", "Entered"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="day_temperatures")
    date = models.DateField()
    outside_temp_c = models.FloatField()
    source = models.CharField(max_length=8, choices=Source)

    class Meta:
        ordering = ["depot", "-date"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "date"], name="one_temperature_per_depot_and_day")
        ]
