"""Turn a stored plan into commands, one schedule for each connector."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import transaction

from charging.models import Connector, Plan
from charging.services.commands import send
from depot import clock
from depot.models import Depot
from depot.timegrid import TimeGrid

SHORTEST_LIFE = timedelta(seconds=20)


def dispatch(plan: Plan) -> int:
    """Send each connector of the depot its powers from the running step on; return how many schedules were queued.

    All are queued or none, and none once a newer plan was sent. Discharge stays valid offline for two steps at
    most: a charger that has lost us goes back to its safe default. A plan that failed its check raises ValueError.
    """
    if plan.violations:
        raise ValueError(f"Plan {plan.pk} failed its check and is not sent: {plan.violations[0]}")
    grid = TimeGrid(plan.start_at, plan.step_minutes, plan.steps)
    now = clock.now()
    if not grid.start_at <= now < grid.end_at:
        return 0
    first = grid.index_of(now)
    step_s = grid.step.total_seconds()
    lifetime = max(timedelta(seconds=clock.wall_seconds(2 * step_s)), SHORTEST_LIFE)
    with transaction.atomic():
        Depot.objects.select_for_update(no_key=True).get(pk=plan.depot_id)  # one plan at a time
        if Plan.objects.filter(
            depot=plan.depot_id, made_at__gt=plan.made_at, dispatched_at__isnull=False
        ).exists():
            return 0
        schedules = list(_schedules(plan, first))
        for connector, powers in schedules:
            send(
                connector.charger,
                "set_schedule",
                {
                    "evse_id": connector.evse_id,
                    "start_at": grid.time_of(first).isoformat(),
                    "step_seconds": int(step_s),
                    "max_offline_s": int(2 * step_s),
                    **powers,
                },
                connector=connector,
                plan=plan,
                coalesce=f"schedule:{connector.pk}",
                lifetime=lifetime,
            )
        Plan.objects.filter(pk=plan.pk).update(dispatched_at=now)
    return len(schedules)


def _schedules(plan: Plan, first: int) -> Iterator[tuple[Connector, dict[str, Any]]]:
    """Yield the signed powers of each connector and the vehicle they are for.

    A connector for which the plan has no vehicle gets the charger's safe level, lest it keeps to an older plan.
    """
    rows = {row["charger"]: (int(key), row) for key, row in plan.answer["vehicles"].items()}
    connectors = Connector.objects.filter(charger__depot=plan.depot_id).select_related("charger")
    for connector in connectors.prefetch_related("charger__connectors"):
        if str(connector.pk) not in rows:
            level = connector.charger.fallback_share_kw
            yield connector, {"vehicle_id": None, "power_kw": [level] * (plan.steps - first)}
            continue
        vehicle_id, row = rows[str(connector.pk)]
        signed = zip(row["charge_kw"][first:], row["discharge_kw"][first:], strict=True)
        powers = [round(charge - discharge, 3) for charge, discharge in signed]
        yield connector, {"vehicle_id": vehicle_id, "power_kw": powers}
