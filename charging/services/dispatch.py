"""Turn a stored plan into commands, one schedule for each connector."""

from __future__ import annotations

from datetime import timedelta

from charging.models import Connector, Plan
from charging.services.commands import send
from depot import clock
from depot.timegrid import TimeGrid

SHORTEST_LIFE = timedelta(seconds=20)


def dispatch(plan: Plan) -> int:
    """Send each connector its vehicle's powers from the running step on; return how many schedules were queued.

    Discharge stays valid offline for two steps at most: a charger that has lost us goes back to its safe default.
    A plan that failed its check raises ValueError.
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
    powers = {row["charger"]: row for row in plan.answer["vehicles"].values()}
    connectors = Connector.objects.filter(pk__in=[int(key) for key in powers]).select_related("charger")
    for connector in connectors:
        row = powers[str(connector.pk)]
        signed = zip(row["charge_kw"][first:], row["discharge_kw"][first:], strict=True)
        send(
            connector.charger,
            "set_schedule",
            {
                "evse_id": connector.evse_id,
                "start_at": grid.time_of(first).isoformat(),
                "step_seconds": int(step_s),
                "power_kw": [round(charge - discharge, 3) for charge, discharge in signed],
                "max_offline_s": int(2 * step_s),
            },
            connector=connector,
            plan=plan,
            coalesce=f"schedule:{connector.pk}",
            lifetime=lifetime,
        )
    Plan.objects.filter(pk=plan.pk).update(dispatched_at=now)
    return len(connectors)
