"""Will every vehicle be ready? The coming pull-outs, judged by what is known now and by the last plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from charging.models import Connector, Plan
from charging.permission import charge_limit_kw
from charging.selectors.plans import grid_of, latest_plan
from depot.models import Depot
from depot.templatetags.depot_pages import percent
from fleet.models import Vehicle
from fleet.selectors.duties import Duty, duties
from fleet.selectors.needs import Need, need_of

State = Literal["ready", "on_track", "at_risk", "will_miss"]
TOLERANCE = 0.005
STALE_PLAN = timedelta(hours=1)
STALE_SOC = timedelta(hours=2)
JUST_BACK = timedelta(minutes=30)
TIME_TO_ACT = timedelta(hours=1)


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

    @property
    def sure(self) -> bool:
        """Tell whether nothing is in the way."""
        return self.state in ("ready", "on_track")


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of one pull-out. `first` is false while another duty of the vehicle comes before it;
    `back_at` is when its last duty ended, if that was less than half an hour ago."""

    need: Need
    vehicle: Vehicle
    connector: Connector | None
    plan: Plan | None
    now: datetime
    first: bool
    back_at: datetime | None = None

    @property
    def soc_now(self) -> float | None:
        state = getattr(self.vehicle, "state", None)
        return state.soc if state else None

    @property
    def here(self) -> bool:
        return self.first and self.soc_now is not None and self.vehicle.state.plugged_in

    @property
    def enough(self) -> bool:
        """Tell whether it could leave now."""
        return self.first and self.soc_now is not None and reaches(self.soc_now, self.need.required_soc)


def reaches(soc: float, required_soc: float) -> bool:
    """Tell whether a SoC is enough, within half a point."""
    return soc >= required_soc - TOLERANCE


def readiness(depot: Depot, now: datetime, horizon: timedelta = timedelta(hours=24)) -> list[Readiness]:
    """Return the pull-outs of the coming `horizon`, in their order."""
    plan = latest_plan(depot, now)
    related = Connector.objects.filter(charger__depot=depot, vehicle__isnull=False).select_related("charger")
    connectors = {row.vehicle_id: row for row in related}
    found, seen, back_at = [], set(), {}
    for duty in duties(depot, now - JUST_BACK, now + horizon):
        if duty.vehicle is not None and duty.pull_in_at <= now:
            back_at[duty.vehicle.pk] = duty.pull_in_at
        elif duty.vehicle is not None and duty.pull_out_at <= now:
            seen.add(duty.vehicle.pk)
        if duty.pull_out_at <= now or duty.pull_out_at > now + horizon:
            continue
        if duty.vehicle is None:
            found.append(_nobody(duty))
            continue
        first = duty.vehicle.pk not in seen
        seen.add(duty.vehicle.pk)
        connector, back = connectors.get(duty.vehicle.pk), back_at.get(duty.vehicle.pk)
        need = need_of(duty, duty.vehicle)
        found.append(_judge(Case(need, duty.vehicle, connector, plan, now, first, back)))
    return found


def _nobody(duty: Duty) -> Readiness:
    reason = f"Block {duty.block.block_id} has no vehicle. Assign one."
    return Readiness(duty, None, None, None, 0.0, "will_miss", reason, duty.pull_out_at)


def _judge(case: Case) -> Readiness:
    duty = case.need.duty
    planned = planned_soc(case.plan, case.vehicle, duty.pull_out_at)
    state, reason = _verdict(case, planned)
    act_by = _act_by(case) if state in ("at_risk", "will_miss") else None
    required = case.need.required_soc
    return Readiness(duty, case.vehicle, case.soc_now, planned, required, state, reason, act_by)


def _verdict(case: Case, planned: float | None) -> tuple[State, str]:
    if miss := _miss(case, planned):
        return "will_miss", miss
    needs = f"needs {percent(case.need.required_soc)}"
    if case.soc_now is None:
        return "at_risk", f"Its charge is not known; it {needs}."
    has = percent(case.soc_now)
    obstacle = _obstacle(case)
    if case.enough and (obstacle or _keeps_enough(case)):
        return "ready", f"Has {has}, {needs}."
    if _is_being_parked(case):
        return "on_track", f"It has just come back with {has} and {needs}; plug it in."
    if obstacle and not case.enough:
        return "at_risk", f"{obstacle} It has {has} and {needs}."
    if planned is None:
        return "at_risk", f"It is in no plan yet and {needs}."
    return "on_track", f"Will leave with {percent(planned)}, {needs}."


def _miss(case: Case, planned: float | None) -> str:
    """Say why the vehicle cannot have what it needs; "" when it can."""
    required = case.need.required_soc
    needs = f"needs {percent(required)}"
    if case.need.exceeds_battery:
        return case.need.reason
    if case.soc_now is not None and planned is not None and not reaches(planned, required):
        cause = shortfall_cause(case.plan, case.vehicle)
        return f"It leaves with {percent(planned)} but {needs}{': ' + cause if cause else ''}."
    reachable = _reachable_soc(case)
    if reachable is not None and not reaches(reachable, required):
        return f"Even at full power from now on it leaves with {percent(reachable)}; it {needs}."
    return ""


def _obstacle(case: Case) -> str:
    connector = case.connector
    if connector is None:
        return "It has no charger."
    if case.plan is None:
        return "There is no plan yet."
    if case.now - case.plan.made_at > STALE_PLAN:
        return "The plan is older than an hour."
    if case.first and not case.here:
        return "It is not plugged in."
    if case.here and not connector.charger.connected:
        return f"Charger {connector.charger.name} does not answer."
    if case.here and connector.status == Connector.Status.FAULTED:
        return f"Charger {connector.charger.name} reports a fault."
    if case.here and case.now - case.vehicle.state.soc_observed_at > STALE_SOC:
        return "Its charge was last heard of over two hours ago."
    return ""


def _is_being_parked(case: Case) -> bool:
    """Tell whether a vehicle came back so lately that nobody need worry that it is not plugged in yet."""
    if case.back_at is None or case.here or not case.first or case.connector is None or case.enough:
        return False
    act_by = _act_by(case)
    return act_by is not None and act_by - case.now > TIME_TO_ACT


def _full_power_kw(case: Case) -> float:
    """Return the most power that reaches the battery, in kW; 0 without a charger."""
    if case.connector is None:
        return 0.0
    charger = case.connector.charger
    return charge_limit_kw(case.vehicle, charger) * charger.charge_efficiency


def _reachable_soc(case: Case) -> float | None:
    """Return the SoC at pull-out if it charged at full power from now on; None when that cannot be told."""
    power_kw = _full_power_kw(case)
    if not case.first or case.soc_now is None or power_kw <= 0:
        return None
    hours = (case.need.duty.pull_out_at - case.now).total_seconds() / 3600
    return min(case.vehicle.type.max_soc, case.soc_now + power_kw * hours / case.vehicle.capacity_kwh)


def _act_by(case: Case) -> datetime | None:
    """Return until when acting helps: full power must begin; after that only another vehicle can leave instead."""
    pull_out_at, power_kw = case.need.duty.pull_out_at, _full_power_kw(case)
    if not case.first or case.soc_now is None or power_kw <= 0:
        return pull_out_at
    missing_kwh = max(0.0, case.need.required_soc - case.soc_now) * case.vehicle.capacity_kwh
    latest = pull_out_at - timedelta(hours=missing_kwh / power_kw)
    return latest if latest > case.now else pull_out_at


def _keeps_enough(case: Case) -> bool:
    """Tell whether the plan leaves the vehicle what it needs until it leaves, and does not use it meanwhile."""
    row = case.plan.answer["vehicles"].get(str(case.vehicle.pk)) if case.plan else None
    if case.plan is None or row is None:
        return True
    grid = grid_of(case.plan)
    ahead = row["soc"][
        grid.boundary_of(case.now, "pull_in") : grid.boundary_of(case.need.duty.pull_out_at, "pull_out") + 1
    ]
    return reaches(min(ahead, default=1.0), case.need.required_soc)


def planned_soc(plan: Plan | None, vehicle: Vehicle, at: datetime) -> float | None:
    """Return the SoC that a plan foresees for a vehicle at a pull-out; None when the plan does not reach it."""
    row: dict[str, Any] | None = plan.answer["vehicles"].get(str(vehicle.pk)) if plan else None
    if plan is None or row is None:
        return None
    grid = grid_of(plan)
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
            return str(shortfall["cause"]).rstrip(".")
    return ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """All coming pull-outs in one answer; a vehicle counts once, as its most doubtful pull-out."""

    rows: list[Readiness]

    @property
    def vehicles(self) -> dict[int, bool]:
        """Return by vehicle id whether all its pull-outs are sure."""
        sure: dict[int, bool] = {}
        for row in self.rows:
            if row.vehicle is not None:
                sure[row.vehicle.pk] = sure.get(row.vehicle.pk, True) and row.sure
        return sure

    @property
    def counts(self) -> dict[State, int]:
        """Return how many pull-outs are in each state."""
        states: tuple[State, ...] = ("ready", "on_track", "at_risk", "will_miss")
        return {state: sum(row.state == state for row in self.rows) for state in states}

    @property
    def doubtful(self) -> list[Readiness]:
        return [row for row in self.rows if not row.sure]

    def sentence(self, depot: Depot) -> str:
        """Say how many vehicles will be ready, when the first one leaves, and what is not sure."""
        if not self.rows:
            return "No vehicle leaves in the next 24 hours."
        first = depot.local(self.rows[0].duty.pull_out_at)
        sure = self.vehicles
        said = (
            f"{sum(sure.values())} of {len(sure)} vehicle{'' if len(sure) == 1 else 's'} will be ready for the "
            f"next pull-outs (first {first:%H:%M} {first:%a})"
        )
        return f"{said}{self._doubts()}."

    def _doubts(self) -> str:
        names = list(dict.fromkeys(row.vehicle.name for row in self.doubtful if row.vehicle is not None))
        open_blocks = sum(row.vehicle is None for row in self.rows)
        doubts = []
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            doubts.append(f"not sure: {', '.join(names[:2])}{more}")
        if open_blocks:
            doubts.append(f"{open_blocks} block{' has' if open_blocks == 1 else 's have'} no vehicle")
        return "; " + "; ".join(doubts) if doubts else ""
