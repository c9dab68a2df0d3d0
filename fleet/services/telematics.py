"""Poll the feeds of telematics makers, and say which of them give nothing."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from depot import clock
from depot.access.sealing import SealError, seal, unseal
from depot.alerts import sync
from depot.alerts.services import Cause
from depot.models import Depot
from depot.words import tr
from fleet.models import TelematicsFeed, Vehicle
from fleet.models.telematics import PURPOSE
from fleet.services.telemetry_batches import take_in
from fleet.telematics import Account, FeedError, Page, Said, ask, geotab, samsara

log = logging.getLogger(__name__)

ALERTS = "telematics:"
BATCH = 1000
MOST_PAGES = 20
BACKFILL = timedelta(hours=24)
SILENT = timedelta(minutes=15)
AFTER_REFUSAL = timedelta(minutes=15)
"""A maker that refuses a key is not asked every minute: it might lock the account."""

SCHEME = "https"
Read = Callable[..., Page]
READERS: Mapping[str, Read] = {"samsara": samsara.read_page, "geotab": geotab.read_page}


def poll(depot: Depot, now: datetime) -> dict[str, int]:
    """Ask every feed of a depot for what is new; return how many items were accepted, doubled, refused and so on."""
    counts: Counter[str] = Counter()
    due = Q(wait_until__isnull=True) | Q(wait_until__lte=clock.wall_now())
    for feed in TelematicsFeed.objects.of_depot(depot).filter(due, enabled=True).select_related("depot"):
        try:
            counts += _read(feed, now)
        except FeedError as error:
            _note(feed, str(error), refused=error.refused)
        except SealError:
            words = tr("Its key cannot be opened: DEPOT_SECRET_KEY has changed. Enter the key again.")
            _note(feed, words, refused=True)
        else:
            _note(feed, "")
    watch_feeds(depot)
    return dict(counts)


def watch_feeds(depot: Depot) -> None:
    """Open and clear the alerts on feeds: at once when a person must act, else after a quarter of an hour."""
    wall = clock.wall_now()
    feeds = TelematicsFeed.objects.of_depot(depot).filter(enabled=True).exclude(trouble="")
    causes = [
        Cause(
            f"{ALERTS}{feed.pk}",
            "warning",
            tr("{feed} gives no data of vehicles", feed=feed.get_kind_display()),
            tr("{trouble} Charge that is not heard of otherwise grows stale.", trouble=feed.trouble),
        )
        for feed in feeds
        if feed.wait_until is not None or wall - (feed.heard_at or feed.changed_at) > SILENT
    ]
    sync(depot, ALERTS, causes)


def forget(feed: TelematicsFeed) -> None:
    """Begin anew after a change of account: another account has other cursors, and its session is another's."""
    feed.cursors, feed.sealed_memory, feed.wait_until = {}, "", None
    feed.trouble, feed.changed_at = "", clock.wall_now()


def _read(feed: TelematicsFeed, now: datetime) -> Counter[str]:
    """Read pages until none waits. Each is kept together with its cursor, or not at all."""
    counts: Counter[str] = Counter()
    account = Account(f"{SCHEME}://{feed.server}", feed.secret, feed.user_name, feed.database)
    memory = json.loads(unseal(feed.sealed_memory, PURPOSE) or "{}")
    since = (now - BACKFILL).strftime("%Y-%m-%dT%H:%M:%SZ")
    for _ in range(MOST_PAGES):
        page = READERS[feed.kind](ask, account, feed.cursors, memory, since)
        memory = page.memory
        with transaction.atomic():
            counts += _keep(feed, page.said, now)
            feed.cursors, feed.sealed_memory = dict(page.cursors), seal(json.dumps(memory), PURPOSE)
            feed.heard_at = clock.wall_now()
            # An account that was changed meanwhile must not get the cursors of the one before.
            mine = TelematicsFeed.objects.filter(pk=feed.pk, changed_at=feed.changed_at)
            mine.update(cursors=feed.cursors, sealed_memory=feed.sealed_memory, heard_at=feed.heard_at)
        if not page.more:
            break
    return counts


def _keep(feed: TelematicsFeed, said: Iterable[Said], now: datetime) -> Counter[str]:
    known = _names(feed.depot)
    items = [{**one.item, "vehicle": _name(feed, one, known)} for one in said]
    counts: Counter[str] = Counter()
    for start in range(0, len(items), BATCH):
        results = take_in(
            feed.depot,
            items[start : start + BATCH],
            now,
            tr("Feed: {feed}", feed=feed.get_kind_display()),
        )
        counts.update(result.status for result in results)
    return counts


def _names(depot: Depot) -> frozenset[str]:
    rows = Vehicle.objects.of_depot(depot).values_list("vin", "external_id")
    return frozenset(name for vin, external_id in rows for name in (vin.upper(), external_id) if name)


def _name(feed: TelematicsFeed, said: Said, known: frozenset[str]) -> str:
    """Return what the ingest knows a vehicle by; a maker's number must never pass for one of our own ids."""
    vin = said.vin.upper()
    if vin and vin in known:
        return vin
    return said.own_id if said.own_id in known else f"{feed.kind}:{vin or said.own_id}"


def _note(feed: TelematicsFeed, words: str, refused: bool = False) -> None:
    """Note why a feed gives nothing ("" = it does); logged only when it changes."""
    words = words[:300]
    wait_until = clock.wall_now() + AFTER_REFUSAL if refused else None
    if words != feed.trouble:
        log.log(logging.WARNING if words else logging.INFO, "%s: %s", feed, words or "gives data")
    values: dict[str, Any] = {"trouble": words, "wait_until": wait_until}
    TelematicsFeed.objects.filter(pk=feed.pk, changed_at=feed.changed_at).update(**values)
