"""How sure a month's savings are."""

from __future__ import annotations

from django.db import models

from depot.models import Depot, Scoped
from depot.words import month_year


class SavingsBand(Scoped):
    """The net saving of a month when what the baseline assumes is varied: charger power, moment of arrival."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="savings_bands")
    start_at = models.DateTimeField(help_text="First moment of the month.")
    low = models.DecimalField(max_digits=18, decimal_places=6)
    high = models.DecimalField(max_digits=18, decimal_places=6)
    cases = models.JSONField(
        help_text="Each variation in words with the unmanaged bill and net saving it gives."
    )
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["depot", "-start_at"]
        constraints = [models.UniqueConstraint(fields=["depot", "start_at"], name="one_band_per_month")]

    def __str__(self) -> str:
        return f"{month_year(self.depot.local(self.start_at))}: {self.low} to {self.high}"
