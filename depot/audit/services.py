"""Write the audit trail."""

from __future__ import annotations

from typing import Any

from depot import clock
from depot.models import AuditEvent, Depot, User


def record(depot: Depot | None, actor: Any, verb: str, sentence: str, **facts: Any) -> AuditEvent:
    """Record an act. `verb` is dotted and stable, `sentence` says it to people, `facts` are JSON values."""
    return AuditEvent.objects.create(
        depot=depot,
        at=clock.now(),
        actor=actor if isinstance(actor, User) else None,
        actor_name=str(actor) if actor is not None else "the program",
        verb=verb,
        sentence=sentence[:400],
        facts=facts,
    )
