"""What chargers say of a session after the fact: its start after its first values, its end before its start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from charging.models import Charger, ChargerCommand, ChargingSession, Connector, StationNotice
from charging.services.commands import STILL_MEANT
from charging.services.plugs import unplug
from depot import clock

ORPHAN = "orphan"
"""The kind of notice that keeps a word about a session nobody knows."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a session to begin: orphans, by charger and transaction, and schedules, by connector."""

    orphans: frozenset[tuple[int, str]]
    scheduled: frozenset[int]


def waiting_at(charger_ids: Collection[int]) -> Waiting:
    """Return what waits at these chargers, from two queries."""
    notices = StationNotice.objects.filter(charger__in=charger_ids, kind=ORPHAN, over=False)
    schedules = ChargerCommand.objects.filter(
        charger__in=charger_ids,
        action="set_schedule",
        state__in=STILL_MEANT,
        expires_at__gt=clock.wall_now(),
        connector__isnull=False,
    )
    return Waiting(
        frozenset(notices.values_list("charger", "data__transaction_id")),
        frozenset(schedules.values_list("connector", flat=True)),
    )


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
