"""One charger's WebSocket: calls in both directions, one at a time in each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from charging.ocpp.frames import Call, Error, Fault, Frame, Result, read, refusal, write
from charging.ocpp.schemas import check_request, check_response

log = logging.getLogger(__name__)

CALL_TIMEOUT_S = 30.0
PROBE_S = 3.0
REMEMBERED = 100
LONGEST_QUEUE = 64
Payload = dict[str, Any]
Handle = Callable[["Link", str, Payload], Awaitable[Payload]]


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
        self, socket: ServerConnection, charger_id: int, version: str, connection: int, handle: Handle
    ) -> None:
        self.charger_id = charger_id
        self.version = version
        self.connection = connection
        self.ready = asyncio.Event()
        """Set when the charger may be given commands: after its boot, or once it has settled."""
        self._socket = socket
        self._handle = handle
        self._turn = asyncio.Lock()
        self._pending: tuple[str, asyncio.Future[Payload]] | None = None
        self._calls: asyncio.Queue[tuple[Call, str | bytes]] = asyncio.Queue(LONGEST_QUEUE)
        self._answers: OrderedDict[str, tuple[str | bytes, str]] = OrderedDict()

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

    async def call(self, action: str, payload: Payload, timeout_s: float = CALL_TIMEOUT_S) -> Payload:
        """Ask the charger something and return its answer.

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
        self._look_over(action, found)
        return found

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

    def _look_over(self, action: str, answer: Payload) -> None:
        """Log an answer that breaks its schema; what can be used of it is used."""
        try:
            check_response(self.version, action, answer)
        except Fault as fault:
            log.warning("charger %s answered %s wrongly: %s", self.charger_id, action, fault)

    async def _take(self, text: str | bytes) -> None:
        try:
            frame = read(text)
        except Fault as fault:
            log.warning("charger %s sent what cannot be read: %s", self.charger_id, fault)
            await self._send(refusal(fault, self.version))
            return
        if not isinstance(frame, Call):
            self._settle(frame)
            return
        try:
            self._calls.put_nowait((frame, text))
        except asyncio.QueueFull:
            await self._socket.close(1008, "too many calls without waiting for answers")

    def _settle(self, frame: Result | Error) -> None:
        """Give an answer to the call that waits for it; one that nobody waits for came too late."""
        if self._pending is None or self._pending[0] != frame.message_id:
            log.info("charger %s: nobody waits for the answer %s", self.charger_id, frame.message_id)
        elif isinstance(frame, Error):
            self._fail_pending(RefusedError(frame.code, frame.description))
        elif not self._pending[1].done():
            self._pending[1].set_result(frame.payload)

    def _fail_pending(self, error: Exception) -> None:
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_exception(error)

    async def _work(self) -> None:
        """Answer calls in the order in which they came."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                call, text = await self._calls.get()
                known = self._answers.get(call.message_id)
                if known is not None and known[0] == text:
                    await self._socket.send(known[1])
                    continue
                answer = await self._answer(call)
                self._remember(call.message_id, text, write(answer))
                await self._send(answer)
                if call.action == "BootNotification" and isinstance(answer, Result):
                    self.ready.set()

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
        self._answers[message_id] = (text, answer)
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)

    async def _send(self, frame: Frame) -> None:
        await self._socket.send(write(frame))
