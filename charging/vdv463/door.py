"""Let presystems in, hear their charging requests, and tell them every few seconds how charging goes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from django.db import DatabaseError
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from charging.selectors.presystem import charging_information, points
from depot import clock
from depot.access.keys import KeyUser, find_key
from depot.models import ApiKey, Scope
from fleet.formats import vdv463
from fleet.formats.vdv463 import Message, MessageError
from fleet.services.charging_requests import Taken, take_in

log = logging.getLogger(__name__)

PATH = "/vdv463/"
INFORM_S = 15.0
LARGEST_MESSAGE = 4 * 1024 * 1024
MOST_LINKS = 8
"""Of one key at the same time."""
T = TypeVar("T")


class Worker(Protocol):
    """Runs work that waits for the database outside the event loop."""

    async def run(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T: ...


@dataclass(frozen=True, slots=True)
class Guest:
    """A presystem that has shown its key. The key is kept so that its end counts while the link lives."""

    raw_key: str
    key: ApiKey


class Presystems:
    """Serves the presystems of all depots on the gateway's port."""

    def __init__(self, database: Worker, doors: Worker) -> None:
        self._database, self._doors = database, doors
        self._guests: WeakKeyDictionary[ServerConnection, Guest] = WeakKeyDictionary()

    def __contains__(self, socket: ServerConnection) -> bool:
        return socket in self._guests

    @staticmethod
    def meant(path: str) -> bool:
        """Tell whether a request is for this door."""
        return path.startswith(PATH)

    @staticmethod
    def choose(offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return Subprotocol(vdv463.SUBPROTOCOL) if vdv463.SUBPROTOCOL in offered else None

    async def check(self, socket: ServerConnection, request: Request) -> Response | None:
        """Let a program with a key of the depot in the address through; others get one and the same answer."""
        slug = unquote(request.path.split("?", 1)[0].removeprefix(PATH).removesuffix("/"))
        raw = key_in(request.headers.get("Authorization"))
        key = await self._doors.run(find_key, raw) if raw else None
        fits = key is not None and key.depot.slug == slug and {Scope.SCHEDULES, Scope.READ} <= set(key.scopes)
        links = sum(guest.key.pk == key.pk for guest in self._guests.values()) if key is not None else 0
        if key is None or not fits or links >= MOST_LINKS:
            log.warning("refused a presystem at %.60r", slug)
            headers = {
                "WWW-Authenticate": 'Basic realm="VDV 463"',
                "Content-Length": "0",
                "Connection": "close",
            }
            return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", Headers(headers))
        socket.protocol.max_message_size = LARGEST_MESSAGE  # a complete list is larger than a charger's frame
        self._guests[socket] = Guest(raw, key)
        return None

    async def meet(self, socket: ServerConnection) -> None:
        """Serve one presystem until its link ends."""
        guest = self._guests[socket]
        try:
            if socket.subprotocol != vdv463.SUBPROTOCOL:
                await socket.close(1002, f"the subprotocol must be {vdv463.SUBPROTOCOL}")
                return
            log.info("a presystem of %s is here (%s)", guest.key.depot, guest.key.name)
            await _Link(socket, guest, self._database).run()
        finally:
            self._guests.pop(socket, None)


class _Link:
    """One presystem's link. What it is told goes to the presystem id that it last gave."""

    def __init__(self, socket: ServerConnection, guest: Guest, database: Worker) -> None:
        self._socket, self._guest, self._database = socket, guest, database
        self._presystem = ""
        self._known = asyncio.Event()

    async def run(self) -> None:
        informing = asyncio.create_task(self._inform())
        try:
            async for frame in self._socket:
                if not isinstance(frame, str):
                    await self._socket.close(1003, "messages are text")
                    return
                answer = await self._hear(frame)
                if answer is not None:
                    await self._socket.send(vdv463.write_message(answer))
        except ConnectionClosed:
            log.info("the link of a presystem of %s broke", self._guest.key.depot)
        finally:
            informing.cancel()
            with suppress(asyncio.CancelledError):
                await informing

    async def _hear(self, frame: str) -> Message | None:
        """Return the answer to a message; a confirmation gets none."""
        message = Message(
            vdv463.REQUEST, "", self._presystem, clock.now(), str(uuid.uuid4()), "BootNotification", {}
        )
        try:
            message = vdv463.read_message(frame)
            if message.type != vdv463.REQUEST:
                if message.type == vdv463.ERROR:
                    log.warning("a presystem answered an error: %.200r", message.payload.get("errorMessage"))
                return None
            payload = await self._answer(message)
        except MessageError as error:
            return message.error(str(error), clock.now())
        except DatabaseError:
            log.exception("a presystem's message could not be kept")
            return message.error("The database is away. Send it again in a moment.", clock.now())
        self._presystem = message.presystem
        self._known.set()
        return message.confirmation(payload, clock.now())

    async def _answer(self, message: Message) -> Mapping[str, Any]:
        if not await self._database.run(find_key, self._guest.raw_key):
            await self._socket.close(1008, "the key has ended")
            return {}
        if message.action == "BootNotification":
            vdv463.read_boot(message.payload)
            return {"status": "Accepted"}
        if message.action == "ProvideChargingRequests":
            taken = await self._database.run(take_requests, self._guest.key, message)
            log.info(
                "%s: %d charging requests stand, %d are rejected",
                self._guest.key.depot,
                taken.accepted,
                len(taken.rejected),
            )
            return {}
        raise MessageError("ProvideChargingInformation comes from this side.")

    async def _inform(self) -> None:
        """Tell the state of charging every few seconds, once it is known whom."""
        await self._known.wait()
        while True:
            try:
                payload = await self._database.run(told, self._guest, self._presystem)
            except DatabaseError as error:
                log.warning("a presystem cannot be informed now: %s", error)
            else:
                if payload is None:
                    await self._socket.close(1008, "the key has ended")
                    return
                await self._send(payload)
            await asyncio.sleep(INFORM_S)

    async def _send(self, payload: Mapping[str, Any]) -> None:
        message = Message(
            vdv463.REQUEST,
            vdv463.OURSELVES,
            self._presystem,
            clock.now(),
            str(uuid.uuid4()),
            "ProvideChargingInformation",
            payload,
        )
        with suppress(ConnectionClosed):  # the reader ends with it
            await self._socket.send(vdv463.write_message(message))


def key_in(authorization: str | None) -> str:
    """Return the API key in a header: as bearer, or as the password of a basic log-in; "" without one."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        _, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password


def take_requests(key: ApiKey, message: Message) -> Taken:
    """Keep a presystem's list for the depot of its key."""
    known = points(key.depot)
    return take_in(key.depot, message.presystem, message.payload, known, KeyUser(key), clock.now())


def told(guest: Guest, presystem: str) -> dict[str, Any] | None:
    """Return what a presystem is told now, or None when its key has ended."""
    if find_key(guest.raw_key) is None:
        return None
    return charging_information(guest.key.depot, presystem, clock.now())
