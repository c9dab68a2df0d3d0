"""What the Schedules page shows: the answer in a sentence, the blocks, the last uploads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta

from django.db.models import F, Q, QuerySet

from depot.models import Depot, ImportBatch
from depot.words import day_words, tr, trn, weekday_words
from fleet.models import Block
from fleet.selectors.duties import Duty, duties
from fleet.selectors.needs import Need, need_of

LOOK_AHEAD = (timedelta(days=2), timedelta(days=16))


def schedule_answer(depot: Depot, coming: Sequence[Duty], now: datetime) -> str:
    """Say how many vehicles have how many blocks on the next day of service, and who leaves next."""
    if not Block.objects.of_depot(depot).exists():
        return tr("There is no schedule yet: upload one, and every block gets the charge it needs.")
    after_now = [duty for duty in coming if duty.pull_out_at >= now]
    if not after_now:
        return tr("No block of the schedule runs in the next two weeks.")
    following = after_now[0]
    day = following.service_date
    of_day = [duty for duty in coming if duty.service_date == day]
    vehicles = len({duty.vehicle.pk for duty in of_day if duty.vehicle})
    open_blocks = sum(duty.vehicle is None for duty in of_day)
    local = depot.local(following.pull_out_at)
    who = following.vehicle or tr("block {block_id}, which has no vehicle", block_id=following.block.block_id)
    missing = tr(" ({open_blocks} without a vehicle)", open_blocks=open_blocks) if open_blocks else ""
    return tr(
        "{vehicles} {blocks}{missing} on {day}; next pull-out {time} {weekday}: {who}.",
        vehicles=trn("{count:,} vehicle has", "{count:,} vehicles have", vehicles),
        blocks=trn("{count:,} block", "{count:,} blocks", len(of_day)),
        missing=missing,
        day=day_words(day),
        time=f"{local:%H:%M}",
        weekday=weekday_words(local.weekday()),
        who=who,
    )


def blocks_of(depot: Depot, today: date, words: str = "") -> QuerySet[Block]:
    """Return the blocks that can still run, by vehicle and time; `words` narrow to a vehicle or block name."""
    running = Q(service_date__gte=today) | Q(service_date__isnull=True) & (
        Q(valid_to__isnull=True) | Q(valid_to__gte=today)
    )
    found = Block.objects.of_depot(depot).filter(running)
    if words:
        found = found.filter(Q(block_id__icontains=words) | Q(vehicle__name__icontains=words))
    by_vehicle = F("vehicle__name").asc(nulls_first=True)
    return found.select_related("vehicle", "vehicle_type", "calendar").order_by(
        by_vehicle, "service_date", "depart_minute", "block_id"
    )


def last_uploads(depot: Depot, number: int = 5) -> QuerySet[ImportBatch]:
    """Return the last schedule files, without their content."""
    batches = ImportBatch.objects.of_depot(depot).filter(kind="schedule").select_related("uploaded_by")
    return batches.defer("content", "report")[:number]


def coming_needs(coming: Iterable[Duty], now: datetime) -> dict[int, Need]:
    """Return by block id what the next run of each block needs, where it has a vehicle."""
    found: dict[int, Need] = {}
    for duty in coming:
        if duty.pull_out_at >= now and duty.vehicle is not None and duty.block.pk not in found:
            found[duty.block.pk] = need_of(duty, duty.vehicle)
    return found


def coming_duties(depot: Depot, now: datetime) -> list[Duty]:
    """Return the duties from today's midnight on, as far ahead as is needed to find the next one."""
    midnight = datetime.combine(depot.local(now).date(), time(), tzinfo=depot.tz)
    for ahead in LOOK_AHEAD:
        found = duties(depot, midnight, now + ahead)
        if any(duty.pull_out_at >= now for duty in found):
            break
    return found
