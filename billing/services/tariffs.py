"""Keep tariff versions, and plan with what they say."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from billing.models import Tariff
from depot import audit
from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.models import Depot, User
from depot.words import later, tr


def save_version(row: Tariff, by: Any) -> None:
    """Save a version that was checked, with its entry in the audit trail, and plan again."""
    with transaction.atomic():
        row.save()
        event = audit.record(
            row.depot, by, "tariff.saved", later("Saved tariff {row}.", row=row), tariff=row.pk
        )
        plan_anew(row.depot, f"tariff {event.pk}", tr("Tariff {row} was saved", row=row), by)


def plan_anew(depot: Depot, window: str, trigger: str, by: Any = None) -> None:
    """Ask for a plan because what power costs has changed."""
    if "plan" in KINDS:
        asker = by if isinstance(by, User) else None
        enqueue("plan", depot, window, {"trigger": trigger[:80]}, asker)
