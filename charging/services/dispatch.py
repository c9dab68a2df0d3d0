"""Turn a stored plan into commands, one schedule for each connector."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import transaction

from charging.models import ChargerCommand, ChargingSession, Connector, Plan
from charging.permission import WORDS_FOR_DISCHARGE
from charging.planner.case import case_from_json
from charging.planner.offline import NEAR_STEPS, Offline, offline_powers
from charging.planner.plan import plan_from_json
from charging.services.commands import send
from depot import clock
from depot.models import Depot
from depot.timegrid import TimeGrid
from depot.words import tr

SHORTEST_LIFE = timedelta(seconds=20)
OFFLINE_S = 30
"""So long a charger of OCPP 2.1 that has lost its link goes on with what may rely on others' discharge."""


def dispatch(plan: Plan) -> int:
    """Send each connector of the depot its powers from the running step on; return how many schedules were queued.

    All are queued or none, and none once a newer plan was sent or dispatch is off. With them goes what the charger
    does on its own when the link or the server is gone; see `planner.offline`. A plan that failed its check, or
    was never checked, raises ValueError.
    """
    if plan.violations:
        raise ValueError(
            tr(
                "Plan {pk} failed its check and is not sent: {violations}",
                pk=plan.pk,
                violations=plan.violations[0],
            )
        )
    if plan.verified_at is None:
        raise ValueError(tr("Plan {pk} was never checked and is not sent.", pk=plan.pk))
    grid = TimeGrid(plan.start_at, plan.step_minutes, plan.steps)
    now = clock.now()
    if not grid.start_at <= now < grid.end_at:
        return 0
    first = grid.index_of(now)
    step_s = grid.step.total_seconds()
    lifetime = max(timedelta(seconds=clock.wall_seconds(NEAR_STEPS * step_s)), SHORTEST_LIFE)
    with transaction.atomic():
        depot = Depot.objects.select_for_update(no_key=True).get(pk=plan.depot_id)  # one plan at a time
        newer = Plan.objects.filter(depot=depot, made_at__gt=plan.made_at, dispatched_at__isnull=False)
        if not depot.dispatch_enabled or newer.exists():
            return 0
        connectors = Connector.objects.filter(charger__depot=plan.depot_id).select_related("charger")
        away = plan.notes.get("away", [])
        _keep_as_they_are(away)
        places = list(connectors.exclude(charger__in=away).prefetch_related("charger__connectors"))
        offline = _offline(plan, places, first)
        max_offline_s = (
            int(NEAR_STEPS * step_s) if offline.relies else min(OFFLINE_S, int(NEAR_STEPS * step_s))
        )
        schedules = list(_schedules(plan, places, offline, first))
        for connector, powers in schedules:
            send(
                connector.charger,
                "set_schedule",
                {
                    "evse_id": connector.evse_id,
                    "start_at": grid.time_of(first).isoformat(),
                    "step_seconds": int(step_s),
                    "max_offline_s": max_offline_s,
                    **powers,
                },
                connector=connector,
                plan=plan,
                coalesce=f"schedule:{connector.pk}",
                lifetime=lifetime,
            )
        Plan.objects.filter(pk=plan.pk).update(dispatched_at=now)
    return len(schedules)


def _keep_as_they_are(away: list[int]) -> None:
    """Take back what waits for chargers that are not heard: the plan counts on what they hold."""
    waiting = ChargerCommand.objects.filter(charger__in=away, action="set_schedule", plan__isnull=False)
    waiting.filter(state=ChargerCommand.State.WAITING).update(
        state=ChargerCommand.State.SUPERSEDED, answered_at=clock.wall_now()
    )


def _offline(plan: Plan, places: list[Connector], first: int) -> Offline:
    """Return what the chargers do on their own from the running step on.

    To a plug that has no vehicle in the plan one may come that nobody expects: its safe level is kept free.
    """
    case, answer = case_from_json(plan.case, f"plan {plan.pk}"), plan_from_json(plan.answer)
    planned = {row.charger: name for name, row in answer.vehicles.items()}
    nodes = {node.id for node in case.site.nodes}
    sessions = ChargingSession.objects.filter(connector__in=places, unplugged_at__isnull=True)
    counted = set(sessions.values_list("connector", flat=True))  # the case keeps room for them already
    reserved: dict[str | None, float] = {}
    slow = []
    for connector in places:
        charger = connector.charger
        if str(connector.pk) in planned:
            if charger.protocol != WORDS_FOR_DISCHARGE:
                slow.append(planned[str(connector.pk)])
        elif charger.booted_at is not None and connector.pk not in counted:
            names = (f"cabinet-{charger.pk}", str(charger.node_id))
            node = next((name for name in names if name in nodes), None)
            reserved[node] = reserved.get(node, 0.0) + charger.fallback_share_kw
    return offline_powers(case, answer, first=first, slow=slow, reserved_kw=reserved)


def _schedules(
    plan: Plan, places: list[Connector], offline: Offline, first: int
) -> Iterator[tuple[Connector, dict[str, Any]]]:
    """Yield for each connector the vehicle it is for, the signed powers, and what it does on its own.

    A connector for which the plan has no vehicle gets the charger's safe level, lest it keeps to an older plan.
    """
    rows = {row["charger"]: (key, row) for key, row in plan.answer["vehicles"].items()}
    for connector in places:
        if str(connector.pk) not in rows:
            level = connector.charger.fallback_share_kw
            yield connector, {"vehicle_id": None, "power_kw": [level] * (plan.steps - first)}
            continue
        key, row = rows[str(connector.pk)]
        signed = zip(row["charge_kw"][first:], row["discharge_kw"][first:], strict=True)
        powers = [round(charge - discharge, 3) for charge, discharge in signed]
        alone = [round(float(power), 3) for power in offline.charge_kw[key][first:]]
        yield connector, {"vehicle_id": int(key), "power_kw": powers, "offline_kw": alone}
