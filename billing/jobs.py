"""Recurring work on money: the bill so far, the month that ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from billing.services.bills import BillingError, bill_month
from depot import clock
from depot.jobs import Progress, job
from depot.jobs.services import JobError
from depot.models import Job


@job("bill", title="Bill so far and savings", every=timedelta(hours=1))
def estimate_bill(job: Job, progress: Progress) -> dict[str, Any]:
    """Bill last month until it is final, and this month so far."""
    now = clock.now()
    today = job.own_depot.local(now).date()
    last_month = today.replace(day=1) - timedelta(days=1)
    try:
        progress(0.1, "Billing last month")
        bill_month(job.own_depot, last_month, now)
        progress(0.5, "Billing this month so far")
        statement = bill_month(job.own_depot, today, now)
    except BillingError as error:
        raise JobError(str(error)) from error
    return {"net_saving": str(statement.net_saving)} if statement else {}
