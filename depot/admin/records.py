"""What happened and what runs: to look at, not to edit."""

from __future__ import annotations

from django.contrib import admin

from depot.admin.base import OWN_DEPOTS, Records
from depot.models import Alert, AuditEvent, Job


@admin.register(AuditEvent)
class AuditEvents(Records):
    """Every act that changed something."""

    list_display = ["at", "depot", "actor_name", "sentence"]
    list_filter = [OWN_DEPOTS, "verb"]
    search_fields = ["sentence", "actor_name"]
    date_hierarchy = "at"


@admin.register(Job)
class Jobs(Records):
    """Background work: what ran, for which window, and how it ended."""

    list_display = ["kind", "depot", "window", "state", "attempts", "created_at", "finished_at", "error"]
    list_filter = ["state", "kind", OWN_DEPOTS]
    search_fields = ["window", "error"]


@admin.register(Alert)
class Alerts(Records):
    """What needed somebody, and until when."""

    list_display = ["title", "depot", "level", "raised_at", "seen_at", "cleared_at", "acknowledged_by_name"]
    list_filter = ["level", OWN_DEPOTS, ("cleared_at", admin.EmptyFieldListFilter)]
    search_fields = ["title", "detail", "key"]
