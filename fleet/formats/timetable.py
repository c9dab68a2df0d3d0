"""Blocks of a timetable as rows: times, length, and the days on which they do the same work."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from depot.words import tr
from fleet.formats.blocks import BlockRow, Fleet, Place
from fleet.formats.chains import Chain, by_days, length_km, parts, warn_of_overlaps
from fleet.formats.problems import Problems, sheet_of
from fleet.formats.trips import Days, Trip

LATEST_DEPART, LATEST_RETURN = 2880, 4320


@dataclass(frozen=True, slots=True)
class Source:
    """Where a block comes from: the depot's fleet, the sheet of its trips, and what the timetable says of it."""

    fleet: Fleet
    sheet: str
    headers: Mapping[str, str] = field(default_factory=dict)
    vehicle_type: str = ""
    adds_deadhead: bool = True


def block_rows(
    block: str, trips: Sequence[Trip], days: Mapping[str, Days], source: Source, problems: Problems
) -> Iterator[BlockRow]:
    """Yield one row for each set of days on which a block does the same work, or more where it comes home between."""
    fleet = source.fleet
    patterns = sorted(by_days(trips, days).items(), key=lambda pair: (-len(pair[0]), min(pair[0])))
    taken: set[str] = set()
    for when, chain in patterns:
        warn_of_overlaps(block, chain, source.sheet, problems)
        pieces = parts(chain, fleet.split_gap_minutes * 60 if fleet.split_gap_minutes else None)
        for number, piece in enumerate(pieces, 1):
            name = block if len(pieces) == 1 else f"{block}/{number}"
            row = _row(name, piece, source, problems)
            if row is None:
                continue
            for dated in _on_days(row, when, taken):
                taken.add(dated.key)
                yield dated


def _row(name: str, chain: Chain, source: Source, problems: Problems) -> BlockRow | None:
    """Return a block's times and length with the way from and to the depot; its days are still open."""
    minutes, way_km = source.fleet.deadhead or (0, 0.0) if source.adds_deadhead else (0, 0.0)
    first, last = chain[0], max(chain, key=lambda trip: trip.arrive_second)
    ways = (not first.empty) + (not last.empty)
    depart = first.depart_second // 60 - (0 if first.empty else minutes)
    back = math.ceil(last.arrive_second / 60) + (0 if last.empty else minutes)
    place = Place(sheet_of(first.row, source.sheet), first.row, source.headers)
    if len(name) > 60 or depart < 0 or depart > LATEST_DEPART or back > LATEST_RETURN or back <= depart:
        problems.errors.append(
            place.error(
                "block_id",
                name[:80],
                tr(
                    "Block “{name}” leaves at minute {depart} and returns at minute {back} of its service "
                    "day. Names have at most 60 characters; blocks leave from 0:00 to 48:00 and return by "
                    "72:00.",
                    name=name[:60],
                    depart=depart,
                    back=back,
                ),
            )
        )
        return None
    return BlockRow(
        name,
        depart,
        back,
        weekdays=127,
        distance_km=round(length_km(chain) + ways * way_km, 3),
        vehicle_type=source.vehicle_type,
        place=place,
    )


def _on_days(row: BlockRow, when: Days, taken: set[str]) -> list[BlockRow]:
    """Return a block with its days: weekdays in a period with the days that differ, or one date each.

    Dates are used for a single day, and where the weekdays and period would be those of another row of this block.
    """
    weekly = weekly_rule(row, when)
    if len(when) > 1 and weekly.key not in taken:
        return [weekly]
    return [_dated(row, day) for day in sorted(when)]


def _dated(row: BlockRow, day: date) -> BlockRow:
    return replace(row, service_date=day, weekdays=0)


def weekly_rule(row: BlockRow, when: Days) -> BlockRow:
    """Return a block that runs on the weekdays most of `when` fall on, with exceptions for the days that differ."""
    first, last = min(when), max(when)
    span = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    there, all_days = Counter(day.weekday() for day in when), Counter(day.weekday() for day in span)
    weekdays = sum(1 << day for day, count in there.items() if 2 * count >= all_days[day])
    weekdays = weekdays or 1 << first.weekday()
    exceptions = tuple(
        (day, day in when) for day in span if (day in when) != bool(weekdays >> day.weekday() & 1)
    )
    return replace(row, weekdays=weekdays, valid_from=first, valid_to=last, exceptions=exceptions)
