"""Count the charge and discharge cycles in a state-of-charge series by the rainflow method.

The counting is that of ASTM E1049-85, section 5.4.4: the three most recent turning points are compared, an
inner range is one whole cycle, a range that contains the start of the series is half a cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cycles:
    """Hold counted cycles: `depth` (SoC range), `mean` (mean SoC) and `count` (1.0 whole, 0.5 half)."""

    depth: FloatArray
    mean: FloatArray
    count: FloatArray

    @property
    def equivalent_full_cycles(self) -> float:
        """Return the sum of depth times count: half of the distance that the SoC has travelled."""
        return float(self.depth @ self.count)


@dataclass(frozen=True, slots=True)
class CycleBin:
    """Hold the count of cycles whose depth and mean SoC lie in one box, upper edges included."""

    depth_from: float
    depth_to: float
    mean_from: float
    mean_to: float
    count: float


def turning_points(series: npt.ArrayLike) -> FloatArray:
    """Return the values at which a series turns, with its first and last value; repeats are dropped."""
    values = np.asarray(series, dtype=np.float64)
    if values.size < 2:
        return values
    moved = values[np.concatenate(([True], values[1:] != values[:-1]))]
    if moved.size < 3:
        return moved
    turns = np.sign(moved[1:-1] - moved[:-2]) != np.sign(moved[2:] - moved[1:-1])
    return moved[np.concatenate(([True], turns, [True]))]


def count_cycles(soc: npt.ArrayLike) -> Cycles:
    """Return the rainflow cycles of a SoC series, in the order in which they close."""
    rows: list[tuple[float, float, float]] = []
    stack: list[float] = []
    for point in turning_points(soc).tolist():
        stack.append(point)
        while len(stack) >= 3 and abs(stack[-1] - stack[-2]) >= abs(stack[-2] - stack[-3]):
            if len(stack) == 3:
                rows.append(_row(stack[0], stack[1], 0.5))
                del stack[0]
            else:
                rows.append(_row(stack[-3], stack[-2], 1.0))
                del stack[-3:-1]
    rows.extend(_row(low, high, 0.5) for low, high in pairwise(stack))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Cycles(depth=table[:, 0], mean=table[:, 1], count=table[:, 2])


def bin_cycles(cycles: Cycles, depth_edges: Sequence[float], mean_edges: Sequence[float]) -> list[CycleBin]:
    """Return the count of cycles in every box of depth and mean SoC that is not empty, shallow boxes first.

    The edges ascend; a value on an edge belongs to the box below it, and values beyond the outer edges to the
    outermost boxes, so that no cycle is lost.
    """
    depth_box = np.clip(np.searchsorted(depth_edges, cycles.depth) - 1, 0, len(depth_edges) - 2)
    mean_box = np.clip(np.searchsorted(mean_edges, cycles.mean) - 1, 0, len(mean_edges) - 2)
    counts = np.zeros((len(depth_edges) - 1, len(mean_edges) - 1))
    np.add.at(counts, (depth_box, mean_box), cycles.count)
    return [
        CycleBin(depth_edges[d], depth_edges[d + 1], mean_edges[m], mean_edges[m + 1], float(counts[d, m]))
        for d, m in np.argwhere(counts > 0).tolist()
    ]


def _row(start: float, end: float, count: float) -> tuple[float, float, float]:
    return abs(end - start), (start + end) / 2, count
