"""Rows of the energy between checkpoints, made only where an answer breaks them."""

from dataclasses import dataclass, fields

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.devices import Problem
from charging.planner.formulation import Formulation
from charging.planner.gates import stays_of
from charging.planner.taper import Lines


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


def taper_rows(form: Formulation, problem: Problem, lines: Lines, steps: BoolArray) -> Rows:
    """Return the rows charge <= intercept + slope * energy of all falling lines in steps (D, T)."""
    line, step = np.nonzero(steps[lines.device] & (form.charge_at[lines.device] >= 0))
    # The first step begins with a known energy: its limit is in the power itself.
    line, step = line[step > 0], step[step > 0]
    device, share = lines.device[line], -1.0 / lines.slope[line]
    limits = np.full(len(line), -np.inf), lines.intercept_kw[line] * share
    return _rows(form, problem, (device, step), limits, _Other(form.charge_at[device, step], share))


@dataclass(frozen=True, slots=True, eq=False)
class Falls:
    """Pairs of checkpoints of one stretch (N,): the later energy is at least least + slope * the earlier one.

    `number` tells the same pair in any formulation of a case.
    """

    number: IntArray
    device: IntArray
    before: IntArray
    after: IntArray
    least: FloatArray
    slope: FloatArray

    def some(self, chosen: BoolArray) -> "Falls":
        """Return the chosen pairs."""
        return Falls(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def lacking_kwh(self, path: FloatArray) -> FloatArray:
        """Return how far the later energy of a path (D, T + 1) is below what it must be, (N,)."""
        lacking: FloatArray = (
            self.least + self.slope * path[self.device, self.before] - path[self.device, self.after]
        )
        return lacking


def falls_of(form: Formulation, problem: Problem, least_kwh: FloatArray) -> Falls:
    """Return the pairs of checkpoints that say more than `least_kwh` (D, T + 1), in a fixed order."""
    devices, envelope = problem.devices, problem.envelope
    pairs = [np.empty((0, 3), dtype=np.int64)]
    discharges = (form.discharge_at >= 0).sum(axis=1) > 0
    floors = devices.discharge_floor_kwh
    for device, first, end in zip(*stays_of(devices.plugged), strict=True):
        if least_kwh[device, first : end + 1].min() >= floors[device] or not discharges[device]:
            continue
        points = first + np.flatnonzero(form.energy_at[device, first : end + 1] >= 0)
        before, after = np.triu_indices(len(points), 1)
        pairs.append(np.stack([np.full(len(before), device), points[before], points[after]], axis=1))
    device, before, after = np.concatenate(pairs).T
    highest = np.minimum(envelope.fullest_kwh, envelope.upper_kwh)[device, before]
    least, slope = least_after_fall(floors[device], least_kwh[device, before], highest)
    number = (device * form.energy_at.shape[1] + before) * form.energy_at.shape[1] + after
    return Falls(number, device, before, after, least, slope).some(slope > 0.0)


def fall_rows(form: Formulation, falls: Falls) -> Rows:
    """Return the rows that hold the later energy of each pair above what is left of the earlier one."""
    count = len(falls.device)
    columns = np.stack(
        [form.energy_at[falls.device, falls.after], form.energy_at[falls.device, falls.before]], axis=1
    )
    values = np.stack([np.ones(count), -falls.slope], axis=1)
    starts = 2 * np.arange(count, dtype=np.int64)
    return Rows(falls.least, np.full(count, np.inf), starts, columns.ravel(), values.ravel())


def least_after_fall(
    floor_kwh: FloatArray, least_kwh: FloatArray, highest_kwh: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return `least` and `slope` such that any later energy of a stretch is at least least + slope * energy.

    Later energies are at least the smaller of the floor and the energy, as nothing is discharged below the floor. On
    the energies from `least_kwh` to `highest_kwh`, the line through the ends of that curve is its convex hull.
    """
    span = highest_kwh - least_kwh
    low, high = np.minimum(floor_kwh, least_kwh), np.minimum(floor_kwh, highest_kwh)
    slope = np.divide(high - low, span, out=np.zeros_like(span), where=span > 0.0)
    return low - slope * least_kwh, slope


@dataclass(frozen=True, slots=True, eq=False)
class _Other:
    """One more column in each row (-1 for none) and its factor: one for all, or one a row."""

    columns: IntArray
    factor: float | FloatArray


def _rows(
    form: Formulation,
    problem: Problem,
    places: tuple[IntArray, IntArray],
    limits_kwh: tuple[FloatArray, FloatArray],
    other: _Other,
) -> Rows:
    """Return lower <= energy at the last checkpoint + what the steps since add + factor * other <= upper."""
    devices, hours, idle = problem.devices, problem.case.hours, problem.envelope.idle_kwh
    device, boundary = places
    steps = np.arange(form.energy_at.shape[1])
    earlier = np.maximum.accumulate(np.where(form.energy_at >= 0, steps, 0), axis=1)[device, boundary]
    base = idle[device, boundary] - idle[device, earlier]
    base[earlier == 0] += devices.initial_kwh[device[earlier == 0]]
    rows = [np.flatnonzero(earlier > 0)]
    columns, values = [form.energy_at[device, earlier][rows[0]]], [np.ones(len(rows[0]))]
    since = (steps[None, :-1] >= earlier[:, None]) & (steps[None, :-1] < boundary[:, None])
    for places_at, per_unit in form.powers.kwh_per_unit(devices, hours):
        row, step = np.nonzero(since & (places_at[device] >= 0))
        rows.append(row)
        columns.append(places_at[device[row], step])
        values.append(per_unit[device[row], step])
    row = np.flatnonzero(other.columns >= 0)
    rows.append(row)
    columns.append(other.columns[row])
    values.append(np.broadcast_to(other.factor, other.columns.shape)[row])
    return _sorted_rows(
        (limits_kwh[0] - base, limits_kwh[1] - base),
        np.concatenate(rows),
        np.concatenate(columns),
        np.concatenate(values),
    )


def _sorted_rows(
    limits: tuple[FloatArray, FloatArray], rows: IntArray, columns: IntArray, values: FloatArray
) -> Rows:
    """Return rows from entries in any order; entries of one column in one row are added up."""
    order = np.lexsort((columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    if len(rows):
        values = np.add.reduceat(values, np.flatnonzero(first))
    starts = np.searchsorted(rows[first], np.arange(len(limits[0])))
    return Rows(limits[0], limits[1], starts.astype(np.int64), columns[first], values)
