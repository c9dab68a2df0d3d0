"""The two messages that travel: run this job; look what is due."""

from celery import shared_task

from depot import clock
from depot.jobs import services


@shared_task(name="depot.run_job")
def run_job(job_id: str) -> None:
    services.run(job_id)


@shared_task(name="depot.tick", expires=30)
def tick() -> None:
    services.tick(clock.now())
