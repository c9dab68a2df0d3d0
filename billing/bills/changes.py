"""What differs between two bills of one period, and between the intervals that they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import numpy as np

from billing.tariff import LoadSeries

SAME_KW = 1e-9


class Line(Protocol):
    """A bill's line, from the engine or from the database."""

    @property
    def label(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def unit(self) -> str: ...
    @property
    def amount(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """One line of two bills, None where a bill does not have it; `difference` is new less old amount."""

    id: str
    label: str
    before: Line | None
    after: Line | None

    @property
    def difference(self) -> Decimal:
        return _amount(self.after) - _amount(self.before)

    @property
    def is_changed(self) -> bool:
        """Tell whether amount or quantity differ."""
        if self.before is None or self.after is None:
            return True
        return bool(self.difference) or self.before.quantity != self.after.quantity


@dataclass(frozen=True, slots=True)
class ChangedLoad:
    """How many steps of a load differ from what it was, over which span, and by how much energy (new less old)."""

    steps: int
    from_at: datetime | None
    to_at: datetime | None
    import_kwh: float
    export_kwh: float
    measured: int
    """Steps that were estimated before and are measured now."""


def changed_lines(before: Sequence[tuple[str, Line]], after: Sequence[tuple[str, Line]]) -> list[ChangedLine]:
    """Return all lines of two bills side by side, in the new bill's order, then those that are gone.

    The differences add up to the difference of the totals.
    """
    old, new = dict(before), dict(after)
    order = [*new, *(id for id in old if id not in new)]
    return [ChangedLine(id, (new.get(id) or old[id]).label, old.get(id), new.get(id)) for id in order]


def changed_load(before: LoadSeries, after: LoadSeries) -> ChangedLoad:
    """Compare two loads of one step length; a step that only one of them has is a change of all its energy."""
    start_at = min(before.start_at, after.start_at)
    end_at = max(before.end_at, after.end_at)
    step = timedelta(minutes=after.step_minutes)
    steps = (end_at - start_at) // step
    first = {"before": (before.start_at - start_at) // step, "after": (after.start_at - start_at) // step}
    grids = {}
    for name, load in (("before", before), ("after", after)):
        held = slice(first[name], first[name] + load.steps)
        for column in ("import_kw", "export_kw", "estimated"):
            grid = np.full(steps, np.nan)
            grid[held] = getattr(load, column)
            grids[name, column] = grid
    differs = np.zeros(steps, dtype=np.bool_)
    for column, least in (("import_kw", SAME_KW), ("export_kw", SAME_KW), ("estimated", 0.5)):
        old, new = grids["before", column], grids["after", column]
        differs |= (np.isnan(old) != np.isnan(new)) | (
            np.abs(np.nan_to_num(new) - np.nan_to_num(old)) > least
        )
    where = np.flatnonzero(differs)
    hours = after.step_minutes / 60

    def gained(column: str) -> float:
        return (
            float((np.nan_to_num(grids["after", column]) - np.nan_to_num(grids["before", column])).sum())
            * hours
        )

    return ChangedLoad(
        steps=int(where.size),
        from_at=start_at + int(where[0]) * step if where.size else None,
        to_at=start_at + (int(where[-1]) + 1) * step if where.size else None,
        import_kwh=gained("import_kw"),
        export_kwh=gained("export_kw"),
        measured=int(np.sum((grids["before", "estimated"] == 1) & (grids["after", "estimated"] == 0))),
    )


def _amount(line: Line | None) -> Decimal:
    return line.amount if line is not None else Decimal(0)
