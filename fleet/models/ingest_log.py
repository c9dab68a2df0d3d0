"""What became of every batch of telemetry, for those who write the program that sends it."""

from __future__ import annotations

from django.db import models

from depot.models import Depot, Scoped
from depot.words import tr


class IngestBatch(Scoped):
    """One batch as it came in: who sent it, what became of its items, and the first things wrong with them."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="ingest_batches")
    received_at = models.DateTimeField()
    sender = models.CharField(max_length=120, help_text="The API key or the feed that brought it.")
    items = models.PositiveIntegerField()
    accepted = models.PositiveIntegerField(default=0)
    duplicate = models.PositiveIntegerField(default=0, help_text="Was there already.")
    late = models.PositiveIntegerField(default=0, help_text="Kept; a newer state of the vehicle was known.")
    rejected = models.PositiveIntegerField(default=0, help_text="Not kept: see what is wrong.")
    quarantined = models.PositiveIntegerField(default=0, help_text="Kept until the vehicle is entered.")
    implausible = models.PositiveIntegerField(
        default=0, help_text="Of those kept: cannot be true, so they change nothing."
    )
    first_problem = models.CharField(max_length=300, blank=True)
    problems = models.JSONField(
        default=list,
        help_text="The first ten: place in the batch from 0, code, message, the item as it was sent.",
    )

    class Meta:
        verbose_name = "telemetry batch"
        verbose_name_plural = "telemetry batches (ingest log)"
        ordering = ["-received_at", "-pk"]
        indexes = [models.Index(fields=["depot", "-received_at"], name="ingest_by_depot_and_time")]

    def __str__(self) -> str:
        return tr(
            "{items:,} readings by {sender} at {received_at:%Y-%m-%d %H:%M:%S} UTC",
            items=self.items,
            sender=self.sender,
            received_at=self.received_at,
        )
