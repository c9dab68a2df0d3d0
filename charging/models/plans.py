"""Plans, and the commands that carry them to the chargers."""

from __future__ import annotations

import uuid

from django.db import models

from charging.models.chargers import Charger, Connector
from depot.models import Depot, Scoped


class Plan(Scoped):
    """One plan of a depot: the case it answers, the answer, and what was proved of it."""

    class Status(models.TextChoices):
        OPTIMAL = "optimal", "Proven best"
        FEASIBLE = "feasible", "Good, not proven best"
        FALLBACK = "fallback", "Rule-based fallback"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="plans")
    made_at = models.DateTimeField()
    start_at = models.DateTimeField()
    step_minutes = models.PositiveSmallIntegerField()
    steps = models.PositiveSmallIntegerField()
    trigger = models.CharField(max_length=80, help_text="Why it was made, in words.")
    status = models.CharField(max_length=10, choices=Status)
    objective = models.FloatField()
    bound = models.FloatField()
    gap = models.FloatField()
    seconds = models.FloatField()
    currency = models.CharField(max_length=3)
    case = models.JSONField(help_text="What was known: the case of `manage.py solve`.")
    answer = models.JSONField(help_text="The plan of `manage.py solve`.")
    notes = models.JSONField(
        default=dict, help_text="Why a vehicle may not discharge, what was missing or stale."
    )
    unmanaged_cost = models.FloatField(
        help_text="What charging at full power on arrival would cost over the same span."
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    violations = models.JSONField(
        default=list, help_text="Sentences of the independent check; empty = sound."
    )
    dispatched_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["depot", "-made_at"]
        get_latest_by = "made_at"
        indexes = [models.Index(fields=["depot", "-made_at"], name="plans_by_depot_and_time")]

    def __str__(self) -> str:
        return f"{self.depot} {self.made_at:%Y-%m-%d %H:%M} UTC ({self.get_status_display().lower()})"


class ChargerCommand(Scoped):
    """The outbox: something a charger must be told. A gateway claims it by a conditional UPDATE."""

    depot_path = "charger__depot"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Too late"
        SUPERSEDED = "superseded", "Replaced by a newer one"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    charger = models.ForeignKey(Charger, on_delete=models.CASCADE, related_name="commands")
    connector = models.ForeignKey(
        Connector, null=True, blank=True, on_delete=models.CASCADE, related_name="commands"
    )
    plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.SET_NULL, related_name="commands")
    action = models.CharField(
        max_length=40, help_text="What to do, like set_schedule; each protocol has its message."
    )
    payload = models.JSONField(default=dict)
    coalesce = models.CharField(
        max_length=80,
        blank=True,
        help_text="Of several waiting commands with one key only the newest counts.",
    )
    priority = models.PositiveSmallIntegerField(
        default=5, help_text="0 first: stops and limits before reports."
    )
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(help_text="Wall time.")
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="Not before this (wall time): tried again then."
    )
    expires_at = models.DateTimeField(help_text="Wall time.")
    claimed_by = models.CharField(max_length=60, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["priority", "created_at"]
        indexes = [
            models.Index(fields=["state", "charger"], name="commands_waiting"),
            models.Index(fields=["charger", "coalesce"], name="commands_to_coalesce"),
        ]

    def __str__(self) -> str:
        return f"{self.action} to {self.charger} ({self.get_state_display().lower()})"
