"""What was done by whom, and what needs somebody now."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

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
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by_name = models.CharField(max_length=150, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "key"], condition=Q(cleared_at__isnull=True), name="one_open_alert_per_cause"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class AlertPreference(Scoped):
    """Which alerts of a depot a person wants by e-mail, and when not; without a row: none."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="alert_preferences")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="alert_preferences")
    by_email = models.BooleanField("Send me alerts by e-mail", default=False)
    least_level = models.CharField(
        "From which level on",
        max_length=10,
        choices=[(Alert.Level.CRITICAL, "Act now"), (Alert.Level.WARNING, "Needs attention, and act now")],
        default=Alert.Level.CRITICAL,
    )
    quiet_from = models.TimeField("Quiet from", null=True, blank=True)
    quiet_to = models.TimeField("Quiet until", null=True, blank=True)
    critical_always = models.BooleanField(
        "Send “act now” in quiet hours too", default=True, help_text="What cannot wait for the morning."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "user"], name="one_alert_preference_per_person_and_depot"
            ),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_to__isnull=True)
                | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="quiet_hours_begin_and_end",
                violation_error_message=_("Enter both ends of the quiet hours, or neither."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.depot}: {'by e-mail' if self.by_email else 'not by e-mail'}"


class AlertMail(Scoped):
    """When a person was last written to about a cause, and how often: the next time is later each time."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="alert_mails")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="alert_mails")
    key = models.CharField(max_length=120)
    sent_at = models.DateTimeField()
    times = models.PositiveSmallIntegerField(default=1)
    level = models.CharField(
        max_length=10, choices=Alert.Level, default=Alert.Level.CRITICAL, help_text="As it was written about."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "user", "key"], name="one_alert_mail_per_person_and_cause"
            ),
        ]
