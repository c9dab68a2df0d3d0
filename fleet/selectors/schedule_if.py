"""The duties that there would be if a checked file were saved. Nothing is written for that."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import datetime

from depot.models import Depot
from fleet.formats.blocks import BlockRow
from fleet.formats.preview import Preview
from fleet.models import Block, Vehicle, VehicleType
from fleet.selectors.duties import Duty, blocks_of_days, laid_out, service_days
from fleet.services.schedules import block_for, row_of, settings_of, take_over


def duties_if(
    depot: Depot, found: Preview, replacing: bool, from_at: datetime, to_at: datetime
) -> list[Duty]:
    """Return the duties away in `[from_at, to_at)` with the file saved, from twelve queries at most.

    Blocks that stay keep their assignments of single days; new ones have ids below zero.
    """
    first, last = service_days(depot, from_at, to_at)
    standing = {row_of(block).key: block for block in blocks_of_days(depot, first, last)}
    for row in found.removed(replacing):
        standing.pop(row.key, None)
    coming = [
        row
        for row in (*found.difference.new, *(after for _, after in found.changes(replacing)))
        if row.first_day <= last.toordinal() and row.last_day >= first.toordinal()
    ]
    gone = {after.key for _, after in found.changes(replacing)} - {row.key for row in coming}
    blocks = {key: block for key, block in standing.items() if key not in gone}
    blocks |= _filled(depot, coming, standing)
    return laid_out(depot, blocks.values(), from_at, to_at)


def _filled(depot: Depot, rows: Iterable[BlockRow], standing: dict[str, Block]) -> dict[str, Block]:
    """Return blocks as saving would leave them, by key."""
    vehicles = {row.name: row for row in Vehicle.objects.of_depot(depot).select_related("type", "state")}
    types = {row.name: row for row in VehicleType.objects.of_depot(depot)}
    calendar = settings_of(depot).calendar
    filled = {}
    for number, row in enumerate(rows, 1):
        block = copy(standing[row.key]) if row.key in standing else block_for(depot, row, calendar)
        block.pk = block.pk or -number
        filled[row.key] = take_over(block, row, vehicles, types)
    return filled
