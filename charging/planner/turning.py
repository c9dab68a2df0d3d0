"""Find the boundaries where money turns: there the energy is most likely to be at a limit, so it gets a column."""

import numpy as np

from charging.planner.case import DepotCase, FloatArray, IntArray

# With prices that change every step, only the largest changes: one column for every so many steps.
STEPS_A_POINT = 8


def turning_points(case: DepotCase) -> IntArray:
    """Return the boundaries at which a price or the window of a demand charge changes, in rising order.

    Batteries are fullest where a dear time begins and emptiest where it ends.
    """
    prices = case.prices
    change = _jumps(prices.import_per_kwh) + _jumps(prices.export_per_kwh)
    for charge in case.demand_charges:
        change += _jumps(charge.window.astype(np.float64))
    turns = np.flatnonzero(change > 0.0)
    most = max(1, case.steps // STEPS_A_POINT)
    chosen = turns[np.argsort(-change[turns], kind="stable")[:most]] + 1
    return np.sort(chosen).astype(np.int64)


def _jumps(series: FloatArray) -> FloatArray:
    return np.abs(np.diff(series))
