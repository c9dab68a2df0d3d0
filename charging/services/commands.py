"""The outbox: what chargers must be told. Gateways take it from the table; Redis only wakes them."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q

from charging.models import Charger, ChargerCommand, Connector, Plan
from depot import clock
from depot.words import tr

log = logging.getLogger(__name__)

CHANNEL = "depot:charger-commands"
LIFETIME = timedelta(minutes=10)
State = ChargerCommand.State
LONGEST_CALL = timedelta(minutes=2)
SAFE_TO_REPEAT = (
    "set_schedule", "set_default", "set_ceiling", "clear_profiles", "composite", "get_variables", "report",
    "transaction_status", "allow_energy_transfer", "set_dynamic", "set_local_frequency", "set_signal_curve",
    "setpoint", "priority_charging",
)  # fmt: skip
"""Actions that do the same when they come twice; others are never repeated by themselves."""
URGENT = ("remote_stop", "set_ceiling", "set_default", "unlock", "clear_profiles", "setpoint", "afrr_signal")
PATIENT = (
    "get_variables", "report", "get_log", "update_firmware", "local_list", "local_list_version", "composite",
    "get_profiles", "certificates", "transaction_status",
)  # fmt: skip
PRIORITIES = dict.fromkeys(URGENT, 0) | dict.fromkeys(PATIENT, 8)
USUAL_PRIORITY = 5
RETRY_AFTER = timedelta(seconds=10)
MOST_ATTEMPTS = 4
STILL_MEANT = (State.WAITING, State.SENT, State.ACCEPTED)


def send(
    charger: Charger,
    action: str,
    payload: dict[str, Any],
    *,
    connector: Connector | None = None,
    plan: Plan | None = None,
    coalesce: str = "",
    priority: int | None = None,
    lifetime: timedelta = LIFETIME,
) -> ChargerCommand:
    """Queue a command for a charger and wake its gateway.

    Commands with the same `coalesce` key that still wait are superseded. `lifetime` is wall time. Without a
    `priority` stops and limits come first and reports last.
    """
    now = clock.wall_now()
    with transaction.atomic(savepoint=False):
        if coalesce:
            _waiting(charger, coalesce).update(state=State.SUPERSEDED, answered_at=now)
        command = ChargerCommand.objects.create(
            charger=charger,
            connector=connector,
            plan=plan,
            action=action,
            payload=payload,
            coalesce=coalesce,
            priority=PRIORITIES.get(action, USUAL_PRIORITY) if priority is None else priority,
            created_at=now,
            expires_at=now + lifetime,
        )
        transaction.on_commit(wake)
    return command


def _waiting(charger: Charger, coalesce: str) -> Any:
    return ChargerCommand.objects.filter(charger=charger, coalesce=coalesce, state=State.WAITING)


def send_defaults(charger: Charger) -> None:
    """Queue the safe charging level of each connector: the charger's fallback power, shared among them."""
    connectors = list(charger.connectors.all())
    evse_ids = sorted({connector.evse_id for connector in connectors})
    for evse_id in evse_ids:
        send(
            charger,
            "set_default",
            {"evse_id": evse_id, "limit_kw": charger.fallback_share_kw},
            connector=next(one for one in connectors if one.evse_id == evse_id),
            coalesce=f"default:{evse_id}",
            priority=0,
        )


def send_again(charger: Charger, connector: Connector | None = None) -> None:
    """Queue each connector's newest schedule again while it is still valid: the charger may have lost it.

    With `connector` only that one's. One that still waits is queued anew too: a gateway may be taking it this
    moment, before the transaction began for which it is needed.
    """
    connectors = [connector] if connector is not None else list(charger.connectors.all())
    for one in connectors:
        schedules = ChargerCommand.objects.filter(charger=charger, connector=one, action="set_schedule")
        newest = schedules.order_by("-created_at").first()
        now = clock.wall_now()
        if newest is None or newest.state not in STILL_MEANT or newest.expires_at <= now:
            continue
        send(
            charger,
            newest.action,
            newest.payload,
            connector=one,
            plan=newest.plan,
            coalesce=newest.coalesce,
            priority=newest.priority,
            lifetime=newest.expires_at - now,
        )


def setpoint_now(charger: Charger, evse_id: int) -> float | None:
    """Return the power of the newest schedule that is still meant at this moment, in kW; None without one."""
    schedules = ChargerCommand.objects.filter(
        charger=charger, action="set_schedule", payload__evse_id=evse_id
    )
    newest = schedules.order_by("-created_at").first()
    if newest is None or newest.state not in STILL_MEANT or newest.expires_at <= clock.wall_now():
        return None
    start_at = datetime.fromisoformat(newest.payload["start_at"])
    step = int((clock.now() - start_at).total_seconds() // newest.payload["step_seconds"])
    powers = newest.payload["power_kw"]
    return float(powers[step]) if 0 <= step < len(powers) else None


def claim(charger_ids: Collection[int], owner: str) -> list[ChargerCommand]:
    """Take the next command of each of these chargers for `owner`, all or none; of two gateways only one gets it.

    A schedule of an older plan than the charger was told already is not taken but superseded.
    """
    now = clock.wall_now()
    waiting = ChargerCommand.objects.filter(state=State.WAITING)
    waiting.filter(expires_at__lte=now).update(state=State.EXPIRED, answered_at=now)
    first: dict[int, ChargerCommand] = {}
    due = Q(due_at__isnull=True) | Q(due_at__lte=now)
    rows = waiting.filter(due, charger__in=charger_ids).order_by("priority", "created_at")
    for command in rows.select_related("charger", "connector"):
        first.setdefault(command.charger_id, command)
    late = _outdated(first.values())
    waiting.filter(pk__in=late).update(state=State.SUPERSEDED, answered_at=now)
    wanted = sorted((one for one in first.values() if one.pk not in late), key=lambda one: one.pk)
    taken = {"state": State.SENT, "claimed_by": owner, "claimed_at": now, "attempts": F("attempts") + 1}
    with transaction.atomic():
        return [command for command in wanted if waiting.filter(pk=command.pk).update(**taken)]


def _outdated(commands: Collection[ChargerCommand]) -> set[Any]:
    """Return the ids of those whose plan is older than one that was sent for the same purpose.

    A charger is told its schedule again when a vehicle comes, out of what is stored at that moment: a newer plan may be
    stored, and even sent, before that word is.
    """
    keys = {command.coalesce for command in commands if command.plan_id is not None and command.coalesce}
    if not keys:
        return set()
    meant = ChargerCommand.objects.filter(
        charger__in={command.charger_id for command in commands}, coalesce__in=keys, state__in=STILL_MEANT
    )
    newest = dict(meant.values_list("coalesce").annotate(newest=Max("plan")).order_by())
    return {
        command.pk
        for command in commands
        if command.plan_id is not None and (newest.get(command.coalesce) or 0) > command.plan_id
    }


def settle(command: ChargerCommand, state: str, answer: dict[str, Any]) -> None:
    """Record what came of a command that was sent."""
    ChargerCommand.objects.filter(pk=command.pk, state=State.SENT).update(
        state=state, answer=answer, answered_at=clock.wall_now()
    )


def try_again(command: ChargerCommand, answer: dict[str, Any]) -> bool:
    """Let a command that was refused for a passing reason wait once more; tell whether it may.

    Only what is safe to repeat, a few times, with growing pauses, before it expires, and while nothing newer waits.
    """
    due_at = clock.wall_now() + RETRY_AFTER * 2**command.attempts
    newer = command.coalesce and _waiting(command.charger, command.coalesce).exists()
    may = command.action in SAFE_TO_REPEAT and command.attempts + 1 < MOST_ATTEMPTS
    if newer or not may or due_at >= command.expires_at:
        return False
    sent = ChargerCommand.objects.filter(pk=command.pk, state=State.SENT)
    return bool(sent.update(state=State.WAITING, due_at=due_at, answer=answer))


def give_back(command_ids: Collection[Any], reason: str) -> None:
    """Let commands that were sent without an answer wait again, unless they are over or a newer one is there."""
    now = clock.wall_now()
    for command in ChargerCommand.objects.filter(pk__in=command_ids, state=State.SENT):
        newer = ChargerCommand.objects.filter(
            charger=command.charger_id, coalesce=command.coalesce, created_at__gt=command.created_at
        )
        if command.expires_at <= now or command.action not in SAFE_TO_REPEAT:
            settle(command, State.FAILED, {"error": reason})
        elif command.coalesce and newer.exists():
            settle(command, State.SUPERSEDED, {"error": reason})
        else:
            ChargerCommand.objects.filter(pk=command.pk, state=State.SENT).update(state=State.WAITING)


def give_back_of(charger_id: int, reason: str) -> None:
    """Give back what was sent to a charger over a link that is gone: nobody waits for its answer any more."""
    lost = ChargerCommand.objects.filter(state=State.SENT, charger=charger_id)
    give_back(list(lost.values_list("pk", flat=True)), reason)


def give_back_lost() -> None:
    """Give back what a gateway took and then died of."""
    lost = ChargerCommand.objects.filter(state=State.SENT, claimed_at__lt=clock.wall_now() - LONGEST_CALL)
    give_back(list(lost.values_list("pk", flat=True)), tr("The gateway ended before the charger answered."))


def give_back_undelivered(owner: str, delivering: Collection[Any]) -> None:
    """Give back what was taken for a gateway that never heard so: its database went away in between."""
    taken = ChargerCommand.objects.filter(state=State.SENT, claimed_by=owner).exclude(pk__in=delivering)
    give_back(
        list(taken.values_list("pk", flat=True)),
        tr("The gateway lost the command when its database went away."),
    )


def wake() -> None:
    """Tell the gateways that something waits. They look every second anyway."""
    if not settings.REDIS_URL:
        return
    try:
        _redis(settings.REDIS_URL).publish(CHANNEL, "")
    except redis.RedisError as error:
        log.warning("Redis did not take the wake-up (%s); gateways look every second", error)


@lru_cache(maxsize=4)
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
