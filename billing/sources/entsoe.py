"""Day-ahead prices of the ENTSO-E Transparency Platform: the XML document (type A44, article 12.1.D) that answers.

The package entsoe-py asks. Its own reading takes no notice of currencies and units, and rounds to floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from xml.etree import ElementTree

from billing.sources.points import FACTORS, LENGTHS, Point
from depot.words import tr

NO_DATA = "999"
FIRST_AUCTION = "1"
RESOLUTIONS = {"PT15M": 15, "PT30M": 30, "PT60M": 60, "PT1H": 60}
REPEATING = "A03"
"""A point that equals the one before it is left out of curves of this type."""
AREAS: Mapping[str, str] = {
    "AT": "10YAT-APG------L", "BE": "10YBE----------2", "CH": "10YCH-SWISSGRIDZ", "CZ": "10YCZ-CEPS-----N",
    "DE-LU": "10Y1001A1001A82H", "DK1": "10YDK-1--------W", "DK2": "10YDK-2--------M", "EE": "10Y1001A1001A39I",
    "ES": "10YES-REE------0", "FI": "10YFI-1--------U", "FR": "10YFR-RTE------C", "HU": "10YHU-MAVIR----U",
    "IT-NORD": "10Y1001A1001A73I", "LT": "10YLT-1001A0008Q", "LV": "10YLV-1001A00074", "NL": "10YNL----------L",
    "NO1": "10YNO-1--------2", "NO2": "10YNO-2--------T", "NO3": "10YNO-3--------J", "NO4": "10YNO-4--------9",
    "NO5": "10Y1001A1001A48H", "PL": "10YPL-AREA-----S", "PT": "10YPT-REN------W", "SE1": "10Y1001A1001A44P",
    "SE2": "10Y1001A1001A45N", "SE3": "10Y1001A1001A46L", "SE4": "10Y1001A1001A47J", "SI": "10YSI-ELES-----O",
    "SK": "10YSK-SEPS-----K",
}  # fmt: skip
"""Bidding zones by their usual names; any other is given as its 16-character EIC code."""


class SourceError(ValueError):
    """An answer that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One period of one time series: its first moment, its end, step and curve type."""

    start_at: datetime
    end_at: datetime
    minutes: int
    repeating: bool


def read(content: bytes, currency: str) -> list[Point]:
    """Return the prices of an answer, sorted; none for an empty one or when the platform has none yet.

    Of several auctions the first counts (the coupled day-ahead one). Raises SourceError for an answer that is
    no such document, for another currency or unit, or for the platform's own error.
    """
    if not content:
        return []
    root = _root(content)
    if _name(root) == "Acknowledgement_MarketDocument":
        code, text = _text(root, "Reason/code"), _text(root, "Reason/text")
        if code == NO_DATA:
            return []
        raise SourceError(tr("ENTSO-E refused the question: {code}.", code=text[:200] or code))
    if _name(root) != "Publication_MarketDocument":
        raise SourceError(tr("ENTSO-E answered with a {root}, not with prices.", root=_name(root)))
    found: dict[datetime, Point] = {}
    for series in _all(root, "TimeSeries"):
        auction = _text(series, "classificationSequence_AttributeInstanceComponent.position") or FIRST_AUCTION
        if auction != FIRST_AUCTION:
            continue
        _check_unit(series, currency)
        repeating = _text(series, "curveType") == REPEATING
        for period in _all(series, "Period"):
            found |= {point.start_at: point for point in _points(period, repeating)}
    return [found[at] for at in sorted(found)]


def _points(period: ElementTree.Element, repeating: bool) -> list[Point]:
    part = _part(period, repeating)
    count = (part.end_at - part.start_at) // timedelta(minutes=part.minutes)
    values: dict[int, Decimal] = {}
    for point in _all(period, "Point"):
        try:
            position, price = int(_text(point, "position")), Decimal(_text(point, "price.amount"))
        except (ValueError, InvalidOperation) as error:
            raise SourceError(tr("ENTSO-E sent a point without a position or a price.")) from error
        if not 1 <= position <= count or not price.is_finite():
            raise SourceError(
                tr(
                    "ENTSO-E sent position {position} of {count}, price {price}.",
                    position=position,
                    count=count,
                    price=price,
                )
            )
        values[position] = price * FACTORS["mwh"]
    points, last = [], None
    for position in range(1, count + 1):
        value = values.get(position, last if part.repeating else None)
        if value is not None:
            at = part.start_at + (position - 1) * timedelta(minutes=part.minutes)
            points.append(Point(at, part.minutes, value))
        last = value
    return points


def _part(period: ElementTree.Element, repeating: bool) -> _Part:
    resolution = _text(period, "resolution")
    minutes = RESOLUTIONS.get(resolution)
    if minutes not in LENGTHS:
        raise SourceError(
            tr("ENTSO-E sent prices in steps of {resolution}, which are not read.", resolution=resolution)
        )
    try:
        start, end = (
            datetime.fromisoformat(_text(period, f"timeInterval/{edge}")).astimezone(UTC)
            for edge in ("start", "end")
        )
    except ValueError as error:
        raise SourceError(tr("ENTSO-E sent a period without its times.")) from error
    return _Part(start, end, minutes, repeating)


def _check_unit(series: ElementTree.Element, currency: str) -> None:
    named = _text(series, "currency_Unit.name")
    unit = _text(series, "price_Measure_Unit.name")
    if unit != "MWH":
        raise SourceError(tr("ENTSO-E sent prices per {unit}, not per MWh.", unit=unit))
    if named != currency:
        raise SourceError(
            tr(
                "The prices are in {named}, the depot in {currency}. Choose an area in {currency}.",
                named=named,
                currency=currency,
            )
        )


def _root(content: bytes) -> ElementTree.Element:
    """Parse an answer; entities are refused, so that none can be expanded."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise SourceError(tr("ENTSO-E answered with a document type definition, which is not read."))
    try:
        return ElementTree.fromstring(content)  # noqa: S314 – no DTD, see above
    except ElementTree.ParseError as error:
        raise SourceError(tr("ENTSO-E answered with no readable XML ({error}).", error=error)) from error


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _all(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _name(child) == name]


def _text(element: ElementTree.Element, path: str) -> str:
    """Return the text at a path of names without namespaces; empty when there is none."""
    for name in path.split("/"):
        children = _all(element, name)
        if not children:
            return ""
        element = children[0]
    return (element.text or "").strip()
