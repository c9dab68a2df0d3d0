"""Will every vehicle be ready? The coming pull-outs, judged by what is known now and by the last plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from charging.models import Connector, Plan
from charging.permission import charge_limit_kw
from depot.models import Depot
from depot.timegrid import TimeGrid
from fleet.models import Vehicle
from fleet.selectors.duties import Duty, duties
from fleet.selectors.needs import Need, need_of

State = Literal["ready", "on_track", "at_risk", "will_miss"]
TOLERANCE = 0.005
STALE_PLAN = timedelta(hours=1)
STALE_SOC = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Readiness:
    """One coming pull-out: what the vehicle needs, what it will have, and what stands in the way."""

    duty: Duty
    vehicle: Vehicle | None
    soc_now: float | None
    soc_at_departure: float | None
    required_soc: float
    state: State
    reason: str
    act_by: datetime | None


def readiness(depot: Depot, now: datetime, horizon: timedelta = timedelta(hours=24)) -> list[Readiness]:
    """Return the pull-outs of the coming `horizon`, in their order."""
    plan = Plan.objects.filter(depot=depot, made_at__lte=now).order_by("-made_at").first()
    related = Connector.objects.filter(charger__depot=depot, vehicle__isnull=False).select_related("charger")
    connectors = {row.vehicle_id: row for row in related}
    found, seen = [], set()
    for duty in duties(depot, now, now + horizon):
        if duty.vehicle is not None and duty.pull_out_at <= now:
            seen.add(duty.vehicle.pk)
        if duty.pull_out_at <= now or duty.pull_out_at > now + horizon:
            continue
        if duty.vehicle is None:
            found.append(_nobody(duty))
            continue
        first = duty.vehicle.pk not in seen
        seen.add(duty.vehicle.pk)
        found.append(_judge(duty, duty.vehicle, connectors.get(duty.vehicle.pk), plan, now, first))
    return found


def _nobody(duty: Duty) -> Readiness:
    reason = f"Block {duty.block.block_id} has no vehicle. Assign one."
    return Readiness(duty, None, None, None, 0.0, "will_miss", reason, duty.pull_out_at)


def _judge(
    duty: Duty, vehicle: Vehicle, connector: Connector | None, plan: Plan | None, now: datetime, first: bool
) -> Readiness:
    need = need_of(duty, vehicle)
    state = getattr(vehicle, "state", None)
    soc_now = state.soc if state else None
    planned = planned_soc(plan, vehicle, duty.pull_out_at)
    latest = _latest_plug_in(need, vehicle, connector, soc_now) if first else None
    verdict, reason = _verdict(need, vehicle, connector, planned, soc_now, plan, now, first)
    act_by = latest if verdict in ("at_risk", "will_miss") else None
    return Readiness(duty, vehicle, soc_now, planned, need.required_soc, verdict, reason, act_by)


def _verdict(
    need: Need,
    vehicle: Vehicle,
    connector: Connector | None,
    planned: float | None,
    soc_now: float | None,
    plan: Plan | None,
    now: datetime,
    first: bool,
) -> tuple[State, str]:
    required = need.required_soc
    wanted = f"needs {required:.0%}"
    if need.exceeds_battery:
        return "will_miss", need.reason
    if soc_now is None:
        return "at_risk", f"Its charge is not known; it {wanted}."
    here = first and bool(vehicle.state.plugged_in)
    enough = soc_now >= required - TOLERANCE
    obstacle = _obstacle(vehicle, connector, plan, now, here=here, first=first)
    if planned is not None and planned < required - TOLERANCE:
        cause = shortfall_cause(plan, vehicle)
        return "will_miss", f"It leaves with {planned:.0%} but {wanted}{': ' + cause if cause else ''}."
    if obstacle and not (first and enough):
        return "at_risk", f"{obstacle} It {wanted}."
    if first and enough and (planned is None or planned >= required - TOLERANCE):
        return "ready", f"Has {soc_now:.0%}, {wanted}."
    if planned is None:
        return "at_risk", f"It is in no plan yet and {wanted}."
    return "on_track", f"Will leave with {planned:.0%}, {wanted}."


def _obstacle(
    vehicle: Vehicle,
    connector: Connector | None,
    plan: Plan | None,
    now: datetime,
    *,
    here: bool,
    first: bool,
) -> str:
    if connector is None:
        return "It has no charger."
    if plan is None or now - plan.made_at > STALE_PLAN:
        return "The plan is older than an hour."
    if first and not here:
        return "It is not plugged in."
    if here and not connector.charger.connected:
        return f"Charger {connector.charger.name} does not answer."
    if here and connector.status == Connector.Status.FAULTED:
        return f"Charger {connector.charger.name} reports a fault."
    if here and now - vehicle.state.soc_observed_at > STALE_SOC:
        return "Its charge was last heard of over two hours ago."
    return ""


def _latest_plug_in(
    need: Need, vehicle: Vehicle, connector: Connector | None, soc_now: float | None
) -> datetime | None:
    """Return when charging at full power must begin at the latest."""
    if connector is None or soc_now is None:
        return None
    charger = connector.charger
    power_kw = charge_limit_kw(vehicle, charger) * charger.charge_efficiency
    if power_kw <= 0:
        return None
    missing_kwh = max(0.0, need.required_soc - soc_now) * vehicle.type.usable_kwh * vehicle.state.soh
    return need.duty.pull_out_at - timedelta(hours=missing_kwh / power_kw)


def planned_soc(plan: Plan | None, vehicle: Vehicle, at: datetime) -> float | None:
    """Return the SoC that a plan foresees for a vehicle at a pull-out; None when the plan does not reach it."""
    row: dict[str, Any] | None = plan.answer["vehicles"].get(str(vehicle.pk)) if plan else None
    if plan is None or row is None:
        return None
    grid = TimeGrid(plan.start_at, plan.step_minutes, plan.steps)
    if not grid.start_at <= at <= grid.end_at:
        return None
    soc: float = row["soc"][grid.boundary_of(at, "pull_out")]
    return soc


def shortfall_cause(plan: Plan | None, vehicle: Vehicle) -> str:
    """Return why a plan misses a target of a vehicle, in its own words."""
    if plan is None:
        return ""
    for shortfall in plan.answer["shortfalls"]:
        if shortfall["vehicle"] == str(vehicle.pk):
            return str(shortfall["cause"])
    return ""
