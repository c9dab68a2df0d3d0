"""Forecast prices for the planner: what a kWh costs in each step, and which demand charges a kW can raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from billing.tariff.bill import series_price
from billing.tariff.calendar import (
    Bools,
    Floats,
    Ints,
    LocalSteps,
    active_row,
    boundaries_of,
    local_steps,
    refine,
)
from billing.tariff.metering import demand_line_id, season_share
from billing.tariff.model import DemandCharge, Price, SeriesPrice, Tariff
from billing.tariff.periods import Span, period_of, spans_of
from billing.tariff.problems import Problem, TariffError, UnsupportedTariffError
from billing.tariff.result import Peak


@dataclass(frozen=True, slots=True, eq=False)
class DemandWindow:
    """One demand charge over a horizon, as INTERFACES section 2 wants it.

    `id` is the bill's line id (with `@` and a date where a proration gives it another price in a later
    period), `window` 0/1 per step, `period` the billing period of each step (0 is the first), and
    `period_starts` the first local day of each of those periods.
    """

    id: str
    line_id: str
    label: str
    price_per_kw: float
    window: npt.NDArray[np.int8]
    period: Ints
    period_starts: tuple[date, ...]
    metering_minutes: int


@dataclass(frozen=True, slots=True, eq=False)
class PriceCurve:
    """Prices per kWh of each step and the demand charges over a horizon."""

    import_per_kwh: Floats
    export_per_kwh: Floats
    demand_charges: tuple[DemandWindow, ...]


def price_curve(
    tariff: Tariff,
    start_at: datetime,
    steps: int,
    step_minutes: int,
    *,
    time_zone: tzinfo | None = None,
    import_series_per_kwh: npt.ArrayLike | None = None,
    export_series_per_kwh: npt.ArrayLike | None = None,
    cycle_starts: Sequence[date] | None = None,
) -> PriceCurve:
    """Return the prices of `steps` steps from an aware moment.

    Components stack; a percentage tax on energy or demand lines is added to the price, so that the curve is
    what the bill will charge. A step that a price boundary cuts has the mean price of its parts; it is in a
    demand window when any part is. Dynamic tariffs take their market prices from the `..._series_per_kwh`
    arguments (one value per step). Export under a net-metering rule, which the bill refuses, is worth 0.
    Raises UnsupportedTariffError for a tariff with unsupported elements, TariffError when a series or a time
    zone is missing.
    """
    if tariff.unsupported:
        cure = "Use a tariff without it"
        raise UnsupportedTariffError(Problem("tariff", text.rstrip("."), cure) for text in tariff.unsupported)
    zone = ZoneInfo(tariff.time_zone) if tariff.time_zone else time_zone
    if zone is None:
        raise TariffError([Problem("time zone", "the tariff names none", "Give the depot's time zone")])
    grid, factor = refine(local_steps(start_at, steps, step_minutes, zone), boundaries_of(tariff), zone)
    spans = spans_of(grid.day, cycle_starts)
    return PriceCurve(
        _import_prices(tariff, grid, factor, import_series_per_kwh),
        _export_prices(tariff, grid, factor, export_series_per_kwh),
        tuple(_demand_windows(tariff, grid, factor, spans)),
    )


def demand_case(
    curve: PriceCurve, peaks: Mapping[tuple[str, date], Peak] | None = None
) -> list[dict[str, Any]]:
    """Return the `demand_charges` of a planner case; `peaks` (of `peaks_so_far`) are already billed."""
    known = peaks or {}
    case = []
    for charge in curve.demand_charges:
        billed = [
            float(known[charge.line_id, first].kw) if (charge.line_id, first) in known else 0.0
            for first in charge.period_starts
        ]
        case.append(
            {
                "id": charge.id,
                "label": charge.label,
                "price_per_kw": charge.price_per_kw,
                "window": charge.window.tolist(),
                "period": charge.period.tolist(),
                "billed_kw_so_far": billed,
                "metering_minutes": charge.metering_minutes,
            }
        )
    return case


def _import_prices(tariff: Tariff, grid: LocalSteps, factor: int, market: npt.ArrayLike | None) -> Floats:
    total = np.zeros(grid.utc_minute.size // factor)
    for component in tariff.energy:
        if component.series is not None:
            price = _from_series(component.series, market, total.size, "import_series_per_kwh")
        else:
            price = _from_rows(tariff, component.prices, grid, factor)
        total += price * _tax_factor(tariff, f"energy.{component.id}")
    return total


def _export_prices(tariff: Tariff, grid: LocalSteps, factor: int, market: npt.ArrayLike | None) -> Floats:
    steps = grid.utc_minute.size // factor
    export = tariff.export
    if export is None or export.method in ("net_metering", "net_billing_hourly"):
        return np.zeros(steps)
    taxed = _tax_factor(tariff, "export.")
    if export.series is not None:
        return _from_series(export.series, market, steps, "export_series_per_kwh") * taxed
    return _from_rows(tariff, export.prices, grid, factor) * taxed


def _tax_factor(tariff: Tariff, line_id: str) -> float:
    percent = sum(tax.percent for tax in tariff.taxes if not tax.on or line_id.startswith(tax.on))
    return 1.0 + float(percent) / 100


def _from_series(series: SeriesPrice, market: npt.ArrayLike | None, steps: int, name: str) -> Floats:
    values = np.zeros(0) if market is None else np.asarray(market, dtype=np.float64)
    if values.size != steps:
        message = f"the tariff is dynamic and needs {steps} market prices, not {values.size}"
        raise TariffError([Problem(name, message, "Give one price per step")])
    return series_price(series, values)


def _from_rows(tariff: Tariff, rows: Sequence[Price], grid: LocalSteps, factor: int) -> Floats:
    amounts = np.array([*(float(row.amount) for row in rows), 0.0])  # index -1: no row, no price
    price = amounts[active_row(tariff, rows, grid)]
    return np.asarray(price.reshape(-1, factor).mean(axis=1))


def _demand_windows(
    tariff: Tariff, grid: LocalSteps, factor: int, spans: Sequence[Span]
) -> list[DemandWindow]:
    period = period_of(grid.day, spans)[::factor]
    windows = []
    for charge in tariff.demand:
        row = active_row(tariff, charge.prices, grid).reshape(-1, factor)
        for number, price in enumerate(charge.prices):
            inside = (row == number).any(axis=1)
            windows += _windows_of(tariff, charge, price, (inside, period), spans)
    return windows


def _windows_of(
    tariff: Tariff, charge: DemandCharge, price: Price, steps: tuple[Bools, Ints], spans: Sequence[Span]
) -> list[DemandWindow]:
    """Return one window for each price that a row has in the horizon; the first keeps the bill's line id."""
    inside, period = steps
    line_id = demand_line_id(charge, price)
    label = f"{charge.label} – {price.label}" if price.label else charge.label
    starts = tuple(span.first for span in spans)
    windows: list[DemandWindow] = []
    for amount, held in _by_price(tariff, price, spans):
        window = inside & np.isin(period, held)
        if window.any() and amount:
            windows.append(
                DemandWindow(
                    id=f"{line_id}@{starts[held[0]]}" if windows else line_id,
                    line_id=line_id,
                    label=label,
                    price_per_kw=amount * _tax_factor(tariff, line_id),
                    window=window.astype(np.int8),
                    period=period,
                    period_starts=starts,
                    metering_minutes=charge.metering_minutes,
                )
            )
    return windows


def _by_price(tariff: Tariff, price: Price, spans: Sequence[Span]) -> list[tuple[float, list[int]]]:
    """Group billing periods in which a price row, prorated by its season's days, costs the same."""
    groups: dict[float, list[int]] = {}
    for index, span in enumerate(spans):
        held, days = season_share(tariff, price, span)
        if held:
            groups.setdefault(float(price.amount) * held / days, []).append(index)
    return list(groups.items())
