"""What ENTSO-E and Nord Pool answer, in the published forms (written by hand), becomes points or a sentence."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.sources import entsoe, nordpool
from billing.sources.entsoe import SourceError

START = datetime(2025, 10, 25, 22, tzinfo=UTC)


def document(*series: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3">
  <mRID>1</mRID><type>A44</type>{"".join(series)}
</Publication_MarketDocument>""".encode()


def series(
    points: dict[int, str], *, resolution: str = "PT15M", end: str = "2025-10-25T23:30Z", auction: str = "1",
    curve: str = "A03", currency: str = "EUR", unit: str = "MWH",
) -> str:  # fmt: skip
    listed = "".join(
        f"<Point><position>{position}</position><price.amount>{price}</price.amount></Point>"
        for position, price in points.items()
    )
    return f"""<TimeSeries><mRID>1</mRID>
  <classificationSequence_AttributeInstanceComponent.position>{auction}</classificationSequence_AttributeInstanceComponent.position>
  <in_Domain.mRID codingScheme="A01">10Y1001A1001A82H</in_Domain.mRID>
  <currency_Unit.name>{currency}</currency_Unit.name><price_Measure_Unit.name>{unit}</price_Measure_Unit.name>
  <curveType>{curve}</curveType>
  <Period><timeInterval><start>2025-10-25T22:00Z</start><end>{end}</end></timeInterval>
    <resolution>{resolution}</resolution>{listed}</Period></TimeSeries>"""


def test_quarters_that_equal_the_one_before_are_filled_and_other_auctions_left_out() -> None:
    points = entsoe.read(document(series({1: "-5.01", 4: "80"}), series({1: "999"}, auction="2")), "EUR")
    assert [point.per_kwh for point in points] == [Decimal("-0.00501")] * 3 + [Decimal("0.080")] * 3
    assert [point.start_at for point in points] == [START + timedelta(minutes=15) * i for i in range(6)]
    assert {point.minutes for point in points} == {15}


def test_hours_of_a_plain_curve_may_be_missing() -> None:
    end = "2025-10-26T01:00Z"
    points = entsoe.read(document(series({1: "1", 3: "3"}, resolution="PT60M", curve="A01", end=end)), "EUR")
    assert [(point.start_at.hour, point.minutes) for point in points] == [(22, 60), (0, 60)]


ACKNOWLEDGED = """<Acknowledgement_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0">
<Reason><code>{code}</code><text>{text}</text></Reason></Acknowledgement_MarketDocument>"""


def test_no_prices_yet_is_no_error() -> None:
    assert entsoe.read(ACKNOWLEDGED.format(code=999, text="No matching data found").encode(), "EUR") == []
    assert entsoe.read(b"", "EUR") == []
    assert nordpool.read({}, "SE3", "EUR") == []


REFUSED = {
    "own error": (ACKNOWLEDGED.format(code=401, text="Unauthorized").encode(), "Unauthorized"),
    "currency": (document(series({1: "1"}, currency="PLN")), "in PLN, the depot in EUR"),
    "unit": (document(series({1: "1"}, unit="KWH")), "per KWH"),
    "step": (document(series({1: "1"}, resolution="P1D")), "steps of P1D"),
    "position": (document(series({9: "1"})), "position 9 of 6"),
    "price": (document(series({1: "dear"})), "without a position or a price"),
    "page": (b"<html><body>Bad gateway</body></html>", "answered with a html"),
    "broken": (b"<Publication", "no readable XML"),
    "bomb": (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type definition"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_answer_that_cannot_be_used_says_why(case: str) -> None:
    content, words = REFUSED[case]
    with pytest.raises(SourceError, match=words):
        entsoe.read(content, "EUR")


def portal(**changes: Any) -> dict[str, Any]:
    entries = [
        {
            "deliveryStart": f"2025-10-25T22:{minute:02}:00Z",
            "deliveryEnd": end,
            "entryPerArea": {"SE3": price},
        }
        for minute, end, price in (
            (15, "2025-10-25T22:30:00Z", 12),
            (0, "2025-10-25T22:15:00Z", -0.27),
            (30, "2025-10-25T22:45:00Z", None),
        )
    ]
    whole = {"deliveryDateCET": "2025-10-26", "version": 2, "currency": "EUR", "multiAreaEntries": entries}
    return whole | changes


def test_nord_pools_day() -> None:
    points = nordpool.read(portal(), "SE3", "EUR")
    assert [(p.start_at.minute, p.minutes, p.per_kwh) for p in points] == [
        (0, 15, Decimal("-0.00027")),
        (15, 15, Decimal("0.012")),
    ]
    assert nordpool.read(portal(), "NO1", "EUR") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (portal(currency="SEK"), "in SEK"),
        (portal(multiAreaEntries=[{"deliveryStart": "soon"}]), "not known"),
        ({"multiAreaEntries": []}, "not known"),
        (portal(multiAreaEntries=["soon"]), "not known"),
    ],
)
def test_nord_pool_in_another_form(content: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        nordpool.read(content, "SE3", "EUR")
