"""Take commands from the table, say them in the charger's protocol, and record the answers."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis.asyncio
from django.conf import settings

from charging.models import Charger, ChargerCommand, ChargingSession
from charging.ocpp import profiles
from charging.ocpp.database import Database
from charging.ocpp.frames import Fault
from charging.ocpp.link import Link, LinkLostError, RefusedError
from charging.services import commands

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
GIVE_BACK_EVERY_S = 30.0
State = ChargerCommand.State


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed command, the transaction at its connector ("" = none), and the vehicle there (None = not known)."""

    command: ChargerCommand
    transaction_id: str = ""
    vehicle_id: int | None = None


class Outbox:
    """Looks for commands of the chargers that are linked here, once a second and when woken."""

    def __init__(self, database: Database, links: Mapping[str, Link]) -> None:
        self._database = database
        self._links = links
        self._owner = f"{socket.gethostname()[:40]}:{os.getpid()}"
        self._wake = asyncio.Event()
        self._errands: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver commands until cancelled."""
        while True:
            try:
                while await self._deliver_next():
                    pass
            except Exception:
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
        free = {
            link.charger_id: link for link in self._links.values() if link.ready.is_set() and not link.busy
        }
        if not free:
            return False
        errands = await self._database.run(claim, list(free), self._owner)
        for errand in errands:
            task = asyncio.create_task(self._deliver(free[errand.command.charger_id], errand))
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)
        await asyncio.sleep(0)  # let each take its link's turn before the next look
        return bool(errands)

    async def _deliver(self, link: Link, errand: Errand) -> None:
        command = errand.command
        try:
            state, answer = await _say(link, errand)
        except LinkLostError as error:
            await self._database.run(commands.give_back, [command.pk], str(error))
        except (Fault, ValueError, KeyError) as error:
            log.error("command %s cannot be said in OCPP %s: %s", command.pk, link.version, error)
            await self._database.run(commands.settle, command, State.FAILED, {"error": str(error)})
        else:
            await self._database.run(commands.settle, command, state, answer)
        self._wake.set()


async def _say(link: Link, errand: Errand) -> tuple[str, dict[str, Any]]:
    """Say a command and return the state it comes to, with the charger's answers."""
    answers = []
    for action, payload in messages(errand, link.version):
        try:
            answer = await link.call(action, payload)
        except RefusedError as error:
            answers.append({"action": action, "error": error.code, "description": error.description})
            return State.FAILED, {"answers": answers}
        answers.append({"action": action, **answer})
        taken = answer.get("status") == "Accepted" or action == "ClearChargingProfile"
        if not taken:
            return State.REJECTED, {"answers": answers}
    return State.ACCEPTED, {"answers": answers}


def claim(charger_ids: list[int], owner: str) -> list[Errand]:
    """Take the next command of each charger, with the transaction that runs at its connector."""
    taken = commands.claim(charger_ids, owner)
    sessions = ChargingSession.objects.filter(
        connector__charger__in=[command.charger_id for command in taken], unplugged_at__isnull=True
    ).values_list("connector__charger", "connector__evse_id", "transaction_id", "vehicle")
    running = {(charger_id, evse_id): here for charger_id, evse_id, *here in sessions}
    return [
        Errand(command, *running.get((command.charger_id, command.payload.get("evse_id")), ()))
        for command in taken
    ]


def messages(errand: Errand, version: str) -> list[profiles.Message]:
    """Return the calls that carry a command in a protocol version.

    A schedule discharges only the vehicle it was planned for; another one at the connector may not allow it.
    """
    command, payload = errand.command, errand.command.payload
    if command.action == "set_default":
        return [profiles.default_message(version, payload["evse_id"], payload["limit_kw"])]
    if command.action == "set_schedule":
        powers = payload["power_kw"]
        if errand.vehicle_id is None or errand.vehicle_id != payload.get("vehicle_id"):
            powers = [max(power, 0.0) for power in powers]
        schedule = profiles.Schedule(
            evse_id=payload["evse_id"],
            start_at=datetime.fromisoformat(payload["start_at"]),
            step_seconds=payload["step_seconds"],
            power_kw=powers,
            max_offline_s=payload["max_offline_s"],
        )
        capability = capability_of(command.charger)
        return profiles.schedule_messages(version, schedule, capability, errand.transaction_id or None)
    raise ValueError(f"This gateway knows no action {command.action!r}; known: set_schedule, set_default.")


def capability_of(charger: Charger) -> profiles.Capability:
    """Return what a charger may be told to do; discharge needs a bidirectional charger with ISO 15118-20."""
    discharges = charger.bidirectional and charger.iso15118_20
    return profiles.Capability(
        max_charge_kw=charger.max_charge_kw,
        max_discharge_kw=charger.max_discharge_kw if discharges else 0.0,
        negative_limits=discharges and charger.negative_limits,
    )
