"""A PostgreSQL cluster and a Redis of a benchmark's own, that can be killed outright and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from depot.project.benchmarks.scratch import BenchmarkError

CLUSTERS = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of PostgreSQL, a folder each version."""
ACCOUNT = "postgres"
USER = NAME = "depot"
PATIENCE_S, POLL_S = 60.0, 0.05


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the servers' programs are."""

    postgres: Path
    redis: Path


def programs() -> Programs:
    """Return the newest PostgreSQL's folder and Redis's program; raises BenchmarkError naming what is not there."""
    clusters = sorted(CLUSTERS.glob("*/bin/initdb"), key=_version)
    redis = shutil.which("redis-server")
    lacking = [
        f"{name} (Debian: apt install {package})"
        for name, package, found in (
            (f"initdb under {CLUSTERS}", "postgresql", clusters),
            ("redis-server", "redis-server", redis),
        )
        if not found
    ]
    if lacking or redis is None:
        raise BenchmarkError(f"Not installed: {'; '.join(lacking)}.")
    return Programs(clusters[-1].parent, Path(redis))


def _version(program: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in program.parts[-3].split(".") if part.isdecimal())


def unused_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on at this moment."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Server:
    """A process that is started, killed with all its children, and started again."""

    def __init__(self, command: Iterable[str | Path], log: Path, account: str | None = None) -> None:
        self._command, self._log, self._account = [str(word) for word in command], log, account
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it says goes to its log."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own programs
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._account,
                group=self._account,
                extra_groups=None if self._account is None else [],
            )

    def kill(self) -> None:
        """End it and all its descendants without a chance to say goodbye; nothing happens when it does not run."""
        if self.process is None or self.process.poll() is not None:
            return
        for pid in (self.process.pid, *_descendants(self.process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    @property
    def ended(self) -> bool:
        """Tell whether it was started and runs no more."""
        return self.process is not None and self.process.poll() is not None

    @property
    def said(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""


def _descendants(pid: int) -> list[int]:
    """Return the ids of a process's children, theirs, and so on. PostgreSQL's are in sessions of their own."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(status.parent.name))
    found, waiting = [], [pid]
    while waiting:
        waiting = [child for parent in waiting for child in children.get(parent, ())]
        found += waiting
    return found


def postgres_server(found: Programs, folder: Path, port: int) -> Server:
    """Make a cluster below `folder` and return its server, which writes to disk as in production."""
    account = _account()
    data = folder / "postgres"
    data.mkdir(mode=0o700)
    if account is not None:
        shutil.chown(data, account, account)
        folder.chmod(0o711)
    _run(
        [found.postgres / "initdb", "-D", data, "--username", USER, "--auth", "trust", "--encoding", "UTF8"],
        account,
    )
    options = ("listen_addresses=127.0.0.1", f"unix_socket_directories={data}", f"port={port}")
    settings = [word for option in options for word in ("-c", option)]
    return Server([found.postgres / "postgres", "-D", data, *settings], folder / "postgres.log", account)


def redis_server(found: Programs, folder: Path, port: int) -> Server:
    """Return a Redis that keeps nothing on disk: killed, it has lost all it knew."""
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no")
    return Server([found.redis, *options, "--dir", folder], folder / "redis.log")


def _account() -> str | None:
    """Return the account PostgreSQL must run under: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError as error:
        raise BenchmarkError(
            f"PostgreSQL does not run as root, and there is no account {ACCOUNT}. Run this as another user."
        ) from error


def _run(command: Iterable[str | Path], account: str | None) -> None:
    done = subprocess.run(  # noqa: S603 - our own programs
        [str(word) for word in command],
        user=account,
        group=account,
        extra_groups=None if account is None else [],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"PostgreSQL's cluster could not be made: {done.stderr.strip()[-500:]}")


def wait_for(port: int) -> None:
    """Wait until somebody listens at a port of this machine; raises BenchmarkError after a minute."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(POLL_S)
    raise BenchmarkError(f"Nobody listens at port {port} after {PATIENCE_S:g} s.")
