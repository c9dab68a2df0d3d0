"""Measure how long real Celery workers take to plan many depots: on a scratch database and a scratch broker."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from depot.project.benchmarks.scratch import run_apart

DEPOTS, VEHICLES, WORKERS = 20, 50, 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much is planned, and by how many worker processes."""

    depots: int = DEPOTS
    vehicles: int = VEHICLES
    workers: int = WORKERS
    seed: int = 1


def measure(size: Size, database_url: str, redis_url: str) -> dict[str, Any]:
    """Return the figures of one run of `depots_run`; raise BenchmarkError where it failed."""
    more = {"DEPOT_JOB_UNHEARD_SECONDS": "3600", "OMP_NUM_THREADS": "1"}
    return run_apart("depot.project.benchmarks.depots_run", asdict(size), database_url, redis_url, more)
