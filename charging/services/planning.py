"""Make a plan, prove it, store it, send it."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from typing import Any

from charging.assemble import Assembled, assemble
from charging.models import Plan
from charging.planner import (
    case_from_json,
    fallback,
    plan_to_json,
    solve,
    unmanaged,
    verify,
)
from charging.services.dispatch import dispatch
from depot import clock
from depot.alerts import clear, raise_alert
from depot.alerts.services import Cause
from depot.models import Depot, Forecast
from depot.services.forecasts import forecast_all

log = logging.getLogger(__name__)

TIME_LIMIT_S = 60.0
FORECAST_AGE_S = 3600.0
KEEP_ALL = timedelta(days=2)


def refresh_forecasts(depot: Depot, now: datetime) -> None:
    """Make new forecasts when the last ones are older than an hour."""
    newest = Forecast.objects.filter(depot=depot, made_at__lte=now).order_by("-made_at").first()
    if newest is None or (now - newest.made_at).total_seconds() >= FORECAST_AGE_S:
        forecast_all(depot, now)


def make_plan(depot: Depot, now: datetime, trigger: str, *, tidy: bool = True) -> Plan:
    """Assemble, solve, verify and store a plan of `depot` at `now`.

    A plan that fails the independent check is replaced by the rule-based fallback, and an alert says so.
    """
    assembled = assemble(depot, now)
    case = case_from_json(assembled.case)
    answer = solve(case, time_limit_s=TIME_LIMIT_S, tidy=tidy)
    violations = verify(case, answer)
    if violations:
        log.error("plan of %s failed its check: %s", depot, "; ".join(v.sentence for v in violations))
        raise_alert(
            depot,
            Cause(
                "plan:unsound",
                "critical",
                "The plan failed its independent check; the rule-based plan is used instead.",
                " ".join(v.sentence for v in violations[:3]),
            ),
        )
        answer = fallback(case)
        violations = verify(case, answer)
    else:
        clear(depot, "plan:unsound")
    return _store(
        depot, now, trigger, assembled, plan_to_json(answer), case, [v.sentence for v in violations]
    )


def _store(
    depot: Depot,
    now: datetime,
    trigger: str,
    assembled: Assembled,
    answer: dict[str, Any],
    case: Any,
    violations: list[str],
) -> Plan:
    grid = assembled.grid
    return Plan.objects.create(
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
        case=assembled.case,
        answer=answer,
        notes={"vehicles": assembled.notes.vehicles, "depot": assembled.notes.depot},
        unmanaged_cost=unmanaged(case).cost.total,
        verified_at=None if violations else clock.now(),
        violations=violations,
    )


def plan_and_dispatch(depot: Depot, trigger: str, *, tidy: bool = True) -> Plan:
    """Plan `depot` now and send the plan to its chargers, unless it failed its check or dispatch is off."""
    now = clock.now()
    refresh_forecasts(depot, now)
    plan = make_plan(depot, now, trigger, tidy=tidy)
    if depot.dispatch_enabled and not plan.violations:
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
