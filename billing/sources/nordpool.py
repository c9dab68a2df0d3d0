"""Day-ahead prices of Nord Pool's data portal: the JSON document of a delivery day. The package pynordpool asks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.sources.entsoe import SourceError
from billing.sources.points import FACTORS, LENGTHS, Point
from depot.words import tr

ZONE = "Europe/Oslo"
"""Delivery days are those of this zone."""
AREAS = (
    "AT", "BE", "BG", "DK1", "DK2", "EE", "FI", "FR", "GER", "LT", "LV", "NL", "NO1", "NO2", "NO3", "NO4", "NO5",
    "PL", "SE1", "SE2", "SE3", "SE4", "TEL",
)  # fmt: skip


def read(document: Mapping[str, Any], area: str, currency: str) -> list[Point]:
    """Return the prices of an answer, sorted; none for an empty one (not published yet).

    Raises SourceError for an answer of another form, area or currency.
    """
    if not document:
        return []
    try:
        named = document["currency"]
        entries = document["multiAreaEntries"]
        found = [point for entry in entries if (point := _point(entry, area)) is not None]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(tr("Nord Pool answered in a form that is not known.")) from error
    if named != currency:
        raise SourceError(
            tr(
                "The prices are in {named}, the depot in {currency}.",
                named=str(named)[:10],
                currency=currency,
            )
        )
    return sorted(found, key=lambda point: point.start_at)


def _point(entry: dict[str, Any], area: str) -> Point | None:
    start, end = (
        datetime.fromisoformat(entry[name]).astimezone(UTC) for name in ("deliveryStart", "deliveryEnd")
    )
    price = entry["entryPerArea"].get(area)
    minutes = (end - start) // timedelta(minutes=1)
    if price is None:
        return None
    if minutes not in LENGTHS or not isinstance(price, int | float):
        raise SourceError(
            tr("Nord Pool sent a step of {minutes} minutes or a price that is no number.", minutes=minutes)
        )
    return Point(start, minutes, Decimal(str(price)) * FACTORS["mwh"])
