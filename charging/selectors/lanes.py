"""One lane a vehicle: when it is away, charges and discharges, what its departures need, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from charging.selectors.bad_day import risks_from
from charging.selectors.measured import Measured, Stay
from charging.selectors.timeline import Timeline
from depot.money import currency_sign
from depot.words import mark, sign_follows, tr
from fleet.models import Vehicle
from fleet.selectors.duties import Duty
from fleet.selectors.needs import Need, need_of

Floats = npt.NDArray[np.float64]
LEVELS = 4
MOVING_KW = 0.2
ENOUGH = 0.005
ACTIONS = {
    "charge": mark("charging"),
    "discharge": mark("discharging"),
    "wait": mark("waiting"),
    "away": mark("away"),
}


@dataclass(frozen=True, slots=True)
class Flow:
    """A span of one action at about one power; `strength` (0..1) is its share of the vehicle's own greatest."""

    action: Literal["charge", "discharge"]
    from_at: datetime
    to_at: datetime
    mean_kw: float
    energy_kwh: float
    strength: float


@dataclass(frozen=True, slots=True)
class Absence:
    """A span not at a plug, with the blocks run in it."""

    from_at: datetime
    to_at: datetime
    blocks: str


@dataclass(frozen=True, slots=True)
class Departure:
    """A departure ahead, when the schedule has it: the charge it needs and the charge the plan gives, both 0..1."""

    at: datetime
    required_soc: float
    planned_soc: float

    @property
    def met(self) -> bool:
        return self.planned_soc >= self.required_soc - ENOUGH


@dataclass(frozen=True, slots=True)
class Reason:
    """What a vehicle does over a span, in a state of the design's words, and why."""

    from_at: datetime
    to_at: datetime
    state: str
    power_kw: float
    because: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A vehicle on a timeline."""

    vehicle: Vehicle
    power_kw: Floats
    flows: list[Flow]
    absences: list[Absence]
    departures: list[Departure]
    notes: list[str]
    line: Timeline
    row: dict[str, Any] | None
    """What the plan was told of the vehicle; None where it is in no plan."""
    need: Need | None = None
    """Of the next departure."""

    @property
    def reasons(self) -> list[Reason]:
        """Return what it does from now on, and why."""
        return list(self._reasons())

    @property
    def now(self) -> Reason | None:
        """Return what it does now."""
        return next(self._reasons(), None)

    def _reasons(self) -> Iterator[Reason]:
        return iter(()) if self.row is None else _reasons(self.line, self.row)

    @property
    def next_departure(self) -> Departure | None:
        return self.departures[0] if self.departures else None


def lanes(line: Timeline, vehicles: Iterable[Vehicle], past: Measured, duties: Iterable[Duty]) -> list[Lane]:
    """Return the lanes of the planned vehicles, in their order; a vehicle in no plan has an empty lane."""
    by_vehicle: dict[int, list[Duty]] = {}
    for duty in duties:
        if duty.vehicle is not None:
            by_vehicle.setdefault(duty.vehicle.pk, []).append(duty)
    rows = {row["id"]: row for row in line.plan.case["vehicles"]}
    return [
        _lane(line, vehicle, rows.get(str(vehicle.pk)), past, by_vehicle.get(vehicle.pk, []))
        for vehicle in vehicles
    ]


def _lane(
    line: Timeline, vehicle: Vehicle, row: dict[str, Any] | None, past: Measured, duties: list[Duty]
) -> Lane:
    notes = line.plan.notes.get("vehicles", {}).get(str(vehicle.pk), [])
    before = past.power_kw.get(vehicle.pk)
    stays = past.stays.get(vehicle.pk, [])
    absences = _absent(line, stays, duties)
    need = _next_need(line, duties)
    if row is None:
        power = line.joined(before, np.zeros(line.plan.steps))
        return Lane(vehicle, power, _flows(line, power, None), absences, [], notes, line, row, need)
    answer = line.plan.answer["vehicles"][row["id"]]
    signed = np.asarray(answer["charge_kw"]) - np.asarray(answer["discharge_kw"])
    power = line.joined(before, signed)
    return Lane(
        vehicle=vehicle,
        power_kw=power,
        flows=_flows(line, power, row),
        absences=absences + _will_be_away(line, row, duties),
        departures=_departures(line, row, answer["soc"], duties),
        notes=notes + risks_from(line.plan, vehicle.pk, line.now_step - line.plan_step),
        line=line,
        row=row,
        need=need,
    )


def _next_need(line: Timeline, duties: list[Duty]) -> Need | None:
    now = line.grid.time_of(line.now_step)
    ahead = (duty for duty in duties if duty.pull_out_at > now and duty.outage is None)
    duty = next(ahead, None)
    return need_of(duty, duty.vehicle) if duty and duty.vehicle else None


def _flows(line: Timeline, power_kw: Floats, row: dict[str, Any] | None) -> list[Flow]:
    """Merge steps of one direction and one of a few levels of power into spans."""
    size = np.nan_to_num(np.abs(power_kw))
    size[size < MOVING_KW] = 0.0
    greatest = max(float(size.max(initial=0.0)), _limit(row), MOVING_KW)
    level = np.sign(power_kw) * np.ceil(size / greatest * LEVELS - 1e-6)
    level[size == 0.0] = 0.0
    edges = [0, *(np.flatnonzero(level[1:] != level[:-1]) + 1).tolist(), len(level)]
    hours, found = line.grid.step_hours, []
    for start, end in pairwise(edges):
        if start == end or level[start] == 0:
            continue
        mean = float(size[start:end].sum()) / (end - start)
        found.append(
            Flow(
                "charge" if level[start] > 0 else "discharge",
                line.grid.time_of(start),
                line.grid.time_of(end),
                mean,
                mean * hours * (end - start),
                abs(float(level[start])) / LEVELS,
            )
        )
    return found


def _limit(row: dict[str, Any] | None) -> float:
    return 0.0 if row is None else max(row.get("max_charge_kw") or 0.0, row.get("max_discharge_kw") or 0.0)


def _absent(line: Timeline, stays: list[Stay], duties: list[Duty]) -> list[Absence]:
    """Return the gaps between the times at a plug today; nothing for a vehicle that was not heard of."""
    if not stays:
        return []
    spans, reached = [], line.past.start_at
    for plugged_in_at, unplugged_at in stays:
        if plugged_in_at > reached:
            spans.append((reached, plugged_in_at))
        reached = max(reached, min(unplugged_at or line.past.end_at, line.past.end_at))
    if reached < line.past.end_at:
        spans.append((reached, line.past.end_at))
    return [Absence(start, end, _blocks(start, end, duties)) for start, end in spans if end > start]


def _will_be_away(line: Timeline, row: dict[str, Any], duties: list[Duty]) -> list[Absence]:
    spans = [
        (max(line.step_of(trip["from_step"]), line.now_step), line.step_of(trip["to_step"]))
        for trip in row["away"]
    ]
    moments = [(line.grid.time_of(start), line.grid.time_of(end)) for start, end in spans if end > start]
    return [Absence(start, end, _blocks(start, end, duties)) for start, end in moments]


def _blocks(start: datetime, end: datetime, duties: list[Duty]) -> str:
    names = [duty.block.block_id for duty in duties if duty.pull_out_at < end and duty.pull_in_at > start]
    return ", ".join(names)


def _departures(line: Timeline, row: dict[str, Any], soc: list[float], duties: list[Duty]) -> list[Departure]:
    """Return the departures from now on; the plan has its vehicles ready at the step before the pull-out."""
    leaves = {trip["from_step"] for trip in row["away"]}
    pull_out_at = {line.grid.boundary_of(duty.pull_out_at, "pull_out"): duty.pull_out_at for duty in duties}
    found = []
    for target in row["targets"]:
        step = line.step_of(target["boundary"])
        if target["boundary"] in leaves and step >= line.now_step:
            at = pull_out_at.get(step, line.grid.time_of(step))
            found.append(Departure(at, target["soc"], soc[target["boundary"]]))
    return found


def reason_now(line: Timeline, row: dict[str, Any]) -> Reason | None:
    """Return what the plan says a vehicle does now, and why; `row` is the vehicle's in the plan's case."""
    step = line.now_step - line.plan_step
    for told in line.plan.answer["explanations"].get(row["id"], []):
        if told["from_step"] <= step < told["to_step"]:
            return _reason(line, row, told, step)
    return None


def _reasons(line: Timeline, row: dict[str, Any]) -> Iterator[Reason]:
    """Yield the plan's own explanations from now on."""
    for told in line.plan.answer["explanations"].get(row["id"], []):
        if line.step_of(told["to_step"]) > line.now_step:
            yield _reason(line, row, told, max(told["from_step"], line.now_step - line.plan_step))


def _reason(line: Timeline, row: dict[str, Any], told: dict[str, Any], step: int) -> Reason:
    """Return an explanation with the power at a step of the plan."""
    answer = line.plan.answer["vehicles"][row["id"]]
    power_kw = answer["charge_kw"][step] - answer["discharge_kw"][step]
    return Reason(
        line.grid.time_of(line.step_of(told["from_step"])),
        line.grid.time_of(line.step_of(told["to_step"])),
        ACTIONS[told["action"]],
        power_kw,
        _why(line, row, told),
    )


def _why(line: Timeline, row: dict[str, Any], told: dict[str, Any]) -> str:
    """Return an explanation without the action and times before its colon, with the currency's sign."""
    if told["action"] == "away" and told["from_step"] == 0 and row["away"][0]["energy_kwh"] == 0:
        return tr("It should be here, but no charger reports it as plugged in.")
    words = told["because"].partition(": ")[2] or told["because"]
    currency = line.plan.currency
    sign = currency_sign(currency)
    if sign != currency and currency in words:
        amount = rf"\1 {sign}" if sign_follows() else rf"{sign}\1"
        words = re.sub(rf"(\d[\d.,]*) {currency}", amount, words)
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"
