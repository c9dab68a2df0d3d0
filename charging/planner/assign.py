"""Who gets a charger when there are fewer of them than vehicles: a walk through the steps.

Whoever would otherwise miss a target goes first, then whoever lags most behind what the vehicles would do if each had
a charger of its own. A plug is moved only where that is worth more than a margin, so that few moves are needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from charging.planner.case import BoolArray, DepotCase, FloatArray, Vehicle
from charging.planner.plugs import at_depot

URGENT = 1e6
NEVER = 1e5
"""A margin that only urgency is above."""


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """What each vehicle (a row) would do with a charger of its own, and what it needs.

    `charge_kwh` and `discharge_kwh` (V, T) are energies into and out of the battery, `energy_kwh` (V, T + 1) the path
    of both, `latest_kwh` (V, T + 1) the energy from which all later needs can just be met at full power, `full_kwh`
    (V, T) what full power adds in a step, `use_kwh` (V, T) what trips take. A `shy` vehicle (V,) leaves a charger
    free when it pulls in; one is urgent `patience` steps (V,) before it is too late.
    """

    charge_kwh: FloatArray
    discharge_kwh: FloatArray
    energy_kwh: FloatArray
    latest_kwh: FloatArray
    full_kwh: FloatArray
    use_kwh: FloatArray
    shy: BoolArray
    patience: FloatArray


@dataclass(slots=True)
class _Yard:
    """The chargers of one kind while the steps go by."""

    holder: dict[str, int | None]
    coming: dict[str, tuple[int, int]] = field(default_factory=dict)
    moves: int = 0

    def charger_of(self, row: int) -> str | None:
        return next((charger for charger, held in self.holder.items() if held == row), None)

    def free(self) -> list[str]:
        return [
            charger for charger, held in self.holder.items() if held is None and charger not in self.coming
        ]


def assigned(
    case: DepotCase,
    vehicles: Sequence[Vehicle],
    pool: Sequence[str],
    wishes: Wishes,
    margin_kwh: float,
    moves: int,
) -> tuple[dict[str, list[str | None]], int]:
    """Return the charger of each vehicle in each step, and how many plugs are moved (at most `moves`).

    `vehicles` may use every charger of `pool`. A vehicle that pulls in takes a free one; plugs are moved where
    somebody is there and a waiting vehicle is ahead of the one plugged in by more than `margin_kwh`.
    """
    swaps = case.swaps
    length = swaps.steps if swaps is not None else 0
    staffed = swaps.staffed if swaps is not None else np.ones(case.steps, dtype=bool)
    here = np.array([at_depot(item.away, case.steps) for item in vehicles], dtype=bool).reshape(
        len(vehicles), case.steps
    )
    rows = {item.id: row for row, item in enumerate(vehicles)}
    plugs = {str(item.plugged_into): rows[item.id] for item in vehicles if item.plugged_into in pool}
    yard = _Yard({charger: plugs.get(charger) for charger in pool})
    for name in [name for name, row in yard.holder.items() if row is not None and not here[row, 0]]:
        yard.holder[name] = None
    energy = wishes.energy_kwh[:, 0].copy()
    found: dict[str, list[str | None]] = {item.id: [] for item in vehicles}
    for step in range(case.steps):
        score = _scores(wishes, energy, step, length)
        _leave(yard, here, step)
        _arrive(yard, here, step, np.where(wishes.shy, -1.0, score))
        if staffed[step]:
            _move(yard, here, step, score, (margin_kwh, moves, length))
        for row, item in enumerate(vehicles):
            charger = yard.charger_of(row)
            found[item.id].append(charger)
            energy[row] = _after(wishes, row, step, float(energy[row]), charger is not None, length)
    return found, yard.moves


def begun_early(
    case: DepotCase, vehicles: Sequence[Vehicle], occupancy: dict[str, list[str | None]]
) -> dict[str, list[str | None]]:
    """Return an occupancy in which plugs are moved as early as the free charger and the waiting vehicle allow.

    It takes no more moves, and leaves the plan more steps to choose from.
    """
    length = case.swaps.steps if case.swaps is not None else 0
    staffed = case.swaps.staffed if case.swaps is not None else np.ones(case.steps, dtype=bool)
    early = {name: list(row) for name, row in occupancy.items()}
    for vehicle in vehicles:
        row, here = early[vehicle.id], at_depot(vehicle.away, case.steps)
        for start in range(1, case.steps):
            charger = row[start]
            if charger is None or row[start - 1] is not None or not here[start - 1]:
                continue
            first = start
            while (
                first > 0
                and here[first - 1]
                and row[first - 1] is None
                and _is_free(early, charger, first - 1)
            ):
                first -= 1
            begins = [step for step in range(first + length, start) if staffed[step - length]]
            if begins:
                row[begins[0] : start] = [charger] * (start - begins[0])
    return early


def _is_free(occupancy: Mapping[str, Sequence[str | None]], charger: str, step: int) -> bool:
    return all(row[step] != charger for row in occupancy.values())


def _scores(wishes: Wishes, energy: FloatArray, step: int, length: int) -> FloatArray:
    """Return how much each vehicle wants a charger: kWh behind its wish, and far more where a target is at stake."""
    full = np.maximum(wishes.full_kwh[:, step], 1e-9)
    slack = (energy - wishes.latest_kwh[:, step]) / full
    urgent = (slack < wishes.patience + length) & (wishes.full_kwh[:, step] > 0.0)
    behind = np.maximum(0.0, wishes.energy_kwh[:, step] + wishes.charge_kwh[:, step] - energy)
    scores: FloatArray = behind + wishes.discharge_kwh[:, step] + np.where(urgent, URGENT - 1e3 * slack, 0.0)
    return scores


def _leave(yard: _Yard, here: BoolArray, step: int) -> None:
    for charger, row in list(yard.holder.items()):
        if row is not None and not here[row, step]:
            yard.holder[charger] = None
    for charger, (row, ready) in list(yard.coming.items()):
        if not here[row, step]:
            del yard.coming[charger]
        elif ready <= step:
            yard.holder[charger] = row
            del yard.coming[charger]


def _arrive(yard: _Yard, here: BoolArray, step: int, score: FloatArray) -> None:
    """Let vehicles that pull in now plug themselves in where a charger is free, the neediest first."""
    if step == 0:
        return
    arriving = np.flatnonzero(here[:, step] & ~here[:, step - 1] & (score >= 0.0))
    for row in arriving[np.argsort(-score[arriving], kind="stable")].tolist():
        free = yard.free()
        if free:
            yard.holder[free[0]] = row


def _move(yard: _Yard, here: BoolArray, step: int, score: FloatArray, limits: tuple[float, int, int]) -> None:
    """Move plugs to those who wait and want one, as long as that is worth the margin."""
    margin, most, length = limits
    busy = {row for row in yard.holder.values() if row is not None} | {row for row, _ in yard.coming.values()}
    waiting = [row for row in range(len(score)) if here[row, step] and row not in busy and score[row] > 0.0]
    for row in sorted(waiting, key=lambda row: -score[row]):
        if yard.moves >= most:
            return
        free = yard.free()
        charger = free[0] if free else _least_wanted(yard, score)
        if charger is None or not here[row, step : step + length + 1].all():
            continue
        held = yard.holder[charger]
        if score[row] <= margin + (0.0 if held is None else score[held]):
            return
        yard.moves += 1
        yard.holder[charger] = None if length else row
        if length:
            yard.coming[charger] = (row, step + length)


def _least_wanted(yard: _Yard, score: FloatArray) -> str | None:
    held = [(float(score[row]), charger) for charger, row in yard.holder.items() if row is not None]
    return min(held)[1] if held else None


def _after(wishes: Wishes, row: int, step: int, energy: float, plugged: bool, length: int) -> float:
    """Return the energy after a step: on a charger it does as it wishes, and catches up where it is behind."""
    if plugged:
        full = float(wishes.full_kwh[row, step])
        wish = float(wishes.energy_kwh[row, step] + wishes.charge_kwh[row, step])
        patience = float(wishes.patience[row]) + length
        urgent = energy - float(wishes.latest_kwh[row, step]) < full * patience
        if urgent or energy < wish:
            energy += full if urgent else min(full, wish - energy)
        else:
            energy -= float(wishes.discharge_kwh[row, step])
    return energy - float(wishes.use_kwh[row, step])


def kinds_of(case: DepotCase, names: Sequence[str]) -> list[list[str]]:
    """Return chargers together that differ in nothing but their names and serve the same vehicles."""
    chargers = {charger.id: charger for charger in case.chargers}
    kinds: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        item = chargers[name]
        key = (
            item.node,
            item.phase,
            item.max_charge_kw,
            item.max_discharge_kw,
            item.charge_efficiency,
            item.discharge_efficiency,
            item.min_charge_kw,
            item.min_discharge_kw,
            item.charge_loss_kw,
            item.discharge_loss_kw,
            tuple(
                vehicle.id for vehicle in case.vehicles if not vehicle.chargers or name in vehicle.chargers
            ),
        )
        kinds.setdefault(key, []).append(name)
    return list(kinds.values())


def chosen_kinds(
    vehicles: Sequence[Vehicle],
    kinds: Sequence[Sequence[str]],
    power_kw: Mapping[str, float],
    need_kwh: FloatArray,
) -> list[int | None]:
    """Return the kind of chargers that each vehicle keeps to: the least loaded by need among those it may use.

    Load is what vehicles need, per kW of the kind; the neediest choose first.
    """
    totals = [sum(power_kw[name] for name in kind) for kind in kinds]
    load = [0.0] * len(kinds)
    chosen: list[int | None] = [None] * len(vehicles)
    for row in np.argsort(-need_kwh, kind="stable").tolist():
        allowed = vehicles[row].chargers
        options = [number for number, kind in enumerate(kinds) if not allowed or set(kind) <= set(allowed)]
        plugged = [number for number in options if vehicles[row].plugged_into in kinds[number]]
        if not options:
            continue
        best = min(
            plugged or options, key=lambda number: (load[number] + need_kwh[row]) / max(totals[number], 1e-9)
        )
        load[best] += float(need_kwh[row])
        chosen[row] = best
    return chosen
