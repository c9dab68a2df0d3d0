"""How many sockets a gateway lets in: none that could use up its files, and few strangers of one address."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections import Counter
from typing import Any

from websockets.asyncio.server import ServerConnection

log = logging.getLogger(__name__)

FILES_SHARE = 0.8
"""Of the files this process may open: the rest is for the database, Redis and the journal."""
MOST_SOCKETS = 10_000
MOST_STRANGERS = 2_000
"""So many sockets of one address may be open that have shown no credential yet; a depot's chargers may share one."""
SAY_EVERY_S = 60.0


def most_sockets() -> int:
    """Return how many sockets this process can hold."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_SOCKETS, int(FILES_SHARE * files))


class Caps:
    """Counts sockets, all, and by address those of strangers; one too many is closed before it has said a word."""

    def __init__(self, most: int, most_strangers: int = MOST_STRANGERS) -> None:
        self._most, self._most_strangers = most, most_strangers
        self._open: dict[ServerConnection, str] = {}
        """Each socket that was let in, with its address; "" once it is known who it is."""
        self._strangers: Counter[str] = Counter()
        self._said_at = -SAY_EVERY_S

    def connection(self, *args: Any, **kwargs: Any) -> ServerConnection:
        """Return a connection for the server that counts itself here."""
        return _Counted(self, *args, **kwargs)

    def let_in(self, socket: ServerConnection, address: str) -> bool:
        """Count a new socket; False when there is no room for it."""
        if len(self._open) >= self._most or self._strangers[address] >= self._most_strangers:
            self._say(address)
            return False
        self._open[socket] = address
        self._strangers[address] += 1
        return True

    def known(self, socket: ServerConnection) -> None:
        """Note that a socket has shown who it is: it is no stranger any more."""
        address = self._open.get(socket)
        if address:
            self._open[socket] = ""
            self._forget(address)

    def gone(self, socket: ServerConnection) -> None:
        """Note that a socket is closed."""
        address = self._open.pop(socket, "")
        if address:
            self._forget(address)

    def _forget(self, address: str) -> None:
        self._strangers[address] -= 1
        if not self._strangers[address]:
            del self._strangers[address]

    def _say(self, address: str) -> None:
        now = time.monotonic()
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            log.error("no room for a socket from %s: %d are open", address, len(self._open))


class _Counted(ServerConnection):
    def __init__(self, caps: Caps, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._caps = caps
        self._let_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        address = transport.get_extra_info("peername") or ("unknown",)
        self._let_in = self._caps.let_in(self, str(address[0]))
        if self._let_in:
            super().connection_made(transport)
        elif isinstance(transport, asyncio.Transport):
            transport.abort()  # before the server knows of it, so that a flood fills no log

    def connection_lost(self, exc: Exception | None) -> None:
        if self._let_in:
            self._caps.gone(self)
            super().connection_lost(exc)
