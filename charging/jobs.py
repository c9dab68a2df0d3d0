"""Recurring work on charging: plans, the ledger's intervals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from charging.services.alerts import watch
from charging.services.housekeeping import prune_commands
from charging.services.planning import plan_and_dispatch, prune_plans
from charging.services.rollup import roll_up
from depot import clock
from depot.jobs import Progress, job
from depot.models import Job

EVERY_STEP = timedelta(minutes=15)


@job("plan", title="Plan", every=EVERY_STEP)
def make_plan(job: Job, progress: Progress) -> dict[str, Any]:
    """Plan the depot and send the plan to its chargers."""
    progress(0.1, "Reading vehicles, schedule, prices and forecasts; solving")
    plan = plan_and_dispatch(job.own_depot, job.payload.get("trigger", "Every 15 minutes"))
    watch(job.own_depot, clock.now())
    prune_plans(job.own_depot, clock.now())
    prune_commands(job.own_depot, clock.wall_now())
    return {"plan": plan.pk, "status": plan.status, "objective": plan.objective, "seconds": plan.seconds}


@job("rollup", title="Close intervals", every=timedelta(minutes=5))
def close_intervals(job: Job, progress: Progress) -> dict[str, Any]:
    """Close the intervals that are over."""
    return {"closed": roll_up(job.own_depot, clock.now())}
