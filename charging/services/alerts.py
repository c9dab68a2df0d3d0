"""Watch what people should know before the driver comes."""

from __future__ import annotations

from datetime import datetime, timedelta

from charging.models import Charger, Plan
from charging.selectors.readiness import Readiness, readiness
from depot.alerts import sync
from depot.alerts.services import Cause
from depot.models import Depot

NOTICE = timedelta(hours=3)
"""How long before the last moment to act a pull-out at risk becomes an alert."""


def watch(depot: Depot, now: datetime) -> None:
    """Open and clear the alerts on pull-outs, chargers and the plan."""
    sync(depot, "ready:", [_pull_out(depot, row) for row in readiness(depot, now) if _is_urgent(row, now)])
    sync(depot, "charger:", [_silent(charger) for charger in _silent_chargers(depot)])
    plan = Plan.objects.filter(depot=depot, made_at__lte=now).order_by("-made_at").first()
    notes = plan.notes["depot"] if plan else []
    sync(depot, "note:", [Cause(f"note:{note[:80]}", "warning", note) for note in notes])


def _is_urgent(row: Readiness, now: datetime) -> bool:
    """Tell whether somebody must act: it will be missed, or the last moment to act is near or not known."""
    if row.state == "at_risk":
        return row.act_by is None or row.act_by - now <= NOTICE
    return row.state == "will_miss"


def _pull_out(depot: Depot, row: Readiness) -> Cause:
    local = depot.local(row.duty.pull_out_at)
    name = row.vehicle.name if row.vehicle else f"Block {row.duty.block.block_id}"
    level = "critical" if row.state == "will_miss" else "warning"
    words = "will not be ready" if row.state == "will_miss" else "may not be ready"
    act_by = f" Act by {depot.local(row.act_by):%H:%M}." if row.act_by else ""
    return Cause(
        f"ready:{row.duty.block.pk}:{row.duty.service_date}",
        level,
        f"{name} {words} for {local:%H:%M} (block {row.duty.block.block_id})",
        f"{row.reason}{act_by}",
    )


def _silent_chargers(depot: Depot) -> list[Charger]:
    """Return chargers that have spoken before but are not connected now."""
    return list(Charger.objects.filter(depot=depot, connected=False, booted_at__isnull=False))


def _silent(charger: Charger) -> Cause:
    return Cause(
        f"charger:{charger.pk}",
        "warning",
        f"Charger {charger.name} does not answer",
        "It keeps to its safe charging level until it is back. Check its power and network.",
    )
