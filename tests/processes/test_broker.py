"""Redis only wakes workers: killed, emptied and started again, it loses no job and stops nobody for long."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from depot.project.start import free_port
from tests.processes.conftest import House

pytestmark = pytest.mark.processes


def redis_server(port: int, folder: Path) -> subprocess.Popen[bytes]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt install redis-server)")
    options = (
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    )
    return subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("house", ["files"], indirect=True)
def test_jobs_asked_for_while_redis_is_dead_are_done_when_it_is_back(house: House) -> None:
    port = free_port("127.0.0.1", 16379)
    house.env["REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
    server = redis_server(port, house.folder)
    try:
        house.start("worker")
        house.start("beat")
        house.desk("ask", "note", "1")
        house.jobs("note", "done", 1)
        server.kill()
        server.wait(timeout=60)
        began = time.monotonic()
        house.desk("ask", "note", "3")
        assert (
            time.monotonic() - began < 15
        )  # four askings and a start of Python: none waits for Redis for long
        server = redis_server(port, house.folder)
        house.jobs("note", "done", 3, seconds=150)
        assert set(Counter(window for _, _, window, _ in house.lines()).values()) == {1}
    finally:
        server.kill()
        server.wait(timeout=60)
