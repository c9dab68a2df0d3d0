"""Kill gateway, worker, Redis and database at random under the load of chargers, and count what is lost or doubled.

`measure` runs `python -m depot.project.benchmarks.kills_run` with a PostgreSQL cluster and a Redis of its own, made
from Debian's programs in a scratch folder: nothing of the user's is read, written or killed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from depot.project.benchmarks.scratch import BenchmarkError
from depot.project.benchmarks.servers import NAME, USER, programs, unused_ports

TIMES, CHARGERS = 100, 12
KINDS = ("gateway", "worker", "redis", "database")
SHORTEST_CALM_S, LONGEST_CALM_S = 0.3, 3.0
LONGEST_LEAD_S = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """How often is killed, under how many chargers; kill number `offset` of the seed is the first one.

    The same seed always gives the same kills, so that a long run can be made in parts.
    """

    times: int = TIMES
    chargers: int = CHARGERS
    seed: int = 1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Kill:
    """What is killed, how long after the one before was over, and how long after a plan was asked for."""

    number: int
    kind: str
    calm_s: float
    lead_s: float


def kills(size: Size) -> list[Kill]:
    """Return the kills of a size in their order; each depends on the seed and its number alone."""
    found = []
    for number in range(size.offset, size.offset + size.times):
        chance = random.Random(f"{size.seed}:{number}")  # noqa: S311 - a benchmark, no secret
        calm_s = chance.uniform(SHORTEST_CALM_S, LONGEST_CALM_S)
        found.append(Kill(number, chance.choice(KINDS), calm_s, chance.uniform(0.0, LONGEST_LEAD_S)))
    return found


def measure(size: Size) -> dict[str, Any]:
    """Return the figures of one run; raises BenchmarkError where servers are not installed or the run failed."""
    programs()
    postgres, redis, gateway = unused_ports(3)
    with tempfile.TemporaryDirectory(prefix="depot-kills-") as folder:
        ours = ("DEPOT_", "DATABASE_", "REDIS_", "DJANGO_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "DEPOT_VAR": folder,
            "DATABASE_URL": f"postgres://{USER}@127.0.0.1:{postgres}/{NAME}",
            "REDIS_URL": f"redis://127.0.0.1:{redis}/0",
            "DEPOT_GATEWAY_PORT": str(gateway),
            "DEPOT_LOG_LEVEL": "WARNING",
        }
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "depot.project.benchmarks.kills_run", json.dumps(asdict(size))],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BenchmarkError("The run failed; what it said stands above.")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
