"""What chargers say of a session after the fact: its start after its first values, its end before its start."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Max

from charging.models import Charger, ChargingSession, Connector, StationNotice
from charging.services.plugs import unplug

ORPHAN = "orphan"
"""The kind of notice that keeps a word about a session nobody knows."""


def begin_earlier(session: ChargingSession, at: datetime, soc: float | None) -> bool:
    """Let a session begin at an earlier word about it; tell whether that changed it.

    A session before it that counted as running on ended when this one began; it never begins before one that began
    later than `at` had ended.
    """
    if at >= session.plugged_in_at:
        return False
    with transaction.atomic():
        Connector.objects.select_for_update(no_key=True).get(pk=session.connector_id)
        before = ChargingSession.objects.filter(
            connector=session.connector_id, plugged_in_at__lt=session.plugged_in_at
        ).exclude(pk=session.pk)
        for one in before.filter(plugged_in_at__lte=at, unplugged_at__gt=at):
            unplug(one, at)
        between = before.filter(plugged_in_at__gt=at).aggregate(end=Max("unplugged_at"))["end"]
        begin_at = max(at, between or at)
        if begin_at >= session.plugged_in_at:
            return False
        session.plugged_in_at = begin_at
        session.soc_in = session.soc_in if soc is None else soc
        session.save(update_fields=["plugged_in_at", "soc_in"])
    return True


def orphans(charger: Charger, transaction_id: str) -> list[StationNotice]:
    """Return what came of a transaction before anything told where it is, in time order; it counts as taken in."""
    waiting = charger.notices.filter(kind=ORPHAN, over=False, data__transaction_id=transaction_id)
    found = list(waiting.order_by("said_at"))
    charger.notices.filter(pk__in=[notice.pk for notice in found]).update(over=True)
    return found
