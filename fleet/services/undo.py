"""Take the last saved schedule file back: the schedule is then what it was before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db import transaction
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from depot import audit, clock
from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.models import Depot, ImportBatch, User
from depot.words import later, tr
from fleet.models import Assignment, Block
from fleet.services.schedules import BULK, KIND, WRITTEN_FIELDS

DATES = ("service_date", "valid_from", "valid_to")


class CannotUndo(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """The file is not the last one that was saved, or what was before it is not kept any more."""


def last_saved(depot: Depot) -> ImportBatch | None:
    """Return the schedule file that was saved last and not taken back."""
    saved = ImportBatch.objects.of_depot(depot).filter(kind=KIND, state=ImportBatch.State.COMMITTED)
    return saved.order_by("-committed_at", "-pk").first()


def undo(batch: ImportBatch, user: Any) -> None:
    """Give the depot the schedule it had before a file was saved, in one transaction.

    Raise CannotUndo when another file was saved after it. Assignments of blocks that the file made go with them.
    """
    with transaction.atomic():
        depot = Depot.objects.select_for_update(no_key=True).get(pk=batch.depot_id)
        batch = ImportBatch.objects.select_for_update(no_key=True).get(pk=batch.pk, kind=KIND)
        last = last_saved(depot)
        if last is None or last.pk != batch.pk:
            raise CannotUndo(
                tr(
                    "{file_name} is not the last file that was saved. Only that can be undone.",
                    file_name=batch.file_name,
                )
            )
        before = batch.report.get("undo")
        if before is None:
            raise CannotUndo(
                tr(
                    "{file_name} was saved long ago; the schedule before it is not kept any more. Upload the "
                    "schedule you want.",
                    file_name=batch.file_name,
                )
            )
        made = _remove_new(depot, batch, before["changed"])
        _give_back(depot, before["changed"])
        _make_again(depot, before["removed"], before["assignments"])
        batch.state = ImportBatch.State.UNDONE
        batch.save(update_fields=["state"])
        sentence = later(
            "Took back the schedule {file_name}: {made:,} blocks removed, {changed:,} changed back, "
            "{removed:,} made again.",
            file_name=batch.file_name,
            made=made,
            changed=len(before["changed"]),
            removed=len(before["removed"]),
        )
        audit.record(depot, user, "schedule.undone", sentence, batch=batch.pk)
        if "plan" in KINDS:
            asker = user if isinstance(user, User) else None
            enqueue(
                "plan", depot, f"schedule {batch.pk} undone", {"trigger": tr("The schedule changed")}, asker
            )


def _remove_new(depot: Depot, batch: ImportBatch, changed: Sequence[Mapping[str, Any]]) -> int:
    """Delete the blocks that the file made; return how many."""
    kept = {row["key"] for row in changed}
    own = Block.objects.of_depot(depot).filter(batch=batch).values_list("pk", "key")
    new = [pk for pk, key in own if key not in kept]
    for start in range(0, len(new), BULK):
        Block.objects.filter(pk__in=new[start : start + BULK]).delete()
    return len(new)


def _give_back(depot: Depot, rows: Sequence[Mapping[str, Any]]) -> None:
    before = {row["key"]: row for row in rows}
    blocks = [
        _filled(block, before[block.key])
        for start in range(0, len(rows), BULK)
        for block in Block.objects.of_depot(depot).filter(key__in=list(before)[start : start + BULK])
    ]
    bulk_update_with_history(
        blocks, Block, (*WRITTEN_FIELDS, "calendar"), batch_size=BULK, default_date=clock.now()
    )


def _make_again(
    depot: Depot, rows: Sequence[Mapping[str, Any]], assignments: Sequence[Mapping[str, Any]]
) -> None:
    blocks = [_filled(Block(depot=depot), row) for row in rows]
    bulk_create_with_history(blocks, Block, batch_size=BULK, default_date=clock.now())
    of_key = {
        block.key: block
        for block in Block.objects.of_depot(depot).filter(key__in=[row["key"] for row in rows])
    }
    Assignment.objects.bulk_create(
        [
            Assignment(
                block=of_key[row["key"]],
                service_date=date.fromisoformat(row["date"]),
                vehicle_id=row["vehicle"],
                return_minute=row.get("return_minute"),
                fixed=row.get("fixed", False),
                open=row.get("open", False),
                reason=row["reason"],
                made_by_id=row["made_by"],
                made_at=clock.now(),
            )
            for row in assignments
        ],
        batch_size=BULK,
    )


def _filled(block: Block, row: Mapping[str, Any]) -> Block:
    """Return a block with the values of a snapshot."""
    for name, value in row.items():
        setattr(block, name, date.fromisoformat(value) if name in DATES and value else value)
    return block
