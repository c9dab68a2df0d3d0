"""A page with every kind of chart and part, so that browser tests can look at all of them at once."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from depot import charts
from depot.access.pages import depot_page
from depot.models import Depot
from depot.project.urls import urlpatterns as product_urls

START = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
STEP = timedelta(minutes=15)

PAGE = Path(__file__).with_name("lab.html").read_text()
FRAGMENT = '{% include "partials/chart.html" with chart=soc %}'


def day_axis(depot: Depot) -> charts.TimeAxis:
    return charts.TimeAxis(START, START + timedelta(hours=48), depot.tz)


def moments() -> list[datetime]:
    return [START + index * STEP for index in range(193)]


def _hump(hour: float, centre: float, width: float, height: float) -> float:
    return height * math.exp(-(((hour % 24 - centre) / width) ** 2))


def power_chart(depot: Depot) -> charts.Chart:
    axis, times = day_axis(depot), moments()
    hours = [index / 4 for index in range(192)]
    building = [40 + _hump(hour, 13, 4, 45) for hour in hours]
    solar = [-_hump(hour, 12.5, 2.6, 170) for hour in hours]
    charge = [_hump(hour, 2, 2.5, 160) + _hump(hour, 12, 1.8, 130) for hour in hours]
    discharge = [-_hump(hour, 18, 1.4, 110) for hour in hours]
    grid = [sum(values) for values in zip(building, solar, charge, discharge, strict=True)]
    price = [0.31 if 16 <= hour % 24 < 21 else 0.12 for hour in hours]
    traces = [
        charts.steps(axis, times, price, "price", unit="$/kWh"),
        charts.area(axis, times, building, "building", stack="above", panel=2),
        charts.area(axis, times, charge, "charge", stack="above", panel=2),
        charts.area(axis, times, discharge, "discharge", stack="below", panel=2),
        charts.area(axis, times, solar, "solar", stack="below", panel=2),
        charts.steps(axis, times, grid, "import", unit="kW", panel=2),
        charts.limit(axis, 400, "Limit 400 kW", panel=2),
        charts.limit(axis, 212, "Peak so far 212 kW", role="peak", panel=2),
    ]
    figure = charts.figure(
        traces,
        axis=axis,
        panels=(charts.Panel("$/kWh", 0.3, (0, 0.4)), charts.Panel("kW")),
        height_px=420,
        shapes=[
            charts.band(axis, START + timedelta(hours=16), START + timedelta(hours=21), "On-peak $19.50/kW"),
            charts.now_line(axis, START + timedelta(hours=9, minutes=40)),
        ],
    )
    table = charts.table_of(
        ["Time", "Grid kW", "Price $/kWh"],
        list(zip(axis.labels(times[:-1]), grid, price, strict=True)),
        decimals=2,
    )
    return charts.Chart(
        "power", "Site power and price", "The site stays under its 400 kW limit on both days.", figure, table
    )


def gantt_chart(depot: Depot) -> charts.Chart:
    axis = day_axis(depot)
    rows = [f"Bus {number:02}" for number in range(1, 9)]

    def at(hour: float) -> datetime:
        return START + timedelta(hours=hour)

    away, charge, discharge, marks = [], [], [], []
    for index, row in enumerate(rows):
        for day in (0, 24):
            away += [
                charts.Span(row, at(day + 6), at(day + 8.5), "Block 101, 40 km", label="101"),
                charts.Span(row, at(day + 13.5), at(day + 16), "Block 102, 38 km", label="102"),
            ]
            charge += [
                charts.Span(
                    row,
                    at(day + 0.5 + index / 4),
                    at(day + 3 + index / 4),
                    "Charges 40 kW at night price",
                    0.7,
                ),
                charts.Span(row, at(day + 10), at(day + 12.5), "Charges 25 kW from solar", 0.4),
            ]
            discharge.append(charts.Span(row, at(day + 17), at(day + 19.5), "Keeps the peak at 212 kW", 0.8))
            marks.append(charts.Mark(row, at(day + 6), index != 2, "needs 75 %, leaves with 84 %"))
    figure = charts.figure(
        [
            charts.gantt(axis, away, "away"),
            charts.gantt(axis, charge, "charge"),
            charts.gantt(axis, discharge, "discharge"),
            charts.marks(axis, marks),
        ],
        axis=axis,
        panels=(charts.Panel("", rows=rows),),
        height_px=90 + 30 * len(rows),
        hover="closest",
        shapes=[charts.now_line(axis, at(9.66))],
    )
    table = charts.table_of(
        ["Vehicle", "From", "To", "What"],
        [[span.row, axis.label(span.from_at), axis.label(span.to_at), span.note] for span in charge],
    )
    return charts.Chart("gantt", "Vehicles", "Bus 03 misses its first target by 4 points.", figure, table)


def waterfall_chart() -> charts.Chart:
    steps = [
        charts.Step("Unmanaged", 6022, "total"),
        charts.Step("Shifted", -820),
        charts.Step("Peak", -940),
        charts.Step("Export", -424),
        charts.Step("Wear", 122),
        charts.Step("Actual", 3960, "total"),
    ]
    figure = charts.figure([charts.waterfall(steps)], hover="closest", height_px=300)
    table = charts.table_of(["Step", "$"], [[step.label, step.amount] for step in steps])
    return charts.Chart(
        "waterfall", "Savings in October", "V2G and shifting saved $1,940 net.", figure, table
    )


def days_chart() -> charts.Chart:
    labels = [f"{day} Oct" for day in range(1, 15)]
    values = [40 + 25 * math.sin(day) for day in range(14)]
    figure = charts.figure([charts.bars(labels, values, "ready", unit="$", name="Saved")], height_px=300)
    table = charts.table_of(["Day", "Saved $"], list(zip(labels, values, strict=True)), decimals=2)
    return charts.Chart("days", "Saved per day", "Every day of the month saved money.", figure, table)


def soc_chart(depot: Depot) -> charts.Chart:
    axis, times = day_axis(depot), moments()
    soc = [60 + 25 * math.sin(index / 20) for index in range(193)]
    figure = charts.figure(
        [
            *charts.confidence(axis, times, [v - 4 for v in soc], [v + 4 for v in soc], "soc"),
            charts.line(axis, times, soc, "soc", unit="%"),
            charts.marks(axis, [charts.Mark(75, START + timedelta(hours=6), True, "needs 75 %")]),
        ],
        axis=axis,
        panels=(charts.Panel("%", range=(0, 100)),),
        height_px=240,
    )
    table = charts.table_of(["Time", "SoC %"], list(zip(axis.labels(times), soc, strict=True)))
    return charts.Chart("soc", "Bus 07: state of charge", "Bus 07 leaves at 06:00 with 84 %.", figure, table)


@depot_page()
def page(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show every kind of chart and part."""
    context = {
        "power": power_chart(depot),
        "gantt": gantt_chart(depot),
        "waterfall": waterfall_chart(),
        "days": days_chart(),
        "now": START,
        "long_ago": START - timedelta(days=3),
        "states": [
            "ready",
            "on_track",
            "at_risk",
            "will_miss",
            "charging",
            "discharging",
            "waiting",
            "away",
            "offline",
        ],
    }
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request))


@depot_page()
def fragment(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Answer a card that carries a chart."""
    return HttpResponse(engines["django"].from_string(FRAGMENT).render({"soc": soc_chart(depot)}, request))


urlpatterns = [
    path("<slug:slug>/lab", page, name="lab"),
    path("<slug:slug>/lab/fragment", fragment, name="lab-fragment"),
    *product_urls,
]
