"""Measure how many telemetry records a second a real web server stores: on a scratch database, over real HTTP."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from depot.project.benchmarks.scratch import run_apart

RECORDS, BATCH, CLIENTS, SERVERS = 20_000, 100, 4, 2


@dataclass(frozen=True, slots=True)
class Size:
    """How many records are sent, in batches of how many, by how many clients, to how many server processes."""

    records: int = RECORDS
    batch: int = BATCH
    clients: int = CLIENTS
    servers: int = SERVERS
    kills: int = 0
    seed: int = 1


def measure(size: Size, database_url: str) -> dict[str, Any]:
    """Return the figures of one run of `telemetry_run`; raise BenchmarkError where it failed."""
    more = {"DEPOT_API_RATE": "1000000/min", "DEPOT_WEB_POOL": "60"}
    return run_apart("depot.project.benchmarks.telemetry_run", asdict(size), database_url, "", more)
