"""Recurring work on charging: plans, the ledger's intervals."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

from billing.models import SavingsStatement
from charging.planner.highs import SolverError
from charging.selectors.dispatching import situation
from charging.services import proposals, report_work
from charging.services.alerts import watch, watch_links
from charging.services.band import update_band
from charging.services.certificates import warn_of_ends
from charging.services.housekeeping import prune_commands
from charging.services.live_alerts import watch_live
from charging.services.not_ready import record_pull_outs, recorded_until
from charging.services.notices import prune_notices
from charging.services.old_rows import forget_old
from charging.services.outlook import JOB as PEAK_OUTLOOK
from charging.services.outlook import look_again, make_outlook
from charging.services.planning import plan_and_dispatch, prune_plans
from charging.services.relinking import plan_for_links
from charging.services.retention import JOB as RETENTION
from charging.services.retention import MONTHLY, thin
from charging.services.rollup import roll_up
from charging.services.vehicle_days import record_vehicle_days
from depot import clock
from depot.alerts.mail import MailError, mail_alerts
from depot.jobs import Progress, job
from depot.jobs.services import JobError, prune_jobs
from depot.models import Job
from depot.partitions import ensure_partitions
from depot.services.meter_sources import watch_meters
from depot.words import mark, tr
from fleet.assignment.propose import CannotProposeError

EVERY_STEP = timedelta(minutes=15)


@job("plan", title=mark("Plan"), every=EVERY_STEP)
def make_plan(job: Job, progress: Progress) -> dict[str, Any]:
    """Plan the depot and send the plan to its chargers."""
    progress(0.1, tr("Reading vehicles, schedule, prices and forecasts; solving"))
    plan = plan_and_dispatch(job.own_depot, job.payload.get("trigger", tr("Every 15 minutes")))
    look_again(job.own_depot, job.window)
    watch(job.own_depot, clock.now())
    prune_plans(job.own_depot, clock.now())
    prune_commands(job.own_depot, clock.wall_now())
    prune_notices(job.own_depot, clock.now())
    return {"plan": plan.pk, "status": plan.status, "objective": plan.objective, "seconds": plan.seconds}


@job(PEAK_OUTLOOK, title=mark("Demand peak of the coming week"), local_at=time(0, 10))
def look_a_week_ahead(job: Job, progress: Progress) -> dict[str, Any]:
    """Find the demand peaks that are to be expected anyway, for the plans of the day."""
    progress(0.1, tr("Planning the coming week"))
    try:
        made = make_outlook(job.own_depot, clock.now())
    except SolverError as error:
        raise JobError(tr("The coming week could not be planned: {error}", error=error)) from error
    return {"peaks": made.peaks, "seconds": round(made.seconds, 3)}


@job(proposals.JOB, title=mark("Proposal of vehicles"))
def propose_vehicles(job: Job, progress: Progress) -> dict[str, Any]:
    """Work out who should drive what on a day; nothing of the day is changed."""
    depot, day = job.own_depot, date.fromisoformat(job.payload["date"])
    progress(0.1, tr("Reading blocks, vehicles and their charge"))
    known = situation(depot, day, clock.now())
    progress(0.3, tr("Weighing every vehicle for every block"))
    try:
        found = proposals.work_out(known, day)
    except CannotProposeError as error:
        raise JobError(str(error)) from error
    return proposals.as_result(found)


@job(report_work.JOB, title=mark("Report of the year"), local_at=time(3, 15))
def work_out_reports(job: Job, progress: Progress) -> dict[str, Any]:
    """Work out the months' reports of the years that were asked for; each night of this year and the last."""
    depot, now = job.own_depot, clock.now()
    this_year = depot.local(now).year
    years = job.payload.get("years", [this_year - 1, this_year])
    return {"months": report_work.work_out(depot, years, now, progress)}


@job("watch", title=mark("Watch the chargers' links"), every=timedelta(minutes=1))
def watch_chargers(job: Job, progress: Progress) -> dict[str, Any]:
    """Say within a minute or two that chargers, or the gateway, are not heard any more, and plan anew for it."""
    watch_links(job.own_depot, clock.now())
    warn_of_ends(job.own_depot, clock.wall_now())
    why = plan_for_links(job.own_depot, clock.now())
    prune_jobs(job.own_depot, job.kind, clock.wall_now())
    return {"planned_because": why}


@job("rollup", title=mark("Close intervals"), every=timedelta(minutes=5))
def close_intervals(job: Job, progress: Progress) -> dict[str, Any]:
    """Close the intervals that are over, and say which meter is silent."""
    watch_meters(job.own_depot, clock.now())
    return {"closed": roll_up(job.own_depot, clock.now())}


@job("pull-outs", title=mark("Not-ready ledger"), every=timedelta(minutes=5))
def record_not_ready(job: Job, progress: Progress) -> dict[str, Any]:
    """Write down the pull-outs since the last run that were not ready."""
    now = clock.now()
    written = record_pull_outs(job.own_depot, recorded_until(job.own_depot, now), now)
    return {"written": written, "until": now.isoformat()}


@job("alerts", title=mark("Alerts"), every=timedelta(minutes=5))
def look_after(job: Job, progress: Progress) -> dict[str, Any]:
    """Open and clear alerts, and write to those who want it."""
    depot, now = job.own_depot, clock.now()
    watch(depot, now)
    watch_live(depot, now)
    progress(0.8, tr("Writing to people"))
    try:
        return {"mails": mail_alerts(depot, now)}
    except MailError as error:
        raise JobError(str(error)) from error


@job("savings-band", title=mark("How sure the savings are"), local_at=time(5, 0))
def vary_baselines(job: Job, progress: Progress) -> dict[str, Any]:
    """Bill the unmanaged depot of the last two months again with other powers and arrivals."""
    found = SavingsStatement.objects.filter(depot=job.own_depot).select_related(
        "depot", "actual", "unmanaged"
    )
    statements = list(found.order_by("-start_at")[:2])
    for number, statement in enumerate(statements):
        progress(
            number / len(statements),
            tr("Varying {start_at:%B}", start_at=job.own_depot.local(statement.start_at)),
        )
        update_band(statement, clock.now())
    return {"months": len(statements)}


@job(RETENTION, title=mark("Thinning of old readings"), local_at=time(3, 30))
def thin_old_readings(job: Job, progress: Progress) -> dict[str, Any]:
    """Keep only a few readings of each old quarter of an hour, and drop what nothing reads any more."""
    ensure_partitions(MONTHLY, clock.now())
    forgotten = forget_old(job.own_depot, clock.now())
    return thin(job.own_depot, clock.now(), progress).as_json() | forgotten


@job("vehicle-days", title=mark("Energy of each vehicle"), every=timedelta(hours=1))
def add_up_vehicles(job: Job, progress: Progress) -> dict[str, Any]:
    """Write down what each vehicle took and gave today, and on the days before that may have changed."""
    return {"days": record_vehicle_days(job.own_depot, clock.now(), progress)}
