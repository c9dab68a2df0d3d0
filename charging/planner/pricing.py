"""Choose the power columns that a linear programme begins with, by the prices of a coarse answer.

Most of a large programme is powers in steps of no interest: charging while energy is dear. The coarse programme is the
same one with the powers of neighbouring steps tied together, a fraction of the size. Its duals price every single
power: those that this price makes attractive, and those that the coarse answer uses, are begun with. The solver
brings in any other that its own prices ask for later, so the end is the optimum of the whole programme.
"""

import numpy as np

from charging.planner.arrays import LinearProgramme
from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.devices import Problem
from charging.planner.entries import Entries
from charging.planner.formulation import Formulation
from charging.planner.highs import DUAL_TOLERANCE, Solver

# Below this number of power columns, the coarse solve costs more than it saves.
FEWEST_COLUMNS = 10_000
TIED_HOURS = 2.0
USED_KW = 1e-9


def first_columns(form: Formulation, problem: Problem, deadline: float, gap: float) -> BoolArray | None:
    """Return the columns to begin with, where the problem says so or the coarse answer does; None for all of them."""
    powers = np.zeros(len(form.programme.cost), dtype=bool)
    for places in (form.charge_at, form.discharge_at):
        powers[places[places >= 0]] = True
    if np.count_nonzero(powers) < FEWEST_COLUMNS:
        return None
    if problem.start is not None:
        likely = np.zeros_like(powers)
        for places, used in (
            (form.charge_at, problem.start.charge),
            (form.discharge_at, problem.start.discharge),
        ):
            likely[places[used & (places >= 0)]] = True
        return likely | ~powers
    # A loss beyond that of full power is no power, and seldom wanted.
    powers[form.powers.charge_lost_at[form.powers.charge_lost_at >= 0]] = True
    powers[form.powers.discharge_lost_at[form.powers.discharge_lost_at >= 0]] = True
    likely = _attractive(
        form.programme, _ties(form, max(2, round(TIED_HOURS / problem.case.hours))), deadline, gap
    )
    return likely | ~powers


def _attractive(programme: LinearProgramme, owner: IntArray, deadline: float, gap: float) -> BoolArray:
    """Return the columns that the coarse answer uses or prices as worth it; all where there is none."""
    answer = Solver(tied(programme, owner), deadline, gap).solve()
    if answer.values is None or answer.duals is None:
        return np.ones(len(owner), dtype=bool)
    entries = Entries.of_rows(programme.row_starts[:-1], programme.column_of_entry, programme.value_of_entry)
    reduced = programme.cost - entries.weighted(answer.duals.rows, len(owner))
    return (reduced < -DUAL_TOLERANCE) | (answer.values[owner] > USED_KW)


def _ties(form: Formulation, block: int) -> IntArray:
    """Return the coarse column of each column: powers of a device in a block without a checkpoint share one."""
    segment = np.cumsum(form.energy_at[:, :-1] >= 0, axis=1)
    owner = np.arange(len(form.programme.cost), dtype=np.int64)
    for places in (form.charge_at, form.discharge_at):
        device, step = np.nonzero(places >= 0)
        columns = places[device, step]
        keys = np.stack([device, segment[device, step], step // block])
        _, first, group = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        owner[columns] = columns[first[group]]
    _, numbers = np.unique(owner, return_inverse=True)
    return numbers.astype(np.int64)


def tied(programme: LinearProgramme, owner: IntArray) -> LinearProgramme:
    """Return the programme with all columns of one owner equal, as one column."""
    count = int(owner.max(initial=-1)) + 1
    lower, upper = np.full(count, -np.inf), np.full(count, np.inf)
    np.maximum.at(lower, owner, programme.lower)
    np.minimum.at(upper, owner, programme.upper)
    rows = np.repeat(np.arange(len(programme.row_lower)), np.diff(programme.row_starts))
    places, entry = np.unique(rows * count + owner[programme.column_of_entry], return_inverse=True)
    return LinearProgramme(
        cost=_sums(owner, programme.cost, count),
        lower=lower,
        upper=upper,
        whole=np.zeros(count, dtype=bool),
        row_lower=programme.row_lower,
        row_upper=programme.row_upper,
        row_starts=np.searchsorted(places, np.arange(len(programme.row_lower) + 1) * count).astype(np.int64),
        column_of_entry=places % count,
        value_of_entry=_sums(entry, programme.value_of_entry, len(places)),
        constant=programme.constant,
    )


def _sums(groups: IntArray, values: FloatArray, count: int) -> FloatArray:
    return np.bincount(groups, weights=values, minlength=count).astype(np.float64)
