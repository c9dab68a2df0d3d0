"""Ask for jobs, run them once, start again what died."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db import OperationalError as DatabaseAway
from django.db.models import F, QuerySet
from django.utils import translation
from kombu.exceptions import OperationalError

from depot import clock
from depot.alerts.services import Cause, clear, raise_alert
from depot.jobs.registry import KINDS
from depot.models import Alert, Depot, Job, User
from depot.webhooks import services as webhooks
from depot.words import ENGLISH, Sentence, later, speaking, tr

log = logging.getLogger(__name__)

KEEP_FINISHED = timedelta(days=14)
KEEP_FREQUENT = timedelta(hours=1)
LONGEST_UNHEARD = timedelta(minutes=5)
MOST_MESSAGES = 500
PATIENCE_S, PAUSE_S = 30.0, 0.5
"""So long, and so often, the end of a job is written again while the database is away."""
UNFINISHED = (Job.State.QUEUED, Job.State.RUNNING)
ANEW: dict[str, Any] = {
    "state": Job.State.QUEUED, "claim": None, "attempts": 0, "progress": 0.0, "step": "", "error": "",
    "started_at": None, "finished_at": None,
}  # fmt: skip
"""What a job has that nobody has begun."""


class JobError(Exception):
    """Work that failed for a reason its user can act on; the message is shown as it is."""


class JobStopped(Exception):  # noqa: N818 - stopping is asked for, not a fault of the program
    """Nobody waits for this work any more: it was cancelled, or another attempt has taken it over."""


def enqueue(
    kind: str,
    depot: Depot | None,
    window: str,
    payload: dict[str, Any] | None = None,
    requested_by: User | None = None,
) -> Job:
    """Ask for a job once: the same kind, depot and window again returns the job that is there.

    One that was cancelled is queued again.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no job of kind {kind!r}; known: {', '.join(sorted(KINDS))}.")
    asked = {
        "payload": payload or {},
        "requested_by": requested_by,
        "due_at": clock.now(),
        "created_at": clock.wall_now(),
        "heartbeat_at": clock.wall_now(),
    }
    job, fresh = Job.objects.get_or_create(kind=kind, depot=depot, window=window, defaults=asked)
    if job.state == Job.State.CANCELLED:
        cancelled = Job.objects.filter(pk=job.pk, state=Job.State.CANCELLED)
        fresh = bool(cancelled.update(**asked, **ANEW))
        job.refresh_from_db()
    if fresh:
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
    """Run a waiting job in this process; False when somebody else has it or it is finished.

    A database that is away for a moment puts it back in the queue, up to `max_attempts` of its kind. What failed
    for good raises an alert, which the next success of the kind clears.
    """
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
        if not held.update(progress=fraction, step=step[:200], heartbeat_at=clock.wall_now()):
            raise JobStopped(f"Job {job.kind} {job.window} was cancelled or taken over.")

    about = structlog.contextvars.bound_contextvars(
        job=job.kind, window=job.window, depot=job.depot.slug if job.depot else None
    )
    language = job.depot.language if job.depot else ENGLISH
    try:
        with (
            about,
            translation.override(language),
            speaking(language),
            _heartbeat(job, claim) if beat else nullcontext(),
        ):
            result = KINDS[job.kind].run(job, progress)
    except JobError as error:
        _fail(held, job, str(error))
    except JobStopped as stopped:
        log.info("%s", stopped)
    except (DatabaseAway, InterfaceError) as error:
        _try_again(held, job, error)
    except Exception:
        log.exception("job %s %s %s failed", job.kind, job.depot, job.window)
        _fail(held, job, later("Something went wrong inside the program. The log has the details."))
    else:
        done = {"state": Job.State.DONE, "result": result, "progress": 1.0}
        if _patiently(lambda: held.update(**done, finished_at=clock.wall_now())):
            _clear_alert(job)
    return True


def finish(job: Job, result: dict[str, Any]) -> None:
    """End a running job inside the transaction that does its work, as the last thing: both count, or neither.

    Raise JobStopped, which undoes the work, when it was cancelled or taken over meanwhile.
    """
    held = Job.objects.filter(pk=job.pk, claim=job.claim, state=Job.State.RUNNING)
    if not held.update(state=Job.State.DONE, result=result, progress=1.0, finished_at=clock.wall_now()):
        raise JobStopped(f"Job {job.kind} {job.window} was cancelled or taken over.")
    _clear_alert(job)


def cancel(job: Job) -> bool:
    """Cancel a job that waits or runs; False when it is finished already. One that runs stops at its next step."""
    unfinished = Job.objects.filter(pk=job.pk, state__in=UNFINISHED)
    return bool(unfinished.update(state=Job.State.CANCELLED, finished_at=clock.wall_now()))


def _try_again(held: QuerySet[Job], job: Job, error: Exception) -> None:
    """Put a job whose database was away back in the queue, as one that nobody has heard of since it began.

    That this can be written shows that the database is back. So the next sweep sends it again, unless it began only
    just now: a fault that comes at once must not use up the attempts at once.
    """
    if job.attempts >= KINDS[job.kind].max_attempts:
        log.exception("job %s %s %s failed", job.kind, job.depot, job.window)
        _fail(
            held,
            job,
            later(
                "The database did not answer {attempts} times. The log has the details.",
                attempts=job.attempts,
            ),
        )
        return
    log.warning("job %s %s %s: the database is away (%s)", job.kind, job.depot, job.window, error)
    again = {"state": Job.State.QUEUED, "claim": None, "progress": 0.0, "step": ""}
    _patiently(lambda: held.update(**again, heartbeat_at=F("started_at")))


def _patiently(write: Callable[[], int]) -> int:
    """Write how a job ended, on a new connection where the old one broke, again and again while the database is away.

    Raises what the database says when it is away for longer than `PATIENCE_S`; the sweeper then finds the job.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return write()
        except (DatabaseAway, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > until:
                raise
        connection.close()
        time.sleep(PAUSE_S)


def _fail(held: QuerySet[Job], job: Job, error: str | Sentence) -> None:
    with speaking(job.depot.language if job.depot else ENGLISH):
        said = str(error)
        title = tr(KINDS[job.kind].title) if job.kind in KINDS else job.kind
        alert = tr("Background work failed: {title}", title=title)
    failed = held.update(state=Job.State.FAILED, error=said, finished_at=clock.wall_now())
    if failed and job.depot is not None:
        raise_alert(job.depot, Cause(f"job.{job.kind}", Alert.Level.WARNING, alert, said))


def _clear_alert(job: Job) -> None:
    if job.depot is not None:
        clear(job.depot, f"job.{job.kind}")


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
    return ask_for_due(now) + webhooks.ask_for_due() + sweep()


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
    dead = Job.objects.filter(state=Job.State.RUNNING, heartbeat_at__lt=wall - stale)
    for kind in KINDS.values():
        for job in dead.filter(kind=kind.name, attempts__gte=kind.max_attempts).select_related("depot"):
            error = later(
                "Its worker died {max_attempts} times. The log has the details.",
                max_attempts=kind.max_attempts,
            )
            _fail(dead.filter(pk=job.pk), job, error)
    died = list(dead.values_list("pk", flat=True)[:MOST_MESSAGES])
    again = {"state": Job.State.QUEUED, "claim": None, "heartbeat_at": wall}
    waking = [pk for pk in died if dead.filter(pk=pk).update(**again)]
    waking += _unheard(wall)[: MOST_MESSAGES - len(waking)]
    for job_id in waking:
        Job.objects.filter(pk=job_id).update(heartbeat_at=wall)
        _wake(job_id)
    Job.objects.exclude(state__in=UNFINISHED).filter(finished_at__lt=wall - KEEP_FINISHED).delete()
    return len(waking)


def _unheard(wall: datetime) -> list[uuid.UUID]:
    """Return the waiting jobs to send again, the longest unheard of first.

    Each wait is as long as all before it, up to 5 minutes: a broker that is only slow is not flooded.
    """
    shortest = timedelta(seconds=settings.JOB_UNHEARD_SECONDS)
    waiting = Job.objects.filter(state=Job.State.QUEUED, heartbeat_at__lt=wall - shortest)
    times = waiting.order_by("heartbeat_at").values_list("pk", "heartbeat_at", "started_at", "created_at")
    return [
        pk
        for pk, sent_at, started_at, created_at in times
        if sent_at is not None
        and wall - sent_at >= min(sent_at - (started_at or created_at), LONGEST_UNHEARD)
    ]


def prune_jobs(depot: Depot, kind: str, wall: datetime) -> int:
    """Delete the done jobs of a kind that comes every minute after an hour (wall time); return how many went."""
    done = Job.objects.filter(depot=depot, kind=kind, state=Job.State.DONE)
    return done.filter(finished_at__lt=wall - KEEP_FREQUENT).delete()[0]
