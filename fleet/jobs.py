"""Recurring work on the fleet."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

from depot import clock
from depot.jobs import Progress, job
from depot.models import Job
from fleet.services.health import assess_fleet


@job("health", title="Battery health", local_at=time(1, 30))
def assess_batteries(job: Job, progress: Progress) -> dict[str, Any]:
    """Age every battery to the end of yesterday."""
    now = clock.now()
    yesterday = job.own_depot.local(now).date() - timedelta(days=1)
    return {"vehicles": assess_fleet(job.own_depot, yesterday, now, progress)}
