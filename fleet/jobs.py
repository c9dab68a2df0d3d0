"""Recurring work on the fleet."""

from __future__ import annotations

from dataclasses import asdict
from datetime import time, timedelta
from typing import Any

from depot import clock
from depot.jobs import Progress, job
from depot.jobs.services import finish, prune_jobs
from depot.models import ImportBatch, Job
from depot.words import mark
from fleet.services import schedules, telematics
from fleet.services.consumption import JOB, learn_consumption
from fleet.services.health import assess_fleet


@job("health", title=mark("Battery health"), local_at=time(1, 30))
def assess_batteries(job: Job, progress: Progress) -> dict[str, Any]:
    """Age every battery to the end of yesterday."""
    now = clock.now()
    yesterday = job.own_depot.local(now).date() - timedelta(days=1)
    return {"vehicles": assess_fleet(job.own_depot, yesterday, now, progress)}


@job(JOB, title=mark("What vehicles use per kilometre"), local_at=time(2, 15))
def learn_what_vehicles_use(job: Job, progress: Progress) -> dict[str, Any]:
    """Measure the trips up to the end of yesterday and learn from them."""
    now = clock.now()
    yesterday = job.own_depot.local(now).date() - timedelta(days=1)
    return asdict(learn_consumption(job.own_depot, yesterday, now, progress))


@job(schedules.CHECK, title=mark("Check of the schedule file"))
def check_schedule(job: Job, progress: Progress) -> dict[str, Any]:
    """Check an uploaded file and keep what was found; nothing of the schedule is written."""
    batch = ImportBatch.objects.of_depot(job.own_depot).select_related("depot").get(pk=job.payload["batch"])
    return {"batch": batch.pk, "state": schedules.look(batch, progress).state}


@job(schedules.SAVE, title=mark("Saving of the schedule file"))
def save_schedule(job: Job, progress: Progress) -> dict[str, Any]:
    """Save a checked file, all of it or nothing; one that may not be saved as it was shown is checked again."""
    batch = ImportBatch.objects.of_depot(job.own_depot).select_related("depot").get(pk=job.payload["batch"])
    replace, shown = job.payload["replace"], job.payload["change"]

    def done(saved: schedules.Saved) -> None:
        finish(job, {"batch": batch.pk, "saved": asdict(saved)})

    try:
        saved = schedules.commit(batch, job.requested_by, replace, shown, progress, done)
    except schedules.ScheduleRefused as refusal:
        schedules.look(batch, progress)
        return {"batch": batch.pk, "refused": str(refusal)}
    return {"batch": batch.pk, "saved": asdict(saved)}


@job("telematics", title=mark("Feeds of telematics makers"), every=timedelta(minutes=1))
def poll_telematics(job: Job, progress: Progress) -> dict[str, Any]:
    """Ask the makers' feeds for what vehicles said since the last time."""
    found = telematics.poll(job.own_depot, clock.now())
    prune_jobs(job.own_depot, job.kind, clock.wall_now())
    return found
