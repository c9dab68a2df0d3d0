"""What presystems ask for over VDV 463."""

from __future__ import annotations

from django.db import models

from depot.models import Depot, Scoped
from fleet.models.vehicles import Vehicle


class ChargingRequest(Scoped):
    """One request of a presystem's last list: what became of it, and why it was rejected if it was."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="charging_requests")
    presystem = models.CharField(max_length=80, help_text="Its presystemId.")
    request_id = models.CharField(max_length=80)
    vehicle = models.ForeignKey(
        Vehicle, null=True, on_delete=models.CASCADE, related_name="charging_requests"
    )
    vehicle_ref = models.CharField(
        max_length=80, blank=True, help_text="The vehicle as the presystem names it."
    )
    departs_at = models.DateTimeField(null=True)
    asked = models.JSONField(default=dict, help_text="The request as understood.")
    min_soc = models.FloatField(null=True, help_text="At departure, 0 to 1.")
    rejected_because = models.CharField(max_length=300, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["depot", "departs_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "presystem", "request_id"], name="one_row_per_charging_request"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id} of {self.presystem}"
