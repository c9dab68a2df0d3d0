"""Take commands from the table, say them in the charger's protocol, and record the answers."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

import redis.asyncio
from django.conf import settings
from django.db import InterfaceError, OperationalError

from charging.models import Charger, ChargerCommand, ChargingSession, Dialect
from charging.ocpp import profiles, wording
from charging.ocpp.database import Database
from charging.ocpp.frames import Fault
from charging.ocpp.link import Link, LinkLostError, RefusedError
from charging.ocpp.masking import masked
from charging.ocpp.profiles_v2x import STEERED, steered_messages
from charging.ocpp.wording import Context
from charging.services import answers, commands, credentials
from charging.services.dialects import dialects_of
from depot import clock

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
GIVE_BACK_EVERY_S = 30.0
PASSING = ("InternalError", "GenericError", "ProtocolError")
"""Errors that say something about the station's moment, not about what it was asked."""
MAY_DISCHARGE = ("setpoint_kw", "discharge_limit_kw")
State = ChargerCommand.State
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed command, the transaction at its connector ("" = none), the vehicle there (None = not known), and
    how its station wants to be spoken to (None = as the standard says).
    """

    command: ChargerCommand
    transaction_id: str = ""
    vehicle_id: int | None = None
    dialect: Dialect | None = None

    @property
    def pause_s(self) -> float:
        """Return how long the station wants to be left alone after a call, in seconds."""
        return self.dialect.pause_s if self.dialect is not None else 0.0


class Outbox:
    """Looks for commands of the chargers that are linked here, once a second and when woken."""

    def __init__(self, database: Database, links: Mapping[str, Link]) -> None:
        self._database = database
        self._links = links
        self._owner = f"{socket.gethostname()[:40]}:{os.getpid()}"
        self._wake = asyncio.Event()
        self._errands: dict[asyncio.Task[None], Any] = {}
        """Deliveries that run, and the ids of their commands."""
        self._in_doubt = False
        """Something went wrong between this gateway and the database: it may have commands that nobody delivers."""

    async def run(self) -> None:
        """Deliver commands until cancelled."""
        while True:
            try:
                while await self._deliver_next():
                    pass
            except Exception:
                self._in_doubt = True
                log.exception("commands could not be read; trying again")
            await self._pause()

    async def tidy(self) -> None:
        """Give back what a gateway took and died of, again and again, until cancelled."""
        while True:
            try:
                await self._database.run(commands.give_back_lost)
            except Exception:
                log.exception("lost commands could not be given back; trying again")
            await asyncio.sleep(GIVE_BACK_EVERY_S)

    async def listen(self) -> None:
        """Let Redis wake the outbox, until cancelled; while Redis is away the table is read every second."""
        while True:
            try:
                async with redis.asyncio.Redis.from_url(settings.REDIS_URL).pubsub() as channel:
                    await channel.subscribe(commands.CHANNEL)
                    async for _ in channel.listen():
                        self._wake.set()
            except (redis.RedisError, OSError) as error:
                log.warning("Redis does not wake this gateway (%s); it looks every second", error)
                await asyncio.sleep(5.0)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _deliver_next(self) -> bool:
        """Start delivering one command to each charger that is free; tell whether there was any."""
        if self._in_doubt:
            await self._database.run(commands.give_back_undelivered, self._owner, set(self._errands.values()))
            self._in_doubt = False
        now = asyncio.get_running_loop().time()
        free = {
            link.charger_id: link
            for link in self._links.values()
            if link.ready.is_set() and not link.busy and link.free_at <= now
        }
        if not free:
            return False
        errands = await self._database.run(claim, list(free), self._owner)
        for errand in errands:
            task = asyncio.create_task(self._deliver(free[errand.command.charger_id], errand))
            self._errands[task] = errand.command.pk
            task.add_done_callback(self._delivered)
        await asyncio.sleep(0)  # let each take its link's turn before the next look
        return bool(errands)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        del self._errands[task]
        if not task.cancelled() and (error := task.exception()):
            self._in_doubt = True
            log.error("a command could not be delivered", exc_info=error)

    async def _write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write what came of a command; while the database is away, again and again: its charger is not asked twice."""
        while True:
            try:
                return await self._database.run(work, *args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                log.warning("what came of a command could not be written (%s); trying again", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _deliver(self, link: Link, errand: Errand) -> None:
        command = errand.command
        try:
            if command.action == "new_password":
                state, answer = await self._renew_password(link, errand)
            else:
                state, answer = await _say(link, errand)
        except LinkLostError as error:
            await self._write(commands.give_back, [command.pk], str(error))
        except (Fault, ValueError, KeyError, TypeError) as error:
            log.error("command %s cannot be said in OCPP %s: %s", command.pk, link.version, error)
            words = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            await self._write(commands.settle, command, State.FAILED, {"error": words})
        else:
            await self._write(_settle, errand, state, answer)
        link.free_at = asyncio.get_running_loop().time() + errand.pause_s
        self._wake.set()

    async def _renew_password(self, link: Link, errand: Errand) -> tuple[str, dict[str, Any]]:
        """Give a station a new password that nobody has seen; until it is used both the old and the new one count."""
        charger = errand.command.charger
        raw = await self._database.run(credentials.prepare_password, charger)
        context = Context(link.version, clock.now(), 1)
        said = wording.messages(
            "set_variables", {"values": credentials.password_variable(link.version, raw)}, context
        )
        state, answer = await _say_all(link, said)
        if state != State.ACCEPTED:
            await self._write(credentials.drop_password, charger)
        return state, answer


def _settle(errand: Errand, state: str, answer: dict[str, Any]) -> None:
    """Record what came of a command, learn from the answers, and try again what was refused in passing."""
    command = errand.command
    if state == State.FAILED and _is_passing(answer) and commands.try_again(command, answer):
        return
    commands.settle(command, state, answer)
    answers.learn(command, state, answer["answers"])


def _is_passing(answer: dict[str, Any]) -> bool:
    """Tell whether a refusal may be over soon: an error inside the station, not a no."""
    return answer["answers"][-1].get("error") in PASSING


async def _say(link: Link, errand: Errand) -> tuple[str, dict[str, Any]]:
    """Say a command and return the state it comes to, with the charger's answers."""
    return await _say_all(link, messages(errand, link.version))


async def _say_all(link: Link, said: list[profiles.Message]) -> tuple[str, dict[str, Any]]:
    """Say calls until one is refused; return the state they come to, with the answers."""
    heard: list[dict[str, Any]] = []
    for action, payload in said:
        try:
            answer, broken = await link.call(action, payload)
        except RefusedError as error:
            heard.append({"action": action, "error": error.code, "description": error.description})
            return State.FAILED, {"answers": heard}
        heard.append({"action": action, **masked(answer)})
        if wording.is_unclear(action, answer, broken):
            return State.FAILED, {
                "answers": heard,
                "error": "The answer breaks its schema: the outcome is not known.",
            }
        if not wording.is_yes(action, answer):
            return State.REJECTED, {"answers": heard}
    return State.ACCEPTED, {"answers": heard}


def claim(charger_ids: list[int], owner: str) -> list[Errand]:
    """Take the next command of each charger, with what it needs: transaction, vehicle, dialect."""
    taken = commands.claim(charger_ids, owner)
    if not taken:
        return []
    sessions = ChargingSession.objects.filter(
        connector__charger__in=[command.charger_id for command in taken], unplugged_at__isnull=True
    ).values_list("connector__charger", "connector__evse_id", "transaction_id", "vehicle")
    running = {(charger_id, evse_id): (number, vehicle) for charger_id, evse_id, number, vehicle in sessions}
    dialects = dialects_of([command.charger for command in taken])
    errands = []
    for command in taken:
        number, vehicle_id = running.get((command.charger_id, command.payload.get("evse_id")), ("", None))
        errands.append(Errand(command, number, vehicle_id, dialects.get(command.charger_id)))
    return errands


def messages(errand: Errand, version: str) -> list[profiles.Message]:
    """Return the calls that carry a command in a protocol version.

    A schedule or set-point discharges only the vehicle it was meant for; another one at the connector may not allow it.
    """
    command, payload = errand.command, errand.command.payload
    capability = capability_of(command.charger, errand.dialect)
    known = errand.vehicle_id is not None and errand.vehicle_id == payload.get("vehicle_id")
    if command.action in STEERED:
        transaction_id = errand.transaction_id if known else ""
        return steered_messages(command.action, version, payload, capability, transaction_id, clock.now())
    if command.action == "setpoint" and not known:
        payload = payload | {name: max(payload[name], 0.0) for name in MAY_DISCHARGE if name in payload}
    if command.action != "set_schedule":
        number = command.pk.int % 2**31
        context = Context(version, clock.now(), number, errand.transaction_id, capability.manner)
        return wording.messages(command.action, payload, context)
    powers = payload["power_kw"]
    if not known:
        powers = [max(power, 0.0) for power in powers]
    schedule = profiles.Schedule(
        evse_id=payload["evse_id"],
        start_at=datetime.fromisoformat(payload["start_at"]),
        step_seconds=payload["step_seconds"],
        power_kw=powers,
        max_offline_s=payload["max_offline_s"],
        offline_kw=payload.get("offline_kw"),
    )
    return profiles.schedule_messages(version, schedule, capability, errand.transaction_id or None)


def capability_of(charger: Charger, dialect: Dialect | None = None) -> profiles.Capability:
    """Return what a charger may be told to do; discharge needs a bidirectional charger with ISO 15118-20."""
    discharges = charger.bidirectional and charger.iso15118_20
    negative = charger.negative_limits or (dialect is not None and dialect.negative_limits)
    return profiles.Capability(
        max_charge_kw=charger.max_charge_kw,
        max_discharge_kw=charger.max_discharge_kw if discharges else 0.0,
        negative_limits=discharges and negative,
        manner=_manner(dialect),
    )


def _manner(dialect: Dialect | None) -> profiles.Manner:
    if dialect is None:
        return profiles.Manner()
    return profiles.Manner(
        unit=dialect.rate_unit,
        phases=dialect.phases,
        voltage=dialect.voltage,
        max_periods=dialect.max_periods,
        whole_numbers=dialect.whole_numbers,
        tx_profiles=dialect.tx_profiles,
        setpoint_bounds=dialect.setpoint_bounds,
    )
