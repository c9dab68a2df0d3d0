"""No request may be larger than what any door reads: the rest is refused while it arrives, before it is stored."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from depot.access.wire import API_PREFIX, MEDIA_TYPE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class _TooLargeError(Exception):
    """The body has passed the limit."""


class BodyLimit:
    """Wrap an ASGI application: a body above `most_bytes` (declared or received) is answered 413."""

    def __init__(self, app: App, most_bytes: int) -> None:
        self.app = app
        self.most_bytes = most_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _declared(scope) > self.most_bytes:
            await self._refuse(scope, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                raise _TooLargeError
            return message

        try:
            await self.app(scope, counted, send)
        except _TooLargeError:
            await self._refuse(scope, send)  # the body is read before any answer begins

    async def _refuse(self, scope: MutableMapping[str, Any], send: Send) -> None:
        detail = f"A request has {self.most_bytes // 2**20} MB at most. Split it."
        kind, text = b"text/plain; charset=utf-8", detail
        if scope["path"].startswith(API_PREFIX):
            facts = {"type": "about:blank", "title": "Too large.", "status": 413, "code": "too_large"}
            kind, text = MEDIA_TYPE.encode(), json.dumps(facts | {"detail": detail})
        headers = [(b"content-type", kind), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


def _declared(scope: MutableMapping[str, Any]) -> int:
    """Return the Content-Length of a request; 0 for one that gives none or no number."""
    raw = dict(scope["headers"]).get(b"content-length", b"0")
    return int(raw) if raw.isdigit() else 0
