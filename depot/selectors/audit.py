"""The audit trail as people read it: who did what when, by kind of act, by person, by words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Q, QuerySet

from depot.models import AuditEvent, Depot
from depot.timegrid import local_to_utc
from depot.words import mark

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "orders": (mark("Orders and plans"), ("override", "plan")),
    "chargers": (mark("Chargers"), ("charger", "connector", "yard", "dialect", "depot.stood_down")),
    "schedule": (
        mark("Schedules and assignments"),
        ("schedule", "assignment", "departures", "block", "outage", "vehicle.out", "vehicle.back"),
    ),
    "money": (mark("Tariffs, prices and bills"), ("tariff", "prices", "bill", "ledger", "knownpeak")),
    "alerts": (mark("Alerts"), ("alert",)),
    "access": (mark("People, keys and webhooks"), ("key", "apikey", "membership", "user", "webhook")),
}
"""Kinds of acts: their title, and what the verbs begin with. All that is in none of them is "other"."""
OTHER = "other"
CHOICES = {**{name: title for name, (title, _) in GROUPS.items()}, OTHER: mark("The rest of the set-up")}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody looks for; empty means all. Both days belong to the span."""

    group: str = ""
    words: str = ""
    first: date | None = None
    last: date | None = None


def audit_events(depot: Depot, asked: Asked) -> QuerySet[AuditEvent]:
    """Return the acts of a depot that were asked for, the newest first."""
    rows = AuditEvent.objects.of_depot(depot)
    if asked.group in GROUPS:
        rows = rows.filter(_begins(GROUPS[asked.group][1]))
    elif asked.group == OTHER:
        for _, starts in GROUPS.values():
            rows = rows.exclude(_begins(starts))
    if asked.words:
        rows = rows.filter(Q(sentence__icontains=asked.words) | Q(actor_name__icontains=asked.words))
    if asked.first is not None:
        rows = rows.filter(at__gte=local_to_utc(asked.first, 0, depot.tz))
    if asked.last is not None:
        rows = rows.filter(at__lt=local_to_utc(asked.last + timedelta(days=1), 0, depot.tz))
    return rows


def group_of(verb: str) -> str:
    """Return the kind of act of a verb."""
    for name, (_, starts) in GROUPS.items():
        if any(verb == start or verb.startswith(f"{start}.") for start in starts):
            return name
    return OTHER


def _begins(starts: tuple[str, ...]) -> Q:
    found = Q()
    for start in starts:
        found |= Q(verb=start) | Q(verb__startswith=f"{start}.")
    return found
