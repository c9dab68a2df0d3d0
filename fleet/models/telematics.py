"""Feeds of telematics makers that the depot polls."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.db import models

from depot.access.sealing import seal, unseal
from depot.models import Depot, Scoped
from depot.words import tr

PURPOSE = "fleet.telematics_feed"
SERVERS = {
    "samsara": re.compile(r"api(\.[a-z]{2,5})?\.samsara\.com"),
    "geotab": re.compile(r"[a-z0-9-]+\.geotab\.com"),
}
"""A secret goes to its maker only, whoever edits the set-up."""


class TelematicsFeed(Scoped):
    """A maker's feed of the depot's vehicles: where it is, whose it is, and how far it was read."""

    class Kind(models.TextChoices):
        SAMSARA = "samsara", "Samsara"
        GEOTAB = "geotab", "Geotab"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="telematics_feeds")
    kind = models.CharField(max_length=10, choices=Kind)
    enabled = models.BooleanField(default=True)
    server = models.CharField(
        max_length=120, help_text="Like api.samsara.com, api.eu.samsara.com or my.geotab.com."
    )
    database = models.CharField(max_length=120, blank=True, help_text="Of Geotab.")
    user_name = models.CharField(max_length=120, blank=True, help_text="Of Geotab.")
    sealed_secret = models.TextField(blank=True, editable=False, help_text="As the database may hold it.")
    sealed_memory = models.TextField(blank=True, editable=False, help_text="Session and names, sealed.")
    cursors = models.JSONField(default=dict, blank=True, editable=False)
    changed_at = models.DateTimeField(help_text="Wall time.")
    heard_at = models.DateTimeField("last heard", null=True, blank=True, editable=False)
    wait_until = models.DateTimeField(null=True, blank=True, editable=False, help_text="Not asked before.")
    trouble = models.CharField(max_length=300, blank=True, help_text="Why it gives nothing now.")

    class Meta:
        ordering = ["depot", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "kind", "server", "database"], name="one_telematics_feed_per_account"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.depot}"

    @property
    def secret(self) -> str:
        """Return the token or password; raises SealError when it was sealed with another key."""
        return unseal(self.sealed_secret, PURPOSE)

    @secret.setter
    def secret(self, plain: str) -> None:
        self.sealed_secret = seal(plain, PURPOSE)

    def clean(self) -> None:
        problems = {}
        pattern = SERVERS.get(self.kind)
        if pattern is not None and not pattern.fullmatch(self.server):
            problems["server"] = tr(
                "This is no server of {kind}. Enter its name only.",
                kind=self.get_kind_display(),
            )
        if self.kind == self.Kind.GEOTAB:
            problems |= {
                name: tr("Geotab needs this.")
                for name in ("database", "user_name")
                if not getattr(self, name)
            }
        if problems:
            raise ValidationError(problems)
