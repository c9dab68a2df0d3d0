"""Let go of rows that nothing reads any more: old uploads' bytes, cleared alerts, measured trips, answers kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q, QuerySet

from charging.selectors.port_uptime import DOWN_KEYS
from depot.access.idempotency import forget
from depot.models import Alert, Depot, ImportBatch
from fleet.models import LearntConsumption, MeasuredTrip
from fleet.services.ingest_log import forget_batches
from fleet.services.undo import last_saved

BATCH = 500
LONGEST_USED = timedelta(days=400)
"""Consumption is learnt from the trips of 365 days; what is older by a month more is read by nothing."""


def forget_old(depot: Depot, now: datetime) -> dict[str, int]:
    """Delete what is too old to be read, in batches; return how many rows of each kind went.

    With `DEPOT_RAW_DAYS=0` only the answers to named requests go, which count for a week, and the ingest log's lines.
    """
    done = {"answers": forget(depot), "ingest_log": forget_batches(depot, now)}
    if not settings.RAW_DAYS:
        return done
    before = now - LONGEST_USED
    day = depot.local(before).date()
    return done | {
        "uploads": _empty_uploads(depot, now - timedelta(days=settings.RAW_DAYS)),
        "alerts": _drop(_read_by_nothing(depot, before)),
        "trips": _drop(MeasuredTrip.objects.of_depot(depot).filter(service_date__lt=day)),
        "consumption": _drop(LearntConsumption.objects.of_depot(depot).filter(date__lt=day)),
    }


def _read_by_nothing(depot: Depot, before: datetime) -> QuerySet[Alert]:
    """Return alerts that were over before a moment; those of ports that were down tell their uptime for good."""
    return Alert.objects.filter(depot=depot, cleared_at__lt=before).exclude(DOWN_KEYS)


def _empty_uploads(depot: Depot, before: datetime) -> int:
    """Empty the files uploaded before a moment, but the schedule saved last, which can be undone; return how many.

    Name, digest, counts and listed errors stay, so that a file somebody has can still be told to be the one.
    """
    last = last_saved(depot)
    full = ~Q(content=b"") | Q(report__has_key="undo")
    old = ImportBatch.objects.of_depot(depot).filter(full, uploaded_at__lt=before)
    if last is not None:
        old = old.exclude(pk=last.pk)
    keys = list(old.values_list("pk", flat=True))
    for key in keys:
        with transaction.atomic():
            row = ImportBatch.objects.select_for_update(no_key=True).defer("content").get(pk=key)
            row.content, row.report = b"", _without_undo(row.report)
            row.save(update_fields=["content", "report"])
    return len(keys)


def _without_undo(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "undo"} | {"emptied": True}


def _drop(rows: QuerySet[Any, Any]) -> int:
    model: type[Model] = rows.model
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH):
        model._default_manager.filter(pk__in=keys[start : start + BATCH]).delete()
    return len(keys)
