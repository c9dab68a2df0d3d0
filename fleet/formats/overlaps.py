"""Find blocks that would need one vehicle twice at the same time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from depot.imports import RowError
from depot.words import tr
from fleet.formats.blocks import EVER_FROM, BlockRow
from fleet.formats.clock import MINUTES_PER_DAY, clock
from fleet.formats.service_days import say_service_days

WEEK = 7
LONGEST_DAYS = 3
"""A block ends at most this many days after its service day began."""


def overlap_errors(rows: Sequence[BlockRow], standing: Iterable[BlockRow] = ()) -> tuple[RowError, ...]:
    """Return one error a row that needs its vehicle while another row, or a standing block, has it.

    Standing blocks are in the schedule already; overlaps among themselves are not this file's fault. Rows that
    were found to overlap are left out of further comparisons, so the work grows with the rows times the
    blocks that a vehicle can really have at one time.
    """
    by_vehicle: dict[str, list[tuple[BlockRow, bool]]] = defaultdict(list)
    for stands, blocks in ((True, standing), (False, rows)):
        for block in blocks:
            if block.vehicle:
                by_vehicle[block.vehicle].append((block, stands))
    errors: list[RowError] = []
    for blocks_of_one in by_vehicle.values():
        errors += _of_one_vehicle(blocks_of_one)
    return tuple(sorted(errors, key=lambda error: error.row or 0))


def first_collision(one: BlockRow, other: BlockRow) -> date | None:
    """Return the first service day of `one` on which it and `other` are out at the same time, or None."""
    found = (
        _first_common_day(one, other, shift)
        for shift in range(1 - LONGEST_DAYS, LONGEST_DAYS)
        if one.depart_minute < other.return_minute + shift * MINUTES_PER_DAY
        and other.depart_minute + shift * MINUTES_PER_DAY < one.return_minute
    )
    days = [day for day in found if day is not None]
    return date.fromordinal(min(days)) if days else None


def _first_common_day(one: BlockRow, other: BlockRow, shift: int) -> int | None:
    """Return the first day d on which `one` runs while `other` runs on d + shift.

    Away from the days that differ every week is like the next, so one week of each stretch is looked at.
    """
    first = max(one.first_day, other.first_day - shift)
    last = min(one.last_day, other.last_day - shift)
    differing = [day.toordinal() for day, _ in one.exceptions]
    differing += [day.toordinal() - shift for day, _ in other.exceptions]
    spans = [(first, first + WEEK)]
    if differing:
        spans.append((max(first, min(differing)), max(differing) + 1 + WEEK))
    one_runs, other_runs = one.running(), other.running()
    for start, end in spans:
        for day in range(start, min(last + 1, end)):
            if one_runs(day) and other_runs(day + shift):
                return day
    return None


def _of_one_vehicle(blocks: list[tuple[BlockRow, bool]]) -> list[RowError]:
    """Sweep the blocks by their first day, keeping those that still run."""
    errors: list[RowError] = []
    running: list[tuple[BlockRow, bool]] = []
    for block, stands in sorted(blocks, key=lambda pair: (pair[0].first_day, not pair[1])):
        running = [pair for pair in running if pair[0].last_day + LONGEST_DAYS >= block.first_day]
        collision = _collision(block, stands, running)
        if collision is None:
            running.append((block, stands))
        else:
            errors.append(collision)
            if stands:
                running.append((block, stands))
    return errors


def _collision(block: BlockRow, stands: bool, running: Iterable[tuple[BlockRow, bool]]) -> RowError | None:
    for other, other_stands in running:
        if stands and other_stands:
            continue
        day = first_collision(block, other)
        if day is not None:
            return _error(other, block, day) if stands else _error(block, other, day)
    return None


def _error(block: BlockRow, other: BlockRow, day: date) -> RowError:
    where = tr("row {row}", row=other.place.row) if other.place.row else tr("already in the schedule")
    cure = (
        tr("Change a time, a day or the vehicle.")
        if other.place.row
        else tr(
            "Replace the schedule, or put block {block_id} with its end or another vehicle into the "
            "file as well.",
            block_id=other.block_id,
        )
    )
    return block.place.error(
        "vehicle",
        block.vehicle,
        tr(
            "{vehicle} would drive block {block_id} ({block}) and block {block_id2} ({other}, "
            "{where}) at the same time{day}. {cure}",
            vehicle=block.vehicle,
            block_id=block.block_id,
            block=_when(block),
            block_id2=other.block_id,
            other=_when(other),
            where=where,
            day=_since(day),
            cure=cure,
        ),
    )


def _since(day: date) -> str:
    """Name the first day of a collision; blocks without a first day collide whenever they run."""
    always = day.toordinal() < EVER_FROM + 7 + LONGEST_DAYS
    return "" if always else tr(", first on {day}", day=day)


def _when(block: BlockRow) -> str:
    days = str(block.service_date) if block.service_date else say_service_days(block.weekdays)
    return f"{days} {clock(block.depart_minute)}–{clock(block.return_minute)}"
