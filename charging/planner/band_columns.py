"""Wear by SoC band in the linear programme, made only where a path costs more than the cheapest price says.

Lower bands cost more, so a linear programme would empty the cheapest band again and again. Each discharged kWh has the
price of the cheapest band at first. Only stays whose path costs more get columns: what each band holds at their
checkpoints, and what leaves it in between. On a path a band holds something only if the one below is full. Of all such
fillings, with the shares r(k) of the bands that are filled, the convex hull is 1 >= r(1) >= r(2) >= ... >= 0; a switch
between neighbouring bands makes it exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.gates import stays_of
from charging.planner.wear_bands import Bands, extra_wear

SAME_MONEY = 1e-6
SAME_KWH = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class BandColumns:
    """Columns of bands in a programme: what leaves (N,) with device, stay and price; order switches (M,).

    A switch says that the device is at or above `edge_kwh` at `boundary`. `stay` is the stay's first step.
    """

    leaving: IntArray
    device: IntArray
    stay: IntArray
    price: FloatArray
    switch: IntArray
    switch_device: IntArray
    boundary: IntArray
    edge_kwh: FloatArray

    def at_path(self, path_kwh: FloatArray) -> list[tuple[int, float, float]]:
        """Return each switch with the value that it has on a path (D, T + 1), as lower and upper bound."""
        above = path_kwh[self.switch_device, self.boundary] >= self.edge_kwh - SAME_KWH
        return [(int(column), float(on), float(on)) for column, on in zip(self.switch, above, strict=True)]

    def priced(self, values: FloatArray) -> dict[tuple[int, int], float]:
        """Return what an answer pays above the cheapest price, by device and stay."""
        paid: dict[tuple[int, int], float] = {}
        for device, stay, money in zip(
            self.device.tolist(),
            self.stay.tolist(),
            (self.price * values[self.leaving]).tolist(),
            strict=True,
        ):
            paid[device, stay] = paid.get((device, stay), 0.0) + money
        return paid


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What bands hang on: discharge columns (D, T), energy columns, least and highest energy (D, T + 1).

    One kW discharged over a step takes `per_kw` (D, T) out of the battery, and each kW of `lost_at` (D, T) a kW for the
    hours of the step.
    """

    discharge_at: IntArray
    lost_at: IntArray
    energy_at: IntArray
    least_kwh: FloatArray
    highest_kwh: FloatArray
    per_kw: FloatArray
    hours: float
    plugged: BoolArray


class _Growing:
    """Columns of bands while they are added."""

    def __init__(self) -> None:
        self.leaving: list[IntArray] = []
        self.leaves: list[tuple[int, int]] = []
        self.prices: list[FloatArray] = []
        self.switch: list[IntArray] = []
        self.at: list[tuple[int, int, float]] = []

    def columns(self) -> BandColumns:
        """Return them as arrays."""
        nothing = np.empty(0, dtype=np.int64)
        leaves = np.array(self.leaves, dtype=np.int64).reshape(-1, 2)
        at = np.array(self.at, dtype=np.float64).reshape(-1, 3)
        return BandColumns(
            leaving=np.concatenate([nothing, *self.leaving]),
            device=leaves[:, 0],
            stay=leaves[:, 1],
            price=np.concatenate([np.empty(0), *self.prices]),
            switch=np.concatenate([nothing, *self.switch]),
            switch_device=at[:, 0].astype(np.int64),
            boundary=at[:, 1].astype(np.int64),
            edge_kwh=at[:, 2],
        )


def add_bands(
    builder: ProgrammeBuilder, bands: Sequence[Bands], marked: BoolArray, around: Surroundings
) -> BandColumns:
    """Add what bands hold and what leaves them in every stay at the depot that holds a mark (D, T)."""
    growing = _Growing()
    if marked.any():
        stays = list(zip(*stays_of(around.plugged), strict=True))
        for item in bands:
            for device, first, end in stays:
                if device == item.device and marked[device, first:end].any():
                    _add_stay(builder, item, (int(first), int(end)), around, growing)
    return growing.columns()


def _add_stay(
    builder: ProgrammeBuilder, bands: Bands, stay: tuple[int, int], around: Surroundings, growing: _Growing
) -> None:
    """Add a stay: z(k, b) held by band k at checkpoint b, and o(k) that leaves it until the next checkpoint.

    z(k, b) + o(k) >= z(k, a), because charging only adds; sum of o = what is discharged from a to b.
    """
    device, (first, end) = bands.device, stay
    points = np.arange(first, end + 1)
    points = points[(around.energy_at[device, points] >= 0) | (points == first)]
    held = [_add_point(builder, bands, int(boundary), around, growing) for boundary in points]
    count = len(bands.extra)
    for number, (start, stop) in enumerate(pairwise(points)):
        at, lost_at = around.discharge_at[device, start:stop], around.lost_at[device, start:stop]
        powers, lost = at[at >= 0], lost_at[lost_at >= 0]
        (before, known), (after, added) = held[number], held[number + 1]
        rows = builder.add_rows(count, lower=known - added)
        for columns, factor in ((after, 1.0), (before, -1.0)):
            if columns is not None:
                builder.put(rows, columns, factor)
        if not powers.size:
            continue
        leaving = builder.add_columns(count, bands.extra)
        builder.put(rows, leaving, 1.0)
        row = builder.add_rows(1, 0.0, 0.0)
        builder.put(np.repeat(row, count), leaving, 1.0)
        builder.put(np.repeat(row, len(powers)), powers, -around.per_kw[device, start:stop][at >= 0])
        builder.put(np.repeat(row, len(lost)), lost, -around.hours)
        growing.leaving.append(leaving)
        growing.leaves += [(device, first)] * count
        growing.prices.append(bands.extra)


def _add_point(
    builder: ProgrammeBuilder, bands: Bands, boundary: int, around: Surroundings, growing: _Growing
) -> tuple[IntArray | None, FloatArray]:
    """Add what bands hold at a checkpoint, above what they hold at its least energy; return columns and the latter.

    Of a band and the next one up: upper <= its width * switch, lower >= its width * switch.
    """
    device = bands.device
    ends = np.array([around.least_kwh[device, boundary], around.highest_kwh[device, boundary]])
    low, high = bands.held_kwh(ends)
    if around.energy_at[device, boundary] < 0:
        return None, low
    width = np.maximum(0.0, high - low)
    held = builder.add_columns(len(width), 0.0, 0.0, width)
    row = builder.add_rows(1, low.sum(), low.sum())
    builder.put(row, around.energy_at[device, [boundary]], 1.0)
    builder.put(np.repeat(row, len(width)), held, -1.0)
    open_pairs = np.flatnonzero((width[:-1] > 0.0) & (width[1:] > 0.0))
    switches = builder.add_switches(len(open_pairs))
    rows = builder.add_rows(len(open_pairs), upper=0.0)
    builder.put(rows, held[open_pairs + 1], 1.0)
    builder.put(rows, switches, -width[open_pairs + 1])
    rows = builder.add_rows(len(open_pairs), lower=0.0)
    builder.put(rows, held[open_pairs], 1.0)
    builder.put(rows, switches, -width[open_pairs])
    growing.switch.append(switches)
    growing.at += [(device, boundary, float(bands.edges_kwh[pair])) for pair in open_pairs]
    return held, low


def underpriced(
    bands: Sequence[Bands],
    columns: BandColumns,
    values: FloatArray,
    leaving_kwh: FloatArray,
    path_kwh: FloatArray,
    plugged: BoolArray,
) -> BoolArray:
    """Return the discharging steps (D, T) of the stays whose path costs more than the answer pays for them."""
    marked = np.zeros(plugged.shape, dtype=bool)
    if not bands:
        return marked
    extra, paid = extra_wear(bands, leaving_kwh, path_kwh), columns.priced(values)
    for device, first, end in zip(*(item.tolist() for item in stays_of(plugged)), strict=True):
        if device in extra:
            true = float(extra[device][first:end].sum())
            if true > paid.get((device, first), 0.0) + SAME_MONEY:
                marked[device, first:end] = extra[device][first:end] > 0.0
    return marked
