"""The peak that is to be expected anyway, as it was found last, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from billing.selectors.prices import Prices
from charging.models import PeakOutlook
from charging.peak_outlook import billed_kw
from depot.models import Depot
from depot.templatetags.depot_pages import kw, local_day, local_time
from depot.timegrid import TimeGrid
from depot.words import tr

FRESH = timedelta(hours=36)
"""An older outlook is not used: the day's job must have failed, and schedules may have changed since."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """By demand charge and period of a grid: the peak in kW that is to be expected anyway; by charge: why."""

    kw: dict[tuple[str, int], float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def told(self, charges: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return, by demand charge with a higher peak to expect, what a plan's notes say of it.

        `billed_kw` and `expected_kw` hold one peak a billing period, `because` is the reason.
        """
        return {
            charge["id"]: {
                "billed_kw": billed_kw(charge),
                "expected_kw": [
                    self.kw.get((charge["id"], period), 0.0) for period in range(len(billed_kw(charge)))
                ],
                "because": self.words[charge["id"]],
            }
            for charge in charges
            if charge["id"] in self.words
        }


def expectation(depot: Depot, prices: Prices, grid: TimeGrid, now: datetime) -> Expectation:
    """Return what the newest outlook before `now` says of the grid's billing periods, from one query.

    Nothing is expected where there is no fresh outlook, or of a charge or month that it does not know.
    """
    if not prices.demand_charges:
        return Expectation()
    newest = (
        PeakOutlook.objects.filter(depot=depot, made_at__lt=now, made_at__gte=now - FRESH)
        .order_by("-made_at")
        .first()
    )
    if newest is None:
        return Expectation()
    known = {(peak["charge"], peak["month"]): peak for peak in newest.peaks}
    found = Expectation()
    for charge in prices.demand_charges:
        for period, month in months_of(depot, charge, grid).items():
            peak = known.get((charge["id"], month.isoformat()))
            if peak is None:
                continue
            found.kw[charge["id"], period] = peak["kw"]
            if peak["kw"] > billed_kw(charge)[period]:
                found.words.setdefault(charge["id"], _words(depot, newest, peak))
    return found


def months_of(depot: Depot, charge: Mapping[str, Any], grid: TimeGrid) -> dict[int, date]:
    """Return the month that names each billing period of a demand charge on a grid."""
    periods = charge.get("period", [0] * grid.steps)
    numbers, firsts = np.unique(np.asarray(periods), return_index=True)
    return {
        int(number): depot.cycles.month_of(grid.time_of(int(first)))
        for number, first in zip(numbers, firsts, strict=True)
    }


def _words(depot: Depot, outlook: PeakOutlook, peak: Mapping[str, Any]) -> str:
    at = datetime.fromisoformat(peak["at"])
    count = peak["vehicles"]
    noun = tr("vehicle charges") if count == 1 else tr("vehicles charge")
    parts = [tr("the building draws {building_kw}", building_kw=kw(round(peak["building_kw"])))]
    if round(peak["solar_kw"]) > 0:
        parts.append(tr("the sun gives {solar_kw}", solar_kw=kw(round(peak["solar_kw"]))))
    if count:
        parts.append(
            tr(
                "{count} {noun} with {vehicles_kw}",
                count=count,
                noun=noun,
                vehicles_kw=kw(round(peak["vehicles_kw"])),
            )
        )
    drawn = (
        tr("{parts} and {parts2}", parts=", ".join(parts[:-1]), parts2=parts[-1])
        if len(parts) > 1
        else parts[0]
    )
    return tr(
        "The coming week needs {kw} anyway: on {day} at {time} {drawn}. Up to that, more power "
        "costs nothing more. Found on {found_day} at {found_time}.",
        kw=kw(round(peak["kw"])),
        day=local_day(at, depot),
        time=local_time(at, depot),
        drawn=drawn,
        found_day=local_day(outlook.made_at, depot),
        found_time=local_time(outlook.made_at, depot),
    )
