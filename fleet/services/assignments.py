"""Who drives what on a day: exchanges, accepted proposals, late pull-ins, vehicles out of service. Each re-plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import transaction

from depot import audit
from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.models import Depot, User
from depot.words import Sentence, day_words, later, speaking, tr
from fleet.models import Assignment, Outage, Vehicle
from fleet.selectors.duties import Duty, duties

A_DAY = timedelta(days=1)
LONGEST_DAY = 3 * A_DAY
"""From the midnight of a service day on its blocks have left."""
LONGEST_DELAY = timedelta(hours=24)
FARTHEST = timedelta(days=14)
"""So far from today are days looked at and changed."""
LONGEST_OUTAGE = timedelta(days=5 * 366)
LARGEST_ID = 2**63 - 1


class AssignmentRefused(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """A change of the day that may not be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A duty that gets a vehicle: ids as they were seen when it was chosen (None = no vehicle)."""

    block_id: int
    service_date: date
    seen_vehicle_id: int | None
    vehicle_id: int | None

    @property
    def key(self) -> str:
        return f"{self.block_id}:{self.service_date}"

    @property
    def as_text(self) -> str:
        """Return it as a form carries it."""
        return f"{self.key}:{self.seen_vehicle_id or ''}:{self.vehicle_id or ''}"


def read_choice(text: str) -> Choice:
    """Return a choice as a form carries it; raises AssignmentRefused for anything else."""
    try:
        block, day, seen, wanted = text.split(":")
        ids = [int(text) if text else None for text in (seen, wanted)]
        if any(one is not None and not 0 <= one <= LARGEST_ID for one in ids):
            raise ValueError
        return Choice(int(block), date.fromisoformat(day), *ids)
    except ValueError:
        raise AssignmentRefused(
            tr("Nothing was changed: the form was not complete. Open the page again.")
        ) from None


def choice_of(duty: Duty, vehicle: Vehicle | None) -> Choice:
    """Return the choice that gives `duty` to `vehicle`."""
    seen = duty.vehicle.pk if duty.vehicle else None
    return Choice(duty.block.pk, duty.service_date, seen, vehicle.pk if vehicle else None)


def duties_of_day(depot: Depot, day: date) -> list[Duty]:
    """Return the duties of one service day, by pull-out."""
    begin = datetime.combine(day, datetime.min.time(), tzinfo=depot.tz)
    found = duties(depot, begin, begin + LONGEST_DAY)
    return [duty for duty in found if duty.service_date == day]


def assign(
    depot: Depot,
    user: Any,
    choices: Sequence[Choice],
    now: datetime,
    *,
    reason: str = "",
    fixed: bool = False,
) -> int:
    """Give duties of the coming days their vehicles, all or none, and plan again; return how many.

    Raises AssignmentRefused when a duty is not as it was seen any more, has left, or a vehicle would be at two
    places. `fixed` keeps later proposals from changing it.
    """
    if not choices:
        raise AssignmentRefused(tr("Nothing was changed: no block was chosen."))
    today = depot.local(now).date()
    if any(abs(one.service_date - today) > FARTHEST for one in choices):
        raise AssignmentRefused(
            tr("Nothing was changed: only days within {days} of today can be changed.", days=FARTHEST.days)
        )
    with transaction.atomic():
        depot = Depot.objects.select_for_update(no_key=True).get(pk=depot.pk)
        wanted_ids = {one.vehicle_id for one in choices if one.vehicle_id is not None}
        vehicles = Vehicle.objects.of_depot(depot).filter(active=True).in_bulk(wanted_ids)
        if len(vehicles) < len(wanted_ids):
            raise AssignmentRefused(tr("Nothing was changed: the depot has no such vehicle in service."))
        known = _coming(depot, choices)
        told = []
        for one in choices:
            duty = known.get(one.key)
            _check(depot, duty, one, now)
            assert duty is not None  # noqa: S101 - _check refuses a missing one
            vehicle = vehicles[one.vehicle_id] if one.vehicle_id is not None else None
            _write(duty, user, now, reason, vehicle=vehicle, fixed=fixed)
            with speaking(depot.language):
                told.append(
                    tr(
                        "{block_id} {vehicle} instead of {vehicle2}",
                        block_id=duty.block.block_id,
                        vehicle=vehicle or "no vehicle",
                        vehicle2=duty.vehicle or "none",
                    )
                )
        _refuse_clashes(depot, choices, wanted_ids)
        more = later(" and {count} more", count=len(told) - 6) if len(told) > 6 else ""
        _tell(
            depot,
            user,
            "assignment.changed",
            later("Assigned vehicles: {shown}{more}.", shown="; ".join(told[:6]), more=more),
            [one.as_text for one in choices],
        )
    return len(choices)


def come_back_late(
    depot: Depot, user: Any, choice: Choice, back_at: datetime, now: datetime, reason: str = ""
) -> None:
    """Note when a vehicle really comes back from a duty, and plan again.

    Raises AssignmentRefused for a time before the pull-out or more than a day after the usual pull-in.
    """
    with transaction.atomic():
        depot = Depot.objects.select_for_update(no_key=True).get(pk=depot.pk)
        duty = _coming(depot, [choice]).get(choice.key)
        if duty is None or duty.vehicle is None:
            raise AssignmentRefused(
                tr("Nothing was changed: this block does not run with a vehicle on that day.")
            )
        usual = duty.block.pull_in_at(duty.service_date, duty.earlier_minutes)
        if back_at <= max(duty.pull_out_at, now) or back_at > usual + LONGEST_DELAY:
            raise AssignmentRefused(
                tr("Nothing was changed: enter a time after now and after the pull-out, within a day.")
            )
        midnight = datetime.combine(duty.service_date, datetime.min.time())
        minute = int((depot.local(back_at).replace(tzinfo=None) - midnight).total_seconds() // 60)
        _write(duty, user, now, reason, vehicle=duty.vehicle, fixed=duty.fixed, return_minute=minute)
        words = later(
            "{vehicle} comes back from {block_id} at {back_at:%H:%M}",
            vehicle=duty.vehicle,
            block_id=duty.block.block_id,
            back_at=depot.local(back_at),
        )
        sentence = later(
            "{words} instead of {pull_in_at:%H:%M}.", words=words, pull_in_at=depot.local(duty.pull_in_at)
        )
        _tell(depot, user, "assignment.late", sentence, [choice.as_text])


def take_out(
    depot: Depot,
    user: Any,
    vehicle: Vehicle,
    from_at: datetime,
    to_at: datetime | None,
    now: datetime,
    reason: str,
) -> Outage:
    """Take a vehicle out of service and plan again; raises AssignmentRefused when it is out already then."""
    if to_at is not None and to_at <= from_at:
        raise AssignmentRefused(tr("Nothing was changed: the end must be after the beginning."))
    if any(at is not None and abs(at - now) > LONGEST_OUTAGE for at in (from_at, to_at)):
        raise AssignmentRefused(tr("Nothing was changed: enter times within five years of today."))
    with transaction.atomic():
        depot = Depot.objects.select_for_update(no_key=True).get(pk=depot.pk)
        end = to_at or datetime.max.replace(tzinfo=from_at.tzinfo)
        if any(row.covers(from_at, end) for row in vehicle.outages.all()):
            raise AssignmentRefused(
                tr("Nothing was changed: {vehicle} is out of service in that time already.", vehicle=vehicle)
            )
        made_by = user if isinstance(user, User) else None
        outage = Outage.objects.create(
            vehicle=vehicle, from_at=from_at, to_at=to_at, reason=reason[:200], made_by=made_by, made_at=now
        )
        until = (
            later("until {to_at}", to_at=_moment(depot, to_at)) if to_at else later("until further notice")
        )
        why = f": {reason.rstrip('.')}" if reason else ""
        sentence = later(
            "{vehicle} is out of service from {from_at} {until}{why}.",
            vehicle=vehicle,
            from_at=_moment(depot, from_at),
            until=until,
            why=why,
        )
        _tell(depot, user, "vehicle.out", sentence, [str(vehicle.pk)])
    return outage


def _moment(depot: Depot, at: datetime) -> str:
    local = depot.local(at)
    return f"{day_words(local)} {local:%H:%M}"


def bring_back(depot: Depot, user: Any, outage: Outage, now: datetime) -> None:
    """End an outage now and plan again; one that has not begun goes away, one that is over stays as it was."""
    with transaction.atomic():
        depot = Depot.objects.select_for_update(no_key=True).get(pk=depot.pk)
        known = Outage.objects.select_related("vehicle").filter(pk=outage.pk).first()
        if known is None or (known.to_at is not None and known.to_at <= now):
            return
        outage = known
        if outage.from_at >= now:
            outage.delete()
        else:
            outage.to_at = now
            outage.save(update_fields=["to_at"])
        _tell(
            depot,
            user,
            "vehicle.back",
            later("{vehicle} is in service again.", vehicle=outage.vehicle),
            [str(outage.vehicle_id)],
        )


def _coming(depot: Depot, choices: Sequence[Choice]) -> dict[str, Duty]:
    days = {one.service_date for one in choices}
    return {duty.key: duty for day in days for duty in duties_of_day(depot, day)}


def _check(depot: Depot, duty: Duty | None, choice: Choice, now: datetime) -> None:
    if duty is None or (duty.vehicle.pk if duty.vehicle else None) != choice.seen_vehicle_id:
        raise AssignmentRefused(tr("Nothing was changed: the schedule changed meanwhile. Look at it again."))
    if duty.pull_out_at <= now:
        left = f"{depot.local(duty.pull_out_at):%H:%M}"
        raise AssignmentRefused(
            tr(
                "Nothing was changed: block {block_id} left at {left}.",
                block_id=duty.block.block_id,
                left=left,
            )
        )


def _refuse_clashes(depot: Depot, choices: Sequence[Choice], vehicle_ids: set[int]) -> None:
    """Refuse what would put a vehicle at two places, or on the road while it is out of service."""
    first, last = min(one.service_date for one in choices), max(one.service_date for one in choices)
    begin = datetime.combine(first, datetime.min.time(), tzinfo=depot.tz)
    end = datetime.combine(last, datetime.min.time(), tzinfo=depot.tz) + 4 * A_DAY
    changed = {one.key for one in choices}
    of_vehicle: dict[int, list[Duty]] = {}
    for duty in duties(depot, begin, end):
        if duty.vehicle is not None and duty.vehicle.pk in vehicle_ids:
            of_vehicle.setdefault(duty.vehicle.pk, []).append(duty)
    for own in of_vehicle.values():
        for before, after in pairwise(own):
            if after.pull_out_at < before.pull_in_at and {before.key, after.key} & changed:
                raise AssignmentRefused(
                    tr(
                        "Nothing was changed: {vehicle} would drive blocks {block_id} and {block_id2} at the "
                        "same time.",
                        vehicle=after.vehicle,
                        block_id=before.block.block_id,
                        block_id2=after.block.block_id,
                    )
                )
        for duty in own:
            if duty.outage is not None and duty.key in changed:
                raise AssignmentRefused(
                    tr("Nothing was changed: {vehicle} is out of service then.", vehicle=duty.vehicle)
                )


def _write(
    duty: Duty,
    user: Any,
    now: datetime,
    reason: str,
    *,
    vehicle: Vehicle | None,
    fixed: bool,
    return_minute: int | None = None,
) -> None:
    made_by = user if isinstance(user, User) else None
    values: dict[str, Any] = {
        "vehicle": vehicle,
        "fixed": fixed,
        "open": vehicle is None,
        "reason": reason[:200],
        "made_by": made_by,
        "made_at": now,
    }
    if return_minute is not None:
        values["return_minute"] = return_minute
    Assignment.objects.update_or_create(block=duty.block, service_date=duty.service_date, defaults=values)


def _tell(depot: Depot, user: Any, verb: str, sentence: str | Sentence, changes: list[str]) -> None:
    event = audit.record(depot, user, verb, sentence, changes=changes)
    if "plan" in KINDS:
        asker = user if isinstance(user, User) else None
        enqueue(
            "plan", depot, f"assignment {event.pk}", {"trigger": tr("A dispatcher changed the day")}, asker
        )
