"""One visual language for every chart: figures are built here and drawn by static/js/charts.js.

A figure is the plain JSON form of a plotly figure of `scatter`, `bar` and `pie` traces. Its colours are CSS
variables, so that one figure serves the light and the dark theme.
"""

from depot.charts.chart import Chart
from depot.charts.figure import Panel, figure
from depot.charts.roles import ROLES, Role
from depot.charts.table import Table, table_of
from depot.charts.time_axis import TimeAxis
from depot.charts.traces import (
    Mark,
    Span,
    Step,
    Trace,
    area,
    band,
    bars,
    confidence,
    gantt,
    limit,
    line,
    marks,
    now_line,
    steps,
    styled,
    waterfall,
)

__all__ = [
    "ROLES",
    "Chart",
    "Mark",
    "Panel",
    "Role",
    "Span",
    "Step",
    "Table",
    "TimeAxis",
    "Trace",
    "area",
    "band",
    "bars",
    "confidence",
    "figure",
    "gantt",
    "limit",
    "line",
    "marks",
    "now_line",
    "steps",
    "styled",
    "table_of",
    "waterfall",
]
