"""Keep what fetched meters read, note why one cannot be read, and raise an alert when one falls silent."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery

from depot import clock
from depot.alerts import sync
from depot.alerts.services import Cause
from depot.meters.measured import Measured
from depot.models import Depot, Meter, MeterReading, MeterSource
from depot.services.readings import take_in
from depot.words import day_month, tr

log = logging.getLogger(__name__)

SILENT = timedelta(minutes=30)
"""A meter without a source that is switched on is missed for so long after its last reading."""


def keep(source: MeterSource, measured: Measured) -> None:
    """Keep a reading as if it had been pushed; one that is refused is noted as the source's trouble."""
    now = clock.now()
    [result] = take_in(source.meter, [measured.item(now)], now)
    note_trouble(source, result.message if result.status == "rejected" else "")


def note_trouble(source: MeterSource, words: str) -> None:
    """Note why a source cannot be read ("" = it can); written and logged only when it changes."""
    words = words[:300]
    if words == source.trouble:
        return
    source.trouble = words
    MeterSource.objects.filter(pk=source.pk).update(trouble=words)
    if words:
        log.warning("meter %s (%s): %s", source.meter_id, source.kind, words)
    else:
        log.info("meter %s (%s) reads", source.meter_id, source.kind)


def watch_meters(depot: Depot, now: datetime) -> None:
    """Open and clear the alerts on meters that should be heard and are not.

    With a source that is switched on that is soon; any other meter is missed for half an hour after it has read.
    """
    newest = MeterReading.objects.filter(meter=OuterRef("pk"), observed_at__lte=now).order_by("-observed_at")
    meters = Meter.objects.filter(depot=depot).select_related("source").order_by("pk")
    rows = meters.annotate(last_at=Subquery(newest.values("observed_at")[:1]))
    sync(depot, "meter:", [cause for meter in rows if (cause := _silence(depot, meter, meter.last_at, now))])


def _silence(depot: Depot, meter: Meter, last_at: datetime | None, now: datetime) -> Cause | None:
    """Return the cause of an alert when a meter is silent for too long."""
    source: MeterSource | None = getattr(meter, "source", None)
    if source is not None and source.enabled:
        return _silence_of_source(depot, meter, source, last_at, now)
    if last_at is None or now - last_at <= SILENT:
        return None
    title = tr("{meter} has not read since {since}", meter=meter.name, since=_moment(depot, last_at))
    words = tr("Limits and peaks are watched without it. Check the meter and its link.")
    return Cause(f"meter:{meter.pk}", "warning", title, words)


def _silence_of_source(
    depot: Depot, meter: Meter, source: MeterSource, last_at: datetime | None, now: datetime
) -> Cause | None:
    """Judge a meter by how often it should be heard; a source that was just set up is given time."""
    allowed = source.stale_after
    if clock.wall_now() - source.changed_at <= allowed:
        return None
    if last_at is not None and clock.wall_seconds((now - last_at).total_seconds()) <= allowed.total_seconds():
        return None
    grid = meter.kind == Meter.Kind.GRID
    title = (
        tr("{meter} is silent and has never read", meter=meter.name)
        if last_at is None
        else tr("{meter} is silent since {since}", meter=meter.name, since=_moment(depot, last_at))
    )
    words = [source.trouble or tr("No reading came.")]
    if grid:
        words.append(tr("The guard assumes the worst and holds chargers lower."))
    words.append(tr("Check its power, network and address."))
    return Cause(
        f"meter:{meter.pk}",
        "critical" if grid else "warning",
        title,
        " ".join(words),
    )


def _moment(depot: Depot, at: datetime) -> str:
    local = depot.local(at)
    return f"{day_month(local)} {local:%H:%M}"
