"""What a schedule that is not saved yet means for the coming pull-outs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Literal

from charging.models import Connector
from charging.selectors.readiness import JUST_BACK, SEVERITY, Readiness, connectors_of, judged
from depot.models import Depot
from depot.words import day_words, tr
from fleet.formats.preview import Preview
from fleet.models import Block, Vehicle
from fleet.selectors.duties import Duty, duties
from fleet.selectors.schedule_if import duties_if
from fleet.services.effects import effect

AHEAD = timedelta(days=3)
LISTED = 50

Standing = Literal["sure", "doubtful", "unknown", "open"]
Key = tuple[str, date]


@effect("readiness")
def readiness_effect(depot: Depot, found: Preview, replacing: bool, now: datetime) -> dict[str, Any]:
    """Say which pull-outs of the next three days become doubtful, and which are doubtful no longer.

    Both schedules are judged by what charging at full power whenever a vehicle is here can give: no plan knows of
    the new one, and so the difference is the schedule's alone. Site limits are the next plan's matter.
    """
    connectors = connectors_of(depot)
    before = _judged(duties(depot, now - JUST_BACK, now + AHEAD), connectors, now)
    after = _judged(duties_if(depot, found, replacing, now - JUST_BACK, now + AHEAD), connectors, now)
    worse = [
        row for key, row in after.items() if _is(row, "doubtful") and not _is(before.get(key), "doubtful")
    ]
    better = [
        row for key, row in before.items() if _is(row, "doubtful") and not _is(after.get(key), "doubtful")
    ]
    return {
        "until": (now + AHEAD).isoformat(),
        "cannot": _cannot(depot, before, after),
        "pull_outs": len(after),
        "added": len(after.keys() - before.keys()),
        "dropped": len(before.keys() - after.keys()),
        "worse_count": len(worse),
        "worse": [_line(row, depot) for row in worse[:LISTED]],
        "better_count": len(better),
        "better": [_line(row, depot, _why_better(after.get(_key(row)))) for row in better[:LISTED]],
        "open": _count(after.values(), "open"),
        "open_before": _count(before.values(), "open"),
        "unknown": _count(after.values(), "unknown"),
        "without_need": sum(_says_no_need(row.duty.block) for row in after.values()),
    }


def _judged(coming: list[Duty], connectors: dict[int, Connector], now: datetime) -> dict[Key, Readiness]:
    """Return the pull-outs by block and service day; of two of one name the worse."""
    rows = judged(coming, connectors, None, now, AHEAD, {duty.key for duty in coming})
    return {_key(row): row for row in sorted(rows, key=lambda row: SEVERITY[row.state])}


def _key(row: Readiness) -> Key:
    return row.duty.block.block_id, row.duty.service_date


def _standing(row: Readiness) -> Standing:
    """Tell whether a pull-out is sure, doubtful, has no vehicle, or cannot be judged as no charge is known."""
    if row.sure:
        return "sure"
    if row.vehicle is None:
        return "open"
    state = getattr(row.vehicle, "state", None)
    return "unknown" if state is None and row.state == "at_risk" else "doubtful"


def _is(row: Readiness | None, standing: Standing) -> bool:
    return row is not None and _standing(row) == standing


def _count(rows: Iterable[Readiness], standing: Standing) -> int:
    return sum(_is(row, standing) for row in rows)


def _says_no_need(block: Block) -> bool:
    return block.distance_km is None and block.energy_kwh is None and block.min_soc_departure is None


def _cannot(depot: Depot, before: dict[Key, Readiness], after: dict[Key, Readiness]) -> str:
    """Say why readiness cannot be told; "" when it can."""
    if not before and not after:
        return tr("No pull-out lies in the next three days, with this file or without it.")
    if not Vehicle.objects.of_depot(depot).filter(active=True).exists():
        return tr("This depot has no vehicles yet, so no pull-out can be judged.")
    if after and all(_is(row, "unknown") for row in after.values()):
        return tr("No vehicle has said how full it is, so no pull-out can be judged.")
    return ""


def _why_better(after: Readiness | None) -> str:
    if after is None:
        return tr("It does not run any more.")
    return tr("It has no vehicle any more.") if after.vehicle is None else after.reason


def _line(row: Readiness, depot: Depot, reason: str = "") -> dict[str, str]:
    local = depot.local(row.duty.pull_out_at)
    return {
        "block": row.duty.block.block_id,
        "vehicle": str(row.vehicle or ""),
        "when": f"{day_words(local)} {local:%H:%M}",
        "state": row.state,
        "reason": reason or row.reason,
    }
