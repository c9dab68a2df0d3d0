"""What the next kilowatt-hour and the next kilowatt cost: prices for the planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from billing.models import Scenario
from billing.models import Tariff as TariffRow
from billing.selectors.history import earlier_peaks, first_known, peaks_by_charge
from billing.selectors.ledger import load_of
from billing.selectors.market import Market, market_on
from billing.selectors.tariffs import tariffs_by_day, version_of
from billing.tariff import (
    InputError,
    PriceCurve,
    Tariff,
    Used,
    demand_case,
    peaks_so_far,
    price_curve,
    taken_as_convex,
)
from billing.tariff.result import Peak
from depot.models import Depot
from depot.timegrid import TimeGrid, local_to_utc
from depot.words import tr, weekday_time

CASE_FIELDS = ("id", "price_per_kw", "window", "period", "billed_kw_so_far", "metering_minutes", "tiers")
Peaks = dict[tuple[str, date], Peak]


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a planner case, the labels of its demand charges, what is wrong with them and what is simplified.

    `warnings` are sentences by keys that are the same in every language.
    """

    import_per_kwh: list[float]
    export_per_kwh: list[float]
    demand_charges: list[dict[str, Any]] = field(default_factory=list)
    demand_labels: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def prices_for(depot: Depot, grid: TimeGrid, now: datetime) -> Prices:
    """Return the prices of `grid`, with the demand peaks that this billing period has already set.

    Every tariff version that becomes valid inside the grid counts from its first day; ratchets and yearly
    peaks look back on the depot's bills.
    """
    first, last = (depot.local(at).date() for at in (grid.start_at, grid.time_of(grid.steps - 1)))
    by_day = _tariffs(depot, first, last)
    zeros = [0.0] * grid.steps
    today = by_day[first]
    if today is None:
        words = tr("No tariff is valid today: the plan takes power as free. Enter one.")
        return Prices(zeros, zeros, warnings={"no tariff": words})
    names = ", ".join(dict.fromkeys(row.name for row in by_day.values() if row is not None))
    try:
        versions, warnings = _versions(depot, by_day)
        peaks, used = _so_far(depot, versions[today.pk], grid, now)
        market = market_on(depot, grid) if any(map(follows_market, versions.values())) else Market()
        curve = _curve(depot, list(versions.values()), (peaks, used), market, grid, now)
        charges = demand_case(curve, peaks)
    except InputError as error:
        words = tr("Tariff {names} cannot be used: {error}", names=names, error=error)
        return Prices(zeros, zeros, warnings={"tariff not usable": words})
    return Prices(
        import_per_kwh=[round(float(value), 6) for value in curve.import_per_kwh],
        export_per_kwh=[round(float(value), 6) for value in curve.export_per_kwh],
        demand_charges=[{name: charge[name] for name in CASE_FIELDS if name in charge} for charge in charges],
        demand_labels={charge["id"]: charge["label"] for charge in charges},
        warnings=warnings | _stale(depot, market),
        remarks=taken_as_convex(curve),
    )


def follows_market(tariff: Tariff) -> bool:
    """Tell whether a tariff takes prices from a series."""
    exported = tariff.export is not None and tariff.export.series is not None
    return exported or any(component.series is not None for component in tariff.energy)


def _stale(depot: Depot, market: Market) -> dict[str, str]:
    if market.stale_from is None:
        return {}
    return {
        "market prices": tr(
            "Market prices from {stale_from} on are not known yet: the plan takes those of "
            "the same weekday and hour.",
            stale_from=weekday_time(depot.local(market.stale_from)),
        )
    }


def _tariffs(depot: Depot, first: date, last: date) -> dict[date, TariffRow | None]:
    """Return the tariff of each day up to `last`, and of all days of the months it touches.

    A demand charge costs the share of the month on which its version holds, also before and after the grid.
    """
    cycles = depot.cycles
    begun = cycles.first_day(cycles.month_of_day(first))
    _, following = cycles.days(cycles.month_of_day(last))
    by_day = tariffs_by_day(depot, begun, following - timedelta(days=1))
    return {day: row for day, row in by_day.items() if row is not None or first <= day <= last}


def _versions(
    depot: Depot, by_day: Mapping[date, TariffRow | None]
) -> tuple[dict[int, Tariff], dict[str, str]]:
    """Return the versions that hold on some day, by id; where one ends without a next, it goes on."""
    rows = {row.pk: row for row in by_day.values() if row is not None}
    versions = {pk: version_of(row, depot.time_zone) for pk, row in rows.items()}
    warnings = {}
    for (_, before), (day, row) in pairwise(by_day.items()):
        if before is not None and row is None:
            versions[before.pk] = replace(versions[before.pk], valid_to=None)
            warnings[f"tariff ends {day}"] = tr(
                "No tariff is valid on {day:%Y-%m-%d}: the plan goes on with {before}.",
                day=day,
                before=before,
            )
    return versions, warnings


def _so_far(depot: Depot, version: Tariff, grid: TimeGrid, now: datetime) -> tuple[Peaks, Used]:
    """Return peaks and kWh that the version of the grid's first step has billed since it holds, this month."""
    month_start, _ = depot.cycles.bounds(depot.cycles.month_of(now))
    held_from = local_to_utc(version.valid_from, 0, depot.tz) if version.valid_from else month_start
    load = load_of(depot, max(month_start, held_from), grid.start_at, Scenario.ACTUAL, priced=False)
    if load is None:
        return {}, Used()
    starts = depot.cycles.starts(load.start_at, load.end_at)
    peaks = peaks_so_far(version, load, time_zone=depot.tz, cycle_starts=starts)
    import_kwh = float(load.import_kw.sum()) * load.step_minutes / 60
    return peaks, Used(import_kwh, max((float(peak.kw) for peak in peaks.values()), default=0.0))


def _curve(
    depot: Depot,
    versions: Sequence[Tariff],
    so_far: tuple[Peaks, Used],
    market: Market,
    grid: TimeGrid,
    now: datetime,
) -> PriceCurve:
    """Price the grid; ratchets of the next billing period look back on this one's peaks too."""
    peaks, used = so_far
    cycles = depot.cycles
    first = cycles.first_day(cycles.month_of(now))
    earlier = earlier_peaks(depot, versions, first, Scenario.ACTUAL)
    running = peaks_by_charge((month, {line_id: peak.kw}) for (line_id, month), peak in peaks.items())
    history = first_known(versions, earlier, running)
    return price_curve(
        versions,
        grid.start_at,
        grid.steps,
        grid.step_minutes,
        time_zone=depot.tz,
        import_series_per_kwh=market.import_per_kwh,
        export_series_per_kwh=market.export_per_kwh,
        cycle_starts=cycles.starts(grid.start_at, grid.end_at),
        history=history,
        used=used,
    )
