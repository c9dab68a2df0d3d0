"""One charger's WebSocket: calls in both directions, one at a time in each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from charging.ocpp.frames import (
    BrokenAnswer,
    Call,
    Error,
    Fault,
    Frame,
    Result,
    ResultError,
    Send,
    read,
    refusal,
    write,
)
from charging.ocpp.schemas import check_request, check_response

log = logging.getLogger(__name__)

CALL_TIMEOUT_S = 30.0
PROBE_S = 3.0
REMEMBERED = 100
LONGEST_QUEUE = 64
MOST_UNREADABLE = 100
"""A station that sends more frames that cannot be read is no station."""
Payload = dict[str, Any]
Handle = Callable[["Link", str, Payload], Awaitable[Payload]]
Heed = Callable[["Link", str, Payload], Awaitable[None]]
Answers = OrderedDict[str, tuple[bytes, str]]
"""By the ids of calls: the digest of what was asked, and the answer."""


class LinkLostError(Exception):
    """The link ended, or the charger did not answer in time."""


class RefusedError(Exception):
    """The charger answered a call with an error."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class Link:
    """The link to one charger.

    Incoming calls are handled in their order by `handle`, apart from the reading loop, so that a slow one never
    holds back the answer to a call of ours. A call that comes again with its id gets its first answer again.
    """

    def __init__(
        self,
        socket: ServerConnection,
        charger_id: int,
        version: str,
        connection: int,
        handle: Handle,
        heed: Heed,
    ) -> None:
        self.charger_id = charger_id
        self.version = version
        self.connection = connection
        self.ready = asyncio.Event()
        """Set when the charger may be given commands: after its boot, or once it has settled."""
        self.admission = "accepted"
        """How the station's last boot was answered."""
        self.credential = ""
        """The hash of the password it has logged in with; "" = by a certificate."""
        self.certificate = ""
        """The fingerprint of the certificate it has logged in with; "" = by a password."""
        self.noted: set[str] = set()
        """What has been noted of this link and is not noted again: actions it sends wrongly, second log-ins."""
        self.free_at = 0.0
        """Before this moment of the loop's clock the station wants no further call."""
        self._socket = socket
        self._handle, self._heed = handle, heed
        self._unreadable = 0
        self._closing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._pending: tuple[str, asyncio.Future[Payload]] | None = None
        self._calls: asyncio.Queue[tuple[Call | Send, str | bytes]] = asyncio.Queue(LONGEST_QUEUE)
        self.answers: Answers = OrderedDict()
        """The last answers given, by the ids of their calls."""

    @property
    def busy(self) -> bool:
        """Whether a call of ours is under way."""
        return self._turn.locked()

    async def run(self) -> None:
        """Read frames until the link ends."""
        worker = asyncio.create_task(self._work())
        try:
            async for text in self._socket:
                await self._take(text)
        except ConnectionClosed:
            pass  # the reason is in the close code, which the gateway logs
        finally:
            worker.cancel()
            if self._pending is not None:
                self._fail_pending(LinkLostError("The link to the charger ended."))

    async def call(
        self, action: str, payload: Payload, timeout_s: float = CALL_TIMEOUT_S
    ) -> tuple[Payload, bool]:
        """Ask the charger something and return its answer, and whether that breaks its schema.

        Raises RefusedError when it answers with an error and LinkLostError when it does not answer.
        """
        check_request(self.version, action, payload)
        async with self._turn:
            message_id = str(uuid.uuid4())
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._pending = (message_id, answer)
            try:
                await self._send(Call(message_id, action, payload))
                async with asyncio.timeout(timeout_s):
                    found = await answer
            except TimeoutError as error:
                raise LinkLostError(f"The charger did not answer within {timeout_s:g} s.") from error
            except ConnectionClosed as error:
                raise LinkLostError("The link to the charger ended.") from error
            finally:
                self._pending = None
        return found, await self._is_broken(message_id, action, found)

    async def alive(self) -> bool:
        """Ping the charger and tell whether it answers."""
        try:
            async with asyncio.timeout(PROBE_S):
                await (await self._socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def close(self, code: int, reason: str) -> None:
        """End the link; a dead one is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_S):
                await self._socket.close(code, reason)
        self._socket.transport.abort()

    async def _is_broken(self, message_id: str, action: str, answer: Payload) -> bool:
        """Tell whether an answer breaks its schema; what can be used of it is used. A 2.1 station is told."""
        try:
            check_response(self.version, action, answer)
        except Fault as fault:
            log.warning("charger %s answered %s wrongly: %s", self.charger_id, action, fault)
            if self.version == "2.1":
                with contextlib.suppress(ConnectionClosed):
                    await self._send(ResultError(message_id, fault.code, fault.description))
            return True
        return False

    def _give_up(self, reason: str) -> None:
        """End the link while the loop reads on: unread frames would hold up the other side's good-bye."""
        self._closing = asyncio.create_task(self.close(1008, reason))

    async def _take(self, text: str | bytes) -> None:
        if self._closing is not None:
            return
        try:
            frame = read(text, self.version)
        except Fault as fault:
            await self._refuse(fault)
            return
        if not isinstance(frame, Call | Send):
            self._settle(frame)
            return
        try:
            self._calls.put_nowait((frame, text))
        except asyncio.QueueFull:
            self._give_up("too many calls without waiting for answers")

    async def _refuse(self, fault: Fault) -> None:
        """Answer a frame that cannot be read. A broken answer ends the wait for it and is not answered."""
        log.warning("charger %s sent what cannot be read: %s", self.charger_id, fault)
        self._unreadable += 1
        if self._unreadable > MOST_UNREADABLE:
            self._give_up("too many messages that cannot be read")
        elif not isinstance(fault, BrokenAnswer):
            await self._send(refusal(fault, self.version))
        elif self._pending is not None and self._pending[0] == fault.message_id:
            self._fail_pending(RefusedError(fault.code, "Its answer could not be read."))

    def _settle(self, frame: Result | Error | ResultError) -> None:
        """Give an answer to the call that waits for it; one that nobody waits for came too late."""
        if isinstance(frame, ResultError):
            log.warning(
                "charger %s could not use an answer: %s %s", self.charger_id, frame.code, frame.description
            )
        elif self._pending is None or self._pending[0] != frame.message_id:
            log.info("charger %s: nobody waits for the answer %s", self.charger_id, frame.message_id)
        elif isinstance(frame, Error):
            self._fail_pending(RefusedError(frame.code, frame.description))
        elif not self._pending[1].done():
            self._pending[1].set_result(frame.payload)

    def _fail_pending(self, error: Exception) -> None:
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_exception(error)
            self._pending[1].exception()  # nobody may wait for it any more, which is no fault to log

    async def _work(self) -> None:
        """Answer calls in the order in which they came."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                call, text = await self._calls.get()
                if isinstance(call, Send):
                    await self._take_in(call)
                    continue
                known = self.answers.get(call.message_id)
                if known is not None and known[0] == _digest(text):
                    await self._socket.send(known[1])
                    continue
                answer = await self._answer(call)
                self._remember(call.message_id, text, write(answer))
                await self._send(answer)
                if call.action == "BootNotification" and isinstance(answer, Result):
                    self._let_speak()

    def _let_speak(self) -> None:
        """Let commands go out once the boot is accepted, and hold them again when a later one is not."""
        if self.admission == "accepted":
            self.ready.set()
        else:
            self.ready.clear()

    async def _take_in(self, message: Send) -> None:
        """Heed a message that nobody answers."""
        try:
            await self._heed(self, message.action, message.payload)
        except Fault as fault:
            log.warning("charger %s: %s not heeded: %s", self.charger_id, message.action, fault)
        except Exception:
            log.exception("charger %s: %s failed", self.charger_id, message.action)

    async def _answer(self, call: Call) -> Frame:
        try:
            return Result(call.message_id, await self._handle(self, call.action, call.payload))
        except Fault as fault:
            log.warning("charger %s: %s refused: %s", self.charger_id, call.action, fault)
            return refusal(Fault(fault.code, fault.description, call.message_id), self.version)
        except Exception:
            log.exception("charger %s: %s failed", self.charger_id, call.action)
            return Error(call.message_id, "InternalError", "Something went wrong. Send it again.")

    def _remember(self, message_id: str, text: str | bytes, answer: str) -> None:
        self.answers[message_id] = (_digest(text), answer)
        if len(self.answers) > REMEMBERED:
            self.answers.popitem(last=False)

    async def _send(self, frame: Frame) -> None:
        await self._socket.send(write(frame))


def _digest(text: str | bytes) -> bytes:
    """Return what tells one call from another, however long they are."""
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).digest()
