"""The run itself, in an environment of its own: make the depots, start workers, plan all, print the figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

POLL_S = 0.5
PATIENCE_S = 3600.0


def main(size: dict[str, int]) -> dict[str, Any]:
    """Return the figures of one run."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from depot import clock
    from depot.models import Depot, Job
    from depot.project.benchmarks.depot_rows import make_depot

    call_command("migrate", verbosity=0)
    started = time.perf_counter()
    for number in range(size["depots"]):
        make_depot(number, size["vehicles"], clock.now(), size["seed"])
    make_seconds = time.perf_counter() - started
    with _workers(size["workers"]) as processes:
        _plan_all(Depot.objects.all()[:1], "warm-up", processes)
        seconds = _plan_all(Depot.objects.all(), "measured", processes)
    jobs = Job.objects.filter(window="measured")
    return size | {
        "planned_vehicles": size["depots"] * size["vehicles"],
        "database": connection.vendor,
        "broker": "redis" if os.environ.get("REDIS_URL") else "folder",
        "make_seconds": round(make_seconds, 2),
        "seconds": round(seconds, 2),
        "plans_per_minute": round(60 * size["depots"] / seconds, 1),
        **_figures(list(jobs)),
    }


def _plan_all(depots: Any, window: str, processes: list[subprocess.Popen[bytes]]) -> float:
    """Ask for a plan of every depot; return the seconds until the last one is stored and sent."""
    from depot.jobs import enqueue
    from depot.models import Job

    started = time.perf_counter()
    asked = [enqueue("plan", depot, window).pk for depot in depots]
    waiting = Job.objects.filter(pk__in=asked, state__in=(Job.State.QUEUED, Job.State.RUNNING))
    while waiting.exists():
        if time.perf_counter() - started > PATIENCE_S or any(item.poll() is not None for item in processes):
            raise SystemExit("A worker ended, or the plans took more than an hour.")
        time.sleep(POLL_S)
    failed = Job.objects.filter(pk__in=asked).exclude(state=Job.State.DONE).first()
    if failed is not None:
        raise SystemExit(f"The plan of {failed.depot} failed: {failed.error}")
    return time.perf_counter() - started


def _figures(jobs: list[Any]) -> dict[str, Any]:
    """Return what the jobs took each, and what their plans are worth."""
    from charging.models import Plan

    plans = list(Plan.objects.filter(pk__in=[job.result["plan"] for job in jobs]).defer("case", "answer"))
    took = [(job.finished_at - job.started_at).total_seconds() for job in jobs]
    solved = [plan.seconds for plan in plans]
    return {
        "plans": len(plans),
        "status": dict(Counter(plan.status for plan in plans)),
        "unsound": sum(bool(plan.violations) for plan in plans),
        "sent": sum(plan.dispatched_at is not None for plan in plans),
        "job_seconds": {"median": round(median(took), 3), "most": round(max(took), 3)},
        "solve_seconds": {"median": round(median(solved), 3), "most": round(max(solved), 3)},
        "worst_gap": max(plan.gap for plan in plans),
    }


@contextmanager
def _workers(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `count` Celery workers of one process each."""
    command = [sys.executable, "-m", "celery", "-q", "-A", "depot.project", "worker", "--loglevel", "WARNING"]
    command += ["--concurrency", "1", "--without-gossip", "--without-mingle"]
    processes = [
        subprocess.Popen(  # noqa: S603 - our own program
            [*command, "-n", f"benchmark{number}@%h"], stdout=sys.stderr, start_new_session=True
        )
        for number in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.project.settings")
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))))
