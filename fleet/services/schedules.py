"""Schedules in: check an uploaded file, keep it, and save its blocks at once or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import F
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from depot import audit, clock
from depot.imports import RowError, plain_title
from depot.jobs import Progress, enqueue
from depot.jobs.registry import KINDS
from depot.jobs.services import UNFINISHED
from depot.models import Depot, ImportBatch, Job, User
from depot.words import later, mark, speaking, tr, trn
from fleet.formats.blocks import BlockRow, Fleet, KnownType, KnownVehicle
from fleet.formats.canonical import HEADER
from fleet.formats.lines import lines_of
from fleet.formats.preview import Preview, preview
from fleet.formats.ranges import DateRange
from fleet.formats.registry import read_schedule
from fleet.models import Assignment, Block, ScheduleSettings, ServiceCalendar, Vehicle, VehicleType
from fleet.services.effects import effects_of

KIND = "schedule"
CHECK = "schedule-check"
SAVE = "schedule-save"
ADD, REPLACE = MODES = ("add", "replace")
QUICK_BYTES = 200_000
QUICK_BLOCKS = 2_000
LINES_KEPT = 200
OUTDATED = mark("The schedule has changed since this file was checked. Look at the preview again, then save.")
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
WRITTEN_FIELDS = (*ROW_FIELDS, "exceptions", "vehicle", "vehicle_type", "batch")


SETTLED = (ImportBatch.State.COMMITTED, ImportBatch.State.UNDONE)


def _no_progress(fraction: float, step: str) -> None:
    """Nobody waits who would look at it."""


class ScheduleRefused(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """A file that may not be saved; `problems` say what to repair."""

    def __init__(self, problems: Sequence[RowError]) -> None:
        self.problems = tuple(problems)
        super().__init__(problems[0].sentence if problems else tr("The file may not be saved."))


@dataclass(frozen=True, slots=True)
class Saved:
    """How many blocks a file made, changed, left as they were, removed, and kept although it lacks them.

    `taken_out` ones stopped running on the days that the file replaced, and go on on others.
    """

    new: int
    changed: int
    unchanged: int
    removed: int
    kept: int
    taken_out: int = 0


def check(
    depot: Depot, content: bytes, name: str, file_format: str = "auto", days: DateRange | None = None
) -> Preview:
    """Read a schedule file and compare it with the depot's blocks. Writes nothing."""
    fleet = known_fleet(depot)
    return preview(read_schedule(content, name, fleet, file_format), fleet, block_rows(depot), days)


def upload(
    depot: Depot,
    user: Any,
    content: bytes,
    name: str,
    file_format: str = "auto",
    days: DateRange | None = None,
) -> ImportBatch:
    """Keep a file as it came and check it."""
    return look(keep(depot, user, content, name, file_format, days))


def keep(
    depot: Depot,
    user: Any,
    content: bytes,
    name: str,
    file_format: str = "auto",
    days: DateRange | None = None,
) -> ImportBatch:
    """Keep a file as it came, unread, so that a stopped program loses no upload."""
    return ImportBatch.objects.create(
        depot=depot,
        kind=KIND,
        file_format=file_format,
        file_name=name[:200],
        file_digest=hashlib.sha256(content).hexdigest(),
        content=content,
        state=ImportBatch.State.WAITING,
        report={"days": days_as_json(days or DateRange())},
        uploaded_by=user if isinstance(user, User) else None,
        uploaded_at=clock.now(),
    )


def is_big(depot: Depot, content: bytes) -> bool:
    """Tell whether checking a file may take longer than a person should wait for a page."""
    return len(content) > QUICK_BYTES or Block.objects.of_depot(depot).count() > QUICK_BLOCKS


def ask(batch: ImportBatch, user: Any) -> Job | None:
    """Check a kept file: at once where that is quick, else as a job, which is returned."""
    unsaved = ImportBatch.objects.filter(pk=batch.pk).exclude(state__in=SETTLED)
    if not unsaved.update(state=ImportBatch.State.WAITING):
        return None
    batch.state = ImportBatch.State.WAITING
    if not is_big(batch.depot, bytes(batch.content)):
        look(batch)
        return None
    return _enqueue(CHECK, batch, user, {})


def ask_to_save(batch: ImportBatch, user: Any, replace: bool = False, shown: str = "") -> Job | None:
    """Save a checked file as a job, which is returned, where that may take long; else None, and nothing is done.

    While one waits or runs for the file, that one is returned: a file is saved once.
    """
    if not is_big(batch.depot, bytes(batch.content)):
        return None
    with transaction.atomic():
        # Two requests at a time find the same job.
        batch = ImportBatch.objects.select_for_update(no_key=True).select_related(None).get(pk=batch.pk)
        last = working(batch)
        if last is not None and last.kind == SAVE and last.state in UNFINISHED:
            return last
        return _enqueue(SAVE, batch, user, {"replace": replace, "change": shown})


def _enqueue(kind: str, batch: ImportBatch, user: Any, more: Mapping[str, Any]) -> Job:
    window = f"{_window_of(batch)}{uuid4().hex[:12]}"
    asker = user if isinstance(user, User) else None
    return enqueue(kind, batch.depot, window, {"batch": batch.pk, **more}, asker)


def working(batch: ImportBatch) -> Job | None:
    """Return the last job that was asked for to check or save a file."""
    jobs = Job.objects.of_depot(batch.depot).filter(window__startswith=_window_of(batch))
    return jobs.filter(kind__in=(CHECK, SAVE)).order_by("-created_at", "-kind").first()


def _window_of(batch: ImportBatch) -> str:
    return f"file {batch.pk}, "


def look(batch: ImportBatch, progress: Progress = _no_progress) -> ImportBatch:
    """Check a kept file against the schedule as it is now, and keep what was found. The same again does no harm.

    Nothing is written before everything is known. A file that was saved meanwhile stays as it is.
    """
    depot, days = batch.depot, days_of(batch)
    progress(0.05, tr("Reading {file_name}", file_name=batch.file_name))
    found = check(depot, bytes(batch.content), batch.file_name, batch.file_format, days)
    progress(0.6, tr("Working out what {rows:,} blocks mean for the coming pull-outs", rows=len(found.rows)))
    now = clock.now()
    effects = {mode: effects_of(depot, found, mode == REPLACE, now) for mode in MODES}
    progress(0.9, tr("Keeping the preview"))
    with transaction.atomic():
        batch = ImportBatch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        if batch.state in SETTLED:
            return batch
        first = "change" not in batch.report
        batch.state = ImportBatch.State.REFUSED if found.errors else ImportBatch.State.CHECKED
        batch.file_format = found.reading.file_format
        if found.reading.private:
            # A file with data of pupils is refused and not kept.
            batch.content = b""
        batch.report = report(found) | {"effects": effects, "checked_at": now.isoformat()}
        batch.save(update_fields=["state", "file_format", "content", "report"])
        if first:
            with speaking(depot.language):
                sentence = tr(
                    "Uploaded {file_name}: {rows:,} blocks, {errors}; not saved yet.",
                    file_name=batch.file_name,
                    rows=len(found.rows),
                    errors=trn("{count:,} error", "{count:,} errors", len(found.errors)),
                )
            audit.record(depot, batch.uploaded_by, "schedule.uploaded", sentence, batch=batch.pk)
    return batch


def choose_days(batch: ImportBatch, days: DateRange) -> None:
    """Note for which days a file is to be read; it has to be checked again for them. A saved file stays as it is."""
    with transaction.atomic():
        locked = ImportBatch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        if locked.state in SETTLED:
            return
        batch.report = locked.report | {"days": days_as_json(days)}
        batch.save(update_fields=["report"])


def days_of(batch: ImportBatch) -> DateRange:
    """Return the days a file is to be read for."""
    given = batch.report.get("days", {})
    return DateRange(*(date.fromisoformat(given[end]) if given.get(end) else None for end in ("from", "to")))


def days_as_json(days: DateRange) -> dict[str, str | None]:
    """Return days as JSON values."""
    return {
        "from": days.from_date.isoformat() if days.from_date else None,
        "to": days.to_date.isoformat() if days.to_date else None,
    }


def commit(
    batch: ImportBatch,
    user: Any,
    replace: bool = False,
    shown: str = "",
    progress: Progress = _no_progress,
    finish: Callable[[Saved], None] = lambda saved: None,
) -> Saved:
    """Save the blocks of a checked file in one transaction, against the schedule as it is now.

    `replace` also takes what the file does not have out of its days: blocks that run only then are removed. Raise
    ScheduleRefused with every problem when the file may not be saved, and when it would change something else than
    the preview whose `change` is `shown`; then nothing was written. A saved file is saved once: again returns the
    same numbers. `finish` is called last in the transaction; when it raises, nothing was written either.
    """
    while (saved := _try_commit(batch.pk, user, replace, shown, progress, finish)) is None:
        pass  # the schedule changed while the file was read: somebody else got on, so this ends
    return saved


def _try_commit(
    batch_id: int,
    user: Any,
    replace: bool,
    shown: str,
    progress: Progress,
    finish: Callable[[Saved], None],
) -> Saved | None:
    """Read the file before the transaction, which holds up all writers; None when the schedule changed meanwhile."""
    batch = ImportBatch.objects.select_related("depot").get(pk=batch_id, kind=KIND)
    if batch.state == ImportBatch.State.COMMITTED:
        saved = Saved(**batch.report["saved"])
        finish(saved)
        return saved
    progress(0.05, tr("Reading {file_name}", file_name=batch.file_name))
    known = _known(batch.depot)
    found = check(batch.depot, bytes(batch.content), batch.file_name, batch.file_format, days_of(batch))
    progress(0.4, tr("Saving {rows:,} blocks, all of them or none", rows=len(found.rows)))
    with transaction.atomic():
        # No progress from here on: others would see it only at the end, and its row would be held up.
        depot = Depot.objects.select_for_update(no_key=True).get(pk=batch.depot_id)
        batch = ImportBatch.objects.select_for_update(no_key=True).get(pk=batch_id)
        if batch.state == ImportBatch.State.COMMITTED or _known(depot) != known:
            return None
        if problems := found.problems(replace):
            raise ScheduleRefused(problems)
        if shown and shown != change_of(found):
            raise ScheduleRefused([RowError(batch.file_name, None, "", "", tr(OUTDATED))])
        saved, undo = _write(depot, found, batch, replace)
        batch.state = ImportBatch.State.COMMITTED
        batch.committed_at = clock.now()
        batch.report = report(found) | {"saved": _as_dict(saved), "replace": replace, "undo": undo}
        batch.save(update_fields=["state", "committed_at", "report"])
        _tell(batch, depot, user, saved)
        finish(saved)
    return saved


def _known(depot: Depot) -> tuple[Fleet, frozenset[BlockRow]]:
    """Return all that a file is compared with."""
    return known_fleet(depot), frozenset(block_rows(depot))


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
        "taken_out": len(found.taken_out),
        "days": days_as_json(found.days),
        "change": change_of(found),
        "lines": lines_of(found, LINES_KEPT),
        "unknown_columns": list(found.reading.unknown_columns),
        "rows_with_errors": len(
            {(error.sheet, error.row) for error in found.errors if error.row is not None}
        ),
        "error_count": len(found.errors),
        "errors": [error.as_json() for error in found.errors[:LISTED_PROBLEMS]],
        "conflict_count": len(found.conflicts),
        "conflicts": [error.as_json() for error in found.conflicts[:LISTED_PROBLEMS]],
        "replace_conflict_count": len(found.replace_conflicts),
        "replace_conflicts": [error.as_json() for error in found.replace_conflicts[:LISTED_PROBLEMS]],
        "warning_count": len(found.warnings),
        "warnings": [error.as_json() for error in found.warnings[:LISTED_PROBLEMS]],
    }


def change_of(found: Preview) -> str:
    """Return a digest of what a file would change, which differs as soon as that does."""
    change = found.difference
    return hashlib.sha256(
        repr((change.new, change.changed, change.missing, found.taken_out)).encode()
    ).hexdigest()


def known_fleet(depot: Depot) -> Fleet:
    """Return what a schedule of this depot may name."""
    vehicles = Vehicle.objects.of_depot(depot).select_related("type").order_by("name")
    types = VehicleType.objects.of_depot(depot).order_by("name")
    given = ScheduleSettings.objects.filter(depot=depot).first()
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
        time_zone=depot.time_zone,
        deadhead=(given.deadhead_minutes, given.deadhead_km) if given else None,
        split_gap_minutes=given.split_gap_minutes if given else None,
        columns=given.columns if given else {},
    )


def settings_of(depot: Depot) -> ScheduleSettings:
    """Return what is known of what the depot's files leave out; a new, unsaved row where nothing is."""
    found = ScheduleSettings.objects.filter(depot=depot).select_related("calendar").first()
    return found or ScheduleSettings(depot=depot)


def settle(depot: Depot, user: Any, settings: ScheduleSettings) -> None:
    """Keep what the depot's schedule files leave out."""
    settings.depot = depot
    settings.save()
    sentence = later(
        "Set the way to the first stop to {deadhead_minutes} min and {deadhead_km:g} km, waits "
        "at home from {split_gap_minutes} min.",
        deadhead_minutes=settings.deadhead_minutes,
        deadhead_km=settings.deadhead_km,
        split_gap_minutes=settings.split_gap_minutes or "no",
    )
    audit.record(depot, user, "schedule.settled", sentence)


def name_columns(depot: Depot, user: Any, meanings: Mapping[str, str]) -> None:
    """Keep what titles mean in the files of a depot: a column of the schedule, or "" for one to leave out."""
    known = {plain_title(title): meaning for title, meaning in meanings.items() if meaning in ("", *HEADER)}
    if not known:
        return
    settings = settings_of(depot)
    settings.columns = settings.columns | known
    settings.save()
    said = ", ".join(f"{title} = {meaning or 'left out'}" for title, meaning in known.items())
    audit.record(depot, user, "schedule.columns", later("Columns of schedule files: {said}.", said=said))


def block_rows(depot: Depot) -> list[BlockRow]:
    """Return the depot's blocks as files would say them."""
    more = "exceptions", "calendar", F("vehicle__name"), F("vehicle_type__name")
    return [
        _row(values, exceptions, vehicle or "", kind or "", calendar is not None)
        for *values, exceptions, calendar, vehicle, kind in Block.objects.of_depot(depot).values_list(
            *ROW_FIELDS, *more
        )
    ]


def row_of(block: Block) -> BlockRow:
    """Return a block's name and days as a file would say them."""
    return _row([getattr(block, name) for name in ROW_FIELDS], block.exceptions)


def _row(
    values: Sequence[Any],
    exceptions: Mapping[str, bool] = MappingProxyType({}),
    vehicle: str = "",
    vehicle_type: str = "",
    has_calendar: bool = False,
) -> BlockRow:
    fields = dict(zip(ROW_FIELDS, values, strict=True))
    differing = tuple((date.fromisoformat(day), runs) for day, runs in sorted(exceptions.items()))
    return BlockRow(
        **fields,
        exceptions=differing,
        vehicle=vehicle,
        vehicle_type=vehicle_type,
        has_calendar=has_calendar,
    )


def _write(
    depot: Depot, found: Preview, batch: ImportBatch, replace: bool
) -> tuple[Saved, dict[str, list[Any]]]:
    _settle_keys(depot)
    change = found.difference
    vehicles = {row.name: row for row in Vehicle.objects.of_depot(depot)}
    types = {row.name: row for row in VehicleType.objects.of_depot(depot)}
    undo: dict[str, list[Any]] = {"changed": [], "removed": [], "assignments": []}

    def fill(block: Block, row: BlockRow) -> Block:
        block.batch = batch
        return take_over(block, row, vehicles, types)

    calendar = settings_of(depot).calendar
    new = [fill(block_for(depot, row, calendar), row) for row in change.new]
    after = {row.key: row for _, row in found.changes(replace)}
    changed = []
    for block in _blocks_with_keys(depot, after):
        undo["changed"].append(_snapshot(block))
        changed.append(fill(block, after[block.key]))
    bulk_create_with_history(new, Block, batch_size=BULK, default_date=clock.now())
    bulk_update_with_history(changed, Block, WRITTEN_FIELDS, batch_size=BULK, default_date=clock.now())
    if replace:
        _remove(depot, [row.key for row in change.missing], undo)
    missing, taken_out = len(change.missing), len(found.taken_out)
    saved = Saved(
        new=len(new),
        changed=len(change.changed),
        unchanged=len(change.unchanged),
        removed=missing if replace else 0,
        kept=0 if replace else missing + taken_out,
        taken_out=taken_out if replace else 0,
    )
    return saved, undo


def block_for(depot: Depot, row: BlockRow, calendar: ServiceCalendar | None) -> Block:
    """Return a new, unsaved block for a row; one that recurs follows the depot's calendar."""
    return Block(depot=depot, key=row.key, calendar=None if row.service_date else calendar)


def take_over(
    block: Block, row: BlockRow, vehicles: Mapping[str, Vehicle], types: Mapping[str, VehicleType]
) -> Block:
    """Give a block what a row says, with the depot's vehicles and types by name; returns the block."""
    for name in ROW_FIELDS:
        setattr(block, name, getattr(row, name))
    block.exceptions = {day.isoformat(): runs for day, runs in row.exceptions}
    block.vehicle, block.vehicle_type = vehicles.get(row.vehicle), types.get(row.vehicle_type)
    return block


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
                "return_minute": row.return_minute,
                "fixed": row.fixed,
                "open": row.open,
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
    plain = {name: getattr(block, name) for name in (*ROW_FIELDS, "exceptions")}
    dates = ("service_date", "valid_from", "valid_to")
    plain |= {name: plain[name].isoformat() for name in dates if plain[name]}
    ids = ("vehicle_id", "vehicle_type_id", "calendar_id", "batch_id")
    return plain | {"key": block.key} | {name: getattr(block, name) for name in ids}


def _tell(batch: ImportBatch, depot: Depot, user: Any, saved: Saved) -> None:
    """Write the audit sentence and ask for a new plan when something changed."""
    removed = later(", {removed:,} removed", removed=saved.removed) if saved.removed else ""
    taken_out = (
        later(", {taken_out:,} taken out of these days", taken_out=saved.taken_out) if saved.taken_out else ""
    )
    sentence = later(
        "Saved the schedule {file_name}: {new:,} blocks new, {changed:,} changed, {unchanged:,} "
        "unchanged{removed}{taken_out}.",
        file_name=batch.file_name,
        new=saved.new,
        changed=saved.changed,
        unchanged=saved.unchanged,
        removed=removed,
        taken_out=taken_out,
    )
    audit.record(depot, user, "schedule.committed", sentence, batch=batch.pk, **_as_dict(saved))
    if "plan" in KINDS and (saved.new or saved.changed or saved.removed or saved.taken_out):
        asker = user if isinstance(user, User) else None
        enqueue("plan", depot, f"schedule {batch.pk}", {"trigger": tr("The schedule changed")}, asker)


def _as_dict(saved: Saved) -> dict[str, int]:
    return asdict(saved)
