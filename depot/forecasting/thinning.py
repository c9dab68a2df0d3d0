"""Which readings nobody needs any more, because what is counted in each step stays the same without them. PURE."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from depot.forecasting.registers import Floats, read_register

Indices = npt.NDArray[np.int64]


def spare_registers(read_at: Floats, totals: Sequence[Floats], greatest_kw: float, step_s: float) -> Indices:
    """Return the indices of readings, in ascending order of `read_at` (seconds), that can go.

    Of each step stay the first and the last reading, between which and those of the next step the boundary lies, and
    the one at which each register last moved, which tells how long it stood. Where a register fell, jumped or
    counted more than `greatest_kw` could, with the spare readings or without, all stay.
    """
    if read_at.size < 3:
        return np.zeros(0, dtype=np.int64)
    step = np.floor(read_at / step_s)
    begins = np.concatenate(([True], step[1:] != step[:-1]))
    ends = np.concatenate((begins[1:], [True]))
    keep = begins | ends
    last_of_step = np.flatnonzero(ends)[np.cumsum(begins) - 1]
    for total in totals:
        moved = np.concatenate(([True], total[1:] != total[:-1]))
        moves = np.cumsum(moved)
        keep |= moved & (moves == moves[last_of_step])
    if keep.all() or not all(
        _sound(read_at, total, greatest_kw) and _sound(read_at[keep], total[keep], greatest_kw)
        for total in totals
    ):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(~keep)


def _sound(at: Floats, total: Floats, greatest_kw: float) -> bool:
    """Tell whether all readings are believed, and none falls: also the least fall counts as standing still."""
    register = read_register(at, total, greatest_kw)
    return not register.doubted.size and not register.broken.any() and bool(np.all(np.diff(total) >= 0))


def spare_said(seconds: Floats, kinds: Sequence[Hashable], step_s: float) -> Indices:
    """Return the indices of what was said, in ascending order of time, that is neither first nor last in its step.

    `kinds` tell what each reading says and who says it: every kind has a first and a last of its own.
    """
    first: dict[tuple[float, Hashable], int] = {}
    last: dict[tuple[float, Hashable], int] = {}
    for index, (step, kind) in enumerate(zip(np.floor(seconds / step_s), kinds, strict=True)):
        first.setdefault((step, kind), index)
        last[step, kind] = index
    keep = np.zeros(seconds.size, dtype=bool)
    keep[[*first.values(), *last.values()]] = True
    return np.flatnonzero(~keep)
