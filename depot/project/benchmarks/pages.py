"""Measure every page of a depot with a year behind it: on a scratch SQLite database, through Django's own stack."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from depot.project.benchmarks.pages_run import REFRESH
from depot.project.benchmarks.scratch import run_apart

VEHICLES, DAYS, REQUESTS = 100, 365, 20
MOST_P95_MS, MOST_FIRST_LOAD_KB, MOST_REFRESH_KB = 200.0, 700.0, 30.0
"""What a page may take: server time, all that a first visit loads, and one refresh of the live board."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the depot is, how many days lie behind it, and how often each page is asked for."""

    vehicles: int = VEHICLES
    days: int = DAYS
    requests: int = REQUESTS
    seed: int = 1


def measure(size: Size) -> dict[str, Any]:
    """Return the figures of one run of `pages_run`; raise BenchmarkError where it failed."""
    more = {"DEPOT_HTTPS": "0", "DEPOT_DEBUG": "0"}
    return run_apart("depot.project.benchmarks.pages_run", asdict(size), "", "", more)


def weights(found: dict[str, dict[str, Any]]) -> str:
    """Say what the heaviest first visit loads, and how large a refresh of the whole board is (both packed)."""
    first = {
        name: figure["first_load_bytes"] for name, figure in found.items() if "first_load_bytes" in figure
    }
    name = max(first, key=lambda page: first[page])
    refresh = found[REFRESH]["bytes"]
    return f"heaviest first load: {name}, {first[name] / 1000:.0f} kB; board refresh: {refresh / 1000:.1f} kB"


def verdict(found: dict[str, dict[str, Any]]) -> str:
    """Say which pages take more than they may."""
    slow = [name for name, figure in found.items() if figure["p95_ms"] > MOST_P95_MS]
    heavy = [
        name
        for name, figure in found.items()
        if figure.get("first_load_bytes", 0) > MOST_FIRST_LOAD_KB * 1000
    ]
    large = [name for name in (REFRESH,) if found[name]["bytes"] > MOST_REFRESH_KB * 1000]
    faults = {
        f"p95 above {MOST_P95_MS:g} ms": slow,
        f"first load above {MOST_FIRST_LOAD_KB:g} kB": heavy,
        f"refresh above {MOST_REFRESH_KB:g} kB": large,
    }
    said = [f"{words}: {', '.join(names)}" for words, names in faults.items() if names]
    return "; ".join(said) or "every page within its limits"
