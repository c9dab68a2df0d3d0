"""A day as the dispatcher sees it: who drives what, what a change would mean, what the program proposes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from charging.models import Connector
from charging.selectors.plans import latest_plan
from charging.selectors.readiness import (
    JUST_BACK,
    SEVERITY,
    Readiness,
    charging_of,
    connectors_of,
    judged,
    soc_after,
)
from depot.models import Depot
from depot.timegrid import local_day_bounds
from depot.words import tr
from fleet.assignment.case import AssignmentCase, Candidate, Demand, Work
from fleet.assignment.propose import Proposed, propose
from fleet.assignment.reasons import reason
from fleet.models import Vehicle
from fleet.selectors.duties import Duty, duties, in_order, outages_of
from fleet.selectors.needs import need_of
from fleet.services.assignments import LONGEST_DAY, Choice, choice_of

AFTER = timedelta(hours=12)
UNKNOWN_SOC = 0.2


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the coming duties up to some time after a day."""

    depot: Depot
    now: datetime
    coming: list[Duty]
    vehicles: list[Vehicle]
    connectors: dict[int, Connector]
    end_at: datetime
    by_vehicle: dict[int, list[Duty]]
    """The coming duties of each vehicle, in their order."""
    of_day: list[Duty] = field(default_factory=list)
    """The duties of the service day that was asked for, whether they are over, under way or coming."""

    def of(self, vehicle: Vehicle | None) -> list[Duty]:
        return self.by_vehicle.get(vehicle.pk, []) if vehicle is not None else []


@dataclass(frozen=True, slots=True)
class Option:
    """Another vehicle for a duty, with what becomes of all pull-outs it touches; the kindest has the least score."""

    vehicle: Vehicle
    choices: list[Choice]
    changed: list[Readiness]
    later: list[Readiness]

    @property
    def score(self) -> tuple[int, int, str]:
        worst = sum(SEVERITY[row.state] for row in (*self.changed, *self.later))
        return worst, len(self.choices), self.vehicle.name


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One change that is proposed, with its reason."""

    duty: Duty
    vehicle: Vehicle | None
    because: str
    choice: Choice


def situation(depot: Depot, day: date, now: datetime) -> Situation:
    """Return what is known of `day`, and from now to 12 hours after its end, from eleven queries at most."""
    day_from, day_to = local_day_bounds(day, depot.tz)
    begin_at, end_at = now - JUST_BACK, max(day_to, now) + AFTER
    read = duties(depot, min(begin_at, day_from), max(end_at, day_from + LONGEST_DAY))
    vehicles = Vehicle.objects.of_depot(depot).filter(active=True).select_related("type", "state")
    coming = [duty for duty in read if duty.pull_out_at < end_at and duty.pull_in_at > begin_at]
    of_day = [duty for duty in read if duty.service_date == day]
    by_vehicle: dict[int, list[Duty]] = defaultdict(list)
    for duty in coming:
        if duty.vehicle is not None:
            by_vehicle[duty.vehicle.pk].append(duty)
    return Situation(depot, now, coming, list(vehicles), connectors_of(depot), end_at, by_vehicle, of_day)


def readiness_of(known: Situation, wanted: Sequence[Duty]) -> dict[str, Readiness]:
    """Return by duty how the coming pull-outs of `wanted` are judged, and those that their vehicles have before."""
    plan = latest_plan(known.depot, known.now)
    vehicles = {one.vehicle.pk for one in wanted if one.vehicle is not None}
    last_at = max((one.pull_out_at for one in wanted), default=known.now)
    concerned = [
        one
        for one in known.coming
        if one.pull_out_at <= last_at and (one.vehicle is None or one.vehicle.pk in vehicles)
    ]
    rows = judged(concerned, known.connectors, plan, known.now, known.end_at - known.now)
    return {row.duty.key: row for row in rows}


def options(known: Situation, duty: Duty) -> list[Option]:
    """Return every vehicle that could take `duty`, the best first.

    Work that the other vehicle has at that time goes to the vehicle of `duty` where it can, else it stays open.
    Charge is judged by what full power can give until each pull-out; the plan that follows knows the site's limits.
    """
    kind, left = duty.block.vehicle_type_id, _left_behind(known, duty)
    found = [
        _option(known, duty, vehicle, left)
        for vehicle in known.vehicles
        if vehicle != duty.vehicle and kind in (None, vehicle.type_id)
    ]
    outages = outages_of(known.depot, known.now, known.end_at)
    able = [
        option
        for option in found
        if not any(
            row.covers(duty.pull_out_at, duty.pull_in_at) for row in outages.get(option.vehicle.pk, [])
        )
        and not _is_out(known, option.vehicle, duty)
    ]
    return sorted(able, key=lambda option: option.score)


def _is_out(known: Situation, vehicle: Vehicle, duty: Duty) -> bool:
    """Tell whether a vehicle that has left already is not back when the duty begins."""
    return any(
        one.pull_out_at <= known.now and one.pull_in_at > duty.pull_out_at for one in known.of(vehicle)
    )


@dataclass(frozen=True, slots=True)
class _Left:
    """What the vehicle that gives a duty away still does, and how that is judged if nothing else comes to it."""

    duties: list[Duty]
    rows: list[Readiness]


def _left_behind(known: Situation, duty: Duty) -> _Left:
    staying = [one for one in known.of(duty.vehicle) if one.key != duty.key]
    return _Left(staying, _judged_as_trials(known, staying))


def _judged_as_trials(known: Situation, after: Sequence[Duty]) -> list[Readiness]:
    keys = {one.key for one in after}
    return judged(after, known.connectors, None, known.now, known.end_at - known.now, keys)


def _option(known: Situation, duty: Duty, vehicle: Vehicle, left: _Left) -> Option:
    moved: dict[str, Vehicle | None] = {duty.key: vehicle}
    own = known.of(vehicle)
    for one in own:
        if one.pull_out_at > known.now and _overlap(one, duty):
            free = not any(_overlap(one, other) for other in left.duties)
            moved[one.key] = duty.vehicle if duty.outage is None and free else None
    concerned = sorted([duty, *own], key=in_order)
    changed = [one for one in concerned if one.key in moved]
    after = {one.key: replace(one, vehicle=moved[one.key], outage=None) for one in changed}
    work = [after.get(one.key, one) for one in concerned]
    if any(one.vehicle == duty.vehicle for one in work if one.vehicle):
        rows = _judged_as_trials(known, sorted([*work, *left.duties], key=in_order))
    else:
        rows = sorted([*_judged_as_trials(known, work), *left.rows], key=lambda row: in_order(row.duty))
    return Option(
        vehicle,
        [choice_of(one, moved[one.key]) for one in changed],
        [row for row in rows if row.duty.key in moved],
        [row for row in rows if row.duty.key not in moved],
    )


def _overlap(one: Duty, other: Duty) -> bool:
    return one.pull_out_at < other.pull_in_at and other.pull_out_at < one.pull_in_at


def suggest(known: Situation, day: date) -> tuple[list[Suggestion], Proposed]:
    """Return the changes that make the assignment of `day` best; raises CannotProposeError after ten seconds."""
    case, by_key = assignment_case(known, day)
    found = propose(case)
    vehicles = {str(vehicle.pk): vehicle for vehicle in known.vehicles}
    names = {key: vehicle.name for key, vehicle in vehicles.items()}
    names |= {key: tr("block {block_id}", block_id=duty.block.block_id) for key, duty in by_key.items()}
    rows = []
    for work in found.changes(case):
        duty, chosen = by_key[work.id], found.vehicle_of[work.id]
        vehicle = vehicles[chosen] if chosen is not None else None
        rows.append(Suggestion(duty, vehicle, reason(case, found, work, names), choice_of(duty, vehicle)))
    return rows, found


def assignment_case(known: Situation, day: date) -> tuple[AssignmentCase, dict[str, Duty]]:
    """Return the case of a day, and its duties by id. What leaves before the day stays as it is, and counts."""
    coming = [one for one in known.coming if one.pull_out_at > known.now and one.service_date <= day]
    demands = {}
    for duty in coming:
        for vehicle in known.vehicles:
            if duty.block.vehicle_type_id in (None, vehicle.type_id) or vehicle == duty.vehicle:
                need = need_of(duty, vehicle)
                if not need.exceeds_battery or duty.fixed or duty.service_date < day:
                    demands[duty.key, str(vehicle.pk)] = Demand(need.energy_kwh, need.required_soc)
    work = [
        Work(
            duty.key,
            duty.pull_out_at,
            duty.pull_in_at,
            str(duty.vehicle.pk) if duty.vehicle else None,
            (duty.fixed or duty.service_date < day)
            and duty.outage is None
            and duty.vehicle in known.vehicles,
        )
        for duty in coming
    ]
    outages = outages_of(known.depot, known.now, known.end_at)
    candidates = []
    for vehicle in known.vehicles:
        spans = [(row.from_at, row.to_at or known.end_at) for row in outages.get(vehicle.pk, [])]
        candidates.append(_candidate(known, vehicle, spans))
    return AssignmentCase(known.now, work, candidates, demands), {duty.key: duty for duty in coming}


def _candidate(
    known: Situation, vehicle: Vehicle, absences: Sequence[tuple[datetime, datetime]]
) -> Candidate:
    """Return a vehicle as the proposal sees it; one that is on the road is absent until it is back."""
    connector = known.connectors.get(vehicle.pk)
    charging = charging_of(vehicle, connector)
    state = getattr(vehicle, "state", None)
    soc = state.soc if state else UNKNOWN_SOC
    spans = list(absences)
    charge_kw = charging.power_kw * charging.efficiency if charging else 0.0
    for duty in known.of(vehicle):
        if duty.pull_out_at <= known.now < duty.pull_in_at:
            spans.append((duty.pull_out_at, duty.pull_in_at))
            back = soc_after(need_of(duty, vehicle), charging, soc, known.now, known.now) or 0.0
            # It charges only from its return on: what it would charge until then is taken off.
            hours = (duty.pull_in_at - known.now).total_seconds() / 3600
            soc = back - charge_kw * hours / vehicle.capacity_kwh
    soh = state.soh if state else 1.0
    return Candidate(str(vehicle.pk), vehicle.capacity_kwh, vehicle.type.max_soc, charge_kw, soc, soh, spans)
