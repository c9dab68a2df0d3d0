"""The gateway: chargers log in here, are heard here, and are told here what to do."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from django.conf import settings
from django.db import DatabaseError
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from charging.authority import fingerprint_of
from charging.models import Charger
from charging.ocpp import v21
from charging.ocpp.caps import Caps, most_sockets
from charging.ocpp.database import Database
from charging.ocpp.doorman import Doorman, note, visitor
from charging.ocpp.events import Event, Handler, Noticed, Outcome
from charging.ocpp.frames import Fault
from charging.ocpp.inbox import Inbox, Said
from charging.ocpp.journal import HANDLERS, Entry, Journal
from charging.ocpp.link import Answers, Link
from charging.ocpp.outbox import Outbox
from charging.ocpp.schemas import check_response, is_known, send_schema
from charging.ocpp.tolerance import mended
from charging.services import guarding, relinking, stations
from charging.vdv463.door import Presystems
from depot import clock
from depot.models import Depot
from depot.words import later

log = logging.getLogger(__name__)

SUBPROTOCOLS = {f"ocpp{version}": version for version in HANDLERS}
"""In the order in which they are preferred."""
LARGEST_FRAME = 64 * 1024
HANDSHAKE_S, TLS_S = 60.0, 30.0
AT_DOOR, MOST_HELD = 2, 100
SETTLE_S = 2.0
LIFE_SIGN_S = 5.0
END_AGAIN_S = 3.0
MISS_EVERY_S = 1.0
"""The depots that chargers have left are looked at together so often, however many leave at once."""
SLICE, MOST_SLICES, SLICE_PAUSE_S = 25, 20, 0.2
"""At its end the gateway closes so many links at once, more where there would be more slices than that."""


class Gateway:
    """Serves chargers on one port until `stop` is called."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, *, own_authority: bool = False
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._database = Database()
        by_certificate = tls is not None and tls.verify_mode == ssl.CERT_REQUIRED
        self._doorman = Doorman(by_certificate=by_certificate, own_authority=own_authority)
        journal = Journal(Path(settings.VAR_DIR) / "ocpp" / f"journal-{port}.jsonl")
        # Who knocks without a credential must not keep waiting what chargers say, nor commands, nor life signs.
        self._doors_database, self._words_database, self._commands_database = (
            Database(2),
            Database(2),
            Database(2),
        )
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """Log-ins of one address that are looked up at once; the others of that address wait for them."""
        self._notes: set[asyncio.Task[None]] = set()
        self._left: set[int] = set()
        """The depots that chargers have left since the last look at who is missed."""
        self._held = 0
        self._caps = Caps(most_sockets())
        self._inbox = Inbox(self._words_database, journal)
        self._links: dict[str, Link] = {}
        self._memory: dict[int, Answers] = {}
        """The last answers to each charger: one that calls again after a reconnect gets the same one."""
        self._outbox = Outbox(self._commands_database, self._links)
        self._doors: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._guests: WeakKeyDictionary[ServerConnection, Charger] = WeakKeyDictionary()
        self._presystems = Presystems(self._database, self._doors_database)
        self._stop = asyncio.Event()
        self.started = asyncio.Event()
        self.port = port

    def stop(self) -> None:
        """Let `run` end: links are closed, and what came in is committed first."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until stopped; raises what ends one of its parts, so that nobody keeps half a gateway."""
        work = [
            self._inbox.run(),
            self._inbox.catch_up(),
            self._outbox.run(),
            self._outbox.tidy(),
            self._show_life(),
            self._miss(),
            self._guard(),
        ]
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
                server.server.close()  # who knocks now is served by another gateway, or after the restart
                await self._drain()
        finally:
            await _end({stopping, *tasks})
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*self._notes, return_exceptions=True)
            databases = (self._doors_database, self._words_database, self._commands_database, self._database)
            for database in databases:
                database.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _drain(self) -> None:
        """Say good-bye to chargers slice by slice, lest all come back in the same moment."""
        links = list(self._links.values())
        size = max(SLICE, math.ceil(len(links) / MOST_SLICES))
        for start in range(0, len(links), size):
            if start:
                await asyncio.sleep(SLICE_PAUSE_S)
            await asyncio.gather(*(link.close(1012, "restart") for link in links[start : start + size]))

    def _serve(self) -> Any:
        return serve(
            self._meet,
            self._host,
            self._port,
            ssl=self._tls,
            process_request=self._check,
            select_subprotocol=self._choose,
            max_size=LARGEST_FRAME,
            open_timeout=HANDSHAKE_S,
            compression=None,
            server_header=None,
            create_connection=self._caps.connection,  # type: ignore[arg-type]
            ssl_handshake_timeout=TLS_S if self._tls is not None else None,
        )

    async def _check(self, socket: ServerConnection, request: Request) -> Response | None:
        """Let a charger with its credential through; everybody else gets one and the same answer."""
        address = str((socket.remote_address or ("",))[0])
        turn = self._turns.setdefault(address, asyncio.Semaphore(AT_DOOR))
        if Presystems.meant(request.path):
            async with turn:
                return await self._presystems.check(socket, request)
        tls = socket.transport.get_extra_info("ssl_object")
        guest = visitor(
            request.path,
            request.headers.get("Authorization"),
            tls.getpeercert() if tls is not None else None,
            address,
            ", ".join(request.headers.get_all("Sec-WebSocket-Protocol")),
            _fingerprint(tls),
        )
        async with turn:
            charger = await self._doors_database.run(self._doorman.admit, guest)
        if charger is None:
            log.warning("refused a log-in as %.60r from %s", guest.identity, guest.address)
            if self._doorman.may_note(guest):
                self._notes.add(noting := asyncio.create_task(self._doors_database.run(note, guest)))
                noting.add_done_callback(self._notes.discard)
            await self._hold_back(self._doorman.pause_s(guest))
            return _unauthorized()
        self._guests[socket] = charger
        return None

    def _choose(self, socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        if socket in self._presystems:
            return self._presystems.choose(offered)
        return next((Subprotocol(name) for name in SUBPROTOCOLS if name in offered), None)

    async def _hold_back(self, seconds: float) -> None:
        """Let a refused visitor wait; a few at once, so that waiting ones never use up the gateway's sockets."""
        if self._held < MOST_HELD:
            self._held += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                self._held -= 1

    async def _meet(self, socket: ServerConnection) -> None:
        """Serve one charger from log-in to the end of its link."""
        if socket in self._presystems:
            await self._presystems.meet(socket)
            return
        charger = self._guests.pop(socket)
        self._caps.known(socket)
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
            self._left.add(charger.depot_id)
            log.info("charger %s left (%s)", charger.identity, socket.close_code)

    async def _let_in(self, socket: ServerConnection, charger: Charger, protocol: str) -> Link | None:
        """Make the link, unless the charger has one that is alive; a dead one makes room."""
        async with self._doors[charger.identity]:
            old = self._links.get(charger.identity)
            if old is not None:
                if await old.alive():
                    log.warning("a second log-in of charger %s was refused", charger.identity)
                    await self._note_second(old, socket)
                    return None
                await old.close(1001, "replaced: this link was dead")
            connection = await self._database.run(stations.connect, charger.pk, protocol)
            link = Link(socket, charger.pk, SUBPROTOCOLS[protocol], connection, self._handle, self._heed)
            link.admission = charger.admission
            link.certificate = _fingerprint(socket.transport.get_extra_info("ssl_object"))
            link.credential = "" if link.certificate else charger.password_hash
            link.answers = self._memory.setdefault(charger.pk, link.answers)
            self._links[charger.identity] = link
            log.info("charger %s is here with %s", charger.identity, protocol)
            return link

    async def _note_second(self, link: Link, socket: ServerConnection) -> None:
        """Keep, once a link, that somebody else logs in as a charger that is connected: it may be an attack."""
        if "log-in" in link.noted:
            return
        link.noted.add("log-in")
        address = str((socket.remote_address or ("",))[0])
        words = later(
            "A second log-in under its identity came from {address} while it was connected. It was refused.",
            address=address,
        )
        event = Noticed("second log-in", words, {"address": address}, level="warning")
        await self._keep(link, event, Entry(link.charger_id, link.version, "", {}))

    async def _settle(self, link: Link, charger: Charger) -> None:
        """Tell a charger that has come back without a boot what it must know, once it has settled."""
        await asyncio.sleep(SETTLE_S)
        accepted = charger.admission == Charger.Admission.ACCEPTED and charger.booted_at is not None
        while accepted and not link.ready.is_set():
            try:
                await self._database.run(stations.instruct, charger)
                link.ready.set()
            except DatabaseError as error:
                log.warning("charger %s cannot be instructed yet: %s", charger.identity, error)
                await asyncio.sleep(SETTLE_S)

    async def _handle(self, link: Link, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer a call, after what it says is in the database (or in the journal)."""
        handler = HANDLERS[link.version].get(action)
        if handler is None:
            known = is_known(link.version, action)
            raise Fault("NotSupported" if known else "NotImplemented", f"{action!r:.60} is not done here.")
        if link.admission != "accepted" and not handler.early:
            raise Fault("SecurityError", "The boot of this station is not accepted yet.")
        payload, mends = mended(link.version, action, payload)
        event = _understood(handler, payload)
        outcome = Outcome(admission=link.admission)
        if event is not None:
            outcome = await self._keep(link, event, Entry(link.charger_id, link.version, action, payload))
        if action == "BootNotification":
            link.admission = outcome.admission
        if mends:
            await self._note_mends(link, action, mends, payload)
        answer = handler.answer(payload, outcome, clock.now())
        check_response(link.version, action, answer)
        return answer

    async def _heed(self, link: Link, action: str, payload: dict[str, Any]) -> None:
        """Keep what a message says that nobody answers (OCPP 2.1); raises Fault when it cannot be understood."""
        understood = v21.SENDS.get(action)
        if understood is None or link.admission != "accepted":
            raise Fault("NotSupported", f"{action!r:.60} is not done here.")
        if send_schema(link.version, action).errors(payload):
            raise Fault("FormatViolation", f"{action} breaks its schema.")
        entry = Entry(link.charger_id, link.version, action, payload)
        await self._keep(link, understood(payload), entry)

    async def _keep(self, link: Link, event: Event, entry: Entry) -> Outcome:
        return await self._inbox.put(Said(link.charger_id, event, entry, link.admission))

    async def _note_mends(self, link: Link, action: str, mends: list[str], payload: dict[str, Any]) -> None:
        """Keep once per link and kind of message that a station sends it wrongly, with the frame as mended."""
        log.warning("charger %s sent %s wrongly; mended: %s", link.charger_id, action, "; ".join(mends[:5]))
        if action in link.noted:
            return
        link.noted.add(action)
        words = later(
            "{action} broke its schema and was mended: {mends}", action=action, mends="; ".join(mends[:3])
        )
        await self._keep(
            link, Noticed("mended", words, payload), Entry(link.charger_id, link.version, "", payload)
        )

    async def _guard(self) -> None:
        """Protect the site limits of the depots whose chargers are here, and look who follows, again and again."""
        rounds = guarding.Rounds()
        while True:
            await asyncio.sleep(guarding.LOOK_EVERY_S)
            chargers = [link.charger_id for link in self._links.values()]
            try:
                await self._database.run(rounds.look, chargers)
            except Exception:
                log.exception("the guard could not look; trying again")

    async def _miss(self) -> None:
        """Ask for a plan without the chargers that have left, if others rely on what they discharged."""
        while True:
            await asyncio.sleep(MISS_EVERY_S)
            left, self._left = self._left, set()
            if not left:
                continue
            try:
                await self._database.run(_plan_without, left)
            except Exception:
                self._left |= left
                log.exception("who is missed could not be looked up; trying again")

    async def _show_life(self) -> None:
        """Note every few seconds which links live, and end those that may not live on."""
        while True:
            links = {link.charger_id: link for link in self._links.values()}
            held = {
                charger_id: stations.Held(
                    link.connection, link.credential, link.admission == "accepted", link.certificate
                )
                for charger_id, link in links.items()
            }
            try:
                ended = await self._database.run(stations.keep_alive, held)
                for charger_id, reason in ended.items():
                    log.warning("the link of charger %s is ended: %s", charger_id, reason)
                await asyncio.gather(
                    *(links[charger_id].close(1008, reason) for charger_id, reason in ended.items())
                )
            except Exception:
                log.exception("life signs could not be written; trying again")
            await asyncio.sleep(LIFE_SIGN_S)


def _plan_without(depot_ids: set[int]) -> None:
    """Ask for the plans of depots whose links are not as their last plan took them to be."""
    for depot in Depot.objects.filter(pk__in=depot_ids):
        relinking.plan_for_links(depot, clock.now())


def _understood(handler: Handler, payload: dict[str, Any]) -> Event | None:
    """Return what a payload says; raises Fault when it keeps its schema and still makes no sense."""
    try:
        return handler.event(payload)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        log.warning("a payload makes no sense: %r", error)
        raise Fault("PropertyConstraintViolation", "A value is out of its range.") from error


def _unauthorized() -> Response:
    headers = Headers(
        {"WWW-Authenticate": 'Basic realm="OCPP"', "Content-Length": "0", "Connection": "close"}
    )
    return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", headers)


def _fingerprint(tls: ssl.SSLObject | None) -> str:
    """Return by what the certificate is known that a charger has shown, "" for none."""
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    return fingerprint_of(shown) if shown else ""


def tls_context(certificate: str, key: str, client_ca: str = "", *, asked: bool = True) -> ssl.SSLContext:
    """Return the context for security profile 2, or 3 when `client_ca` says who signs chargers' certificates.

    Not `asked`: a charger may come without one, by its password.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key or None)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if asked else ssl.CERT_OPTIONAL
    return context


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended: a library that is just connecting may take a cancellation for a time-out."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=END_AGAIN_S)
