"""What each vehicle took and gave on each day: reports add them up instead of reading every sample again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from depot.models import Depot, Scoped
from fleet.models import Vehicle


class VehicleDay(Scoped):
    """Energy of one vehicle on one local day at the chargers' grid side, with its worth at the frozen prices.

    Sessions whose vehicle nobody knows stand in one row without a vehicle.
    """

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="vehicle_days")
    vehicle = models.ForeignKey(Vehicle, null=True, on_delete=models.PROTECT, related_name="days")
    date = models.DateField(help_text="In the depot's time zone.")
    charged_kwh = models.FloatField()
    given_kwh = models.FloatField()
    worth = models.DecimalField(
        max_digits=18, decimal_places=6, help_text="Cost of what was charged, less what was given, in money."
    )
    wear_cost = models.DecimalField(max_digits=18, decimal_places=6)
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["depot", "date", "vehicle"]
        constraints = [
            models.UniqueConstraint(
                fields=["vehicle", "date"],
                condition=Q(vehicle__isnull=False),
                name="one_row_per_vehicle_and_day",
            ),
            models.UniqueConstraint(
                fields=["depot", "date"], condition=Q(vehicle__isnull=True), name="one_row_of_unknown_per_day"
            ),
        ]
        indexes = [models.Index(fields=["depot", "date"], name="vehicle_days_by_date")]

    def __str__(self) -> str:
        return f"{self.vehicle or 'unknown vehicle'} on {self.date}"
