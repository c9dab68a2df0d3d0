"""One vehicle's state of charge and power, measured until now and planned after."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from charging.selectors.lanes import Lane
from charging.selectors.timeline import Timeline
from charging.views.plan_charts import values
from depot import charts
from depot.models import Depot
from depot.templatetags.depot_pages import local_moment, percent
from depot.words import tr
from fleet.models import TelemetryReading


def vehicle_chart(line: Timeline, lane: Lane, depot: Depot, now: datetime) -> charts.Chart:
    """Return the SoC trace with its reserve band and required marks, above the vehicle's power."""
    axis = charts.TimeAxis(line.grid.start_at, line.grid.end_at, depot.tz)
    key = str(lane.vehicle.pk)
    row = next((row for row in line.plan.case["vehicles"] if row["id"] == key), None)
    before = _heard(lane, line, now)
    first = line.now_step - line.plan_step
    planned = line.plan.answer["vehicles"][key]["soc"][first:] if row else []
    moments = [at for at, _ in before] + line.boundaries[line.now_step :][: len(planned)]
    soc = [round(value * 100, 1) for value in [*(said for _, said in before), *planned]]
    traces = [charts.line(axis, moments, soc, "soc", unit="%")]
    ends = [line.grid.start_at, line.grid.end_at]
    if row:
        low, floor = row["min_soc"] * 100, (row["v2g_min_soc"] if row["v2g"] else row["min_soc"]) * 100
        level = percent(floor / 100)
        words = (
            tr("Never discharged below {floor}", floor=level)
            if row["v2g"]
            else tr("Never below {floor}", floor=level)
        )
        traces = [*charts.confidence(axis, ends, [0.0, 0.0], [low, low], "will_miss"), *traces]
        traces.append(charts.limit(axis, floor, words))
    traces.append(
        charts.marks(
            axis,
            [
                charts.Mark(
                    leave.required_soc * 100,
                    leave.at,
                    leave.met,
                    tr("needs {required_soc}", required_soc=percent(leave.required_soc)),
                )
                for leave in lane.departures
            ],
        )
    )
    power = lane.power_kw
    for role, series in (("charge", np.clip(power, 0, None)), ("discharge", np.clip(power, None, 0))):
        traces.append(charts.area(axis, line.boundaries, values(series), role, panel=2))
    figure = charts.figure(
        traces,
        axis=axis,
        panels=(charts.Panel("%", 1.0, (0, 105)), charts.Panel("kW", 0.55)),
        height_px=340,
        shapes=[charts.now_line(axis, now)],
    )
    return charts.Chart(
        f"vehicle-{key}", "", _sentence(lane, depot), figure, _table(line, lane, planned, axis)
    )


def _heard(lane: Lane, line: Timeline, now: datetime) -> list[tuple[datetime, float]]:
    """Return the SoC as it was said today, at most one value a step."""
    rows = (
        TelemetryReading.objects.filter(
            vehicle=lane.vehicle,
            observed_at__gte=line.grid.start_at,
            observed_at__lte=min(now, line.past.end_at),
            soc__isnull=False,
            quality=TelemetryReading.Quality.GOOD,
        )
        .order_by("observed_at")
        .values_list("observed_at", "soc")
    )
    by_step = {(at - line.grid.start_at) // line.grid.step: (at, soc) for at, soc in rows if soc is not None}
    return list(by_step.values())


def _sentence(lane: Lane, depot: Depot) -> str:
    leave = lane.next_departure
    if leave is None:
        return tr("{name} has no departure before the plan ends.", name=lane.vehicle.name)
    return tr(
        "{name} leaves {at} with {planned_soc}; it needs {required_soc}.",
        name=lane.vehicle.name,
        at=local_moment(leave.at, depot),
        planned_soc=percent(leave.planned_soc),
        required_soc=percent(leave.required_soc),
    )


def _table(line: Timeline, lane: Lane, planned: list[float], axis: charts.TimeAxis) -> charts.Table:
    rows = [
        [axis.label(at), percent(soc), values(lane.power_kw[line.now_step + index :][:1])[0]]
        for index, (at, soc) in enumerate(zip(line.grid.times()[line.now_step :], planned, strict=False))
    ]
    return charts.table_of([tr("From"), tr("Charge"), tr("Power kW")], rows)
