"""The gateway: chargers log in here, are heard here, and are told here what to do."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import DatabaseError
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from charging.models import Charger
from charging.ocpp import v16, v21, v201
from charging.ocpp.database import Database
from charging.ocpp.doorman import Doorman, visitor
from charging.ocpp.events import Outcome
from charging.ocpp.frames import Fault
from charging.ocpp.inbox import Inbox
from charging.ocpp.link import Link
from charging.ocpp.outbox import Outbox
from charging.ocpp.schemas import check_request
from charging.services import stations
from depot import clock

log = logging.getLogger(__name__)

HANDLERS = {"2.1": v21.HANDLERS, "2.0.1": v201.HANDLERS, "1.6": v16.HANDLERS}
SUBPROTOCOLS = {f"ocpp{version}": version for version in HANDLERS}
"""In the order in which they are preferred."""
LARGEST_FRAME = 64 * 1024
HANDSHAKE_S = 60.0
SETTLE_S = 2.0
LIFE_SIGN_S = 10.0
END_AGAIN_S = 3.0


class Gateway:
    """Serves chargers on one port until `stop` is called."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._database = Database()
        by_certificate = tls is not None and tls.verify_mode == ssl.CERT_REQUIRED
        self._doorman = Doorman(by_certificate=by_certificate)
        self._inbox = Inbox(self._database)
        self._links: dict[str, Link] = {}
        self._outbox = Outbox(self._database, self._links)
        self._doors: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._guests: WeakKeyDictionary[ServerConnection, Charger] = WeakKeyDictionary()
        self._stop = asyncio.Event()
        self.started = asyncio.Event()
        self.port = port

    def stop(self) -> None:
        """Let `run` end: links are closed, and what came in is committed first."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until stopped; raises what ends one of its parts, so that nobody keeps half a gateway."""
        work = [self._inbox.run(), self._outbox.run(), self._outbox.tidy(), self._show_life()]
        if settings.REDIS_URL:
            work.append(self._outbox.listen())
        tasks = [asyncio.create_task(one) for one in work]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            async with self._serve() as server:
                self.port = next(iter(server.sockets)).getsockname()[1]
                log.info("chargers may log in at port %d", self.port)
                self.started.set()
                await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end({stopping, *tasks})
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            self._database.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _serve(self) -> Any:
        return serve(
            self._meet,
            self._host,
            self._port,
            ssl=self._tls,
            process_request=self._check,
            select_subprotocol=_choose,
            max_size=LARGEST_FRAME,
            open_timeout=HANDSHAKE_S,
            compression=None,
            server_header=None,
        )

    async def _check(self, socket: ServerConnection, request: Request) -> Response | None:
        """Let a charger with its credential through; everybody else gets one and the same answer."""
        tls = socket.transport.get_extra_info("ssl_object")
        guest = visitor(
            request.path,
            request.headers.get("Authorization"),
            tls.getpeercert() if tls is not None else None,
            str((socket.remote_address or ("",))[0]),
        )
        charger = await self._database.run(self._doorman.admit, guest)
        if charger is None:
            log.warning("refused a log-in as %.60r from %s", guest.identity, guest.address)
            return _unauthorized()
        self._guests[socket] = charger
        return None

    async def _meet(self, socket: ServerConnection) -> None:
        """Serve one charger from log-in to the end of its link."""
        charger = self._guests.pop(socket)
        if socket.subprotocol is None:
            await socket.close(1002, "no common OCPP version")
            return
        link = await self._let_in(socket, charger, socket.subprotocol)
        if link is None:
            await socket.close(1008, "this charger is connected already")
            return
        settling = asyncio.create_task(self._settle(link, charger))
        try:
            await link.run()
        finally:
            settling.cancel()
            if self._links.get(charger.identity) is link:
                del self._links[charger.identity]
            await self._database.run(stations.disconnect, charger.pk, link.connection)
            log.info("charger %s left (%s)", charger.identity, socket.close_code)

    async def _let_in(self, socket: ServerConnection, charger: Charger, protocol: str) -> Link | None:
        """Make the link, unless the charger has one that is alive; a dead one makes room."""
        async with self._doors[charger.identity]:
            old = self._links.get(charger.identity)
            if old is not None:
                if await old.alive():
                    log.warning("a second log-in of charger %s was refused", charger.identity)
                    return None
                await old.close(1001, "replaced: this link was dead")
            connection = await self._database.run(stations.connect, charger.pk, protocol)
            link = Link(socket, charger.pk, SUBPROTOCOLS[protocol], connection, self._handle)
            self._links[charger.identity] = link
            log.info("charger %s is here with %s", charger.identity, protocol)
            return link

    async def _settle(self, link: Link, charger: Charger) -> None:
        """Tell a charger that has come back without a boot what it must know, once it has settled."""
        await asyncio.sleep(SETTLE_S)
        while charger.booted_at is not None and not link.ready.is_set():
            try:
                await self._database.run(stations.instruct, charger)
                link.ready.set()
            except DatabaseError as error:
                log.warning("charger %s cannot be instructed yet: %s", charger.identity, error)
                await asyncio.sleep(SETTLE_S)

    async def _handle(self, link: Link, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer a call, after what it says is in the database."""
        handler = HANDLERS[link.version].get(action)
        if handler is None:
            raise Fault("NotImplemented", f"{action!r:.60} is not done here.")
        check_request(link.version, action, payload)
        event = handler.event(payload)
        outcome = Outcome() if event is None else await self._inbox.put(link.charger_id, event)
        return handler.answer(payload, outcome, clock.now())

    async def _show_life(self) -> None:
        """Note every few seconds which links live, and end those that a newer link has replaced."""
        while True:
            links = {link.charger_id: link for link in self._links.values()}
            numbers = {charger_id: link.connection for charger_id, link in links.items()}
            try:
                for charger_id in await self._database.run(stations.keep_alive, numbers):
                    await links[charger_id].close(1001, "this charger is connected elsewhere")
            except Exception:
                log.exception("life signs could not be written; trying again")
            await asyncio.sleep(LIFE_SIGN_S)


def _choose(socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((Subprotocol(name) for name in SUBPROTOCOLS if name in offered), None)


def _unauthorized() -> Response:
    headers = Headers(
        {"WWW-Authenticate": 'Basic realm="OCPP"', "Content-Length": "0", "Connection": "close"}
    )
    return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", headers)


def tls_context(certificate: str, key: str, client_ca: str = "") -> ssl.SSLContext:
    """Return the context for security profile 2, or 3 when `client_ca` says who signs chargers' certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key or None)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended: a library that is just connecting may take a cancellation for a time-out."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=END_AGAIN_S)
