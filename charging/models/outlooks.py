"""The demand peaks that are to be expected anyway in the coming days."""

from __future__ import annotations

from django.db import models

from depot.models import Depot, Scoped


class PeakOutlook(Scoped):
    """What one plan of the coming days says about the demand peaks; plans take them as paid while it is fresh."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="peak_outlooks")
    made_at = models.DateTimeField()
    until_at = models.DateTimeField(help_text="The end of the days that were planned.")
    peaks = models.JSONField(
        help_text="Of each demand charge and billing period: kW, when, and what draws it. Empty = no plan was found."
    )
    seconds = models.FloatField()

    class Meta:
        ordering = ["depot", "-made_at"]
        indexes = [models.Index(fields=["depot", "-made_at"], name="outlooks_by_depot_and_time")]

    def __str__(self) -> str:
        return f"{self.depot} {self.made_at:%Y-%m-%d %H:%M} UTC, until {self.until_at:%Y-%m-%d}"
