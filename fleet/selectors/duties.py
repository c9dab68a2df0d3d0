"""What vehicles must do and when: blocks laid over the days of a span."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from django.db.models import Q

from depot.models import Depot
from depot.timegrid import days, local_to_utc
from fleet.calendars.rules import DayRule
from fleet.models import Assignment, Block, CalendarException, Outage, ServiceCalendar, Vehicle, VehicleType
from fleet.selectors.consumption import ConsumptionBook, consumption_books

LONGEST_BLOCK_DAYS = 3
"""A block ends at most this many days after its service day (Block.return_minute)."""

LONGEST = timedelta(days=LONGEST_BLOCK_DAYS)
MOMENT = timedelta(microseconds=1)

EVERY = Q()
Override = tuple[int, date]


@dataclass(frozen=True, slots=True)
class Duty:
    """One run of a block on one service day; `vehicle` is None while nobody is assigned to it.

    `outage` is set when that vehicle is out of service at pull-out; `fixed` when a person chose the vehicle;
    `late` when the pull-in is not the block's own; `earlier_minutes` is by how much a half day pulls it forward.
    `book` is what is known to work out what any vehicle needs for it.
    """

    block: Block
    service_date: date
    vehicle: Vehicle | None
    pull_out_at: datetime
    pull_in_at: datetime
    outage: Outage | None = None
    fixed: bool = False
    late: bool = False
    earlier_minutes: int = 0
    book: ConsumptionBook = field(default_factory=ConsumptionBook, compare=False, repr=False)

    @property
    def key(self) -> str:
        """Return what names the duty in a form: block and service day."""
        return f"{self.block.pk}:{self.service_date}"

    def covers(self, at: datetime) -> bool:
        """Tell whether the block is on the road at a moment."""
        return self.pull_out_at <= at < self.pull_in_at


def duties(depot: Depot, from_at: datetime, to_at: datetime) -> list[Duty]:
    """Return the duties away at any moment of `[from_at, to_at)`, by pull-out, from six to nine queries.

    Weekdays, dates, validity and calendar exceptions say when a block runs; an assignment gives it another
    vehicle for one day, another pull-in, or cancels that day. Vehicles come with type and state. A vehicle that is
    out of service keeps its duties, marked, so that somebody notices and the past stays as it was.
    """
    if to_at <= from_at:
        return []
    return laid_out(depot, blocks_of_days(depot, *service_days(depot, from_at, to_at)), from_at, to_at)


def duties_of_depots(depots: Sequence[Depot], from_at: datetime, to_at: datetime) -> dict[int, list[Duty]]:
    """Return the duties of several depots by depot id (see `duties`), from six to nine queries in all."""
    if to_at <= from_at or not depots:
        return {depot.pk: [] for depot in depots}
    blocks = _blocks(depots, *_service_days(depots, from_at, to_at))
    return _laid_out(depots, blocks, from_at, to_at)


def duties_of_vehicle(depot: Depot, vehicle: Vehicle, from_at: datetime, to_at: datetime) -> list[Duty]:
    """Return the duties of one vehicle (see `duties`); only blocks that can be its own are read."""
    first, last = service_days(depot, from_at, to_at)
    swapped = Assignment.objects.filter(vehicle=vehicle, service_date__range=(first, last)).values("block")
    blocks = _blocks([depot], first, last, Q(vehicle=vehicle) | Q(pk__in=swapped))
    found = laid_out(depot, blocks, from_at, to_at)
    return [duty for duty in found if duty.vehicle is not None and duty.vehicle.pk == vehicle.pk]


def service_days(depot: Depot, from_at: datetime, to_at: datetime) -> tuple[date, date]:
    """Return the first and last service day whose blocks can be away in `[from_at, to_at)`."""
    return _service_days([depot], from_at, to_at)


def _service_days(depots: Sequence[Depot], from_at: datetime, to_at: datetime) -> tuple[date, date]:
    first = min(depot.local(from_at).date() for depot in depots) - timedelta(days=LONGEST_BLOCK_DAYS)
    return first, max(depot.local(to_at).date() for depot in depots)


def laid_out(depot: Depot, blocks: Iterable[Block], from_at: datetime, to_at: datetime) -> list[Duty]:
    """Return the duties of some blocks, saved or not, as `duties` does."""
    return _laid_out([depot], blocks, from_at, to_at)[depot.pk]


def _laid_out(
    depots: Sequence[Depot], blocks: Iterable[Block], from_at: datetime, to_at: datetime
) -> dict[int, list[Duty]]:
    first, last = _service_days(depots, from_at, to_at)
    blocks = list(blocks)
    differing = differing_days(depots, [block.calendar for block in blocks if block.calendar], first, last)
    overrides = _overrides(depots, first, last)
    outages = _outages(depots, from_at, to_at)
    books = consumption_books(depots, first, last)
    found: dict[int, list[Duty]] = {depot.pk: [] for depot in depots}
    for block in blocks:
        runs = _runs(block, first, last, differing.get(block.calendar_id or 0, {}), overrides)
        book = books[block.depot_id]
        found[block.depot_id] += [
            _duty(block, book, run, outages)
            for run in runs
            if run.pull_out_at < to_at and run.pull_in_at > from_at
        ]
    return {pk: sorted(rows, key=in_order) for pk, rows in found.items()}


@dataclass(frozen=True, slots=True)
class _Run:
    """A block on one service day, with what was entered for that day alone."""

    day: date
    pull_out_at: datetime
    pull_in_at: datetime
    earlier_minutes: int
    override: Assignment | None


def _duty(block: Block, book: ConsumptionBook, run: _Run, outages: dict[int, list[Outage]]) -> Duty:
    override = run.override
    vehicle = override.vehicle if override else block.vehicle
    fixed = override.fixed if override else block.vehicle_fixed
    return Duty(
        block,
        run.day,
        vehicle,
        run.pull_out_at,
        run.pull_in_at,
        outage=_outage(vehicle, run.pull_out_at, outages),
        fixed=fixed and vehicle is not None,
        late=override is not None and override.return_minute is not None,
        earlier_minutes=run.earlier_minutes,
        book=book,
    )


def in_order(duty: Duty) -> tuple[datetime, str, int]:
    """Return the key by which duties are sorted: as they leave."""
    return duty.pull_out_at, duty.block.block_id, duty.block.pk


def _runs(
    block: Block,
    first: date,
    last: date,
    differing: Mapping[date, DayRule],
    overrides: dict[Override, Assignment],
) -> Iterator[_Run]:
    """Yield the days from `first` to `last` on which a block runs."""
    candidates = [block.service_date] if block.service_date else days(first, last)
    for day in candidates:
        override = overrides.get((block.pk, day))
        cancelled = override is not None and override.vehicle is None and not override.open
        if cancelled or not block.runs_on(day, differing):
            continue
        earlier = block.earlier_on(day, differing)
        pull_out_at, pull_in_at = block.pull_out_at(day, earlier), block.pull_in_at(day, earlier)
        if override is not None and override.return_minute is not None:
            pull_in_at = local_to_utc(day, override.return_minute, block.depot.tz)
        if pull_in_at <= pull_out_at:
            # A departure inside the hour that spring leaves out moves behind it; the work keeps its length.
            pull_in_at = pull_out_at + timedelta(minutes=block.return_minute - block.depart_minute)
        yield _Run(day, pull_out_at, pull_in_at, earlier, override)


def outages_of(depot: Depot, from_at: datetime, to_at: datetime) -> dict[int, list[Outage]]:
    """Return by vehicle id the outages at any moment of `[from_at, to_at)`, from one query."""
    return _outages([depot], from_at, to_at)


def _outages(depots: Sequence[Depot], from_at: datetime, to_at: datetime) -> dict[int, list[Outage]]:
    open_or_later = Q(to_at__isnull=True) | Q(to_at__gt=from_at)
    found: dict[int, list[Outage]] = defaultdict(list)
    for outage in Outage.objects.of_depots(_ids(depots)).filter(open_or_later, from_at__lt=to_at + LONGEST):
        found[outage.vehicle_id].append(outage)
    return found


def _outage(vehicle: Vehicle | None, at: datetime, outages: dict[int, list[Outage]]) -> Outage | None:
    if vehicle is None:
        return None
    return next((row for row in outages.get(vehicle.pk, []) if row.covers(at, at + MOMENT)), None)


def _ids(depots: Sequence[Depot]) -> list[int]:
    return [depot.pk for depot in depots]


def blocks_of_days(depot: Depot, first: date, last: date) -> list[Block]:
    """Return the blocks that can run on a service day, both ends included, with calendar, vehicle, type and state."""
    return _blocks([depot], first, last)


def _blocks(depots: Sequence[Depot], first: date, last: date, which: Q = EVERY) -> list[Block]:
    on_dates = Q(service_date__range=(first, last))
    not_yet_over = Q(valid_to__isnull=True) | Q(valid_to__gte=first)
    begun = Q(valid_from__isnull=True) | Q(valid_from__lte=last)
    blocks = list(
        Block.objects.of_depots(_ids(depots)).filter(
            which, on_dates | Q(service_date__isnull=True) & not_yet_over & begun
        )
    )
    by_id = {depot.pk: depot for depot in depots}
    # Read once however many blocks have them: joined to each block they cost more than all the rest of a page.
    vehicles = Vehicle.objects.select_related("type", "state").in_bulk(_known(b.vehicle_id for b in blocks))
    calendars = ServiceCalendar.objects.in_bulk(_known(block.calendar_id for block in blocks))
    kinds = VehicleType.objects.in_bulk(_known(block.vehicle_type_id for block in blocks))
    for block in blocks:
        block.depot = by_id[block.depot_id]
        block.vehicle = vehicles.get(block.vehicle_id or 0)
        block.calendar = calendars.get(block.calendar_id or 0)
        block.vehicle_type = kinds.get(block.vehicle_type_id or 0)
    return blocks


def _known(ids: Iterable[int | None]) -> set[int]:
    return {pk for pk in ids if pk is not None}


def differing_days(
    depots: Sequence[Depot], calendars: Iterable[ServiceCalendar], first: date, last: date
) -> dict[int, dict[date, DayRule]]:
    """Return by calendar the days on which the weekday rule does not hold, from one query.

    These are the public holidays of `calendars`, and all entered days, which go before them.
    """
    found: dict[int, dict[date, DayRule]] = defaultdict(dict)
    for calendar in {calendar.pk: calendar for calendar in calendars}.values():
        for year in range(first.year, last.year + 1):
            for day, name in calendar.holidays(year).items():
                if first <= day <= last:
                    found[calendar.pk][day] = replace(calendar.holiday_rule, note=name)
    for row in CalendarException.objects.of_depots(_ids(depots)).filter(date__range=(first, last)):
        found[row.calendar_id][row.date] = row.rule
    return found


def _overrides(depots: Sequence[Depot], first: date, last: date) -> dict[Override, Assignment]:
    rows = Assignment.objects.of_depots(_ids(depots)).filter(service_date__range=(first, last))
    return {
        (row.block_id, row.service_date): row
        for row in rows.select_related("vehicle__type", "vehicle__state")
    }
