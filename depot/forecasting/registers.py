"""Turn register readings into energy per step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LONGEST_GAP_S = 3600.0


def register_energy(
    read_at: npt.ArrayLike,
    total_kwh: npt.ArrayLike,
    boundaries: npt.ArrayLike,
    longest_gap_s: float = LONGEST_GAP_S,
) -> Floats:
    """Return the energy between consecutive boundaries, in kWh, from a register that counts up.

    `read_at` and `boundaries` are seconds since one epoch, ascending; `total_kwh` is the register at `read_at`.
    Between readings the register is taken as rising evenly. A register that falls was reset: counting starts
    again from its new value. A step is NaN where it is not covered by readings at most `longest_gap_s` apart.
    """
    at = np.asarray(read_at, dtype=float)
    edges = np.asarray(boundaries, dtype=float)
    if at.size < 2:
        return np.full(edges.size - 1, np.nan)
    energy = counted_energy(at, total_kwh, edges)
    covered = (edges[:-1] >= at[0]) & (edges[1:] <= at[-1])
    for start, end in pairwise(at):
        if end - start > longest_gap_s:
            covered &= (edges[1:] <= start) | (edges[:-1] >= end)
    return np.where(covered, energy, np.nan)


def counted_energy(read_at: npt.ArrayLike, total_kwh: npt.ArrayLike, boundaries: npt.ArrayLike) -> Floats:
    """Return the energy between boundaries, in kWh, of a register that stood still before and after its readings.

    This is the rule for a charging session, in which nothing flows before plug-in and after unplug.
    """
    at = np.asarray(read_at, dtype=float)
    edges = np.asarray(boundaries, dtype=float)
    if at.size < 2:
        return np.zeros(edges.size - 1)
    counted = np.concatenate(([0.0], np.cumsum(_increments(np.asarray(total_kwh, dtype=float)))))
    energy: Floats = np.diff(np.interp(edges, at, counted))
    return energy


def _increments(total_kwh: Floats) -> Floats:
    steps = np.diff(total_kwh)
    return np.where(steps < 0, total_kwh[1:], steps)
