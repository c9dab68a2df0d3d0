"""Messages over Redis: a connection that is gone is an error that Celery recovers from, not the end of a process.

Once Kombu has closed a connection, its channels have nothing left that says where Redis is. A worker that then
acknowledges a message it took over the old connection meets an AttributeError, which no part of Celery expects, and
ends; a beat that holds such a channel never sends again. Here it is what it is: a lost connection.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that says so when the connection it belongs to was closed."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if getattr(self.connection, "client", None) is None:
            raise ConnectionError("The connection to Redis that this channel belongs to was closed.")
        found: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
        return found


class Transport(redis.Transport):
    """Kombu's transport with our channel."""

    Channel = Channel
