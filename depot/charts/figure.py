"""Put traces into a figure: panels on one time axis, quiet grid, one legend, sizes and hover."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from depot.charts.time_axis import TimeAxis
from depot.charts.traces import Trace
from depot.words import figures

ALLOWED_TRACES = frozenset({"scatter", "bar", "pie"})
LEFT_MARGIN_PX = 60
GAP = 0.12
CATEGORY_EVERY = (1, 2, 3, 5, 7, 10, 15, 30)
FEW_BARS = 8
_MARKUP = re.compile(r"<(?!/?(?:br|extra)\b)")
_TEXT, _MUTED = "var(--text)", "var(--muted)"


@dataclass(frozen=True, slots=True)
class Panel:
    """One of a figure's stacked panels: its unit or title, its share of the height, its range.

    A panel with `rows` is a Gantt: its y axis has these categories, the first at the top.
    """

    title: str
    share: float = 1.0
    range: tuple[float, float] | None = None
    rows: Sequence[str] = ()


def figure(
    traces: Sequence[Trace],
    *,
    axis: TimeAxis | None = None,
    panels: Sequence[Panel] = (Panel(""),),
    height_px: int = 280,
    shapes: Sequence[dict[str, Any]] = (),
    hover: Literal["x unified", "closest"] = "x unified",
) -> dict[str, Any]:
    """Return a figure as JSON-able `data`, `layout` and `legend` (name, role and mark of each meaning).

    `axis` makes the x axis a time axis shared by all panels; without it x has categories. Raise ValueError
    for a trace type that the browser's small bundle cannot draw.
    """
    for trace in traces:
        if trace["type"] not in ALLOWED_TRACES:
            raise ValueError(f"A chart cannot have a '{trace['type']}' trace, only {sorted(ALLOWED_TRACES)}.")
    layout = _frame(height_px, hover) | _y_axes(panels)
    layout |= {"shapes": list(shapes), "annotations": _panel_titles(panels, layout)}
    choices = _category_ticks(traces) if axis is None else axis.tick_choices()
    layout["meta"] = {"tick_choices": choices}
    layout["separators"] = figures(".,")
    layout["xaxis"] = _x_axis(axis, len(panels)) | (choices[-1] if choices else {})
    return {"data": _plain(traces), "layout": _plain(layout), "legend": _legend(traces)}


def _frame(height_px: int, hover: str) -> dict[str, Any]:
    return {
        "height": height_px,
        "margin": {"l": LEFT_MARGIN_PX, "r": 12, "t": 30, "b": 28, "pad": 0},
        "paper_bgcolor": "var(--chart-none)",
        "plot_bgcolor": "var(--chart-none)",
        "font": {"size": 12, "color": _MUTED},
        "hovermode": hover,
        "hoversubplots": "axis",
        "hoverlabel": {
            "bgcolor": "var(--raised)",
            "bordercolor": "var(--line)",
            "font": {"color": _TEXT, "size": 12},
            "align": "left",
            "namelength": -1,
        },
        "showlegend": False,
        "uniformtext": {"minsize": 10, "mode": "hide"},
        "barmode": "overlay",
        "bargap": 0.35,
        "dragmode": False,
    }


def _x_axis(axis: TimeAxis | None, panels: int) -> dict[str, Any]:
    common = {
        "anchor": "y" if panels == 1 else f"y{panels}",
        "showgrid": axis is not None,
        "gridcolor": "var(--chart-grid)",
        "linecolor": "var(--chart-axis)",
        "showline": True,
        "zeroline": False,
        "ticks": "",
        "fixedrange": True,
        "showspikes": False,
        "tickangle": 0,
        "automargin": axis is None,
    }
    if axis is None:
        return common | {"type": "category"}
    return common | axis.layout()


def _legend(data: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return each meaning once, for the legend that the page writes as text."""
    entries: dict[str, dict[str, str]] = {}
    for trace in data:
        if role := trace.get("meta"):
            entries.setdefault(trace["name"], {"name": trace["name"], "role": role, "mark": _mark(trace)})
    return list(entries.values())


def _mark(trace: dict[str, Any]) -> str:
    if trace["type"] == "bar" or trace.get("fill") or trace.get("stackgroup"):
        return "area"
    return "point" if trace.get("mode") == "markers" else "line"


def _category_ticks(traces: Sequence[Trace]) -> list[dict[str, list[str]]]:
    """Return all labels, then fewer; labels of only a few bars are never left out."""
    labels = list(dict.fromkeys(str(label) for trace in traces for label in trace.get("x", ())))
    every = CATEGORY_EVERY if len(labels) > FEW_BARS else (1,)
    return [{"tickvals": labels[::step], "ticktext": labels[::step]} for step in every if labels]


def _panel_titles(panels: Sequence[Panel], layout: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels' units, written level above the tops of their y axes."""
    axes = [layout["yaxis" if number == 1 else f"yaxis{number}"] for number in range(1, len(panels) + 1)]
    return [
        {
            "text": panel.title,
            "xref": "paper",
            "x": 0,
            "xanchor": "right",
            "xshift": -6,
            "yref": "paper",
            "y": axis["domain"][1],
            "yanchor": "bottom",
            "yshift": 8,
            "showarrow": False,
            "font": {"color": _MUTED, "size": 12},
        }
        for panel, axis in zip(panels, axes, strict=True)
        if panel.title
    ]


def _y_axes(panels: Sequence[Panel]) -> dict[str, Any]:
    gaps = GAP * (len(panels) - 1)
    total = sum(panel.share for panel in panels)
    axes: dict[str, Any] = {}
    top = 1.0
    for number, panel in enumerate(panels, 1):
        bottom = max(0.0, top - (1 - gaps) * panel.share / total)
        axes["yaxis" if number == 1 else f"yaxis{number}"] = _y_axis(panel, bottom, top)
        top = bottom - GAP
    return axes


def _y_axis(panel: Panel, bottom: float, top: float) -> dict[str, Any]:
    y_axis: dict[str, Any] = {
        "domain": [bottom, top],
        "anchor": "x",
        "gridcolor": "var(--chart-grid)",
        "zerolinecolor": "var(--chart-axis)",
        "zeroline": not panel.rows,
        "showgrid": not panel.rows,
        "ticks": "",
        "fixedrange": True,
        "nticks": 5,
        "ticklabelstandoff": 4,
        "tickformat": ",~r",
    }
    if panel.range:
        y_axis["range"] = list(panel.range)
    if panel.rows:
        rows = list(panel.rows)
        y_axis |= {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": rows,
            "range": [len(rows) - 0.5, -0.5],
            "tickmode": "array",
            "tickvals": rows,
            "tickfont": {"color": _TEXT},
        }
        del y_axis["tickformat"]
    return y_axis


def _plain(value: Any) -> Any:
    """Return JSON-able values: numbers rounded to 4 decimals, not-a-number as a gap, text without markup.

    The library would write styled text with style attributes, which the content security policy forbids.
    """
    if isinstance(value, str):
        return _MARKUP.sub("&lt;", value) if "<" in value else value
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
