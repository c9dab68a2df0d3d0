"""Turn demand charges and subscriptions into the planner's demand charges over a horizon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from math import ceil, inf

import numpy as np
import numpy.typing as npt

from billing.tariff.calendar import Bools, Ints, LocalSteps, active_row, date_of
from billing.tariff.history import PeakBook
from billing.tariff.lines import taxed_by
from billing.tariff.metering import demand_line_id
from billing.tariff.model import DemandCharge, Price, Subscription, Tariff, Tier
from billing.tariff.money import joined
from billing.tariff.peaks import LOWEST_COUNTED
from billing.tariff.periods import Span
from billing.tariff.sheet import share_of

Tiers = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class DemandWindow:
    """One demand charge over a horizon, as INTERFACES section 2 wants it.

    `id` is the bill's line id (with `@` and a date where a proration or a new tariff version gives it another
    price later), `window` 0/1 per step, `period` the planner's billing period of each step (0 is the first; the
    day of a daily charge, the year of a yearly one), and `period_starts` the first local day of each of those.
    `tiers` are (from_kw, price per kW) with rising prices, instead of `price_per_kw`; of tiers whose price
    falls, `falling` holds them and `price_per_kw` is that of the first. Of a fee by steps, `stepped`, the tiers are
    the convex function below it. `least_kw` is what each period is billed at least (ratchet, contract,
    subscription); peaks so far count up to the next whole `block_kw`.
    """

    id: str
    line_id: str
    label: str
    price_per_kw: float
    window: npt.NDArray[np.int8]
    period: Ints
    period_starts: tuple[date, ...]
    metering_minutes: int
    tiers: Tiers = ()
    falling: Tiers = ()
    least_kw: tuple[float, ...] = ()
    least_keys: tuple[tuple[str, date], ...] = ()
    block_kw: float = 0.0
    stepped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """The steps of a price curve under one version: fine grid, factor, billing periods and held days."""

    tariff: Tariff
    grid: LocalSteps
    factor: int
    spans: list[Span]
    period: Ints
    held: Bools
    parts: list[Ints]
    book: PeakBook

    def coarse(self, fine: Bools) -> Bools:
        """Tell for each step whether any of its fine steps is meant, and the version holds there."""
        return np.asarray(fine.reshape(-1, self.factor).any(axis=1) & self.held)

    @property
    def day(self) -> Ints:
        """Return the local day of each step."""
        return self.grid.day[:: self.factor]


def demand_windows(horizon: Horizon) -> list[DemandWindow]:
    """Return the planner's demand charges of one tariff version, in the order of its charges."""
    windows = []
    for charge in horizon.tariff.demand:
        row = active_row(horizon.tariff, charge.prices, horizon.grid)
        for number, price in enumerate(charge.prices):
            inside = horizon.coarse(row == number)
            windows += _windows_of(horizon, charge, price, inside)
    for subscription in horizon.tariff.subscriptions:
        windows += _subscription_windows(horizon, subscription)
    return windows


def _windows_of(horizon: Horizon, charge: DemandCharge, price: Price, inside: Bools) -> list[DemandWindow]:
    """Return one window for each price that a row has in the horizon; the first keeps the bill's line id."""
    line_id = demand_line_id(charge, price)
    windows: list[DemandWindow] = []
    for share, held in _by_share(horizon, charge, price):
        window = inside & np.isin(horizon.period, held)
        factor = share * tax_factor(horizon.tariff, line_id) / (charge.highest if charge.per != "day" else 1)
        priced = _priced(price, factor)
        if not window.any() or not (price.steps or any(cost for _, cost in priced)):
            continue
        period, starts, keys = _periods(horizon, charge, line_id)
        rising = all(a[1] <= b[1] for a, b in pairwise(priced))
        windows.append(
            DemandWindow(
                id=f"{line_id}@{horizon.spans[held[0]].first}" if windows else line_id,
                line_id=line_id,
                label=joined(charge.label, price.label),
                price_per_kw=0.0 if rising and len(priced) > 1 else priced[0][1],
                window=window.astype(np.int8),
                period=period,
                period_starts=starts,
                metering_minutes=charge.metering_minutes,
                tiers=priced if rising and len(priced) > 1 else (),
                falling=() if rising else priced,
                least_kw=_least(horizon, charge, starts),
                least_keys=keys,
                stepped=bool(price.steps),
            )
        )
    return windows


def _by_share(horizon: Horizon, charge: DemandCharge, price: Price) -> list[tuple[float, list[int]]]:
    """Group billing periods in which a price row, prorated by the days it holds, costs the same."""
    groups: dict[float, list[int]] = {}
    for index, (span, days) in enumerate(zip(horizon.spans, horizon.parts, strict=True)):
        share = share_of(horizon.tariff, price, days, span)
        if share.days:
            whole = charge.per != "month"  # a kW of a day or a year costs the same in every billing period
            groups.setdefault(1.0 if whole else float(share.fraction), []).append(index)
    return list(groups.items())


def _periods(
    horizon: Horizon, charge: DemandCharge, line_id: str
) -> tuple[Ints, tuple[date, ...], tuple[tuple[str, date], ...]]:
    """Return the planner's period of each step, its first days, and the keys of peaks that are a floor."""
    starts = [span.first for span in horizon.spans]
    if charge.per == "day" or charge.highest > 1:
        days, period = np.unique(horizon.day, return_inverse=True)
        first_step = np.searchsorted(horizon.day, days)
        keys = tuple((line_id + LOWEST_COUNTED, starts[horizon.period[step]]) for step in first_step)
        return period, tuple(date_of(int(day)) for day in days), keys if charge.highest > 1 else ()
    if charge.per == "year":
        years = np.array([start.year for start in starts])[horizon.period]
        found, period = np.unique(years, return_inverse=True)
        return period, tuple(date(int(year), 1, 1) for year in found), ()
    return horizon.period, tuple(starts), ()


def _least(horizon: Horizon, charge: DemandCharge, starts: tuple[date, ...]) -> tuple[float, ...]:
    """Return the kW that each period is billed at least: contract, ratchet, the year's peak so far."""
    least = []
    for start in starts:
        kw = charge.least_kw
        floor = horizon.book.floor(charge, start)
        if floor is not None:
            kw = max(kw, floor[0])
        if charge.per == "year":
            kw = max(kw, horizon.book.year_so_far(charge, start.replace(month=12, day=31))[0])
        least.append(float(kw))
    return tuple(least)


def _priced(price: Price, factor: float) -> Tiers:
    """Return (from_kw, price per kW) of a row: one pair, its tiers, or the hull of its steps from below."""
    if price.steps:
        return tuple((kw, cost * factor) for kw, cost in _hull(price.steps))
    if not price.tiers:
        return ((0.0, float(price.amount) * factor),)
    edges = [Decimal(0), *(tier.up_to for tier in price.tiers if tier.up_to is not None)]
    return tuple(
        (float(edge), float(tier.amount) * factor) for edge, tier in zip(edges, price.tiers, strict=False)
    )


def _hull(steps: tuple[Tier, ...]) -> list[tuple[float, float]]:
    """Return the convex function below a step fee, as (from_kw, price per kW) with rising prices.

    The fee of a step is reached at its upper edge; the last step's slope is that of the one before.
    """
    corners = [(0.0, 0.0)] + [(float(s.up_to), float(s.amount)) for s in steps if s.up_to is not None]
    base = float(steps[0].amount)
    corners = [(kw, max(fee - base, 0.0)) for kw, fee in corners]
    if len(corners) == 1:
        return [(0.0, 0.0)]
    slopes = []
    at = 0
    while at < len(corners) - 1:
        lowest, then = inf, at + 1
        for other in range(at + 1, len(corners)):
            slope = (corners[other][1] - corners[at][1]) / (corners[other][0] - corners[at][0])
            if slope <= lowest:
                lowest, then = slope, other
        slopes.append((corners[at][0], lowest))
        at = then
    return slopes


def _subscription_windows(horizon: Horizon, charge: Subscription) -> list[DemandWindow]:
    """Price the kW above what is subscribed; without a subscribed power, the next block."""
    over, id = charge.overage, f"subscription.{charge.id}"
    if charge.subscribed_kw is None:
        cost, limit, block_kw = charge.price_per_block / charge.block_kw, 0.0, float(charge.block_kw)
    elif over is None:
        return []
    else:
        blocks = ceil(charge.subscribed_kw / charge.block_kw)
        cost, limit, block_kw = over.price_per_kw, float(blocks * charge.block_kw), 0.0
    period, starts = horizon.period, tuple(span.first for span in horizon.spans)
    if over is not None and over.hourly_sum and charge.subscribed_kw is not None:
        hours = horizon.grid.utc_minute[:: horizon.factor] // 60
        period = hours - hours[0]
        starts = tuple(date_of(int(horizon.day[np.argmax(period == hour)])) for hour in np.unique(period))
        period = np.unique(period, return_inverse=True)[1]
    hourly = period is not horizon.period
    return [
        DemandWindow(
            id=id,
            line_id=f"{id}.hourly" if hourly else id,
            label=charge.label,
            price_per_kw=float(cost) * tax_factor(horizon.tariff, id),
            window=horizon.held.astype(np.int8),
            period=period,
            period_starts=starts,
            metering_minutes=charge.metering_minutes,
            least_kw=(limit,) * len(starts),
            block_kw=block_kw,
        )
    ]


def tax_factor(tariff: Tariff, line_id: str) -> float:
    """Return 1 plus the percentage taxes on a line."""
    percent = sum(tax.percent for tax in tariff.taxes if tax.per_kwh is None and taxed_by(tax, line_id))
    return 1.0 + float(percent) / 100
