"""Charts: figures the browser's small bundle can draw, true local time, and a table for each."""

from __future__ import annotations

import itertools
import json
import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest

from depot import charts
from depot.charts.figure import ALLOWED_TRACES

NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)  # midnight in New York
TOKENS = (Path(__file__).parents[2] / "static/css/tokens.css").read_text()


def day_axis(start: datetime = START, hours: int = 24) -> charts.TimeAxis:
    return charts.TimeAxis(start, start + timedelta(hours=hours), NEW_YORK)


def hours_from(start: datetime, count: int) -> list[datetime]:
    return [start + timedelta(hours=hour) for hour in range(count)]


def test_moments_are_drawn_at_local_time_without_an_offset() -> None:
    axis = day_axis()
    assert axis.x(START) == "2026-03-10T00:00:00"
    assert axis.x(START + timedelta(hours=6, minutes=10)) == "2026-03-10T06:10:00"
    assert axis.label(START + timedelta(hours=6, minutes=10)) == "Tue 10 Mar 06:10"


@pytest.mark.parametrize(
    ("start", "hours", "local_hours"),
    [
        (datetime(2026, 3, 8, 5, 0, tzinfo=UTC), 23, ["Sun 8", "06:00", "12:00", "18:00", "Mon 9"]),
        (datetime(2026, 11, 1, 4, 0, tzinfo=UTC), 25, ["Sun 1", "06:00", "12:00", "18:00", "Mon 2"]),
    ],
)
def test_days_with_a_clock_change_keep_hours_equal_and_labels_true(
    start: datetime, hours: int, local_hours: list[str]
) -> None:
    axis = day_axis(start, hours)
    ticks = axis.ticks(6)
    assert ticks["ticktext"] == local_hours
    assert axis.clock_changes
    drawn = [datetime.fromisoformat(x) for x in axis.xs(hours_from(start, hours + 1))]
    assert {later - earlier for earlier, later in itertools.pairwise(drawn)} == {timedelta(hours=1)}
    assert drawn[-1] - drawn[0] == timedelta(hours=hours)


def test_hover_says_the_local_time_of_each_value_when_the_clock_changes() -> None:
    start = datetime(2026, 3, 8, 5, 0, tzinfo=UTC)
    changing = charts.line(day_axis(start, 23), [start + timedelta(hours=2)], [1.0], "import", unit="kW")
    assert changing["customdata"] == ["Sun 8 Mar 03:00"]
    assert "%{customdata}" in changing["hovertemplate"]
    ordinary = charts.line(day_axis(), [START], [1.0], "import", unit="kW")
    assert "customdata" not in ordinary


def test_ticks_become_sparser_and_long_axes_count_days() -> None:
    counts = [len(choice["tickvals"]) for choice in day_axis(hours=48).tick_choices()]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 49
    month = day_axis(hours=24 * 30).tick_choices()
    assert month[0]["ticktext"][:2] == ["10 Mar", "11 Mar"]
    assert len(month[0]["ticktext"]) == 31


@pytest.mark.parametrize(
    ("from_at", "to_at"),
    [(START, START), (START.replace(tzinfo=None), START + timedelta(hours=1))],
)
def test_an_axis_needs_aware_moments_in_order(from_at: datetime, to_at: datetime) -> None:
    with pytest.raises(ValueError, match="time"):
        charts.TimeAxis(from_at, to_at, NEW_YORK)


def every_trace() -> list[charts.Trace]:
    axis, boundaries = day_axis(), hours_from(START, 4)
    span = charts.Span("Bus 01", START, START + timedelta(hours=2), "Charges 40 kW", 0.5, label="101")
    mark = charts.Mark("Bus 01", START + timedelta(hours=2), True, "needs 75 %")
    return [
        charts.line(axis, boundaries, [1, None, 3, 4], "soc", unit="%"),
        charts.steps(axis, boundaries, [0.1, 0.2, 0.1], "price", unit="$/kWh"),
        charts.area(axis, boundaries, [1, 2, 3], "building", stack="above"),
        charts.area(axis, boundaries, [1, 2, 3], "solar"),
        *charts.confidence(axis, boundaries, [1, 2, 3, 4], [2, 3, 4, 5], "soc"),
        charts.limit(axis, 400, "Limit 400 kW"),
        charts.bars(["Mon", "Tue"], [1, 2], "ready", unit="$"),
        charts.gantt(axis, [span], "charge"),
        charts.marks(axis, [mark]),
        charts.waterfall([charts.Step("Unmanaged", 10, "total"), charts.Step("Shifted", -4)]),
    ]


def test_figures_are_plain_json_of_allowed_traces_with_hover_in_units() -> None:
    figure = charts.figure(every_trace(), axis=day_axis(), shapes=[charts.now_line(day_axis(), START)])
    text = json.dumps(figure, allow_nan=False)
    assert {trace["type"] for trace in figure["data"]} <= ALLOWED_TRACES
    assert "template" not in figure["layout"]
    hovers = [trace["hovertemplate"] for trace in figure["data"] if trace.get("hovertemplate")]
    assert "%{y:,.1f} %" in hovers
    assert len(text) < 20_000


def test_plotly_accepts_every_trace_and_the_layout() -> None:
    figure = charts.figure(every_trace(), axis=day_axis(), shapes=[charts.now_line(day_axis(), START)])
    checked = go.Figure({"data": figure["data"], "layout": figure["layout"]}).to_plotly_json()
    assert [trace["type"] for trace in checked["data"]] == [trace["type"] for trace in figure["data"]]


def test_more_style_goes_into_the_part_that_is_there() -> None:
    trace = {"type": "bar", "name": "Away", "marker": {"color": "red", "line": {"width": 0}}}
    styled = charts.styled(trace, width=0.5, marker={"pattern": {"shape": "/"}})
    assert styled["marker"] == {"color": "red", "line": {"width": 0}, "pattern": {"shape": "/"}}
    assert (styled["width"], "pattern" in trace["marker"]) == (0.5, False)


def test_every_colour_of_a_figure_is_a_token() -> None:
    shapes = [
        charts.now_line(day_axis(), START),
        charts.band(day_axis(), START, START + timedelta(hours=1), "On-peak"),
    ]
    text = json.dumps(charts.figure(every_trace(), axis=day_axis(), shapes=shapes))
    used = set(re.findall(r"var\((--[\w-]+)\)", text))
    defined = set(re.findall(r"(--[\w-]+):", TOKENS))
    assert used and used <= defined
    assert not re.search(r"#[0-9a-f]{6}|rgb\(", text)
    roles = {colour for role in charts.ROLES.values() for colour in (role.line, role.fill)}
    assert {role.removeprefix("var(").removesuffix(")") for role in roles} <= defined


def test_every_role_has_its_mark_in_the_legend() -> None:
    components = (Path(__file__).parents[2] / "static/css/components.css").read_text()
    assert set(charts.ROLES) == set(re.findall(r"\.role-(\w+)", components))


def test_other_trace_types_are_refused() -> None:
    with pytest.raises(ValueError, match="heatmap"):
        charts.figure([{"type": "heatmap", "z": [[1]]}])


def test_missing_numbers_become_gaps_and_text_carries_no_markup() -> None:
    trace = charts.line(day_axis(), [START], [math.nan], "import", unit="kW", name="<b>Bus</b>")
    data = charts.figure([trace], axis=day_axis())["data"][0]
    assert data["y"] == [None]
    assert data["name"] == "&lt;b>Bus&lt;/b>"


def test_the_legend_names_each_meaning_once() -> None:
    axis, boundaries = day_axis(), hours_from(START, 2)
    traces = [
        charts.area(axis, boundaries, [1], "charge"),
        charts.area(axis, boundaries, [1], "charge"),
        charts.steps(axis, boundaries, [1], "import", unit="kW"),
        charts.limit(axis, 400, "Limit"),
    ]
    legend = charts.figure(traces, axis=axis)["legend"]
    assert [(entry["name"], entry["mark"]) for entry in legend] == [("Charging", "area"), ("Grid", "line")]


def test_stacked_areas_lie_on_each_other_per_side_and_panel() -> None:
    axis, boundaries = day_axis(), hours_from(START, 3)
    above = [charts.area(axis, boundaries, [1, 2], role, stack="above") for role in ("building", "charge")]
    below = charts.area(axis, boundaries, [-1, -2], "solar", stack="below")
    assert above[0]["stackgroup"] == above[1]["stackgroup"] != below["stackgroup"]
    assert above[0]["y"] == [1, 2, 2]
    assert (above[0]["line"]["shape"], above[0]["line"]["width"]) == ("hv", 1.0)


def test_step_values_need_one_boundary_more() -> None:
    with pytest.raises(ValueError, match="3 boundaries, not 2"):
        charts.steps(day_axis(), hours_from(START, 2), [1, 2], "price", unit="$/kWh")


def test_gantt_bars_begin_at_their_base_and_last_their_time() -> None:
    span = charts.Span("Bus 01", START, START + timedelta(hours=2), "Charges 40 kW", strength=1.5)
    bar = charts.gantt(day_axis(), [span], "charge")
    assert bar["base"] == ["2026-03-10T00:00:00"]
    assert bar["x"] == [7_200_000]
    assert bar["marker"]["opacity"] == [1.0]
    assert bar["customdata"][0][0] == "Tue 10 Mar 00:00 – 02:00"


def test_waterfall_bars_stand_on_each_other() -> None:
    bar = charts.waterfall(
        [
            charts.Step("Unmanaged", 100, "total"),
            charts.Step("Shifted", -30),
            charts.Step("Wear", 5),
            charts.Step("Actual", 75, "total"),
        ]
    )
    tops = [base + height for base, height in zip(bar["base"], bar["y"], strict=True)]
    assert tops == [100, 70, 75, 75]
    assert bar["base"] == [0, 100, 70, 0]
    assert bar["text"] == ["$100", "−$30", "+$5", "$75"]


def test_marks_differ_in_shape_and_not_only_in_colour() -> None:
    points = [charts.Mark("Bus 01", START, met, "needs 75 %") for met in (True, False)]
    trace = charts.marks(day_axis(), points)
    assert trace["marker"]["symbol"] == ["diamond", "diamond-open"]
    assert trace["marker"]["color"][0] != trace["marker"]["color"][1]


def test_panels_share_the_height_from_the_top() -> None:
    price, power = charts.Panel("$/kWh", 1, range=(0, 1)), charts.Panel("kW", 3)
    panels = (price, power, charts.Panel("", rows=("Bus 01", "Bus 02")))
    layout = charts.figure([], axis=day_axis(), panels=panels)["layout"]
    domains = [layout[name]["domain"] for name in ("yaxis", "yaxis2", "yaxis3")]
    assert domains[0][1] == 1.0
    assert domains[-1][0] == pytest.approx(0, abs=1e-3)
    assert domains[0][0] > domains[1][1] > domains[1][0] > domains[2][1]
    assert layout["yaxis"]["range"] == [0, 1]
    assert layout["yaxis3"]["range"] == [1.5, -0.5]
    assert layout["xaxis"]["anchor"] == "y3"
    assert [note["text"] for note in layout["annotations"]] == ["$/kWh", "kW"]


def test_labels_of_many_bars_may_thin_out_and_those_of_few_may_not() -> None:
    many = charts.figure([charts.bars([f"{day} Oct" for day in range(31)], [1.0] * 31, "ready", unit="$")])
    assert len(many["layout"]["meta"]["tick_choices"][-1]["ticktext"]) == 2
    few = charts.figure([charts.bars(["A", "B"], [1.0, 2.0], "ready", unit="$")])
    assert few["layout"]["meta"]["tick_choices"] == [{"tickvals": ["A", "B"], "ticktext": ["A", "B"]}]


def test_tables_write_numbers_for_people() -> None:
    table = charts.table_of(
        ["Vehicle", "kWh", "Cost $", "Blocks"],
        [["Bus 01", 1234.56, Decimal("-3.5"), 12], ["Bus 02", None, Decimal("4"), 3]],
        decimals=2,
    )
    assert table.rows == (("Bus 01", "1,234.56", "−3.50", "12"), ("Bus 02", "–", "4.00", "3"))
    assert table.number_columns == {1, 2, 3}


def test_a_table_row_needs_a_cell_for_each_header() -> None:
    with pytest.raises(ValueError, match="Row 0 has 1 cells for 2 headers"):
        charts.table_of(["A", "B"], [["x"]])


def test_a_chart_names_the_element_of_its_figure() -> None:
    chart = charts.Chart("site", "Site", "Quiet.", {}, charts.table_of(["A"], []))
    assert chart.figure_id == "site-figure"
    assert chart.table.number_columns == frozenset()
