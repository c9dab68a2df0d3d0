"""Plan anew when a charger that others rely on is lost, and when one that was lost is back."""

from __future__ import annotations

from datetime import datetime, timedelta

from charging.models import Charger, ChargerCommand, Plan
from charging.planner.offline import NEAR_STEPS
from charging.selectors.held import away_chargers
from charging.selectors.links import linked
from depot.jobs import enqueue
from depot.models import Depot
from depot.words import tr


def plan_for_links(depot: Depot, now: datetime) -> str:
    """Ask for a plan, once a minute at most, if the last one sent is wrong about who is linked; return why, or ""."""
    plan = (
        Plan.objects.filter(depot=depot, dispatched_at__isnull=False, made_at__lte=now)
        .order_by("-made_at")
        .first()
    )
    if plan is None or not depot.dispatch_enabled:
        return ""
    missed = plan.notes.get("away", [])
    back = Charger.objects.filter(linked(now), pk__in=missed).first()
    lost = next((one for one in _lost(plan, away_chargers(depot, now) - set(missed), now)), None)
    if back is None and lost is None:
        return ""
    trigger = (
        tr("{back} is back", back=back)
        if back is not None
        else tr("{lost} is lost while it discharges", lost=lost)
    )
    enqueue("plan", depot, f"links {now:%Y-%m-%dT%H:%M}", {"trigger": trigger})
    return trigger


def _lost(plan: Plan, silent: set[int], now: datetime) -> list[Charger]:
    """Return the chargers among the silent ones that the plan lets discharge now or in the next step."""
    ahead = now + timedelta(minutes=plan.step_minutes) * NEAR_STEPS
    commands = ChargerCommand.objects.filter(plan=plan, action="set_schedule", charger__in=silent)
    return [
        command.charger for command in commands.select_related("charger") if _discharges(command, now, ahead)
    ]


def _discharges(command: ChargerCommand, now: datetime, until: datetime) -> bool:
    start_at = datetime.fromisoformat(command.payload["start_at"])
    step = timedelta(seconds=command.payload["step_seconds"])
    first, last = max((now - start_at) // step, 0), max((until - start_at) // step, 0)
    return any(power < 0 for power in command.payload["power_kw"][first:last])
