"""A vehicle's charge over the last days and as planned ahead, with what each departure needs."""

from __future__ import annotations

from datetime import datetime

from charging.models import Plan
from charging.selectors.plans import grid_of
from charging.selectors.vehicle_page import VehiclePage
from depot import charts
from depot.models import Depot
from depot.templatetags.depot_pages import percent
from depot.words import tr, trn

MIN_POINTS = 2


def trace_chart(page: VehiclePage, depot: Depot, now: datetime) -> charts.Chart | None:
    """Return the SoC as heard until now and as planned after, with a mark at each departure; None without data."""
    planned = planned_trace(page.plan, page.vehicle.pk, now)
    if len(page.trace) + len(planned) < MIN_POINTS:
        return None
    points = [*page.trace, *planned]
    axis = charts.TimeAxis(points[0][0], points[-1][0], depot.tz)
    traces = (
        [charts.line(axis, *_split(page.trace), "soc", unit="%", name=tr("Heard of"))] if page.trace else []
    )
    if planned:
        traces.append(charts.line(axis, *_split(planned), "building", unit="%", name=tr("Planned")))
    if page.vehicle.v2g_enabled:
        floor = page.vehicle.v2g_min_soc
        traces.append(
            charts.limit(axis, 100 * floor, tr("Never discharged below {floor}", floor=percent(floor)))
        )
    traces.append(charts.marks(axis, _marks(page, axis)))
    figure = charts.figure(
        traces,
        axis=axis,
        panels=(charts.Panel("%", range=(0, 105)),),
        height_px=300,
        shapes=[charts.now_line(axis, now)] if axis.from_at <= now <= axis.to_at else [],
    )
    return charts.Chart("trace", tr("State of charge"), summary(page), figure, _table(page, planned, axis))


def planned_trace(plan: Plan | None, vehicle_id: int, now: datetime) -> list[tuple[datetime, float]]:
    """Return the moments and SoC (0..1) that a plan foresees from now on; none without a plan of the vehicle."""
    row = plan.answer["vehicles"].get(str(vehicle_id)) if plan else None
    if plan is None or row is None:
        return []
    grid = grid_of(plan)
    moments = [*grid.times(), grid.end_at]
    return [(at, soc) for at, soc in zip(moments, row["soc"], strict=True) if at >= now]


def summary(page: VehiclePage) -> str:
    """Say within which bounds the charge was, and how many departures had what they needed."""
    name = page.vehicle.name
    if not page.trace:
        return tr(
            "{name} has not said its charge in the last 3 days; the line is what is planned.", name=name
        )
    values = [soc for _, soc in page.trace]
    between = tr(
        "{name} was between {low} and {high} in the last 3 days",
        name=name,
        low=percent(min(values)),
        high=percent(max(values)),
    )
    known = [row for row in page.left if row.soc is not None]
    if not known:
        return f"{between}."
    met = sum(row.met for row in known)
    return trn(
        "{between}; {met} of {count} departure had the charge needed.",
        "{between}; {met} of {count} departures had the charge needed.",
        len(known),
        between=between,
        met=met,
    )


def _marks(page: VehiclePage, axis: charts.TimeAxis) -> list[charts.Mark]:
    behind = [(row.need, row.met) for row in page.left if row.soc is not None]
    ahead = [(row.need, row.verdict.sure) for row in page.coming if row.verdict is not None]
    return [
        charts.Mark(
            100 * need.required_soc,
            need.duty.pull_out_at,
            met,
            tr(
                "block {block_id} needs {required_soc}",
                block_id=need.duty.block.block_id,
                required_soc=percent(need.required_soc),
            ),
        )
        for need, met in (*behind, *ahead)
        if axis.from_at <= need.duty.pull_out_at <= axis.to_at
    ]


def _split(points: list[tuple[datetime, float]]) -> tuple[list[datetime], list[float | None]]:
    return [at for at, _ in points], [round(100 * soc, 1) for _, soc in points]


def _table(page: VehiclePage, planned: list[tuple[datetime, float]], axis: charts.TimeAxis) -> charts.Table:
    rows = [
        *((at, tr("heard of"), soc, "") for at, soc in _hourly(page.trace)),
        *(
            (row.need.duty.pull_out_at, tr("left"), row.soc, _needs(row.need.required_soc))
            for row in page.left
        ),
        *((at, tr("planned"), soc, "") for at, soc in _hourly(planned)),
    ]
    ordered = sorted(rows, key=lambda row: row[0])
    return charts.table_of(
        [tr("Time"), tr("What"), tr("Charge"), tr("Needed")],
        [[axis.label(at), what, percent(soc), needs] for at, what, soc, needs in ordered],
    )


def _hourly(points: list[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """Return the first point of each hour: nobody reads a row for each quarter of four days."""
    return list({at.timestamp() // 3600: (at, soc) for at, soc in reversed(points)}.values())


def _needs(soc: float) -> str:
    return tr("needs {soc}", soc=percent(soc))
