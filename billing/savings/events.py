"""One event of a grid programme: what counts as delivered, and what is paid for it, once.

Everything stands in steps of the local wall clock of one day: 96 of 15 minutes, whatever the clocks did. The
rules, with numbers, are in docs/algorithms/savings.md 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

import numpy as np

from billing.savings.programmes import (
    CustomerBaseline,
    Floats,
    customer_baseline,
    delivered_kwh,
    paid_once,
)
from depot.money import round_money

EventKind = Literal["reduce", "export"]
ADJUST_FROM_MINUTES, ADJUST_TO_MINUTES = 240, 60
"""The same-day adjustment looks at the hours from four to one before the event, of the same day."""


@dataclass(frozen=True, slots=True)
class Call:
    """A programme's call: steps of its local day (half-open), what counts, and what it pays.

    `credit_excluded`: what it pays earns no export credit on the bill.
    """

    day: date
    window: tuple[int, int]
    kind: EventKind
    pay_per_kwh: Decimal | None = None
    pay_per_kw: Decimal | None = None
    credit_excluded: bool = False

    @property
    def steps(self) -> int:
        return self.window[1] - self.window[0]


@dataclass(frozen=True, slots=True)
class Metered:
    """The metered event day by step: net load in kW, export in kWh, and the export credit per kWh."""

    net_kw: Floats
    export_kwh: Floats
    credit_per_kwh: Floats


@dataclass(frozen=True, slots=True)
class Payment:
    """What an event came to: kWh and mean kW delivered, its pay, the export credit given up, steps not metered."""

    kwh: float
    mean_kw: float
    pay: Decimal
    credit: Decimal
    missing: int

    @property
    def revenue(self) -> Decimal:
        return self.pay - self.credit


@dataclass(frozen=True, slots=True)
class Offer:
    """A call as the planner takes it: what one kW in one step earns above a baseline in kW (0 or more)."""

    kind: EventKind
    baseline_kw: Floats


def baseline_of(
    call: Call,
    net_kw: Mapping[date, Floats],
    working_days: Mapping[date, bool],
    event_days: frozenset[date],
    step_minutes: int,
) -> CustomerBaseline:
    """Return the baseline of a call's day; raises NoBaselineError with too few days like it."""
    first = call.window[0]
    adjust = tuple(
        max(first - minutes // step_minutes, 0) for minutes in (ADJUST_FROM_MINUTES, ADJUST_TO_MINUTES)
    )
    return customer_baseline(call.day, net_kw, working_days, event_days, (adjust[0], adjust[1]))


def settle(call: Call, baseline: CustomerBaseline, metered: Metered, hours: float, currency: str) -> Payment:
    """Return what a call pays; a step that was not metered delivers nothing.

    "reduce" is paid below the baseline's net load, export included; "export" only for export above the baseline's.
    The pay is kWh x price, or mean kW over the whole event x price.
    """
    window = slice(*call.window)
    known = np.isfinite(metered.net_kw[window])
    net_kw = np.where(np.isfinite(metered.net_kw), metered.net_kw, np.inf)
    usual = baseline.net_kw
    if call.kind == "export":
        net_kw, usual = np.minimum(net_kw, 0.0), np.minimum(usual, 0.0)
    delivered = delivered_kwh(_with(baseline, usual), net_kw, call.window, hours)
    kwh = float(delivered.sum())
    mean_kw = kwh / (call.steps * hours)
    export_kwh = np.nan_to_num(metered.export_kwh[window])
    credited, _ = paid_once(export_kwh, delivered, credit_excluded=call.credit_excluded)
    credit = float(((export_kwh - credited) * np.nan_to_num(metered.credit_per_kwh[window])).sum())
    pay = Decimal(repr(kwh)) * (call.pay_per_kwh or 0) + Decimal(repr(mean_kw)) * (call.pay_per_kw or 0)
    return Payment(
        kwh,
        mean_kw,
        round_money(pay, currency),
        round_money(Decimal(repr(credit)), currency),
        int((~known).sum()),
    )


def offers(call: Call, baseline: CustomerBaseline) -> list[Offer]:
    """Return a call as the planner's events, whose pay adds up to the settlement's.

    Load below the baseline's net load is import saved down to 0, and export above what is usual.
    """
    window = slice(*call.window)
    usual = baseline.net_kw[window]
    found = [Offer("export", np.maximum(-usual, 0.0))]
    if call.kind == "reduce" and (usual > 0).any():
        found.insert(0, Offer("reduce", np.maximum(usual, 0.0)))
    return found


def _with(baseline: CustomerBaseline, net_kw: Floats) -> CustomerBaseline:
    return CustomerBaseline(net_kw, baseline.days, baseline.adjustment_kw, baseline.capped)
