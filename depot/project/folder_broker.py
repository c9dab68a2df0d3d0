"""Messages as files, where there is no Redis: each is there whole or not at all.

Kombu's own channel shows a file before it is written, so a reader that is quick enough, or comes after a writer that
was killed, finds it empty and ends the worker with it.
"""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """Writes beside the queue, under a name that no reader takes, and moves the file in when it is complete."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # as Kombu's own
        # The wall clock's digits keep their number and go on after a restart: names sort by age.
        name = f"{time_ns() // 1_000_000}_{uuid.uuid4()}"
        folder = Path(self.data_folder_out)
        part = folder / name
        part.write_text(dumps(payload))
        part.rename(folder / f"{name}.{queue}.msg")

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            return super()._get(queue)
        except ValueError as error:
            log.warning("a message of %s cannot be read and is dropped: %s", queue, error)
            raise Empty from error

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        self._begin_table(self._exchange_file(exchange))
        super()._queue_bind(exchange, routing_key, pattern, queue)

    def _begin_table(self, file: Path) -> None:
        """Let the table of an exchange begin empty but readable, unless it is there already."""
        if file.exists():
            return
        part = file.with_name(f"{uuid.uuid4()}.part")
        part.write_text("[]")
        try:
            file.hardlink_to(part)
        except FileExistsError:
            log.debug("%s was begun by another process", file)
        finally:
            part.unlink()


class Transport(filesystem.Transport):
    """The folder as Celery's broker."""

    Channel = Channel
