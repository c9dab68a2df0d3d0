"""The two aligned charts of the Plan page: the site's prices and power, and a lane a vehicle."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from charging.selectors.lanes import ACTIONS, MOVING_KW, Absence, Flow, Lane
from charging.selectors.plan_view import PlanView
from charging.selectors.timeline import PeakSoFar
from depot import charts
from depot.money import currency_sign
from depot.templatetags.depot_pages import kw, kwh, local_time, number, percent
from depot.words import tr

Floats = npt.NDArray[np.float64]
LONGEST_ROW = 9
PRICE_ROOM = 1.35
FAR_LIMIT = 2.2
HATCH = {"shape": "/", "size": 5, "solidity": 0.25, "fgcolor": "var(--chart-axis)"}


def values(series: Floats) -> list[float | None]:
    """Return a series for a chart: to a tenth, None where nothing is known."""
    return [None if np.isnan(value) else round(float(value), 1) for value in series]


def below(series: Floats) -> list[float | None]:
    """Return a series to be drawn below zero."""
    return values(-series)


def power_chart(view: PlanView) -> charts.Chart:
    """Return prices and the site's power over the day: measured until now, planned after."""
    axis, times, power = view.axis, view.line.boundaries, view.power
    sign = currency_sign(view.depot.currency)
    prices = [round(float(value), 5) if np.isfinite(value) else None for value in power.import_price]
    credits = [round(float(value), 5) if np.isfinite(value) else None for value in power.export_price]
    known = [value for value in (*prices, *credits) if value is not None]
    traces = [charts.steps(axis, times, prices, "price", unit=f"{sign}/kWh", name=tr("Import price"))]
    if any(credits):
        credit = charts.steps(
            axis, times, credits, "price", unit=f"{sign}/kWh", name=tr("Export credit (dotted)")
        )
        traces.append(charts.styled(credit, line={"dash": "dot"}))
    traces += _flows(view)
    traces += limits(view)
    figure = charts.figure(
        traces,
        axis=axis,
        panels=(
            charts.Panel(f"{sign}/kWh", 0.32, (min(0.0, *known, 0.0), PRICE_ROOM * max([*known, 0.01]))),
            charts.Panel("kW"),
        ),
        height_px=480,
        shapes=[*_bands(view), charts.now_line(axis, view.now)],
    )
    return charts.Chart(
        "power", tr("Price and site power"), _power_sentence(view), figure, _power_table(view)
    )


def _flows(view: PlanView) -> list[Any]:
    axis, times, power = view.axis, view.line.boundaries, view.power
    return [
        charts.area(axis, times, values(power.building_kw), "building", stack="above", panel=2),
        charts.area(axis, times, values(power.charge_kw), "charge", stack="above", panel=2),
        charts.area(axis, times, below(power.discharge_kw), "discharge", stack="below", panel=2),
        charts.area(axis, times, below(power.solar_kw), "solar", stack="below", panel=2),
        charts.steps(axis, times, values(power.net_kw), "import", unit="kW", name=tr("Net import"), panel=2),
    ]


def limits(view: PlanView) -> list[Any]:
    """Return the dashed levels: limits that are near enough to matter, and each peak so far."""
    axis, power, sign = view.axis, view.power, currency_sign(view.depot.currency)
    high = np.nanmax(power.building_kw + power.charge_kw, initial=1.0)
    low = np.nanmax(power.discharge_kw + power.solar_kw, initial=1.0)
    drawn = []
    if view.limits.import_kw <= FAR_LIMIT * high:
        words = tr("Import limit {import_kw}", import_kw=kw(view.limits.import_kw))
        drawn.append(charts.limit(axis, view.limits.import_kw, words, panel=2))
    if 0 < view.limits.export_kw <= FAR_LIMIT * low:
        words = tr("Export limit {export_kw}", export_kw=kw(view.limits.export_kw))
        level = charts.limit(axis, -view.limits.export_kw, words, panel=2)
        drawn.append(charts.styled(level, textposition="bottom left"))
    for peak in view.peaks:
        if peak.so_far_kw > 0:
            name = tr("{name}: peak", name=peak.name) if len(view.peaks) > 1 else tr("Peak")
            words = tr(
                "{name} so far {so_far_kw} · {sign}{price_per_kw}/kW",
                name=name,
                so_far_kw=kw(round(peak.so_far_kw)),
                sign=sign,
                price_per_kw=number(peak.price_per_kw, 2),
            )
            drawn.append(charts.limit(axis, peak.so_far_kw, words, role="peak", panel=2))
        if peak.expected_kw > peak.so_far_kw:
            words = tr(
                "{name}: {expected_kw} expected this week",
                name=peak.name,
                expected_kw=kw(round(peak.expected_kw)),
            )
            drawn.append(charts.limit(axis, peak.expected_kw, words, role="peak", panel=2))
    return drawn


def _bands(view: PlanView) -> list[dict[str, Any]]:
    """Return the shaded spans; they are named in the price panel and only shaded in the other."""
    axis, grid, sign = view.axis, view.line.grid, currency_sign(view.depot.currency)
    shapes = []
    for window in view.windows:
        span = (grid.time_of(window.from_step), grid.time_of(window.to_step))
        per_kw = f" {sign}{number(window.price, 2)}/kW"
        words = f"{window.name}{per_kw if window.unit == 'kW' else ''}"
        shapes += [charts.band(axis, *span, words), charts.band(axis, *span, "", panel=2)]
    return shapes


def _power_sentence(view: PlanView) -> str:
    power, start, hours = view.power, view.line.now_step, view.line.grid.step_hours
    charged, given, sun = (
        float(np.nansum(series[start:])) * hours
        for series in (power.charge_kw, power.discharge_kw, power.solar_kw)
    )
    net = power.net_kw[start:]
    back = tr(", and give back {given}", given=kwh(given)) if given >= MOVING_KW else ""
    sentence = tr(
        "From now on vehicles take {charged}, with {sun} of solar on the site{back}. Net import "
        "reaches {highest}{against}",
        charged=kwh(charged),
        sun=kwh(sun),
        back=back,
        highest=kw(round(float(net.max()))),
        against=_against(view),
    )
    exported = round(float(-net.min()))
    return (
        tr("{value}, export {exported}.", value=sentence, exported=kw(exported))
        if exported > 0
        else f"{sentence}."
    )


def _against(view: PlanView) -> str:
    highest: PeakSoFar | None = max(view.peaks, key=lambda peak: peak.so_far_kw, default=None)
    limit = tr("limit {import_kw}", import_kw=kw(view.limits.import_kw))
    if highest is None or highest.so_far_kw <= 0:
        return f" ({limit})"
    change = (
        tr(", a rise of {planned_kw}", planned_kw=kw(highest.planned_kw - highest.so_far_kw))
        if highest.rises
        else ""
    )
    return tr(
        " (peak so far {so_far_kw}{change}; {limit})",
        so_far_kw=kw(round(highest.so_far_kw)),
        change=change,
        limit=limit,
    )


def _power_table(view: PlanView) -> charts.Table:
    """Return the chart's numbers hour by hour; an hour that begins before now and ends after it is planned."""
    power, sign, steps = view.power, currency_sign(view.depot.currency), 60 // view.line.grid.step_minutes
    columns = (power.building_kw, power.charge_kw, power.discharge_kw, power.solar_kw, power.net_kw)
    rows = [
        [
            view.axis.label(view.line.grid.time_of(step)),
            tr("measured") if step + steps <= view.line.now_step else tr("planned"),
            *(_mean(column[step : step + steps]) for column in columns),
            f"{price:.4f}" if (price := _mean(power.import_price[step : step + steps])) is not None else None,
        ]
        for step in range(0, view.line.grid.steps, steps)
    ]
    headers = [
        tr("Hour from"),
        "",
        tr("Building kW"),
        tr("Charging kW"),
        tr("Discharging kW"),
        tr("Solar kW"),
        tr("Net import kW"),
    ]
    return charts.table_of([*headers, tr("Price {sign}/kWh", sign=sign)], rows)


def _mean(part: Floats) -> float | None:
    known = part[np.isfinite(part)]
    return float(known.mean()) if known.size else None


def lanes_chart(view: PlanView) -> charts.Chart:
    """Return a lane a vehicle on the same time axis: away, charging, discharging, and what departures need."""
    axis, names = view.axis, row_names(view.lanes)
    pairs = list(zip(names, view.lanes, strict=True))
    away = [_away_span(name, gap) for name, lane in pairs for gap in lane.absences]
    traces = [
        charts.styled(charts.gantt(axis, away, "away", name=tr("Away")), marker={"pattern": HATCH}),
        charts.gantt(axis, _spans(pairs, "charge"), "charge"),
        charts.gantt(axis, _spans(pairs, "discharge"), "discharge"),
        charts.marks(
            axis,
            [
                charts.Mark(
                    name,
                    leave.at,
                    leave.met,
                    tr(
                        "{planned_soc}, needs {required_soc}",
                        planned_soc=percent(leave.planned_soc),
                        required_soc=percent(leave.required_soc),
                    ),
                )
                for name, lane in pairs
                for leave in lane.departures
            ],
            name=tr("Departure (filled: ready)"),
        ),
    ]
    grid = view.line.grid
    shapes = [
        charts.band(axis, grid.time_of(window.from_step), grid.time_of(window.to_step), "")
        for window in view.windows
    ]
    figure = charts.figure(
        traces,
        axis=axis,
        panels=(charts.Panel("", rows=names),),
        height_px=70 + 22 * len(names),
        hover="closest",
        shapes=[*shapes, charts.now_line(axis, view.now)],
    )
    return charts.Chart("lanes", tr("Vehicles"), _lanes_sentence(view), figure, _lanes_table(view))


def row_names(lanes: list[Lane]) -> list[str]:
    """Return names short enough for the axis, each only once: the end of a long name tells vehicles apart."""
    found: list[str] = []
    for lane in lanes:
        name = lane.vehicle.name
        short = name if len(name) <= LONGEST_ROW else f"…{name[1 - LONGEST_ROW :]}"
        found.append(short if short not in found else f"{short[: LONGEST_ROW - 4]}#{lane.vehicle.pk}")
    return found


def _away_span(name: str, gap: Absence) -> charts.Span:
    note = tr("away, block {blocks}", blocks=gap.blocks) if gap.blocks else tr("not plugged in")
    return charts.Span(name, gap.from_at, gap.to_at, note, label=gap.blocks)


def _spans(pairs: list[tuple[str, Lane]], action: str) -> list[charts.Span]:
    return [
        charts.Span(name, flow.from_at, flow.to_at, _flow_note(flow), flow.strength)
        for name, lane in pairs
        for flow in lane.flows
        if flow.action == action
    ]


def _flow_note(flow: Flow) -> str:
    return f"{kw(round(flow.mean_kw, 1))}, {kwh(round(flow.energy_kwh, 1))}"


def _lanes_sentence(view: PlanView) -> str:
    departures = [leave for lane in view.lanes for leave in lane.departures]
    met = sum(leave.met for leave in departures)
    giving = sum(any(flow.action == "discharge" for flow in lane.flows) for lane in view.lanes)
    until = local_time(view.line.grid.end_at, view.depot)
    said = tr(
        "{met} of {departures} departures until {until} leave with the charge they need",
        met=met,
        departures=len(departures),
        until=until,
    )
    return tr(
        "{said}; {giving} of {lanes} vehicles give power back in this time.",
        said=said,
        giving=giving or "none",
        lanes=len(view.lanes),
    )


def _lanes_table(view: PlanView) -> charts.Table:
    rows, axis = [], view.axis
    for lane in view.lanes:
        spans = [
            *(
                (gap.from_at, gap.to_at, tr("Away {blocks}", blocks=gap.blocks).strip(), None)
                for gap in lane.absences
            ),
            *_moves(lane),
        ]
        rows += [
            [lane.vehicle.name, axis.label(start), axis.label(end), what, energy]
            for start, end, what, energy in sorted(spans, key=lambda span: span[0])
        ]
    return charts.table_of([tr("Vehicle"), tr("From"), tr("To"), tr("What"), "kWh"], rows)


def _moves(lane: Lane) -> list[tuple[datetime, datetime, str, float | None]]:
    """Return charging and discharging as spans of one direction, whatever the power."""
    found: list[tuple[datetime, datetime, str, float | None]] = []
    for flow in lane.flows:
        words, energy = tr(ACTIONS[flow.action]).capitalize(), flow.energy_kwh
        if found and found[-1][1:3] == (flow.from_at, words):
            start, _, _, before = found.pop()
            found.append((start, flow.to_at, words, (before or 0.0) + energy))
        else:
            found.append((flow.from_at, flow.to_at, words, energy))
    return found
