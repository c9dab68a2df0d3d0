"""Raise, confirm and clear alerts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When

from depot import audit, clock
from depot.models import Alert, Depot, Webhook
from depot.webhooks.services import publish
from depot.words import Sentence, later, weekday_time

WORSE_THAN = {
    Alert.Level.INFO: [],
    Alert.Level.WARNING: [Alert.Level.INFO],
    Alert.Level.CRITICAL: [Alert.Level.INFO, Alert.Level.WARNING],
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that should be an open alert for as long as it lasts."""

    key: str
    level: str
    title: str
    detail: str = ""


def raise_alert(depot: Depot, cause: Cause) -> None:
    """Open an alert for a cause, or confirm and reword the one that is open.

    One that has become worse is put before people again, even if they had acknowledged or snoozed it.
    """
    now = clock.now()
    values = {"level": cause.level, "title": cause.title[:200], "detail": cause.detail[:500], "seen_at": now}
    still_open = Alert.objects.filter(depot=depot, key=cause.key, cleared_at__isnull=True)
    became_worse = When(level__in=WORSE_THAN[Alert.Level(cause.level)], then=None)
    attended = {name: Case(became_worse, default=F(name)) for name in ("acknowledged_at", "snoozed_until")}
    if still_open.update(**attended, **values):
        return
    try:
        with transaction.atomic():
            alert = Alert.objects.create(depot=depot, key=cause.key, raised_at=now, **values)
            _publish(alert, "alert.raised")
    except IntegrityError:
        still_open.update(**values)


def clear(depot: Depot, key: str) -> None:
    """Close the alert of a cause that is gone."""
    _close(Alert.objects.filter(depot=depot, key=key, cleared_at__isnull=True))


def _close(gone: QuerySet[Alert]) -> None:
    """Clear open alerts, and tell of each that this call has cleared."""
    for alert in gone.select_related("depot"):
        alert.cleared_at = clock.now()
        with transaction.atomic():
            still_open = Alert.objects.filter(pk=alert.pk, cleared_at__isnull=True)
            if still_open.update(cleared_at=alert.cleared_at):
                _publish(alert, "alert.cleared")


def _publish(alert: Alert, event: str) -> None:
    data = {
        "id": alert.pk,
        "key": alert.key,
        "level": alert.level,
        "title": alert.title,
        "detail": alert.detail,
        "raised_at": alert.raised_at.isoformat(),
        "cleared_at": alert.cleared_at.isoformat() if alert.cleared_at else None,
    }
    publish(alert.depot, Webhook.Topic.ALERTS, event, data)


def sync(depot: Depot, prefix: str, causes: Iterable[Cause]) -> None:
    """Make the open alerts whose key begins with `prefix` exactly these; ValueError for a key of another."""
    wanted = {cause.key: cause for cause in causes}
    strange = [key for key in wanted if not key.startswith(prefix)]
    if strange:
        raise ValueError(f"Alerts {', '.join(strange)} do not begin with {prefix}: nobody would clear them.")
    for cause in wanted.values():
        raise_alert(depot, cause)
    open_ones = Alert.objects.filter(depot=depot, key__startswith=prefix, cleared_at__isnull=True)
    _close(open_ones.exclude(key__in=wanted))


def open_alerts(depot: Depot) -> QuerySet[Alert]:
    """Return the open alerts of a depot, the worst first."""
    rank = Case(
        When(level=Alert.Level.CRITICAL, then=Value(0)),
        When(level=Alert.Level.WARNING, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return Alert.objects.filter(depot=depot, cleared_at__isnull=True).order_by(rank, "-raised_at")


def pressing_alerts(depot: Depot, now: datetime) -> QuerySet[Alert]:
    """Return the open alerts that nobody has acknowledged or snoozed, the worst first."""
    awake = Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=now)
    return open_alerts(depot).filter(awake, acknowledged_at__isnull=True)


def acknowledge(alert: Alert, by: Any) -> bool:
    """Note that somebody sees to an alert; False when it is over or somebody does already."""
    return _attend(
        alert,
        by,
        {"acknowledged_at": clock.now(), "acknowledged_by_name": str(by)},
        later("{name} sees to: {alert}.", name=by, alert=alert.title),
        "alert.acknowledged",
    )


def snooze(alert: Alert, until: datetime, by: Any) -> bool:
    """Put an alert aside until a moment; False when it is over or somebody sees to it."""
    at = weekday_time(alert.depot.local(until))
    words = later("{name} put aside until {at}: {alert}.", name=by, at=at, alert=alert.title)
    return _attend(alert, by, {"snoozed_until": until}, words, "alert.snoozed")


def _attend(alert: Alert, by: Any, values: dict[str, Any], words: Sentence, verb: str) -> bool:
    still = Alert.objects.filter(pk=alert.pk, cleared_at__isnull=True, acknowledged_at__isnull=True)
    with transaction.atomic():
        if not still.update(**values):
            return False
        audit.record(alert.depot, by, verb, words, alert=alert.pk, key=alert.key)
    return True
