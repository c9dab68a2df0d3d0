"""What was done by whom, and what needs somebody now."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from depot.models.base import Scoped
from depot.models.people import User
from depot.models.site import Depot


class AuditEvent(Scoped):
    """One act that changed something: a stable verb and the facts its sentence is made of."""

    depot = models.ForeignKey(Depot, null=True, on_delete=models.CASCADE, related_name="audit_events")
    at = models.DateTimeField()
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    verb = models.CharField(max_length=60, help_text="Dotted and stable, like schedule.committed.")
    sentence = models.CharField(max_length=400)
    facts = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["depot", "-at"], name="audit_by_depot_and_time")]

    def __str__(self) -> str:
        return self.sentence


class Alert(Scoped):
    """Something a person should know or do; open until its cause is gone."""

    class Level(models.TextChoices):
        INFO = "info", "For information"
        WARNING = "warning", "Needs attention"
        CRITICAL = "critical", "Act now"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="alerts")
    key = models.CharField(max_length=120, help_text="Names the cause, so that one cause is one open alert.")
    level = models.CharField(max_length=10, choices=Level)
    title = models.CharField(max_length=200)
    detail = models.CharField(max_length=500, blank=True)
    raised_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When the cause was last confirmed.")
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "key"], condition=Q(cleared_at__isnull=True), name="one_open_alert_per_cause"
            ),
        ]

    def __str__(self) -> str:
        return self.title
