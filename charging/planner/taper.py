"""The most charge power that a vehicle takes: a curve that falls as the battery fills.

A curve that bends down is the least of its lines. Past its last point it stays at the last power, which is a bend up
where the line before it falls: there it is the larger of the least line and that last power. Up to a full battery,
whoever begins a step with more energy and charges at full power ends it with no less: where a line falls faster than
the step can fill, the step ends full. So charging at full power from now on is the fullest path with a taper too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import BoolArray, FloatArray, IntArray, Vehicle


@dataclass(frozen=True, slots=True, eq=False)
class Tapers:
    """The curves of the devices that have one: R devices, up to J lines each (kW = intercept + slope * kWh).

    `rows` (R,) are their devices; `intercept_kw` and `slope` are (R, J), filled up with inf and 0; `last_kwh` and
    `last_kw` (R,) are the last point of each curve.
    """

    rows: IntArray
    intercept_kw: FloatArray
    slope: FloatArray
    last_kwh: FloatArray
    last_kw: FloatArray

    def most_kw(self, energy_kwh: FloatArray) -> FloatArray:
        """Return the power of each device (D, ...) at its energy (D, ...); inf where it has no curve."""
        most = np.full(energy_kwh.shape, np.inf)
        if self.rows.size:
            own = energy_kwh[self.rows]
            wide = (*self.intercept_kw.shape, *(1,) * (own.ndim - 1))
            lines = self.intercept_kw.reshape(wide) + self.slope.reshape(wide) * own[:, None]
            last = self.last_kw.reshape(-1, *(1,) * (own.ndim - 1))
            most[self.rows] = np.maximum(lines.min(axis=1), last)
        return most

    def end_kw(self, devices: int) -> FloatArray:
        """Return the last power of each of so many devices; inf where it has no curve."""
        end = np.full(devices, np.inf)
        end[self.rows] = self.last_kw
        return end

    def tails(self, top_kwh: FloatArray) -> BoolArray:
        """Return which of the curves (R,) bend up below the highest energy of their devices (D,)."""
        bends: BoolArray = (self.last_kwh < top_kwh[self.rows]) & (self.slope < 0.0).any(axis=1)
        return bends


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Falling lines (L,) above the curves, sorted by device: kW <= intercept + slope * kWh."""

    device: IntArray
    intercept_kw: FloatArray
    slope: FloatArray

    def crossed(self, charge_kw: FloatArray, path_kwh: FloatArray, slack_kw: float) -> BoolArray:
        """Return the steps (D, T) in which powers (D, T) lie above a line at the energies (D, T + 1) on their path."""
        marked = np.zeros(charge_kw.shape, dtype=bool)
        if self.device.size:
            line = self.intercept_kw[:, None] + self.slope[:, None] * path_kwh[self.device, :-1]
            np.logical_or.at(marked, self.device, charge_kw[self.device] > line + slack_kw)
        return marked


def tapers_of(vehicles: Sequence[Vehicle]) -> Tapers:
    """Return the curves of vehicles; the devices of a case begin with them."""
    rows, lines, last = [], [], []
    for row, vehicle in enumerate(vehicles):
        if vehicle.taper:
            points = [(point.soc * vehicle.capacity_kwh, point.max_charge_kw) for point in vehicle.taper]
            rows.append(row)
            lines.append([(points[0][1], 0.0), *_falling(points)])
            last.append(points[-1])
    most = max((len(item) for item in lines), default=1)
    table = np.array([item + [(np.inf, 0.0)] * (most - len(item)) for item in lines]).reshape(-1, most, 2)
    ends = np.array(last).reshape(-1, 2)
    return Tapers(np.array(rows, dtype=np.int64), table[..., 0], table[..., 1], ends[:, 0], ends[:, 1])


def _falling(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return intercept and slope of each falling line between neighbouring points."""
    found = []
    for (low, high_kw), (high, low_kw) in pairwise(points):
        slope = (low_kw - high_kw) / (high - low)
        if slope < 0.0:
            found.append((high_kw - slope * low, slope))
    return found


def power_at(vehicle: Vehicle, energy_kwh: float) -> float:
    """Return the most charge power in kW that a vehicle takes at an energy; inf without a curve."""
    if not vehicle.taper:
        return float("inf")
    points = [point.soc * vehicle.capacity_kwh for point in vehicle.taper]
    return float(np.interp(energy_kwh, points, [point.max_charge_kw for point in vehicle.taper]))


def hull_of(vehicles: Sequence[Vehicle], top_kwh: FloatArray) -> Lines:
    """Return the falling lines of the concave hull of each curve up to the highest energy of its device (D,)."""
    found = []
    for row, vehicle in enumerate(vehicles):
        if vehicle.taper:
            points = [(point.soc * vehicle.capacity_kwh, point.max_charge_kw) for point in vehicle.taper]
            if top_kwh[row] > points[-1][0]:
                points.append((float(top_kwh[row]), points[-1][1]))
            found += [(row, *line) for line in _falling(_upper_hull(points))]
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return Lines(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def _upper_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points, in rising order of the first value, that no line between two others passes above."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x1, y1), (x2, y2) = hull[-2:]
            if (y2 - y1) * (x - x1) > (y - y1) * (x2 - x1):
                break
            hull.pop()
        hull.append((x, y))
    return hull


@dataclass(frozen=True, slots=True, eq=False)
class Under:
    """Sums of columns to hold under the curve: one for each device and step (N,), and its energy column (-1: initial).

    `terms` are pairs of columns (N,; -1 for none) and a factor; `initial_kwh` counts where there is no energy column.
    """

    device: IntArray
    energy: IntArray
    initial_kwh: FloatArray
    terms: tuple[tuple[IntArray, float], ...]
    most_kw: FloatArray


def hold_under(builder: ProgrammeBuilder, tapers: Tapers, under: Under, top_kwh: FloatArray) -> None:
    """Add sum <= curve at the energy; where the curve bends up, a switch chooses between its lines and its end.

    sum <= line + (reach of the sum above the line) * switch and sum <= most - (most - last power) * switch; the end
    is no more than the curve anywhere, so that the second choice is always allowed.
    """
    place = np.full(len(top_kwh), -1, dtype=np.int64)
    place[tapers.rows] = np.arange(len(tapers.rows))
    row = place[under.device]
    switched = tapers.tails(top_kwh)[row]
    switch = np.full(len(row), -1, dtype=np.int64)
    switch[switched] = builder.add_switches(int(switched.sum()))
    known = np.where(under.energy < 0, under.initial_kwh, 0.0)
    for number in range(tapers.slope.shape[1]):
        intercept, slope = tapers.intercept_kw[row, number], tapers.slope[row, number]
        used = np.isfinite(intercept)
        at = np.full(len(row), -1, dtype=np.int64)
        at[used] = builder.add_rows(int(used.sum()), upper=(intercept + slope * known)[used])
        _put(builder, at, under.energy, -slope)
        lowest = np.minimum(intercept + slope * top_kwh[under.device], tapers.last_kw[row])
        _put(builder, at, switch, np.where(used, lowest - tapers.last_kw[row], 0.0))
        for columns, factor in under.terms:
            _put(builder, at, columns, np.full(len(row), factor))
    at = np.full(len(row), -1, dtype=np.int64)
    at[switched] = builder.add_rows(int(switched.sum()), upper=under.most_kw[switched])
    _put(builder, at, switch, np.maximum(0.0, under.most_kw - tapers.last_kw[row]))
    for columns, factor in under.terms:
        _put(builder, at, columns, np.full(len(row), factor))


def _put(builder: ProgrammeBuilder, rows: IntArray, columns: IntArray, values: FloatArray) -> None:
    chosen = (rows >= 0) & (columns >= 0) & (values != 0.0)
    builder.put(rows[chosen], columns[chosen], values[chosen])


def fullest_after(
    energy_kwh: FloatArray,
    least_kwh: FloatArray,
    gain_kwh: FloatArray,
    rate: tuple[FloatArray, FloatArray],
    tapers: Tapers,
) -> FloatArray:
    """Return a bound of the energy (D,) after a step that begins anywhere between least and energy (D,).

    `gain_kwh` is the most without a curve. `rate` is what one kW over the step adds and what is lost beside it. It is
    what full power reaches, but where a line falls so fast that to begin with less would end with more; the line then
    counts at the least energy.
    """
    after = energy_kwh + gain_kwh
    if tapers.rows.size:
        own, least = energy_kwh[tapers.rows, None], least_kwh[tapers.rows, None]
        factor, loss = (values[tapers.rows, None] for values in rate)
        begin = np.where(1.0 + factor * tapers.slope >= 0.0, own, least)
        lines = (begin + factor * (tapers.intercept_kw + tapers.slope * begin)).min(axis=1)
        last = own[:, 0] + factor[:, 0] * tapers.last_kw
        # Where the curve leaves less than the loss, nothing is charged.
        curve = np.maximum(np.maximum(lines, last) - loss[:, 0], own[:, 0])
        after[tapers.rows] = np.minimum(after[tapers.rows], curve)
    return after


def least_before(
    needed_kwh: FloatArray, gain_kwh: FloatArray, rate: tuple[FloatArray, FloatArray], tapers: Tapers
) -> FloatArray:
    """Return the least energy (D,) from which a step at full power reaches what is needed after it (D,)."""
    before = needed_kwh - gain_kwh
    if tapers.rows.size:
        needed = needed_kwh[tapers.rows, None]
        factor, loss = (values[tapers.rows, None] for values in rate)
        share = 1.0 + factor * tapers.slope
        # A line that falls faster than the step can fill stops nobody on the way to a full battery.
        lines = np.full(share.shape, -np.inf)
        np.divide(needed + loss - factor * tapers.intercept_kw, share, out=lines, where=share > 0.0)
        last = (needed + loss)[:, 0] - factor[:, 0] * tapers.last_kw
        curve = np.minimum(np.minimum(lines.max(axis=1), last), needed[:, 0])
        before[tapers.rows] = np.maximum(before[tapers.rows], curve)
    return before
