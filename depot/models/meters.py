"""Meters, what they read, and what is expected of sun and building."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

from depot.models.base import Scoped
from depot.models.site import Depot, ElectricalNode
from depot.words import tr


class Meter(Scoped):
    """A meter of the site: at the grid connection, of the solar arrays, or of the building."""

    class Kind(models.TextChoices):
        GRID = "grid", "Grid connection (import and export)"
        SOLAR = "solar", "Solar production"
        BUILDING = "building", "Building load"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="meters")
    node = models.ForeignKey(ElectricalNode, on_delete=models.PROTECT, related_name="meters")
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=60)
    serial = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ["depot", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "name"], name="meter_name_once_per_depot"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.node_id and self.node.depot_id != self.depot_id:
            raise ValidationError(
                {"node": tr("This node belongs to another depot. Choose a node of this depot.")}
            )


class Quality(models.TextChoices):
    GOOD = "good", "Measured"
    ESTIMATED = "estimated", "Estimated"
    SUSPECT = "suspect", "Suspect"


class MeterReading(Scoped):
    """One reading: power now and both registers. Energy of a span is the difference of registers.

    Grid meter: power above zero is import. Solar meter: production counts in the import register, above zero.
    """

    depot_path = "meter__depot"

    meter = models.ForeignKey(Meter, on_delete=models.CASCADE, related_name="readings")
    observed_at = models.DateTimeField()
    received_at = models.DateTimeField()
    power_kw = models.FloatField()
    import_kwh_total = models.FloatField()
    export_kwh_total = models.FloatField(default=0.0)
    quality = models.CharField(max_length=10, choices=Quality, default=Quality.GOOD)

    class Meta:
        ordering = ["meter", "observed_at"]
        constraints = [
            models.UniqueConstraint(fields=["meter", "observed_at"], name="one_reading_per_meter_and_moment"),
        ]
        indexes = [models.Index(fields=["received_at"], name="readings_by_receipt")]


class Forecast(Scoped):
    """An expected series: what was known when, so that plans can be judged later."""

    class Kind(models.TextChoices):
        SOLAR = "solar", "Solar production"
        BUILDING = "building", "Building load"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="forecasts")
    kind = models.CharField(max_length=10, choices=Kind)
    made_at = models.DateTimeField()
    start_at = models.DateTimeField()
    step_minutes = models.PositiveSmallIntegerField()
    power_kw = models.JSONField(help_text="Mean power of each step, in kW.")
    source = models.CharField(max_length=120, help_text="How it was made, in words.")

    class Meta:
        ordering = ["depot", "kind", "-made_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "kind", "made_at"], name="one_forecast_per_kind_and_moment"
            ),
        ]
        get_latest_by = "made_at"
