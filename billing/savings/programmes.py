"""Settle grid programmes: customer baselines of the 10-of-10 kind, what was delivered, and whose it was.

The rules, with numbers, are in docs/algorithms/savings.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from depot.words import tr

Floats = npt.NDArray[np.float64]

DAYS = 10
LOOK_BACK = timedelta(days=45)
CAP = 0.20


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """How a programme makes its baseline.

    The mean of the `days` newest similar days (working days, or the others) within `look_back` that had no
    event; at least `least_days` of them. The same-day adjustment scales or shifts it by what the hours
    `adjust_from` to `adjust_to` before the event (step indices) showed, within `cap` of the baseline's mean.
    """

    days: int = DAYS
    least_days: int = 5
    look_back: timedelta = LOOK_BACK
    cap: float = CAP
    multiplicative: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CustomerBaseline:
    """A baseline in net kW per step of the event day (below zero = export), and how it came about."""

    net_kw: Floats
    days: tuple[date, ...]
    adjustment_kw: float
    capped: bool


class NoBaselineError(ValueError):
    """A baseline that cannot be made; the message says why."""


def customer_baseline(
    event_day: date,
    loads: Mapping[date, Floats],
    working_days: Mapping[date, bool],
    events: frozenset[date],
    adjust: tuple[int, int],
    rule: BaselineRule = BaselineRule(),
) -> CustomerBaseline:
    """Return the baseline of an event day from the net load (kW per step) of earlier days, step by step.

    `loads` must hold the event day itself for the adjustment, which compares its steps `adjust` (half-open)
    with the unadjusted baseline: the mean difference is added to every step (or the ratio multiplied), held
    within `cap` times the mean of the absolute baseline there. Days with an event never count, so that
    delivering does not lower the next baseline. Nothing is adjusted where the steps `adjust` are none or not all
    known (before the event they are still to come). Raises NoBaselineError with too few days.
    """
    kind = working_days[event_day]
    oldest = event_day - rule.look_back
    similar = [
        day
        for day in sorted(loads, reverse=True)
        if oldest <= day < event_day
        and day not in events
        and working_days[day] == kind
        and bool(np.isfinite(loads[day]).all())
        and loads[day].size == loads[event_day].size
    ][: rule.days]
    if len(similar) < rule.least_days:
        raise NoBaselineError(
            tr(
                "Only {similar} similar days without an event are recorded in the {days} days before "
                "{event_day}; {least_days} are needed.",
                similar=len(similar),
                days=rule.look_back.days,
                event_day=event_day,
                least_days=rule.least_days,
            )
        )
    base = np.mean([loads[day] for day in similar], axis=0)
    window = slice(*adjust)
    if not base[window].size or not np.isfinite(loads[event_day][window]).all():
        return CustomerBaseline(np.asarray(base), tuple(similar), 0.0, capped=False)
    reference, seen = float(base[window].mean()), float(loads[event_day][window].mean())
    room = rule.cap * float(np.abs(base[window]).mean())
    wanted = seen - reference
    change = float(np.clip(wanted, -room, room))
    adjusted = base + change
    if rule.multiplicative and reference:
        adjusted = base * (1.0 + change / reference)
    return CustomerBaseline(np.asarray(adjusted), tuple(similar), change, abs(wanted) > room)


def delivered_kwh(baseline: CustomerBaseline, net_kw: Floats, event: tuple[int, int], hours: float) -> Floats:
    """Return what was delivered in each step of an event (half-open steps): baseline less metered net load.

    A step that missed counts 0, so that charging in one step never takes off what another delivered; charging
    after the event is outside it.
    """
    window = slice(*event)
    return np.asarray(np.maximum(baseline.net_kw[window] - net_kw[window], 0.0) * hours)


def vehicles_export(export_kwh: Floats, discharge_kwh: Floats, surplus_sun_kwh: Floats) -> Floats:
    """Return the part of the metered export that vehicles gave, in kWh per step.

    Sun that neither building nor vehicles used (`surplus_sun_kwh`, 0 or more) counts as exported first, and no
    vehicle exports more than was discharged: what served the building is no export.
    """
    return np.asarray(np.clip(export_kwh - surplus_sun_kwh, 0.0, discharge_kwh))


def shared_out(metered_kwh: float, by_vehicle_kwh: Mapping[str, float]) -> dict[str, float]:
    """Return each vehicle's part of what the grid meter counted, in proportion to its own charger's meter.

    So the losses between chargers and grid meter are shared like the energy, and the parts are the whole. Where
    no charger counted anything, nobody has a part.
    """
    total = sum(max(kwh, 0.0) for kwh in by_vehicle_kwh.values())
    if total <= 0:
        return dict.fromkeys(by_vehicle_kwh, 0.0)
    return {name: metered_kwh * max(kwh, 0.0) / total for name, kwh in by_vehicle_kwh.items()}


def paid_once(export_kwh: Floats, delivered: Floats, *, credit_excluded: bool) -> tuple[Floats, Floats]:
    """Return the export that the bill credits and what the programme pays, in kWh per step.

    Where the programme's terms exclude credit for the same energy (`credit_excluded`), an exported kWh that the
    programme pays is taken off the bill's export; otherwise each is paid by its own terms.
    """
    if not credit_excluded:
        return export_kwh, delivered
    return np.asarray(export_kwh - np.minimum(export_kwh, delivered)), delivered


def working_days_of(days: Sequence[date], holidays: frozenset[date]) -> dict[date, bool]:
    """Tell for each day whether it is a working day: Monday to Friday and no holiday."""
    return {day: day.weekday() < 5 and day not in holidays for day in days}
