"""Who is told what happens in a depot, and whether they have heard it."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from depot.models.base import Scoped
from depot.models.people import User
from depot.models.site import Depot


class Webhook(Scoped):
    """An address that is told of events. Its secret is derived from the installation's key and stored nowhere."""

    class Topic(models.TextChoices):
        ALERTS = "alerts", _("Alerts: raised, cleared")
        PLANS = "plans", _("Plans: a new plan counts")
        READINESS = "readiness", _("Readiness: a pull-out's state changed")

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=80)
    url = models.CharField("address", max_length=500, help_text="https://…, reachable from the internet.")
    topics = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    nonce = models.UUIDField(
        default=uuid.uuid4, editable=False, help_text="Makes the secret; a new one ends it."
    )
    readiness = models.JSONField(
        default=dict, editable=False, help_text="The states that were told last, by pull-out."
    )
    created_by = models.ForeignKey(
        User, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["depot", "name"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "name"], name="webhook_name_once_per_depot"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def secret(self) -> bytes:
        """Return the 32 bytes with which its deliveries are signed."""
        return salted_hmac("depot.webhook", str(self.nonce), algorithm="sha256").digest()

    def clean(self) -> None:
        from depot.webhooks.sending import AddressError, check_url

        try:
            check_url(self.url)
        except AddressError as error:
            raise ValidationError({"url": str(error)}) from error


class WebhookDelivery(Scoped):
    """One event for one webhook, and what came of it. Times are those on the wall."""

    depot_path = "webhook__depot"

    class State(models.TextChoices):
        WAITING = "waiting", "Not heard yet"
        HEARD = "heard", "Heard"
        FAILED = "failed", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    body = models.TextField(help_text="As it is sent.")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(help_text="When it is tried next.")
    answered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(
        null=True, help_text="The HTTP status of the last answer; 0 = none came."
    )
    answer = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="deliveries_to_send"),
            models.Index(fields=["webhook", "-created_at"], name="deliveries_by_webhook"),
        ]

    def __str__(self) -> str:
        return f"{self.event} ({self.get_state_display().lower()})"
