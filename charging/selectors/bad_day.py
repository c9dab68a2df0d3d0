"""What a plan could not do for a bad day, in words: a risk, and no shortfall of the plan."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.models import Plan
from charging.selectors.plans import grid_of
from depot.templatetags.depot_pages import local_time, percent
from depot.words import tr

LEAST_SOC = 0.005
"""What is missing by less is not worth a sentence."""


def risk_at(plan: Plan | None, vehicle_id: int, at: datetime) -> str:
    """Say with what a vehicle leaves at a pull-out if the day turns out bad; "" where it has what it needs."""
    if plan is None or not (missed := _missed(plan, vehicle_id)):
        return ""
    grid = grid_of(plan)
    if not plan.start_at <= at <= grid.end_at:
        return ""
    boundary = grid.boundary_of(at, "pull_out")
    return next((_words(plan, row) for row in missed if row["boundary"] == boundary), "")


def risks_from(plan: Plan, vehicle_id: int, step: int) -> list[str]:
    """Say the same of each pull-out of a vehicle from a step of the plan on, with its time."""
    grid = grid_of(plan)
    return [
        _words(
            plan, row, tr(" at {boundary}", boundary=local_time(grid.time_of(row["boundary"]), plan.depot))
        )
        for row in _missed(plan, vehicle_id)
        if row["boundary"] >= step
    ]


def _missed(plan: Plan, vehicle_id: int) -> list[dict[str, Any]]:
    """Return what is missing at the vehicle's pull-outs on the bad day."""
    name = str(vehicle_id)
    missed = [
        row
        for row in (plan.answer.get("bad_day") or {}).get("shortfalls", [])
        if row["vehicle"] == name and row["required_soc"] - row["planned_soc"] >= LEAST_SOC
    ]
    if not missed:
        return []  # most plans: their case, which is large, need not be read
    leaves = {trip["from_step"] for row in _rows(plan, name) for trip in row["away"]}
    return [row for row in missed if row["boundary"] in leaves]


def _words(plan: Plan, missed: dict[str, Any], at: str = "") -> str:
    trips = [
        trip
        for row in _rows(plan, missed["vehicle"])
        for trip in row["away"]
        if trip["from_step"] < missed["boundary"] and (trip.get("late_steps") or trip.get("extra_kwh"))
    ]
    why = (
        tr("it pulls in late and uses more than usual")
        if trips
        else tr("the building draws more and the sun gives less than expected")
    )
    has, needs = percent(missed["planned_soc"]), percent(missed["required_soc"])
    return tr("If {why}, it leaves{at} with {has} instead of {needs}.", why=why, at=at, has=has, needs=needs)


def _rows(plan: Plan, name: str) -> list[dict[str, Any]]:
    return [row for row in plan.case["vehicles"] if row["id"] == name]
