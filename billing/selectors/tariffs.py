"""Which tariff holds when."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from functools import lru_cache

from django.db.models import Q

from billing.models import Tariff as TariffRow
from billing.tariff import Tariff, read_tariff
from depot.models import Depot
from depot.timegrid import days


def tariff_on(depot: Depot, day: date) -> TariffRow | None:
    """Return the newest version that is valid on a local day, or None."""
    return tariffs_by_day(depot, day, day)[day]


def tariffs_by_day(depot: Depot, first: date, last: date) -> dict[date, TariffRow | None]:
    """Return the newest version that is valid on each local day of a span (both ends included), from one query."""
    not_over = Q(valid_to__isnull=True) | Q(valid_to__gte=first)
    versions = list(
        TariffRow.objects.filter(not_over, depot=depot, valid_from__lte=last).order_by("-valid_from")
    )
    return {
        day: next((row for row in versions if row.valid_from <= day <= (row.valid_to or day)), None)
        for day in days(first, last)
    }


def parsed(row: TariffRow) -> Tariff:
    """Return a stored version as the tariff room's own object."""
    return _read(json.dumps(row.definition))


@lru_cache(maxsize=128)
def _read(definition: str) -> Tariff:
    """Read a definition once: the same text is the same tariff, which nobody can change."""
    return read_tariff(json.loads(definition))


def version_of(row: TariffRow, zone: str) -> Tariff:
    """Return a stored version with the days on which the depot has it, and the depot's zone if it names none."""
    tariff = parsed(row)
    return replace(
        tariff,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        time_zone=tariff.time_zone or zone,
    )
