"""What vehicles must do and when: blocks laid over the days of a span."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q

from depot.models import Depot
from depot.timegrid import days
from fleet.models import Assignment, Block, CalendarException, Vehicle

LONGEST_BLOCK_DAYS = 3
"""A block ends at most this many days after its service day (Block.return_minute)."""

Override = tuple[int, date]


@dataclass(frozen=True, slots=True)
class Duty:
    """One run of a block on one service day; `vehicle` is None while nobody is assigned to it."""

    block: Block
    service_date: date
    vehicle: Vehicle | None
    pull_out_at: datetime
    pull_in_at: datetime


def duties(depot: Depot, from_at: datetime, to_at: datetime) -> list[Duty]:
    """Return the duties away at any moment of `[from_at, to_at)`, by pull-out, from three queries.

    Weekdays, dates, validity and calendar exceptions say when a block runs; an assignment gives it another
    vehicle for one day, or cancels that day. Vehicles come with type and state. A vehicle that is out of
    service keeps its duties, so that somebody notices and the past stays as it was.
    """
    if to_at <= from_at:
        return []
    first = depot.local(from_at).date() - timedelta(days=LONGEST_BLOCK_DAYS)
    last = depot.local(to_at).date()
    exceptions = _exceptions(depot, first, last)
    overrides = _overrides(depot, first, last)
    found = [
        duty
        for block in _blocks(depot, first, last)
        for duty in _runs(block, first, last, exceptions.get(block.calendar_id or 0, {}), overrides)
        if duty.pull_out_at < to_at and duty.pull_in_at > from_at
    ]
    return sorted(found, key=lambda duty: (duty.pull_out_at, duty.block.block_id, duty.block.pk))


def _runs(
    block: Block,
    first: date,
    last: date,
    exceptions: dict[date, bool],
    overrides: dict[Override, Assignment],
) -> Iterator[Duty]:
    """Yield a block's duties on the service days from `first` to `last`."""
    candidates = [block.service_date] if block.service_date else days(first, last)
    for day in candidates:
        override = overrides.get((block.pk, day))
        cancelled = override is not None and override.vehicle is None
        if cancelled or not block.runs_on(day, exceptions):
            continue
        pull_out_at, pull_in_at = block.pull_out_at(day), block.pull_in_at(day)
        if pull_in_at <= pull_out_at:
            # A departure inside the hour that spring leaves out moves behind it; the work keeps its length.
            pull_in_at = pull_out_at + timedelta(minutes=block.return_minute - block.depart_minute)
        yield Duty(block, day, override.vehicle if override else block.vehicle, pull_out_at, pull_in_at)


def _blocks(depot: Depot, first: date, last: date) -> list[Block]:
    on_dates = Q(service_date__range=(first, last))
    not_yet_over = Q(valid_to__isnull=True) | Q(valid_to__gte=first)
    begun = Q(valid_from__isnull=True) | Q(valid_from__lte=last)
    blocks = list(
        Block.objects.of_depot(depot)
        .filter(on_dates | Q(service_date__isnull=True) & not_yet_over & begun)
        .select_related("vehicle__type", "vehicle__state", "vehicle_type")
    )
    for block in blocks:
        block.depot = depot
    return blocks


def _exceptions(depot: Depot, first: date, last: date) -> dict[int, dict[date, bool]]:
    """Return by calendar the days on which the weekday rule does not hold."""
    rows = CalendarException.objects.of_depot(depot).filter(date__range=(first, last))
    found: dict[int, dict[date, bool]] = defaultdict(dict)
    for calendar_id, day, runs in rows.values_list("calendar_id", "date", "runs"):
        found[calendar_id][day] = runs
    return found


def _overrides(depot: Depot, first: date, last: date) -> dict[Override, Assignment]:
    rows = Assignment.objects.of_depot(depot).filter(service_date__range=(first, last))
    return {
        (row.block_id, row.service_date): row
        for row in rows.select_related("vehicle__type", "vehicle__state")
    }
