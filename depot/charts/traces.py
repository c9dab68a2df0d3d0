"""The marks that charts are made of. Each function returns plotly traces or shapes in the product's style.

A trace is the plain JSON form of a plotly trace. Plotly's own classes check every value of it, which takes longer
than all the rest of a page; the tests let them check one of each kind.

Powers are kW, + charging or import, − discharging or export. `panel` counts the panels of a figure from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from depot.charts.roles import ROLES
from depot.charts.time_axis import TimeAxis
from depot.words import tr

Values = Sequence[float | None]
Trace = dict[str, Any]
_BLANK = "var(--chart-none)"
_INDENT = "\u2002 "  # room for the mark of the departure that stands at a span's start


@dataclass(frozen=True, slots=True)
class Span:
    """A bar of a Gantt row: from when to when, and `strength` (0..1) of its colour."""

    row: str
    from_at: datetime
    to_at: datetime
    note: str
    strength: float = 1.0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point that must be reached, filled when it is."""

    row: str | float
    at: datetime
    met: bool
    note: str


@dataclass(frozen=True, slots=True)
class Step:
    """A bar of a waterfall: an amount that is added (or saved, when negative), or a total to stand on."""

    label: str
    amount: float
    kind: Literal["total", "change"] = "change"


def styled(trace: Trace, **more: Any) -> Trace:
    """Return a trace with more properties; those of a part that it has already (its line) go into that part."""
    parts = {
        key: {**trace[key], **value}
        for key, value in more.items()
        if isinstance(value, dict) and isinstance(trace.get(key), dict)
    }
    return trace | more | parts


def _scatter(**values: Any) -> Trace:
    return {"type": "scatter", **values}


def _bar(**values: Any) -> Trace:
    return {"type": "bar", **values}


def yaxis_of(panel: int) -> str:
    """Return plotly's name of a panel's y axis."""
    return "y" if panel == 1 else f"y{panel}"


def line(
    axis: TimeAxis,
    moments: Sequence[datetime],
    values: Values,
    role: str,
    *,
    unit: str,
    name: str = "",
    panel: int = 1,
) -> Trace:
    """Draw measured values (`unit`) at their moments, joined by straight lines; None leaves a gap."""
    style = ROLES[role]
    told = {"customdata": axis.labels(moments)} if axis.clock_changes else {}
    return told | _scatter(
        x=axis.xs(moments),
        y=list(values),
        name=name or tr(style.word),
        meta=role,
        mode="lines",
        yaxis=yaxis_of(panel),
        line={"color": style.line, "width": style.width, "dash": style.dash},
        hovertemplate=_hover(unit) + (tr(" at %{customdata}") if axis.clock_changes else ""),
    )


def steps(
    axis: TimeAxis,
    boundaries: Sequence[datetime],
    values: Values,
    role: str,
    *,
    unit: str,
    name: str = "",
    panel: int = 1,
) -> Trace:
    """Draw values that hold for a step each (price, net power); `boundaries` has one more than `values`."""
    trace = line(axis, boundaries, _held(boundaries, values), role, unit=unit, name=name, panel=panel)
    return styled(trace, line={"shape": "hv"})


def area(
    axis: TimeAxis,
    boundaries: Sequence[datetime],
    values: Values,
    role: str,
    *,
    unit: str = "kW",
    stack: Literal["above", "below", ""] = "",
    name: str = "",
    panel: int = 1,
) -> Trace:
    """Draw step values as an area; areas with one `stack` lie on each other (`below`: negative values)."""
    style = ROLES[role]
    trace = steps(axis, boundaries, values, role, unit=unit, name=name, panel=panel)
    filled = {"stackgroup": f"{stack}-{panel}"} if stack else {"fill": "tozeroy"}
    return styled(trace, fillcolor=style.fill, line={"width": 1.0, "dash": "solid"}, **filled)


def confidence(
    axis: TimeAxis, moments: Sequence[datetime], low: Values, high: Values, role: str, *, panel: int = 1
) -> list[Trace]:
    """Draw the band between two series (an uncertainty, a reserve) without lines of its own."""
    common: dict[str, Any] = {
        "x": axis.xs(moments),
        "mode": "lines",
        "line": {"width": 0, "color": _BLANK},
        "yaxis": yaxis_of(panel),
        "hoverinfo": "skip",
    }
    return [
        _scatter(y=list(low), **common),
        _scatter(y=list(high), fill="tonexty", fillcolor=ROLES[role].fill, **common),
    ]


def limit(axis: TimeAxis, value: float, words: str, *, role: str = "limit", panel: int = 1) -> Trace:
    """Draw a level over the whole axis as a dashed line with its words on it."""
    style = ROLES[role]
    return _scatter(
        x=axis.xs([axis.from_at, axis.to_at]),
        y=[value, value],
        text=["", words],
        name=words,
        mode="lines+text",
        textposition="top left",
        textfont={"color": "var(--will-miss)", "size": 11},
        yaxis=yaxis_of(panel),
        line={"color": style.line, "width": style.width, "dash": style.dash},
        hoverinfo="skip",
        cliponaxis=False,
    )


def bars(
    labels: Sequence[str], values: Values, role: str, *, unit: str, name: str = "", panel: int = 1
) -> Trace:
    """Draw one bar a label (a day, a month, a vehicle)."""
    style = ROLES[role]
    return _bar(
        x=list(labels),
        y=list(values),
        name=name or tr(style.word),
        meta=role,
        yaxis=yaxis_of(panel),
        marker={"color": style.fill, "line": {"color": style.line, "width": 1}},
        hovertemplate=_hover(unit),
    )


def gantt(axis: TimeAxis, spans: Sequence[Span], role: str, *, name: str = "", panel: int = 1) -> Trace:
    """Draw spans of one meaning as bars on their rows; `note` is what hovering says."""
    style = ROLES[role]
    return _bar(
        orientation="h",
        y=[span.row for span in spans],
        base=axis.xs(span.from_at for span in spans),
        x=[(span.to_at - span.from_at).total_seconds() * 1000 for span in spans],
        customdata=[
            [f"{axis.label(span.from_at)} – {span.to_at.astimezone(axis.tz):%H:%M}", span.note]
            for span in spans
        ],
        text=[f"{_INDENT}{span.label}" if span.label else "" for span in spans],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        textfont={"color": "var(--muted)", "size": 11},
        name=name or tr(style.word),
        meta=role,
        yaxis=yaxis_of(panel),
        width=0.62,
        offset=-0.31,
        marker={
            "color": style.fill if role == "away" else style.line,
            "opacity": [0.25 + 0.75 * min(max(span.strength, 0.0), 1.0) for span in spans],
            "line": {"width": 0},
            "cornerradius": 3,
        },
        hovertemplate="%{y} · %{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def marks(axis: TimeAxis, points: Sequence[Mark], *, name: str = "", panel: int = 1) -> Trace:
    """Draw what each departure needs as diamonds: filled green when met, hollow vermilion when not."""
    ready, missed = ROLES["ready"].line, ROLES["will_miss"].line
    colours = [ready if point.met else missed for point in points]
    return _scatter(
        x=axis.xs(point.at for point in points),
        y=[point.row for point in points],
        customdata=[[axis.label(point.at), point.note] for point in points],
        name=name or tr("Needed"),
        meta="ready",
        mode="markers",
        yaxis=yaxis_of(panel),
        marker={
            "symbol": ["diamond" if point.met else "diamond-open" for point in points],
            "size": 9,
            "color": colours,
            "line": {"color": colours, "width": 1.5},
        },
        hovertemplate="%{customdata[0]}: %{customdata[1]}<extra></extra>",
    )


def waterfall(steps_: Sequence[Step], *, unit: str = "$") -> Trace:
    """Draw amounts of money as bars that stand on each other, left to right."""
    bases: list[float] = []
    heights: list[float] = []
    colours: list[str] = []
    level = 0.0
    for step in steps_:
        level_after = step.amount if step.kind == "total" else level + step.amount
        bottom = 0.0 if step.kind == "total" else level
        bases.append(bottom)
        heights.append(level_after - bottom)
        colours.append(_waterfall_role(step))
        level = level_after
    return _bar(
        x=[step.label for step in steps_],
        y=heights,
        base=bases,
        text=[_signed_amount(step, unit) for step in steps_],
        textposition="outside",
        constraintext="none",
        textfont={"color": "var(--text)", "size": 12},
        cliponaxis=False,
        name="",
        width=0.62,
        marker={
            "color": [ROLES[role].fill for role in colours],
            "line": {"color": [ROLES[role].line for role in colours], "width": 1.2},
        },
        hovertemplate="%{x}: %{text}<extra></extra>",
    )


def now_line(axis: TimeAxis, now: datetime) -> dict[str, Any]:
    """Return the shape of the line that is now, across all panels."""
    return {
        "type": "line",
        "x0": axis.x(now),
        "x1": axis.x(now),
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": "var(--accent)", "width": 1.5},
        "label": {
            "text": tr("now"),
            "textposition": "end",
            "textangle": 0,
            "yanchor": "bottom",
            "font": {"color": "var(--accent)", "size": 11},
        },
    }


def band(axis: TimeAxis, from_at: datetime, to_at: datetime, words: str, *, panel: int = 1) -> dict[str, Any]:
    """Return the shape of a named span of a panel (a demand window, an event)."""
    return {
        "type": "rect",
        "layer": "below",
        "x0": axis.x(from_at),
        "x1": axis.x(to_at),
        "yref": f"{yaxis_of(panel)} domain",
        "y0": 0,
        "y1": 1,
        "fillcolor": ROLES["price"].fill,
        "opacity": 0.55,
        "line": {"width": 0},
        "label": {
            "text": words,
            "textposition": "top left",
            "font": {"color": ROLES["price"].line, "size": 11},
        },
    }


def _held(boundaries: Sequence[datetime], values: Values) -> list[float | None]:
    if len(boundaries) != len(values) + 1:
        raise ValueError(f"{len(values)} steps need {len(values) + 1} boundaries, not {len(boundaries)}.")
    return [*values, values[-1] if values else None]


def _hover(unit: str) -> str:
    return "%{y:,.1f} " + unit if unit in ("kW", "kWh", "%") else "%{y:,.3~f} " + unit


def _waterfall_role(step: Step) -> str:
    if step.kind == "total":
        return "building"
    return "ready" if step.amount <= 0 else "discharge"


def _signed_amount(step: Step, unit: str) -> str:
    sign = "" if step.kind == "total" and step.amount >= 0 else "−" if step.amount < 0 else "+"
    return f"{sign}{unit}{abs(step.amount):,.0f}"
