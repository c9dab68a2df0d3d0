"""Measure the OCPP gateway: a real gateway process, many chargers on real sockets, a scratch database.

`measure` prepares a folder and a database of its own beside the configured ones and runs `python -m
depot.project.benchmarks.ocpp_run` in that environment, so that nothing of the user's is read or written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from depot.project.benchmarks.scratch import BenchmarkError, scratch_database

CHARGERS, SECONDS, EVERY_S, SETPOINTS = 500, 60, 10.0, 100


@dataclass(frozen=True, slots=True)
class Load:
    """How many chargers send a TransactionEvent every `every_s` for `seconds`; so many get a set-point at once."""

    chargers: int = CHARGERS
    seconds: int = SECONDS
    every_s: float = EVERY_S
    setpoints: int = SETPOINTS


def measure(load: Load, database_url: str, redis_url: str) -> dict[str, Any]:
    """Return the figures of one run; an empty database URL stands for SQLite. Raises BenchmarkError."""
    with (
        tempfile.TemporaryDirectory(prefix="depot-benchmark-") as folder,
        scratch_database(database_url) as own,
    ):
        env = os.environ | {
            "DEPOT_VAR": folder,
            "DATABASE_URL": own,
            "REDIS_URL": redis_url,
            "DEPOT_LOG_LEVEL": "WARNING",
        }
        if not own:
            env.pop("DATABASE_URL")
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "depot.project.benchmarks.ocpp_run", json.dumps(asdict(load))],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BenchmarkError("The run failed; what it said stands above.")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
