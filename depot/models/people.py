"""People and programs: who may see and do what, in which depot."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from depot.models.base import Scoped
from depot.models.site import Depot


class User(AbstractUser):
    """A person with a log-in. What they may do depends on their role in each depot."""

    def depot_ids(self) -> QuerySet:
        """Return the ids of the depots this person has a part in (all, for a superuser)."""
        if self.is_superuser:
            return Depot.objects.values_list("pk", flat=True)
        return Membership.objects.filter(user=self).values_list("depot_id", flat=True)


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    DISPATCHER = "dispatcher", "Dispatcher"
    TECHNICIAN = "technician", "Technician"
    MANAGER = "manager", "Manager"
    OWNER = "owner", "Owner"


class Membership(Scoped):
    """A person's role in a depot."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role)
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "depot"], name="one_role_per_person_and_depot"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display().lower()} of {self.depot}"


class Scope(models.TextChoices):
    READ = "read", _("Read everything of the depot")
    TELEMETRY = "telemetry", _("Send telemetry")
    SCHEDULES = "schedules", _("Write schedules and departures")
    METERS = "meters", _("Send meter readings")
    OPERATIONS = "operations", _("Operate chargers: start, stop, reset, settings, firmware")
    OVERRIDES = "overrides", _("Order vehicles: charge now, hold, ready by, limit")


class ApiKey(Scoped):
    """A program's credential: the key itself is shown once and kept only as a SHA-256 digest."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["depot", "name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class IdempotencyKey(Scoped):
    """A write that an API key has named, and its answer: sent again, it is answered and not done again."""

    depot_path = "api_key__depot"

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="idempotency_keys")
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, help_text="SHA-256 of address and body.")
    answer = models.JSONField(default=dict)
    created_at = models.DateTimeField(help_text="Wall time.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "key"], name="one_answer_per_idempotency_key"),
        ]

    def __str__(self) -> str:
        return self.key
