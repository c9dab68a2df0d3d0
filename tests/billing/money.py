"""A tariff, and a ledger filled with known powers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from billing.models import Interval, Tariff
from billing.services.ledger import Measured, Unmanaged, record, record_unmanaged
from depot.models import Depot, Quality
from depot.timegrid import TimeGrid, local_to_utc, month_bounds

DOCUMENT: dict[str, Any] = {
    "format": "depot-tariff/1",
    "name": "EV",
    "currency": "USD",
    "time_zone": "America/New_York",
    "energy": [
        {
            "id": "e",
            "label": "Energy",
            "prices": [
                {"id": "on", "label": "On-peak", "price_per_kwh": 0.3, "when": [{"hours": ["16:00-21:00"]}]},
                {"id": "off", "label": "Off-peak", "price_per_kwh": 0.1},
            ],
        }
    ],
    "demand": [
        {"id": "d", "label": "Demand", "prices": [{"id": "all", "price_per_kw": 10}]},
    ],
    "fixed": [{"id": "meter", "label": "Meter", "amount": 100, "per": "month"}],
    "export": {"method": "prices", "prices": [{"id": "x", "price_per_kwh": 0.05}]},
}


def make_tariff(depot: Depot, valid_from: date = date(2026, 1, 1), **changes: Any) -> Tariff:
    return Tariff.objects.create(
        depot=depot,
        name=changes.pop("name", "EV"),
        valid_from=valid_from,
        valid_to=changes.pop("valid_to", None),
        definition=changes.pop("definition", DOCUMENT | changes),
    )


def month_grid(depot: Depot, day: date) -> TimeGrid:
    start_at, end_at = month_bounds(day, depot.tz)
    return TimeGrid(
        start_at, depot.step_minutes, (end_at - start_at) // timedelta(minutes=depot.step_minutes)
    )


def fill(
    depot: Depot,
    grid: TimeGrid,
    import_kw: Sequence[float] | float,
    unmanaged_kw: Sequence[float] | float = 0.0,
    *,
    export_kw: float = 0.0,
    wear: float = 0.0,
    final: bool = True,
    quality: str = Quality.GOOD,
) -> None:
    """Record every step of `grid` with these powers (one, or one a step), and its counterfactual."""
    hours = grid.step_hours

    def at(series: Sequence[float] | float, index: int) -> float:
        return (series if isinstance(series, int | float) else series[index]) * hours

    rows = [
        Measured(moment, at(import_kw, i), export_kw * hours, at(import_kw, i), 0.0, 0.0, 0.0, wear, quality)
        for i, moment in enumerate(grid.times())
    ]
    assert record(depot, rows, grid.end_at) == grid.steps
    record_unmanaged(
        depot,
        [Unmanaged(moment, 0.0, at(unmanaged_kw, i), 0.0, final) for i, moment in enumerate(grid.times())],
        grid.end_at,
    )


def at_local(depot: Depot, day: date, hour: float) -> datetime:
    return local_to_utc(day, hour * 60, depot.tz)


def interval_at(depot: Depot, at: datetime) -> Interval:
    return Interval.objects.get(depot=depot, start_at=at)
