"""Ask for jobs, run them once, start again what died."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q
from kombu.exceptions import OperationalError

from depot import clock
from depot.jobs.registry import KINDS
from depot.models import Depot, Job, User

log = logging.getLogger(__name__)

KEEP_FINISHED = timedelta(days=14)
UNFINISHED = (Job.State.QUEUED, Job.State.RUNNING)


class JobError(Exception):
    """Work that failed for a reason its user can act on; the message is shown as it is."""


def enqueue(
    kind: str,
    depot: Depot | None,
    window: str,
    payload: dict[str, Any] | None = None,
    requested_by: User | None = None,
) -> Job:
    """Ask for a job once: the same kind, depot and window again returns the job that is there."""
    if kind not in KINDS:
        raise ValueError(f"There is no job of kind {kind!r}; known: {', '.join(sorted(KINDS))}.")
    job, created = Job.objects.get_or_create(
        kind=kind,
        depot=depot,
        window=window,
        defaults={
            "payload": payload or {},
            "requested_by": requested_by,
            "due_at": clock.now(),
            "created_at": clock.wall_now(),
            "heartbeat_at": clock.wall_now(),
        },
    )
    if created:
        transaction.on_commit(lambda: _wake(job.pk))
    return job


def _wake(job_id: uuid.UUID) -> None:
    """Tell a worker. A lost message costs seconds: the sweeper sends it again."""
    from depot.jobs.tasks import run_job

    try:
        run_job.delay(str(job_id))
    except (OperationalError, OSError) as error:
        log.warning(
            "job %s: the broker did not take the message (%s); the sweeper sends it again", job_id, error
        )


def run(job_id: uuid.UUID | str, *, beat: bool = True) -> bool:
    """Run a waiting job in this process; False when somebody else has it or it is finished."""
    claim = uuid.uuid4()
    now = clock.wall_now()
    mine = Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(
        state=Job.State.RUNNING,
        claim=claim,
        started_at=now,
        heartbeat_at=now,
        attempts=F("attempts") + 1,
        error="",
    )
    if not mine:
        return False
    job = Job.objects.select_related("depot").get(pk=job_id)
    held = Job.objects.filter(pk=job_id, claim=claim, state=Job.State.RUNNING)

    def progress(fraction: float, step: str) -> None:
        held.update(progress=fraction, step=step[:200], heartbeat_at=clock.wall_now())

    about = structlog.contextvars.bound_contextvars(
        job=job.kind, window=job.window, depot=job.depot.slug if job.depot else None
    )
    try:
        with about, _heartbeat(job, claim) if beat else nullcontext():
            result = KINDS[job.kind].run(job, progress)
    except JobError as error:
        held.update(state=Job.State.FAILED, error=str(error), finished_at=clock.wall_now())
    except Exception:
        log.exception("job %s %s %s failed", job.kind, job.depot, job.window)
        held.update(
            state=Job.State.FAILED,
            error="Something went wrong inside the program. The log has the details.",
            finished_at=clock.wall_now(),
        )
    else:
        held.update(state=Job.State.DONE, result=result, progress=1.0, finished_at=clock.wall_now())
    return True


@contextmanager
def _heartbeat(job: Job, claim: uuid.UUID) -> Iterator[None]:
    """Show every few seconds that the job is alive, from a thread with a connection of its own."""
    stop = threading.Event()

    def beat() -> None:
        try:
            while not stop.wait(settings.JOB_HEARTBEAT_SECONDS):
                try:
                    Job.objects.filter(pk=job.pk, claim=claim).update(heartbeat_at=clock.wall_now())
                except DatabaseError as error:
                    log.warning("job %s: no heartbeat this time (%s)", job.pk, error)
                    connection.close()  # the next beat opens a new one
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name=f"heartbeat-{job.kind}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def tick(now: datetime) -> int:
    """Ask for all that is due and start again all that died; return how many messages were sent."""
    return ask_for_due(now) + sweep()


def ask_for_due(now: datetime) -> int:
    """Ask for the recurring jobs whose window has begun, unless the last one of that kind still waits or runs."""
    due = {
        (kind.name, depot, window)
        for depot in Depot.objects.all()
        for kind in KINDS.values()
        if (window := kind.window(depot, now)) is not None
    }
    known = Job.objects.filter(depot__isnull=False)
    unfinished = set(known.filter(state__in=UNFINISHED).values_list("kind", "depot_id"))
    asked_before = known.filter(window__in={window for _, _, window in due})
    there = set(asked_before.values_list("kind", "depot_id", "window"))
    wanted = [
        (name, depot, window)
        for name, depot, window in due
        if (name, depot.pk) not in unfinished and (name, depot.pk, window) not in there
    ]
    for name, depot, window in wanted:
        enqueue(name, depot, window)
    return len(wanted)


def sweep() -> int:
    """Queue again what died while running, fail what died too often, wake what nobody heard of."""
    wall = clock.wall_now()
    stale = timedelta(seconds=settings.JOB_STALE_SECONDS)
    unheard = timedelta(seconds=settings.JOB_UNHEARD_SECONDS)
    dead = Q(state=Job.State.RUNNING, heartbeat_at__lt=wall - stale)
    for kind in KINDS.values():
        Job.objects.filter(dead, kind=kind.name, attempts__gte=kind.max_attempts).update(
            state=Job.State.FAILED,
            finished_at=wall,
            error=f"Its worker died {kind.max_attempts} times. The log has the details.",
        )
    Job.objects.filter(dead).update(state=Job.State.QUEUED, claim=None, heartbeat_at=wall - unheard * 2)
    waiting = Job.objects.filter(state=Job.State.QUEUED, heartbeat_at__lt=wall - unheard)
    sent = 0
    for job_id in list(waiting.values_list("pk", flat=True)[:500]):
        Job.objects.filter(pk=job_id).update(heartbeat_at=wall)
        _wake(job_id)
        sent += 1
    Job.objects.exclude(state__in=UNFINISHED).filter(finished_at__lt=wall - KEEP_FINISHED).delete()
    return sent
