"""Background work and uploads: rows are the truth, messages only wake somebody."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from depot.models.base import Scoped
from depot.models.people import User
from depot.models.site import Depot


class Job(Scoped):
    """One piece of background work. Its key makes it happen once, whoever asks how often."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    depot = models.ForeignKey(Depot, null=True, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=40)
    window = models.CharField(max_length=80, help_text="What the job covers: a time, a file, a request.")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    payload = models.JSONField(default=dict)
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True)
    progress = models.FloatField(default=0.0, help_text="0 to 1.")
    step = models.CharField(max_length=200, blank=True, help_text="What it is doing, in words.")
    attempts = models.PositiveSmallIntegerField(default=0)
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    due_at = models.DateTimeField(help_text="The depot's time the job was asked for.")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    claim = models.UUIDField(
        null=True, blank=True, help_text="Which attempt holds it; a late one writes nothing."
    )

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "depot", "window"], name="one_job_per_kind_depot_window"),
            models.UniqueConstraint(
                fields=["kind", "window"], condition=Q(depot__isnull=True), name="one_job_per_kind_window"
            ),
        ]
        indexes = [models.Index(fields=["state", "heartbeat_at"], name="jobs_to_sweep")]

    @property
    def own_depot(self) -> Depot:
        """Return the depot the job is for; a kind of work that needs one and has none raises ValueError."""
        if self.depot is None:
            raise ValueError(f"A job of kind {self.kind} needs a depot.")
        return self.depot

    def __str__(self) -> str:
        return f"{self.kind} {self.window} ({self.get_state_display().lower()})"


class ImportBatch(Scoped):
    """An uploaded file, what was found in it, and whether it was saved."""

    class State(models.TextChoices):
        WAITING = "waiting", "Being checked"
        CHECKED = "checked", "Checked, not saved"
        COMMITTED = "committed", "Saved"
        REFUSED = "refused", "Refused"
        UNDONE = "undone", "Taken back"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=30, help_text="What the file holds, like schedule.")
    file_format = models.CharField(max_length=20)
    file_name = models.CharField(max_length=200)
    file_digest = models.CharField(max_length=64)
    content = models.BinaryField(help_text="The file as uploaded, so that what was saved can be proved.")
    state = models.CharField(max_length=10, choices=State, default=State.CHECKED)
    report = models.JSONField(
        default=dict, help_text="Counts, errors and warnings, as the preview shows them."
    )
    uploaded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    uploaded_at = models.DateTimeField()
    committed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-uploaded_at"]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.get_state_display().lower()})"
