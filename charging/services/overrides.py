"""Order what a single vehicle must do: checked, previewed with its cost, confirmed, withdrawn."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from charging.assemble import Assembled, assemble
from charging.models import Override
from charging.orders import apply_orders
from charging.planner.case import DepotCase, case_from_json
from charging.planner.highs import SolverError
from charging.planner.plan import DepotPlan, Shortfall
from charging.planner.solve import solve
from charging.planner.whatif import Change, change_between
from charging.selectors.overrides import overrides_in_force
from depot import audit
from depot.jobs import enqueue
from depot.models import Depot, User
from depot.templatetags.depot_pages import cents, kwh, local_day, local_time, percent
from depot.words import later, tr
from fleet.models import Vehicle
from fleet.selectors.duties import duties

LONGEST = timedelta(days=7)
TIME_LIMIT_S = 6.0
GAP = 1e-4
Kind = Override.Kind
STANDING = (Kind.CHARGE_NOW, Kind.READY_BY)
"""Kinds that ask for power, which a vehicle that is held cannot have."""


class OrderError(ValueError):
    """An order that cannot be given; `problems` holds a sentence by field ("" for none)."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order that is not given yet; it begins now."""

    vehicle: Vehicle
    kind: str
    to_at: datetime
    max_kw: float | None = None
    soc: float | None = None
    reason: str = ""

    def row(self, depot: Depot, by: str, now: datetime) -> Override:
        """Return the order as a row that is not stored."""
        return Override(
            depot=depot,
            vehicle=self.vehicle,
            kind=self.kind,
            from_at=now,
            to_at=self.to_at,
            max_kw=self.max_kw,
            soc=self.soc,
            reason=self.reason,
            made_at=now,
            made_by_name=by,
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """What an order would change until the plan's end: money, and what it means for departures, in sentences."""

    cost: float
    cost_sentence: str
    consequences: list[str]
    misses: list[str]


def checked(depot: Depot, wanted: Wanted, now: datetime) -> Wanted:
    """Return the order with its end at the next pull-out where it is to charge now.

    Raises OrderError naming what is wrong by field.
    """
    problems = _problems(wanted, now)
    if problems:
        raise OrderError(problems)
    if wanted.kind == Kind.CHARGE_NOW:
        coming = duties(depot, now, wanted.to_at)
        leaves = [
            duty.pull_out_at
            for duty in coming
            if duty.vehicle == wanted.vehicle and now < duty.pull_out_at < wanted.to_at
        ]
        wanted = replace(wanted, to_at=min([wanted.to_at, *leaves]))
    against = [row for row in overrides_in_force(depot, now) if _contradicts(row, wanted)]
    if against:
        row = against[0]
        raise OrderError(
            {
                "kind": tr(
                    "{made_by_name} ordered {vehicle} to {in_words}. Withdraw that order first.",
                    made_by_name=row.made_by_name,
                    vehicle=row.vehicle,
                    in_words=row.in_words(),
                )
            }
        )
    return wanted


def _problems(wanted: Wanted, now: datetime) -> dict[str, str]:
    problems = {}
    if wanted.kind not in Kind.values:
        problems["kind"] = tr(
            "{kind} is no kind of order; use one of {values}.",
            kind=wanted.kind,
            values=", ".join(Kind.values),
        )
    if not now < wanted.to_at <= now + LONGEST:
        problems["to_at"] = tr("Choose a time ahead, at most 7 days from now.")
    problems |= _number_problems(wanted)
    if not wanted.vehicle.active:
        problems[""] = tr("{vehicle} is out of service, so it is not planned.", vehicle=wanted.vehicle)
    return problems


def _number_problems(wanted: Wanted) -> dict[str, str]:
    problems = {}
    if wanted.kind == Kind.LIMIT and wanted.max_kw is None:
        problems["max_kw"] = tr("Say at most how many kW.")
    if wanted.kind != Kind.LIMIT and wanted.max_kw is not None:
        problems["max_kw"] = tr("A power belongs to a limit only. Leave it empty.")
    if wanted.kind == Kind.READY_BY and wanted.soc is None:
        problems["soc"] = tr("Say which charge it must have.")
    if wanted.kind not in STANDING and wanted.soc is not None:
        problems["soc"] = tr("A charge belongs to charge now and ready by only. Leave it empty.")
    most = wanted.vehicle.type.max_soc
    if wanted.soc is not None and not 0.0 < wanted.soc <= most:
        problems["soc"] = tr(
            "{vehicle} is charged to at most {most}. Choose no more than that.",
            vehicle=wanted.vehicle,
            most=percent(most),
        )
    return problems


def _contradicts(row: Override, wanted: Wanted) -> bool:
    kinds = (row.kind, wanted.kind)
    return row.vehicle_id == wanted.vehicle.pk and kinds in (
        *((Kind.HOLD, kind) for kind in STANDING),
        *((kind, Kind.HOLD) for kind in STANDING),
    )


def preview(depot: Depot, wanted: Wanted, now: datetime) -> Preview:
    """Return what a checked order would change, from one plan without it and one with it; nothing is stored.

    Raises OrderError where the vehicle is in no plan or no plan can be made.
    """
    assembled = assemble(depot, now, orders=())
    name = str(wanted.vehicle.pk)
    if all(row["id"] != name for row in assembled.case["vehicles"]):
        told = assembled.notes.vehicles.get(name, [tr("It is not planned.")])
        raise OrderError({"": " ".join(told)})
    present = overrides_in_force(depot, now)
    kept = [row for row in present if not _replaces(wanted, row)]
    before = _case_with(assembled, present)
    after = _case_with(assembled, [*kept, wanted.row(depot, "", now)])
    try:
        plans = [solve(case, TIME_LIMIT_S, tidy=False, gap=GAP) for case in (before, after)]
    except SolverError as error:
        raise OrderError(
            {"": tr("The cost cannot be computed at the moment: {error}. Try again.", error=error)}
        ) from error
    change = change_between(after, *plans)
    return _told(depot, wanted, assembled, after, plans[1], change)


def _case_with(assembled: Assembled, orders: list[Override]) -> DepotCase:
    data = assembled.case | {"vehicles": copy.deepcopy(assembled.case["vehicles"])}
    apply_orders(data["vehicles"], orders, assembled.grid)
    return case_from_json(data)


def _replaces(wanted: Wanted, row: Override) -> bool:
    """Tell whether an order takes the place of one in force: the same kind for the same vehicle, but "ready by"."""
    return row.vehicle_id == wanted.vehicle.pk and row.kind == wanted.kind != Kind.READY_BY


def _told(
    depot: Depot, wanted: Wanted, assembled: Assembled, case: DepotCase, plan: DepotPlan, change: Change
) -> Preview:
    end = assembled.grid.end_at
    until = f"{local_day(end, depot)} {local_time(end, depot)}"
    amount = cents(abs(change.cost), depot.currency)
    if abs(change.cost) <= max(0.005, 2 * GAP * abs(plan.objective)):
        cost_sentence = tr("It costs nothing more until {until}.", until=until)
    elif change.cost > 0.0:
        cost_sentence = tr("It costs about {amount} more until {until}.", amount=amount, until=until)
    else:
        cost_sentence = tr("It saves about {amount} until {until}.", amount=amount, until=until)
    names = {str(row.pk): row.name for row in Vehicle.objects.filter(depot=depot)}
    nodes = {str(node.pk): node.name for node in depot.nodes.all()}
    misses = [_missed(depot, assembled, item, names, nodes) for item in change.shortfalls]
    for item in change.exceeded_limits:
        if item.kind == "charge_now":
            cause = _cause(item.cause, nodes)
            misses.append(
                tr(
                    "{names} gets up to {worst} less than ordered: {cause}.",
                    names=names[item.place],
                    worst=kwh(item.worst),
                    cause=cause,
                )
            )
        if item.kind == "min_soc":
            misses.append(tr("{names} falls below its minimum charge.", names=names[item.place]))
    return Preview(change.cost, cost_sentence, _departures(depot, wanted, assembled, case, plan), misses)


def _missed(
    depot: Depot, assembled: Assembled, item: Shortfall, names: dict[str, str], nodes: dict[str, str]
) -> str:
    at = assembled.grid.time_of(item.boundary)
    return tr(
        "{names} has only {planned_soc} at {at} and needs {required_soc}: {cause}.",
        names=names[item.vehicle],
        planned_soc=percent(item.planned_soc),
        at=local_time(at, depot),
        required_soc=percent(item.required_soc),
        cause=_cause(item.cause, nodes),
    )


def _cause(cause: str, nodes: dict[str, str]) -> str:
    """Return a cause with the names of nodes in place of their ids."""
    words = cause.split(" ")
    said = " ".join(nodes.get(word, word) if words[0] == "feeder" else word for word in words)
    return tr(said)


def _departures(
    depot: Depot, wanted: Wanted, assembled: Assembled, case: DepotCase, plan: DepotPlan
) -> list[str]:
    """Say how the vehicle stands at its next departure, and at the end of the order."""
    vehicle = next(row for row in case.vehicles if row.id == str(wanted.vehicle.pk))
    soc = plan.vehicles[vehicle.id].soc
    said = []
    leaves = {trip.from_step for trip in vehicle.away if trip.from_step > 0}
    for target in sorted(vehicle.targets, key=lambda item: item.boundary):
        if target.boundary in leaves and target.tier == "must":
            at = assembled.grid.time_of(target.boundary)
            has = percent(float(soc[target.boundary]))
            said.append(
                tr(
                    "{vehicle} leaves {day} {time} with {has} and needs {soc}.",
                    vehicle=wanted.vehicle,
                    day=local_day(at, depot),
                    time=local_time(at, depot),
                    has=has,
                    soc=percent(target.soc),
                )
            )
            break
    if wanted.to_at <= assembled.grid.end_at:
        boundary = assembled.grid.boundary_of(wanted.to_at, "pull_out")
        said.append(
            tr(
                "At {to_at} it has {soc}.",
                to_at=local_time(wanted.to_at, depot),
                soc=percent(float(soc[boundary])),
            )
        )
    return said


def create(depot: Depot, wanted: Wanted, actor: Any, now: datetime, cost: float) -> Override:
    """Store a checked and previewed order, in place of one of the same kind, and ask for a new plan."""
    with transaction.atomic():
        for row in overrides_in_force(depot, now):
            if _replaces(wanted, row):
                _end(row, actor, now)
        order = wanted.row(depot, str(actor), now)
        order.made_by = actor if isinstance(actor, User) else None
        order.full_clean()
        order.save()
        sentence = later(
            "{actor} ordered {vehicle}: {in_words}.",
            actor=actor,
            vehicle=order.vehicle,
            in_words=order.in_words(),
        )
        facts = {
            "override": order.pk,
            "vehicle": order.vehicle_id,
            "kind": order.kind,
            "cost": round(cost, 2),
        }
        audit.record(depot, actor, "override.made", sentence, reason=order.reason, **facts)
        _plan_anew(order, actor, f"order {order.pk}", f"{order.vehicle}: {order.in_words()}")
    return order


def withdraw(order: Override, actor: Any, now: datetime) -> bool:
    """End an order at once and ask for a new plan; False when it was over or withdrawn already."""
    with transaction.atomic():
        if not _end(order, actor, now):
            return False
        trigger = tr("{vehicle}: order withdrawn", vehicle=order.vehicle)
        _plan_anew(order, actor, f"order {order.pk} withdrawn", trigger)
    return True


def _end(order: Override, actor: Any, now: datetime) -> bool:
    mine = Override.objects.filter(pk=order.pk, withdrawn_at__isnull=True, to_at__gt=now)
    if not mine.update(withdrawn_at=now, withdrawn_by_name=str(actor)[:150]):
        return False
    sentence = later(
        "{actor} withdrew the order for {vehicle}: {in_words}.",
        actor=actor,
        vehicle=order.vehicle,
        in_words=order.in_words(),
    )
    audit.record(order.depot, actor, "override.withdrawn", sentence, override=order.pk)
    return True


def _plan_anew(order: Override, actor: Any, window: str, trigger: str) -> None:
    asker = actor if isinstance(actor, User) else None
    enqueue("plan", order.depot, window, {"trigger": trigger[:80]}, asker)
