"""Will every vehicle be ready? The coming pull-outs, judged by what is known now and by the last plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from charging.models import Connector, Plan
from charging.permission import charge_limit_kw
from charging.selectors.bad_day import risk_at
from charging.selectors.links import is_linked
from charging.selectors.plans import grid_of, latest_plan
from depot.models import Depot
from depot.templatetags.depot_pages import percent
from depot.words import tr, trn, weekday_words
from fleet.battery.charge_taper import read_charge_taper
from fleet.demand.charging_time import Charging, latest_start
from fleet.models import Vehicle
from fleet.selectors.duties import Duty, duties
from fleet.selectors.needs import Need, need_of

State = Literal["ready", "on_track", "at_risk", "will_miss"]
TOLERANCE = 0.005
LEAST_EFFICIENCY = 0.01
STALE_PLAN = timedelta(hours=1)
STALE_SOC = timedelta(hours=2)
JUST_BACK = timedelta(minutes=30)
TIME_TO_ACT = timedelta(hours=1)
HORIZON = timedelta(hours=24)
SEVERITY: dict[State, int] = {"ready": 0, "on_track": 1, "at_risk": 10, "will_miss": 100}


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
    need: Need | None = None

    @property
    def because(self) -> str:
        """Say why it needs that much."""
        return self.need.reason if self.need else ""

    @property
    def aside(self) -> str:
        """Say why it needs that much where the reason of its state does not say so already."""
        return "" if self.need is None or self.need.exceeds_battery else self.because

    @property
    def sure(self) -> bool:
        """Tell whether nothing is in the way."""
        return self.state in ("ready", "on_track")


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of one pull-out. `first` is false while another duty of the vehicle comes before it;
    `back_at` is when its last duty ended, if that was less than half an hour ago. `free_soc` is the most it can have
    when it can charge again, at `free_at`. A `trial` is judged by what charging at full power gives: no plan knows
    of it yet."""

    need: Need
    vehicle: Vehicle
    connector: Connector | None
    charging: Charging | None
    plan: Plan | None
    now: datetime
    first: bool
    free_at: datetime
    free_soc: float | None = None
    back_at: datetime | None = None
    trial: bool = False

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


def charging_of(vehicle: Vehicle, connector: Connector | None) -> Charging | None:
    """Return how a vehicle charges at its connector; None where it cannot."""
    if connector is None or (power_kw := charge_limit_kw(vehicle, connector.charger)) <= 0:
        return None
    charger = connector.charger
    return Charging(
        vehicle.capacity_kwh,
        power_kw,
        # What the vehicle's full power stores; where less of it comes than is lost, it hardly charges.
        max(LEAST_EFFICIENCY, charger.charge_efficiency - charger.charge_loss_kw / power_kw),
        vehicle.type.max_soc,
        read_charge_taper(vehicle.type.charge_taper),
    )


def connectors_of(depot: Depot) -> dict[int, Connector]:
    """Return by vehicle id the connectors at which vehicles park, with their chargers, from one query."""
    related = Connector.objects.filter(charger__depot=depot, vehicle__isnull=False).select_related("charger")
    return {row.vehicle_id: row for row in related if row.vehicle_id is not None}


def readiness(depot: Depot, now: datetime, horizon: timedelta = HORIZON) -> list[Readiness]:
    """Return the pull-outs of the coming `horizon`, in their order."""
    plan = latest_plan(depot, now)
    connectors = connectors_of(depot)
    coming = duties(depot, now - JUST_BACK, now + horizon)
    return judged(coming, connectors, plan, now, horizon)


def judged(
    coming: Iterable[Duty],
    connectors: Mapping[int, Connector],
    plan: Plan | None,
    now: datetime,
    horizon: timedelta = HORIZON,
    trials: Collection[str] = (),
) -> list[Readiness]:
    """Judge the pull-outs among duties in time order; `trials` are the keys of duties that no plan knows of yet.

    `coming` holds also those of the last half hour; `connectors` are those at which vehicles park, by vehicle id.
    Asks no database.
    """
    found, seen = [], set()
    back_at: dict[int, datetime] = {}
    free: dict[int, tuple[float | None, datetime]] = {}
    powers: dict[int, Charging | None] = {}
    for duty in coming:
        if duty.vehicle is None:
            if now < duty.pull_out_at <= now + horizon:
                found.append(_nobody(duty))
            continue
        vehicle_id = duty.vehicle.pk
        if duty.pull_in_at <= now:
            back_at[vehicle_id] = duty.pull_in_at
            continue
        connector = connectors.get(vehicle_id)
        if vehicle_id not in powers:
            powers[vehicle_id] = charging_of(duty.vehicle, connector)
        charging = powers[vehicle_id]
        state = getattr(duty.vehicle, "state", None)
        soc, at = free.get(vehicle_id, (state.soc if state else None, now))
        need = need_of(duty, duty.vehicle)
        if now < duty.pull_out_at <= now + horizon:
            first = vehicle_id not in seen
            back, trial = back_at.get(vehicle_id), duty.key in trials
            case = Case(need, duty.vehicle, connector, charging, plan, now, first, at, soc, back, trial)
            found.append(_judge(case))
        seen.add(vehicle_id)
        free[vehicle_id] = (soc_after(need, charging, soc, at, now), duty.pull_in_at)
    return found


def soc_after(
    need: Need, charging: Charging | None, soc: float | None, at: datetime, now: datetime
) -> float | None:
    """Return the most SoC a vehicle can come back with from a duty; of one that is out, only the rest is used."""
    duty = need.duty
    if soc is None or duty.vehicle is None:
        return None
    if charging is not None and duty.pull_out_at > at:
        soc = charging.reached(soc, (duty.pull_out_at - at).total_seconds() / 3600)
    left = (duty.pull_in_at - max(now, duty.pull_out_at)) / (duty.pull_in_at - duty.pull_out_at)
    return max(0.0, soc - left * need.energy_kwh / duty.vehicle.capacity_kwh)


def _nobody(duty: Duty) -> Readiness:
    reason = tr("Block {block_id} has no vehicle. Assign one.", block_id=duty.block.block_id)
    return Readiness(duty, None, None, None, 0.0, "will_miss", reason, duty.pull_out_at)


def _judge(case: Case) -> Readiness:
    duty = case.need.duty
    if duty.outage is not None:
        return _out_of_service(case)
    planned = _reachable_soc(case) if case.trial else planned_soc(case.plan, case.vehicle, duty.pull_out_at)
    state, reason = _verdict(case, planned)
    act_by = _act_by(case) if state in ("at_risk", "will_miss") else None
    need = case.need
    return Readiness(
        duty, case.vehicle, case.soc_now, planned, need.required_soc, state, reason, act_by, need
    )


def _out_of_service(case: Case) -> Readiness:
    duty, outage = case.need.duty, case.need.duty.outage
    why = f" ({outage.reason.rstrip('.')})" if outage and outage.reason else ""
    reason = tr(
        "{vehicle} is out of service{why}. Give the block to another vehicle.", vehicle=case.vehicle, why=why
    )
    required = case.need.required_soc
    return Readiness(duty, case.vehicle, case.soc_now, None, required, "will_miss", reason, duty.pull_out_at)


def _verdict(case: Case, planned: float | None) -> tuple[State, str]:
    if miss := _miss(case, planned):
        return "will_miss", miss
    needs = tr("needs {required_soc}", required_soc=percent(case.need.required_soc))
    if case.soc_now is None:
        return "at_risk", tr("Its charge is not known; it {needs}.", needs=needs)
    has = percent(case.soc_now)
    obstacle = _obstacle(case)
    if case.enough and (obstacle or _keeps_enough(case)):
        return "ready", tr("Has {has}, {needs}.", has=has, needs=needs)
    if _is_being_parked(case):
        return "on_track", tr(
            "It has just come back with {has} and {needs}; plug it in.", has=has, needs=needs
        )
    if obstacle and not case.enough:
        return "at_risk", tr("{obstacle} It has {has} and {needs}.", obstacle=obstacle, has=has, needs=needs)
    if planned is None:
        return "at_risk", tr("It is in no plan yet and {needs}.", needs=needs)
    if case.trial:
        return "on_track", tr(
            "Can leave with up to {planned}, {needs}.", planned=percent(planned), needs=needs
        )
    risk = risk_at(case.plan, case.vehicle.pk, case.need.duty.pull_out_at)
    words = tr("Will leave with {planned}, {needs}.", planned=percent(planned), needs=needs)
    return "on_track", f"{words} {risk}".strip()


def _miss(case: Case, planned: float | None) -> str:
    """Say why the vehicle cannot have what it needs; "" when it can."""
    required = case.need.required_soc
    needs = tr("needs {required}", required=percent(required))
    if case.need.exceeds_battery:
        return case.need.reason
    if not case.trial and case.soc_now is not None and planned is not None and not reaches(planned, required):
        cause = shortfall_cause(case.plan, case.vehicle)
        if cause:
            return tr(
                "It leaves with {planned} but {needs}: {cause}.",
                planned=percent(planned),
                needs=needs,
                cause=cause,
            )
        return tr("It leaves with {planned} but {needs}.", planned=percent(planned), needs=needs)
    reachable = _reachable_soc(case)
    if reachable is not None and not reaches(reachable, required):
        since = tr("from now on") if case.first else tr("as soon as it is back")
        return tr(
            "Even at full power {since} it leaves with {reachable}; it {needs}.",
            since=since,
            reachable=percent(reachable),
            needs=needs,
        )
    return ""


def _obstacle(case: Case) -> str:
    connector = case.connector
    if connector is None:
        return tr("It has no charger.")
    if case.plan is None and not case.trial:
        return tr("There is no plan yet.")
    if case.plan is not None and not case.trial and case.now - case.plan.made_at > STALE_PLAN:
        return tr("The plan is older than an hour.")
    if case.first and not case.here:
        return tr("It is not plugged in.")
    if case.here and not is_linked(connector.charger, case.now):
        return tr("Charger {name} does not answer.", name=connector.charger.name)
    if case.here and connector.status == Connector.Status.FAULTED:
        return tr("Charger {name} reports a fault.", name=connector.charger.name)
    if case.here and case.now - case.vehicle.state.soc_observed_at > STALE_SOC:
        return tr("Its charge was last heard of over two hours ago.")
    return ""


def _is_being_parked(case: Case) -> bool:
    """Tell whether a vehicle came back so lately that nobody need worry that it is not plugged in yet."""
    if case.back_at is None or case.here or not case.first or case.connector is None or case.enough:
        return False
    act_by = _act_by(case)
    return act_by - case.now > TIME_TO_ACT


def _reachable_soc(case: Case) -> float | None:
    """Return the SoC at pull-out if it charged at full power whenever it can; None when that cannot be told."""
    if case.charging is None or case.free_soc is None:
        return None
    hours = (case.need.duty.pull_out_at - case.free_at).total_seconds() / 3600
    return case.charging.reached(case.free_soc, max(0.0, hours))


def _act_by(case: Case) -> datetime:
    """Return until when acting helps: full power must begin; after that only another vehicle can leave instead."""
    leaves_at, required = case.need.duty.pull_out_at, case.need.required_soc
    return latest_start(case.charging, case.free_soc, required, leaves_at, case.free_at)


def _keeps_enough(case: Case) -> bool:
    """Tell whether the plan leaves the vehicle what it needs until it leaves, and does not use it meanwhile."""
    row = case.plan.answer["vehicles"].get(str(case.vehicle.pk)) if case.plan else None
    if case.plan is None or row is None or case.trial:
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
        if shortfall["vehicle"] == str(vehicle.pk) and shortfall.get("tier", "must") == "must":
            return tr(str(shortfall["cause"]).rstrip("."))
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
            return tr("No vehicle leaves in the next 24 hours.")
        first = depot.local(self.rows[0].duty.pull_out_at)
        sure = self.vehicles
        said = trn(
            "{ready} of {count} vehicle will be ready for the next pull-outs (first {time} {weekday})",
            "{ready} of {count} vehicles will be ready for the next pull-outs (first {time} {weekday})",
            len(sure),
            ready=sum(sure.values()),
            time=f"{first:%H:%M}",
            weekday=weekday_words(first.weekday()),
        )
        return f"{said}{self._doubts()}."

    def _doubts(self) -> str:
        names = list(dict.fromkeys(row.vehicle.name for row in self.doubtful if row.vehicle is not None))
        open_blocks = sum(row.vehicle is None for row in self.rows)
        doubts = []
        if names:
            more = tr(" and {count} more", count=len(names) - 2) if len(names) > 2 else ""
            doubts.append(tr("not sure: {names}{more}", names=", ".join(names[:2]), more=more))
        if open_blocks:
            doubts.append(trn("{count} block has no vehicle", "{count} blocks have no vehicle", open_blocks))
        return "; " + "; ".join(doubts) if doubts else ""
