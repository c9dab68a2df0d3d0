"""Rows of the energy between checkpoints, made only where an answer breaks them."""

from dataclasses import dataclass

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.devices import Problem, energy_per_kw
from charging.planner.formulation import Formulation


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows to add to a programme: lower <= A x <= upper, A by rows (CSR without the closing start)."""

    lower: FloatArray
    upper: FloatArray
    starts: IntArray
    columns: IntArray
    values: FloatArray


def limit_rows(form: Formulation, problem: Problem, points: BoolArray, least_kwh: FloatArray) -> Rows:
    """Return rows that hold the energy between `least_kwh` and the upper limit at boundaries (D, T + 1)."""
    device, boundary = np.nonzero(points & (form.energy_at < 0))
    limits = least_kwh[device, boundary], problem.envelope.upper_kwh[device, boundary]
    return _rows(form, problem, (device, boundary), limits, _Other(np.full(len(device), -1), 0.0))


def kept_rows(form: Formulation, problem: Problem, points: BoolArray) -> Rows:
    """Return rows that hold the energy at boundaries (D, T + 1) at or above what their stretch keeps."""
    device, boundary = np.nonzero(points & (form.kept_at >= 0))
    limits = np.zeros(len(device)), np.full(len(device), np.inf)
    return _rows(form, problem, (device, boundary), limits, _Other(form.kept_at[device, boundary], -1.0))


def minimum_rows(form: Formulation, problem: Problem, points: BoolArray) -> Rows:
    """Return the rows energy + deficit >= minimum at boundaries (D, T + 1)."""
    device, boundary = np.nonzero(points & (form.deficit_at >= 0))
    limits = problem.envelope.lower_kwh[device, boundary], np.full(len(device), np.inf)
    return _rows(form, problem, (device, boundary), limits, _Other(form.deficit_at[device, boundary], 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Other:
    """One more column in each row (-1 for none) and its factor."""

    columns: IntArray
    factor: float


def _rows(
    form: Formulation,
    problem: Problem,
    places: tuple[IntArray, IntArray],
    limits_kwh: tuple[FloatArray, FloatArray],
    other: _Other,
) -> Rows:
    """Return lower <= energy at the last checkpoint + what the steps since add + factor * other <= upper."""
    devices, hours, idle = problem.devices, problem.case.hours, problem.envelope.idle_kwh
    gain, loss = energy_per_kw(devices, hours, True), energy_per_kw(devices, hours, False)
    base = np.empty(len(other.columns))
    columns: list[IntArray] = [np.empty(0, dtype=np.int64)]
    values: list[FloatArray] = [np.empty(0)]
    counts = [0]
    for number, (device, boundary) in enumerate(zip(*places, strict=True)):
        earlier = np.flatnonzero(form.energy_at[device, : boundary + 1] >= 0)[-1:]
        start = earlier[0] if earlier.size else 0
        base[number] = idle[device, boundary] - idle[device, start]
        base[number] += 0.0 if earlier.size else devices.initial_kwh[device]
        charge, discharge = form.charge_at[device, start:boundary], form.discharge_at[device, start:boundary]
        charge, discharge = charge[charge >= 0], discharge[discharge >= 0]
        extra = other.columns[number : number + 1]
        extra = extra[extra >= 0]
        columns += [form.energy_at[device, earlier], charge, discharge, extra]
        values += [np.ones(len(earlier)), np.full(len(charge), gain[device])]
        values += [np.full(len(discharge), loss[device]), np.full(len(extra), other.factor)]
        counts.append(len(earlier) + len(charge) + len(discharge) + len(extra))
    starts = np.cumsum(counts, dtype=np.int64)[:-1]
    return Rows(
        limits_kwh[0] - base, limits_kwh[1] - base, starts, np.concatenate(columns), np.concatenate(values)
    )
