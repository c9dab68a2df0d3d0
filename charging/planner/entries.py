"""The entries of a matrix that grows by rows, with what column pricing asks of it."""

from dataclasses import dataclass

import numpy as np

from charging.planner.case import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Entries of a matrix in the order of its rows: row, column and value of each."""

    rows: IntArray
    columns: IntArray
    values: FloatArray

    @classmethod
    def of_rows(cls, starts: IntArray, columns: IntArray, values: FloatArray, first: int = 0) -> "Entries":
        """Return the entries of rows numbered from `first` whose entries begin at `starts` (no closing start)."""
        counts = np.diff(np.append(starts, len(columns)))
        rows = first + np.repeat(np.arange(len(starts), dtype=np.int64), counts)
        return cls(rows, columns, values)

    def and_of(self, other: "Entries") -> "Entries":
        """Return these entries and those of later rows."""
        return Entries(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.columns, other.columns]),
            np.concatenate([self.values, other.values]),
        )

    def weighted(self, row_weights: FloatArray, columns: int) -> FloatArray:
        """Return the sum of each column's entries times the weights of their rows, for so many columns."""
        return np.bincount(
            self.columns, weights=self.values * row_weights[self.rows], minlength=columns
        ).astype(np.float64)

    def by_rows(self, place: IntArray, first: int, count: int) -> tuple[IntArray, IntArray, FloatArray]:
        """Return starts, columns and values of rows from `first` on; `place` renumbers columns (-1: left out)."""
        kept = (place[self.columns] >= 0) & (self.rows >= first)
        starts = np.searchsorted(self.rows[kept], first + np.arange(count)).astype(np.int64)
        return starts, place[self.columns[kept]], self.values[kept]

    def by_columns(self, columns: IntArray, count: int) -> tuple[IntArray, IntArray, FloatArray]:
        """Return starts, rows and values of some columns out of `count`, in the order given."""
        place = np.full(count, -1, dtype=np.int64)
        place[columns] = np.arange(len(columns))
        kept = np.flatnonzero(place[self.columns] >= 0)
        kept = kept[np.argsort(place[self.columns[kept]], kind="stable")]
        starts = np.searchsorted(place[self.columns[kept]], np.arange(len(columns))).astype(np.int64)
        return starts, self.rows[kept], self.values[kept]
