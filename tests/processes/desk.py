"""The other side of the counter, as a process of its own.

`ask KIND COUNT`, `depot`, `jobs KIND STATE COUNT SECONDS`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import django


def ask(kind: str, count: str) -> None:
    """Ask for `count` jobs, each of them twice."""
    from depot.jobs import enqueue

    for number in [*range(int(count)), *range(int(count))]:
        enqueue(kind, None, f"number {number}", {"number": number})


def depot() -> None:
    """Make a depot, so that recurring jobs fall due."""
    from tests.factories import make_depot

    make_depot()


def jobs(kind: str, state: str, count: str, seconds: str) -> None:
    """Wait until `count` jobs of a kind are in a state; print all of that kind either way."""
    from depot.models import Job

    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline and Job.objects.filter(kind=kind, state=state).count() < int(count):
        time.sleep(0.1)
    fields = ("window", "state", "attempts", "progress", "step", "result", "error")
    print(json.dumps(list(Job.objects.filter(kind=kind).values(*fields))))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    django.setup()
    {"ask": ask, "depot": depot, "jobs": jobs}[sys.argv[1]](*sys.argv[2:])
