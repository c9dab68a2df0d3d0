"""Forecast prices for the planner: what a kWh costs in each step, and which demand charges a kW can raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from billing.tariff.bill import in_order
from billing.tariff.calendar import Floats, active_row, boundaries_of, day_number, local_steps, refine
from billing.tariff.curve_demand import DemandWindow, Horizon, demand_windows, tax_factor
from billing.tariff.energy import series_price
from billing.tariff.history import History, PeakBook
from billing.tariff.model import Coincident, EnergyComponent, Price, SeriesPrice, Tariff
from billing.tariff.periods import period_of, spans_of
from billing.tariff.problems import Problem, TariffError, UnsupportedTariffError
from billing.tariff.result import Peak
from billing.tariff.sheet import days_of, version_days
from depot.words import mark, tr

FALLING = mark("{charge}: a kW gets cheaper the more are drawn; the plan takes the price reached so far.")
STEPPED = mark("{charge}: the fee rises in steps; the plan takes the straight lines below them.")
BLOCKS = mark("{charge}: power is sold in whole blocks; the plan takes a kW's share of a block.")


@dataclass(frozen=True, slots=True, eq=False)
class PriceCurve:
    """Prices per kWh of each step and the demand charges over a horizon."""

    import_per_kwh: Floats
    export_per_kwh: Floats
    demand_charges: tuple[DemandWindow, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """Tell where the running billing period stands, so that tiers have the price of the next kWh."""

    import_kwh: float = 0.0
    billing_kw: float = 0.0


def price_curve(  # noqa: PLR0913 – a horizon and what may be known of it
    tariff: Tariff | Sequence[Tariff],
    start_at: datetime,
    steps: int,
    step_minutes: int,
    *,
    time_zone: tzinfo | None = None,
    import_series_per_kwh: npt.ArrayLike | None = None,
    export_series_per_kwh: npt.ArrayLike | None = None,
    cycle_starts: Sequence[date] | None = None,
    history: History | None = None,
    used: Used | None = None,
) -> PriceCurve:
    """Return the prices of `steps` steps from an aware moment, by a tariff or by its versions.

    Components stack; percentage taxes and duties per kWh are added, so that the curve is what the bill will
    charge. A step that a price boundary cuts has the mean price of its parts; it is in a demand window when
    any part is. A tiered kWh has the price of the tier that `used` has reached (without it the first).
    Dynamic tariffs take market prices from the `..._series_per_kwh` arguments (one value per step). Export
    under net metering is worth the energy it replaces. `history` (peaks before this billing period) sets
    what ratchets bill anyway. Raises UnsupportedTariffError for unsupported elements, TariffError when a
    series, a time zone or a valid version is missing.
    """
    versions = in_order(tariff)
    refused = [text.rstrip(".") for version in versions for text in version.unsupported]
    if refused:
        cure = tr("Use a tariff without it")
        raise UnsupportedTariffError(Problem("tariff", text, cure) for text in refused)
    zone = ZoneInfo(versions[0].time_zone) if versions[0].time_zone else time_zone
    if zone is None:
        raise TariffError(
            [Problem(tr("time zone"), tr("the tariff names none"), tr("Give the depot's time zone"))]
        )
    coarse = local_steps(start_at, steps, step_minutes, zone)
    spans, book = spans_of(coarse.day, cycle_starts), PeakBook.of(history)
    first = day_number(spans[0].first)
    imported, exported, windows = np.zeros(steps), np.zeros(steps), list[DemandWindow]()
    for version, held in zip(versions, version_days(versions, coarse.day, spans), strict=True):
        mine = held[coarse.day - first]
        if not mine.any():
            continue
        grid, factor = refine(coarse, boundaries_of(version), zone)
        parts = [days[held[days - first]] for days in map(days_of, spans)]
        period = period_of(coarse.day, spans)
        horizon = Horizon(version, grid, factor, spans, period, mine, parts, book)
        prices = _Prices(horizon, used or Used())
        imported += np.where(mine, prices.imported(import_series_per_kwh), 0.0)
        exported += np.where(mine, prices.exported(export_series_per_kwh), 0.0)
        windows += _of_version(demand_windows(horizon), version, windows)
    return PriceCurve(imported, exported, tuple(windows))


def _of_version(
    new: list[DemandWindow], version: Tariff, before: Sequence[DemandWindow]
) -> list[DemandWindow]:
    """Give the charges of a later version ids of their own; peaks before it do not count for it."""
    known = {window.id for window in before}
    if not known:
        return new
    mark = f"@{version.valid_from}"
    return [
        DemandWindow(
            **{
                **{name: getattr(window, name) for name in DemandWindow.__slots__},
                "id": window.id + mark if window.id in known else window.id,
                "line_id": window.line_id + mark,
            }
        )
        for window in new
    ]


def demand_case(
    curve: PriceCurve, peaks: Mapping[tuple[str, date], Peak] | None = None
) -> list[dict[str, Any]]:
    """Return the `demand_charges` of a planner case; `peaks` (of `peaks_so_far`) are already billed.

    Rising tiers go in as `tiers`. Of falling ones, which a linear programme cannot hold, the price of the tier
    that has been reached counts. A step fee goes in as the convex function below it.
    """
    known = peaks or {}
    case = []
    for charge in curve.demand_charges:
        billed = [_billed_so_far(charge, number, known) for number in range(len(charge.period_starts))]
        row: dict[str, Any] = {
            "id": charge.id,
            "label": charge.label,
            "price_per_kw": _reached(charge, billed),
            "window": charge.window.tolist(),
            "period": charge.period.tolist(),
            "billed_kw_so_far": billed,
            "metering_minutes": charge.metering_minutes,
        }
        if charge.tiers:
            row["tiers"] = [{"from_kw": kw, "price_per_kw": price} for kw, price in charge.tiers]
        case.append(row)
    return case


def taken_as_convex(curve: PriceCurve) -> list[str]:
    """Name each demand charge whose true price is not convex, and what a plan takes instead (see `demand_case`)."""
    said = []
    for charge in curve.demand_charges:
        kinds = ((bool(charge.falling), FALLING), (charge.stepped, STEPPED), (charge.block_kw > 1.0, BLOCKS))
        said += [tr(pattern, charge=charge.label) for held, pattern in kinds if held]
    return list(dict.fromkeys(said))


def _billed_so_far(charge: DemandWindow, number: int, known: Mapping[tuple[str, date], Peak]) -> float:
    keys = [(charge.line_id, charge.period_starts[number]), *charge.least_keys[number : number + 1]]
    billed = max((float(known[key].kw) for key in keys if key in known), default=0.0)
    if charge.block_kw:
        billed = float(np.ceil(billed / charge.block_kw) * charge.block_kw)
    return max(billed, charge.least_kw[number] if charge.least_kw else 0.0)


def _reached(charge: DemandWindow, billed: Sequence[float]) -> float:
    held = [price for kw, price in charge.falling if kw < max(billed)]
    return held[-1] if held else charge.price_per_kw


class _Prices:
    """Price each step of a horizon by one tariff version."""

    def __init__(self, horizon: Horizon, used: Used) -> None:
        self._h, self._tariff, self._used = horizon, horizon.tariff, used
        self._steps = horizon.held.size
        self._months: npt.NDArray[np.int64] | None = None

    def imported(self, market: npt.ArrayLike | None) -> Floats:
        total = np.zeros(self._steps)
        for component in self._tariff.energy:
            total += self._component(component, market) * tax_factor(self._tariff, f"energy.{component.id}")
        for tax in self._tariff.taxes:
            if tax.per_kwh is not None:
                total += float(tax.per_kwh) * tax_factor(self._tariff, f"tax.{tax.id}")
        for charge in self._tariff.coincident:
            total += self._announced(charge)
        return total

    def exported(self, market: npt.ArrayLike | None) -> Floats:
        export = self._tariff.export
        if export is None:
            return np.zeros(self._steps)
        if export.method == "net_metering":
            prices = [self._component(c, None) for c in self._tariff.energy if c.prices]
            factor = [tax_factor(self._tariff, f"energy.{c.id}") for c in self._tariff.energy if c.prices]
            return np.asarray(sum(p * f for p, f in zip(prices, factor, strict=True)) + np.zeros(self._steps))
        taxed = tax_factor(self._tariff, "export.")
        if export.series is not None:
            return _from_series(export.series, market, self._steps, "export_series_per_kwh") * taxed
        return self._from_rows(export.prices, [float(row.amount) for row in export.prices]) * taxed

    def _component(self, component: EnergyComponent, market: npt.ArrayLike | None) -> Floats:
        if component.series is not None:
            return _from_series(component.series, market, self._steps, "import_series_per_kwh")
        if component.monthly:
            return self._monthly(component)
        rows = component.prices
        price = self._from_rows(rows, [float(row.amount) for row in rows])
        if any(row.tiers for row in rows):
            running = self._h.period == 0  # later billing periods begin in their first tier
            reached = self._from_rows(rows, [self._marginal(component, row) for row in rows])
            price = np.where(running, reached, price)
        return price

    def _marginal(self, component: EnergyComponent, row: Price) -> float:
        """Return the price of the tier that the running billing period has reached."""
        if not row.tiers:
            return float(row.amount)
        scale = self._used.billing_kw if component.tier_basis.startswith("kwh_per_kw") else 1.0
        if component.tier_basis.endswith("per_day"):
            scale *= int(self._h.day[0]) - day_number(self._h.spans[0].first) + 1
        if not scale:
            return float(row.amount)  # no kW has been metered yet: the period stands in its first tier
        for tier in row.tiers:
            if tier.up_to is None or self._used.import_kwh < float(tier.up_to) * scale:
                return float(tier.amount)
        return float(row.tiers[-1].amount)

    def _monthly(self, component: EnergyComponent) -> Floats:
        """Return a monthly rider's price; a month that has none yet takes the last one known."""
        months = self._h.day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        number = (months // 12 + 1970) * 100 + months % 12 + 1
        known = np.array([month for month, _ in component.monthly])
        prices = np.array([float(price) for _, price in component.monthly])
        return np.asarray(prices[np.maximum(np.searchsorted(known, number, side="right") - 1, 0)])

    def _announced(self, charge: Coincident) -> Floats:
        """Spread a coincident charge over the kWh of its announced hours inside the horizon."""
        price = np.zeros(self._steps)
        steps = self._h.grid.utc_minute[:: self._h.factor]
        step_minutes = self._h.grid.minutes * self._h.factor
        months = 12 if charge.basis == "year_before" else 1
        by_period: dict[tuple[int, int], list[int]] = {}
        for at in charge.moments:
            key = (at.year, 0 if charge.basis == "year_before" else at.month)
            by_period.setdefault(key, []).append(int(at.timestamp()) // 60)
        for minutes in by_period.values():
            per_kwh = float(charge.price_per_kw) * months / len(minutes) / (charge.metering_minutes / 60)
            for minute in minutes:
                inside = (steps < minute + charge.metering_minutes) & (steps + step_minutes > minute)
                price[inside] += per_kwh * tax_factor(self._tariff, f"coincident.{charge.id}")
        return price

    def _from_rows(self, rows: Sequence[Price], prices: Sequence[float]) -> Floats:
        amounts = np.array([*prices, 0.0])  # index -1: no row, no price
        price = amounts[active_row(self._tariff, rows, self._h.grid)]
        return np.asarray(price.reshape(-1, self._h.factor).mean(axis=1))


def _from_series(series: SeriesPrice, market: npt.ArrayLike | None, steps: int, name: str) -> Floats:
    values = np.zeros(0) if market is None else np.asarray(market, dtype=np.float64)
    if values.size != steps:
        message = tr(
            "the tariff is dynamic and needs {steps} market prices, not {size}", steps=steps, size=values.size
        )
        raise TariffError([Problem(name, message, tr("Give one price per step"))])
    return series_price(series, values)
