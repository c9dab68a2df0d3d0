"""Let the event loop use the database: in a few threads, each with a connection of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """A small pool of threads; work that waits for the database or hashes never blocks the event loop."""

    def __init__(self, threads: int = 4) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ocpp-database")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do `work` in a thread and return its result."""

        def do() -> T:
            close_old_connections()
            return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._pool, do)

    def close(self) -> None:
        """Finish what runs, and let each thread close its connection."""
        together = threading.Barrier(self._threads)

        def end() -> None:
            together.wait()
            connections.close_all()

        for _ in range(self._threads):
            self._pool.submit(end)
        self._pool.shutdown(wait=True)
