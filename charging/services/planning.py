"""Make a plan, prove it, store it, send it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from charging.assemble import Assembled, assemble
from charging.models import Plan
from charging.planner.baseline import unmanaged
from charging.planner.case import DepotCase, case_from_json
from charging.planner.highs import SolverError
from charging.planner.plan import DepotPlan, plan_to_json
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from charging.services.dispatch import dispatch
from charging.services.standing_down import stand_down_if_steered
from depot import clock
from depot.alerts import clear, raise_alert
from depot.alerts.services import Cause
from depot.models import Depot, Forecast, Webhook
from depot.services.forecasts import forecast_all
from depot.webhooks import publish
from depot.words import tr

log = logging.getLogger(__name__)

TIME_LIMIT_S = 8.0
GAP = 5e-4
"""A plan proven this near to the best possible is good enough to send."""
FORECAST_AGE_S = 5400.0
KEEP_ALL = timedelta(days=2)


def refresh_forecasts(depot: Depot, now: datetime) -> None:
    """Make new forecasts when the hourly job has not made any for an hour and a half."""
    newest = Forecast.objects.filter(depot=depot, made_at__lte=now).order_by("-made_at").first()
    if newest is None or (now - newest.made_at).total_seconds() >= FORECAST_AGE_S:
        forecast_all(depot, now)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan that is not stored yet: the case as assembled and as read, the answer, and what its check found."""

    assembled: Assembled
    case: DepotCase
    answer: DepotPlan
    violations: list[str]
    rejected: list[str]


def propose(depot: Depot, now: datetime, *, tidy: bool = True, gap: float = GAP) -> Proposal:
    """Assemble, solve and verify; the rule-based plan stands in where the solver fails or its answer is unsound."""
    assembled = assemble(depot, now)
    case = case_from_json(assembled.case)
    try:
        answer = solve(case, TIME_LIMIT_S, tidy=tidy, gap=gap, last=assembled.last)
        rejected = _faults(case, answer)
    except SolverError as error:
        rejected = [tr("The solver failed: {error}", error=error)]
    else:
        if not rejected:
            return Proposal(assembled, case, answer, [], [])
    answer = fallback(case)
    return Proposal(assembled, case, answer, _faults(case, answer), rejected)


def _faults(case: DepotCase, answer: DepotPlan) -> list[str]:
    return [violation.sentence for violation in verify(case, answer)]


def make_plan(depot: Depot, now: datetime, trigger: str, *, tidy: bool = True) -> Plan:
    """Plan `depot` at `now` and store the plan; an alert says so when the solver's plan failed its check."""
    proposal = propose(depot, now, tidy=tidy)
    if proposal.rejected:
        log.error("plan of %s failed its check: %s", depot, "; ".join(proposal.rejected))
        outcome = (
            tr("nothing is sent and chargers keep what they have")
            if proposal.violations
            else tr("the rule-based plan is used instead")
        )
        title = tr("The plan failed its independent check; {outcome}.", outcome=outcome)
        raise_alert(depot, Cause("plan:unsound", "critical", title, " ".join(proposal.rejected[:3])))
    else:
        clear(depot, "plan:unsound")
    grid, notes = proposal.assembled.grid, proposal.assembled.notes
    answer = plan_to_json(proposal.answer)
    plan = Plan(
        depot=depot,
        made_at=now,
        start_at=grid.start_at,
        step_minutes=grid.step_minutes,
        steps=grid.steps,
        trigger=trigger[:80],
        status=answer["status"],
        objective=answer["objective"],
        bound=answer["bound"],
        gap=answer["gap"],
        seconds=answer["seconds"]["total"],
        currency=depot.currency,
        case=proposal.assembled.case,
        answer=answer,
        notes={
            "vehicles": notes.vehicles,
            "depot": list(notes.depot.values()),
            "depot_keys": list(notes.depot),
            "remarks": notes.remarks,
            "away": notes.away,
            "peaks": notes.peaks,
        },
        unmanaged_cost=unmanaged(proposal.case).cost.total,
        verified_at=None if proposal.violations else clock.now(),
        violations=proposal.violations,
    )
    with transaction.atomic():
        plan.save()
        publish(depot, Webhook.Topic.PLANS, "plan.changed", _told(plan))
    return plan


def _told(plan: Plan) -> dict[str, Any]:
    """Return what programs are told of a new plan; the rest is at `plans/latest`."""
    return {
        "id": plan.pk,
        "made_at": plan.made_at.isoformat(),
        "trigger": plan.trigger,
        "status": plan.status,
        "objective": plan.objective,
        "currency": plan.currency,
        "sent": plan.depot.dispatch_enabled and not plan.violations,
        "shortfalls": [row for row in plan.answer["shortfalls"] if row["tier"] == "must"],
    }


def plan_and_dispatch(depot: Depot, trigger: str, *, tidy: bool = True) -> Plan:
    """Plan `depot` now and send the plan to its chargers, unless it failed its check or dispatch is off."""
    now = clock.now()
    refresh_forecasts(depot, now)
    plan = make_plan(depot, now, trigger, tidy=tidy)
    if not depot.dispatch_enabled:
        stand_down_if_steered(depot)
    elif not plan.violations:
        dispatch(plan)
    return plan


def prune_plans(depot: Depot, now: datetime) -> int:
    """Delete the plans older than two days but the first of each local day; return how many went."""
    old = Plan.objects.filter(depot=depot, made_at__lt=now - KEEP_ALL).order_by("made_at")
    kept: set[date] = set()
    gone = []
    for pk, made_at in old.values_list("pk", "made_at"):
        day = depot.local(made_at).date()
        if day in kept:
            gone.append(pk)
        kept.add(day)
    return Plan.objects.filter(pk__in=gone).delete()[0]
