"""Raise, confirm and clear alerts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Case, IntegerField, QuerySet, Value, When

from depot import clock
from depot.models import Alert, Depot


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that should be an open alert for as long as it lasts."""

    key: str
    level: str
    title: str
    detail: str = ""


def raise_alert(depot: Depot, cause: Cause) -> None:
    """Open an alert for a cause, or confirm and reword the one that is open."""
    now = clock.now()
    values = {"level": cause.level, "title": cause.title[:200], "detail": cause.detail[:500], "seen_at": now}
    still_open = Alert.objects.filter(depot=depot, key=cause.key, cleared_at__isnull=True)
    if still_open.update(**values):
        return
    try:
        with transaction.atomic():
            Alert.objects.create(depot=depot, key=cause.key, raised_at=now, **values)
    except IntegrityError:
        still_open.update(**values)


def clear(depot: Depot, key: str) -> None:
    """Close the alert of a cause that is gone."""
    Alert.objects.filter(depot=depot, key=key, cleared_at__isnull=True).update(cleared_at=clock.now())


def sync(depot: Depot, prefix: str, causes: Iterable[Cause]) -> None:
    """Make the open alerts whose key begins with `prefix` exactly these; ValueError for a key of another."""
    wanted = {cause.key: cause for cause in causes}
    strange = [key for key in wanted if not key.startswith(prefix)]
    if strange:
        raise ValueError(f"Alerts {', '.join(strange)} do not begin with {prefix}: nobody would clear them.")
    for cause in wanted.values():
        raise_alert(depot, cause)
    Alert.objects.filter(depot=depot, key__startswith=prefix, cleared_at__isnull=True).exclude(
        key__in=wanted
    ).update(cleared_at=clock.now())


def open_alerts(depot: Depot) -> QuerySet[Alert]:
    """Return the open alerts of a depot, the worst first."""
    rank = Case(
        When(level=Alert.Level.CRITICAL, then=Value(0)),
        When(level=Alert.Level.WARNING, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return Alert.objects.filter(depot=depot, cleared_at__isnull=True).order_by(rank, "-raised_at")
