"""What the depot's own load would have cost under a tariff."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from billing.models import Scenario
from billing.models import Tariff as TariffRow
from billing.selectors.ledger import load_of
from billing.selectors.tariffs import parsed
from billing.tariff import BillResult, Compared, Tariff, bill, compare
from billing.tariff.history import months_before
from billing.tariff.load import LoadSeries
from billing.tariff.shipped import example_names, example_tariff
from depot.models import Depot
from depot.words import tr

YEAR = timedelta(days=366)
OWN = "own-"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tariff to compare: its key in forms and jobs, its name, and where it is from."""

    key: str
    name: str
    origin: str

    @property
    def own(self) -> bool:
        """Tell whether it is one of the depot's own, and no shipped example."""
        return self.key.startswith(OWN)


def last_month(depot: Depot, now: datetime) -> date:
    """Return the first day of the month that names the last whole cycle."""
    return months_before(depot.cycles.month_of(now), 1)


def bill_of_month(depot: Depot, tariff: Tariff, month: date) -> BillResult | None:
    """Return the bill of a month's actual load under a tariff; None when nothing is recorded in it."""
    span = depot.cycles.bounds(month)
    load = load_of(depot, *span, Scenario.ACTUAL)
    return bill(tariff, load, time_zone=depot.tz, cycle_starts=depot.cycles.starts(*span)) if load else None


def year_load(depot: Depot, now: datetime) -> LoadSeries | None:
    """Return the depot's load of the last whole months, a year at most (the running month if there is no other)."""
    cycles = depot.cycles
    end_at = cycles.bounds(cycles.month_of(now))[0]
    start_at = cycles.bounds(cycles.month_of(end_at - YEAR + timedelta(days=31)))[0]
    return load_of(depot, start_at, end_at, Scenario.ACTUAL) or load_of(depot, end_at, now, Scenario.ACTUAL)


def candidates(depot: Depot, own: Sequence[TariffRow]) -> list[Candidate]:
    """Return what can be compared: the depot's own versions, then the shipped examples in its currency."""
    found = [
        Candidate(f"{OWN}{row.pk}", row.name, tr("from {valid_from:%-d %b %Y}", valid_from=row.valid_from))
        for row in own
    ]
    for key, tariff in _examples().items():
        if tariff.currency == depot.currency:
            found.append(Candidate(key, tariff.name, tr("example")))
    return found


@lru_cache(maxsize=1)
def _examples() -> dict[str, Tariff]:
    """Return the shipped examples by key, read once: they do not change while the program runs."""
    return {f"example-{name}": example_tariff(name) for name in example_names()}


def chosen(depot: Depot, keys: Iterable[str]) -> list[tuple[str, Tariff]]:
    """Return the tariffs of keys, by the clock of the depot; keys that name none are left out."""
    rows = {f"{OWN}{row.pk}": row for row in TariffRow.objects.filter(depot=depot)}
    found = []
    for key in keys:
        if key in rows:
            found.append((key, replace(parsed(rows[key]), name=rows[key].name)))
        elif key in _examples():
            found.append((key, replace(_examples()[key], time_zone=depot.time_zone)))
    return found


def compared(depot: Depot, tariff: Tariff, load: LoadSeries) -> Compared:
    """Return what a load costs under one tariff, or why it cannot be billed."""
    starts = depot.cycles.starts(load.start_at, load.end_at)
    return compare([tariff], load, time_zone=depot.tz, cycle_starts=starts)[0]
