"""Schedules in: check an uploaded file, keep it, and save its blocks at once or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from depot import audit, clock
from depot.imports import RowError
from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.models import Depot, ImportBatch, User
from fleet.formats.blocks import BlockRow, Fleet, KnownType, KnownVehicle
from fleet.formats.preview import DateRange, Preview, preview
from fleet.formats.registry import read_schedule
from fleet.models import Assignment, Block, Vehicle, VehicleType

KIND = "schedule"
LISTED_PROBLEMS = 1000
BULK = 500
ROW_FIELDS = (
    "block_id",
    "depart_minute",
    "return_minute",
    "service_date",
    "weekdays",
    "valid_from",
    "valid_to",
    "distance_km",
    "energy_kwh",
    "min_soc_departure",
    "precondition",
)
WRITTEN_FIELDS = (*ROW_FIELDS, "vehicle", "vehicle_type", "batch")


class ScheduleRefused(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """A file that may not be saved; `problems` say what to repair."""

    def __init__(self, problems: Sequence[RowError]) -> None:
        self.problems = tuple(problems)
        super().__init__(problems[0].sentence if problems else "The file may not be saved.")


@dataclass(frozen=True, slots=True)
class Saved:
    """How many blocks a file made, changed, left as they were, removed, and kept although it lacks them."""

    new: int
    changed: int
    unchanged: int
    removed: int
    kept: int


def check(
    depot: Depot, content: bytes, name: str, file_format: str = "auto", days: DateRange | None = None
) -> Preview:
    """Read a schedule file and compare it with the depot's blocks. Writes nothing."""
    fleet = known_fleet(depot)
    return preview(read_schedule(content, name, fleet, file_format), fleet, block_rows(depot), days)


def upload(depot: Depot, user: Any, content: bytes, name: str, file_format: str = "auto") -> ImportBatch:
    """Check a file and keep it as it came with its report, so that a stopped program loses no upload."""
    found = check(depot, content, name, file_format)
    state = ImportBatch.State.REFUSED if found.errors else ImportBatch.State.CHECKED
    batch = ImportBatch.objects.create(
        depot=depot,
        kind=KIND,
        file_format=found.reading.file_format,
        file_name=name[:200],
        file_digest=hashlib.sha256(content).hexdigest(),
        content=content,
        state=state,
        report=report(found),
        uploaded_by=user if isinstance(user, User) else None,
        uploaded_at=clock.now(),
    )
    errors = f"{len(found.errors):,} error{'' if len(found.errors) == 1 else 's'}"
    sentence = f"Uploaded {name}: {len(found.rows):,} blocks, {errors}; not saved yet."
    audit.record(depot, user, "schedule.uploaded", sentence, batch=batch.pk)
    return batch


def commit(batch: ImportBatch, user: Any, replace: bool = False, days: DateRange | None = None) -> Saved:
    """Save the blocks of a checked file in one transaction, against the schedule as it is now.

    `replace` also removes the depot's blocks that the file does not have (within `days`). Raise ScheduleRefused
    with every problem when the file may not be saved; then nothing was written. A saved file is saved once: again
    returns the same numbers.
    """
    with transaction.atomic():
        batch = ImportBatch.objects.select_for_update().select_related("depot").get(pk=batch.pk, kind=KIND)
        if batch.state == ImportBatch.State.COMMITTED:
            return Saved(**batch.report["saved"])
        depot = Depot.objects.select_for_update().get(pk=batch.depot_id)
        found = check(depot, bytes(batch.content), batch.file_name, batch.file_format, days)
        problems = found.errors or (() if replace else found.conflicts)
        if problems:
            raise ScheduleRefused(problems)
        saved, undo = _write(depot, found, batch, replace)
        batch.state = ImportBatch.State.COMMITTED
        batch.committed_at = clock.now()
        batch.report = report(found) | {"saved": _as_dict(saved), "replace": replace, "undo": undo}
        batch.save(update_fields=["state", "committed_at", "report"])
        _tell(batch, depot, user, saved)
    return saved


def report(found: Preview) -> dict[str, Any]:
    """Return counts, problems (the first 1,000 of each kind) and facts of a preview as JSON values."""
    change = found.difference
    return {
        "format": found.reading.file_format,
        "file": dict(found.reading.facts),
        "blocks": len(found.rows),
        "new": len(change.new),
        "changed": len(change.changed),
        "unchanged": len(change.unchanged),
        "missing": len(change.missing),
        "error_count": len(found.errors),
        "errors": [error.as_json() for error in found.errors[:LISTED_PROBLEMS]],
        "conflict_count": len(found.conflicts),
        "conflicts": [error.as_json() for error in found.conflicts[:LISTED_PROBLEMS]],
        "warning_count": len(found.warnings),
        "warnings": [error.as_json() for error in found.warnings[:LISTED_PROBLEMS]],
    }


def known_fleet(depot: Depot) -> Fleet:
    """Return what a schedule of this depot may name."""
    vehicles = Vehicle.objects.of_depot(depot).select_related("type").order_by("name")
    types = VehicleType.objects.of_depot(depot).order_by("name")
    return Fleet(
        depot_names=frozenset({depot.slug, depot.name}),
        vehicles=tuple(
            KnownVehicle(row.name, row.type.name, (row.vin, row.external_id), row.active) for row in vehicles
        ),
        types=tuple(
            KnownType(
                row.name,
                row.usable_kwh,
                row.consumption_kwh_per_km,
                row.auxiliary_kw,
                row.min_soc,
                row.max_soc,
                row.reserve_soc,
            )
            for row in types
        ),
    )


def block_rows(depot: Depot) -> list[BlockRow]:
    """Return the depot's blocks as files would say them."""
    names = F("vehicle__name"), F("vehicle_type__name")
    return [
        _row(values, vehicle or "", kind or "")
        for *values, vehicle, kind in Block.objects.of_depot(depot).values_list(*ROW_FIELDS, *names)
    ]


def _row(values: Sequence[Any], vehicle: str = "", vehicle_type: str = "") -> BlockRow:
    fields = dict(zip(ROW_FIELDS, values, strict=True))
    return BlockRow(**fields, vehicle=vehicle, vehicle_type=vehicle_type)


def _write(
    depot: Depot, found: Preview, batch: ImportBatch, replace: bool
) -> tuple[Saved, dict[str, list[Any]]]:
    _settle_keys(depot)
    change = found.difference
    vehicles = {row.name: row for row in Vehicle.objects.of_depot(depot)}
    types = {row.name: row for row in VehicleType.objects.of_depot(depot)}
    undo: dict[str, list[Any]] = {"changed": [], "removed": [], "assignments": []}

    def fill(block: Block, row: BlockRow) -> Block:
        for name in ROW_FIELDS:
            setattr(block, name, getattr(row, name))
        block.vehicle, block.vehicle_type = vehicles.get(row.vehicle), types.get(row.vehicle_type)
        block.batch = batch
        return block

    new = [fill(Block(depot=depot, key=row.key), row) for row in change.new]
    after = {row.key: row for _, row in change.changed}
    changed = []
    for block in _blocks_with_keys(depot, after):
        undo["changed"].append(_snapshot(block))
        changed.append(fill(block, after[block.key]))
    bulk_create_with_history(new, Block, batch_size=BULK, default_date=clock.now())
    bulk_update_with_history(changed, Block, WRITTEN_FIELDS, batch_size=BULK, default_date=clock.now())
    if replace:
        _remove(depot, [row.key for row in change.missing], undo)
    missing = len(change.missing)
    counts = (len(new), len(changed), len(change.unchanged))
    return Saved(*counts, *((missing, 0) if replace else (0, missing))), undo


def _settle_keys(depot: Depot) -> None:
    """Give every block the key of its own name and days, however it was entered or edited before."""
    stale: dict[str, int] = {}
    taken: set[str] = set()
    for pk, key, *values in Block.objects.of_depot(depot).values_list("pk", "key", *ROW_FIELDS):
        own = _row(values).key
        if key == own:
            taken.add(key)
        else:
            stale.setdefault(own, pk)
    moving = {own: pk for own, pk in stale.items() if own not in taken}
    for pk in moving.values():
        Block.objects.filter(pk=pk).update(key=f"#{pk}")
    for own, pk in moving.items():
        Block.objects.filter(pk=pk).update(key=own)


def _remove(depot: Depot, keys: Sequence[str], undo: dict[str, list[Any]]) -> None:
    """Delete blocks with their assignments, after noting both for the undo."""
    blocks = list(_blocks_with_keys(depot, keys))
    undo["removed"] += [_snapshot(block) for block in blocks]
    ids = [block.pk for block in blocks]
    for start in range(0, len(ids), BULK):
        some = ids[start : start + BULK]
        made = Assignment.objects.filter(block__in=some).annotate(key=F("block__key"))
        undo["assignments"] += [
            {
                "key": row.key,
                "date": row.service_date.isoformat(),
                "vehicle": row.vehicle_id,
                "reason": row.reason,
                "made_by": row.made_by_id,
            }
            for row in made
        ]
        Block.objects.filter(pk__in=some).delete()


def _blocks_with_keys(depot: Depot, keys: Iterable[str]) -> Iterable[Block]:
    """Yield the blocks of some keys, a limited number a query."""
    names = list(keys)
    for start in range(0, len(names), BULK):
        yield from Block.objects.of_depot(depot).filter(key__in=names[start : start + BULK])


def _snapshot(block: Block) -> dict[str, Any]:
    """Return a block's values as JSON, so that the import can be undone."""
    plain = {name: getattr(block, name) for name in ROW_FIELDS}
    dates = ("service_date", "valid_from", "valid_to")
    plain |= {name: plain[name].isoformat() for name in dates if plain[name]}
    ids = ("vehicle_id", "vehicle_type_id", "calendar_id", "batch_id")
    return plain | {"key": block.key} | {name: getattr(block, name) for name in ids}


def _tell(batch: ImportBatch, depot: Depot, user: Any, saved: Saved) -> None:
    """Write the audit sentence and ask for a new plan when something changed."""
    removed = f", {saved.removed:,} removed" if saved.removed else ""
    sentence = (
        f"Saved the schedule {batch.file_name}: {saved.new:,} blocks new, {saved.changed:,} changed, "
        f"{saved.unchanged:,} unchanged{removed}."
    )
    audit.record(depot, user, "schedule.committed", sentence, batch=batch.pk, **_as_dict(saved))
    if "plan" in KINDS and (saved.new or saved.changed or saved.removed):
        asker = user if isinstance(user, User) else None
        enqueue("plan", depot, f"schedule {batch.pk}", {"trigger": "The schedule changed"}, asker)


def _as_dict(saved: Saved) -> dict[str, int]:
    return {name: getattr(saved, name) for name in ("new", "changed", "unchanged", "removed", "kept")}
