"""Write the audit trail."""

from __future__ import annotations

from typing import Any

from depot import clock
from depot.models import AuditEvent, Depot, User
from depot.words import ENGLISH, Sentence, speaking, tr


def record(depot: Depot | None, actor: Any, verb: str, sentence: str | Sentence, **facts: Any) -> AuditEvent:
    """Record an act. `verb` is dotted and stable, `sentence` says it to people, `facts` are JSON values.

    The sentence is said in the depot's language.
    """
    with speaking(depot.language if depot else ENGLISH):
        said, nobody = str(sentence), tr("the program")
    return AuditEvent.objects.create(
        depot=depot,
        at=clock.now(),
        actor=actor if isinstance(actor, User) else None,
        actor_name=str(actor) if actor is not None else nobody,
        verb=verb,
        sentence=said[:400],
        facts=facts,
    )
