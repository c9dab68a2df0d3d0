"""Which closed intervals what came late still changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Min, OuterRef, Subquery

from billing.models import Interval
from charging.models import ChargingSession, MeterSample
from depot.models import Depot, MeterReading
from depot.selectors.metering import MARGIN
from depot.timegrid import TimeGrid, floor_to_step

ON_ITS_WAY = timedelta(seconds=10)
"""What was received this long before intervals closed may not have been stored yet when they were measured."""
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Late:
    """Spans of closed intervals, as grids in the order of time, and since when chargers' words are among them."""

    grids: list[TimeGrid]
    chargers_since: datetime | None


def late(depot: Depot, at_once: int) -> Late:
    """Return what was received since the ledger was last written, and touches intervals that were closed by then.

    A grid has `at_once` steps at most. Three queries; two more for each session that speaks late.
    """
    ledger = Interval.objects.filter(depot=depot).aggregate(
        first=Min("start_at"), last=Max("start_at"), written_at=Max("closed_at")
    )
    if ledger["first"] is None:
        return Late([], None)
    begin, end = ledger["first"], ledger["last"] + timedelta(minutes=depot.step_minutes)
    by_charger = _sessions(depot, ledger["written_at"], end)
    by_meter = _meters(depot, ledger["written_at"] - ON_ITS_WAY, end)
    merged = _merged(depot, by_meter + by_charger, begin, end)
    step = timedelta(minutes=depot.step_minutes)
    grids = [
        TimeGrid(
            start_at + first * step, depot.step_minutes, min(at_once, (end_at - start_at) // step - first)
        )
        for start_at, end_at in merged
        for first in range(0, (end_at - start_at) // step, at_once)
    ]
    return Late(grids, max(begin, min(by_charger)[0]) if by_charger else None)


def _meters(depot: Depot, since: datetime, end: datetime) -> list[Span]:
    """Return what late readings touch: a meter bridges gaps of an hour at most."""
    new = MeterReading.objects.filter(meter__depot=depot, received_at__gt=since, observed_at__lt=end)
    spans = new.order_by().values_list("meter").annotate(Min("observed_at"), Max("observed_at"))
    return [(first - MARGIN, last + MARGIN) for _, first, last in spans]


def _sessions(depot: Depot, written_at: datetime, end: datetime) -> list[Span]:
    """Return what late samples touch: from the one before to the one after, however long that is.

    The first sample after a silence is late, too: it tells what flowed meanwhile.
    """
    since = written_at - ON_ITS_WAY
    new = MeterSample.objects.filter(session__connector__charger__depot=depot, received_at__gt=since)
    spans = new.order_by().values_list("session")
    found = list(spans.annotate(Min("sampled_at"), Max("sampled_at"), Min("received_at")))
    around = [_around(pk, first, last) for pk, first, last, _ in found if first < end]
    anew = [pk for pk, first, _, received_at in found if first >= end and received_at > written_at]
    before = MeterSample.objects.filter(session=OuterRef("pk"), received_at__lte=since).order_by(
        "-sampled_at"
    )
    known = ChargingSession.objects.filter(pk__in=anew).annotate(at=Subquery(before.values("sampled_at")[:1]))
    heard_to = known.filter(at__lt=end).values_list("at", flat=True)
    return around + [(at, end) for at in heard_to]


def _around(session_id: int, first: datetime, last: datetime) -> Span:
    samples = MeterSample.objects.filter(session=session_id)
    before = samples.filter(sampled_at__lt=first).aggregate(at=Max("sampled_at"))["at"]
    after = samples.filter(sampled_at__gt=last).aggregate(at=Min("sampled_at"))["at"]
    return before or first, after or last


def _merged(depot: Depot, spans: Iterable[Span], begin: datetime, end: datetime) -> list[Span]:
    """Return the spans in whole steps, cut to `[begin, end)`, in order and without overlaps."""
    merged: list[Span] = []
    step = timedelta(minutes=depot.step_minutes)
    for first, last in sorted(spans):
        start_at = max(floor_to_step(first, depot.step_minutes), begin)
        end_at = min(floor_to_step(last, depot.step_minutes) + step, end)
        if merged and start_at <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_at, merged[-1][1]))
        elif start_at < end_at:
            merged.append((start_at, end_at))
    return merged
