"""Enter and delete calls of grid programmes; a new plan follows each."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.models import ProgrammeEvent
from depot import audit
from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.models import AuditEvent, Depot, User
from depot.words import later, tr


def enter(event: ProgrammeEvent, by: User) -> None:
    """Store a new event, one writer of a depot at a time; ValidationError by field when it cannot be."""
    with transaction.atomic():
        Depot.objects.select_for_update().get(pk=event.depot_id)
        event.full_clean()
        event.save()
        noted = audit.record(
            event.depot,
            by,
            "programme.entered",
            later("{by} entered {event}.", by=by, event=event),
            event=event.pk,
        )
    _plan_again(noted, event.depot, by)


def delete(event: ProgrammeEvent, by: User) -> None:
    """Delete an event; ValidationError when what it paid is frozen with a final month."""
    frozen = event.frozen_month()
    if frozen:
        raise ValidationError(
            tr("The bill of {frozen} is final, and what programmes paid is frozen with it.", frozen=frozen)
        )
    depot, words, key = event.depot, tr("{by} deleted {event}.", by=by, event=event), event.pk
    with transaction.atomic():
        event.delete()
        noted = audit.record(depot, by, "programme.deleted", words, event=key)
    _plan_again(noted, depot, by)


def _plan_again(noted: AuditEvent, depot: Depot, by: User) -> None:
    if "plan" in KINDS:
        enqueue("plan", depot, f"programmes {noted.pk}", {"trigger": noted.sentence}, by)
