"""Take readings out of quarantine once their vehicle is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from depot import audit
from depot.models import Depot
from depot.words import later
from fleet.models import QuarantinedReading
from fleet.services.telemetry_batches import take_in

BATCH = 1_000


def adopt(readings: QuerySet[QuarantinedReading], by: Any, now: datetime) -> tuple[int, int]:
    """Take in those of `readings` whose vehicle the depot knows by now; return (taken over, left)."""
    taken = left = 0
    for depot in Depot.objects.filter(pk__in=readings.values("depot")):
        with transaction.atomic():
            mine = list(readings.filter(depot=depot).order_by("observed_at").select_for_update())
            done: list[int] = []
            for start in range(0, len(mine), BATCH):
                batch = mine[start : start + BATCH]
                results = take_in(depot, [row.payload for row in batch], now)
                done += [
                    row.pk
                    for row, result in zip(batch, results, strict=True)
                    if result.status in ("accepted", "duplicate", "late")
                ]
            QuarantinedReading.objects.filter(pk__in=done).delete()
            if done:
                sentence = later(
                    "{by} took over {done} readings of vehicles that were unknown before.",
                    by=by,
                    done=len(done),
                )
                audit.record(depot, by, "telemetry.adopted", sentence, readings=len(done))
        taken, left = taken + len(done), left + len(mine) - len(done)
    return taken, left
