"""A vehicle's future departures, replaced at once by what a planning system sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import transaction
from django.db.models import Q
from simple_history.utils import bulk_create_with_history

from depot import audit
from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.models import Depot, User
from depot.words import later, tr
from fleet.formats.blocks import BlockRow
from fleet.formats.canonical import LONGEST_BLOCK_ID
from fleet.models import Assignment, Block, ServiceCalendar, Vehicle
from fleet.selectors.duties import differing_days, duties

LONGEST = timedelta(hours=47)
"""A block returns at most 72 h after its service day began, and leaves within its first 24 h."""
FURTHEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Departure:
    """One departure as a planning system says it; `name` is its own id for it, "" where it has none."""

    departs_at: datetime
    returns_at: datetime
    name: str = ""
    distance_km: float | None = None
    energy_kwh: float | None = None
    min_soc_departure: float | None = None
    precondition: bool = False


class DeparturesRefused(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """Departures that may not be saved; `problems` say by their places what to repair."""

    def __init__(self, problems: dict[int, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems.values()))


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a replacement did: departures made, left as they were, taken away, and skipped because they are past."""

    created: int
    unchanged: int
    removed: int
    skipped_past: int


def replace_future(
    vehicle: Vehicle, wanted: Sequence[Departure], actor: Any, now: datetime, *, replan: bool = True
) -> Replaced:
    """Make `wanted` all the future departures of a vehicle, in one transaction; what has left already stays.

    Its future dated blocks and assignments go, and blocks that recur end today. Departures at or before `now` are
    skipped. Raises DeparturesRefused, and writes nothing, when one of them cannot be. Without `replan` the caller asks
    for the new plan: who replaces those of many vehicles needs one.
    """
    with transaction.atomic():
        depot = Depot.objects.select_for_update(no_key=True).get(pk=vehicle.depot_id)
        problems = _problems(wanted, now)
        if problems:
            raise DeparturesRefused(problems)
        future = {place: item for place, item in enumerate(wanted) if item.departs_at > now}
        rows = {place: _row(depot, vehicle, item) for place, item in future.items()}
        _refuse_taken(depot, vehicle, rows, future, now)
        removed, unchanged = _clear(depot, vehicle, {row.key: row for row in rows.values()}, now)
        new = [_block(depot, vehicle, row) for row in rows.values() if row.key not in unchanged]
        bulk_create_with_history(new, Block, batch_size=500, default_date=now)
        done = Replaced(len(new), len(unchanged), removed, len(wanted) - len(future))
        if done.created or done.removed:
            _tell(depot, vehicle, done, actor)
            if replan:
                ask_for_plan(depot, f"departures {vehicle.pk} {now.isoformat()}", actor)
    return done


def _problems(wanted: Sequence[Departure], now: datetime) -> dict[int, str]:
    problems: dict[int, str] = {}
    for place, item in enumerate(wanted):
        sentence = _problem(item, now)
        if sentence:
            problems[place] = sentence
    in_time = sorted(
        (place for place in range(len(wanted)) if place not in problems), key=lambda p: wanted[p].departs_at
    )
    for before, after in pairwise(in_time):
        if wanted[after].departs_at < wanted[before].returns_at:
            problems[after] = tr(
                "It leaves at {departs_at}, before departure {before} is back. Change one of them.",
                departs_at=wanted[after].departs_at.isoformat(),
                before=before,
            )
    return problems


def _problem(item: Departure, now: datetime) -> str:
    if item.returns_at <= item.departs_at:
        return tr("It returns at or before its departure. Correct returns_at.")
    if item.returns_at - item.departs_at > LONGEST:
        return tr("It is away for more than 47 hours. Split it.")
    if item.departs_at > now + FURTHEST:
        return tr("It leaves more than a year from now. Send it later.")
    if not item.distance_km and not item.energy_kwh:
        return tr("It has neither distance_km nor energy_kwh. Send what it needs.")
    return ""


def _row(depot: Depot, vehicle: Vehicle, item: Departure) -> BlockRow:
    leaves, back = depot.local(item.departs_at), depot.local(item.returns_at)
    depart_minute = leaves.hour * 60 + leaves.minute
    return_minute = (back.date() - leaves.date()).days * 1440 + back.hour * 60 + back.minute
    name = item.name or f"{vehicle.name} {leaves:%H:%M}"
    return BlockRow(
        name[:LONGEST_BLOCK_ID],
        depart_minute,
        # In the hour that autumn repeats, the wall clock can say that it returns before it left.
        max(return_minute, depart_minute + 1),
        service_date=leaves.date(),
        distance_km=item.distance_km,
        energy_kwh=item.energy_kwh,
        min_soc_departure=item.min_soc_departure,
        precondition=item.precondition,
        vehicle=vehicle.name,
    )


def _refuse_taken(
    depot: Depot,
    vehicle: Vehicle,
    rows: dict[int, BlockRow],
    future: dict[int, Departure],
    now: datetime,
) -> None:
    """Refuse a name that another block of the day has, and a departure while the vehicle is still out."""
    problems: dict[int, str] = {}
    places: dict[str, int] = {}
    for place, row in rows.items():
        if places.setdefault(row.key, place) != place:
            problems[place] = tr(
                "“{block_id}” on {service_date} stands twice. Give each its own external_id.",
                block_id=row.block_id,
                service_date=row.service_date,
            )
    taken = Block.objects.of_depot(depot).filter(key__in=list(places)).exclude(vehicle=vehicle)
    for key, other in taken.values_list("key", "vehicle__name"):
        place = places[key]
        block_id = rows[place].block_id
        problems[place] = (
            tr(
                "“{block_id}” is {vehicle}'s block on that day. Use another external_id.",
                block_id=block_id,
                vehicle=other,
            )
            if other
            else tr("“{block_id}” is another block on that day. Use another external_id.", block_id=block_id)
        )
    out = [
        duty
        for duty in duties(depot, now, now + timedelta(minutes=1))
        if duty.vehicle is not None and duty.vehicle.pk == vehicle.pk and duty.pull_out_at <= now
    ]
    for place, item in future.items():
        for duty in out:
            if item.departs_at < duty.pull_in_at:
                problems[place] = tr(
                    "The vehicle is out with block {block_id} until {pull_in_at}. Let it leave after that.",
                    block_id=duty.block.block_id,
                    pull_in_at=duty.pull_in_at.isoformat(),
                )
    if problems:
        raise DeparturesRefused(problems)


def _clear(
    depot: Depot, vehicle: Vehicle, wanted: dict[str, BlockRow], now: datetime
) -> tuple[int, set[str]]:
    """Take the future away but what is wanted as it is; return how many blocks went, and the keys that stay."""
    today = depot.local(now).date()
    own = Block.objects.of_depot(depot).filter(vehicle=vehicle)
    coming = own.filter(Q(service_date__gte=today) | Q(service_date__isnull=True)).filter(
        Q(valid_to__isnull=True) | Q(valid_to__gte=today)
    )
    removed, kept = 0, set()
    calendars = ServiceCalendar.objects.of_depot(depot)
    differing = differing_days([depot], calendars, today, today + FURTHEST)

    def leaves_at(block: Block, day: date) -> datetime:
        block.depot = depot
        return block.pull_out_at(day, block.earlier_on(day, differing.get(block.calendar_id or 0, {})))

    for block in coming.select_related("vehicle"):
        if block.service_date is None:
            has_left = leaves_at(block, today) <= now
            removed += _end(block, today if has_left else today - timedelta(days=1))
        elif leaves_at(block, block.service_date) > now:
            if _same(block, wanted.get(block.key)):
                kept.add(block.key)
            else:
                block.delete()
                removed += 1
    given = Assignment.objects.of_depot(depot).filter(vehicle=vehicle, service_date__gte=today)
    for row in given.select_related("block"):
        if leaves_at(row.block, row.service_date) > now:
            row.delete()
            removed += 1
    return removed, kept


def _end(block: Block, last: date) -> int:
    """Let a recurring block run for the last time on `last`; return 1 where that changes it."""
    if block.valid_from is not None and block.valid_from > last:
        block.delete()
    else:
        block.valid_to = last
        block.save()
    return 1


def _same(block: Block, row: BlockRow | None) -> bool:
    names = (
        "block_id",
        "depart_minute",
        "return_minute",
        "distance_km",
        "energy_kwh",
        "min_soc_departure",
        "precondition",
    )
    return row is not None and all(getattr(block, name) == getattr(row, name) for name in names)


def _block(depot: Depot, vehicle: Vehicle, row: BlockRow) -> Block:
    return Block(
        depot=depot,
        key=row.key,
        vehicle=vehicle,
        block_id=row.block_id,
        service_date=row.service_date,
        depart_minute=row.depart_minute,
        return_minute=row.return_minute,
        distance_km=row.distance_km,
        energy_kwh=row.energy_kwh,
        min_soc_departure=row.min_soc_departure,
        precondition=row.precondition,
    )


def _tell(depot: Depot, vehicle: Vehicle, done: Replaced, actor: Any) -> None:
    sentence = later(
        "Replaced the departures of {name}: {created} made, {removed} removed, {unchanged} unchanged.",
        name=vehicle.name,
        created=done.created,
        removed=done.removed,
        unchanged=done.unchanged,
    )
    audit.record(depot, actor, "departures.replaced", sentence, vehicle=vehicle.pk)


def ask_for_plan(depot: Depot, window: str, actor: Any) -> None:
    """Ask for a plan with the departures as they are now."""
    if "plan" in KINDS:
        asker = actor if isinstance(actor, User) else None
        enqueue("plan", depot, window, {"trigger": tr("The schedule changed")}, asker)
