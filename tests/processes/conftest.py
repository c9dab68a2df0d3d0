"""A house of its own for each test: folder, database, broker, and the processes that run in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

from depot.project.processes import procfile
from tests.processes.clerk import Clerk

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "DEPOT_TICK_SECONDS": "0.5",
    "DEPOT_JOB_HEARTBEAT_SECONDS": "0.5",
    "DEPOT_JOB_STALE_SECONDS": "5",
    "DEPOT_JOB_UNHEARD_SECONDS": "2",
}


@dataclass
class House:
    """Where the processes of one test live."""

    folder: Path
    env: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the Procfile's command of that name."""
        return self.run(name, procfile(ROOT)[name], **env)

    def run(self, name: str, command: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, with a log of that name."""
        with (self.folder / f"{name}-{len(self.running)}.log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {command}"],
                cwd=ROOT,
                env=self.env | env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill -9 a process with all its children."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)

    def stop(self) -> None:
        """Kill what still runs."""
        for process in self.running:
            if process.poll() is None:
                self.kill(process)

    def python(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def desk(self, *arguments: str) -> str:
        return self.python("-m", "tests.processes.desk", *arguments)

    def jobs(self, kind: str, state: str, count: int, seconds: float = 120) -> list[dict[str, Any]]:
        """Wait for `count` jobs in `state`; the test fails with the processes' logs when they do not come."""
        rows: list[dict[str, Any]] = json.loads(self.desk("jobs", kind, state, str(count), str(seconds)))
        assert sum(row["state"] == state for row in rows) >= count, f"{rows}\n{self.logs()}"
        return rows

    def lines(self) -> list[list[str]]:
        """Return what the jobs wrote: event, kind, window, process id."""
        path = self.folder / "runs.log"
        return [split_line(line) for line in path.read_text().splitlines()] if path.exists() else []

    def logs(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("*-*.log")))

    def until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)


def split_line(line: str) -> list[str]:
    event, kind, *window, pid = line.split()
    return [event, kind, " ".join(window), pid]


def with_path(url: str, path: str) -> str:
    """Return `url` with another database's name or number."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


def administer(url: str, *statements: str) -> None:
    """Run statements on the PostgreSQL database that `url` names."""
    with psycopg.connect(
        urlunsplit(urlsplit(url)._replace(scheme="postgresql")), autocommit=True
    ) as connection:
        for statement in statements:
            connection.execute(statement)


def forget_messages(url: str) -> None:
    """Delete the broker's messages from a Redis database."""
    broker = redis.from_url(url)
    for key in broker.scan_iter("depot:*"):
        broker.delete(key)


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an SQLite database that has the schema and nothing else, to be copied."""
    folder = tmp_path_factory.mktemp("empty")
    House(folder, surroundings(folder)).python("manage.py", "migrate", "--verbosity", "0")
    return folder


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the name of a PostgreSQL database with the schema, to be copied; skip where no servers are given."""
    url = os.environ.get("DATABASE_URL", "")
    if not (url.startswith("postgres") and os.environ.get("REDIS_URL")):
        pytest.skip("needs PostgreSQL and Redis: set DATABASE_URL and REDIS_URL")
    name, folder = f"depot_empty_{os.getpid()}", tmp_path_factory.mktemp("empty")
    administer(url, f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"')
    house = House(folder, surroundings(folder) | {"DATABASE_URL": with_path(url, name)})
    house.python("manage.py", "migrate", "--verbosity", "0")
    yield name
    administer(url, f'DROP DATABASE "{name}" WITH (FORCE)')


def surroundings(folder: Path) -> dict[str, str]:
    """Return this environment without what it says about a depot, and with quick jobs in `folder`."""
    ours = ("DEPOT_", "DATABASE_", "REDIS_")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return keep | QUICK | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DJANGO_SETTINGS_MODULE": "tests.processes.settings",
        "DEPOT_VAR": str(folder),
    }  # fmt: skip


def broker_number() -> str:
    """Return a Redis database that no test beside this one uses; benchmarks look for an empty one from 15 downwards."""
    return str(1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))


@pytest.fixture(params=["files", pytest.param("servers", marks=pytest.mark.services)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """SQLite with the folder broker, and PostgreSQL with Redis where both are given."""
    house = House(tmp_path, surroundings(tmp_path))
    if request.param == "files":
        shutil.copytree(request.getfixturevalue("empty_folder"), tmp_path, dirs_exist_ok=True)
        yield house
        house.stop()
        return
    template, copy, database = (
        request.getfixturevalue("empty_database"),
        f"depot_{os.getpid()}",
        os.environ["DATABASE_URL"],
    )
    broker = with_path(os.environ["REDIS_URL"], broker_number())
    administer(
        database,
        f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)',
        f'CREATE DATABASE "{copy}" TEMPLATE "{template}"',
    )
    forget_messages(broker)
    house.env |= {"DATABASE_URL": with_path(database, copy), "REDIS_URL": broker}
    yield house
    house.stop()
    administer(database, f'DROP DATABASE "{copy}" WITH (FORCE)')
    forget_messages(broker)


def unused_port() -> int:
    """Return a port that the system gives nobody else at this moment, whatever else runs on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def product(house: House) -> House:
    """Return a house whose processes run the product as it is, without the jobs of these tests."""
    house.env |= {
        "DJANGO_SETTINGS_MODULE": "depot.project.settings",
        "DEPOT_GATEWAY_PORT": str(unused_port()),
        "DEPOT_WEB_PORT": str(unused_port()),
    }
    return house


@pytest.fixture
def clerk(product: House) -> Iterator[Clerk]:
    clerk = Clerk(product.env)
    yield clerk
    clerk.leave()
