"""A chart as pages show it: the figure, its answer in one sentence, and the same as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from depot.charts.table import Table


@dataclass(frozen=True, slots=True)
class Chart:
    """What `partials/chart.html` shows. `id` must be unique on the page; `title` may be empty."""

    id: str
    title: str
    summary: str
    figure: dict[str, Any]
    table: Table

    @property
    def figure_id(self) -> str:
        return f"{self.id}-figure"
