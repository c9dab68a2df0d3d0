"""Gather columns, rows and entries of a linear programme and hand them over as arrays."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from charging.planner.case import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class LinearProgramme:
    """Minimise constant + cost·x with lower <= x <= upper, row_lower <= A x <= row_upper; A by rows (CSR)."""

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    whole: BoolArray
    row_lower: FloatArray
    row_upper: FloatArray
    row_starts: IntArray
    column_of_entry: IntArray
    value_of_entry: FloatArray
    constant: float


@dataclass(slots=True)
class ProgrammeBuilder:
    """Grow a linear programme block by block; every block is an array."""

    columns: int = 0
    rows: int = 0
    constant: float = 0.0
    _columns: list[tuple[FloatArray, FloatArray, FloatArray, BoolArray]] = field(default_factory=list)
    _rows: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    _entries: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)

    def add_columns(
        self, count: int, cost: ArrayLike = 0.0, lower: ArrayLike = 0.0, upper: ArrayLike = np.inf
    ) -> IntArray:
        """Add continuous columns and return their numbers."""
        return self._add_columns(count, (cost, lower, upper), whole=False)

    def add_switches(self, count: int, upper: ArrayLike = 1.0) -> IntArray:
        """Add columns that take whole values from 0 to `upper` and return their numbers."""
        return self._add_columns(count, (0.0, 0.0, upper), whole=True)

    def _add_columns(
        self, count: int, values: tuple[ArrayLike, ArrayLike, ArrayLike], whole: bool
    ) -> IntArray:
        cost, lower, upper = (np.broadcast_to(np.asarray(value, np.float64), (count,)) for value in values)
        self._columns.append((cost, lower, upper, np.full(count, whole)))
        self.columns += count
        return np.arange(self.columns - count, self.columns, dtype=np.int64)

    def add_rows(self, count: int, lower: ArrayLike = -np.inf, upper: ArrayLike = np.inf) -> IntArray:
        """Add rows and return their numbers."""
        self._rows.append(
            (
                np.broadcast_to(np.asarray(lower, np.float64), (count,)),
                np.broadcast_to(np.asarray(upper, np.float64), (count,)),
            )
        )
        self.rows += count
        return np.arange(self.rows - count, self.rows, dtype=np.int64)

    def put(self, rows: IntArray, columns: IntArray, values: ArrayLike) -> None:
        """Put entries into the matrix; `values` may be one number for all of them."""
        spread = np.broadcast_to(np.asarray(values, np.float64), rows.shape)
        self._entries.append((rows, columns, spread))

    def programme(self) -> LinearProgramme:
        """Return the finished programme with its matrix sorted by rows."""
        cost, lower, upper, whole = (np.concatenate(parts) for parts in zip(*self._columns, strict=True))
        row_lower, row_upper = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        rows, columns, values = (np.concatenate(parts) for parts in zip(*self._entries, strict=True))
        order = np.argsort(rows, kind="stable")
        starts = np.zeros(self.rows + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=self.rows), out=starts[1:])
        return LinearProgramme(
            cost,
            lower,
            upper,
            whole,
            row_lower,
            row_upper,
            starts,
            columns[order],
            values[order],
            self.constant,
        )
