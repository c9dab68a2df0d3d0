"""Which chargers are linked: their gateway says so every few seconds, and a word that is old counts no more."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from charging.models import Charger
from depot import clock

SILENT_S = 45.0
"""A link whose gateway has shown no life for this long, in wall time, counts as gone."""


def heard_since(now: datetime, wall_s: float = SILENT_S) -> datetime:
    """Return the moment after which a charger must have been heard of, in the depot's time."""
    return now - timedelta(seconds=wall_s * clock.clock().speed)


def linked(now: datetime) -> Q:
    """Return the condition that a charger is linked; a gateway that died without a word keeps none."""
    return Q(connected=True, last_seen_at__gte=heard_since(now))


def is_linked(charger: Charger, now: datetime) -> bool:
    """Tell whether a charger is linked (see `linked`)."""
    return charger.connected and charger.last_seen_at is not None and charger.last_seen_at >= heard_since(now)
