"""The ledger: one row per depot and interval, frozen when it closes."""

from __future__ import annotations

from django.db import models

from billing.models.tariffs import Tariff
from depot.models import Depot, Quality, Scoped


class Interval(Scoped):
    """Energy, price and counterfactual of one interval. History never changes when a tariff is edited later."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="intervals")
    start_at = models.DateTimeField()
    minutes = models.PositiveSmallIntegerField()
    import_kwh = models.FloatField(help_text="Measured at the grid connection.")
    export_kwh = models.FloatField(help_text="Measured at the grid connection.")
    building_kwh = models.FloatField()
    solar_kwh = models.FloatField()
    charge_kwh = models.FloatField(help_text="Into all vehicles, at the chargers' grid side.")
    discharge_kwh = models.FloatField(help_text="Out of all vehicles, at the chargers' grid side.")
    unmanaged_charge_kwh = models.FloatField(default=0.0, help_text="The counterfactual's charging.")
    unmanaged_import_kwh = models.FloatField(default=0.0, help_text="The counterfactual's import.")
    unmanaged_export_kwh = models.FloatField(default=0.0, help_text="The counterfactual's export.")
    v2g_wear_cost = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        default=0,
        help_text="Battery wear of the discharged energy, at each vehicle's marginal cost.",
    )
    tariff = models.ForeignKey(Tariff, null=True, on_delete=models.PROTECT, related_name="+")
    import_price_per_kwh = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    export_price_per_kwh = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    quality = models.CharField(max_length=10, choices=Quality, default=Quality.GOOD)
    closed_at = models.DateTimeField(help_text="When it was rolled up from meters.")
    baseline_frozen_at = models.DateTimeField(
        null=True,
        help_text="When every session that touches it had ended, so that the counterfactual is final.",
    )

    class Meta:
        ordering = ["depot", "start_at"]
        constraints = [models.UniqueConstraint(fields=["depot", "start_at"], name="one_interval_per_moment")]
        indexes = [
            models.Index(
                fields=["depot", "start_at"],
                condition=models.Q(baseline_frozen_at__isnull=True),
                name="intervals_not_final",
            )
        ]

    def __str__(self) -> str:
        return f"{self.start_at:%Y-%m-%d %H:%M} UTC"
