"""Recurring work on money: the bill so far, the month that ended, corrections of closed months."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

from billing.services.close import bill_months, correct_all, last_two, open_months
from depot import clock
from depot.jobs import Progress, job
from depot.jobs.services import JobError
from depot.models import Job
from depot.words import mark, tr


@job("bill", title=mark("Bill so far and savings"), every=timedelta(hours=1))
def estimate_bill(job: Job, progress: Progress) -> dict[str, Any]:
    """Bill last month until it is final, and this month so far; one that cannot be billed never stops the other."""
    now = clock.now()
    made, problems = bill_months(job.own_depot, last_two(job.own_depot, now), now, progress)
    if problems:
        raise JobError(" ".join(problems))
    return {"net_saving": str(made[-1].net_saving)} if made else {}


@job("close-bills", title=mark("Close and correct bills"), local_at=time(4, 30))
def close_bills(job: Job, progress: Progress) -> dict[str, Any]:
    """Correct final months whose data changed, then bill older months that are not final yet."""
    depot, now = job.own_depot, clock.now()
    corrected, problems = correct_all(
        depot, now, lambda part, step: progress(part / 2, tr("Checking {step}", step=step))
    )
    older = [month for month in open_months(depot, now) if month < min(last_two(depot, now))]
    billed, more = bill_months(
        depot, older, now, lambda part, step: progress((1 + part) / 2, tr("Billing {step}", step=step))
    )
    if problems or more:
        raise JobError(" ".join([*problems, *more]))
    return {"corrected": len(corrected), "billed": len(billed)}
