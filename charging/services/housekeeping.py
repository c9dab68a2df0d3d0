"""Forget what nobody asks for any more, so that tables stay small."""

from __future__ import annotations

from datetime import datetime, timedelta

from charging.models import ChargerCommand
from depot.models import Depot

KEEP_COMMANDS = timedelta(days=7)


def prune_commands(depot: Depot, wall: datetime) -> int:
    """Delete commands that ended more than a week ago (wall time); return how many went."""
    waiting = (ChargerCommand.State.WAITING, ChargerCommand.State.SENT)
    old = ChargerCommand.objects.filter(charger__depot=depot, expires_at__lt=wall - KEEP_COMMANDS)
    return old.exclude(state__in=waiting).delete()[0]
