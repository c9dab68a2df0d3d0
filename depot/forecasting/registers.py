"""Turn register readings into energy per step, and doubt what no register can have counted. PURE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LONGEST_GAP_S = 3600.0
SLACK_S = 60.0
"""Readings are seconds off their moments: so much longer may have been counted than between them."""
SAME_KWH = 0.05
"""A register that seems to fall by less stands still: its values are rounded in more than one way."""


@dataclass(frozen=True, slots=True)
class Register:
    """The readings of a register that can be believed, and what it counted between each and the next.

    `kept` are their indices, `at` their moments in seconds. Where `broken`, the register began anew (it was
    reset, exchanged, or jumped) and what was counted is not known: `counted_kwh` is then the new reading of one
    that began from nought, else NaN. `doubted` are the moments of readings that were left out or began anew.
    """

    kept: npt.NDArray[np.int64]
    at: Floats
    counted_kwh: Floats
    broken: Bools
    doubted: Floats


def read_register(
    read_at: npt.ArrayLike, total_kwh: npt.ArrayLike, greatest_kw: float = math.inf
) -> Register:
    """Return what can be believed of readings, in ascending order of `read_at` (seconds since one epoch).

    Between two readings no more can be counted than `greatest_kw` over the time since the register last moved:
    some count in large steps, some are read seldom. A reading that does not follow from the last good one is
    left out when a later one within the hour does and does not follow from it: a spike. Else the register has
    begun anew. A reading that is no number is left out.
    """
    at, total = np.asarray(read_at, dtype=float), np.asarray(total_kwh, dtype=float)
    finite = np.flatnonzero(np.isfinite(total))
    if finite.size < total.size or not _all_follow(at, total, greatest_kw):
        return _walk(at, total, finite, greatest_kw)
    return Register(
        kept=np.arange(at.size),
        at=at,
        counted_kwh=np.clip(np.diff(total), 0.0, None),
        broken=np.zeros(max(at.size - 1, 0), dtype=bool),
        doubted=np.zeros(0),
    )


def _all_follow(at: Floats, total: Floats, greatest_kw: float) -> bool:
    """Tell whether every reading follows from the one before it; the same rule as `_follows`, on arrays."""
    if at.size < 2:
        return True
    steps = np.diff(total)
    moved = np.concatenate(([True], steps != 0))
    stands_since = at[np.maximum.accumulate(np.where(moved, np.arange(at.size), 0))]
    allowed = greatest_kw * (at[1:] - stands_since[:-1] + SLACK_S) / 3600
    return bool(np.all((steps >= -SAME_KWH) & (steps <= allowed)))


def _follows(at: Floats, total: Floats, last: int, since: float, index: int, greatest_kw: float) -> bool:
    """Tell whether a reading can follow from reading `last`, since when the register stands at its value."""
    step = total[index] - total[last]
    return bool(-SAME_KWH <= step <= greatest_kw * (at[index] - since + SLACK_S) / 3600)


def _walk(at: Floats, total: Floats, finite: npt.NDArray[np.int64], greatest_kw: float) -> Register:
    """Sort readings one by one: those that follow, spikes, and new beginnings."""
    kept: list[int] = []
    counted: list[float] = []
    broken: list[bool] = []
    doubted = [float(at[index]) for index in np.flatnonzero(~np.isfinite(total))]
    since = 0.0
    for place, index in enumerate(finite):
        if not kept:
            kept, since = [int(index)], float(at[index])
            continue
        last = kept[-1]
        anew = not _follows(at, total, last, since, index, greatest_kw)
        if anew:
            doubted.append(float(at[index]))
            if _is_spike(at, total, last, since, finite[place:], greatest_kw):
                continue
        step = float(total[index] - total[last])
        from_nought = step < 0 and _from_nought(at, total, last, index, greatest_kw)
        began = float(total[index]) if from_nought else math.nan
        kept.append(int(index))
        counted.append(began if anew else max(step, 0.0))
        broken.append(anew)
        if step != 0:
            since = float(at[index])
    return Register(
        kept=np.array(kept, dtype=np.int64),
        at=at[kept] if kept else np.zeros(0),
        counted_kwh=np.array(counted),
        broken=np.array(broken, dtype=bool),
        doubted=np.sort(np.array(doubted)),
    )


def _from_nought(at: Floats, total: Floats, last: int, index: int, greatest_kw: float) -> bool:
    allowed = greatest_kw * (at[index] - at[last] + SLACK_S) / 3600
    return bool(0 <= total[index] <= allowed)


def _is_spike(
    at: Floats, total: Floats, last: int, since: float, ahead: npt.NDArray[np.int64], greatest_kw: float
) -> bool:
    """Tell whether a later reading goes on from `last` as if the first one `ahead` had not been there."""
    index = int(ahead[0])
    for later in ahead[1:]:
        if at[later] - at[last] > LONGEST_GAP_S:
            return False
        if _follows(at, total, last, since, later, greatest_kw):
            return not _follows(at, total, index, float(at[index]), later, greatest_kw)
    return False


def touched(from_s: npt.ArrayLike, to_s: npt.ArrayLike, boundaries: npt.ArrayLike) -> Bools:
    """Return which steps any of the spans `[from_s, to_s]` touches."""
    edges = np.asarray(boundaries, dtype=float)
    found = np.zeros(edges.size - 1, dtype=bool)
    for start, end in zip(np.asarray(from_s, dtype=float), np.asarray(to_s, dtype=float), strict=True):
        found |= (edges[1:] > start) & (edges[:-1] < end)
    return found


def register_energy(
    register: Register, boundaries: npt.ArrayLike, longest_gap_s: float = LONGEST_GAP_S
) -> Floats:
    """Return the energy between consecutive boundaries (seconds), in kWh; NaN where it is not known.

    Between readings the register is taken as rising evenly. A step is known where it is covered by readings at
    most `longest_gap_s` apart and the register did not begin anew.
    """
    edges = np.asarray(boundaries, dtype=float)
    at = register.at
    if at.size < 2:
        return np.full(edges.size - 1, np.nan)
    energy = _between(at, np.where(register.broken, 0.0, register.counted_kwh), edges)
    covered = (edges[:-1] >= at[0]) & (edges[1:] <= at[-1])
    for (start, end), anew in zip(pairwise(at), register.broken, strict=True):
        if anew or end - start > longest_gap_s:
            covered &= (edges[1:] <= start) | (edges[:-1] >= end)
    return np.where(covered, energy, np.nan)


@dataclass(frozen=True, slots=True)
class Counted:
    """Energy between boundaries in kWh, and in which steps it is not what a register says."""

    energy_kwh: Floats
    estimated: Bools


def counted_energy(
    register: Register, power_kw: npt.ArrayLike, boundaries: npt.ArrayLike, greatest_kw: float
) -> Counted:
    """Return the energy between boundaries (seconds) of a register that stands still before and after its readings.

    This is the rule for a charging session, in which nothing flows before plug-in and after unplug. Where the
    register began anew, it counts from nought, or else as much as the powers measured at both ends (`power_kw`,
    one a reading, never more than `greatest_kw`) make of the time between them.
    """
    edges = np.asarray(boundaries, dtype=float)
    at = register.at
    if at.size < 2:
        return Counted(np.zeros(edges.size - 1), np.zeros(edges.size - 1, dtype=bool))
    counted = counted_kwh(register, power_kw, greatest_kw)
    spans = np.flatnonzero(register.broken)
    return Counted(_between(at, counted, edges), touched(at[spans], at[spans + 1], edges))


def counted_kwh(register: Register, power_kw: npt.ArrayLike, greatest_kw: float) -> Floats:
    """Return what was counted between the readings of a session, estimates for what the register cannot tell."""
    power = np.clip(np.nan_to_num(np.asarray(power_kw, dtype=float))[register.kept], 0.0, greatest_kw)
    by_power = (power[:-1] + power[1:]) / 2 * np.diff(register.at) / 3600
    return np.where(np.isnan(register.counted_kwh), by_power, register.counted_kwh)


def _between(at: Floats, counted_kwh: Floats, edges: Floats) -> Floats:
    counted = np.concatenate(([0.0], np.cumsum(counted_kwh)))
    energy: Floats = np.diff(np.interp(edges, at, counted))
    return energy
