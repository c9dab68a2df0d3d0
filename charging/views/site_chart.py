"""The small chart of Home: the site's net power, today so far and as planned."""

from __future__ import annotations

import numpy as np

from charging.selectors.plan_view import SiteView
from charging.views.plan_charts import below, values
from depot import charts
from depot.templatetags.depot_pages import kw, local_time
from depot.words import tr


def site_chart(view: SiteView) -> charts.Chart:
    """Return vehicles, solar and net power of today; the past as measured, the rest as planned."""
    axis, times, power = view.axis, view.line.boundaries[: view.steps + 1], view.power
    part = slice(0, view.steps)
    traces = [
        charts.area(axis, times, values(power.building_kw[part]), "building", stack="above"),
        charts.area(axis, times, values(power.charge_kw[part]), "charge", stack="above"),
        charts.area(axis, times, below(power.discharge_kw[part]), "discharge", stack="below"),
        charts.area(axis, times, below(power.solar_kw[part]), "solar", stack="below"),
        charts.steps(axis, times, values(power.net_kw[part]), "import", unit="kW", name=tr("Net import")),
    ]
    figure = charts.figure(
        traces,
        axis=axis,
        panels=(charts.Panel("kW"),),
        height_px=190,
        shapes=[charts.now_line(axis, view.now)],
    )
    rows = [
        [
            axis.label(at),
            tr("measured") if step < view.line.now_step else tr("planned"),
            values(power.net_kw[step : step + 1])[0],
        ]
        for step, at in enumerate(view.line.grid.times()[part])
    ]
    table = charts.table_of([tr("From"), "", tr("Net import kW")], rows)
    return charts.Chart("site-today", "", _sentence(view), figure, table)


def _sentence(view: SiteView) -> str:
    ahead = view.power.net_kw[view.line.now_step : view.steps]
    if not ahead.size:
        return tr("Today is over.")
    index = int(np.argmax(ahead))
    at = local_time(view.line.grid.time_of(view.line.now_step + index), view.depot)
    return tr(
        "The rest of today stays at or below {ahead} net import (at {at}).",
        ahead=kw(round(float(ahead[index]))),
        at=at,
    )
