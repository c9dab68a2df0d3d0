"""Jobs that leave a line behind for every run, so that a test can count what really happened."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from django.conf import settings

from depot.jobs import Progress, job
from depot.jobs.registry import KINDS
from depot.models import Job

KINDS.clear()  # only these recur here; the product's own kinds have tests of their own
PATIENCE_SECONDS = 60.0


def leave_line(event: str, job: Job) -> None:
    """Append one line at once, whole, whoever else writes."""
    line = f"{event} {job.kind} {job.window} {os.getpid()}\n".encode()
    file = os.open(settings.VAR_DIR / "runs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


@job("note", title="Leave a line")
def note(job: Job, progress: Progress) -> dict[str, Any]:
    leave_line("ran", job)
    return {"square": job.payload["number"] ** 2}


@job("long", title="Wait for the test's word")
def long(job: Job, progress: Progress) -> None:
    progress(0.5, "half way")
    leave_line("began", job)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (settings.VAR_DIR / "go").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody said go")
        time.sleep(0.05)
    leave_line("ended", job)


@job("minutely", title="Leave a line every minute", every=timedelta(minutes=1))
def minutely(job: Job, progress: Progress) -> None:
    leave_line("ran", job)
