"""Check what no schema can: that a tariff's parts fit each other and leave no hour without a price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from billing.tariff.calendar import date_of, day_number, minutes_of, season_of
from billing.tariff.model import HOLIDAY, MINUTES_PER_DAY, DemandCharge, Price, Tariff
from billing.tariff.problems import Problem
from billing.tariff.validate_charges import check_charges
from depot.words import tr

_SLOT_MINUTES = 5
_KINDS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "holiday")


def check(tariff: Tariff) -> list[Problem]:
    """Return every fault in how the tariff's parts fit together (empty = sound)."""
    problems = _zone(tariff) + _dates(tariff) + _ids(tariff) + _seasons(tariff) + check_charges(tariff)
    for charge in tariff.demand:
        problems += _window_edges(charge)
    if not problems:
        problems += [fault for c in tariff.energy if c.prices for fault in _holes(tariff, c.id, c.prices)]
    return problems


def _zone(tariff: Tariff) -> list[Problem]:
    if tariff.time_zone is None:
        return []
    try:
        ZoneInfo(tariff.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        cure = tr("Write a zone such as America/New_York")
        return [
            Problem(
                "time_zone", tr("'{time_zone}' is not a known time zone", time_zone=tariff.time_zone), cure
            )
        ]
    return []


def _dates(tariff: Tariff) -> list[Problem]:
    if tariff.valid_from and tariff.valid_to and tariff.valid_to < tariff.valid_from:
        return [
            Problem(
                "valid_to",
                tr("{valid_to} is before valid_from", valid_to=tariff.valid_to),
                tr("Give a later day"),
            )
        ]
    return []


def _ids(tariff: Tariff) -> list[Problem]:
    groups: dict[str, list[str]] = {
        "seasons": [season.id for season in tariff.seasons],
        "energy": [component.id for component in tariff.energy],
        "demand": [charge.id for charge in tariff.demand],
        "events": [event.id for event in tariff.events],
        "subscriptions": [charge.id for charge in tariff.subscriptions],
        "coincident": [charge.id for charge in tariff.coincident],
        "fixed": [charge.id for charge in tariff.fixed],
        "taxes": [tax.id for tax in tariff.taxes],
    }
    groups |= {place: [price.id for price in prices] for place, prices in price_lists(tariff)}
    return [
        Problem(
            place, tr("id '{name}' is used {count} times", name=name, count=count), tr("Give each its own id")
        )
        for place, names in groups.items()
        for name, count in Counter(names).items()
        if count > 1
    ]


def price_lists(tariff: Tariff) -> Iterable[tuple[str, tuple[Price, ...]]]:
    """Yield every list of price rows with its place in the document."""
    yield from ((f"energy/{component.id}/prices", component.prices) for component in tariff.energy)
    yield from ((f"demand/{charge.id}/prices", charge.prices) for charge in tariff.demand)
    if tariff.export:
        yield "export/prices", tariff.export.prices


def _seasons(tariff: Tariff) -> list[Problem]:
    names = {
        "seasons": {season.id for season in tariff.seasons},
        "events": {event.id for event in tariff.events},
    }
    problems = [
        Problem(f"seasons/{season.id}", tr("it has no dates"), tr("Give dates or months"))
        for season in tariff.seasons
        if not season.spans
    ]
    for place, prices in price_lists(tariff):
        for price in prices:
            for kind, known in names.items():
                used = {name for when in price.when for name in getattr(when, kind)}
                for name in sorted(used - known):
                    cure = tr("Use one of: {known}", known=", ".join(sorted(known)) or "none is defined")
                    message = tr("{kind} '{name}' is not defined", kind=kind[:-1], name=name)
                    problems.append(Problem(f"{place}/{price.id}", message, cure))
    return problems


def _window_edges(charge: DemandCharge) -> list[Problem]:
    edges = {edge for p in charge.prices for when in p.when for span in when.hours for edge in span}
    return [
        Problem(
            f"demand/{charge.id}",
            tr(
                "window edge {edge:02d}:{edge2:02d} cuts a {metering_minutes}-minute block",
                edge=edge // 60,
                edge2=edge % 60,
                metering_minutes=charge.metering_minutes,
            ),
            tr("Move the edge to a multiple of metering_minutes, or shorten metering_minutes"),
        )
        for edge in sorted(edges)
        if edge % charge.metering_minutes
    ]


def _holes(tariff: Tariff, component: str, prices: tuple[Price, ...]) -> list[Problem]:
    """Find the first moment without a price, over every date of a leap year and every kind of day."""
    days = np.arange(day_number(date(2024, 1, 1)), day_number(date(2025, 1, 1)))
    minutes = np.arange(0, MINUTES_PER_DAY, _SLOT_MINUTES)
    covered = np.zeros((days.size, len(_KINDS), minutes.size), dtype=np.bool_)
    for price in prices:
        for when in [when for when in price.when if not when.events]:  # an event may never be called
            held, kinds = season_of(tariff, when, days), np.isin(np.arange(len(_KINDS)), list(when.days))
            covered[np.ix_(held, kinds, minutes_of(when, minutes))] = True
    if not tariff.holidays and not tariff.recurring_holidays:
        covered[:, HOLIDAY, :] = True
    holes = np.argwhere(~covered)
    if not holes.size:
        return []
    day, kind, slot = (int(value) for value in holes[0])
    minute = int(minutes[slot])
    message = tr(
        "no price holds on a {kind} at {minute:02d}:{minute2:02d} on {days:%d %B}",
        kind=_KINDS[kind],
        minute=minute // 60,
        minute2=minute % 60,
        days=date_of(int(days[day])),
    )
    return [
        Problem(f"energy/{component}", message, tr("Add a last price without 'when' for the remaining hours"))
    ]
