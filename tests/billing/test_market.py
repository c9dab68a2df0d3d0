"""Market prices in the database: files and sources in, prices for planner and bills out, stale ones told."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from billing.models import PricePoint, PriceSeries, Scenario
from billing.selectors.ledger import load_of
from billing.selectors.market import known_series, market_on
from billing.selectors.prices import prices_for
from billing.services import price_sources
from billing.services.market import PriceFileError, currency_of, fetch_all, import_file, store
from billing.services.price_sources import ask_entsoe, ask_nordpool
from billing.sources import Point
from billing.sources.entsoe import SourceError
from billing.tariff import bill
from depot.models import Alert, AuditEvent, Depot, Job
from depot.timegrid import TimeGrid
from tests.billing.market_portals import BROKEN, UNKNOWN_FORM, Market, nordpool_day
from tests.billing.money import fill, make_tariff
from tests.billing.sources.test_answers import ACKNOWLEDGED, document
from tests.billing.sources.test_answers import series as entsoe_series
from tests.factories import make_depot

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)  # 16:00 in Berlin
SPOT = [{"id": "spot", "label": "Spot", "series": {"factor": 1, "adder_per_kwh": 0.02}}]
pytestmark = pytest.mark.django_db


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    with Market() as portals:
        monkeypatch.setattr("entsoe.entsoe.URL", portals.address)
        monkeypatch.setattr("pynordpool.API", portals.address)
        yield portals


@pytest.fixture
def berlin() -> Depot:
    return make_depot("Berlin", time_zone="Europe/Berlin", currency="EUR")


def hours(start_at: datetime, *values: str) -> list[Point]:
    return [Point(start_at + timedelta(hours=i), 60, Decimal(value)) for i, value in enumerate(values)]


def dynamic(depot: Depot) -> None:
    make_tariff(
        depot,
        currency="EUR",
        time_zone="Europe/Berlin",
        energy=SPOT,
        export={"method": "series", "series": {"factor": 1}},
    )


def csv(*rows: str) -> bytes:
    return "\n".join(("start;Preis (EUR/MWh)", *rows)).encode()


def test_a_file_is_saved_whole_or_not_at_all(berlin: Depot) -> None:
    good = csv("10.03.2026 00:00;100,00", "10.03.2026 01:00;-5,00")
    _, stored = import_file(berlin, None, "market", good, "march.csv", NOW)
    assert (stored.new, stored.changed, stored.unchanged) == (2, 0, 0)
    [series] = berlin.price_series.all()
    assert list(series.points.values_list("per_kwh", flat=True)) == [Decimal("0.1"), Decimal("-0.005")]
    with pytest.raises(PriceFileError) as refused:
        import_file(berlin, None, "market", good + b"\n10.03.2026 02:00;cheap", "march.csv", NOW)
    assert [problem.row for problem in refused.value.problems] == [4]
    again = csv("10.03.2026 00:00;100,00", "10.03.2026 01:00;-6,00", "10.03.2026 02:00;7,00")
    _, stored = import_file(berlin, None, "market", again, "march.csv", NOW)
    assert (stored.new, stored.changed, stored.unchanged) == (1, 1, 1)
    assert AuditEvent.objects.filter(verb="prices.imported").count() == 2
    with pytest.raises(PriceFileError, match="is in EUR, the depot in USD"):
        import_file(make_depot("Elsewhere"), None, "market", good, "march.csv", NOW)
    with pytest.raises(PriceFileError, match="no price at all"):
        import_file(berlin, None, "market", csv("10.03.2026 00:00;-"), "march.csv", NOW)
    assert [currency_of(title) for title in ("Preis [€/MWh]", "SEK/kWh", "LMP $/MWh")] == ["EUR", "SEK", ""]


def test_hours_replace_quarters_and_quarters_hours(berlin: Depot) -> None:
    series = PriceSeries.objects.create(depot=berlin, kind="market")
    quarters = [Point(NOW + timedelta(minutes=15) * i, 15, Decimal(i)) for i in range(4)]
    store(series, quarters, NOW)
    store(series, hours(NOW, "9"), NOW)
    assert list(series.points.values_list("minutes", "per_kwh")) == [(60, Decimal(9))]
    store(series, quarters, NOW)
    assert market_on(berlin, TimeGrid(NOW, 15, 4)).import_per_kwh.tolist() == [0, 1, 2, 3]


def test_plan_and_bill_follow_the_market_and_tell_what_is_not_known(
    berlin: Depot, django_assert_max_num_queries: Any
) -> None:
    dynamic(berlin)
    grid = TimeGrid(NOW, 15, 8)
    assert "needs 8 market prices" in prices_for(berlin, grid, NOW).warnings["tariff not usable"]
    series = PriceSeries.objects.create(depot=berlin, kind="market")
    store(series, [*hours(NOW - timedelta(weeks=1), "0.5", "0.3"), *hours(NOW, "0.1")], NOW)

    with django_assert_max_num_queries(5):
        prices = prices_for(berlin, grid, NOW)

    assert prices.import_per_kwh == [0.12] * 4 + [0.32] * 4
    assert prices.export_per_kwh == [0.1] * 4 + [0.3] * 4
    assert list(prices.warnings.values()) == [
        "Market prices from Tue 17:00 on are not known yet: the plan takes those of the same weekday and hour."
    ]
    fill(berlin, grid, 100.0)
    load = load_of(berlin, grid.start_at, grid.end_at, Scenario.ACTUAL)
    assert load is not None
    result = bill(berlin_tariff(berlin), load, time_zone=berlin.tz)
    assert result.periods[0].lines[0].amount == Decimal("44.00")  # 100 kWh at 0.12, 100 kWh at 0.32
    assert any("4 market prices are missing" in warning for warning in result.warnings)
    PriceSeries.objects.create(depot=berlin, kind="export")
    assert market_on(berlin, grid).export_per_kwh.tolist() == market_on(berlin, grid).import_per_kwh.tolist()


def berlin_tariff(depot: Depot) -> Any:
    from billing.selectors.tariffs import parsed

    return parsed(depot.tariffs.get())


def test_nord_pool_is_asked_for_the_days_that_are_missing(berlin: Depot, market: Market) -> None:
    series = PriceSeries.objects.create(depot=berlin, kind="market", source="nordpool", area="FI")
    market.answer = lambda asked: (
        None if asked["date"] == "2026-03-11" else nordpool_day(asked, 50, berlin.tz)
    )

    assert fetch_all(berlin, NOW) == {"market": 8 * 24}
    asked = [question["date"] for question in market.asked]
    assert (asked[0], asked[-1], len(asked)) == ("2026-03-03", "2026-03-11", 9)
    assert {(q["market"], q["deliveryArea"], q["currency"]) for q in market.asked} == {
        ("DayAhead", "FI", "EUR")
    }
    [alert] = Alert.objects.filter(depot=berlin, cleared_at__isnull=True)
    assert alert.title == "Market price: Prices are known to 2026-03-11 00:00 only."
    market.answer = lambda asked: nordpool_day(asked, 40, berlin.tz)
    fetch_all(berlin, NOW)
    assert series.points.count() == 9 * 24
    assert not Alert.objects.filter(depot=berlin, cleared_at__isnull=True).exists()


def test_entso_e_gives_prices_once_its_token_is_set(berlin: Depot, market: Market, settings: Any) -> None:
    series = PriceSeries.objects.create(depot=berlin, kind="market", source="entsoe", area="DE-LU")
    market.answer = lambda _: document(entsoe_series({1: "-5.01", 4: "80"}))
    assert fetch_all(berlin, NOW) == {"market": 0}
    assert "DEPOT_ENTSOE_TOKEN is not set" in known_series(berlin, NOW)[0].series.problem
    assert market.asked == []
    settings.ENTSOE_TOKEN = "secret"
    assert fetch_all(berlin, NOW) == {"market": 6}
    assert series.points.first().per_kwh == Decimal("-0.00501")
    [question] = market.asked
    assert (question["securityToken"], question["documentType"]) == ("secret", "A44")
    assert (question["periodStart"], question["periodEnd"]) == ("202602101500", "202603112300")
    assert question["in_Domain"] == question["out_Domain"] == "10Y1001A1001A82H"


def test_a_failing_source_is_told_without_its_token(
    berlin: Depot, market: Market, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    settings.ENTSOE_TOKEN = "secret"
    PriceSeries.objects.create(depot=berlin, kind="market", source="entsoe", area="DE-LU")
    for answer, words in (
        ((401, ACKNOWLEDGED.format(code=401, text="Unauthorized").encode()), "the question: Unauthorized"),
        ((503, b"busy"), "ENTSO-E answered 503."),
        ((200, ACKNOWLEDGED.format(code=999, text="No matching data found").encode()), ""),
        (b"<html></html>", "ENTSO-E answered with a html, not with prices."),
        (BROKEN, "ENTSO-E could not be reached."),
    ):
        market.answer = lambda _, answer=answer: answer
        assert fetch_all(berlin, NOW) == {"market": 0}
        [known] = known_series(berlin, NOW)
        assert words in known.series.problem and bool(words) == bool(known.series.problem)
        assert known.series.checked_at == NOW
    assert "No price is known yet." in Alert.objects.get(depot=berlin).title
    assert "secret" not in caplog.text
    with pytest.raises(SourceError) as told:
        ask_entsoe("DE-LU", NOW, NOW + timedelta(days=1), settings.ENTSOE_TOKEN)
    assert settings.ENTSOE_TOKEN not in "".join(traceback.format_exception(told.value))


@pytest.mark.any_database
def test_what_a_package_does_not_know_is_told_before_it_is_asked(market: Market, monkeypatch: Any) -> None:
    with pytest.raises(SourceError, match="entsoe-py knows no area 10Y0000000000000"):
        ask_entsoe("10Y0000000000000", NOW, NOW + timedelta(days=1), "secret")
    with pytest.raises(SourceError, match="no prices in USD: BGN, DKK, EUR"):
        ask_nordpool("SE3", NOW.date(), "USD")
    assert market.asked == []
    for module, ask in (
        ("entsoe", lambda: ask_entsoe("FR", NOW, NOW + timedelta(days=1), "secret")),
        ("pynordpool", lambda: ask_nordpool("SE3", NOW.date(), "SEK")),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(SourceError, match=r"is not installed: pip install .*requirements-prices\.lock"):
            ask()


def test_a_series_is_checked(berlin: Depot) -> None:
    for values, words in (
        ({"kind": "co2_average", "source": "entsoe", "area": "FR"}, "Only market prices"),
        ({"kind": "market", "source": "nordpool", "area": "XX"}, "not an area of Nord Pool"),
        ({"kind": "market", "source": "entsoe", "area": "XX"}, "not a bidding zone"),
    ):
        with pytest.raises(ValidationError, match=words):
            PriceSeries(depot=berlin, **values).clean()
    PriceSeries(depot=berlin, kind="market", source="entsoe", area="10YFR-RTE------C").clean()


def test_the_command_saves_a_file(berlin: Depot, tmp_path: Path) -> None:
    file, out = tmp_path / "co2.csv", StringIO()
    file.write_text("time (UTC),average,marginal\n2026-03-10 00:00,300,500\n2026-03-10 01:00,250,\n")
    asked = ["import_prices", "berlin", str(file), "--kind", "co2_marginal", "--column", "marginal"]
    with pytest.raises(CommandError, match="does not say its unit"):
        call_command(*asked)
    call_command(*asked, "--unit", "g/kwh", "--dry-run", stdout=out)
    assert not PricePoint.objects.exists()
    out = StringIO()
    call_command(*asked, "--unit", "g/kwh", "--json", stdout=out)
    answer = json.loads(out.getvalue())
    assert (answer["new"], answer["first"], len(answer["warnings"])) == (1, "2026-03-10T00:00:00+00:00", 1)
    assert PricePoint.objects.get().per_kwh == Decimal("0.5")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_prices", "berlin", str(tmp_path / "none.csv"))


def test_days_that_came_are_kept_though_a_later_one_fails(berlin: Depot, market: Market) -> None:
    series = PriceSeries.objects.create(depot=berlin, kind="market", source="nordpool", area="FI")
    market.answer = lambda asked: (
        UNKNOWN_FORM if len(market.asked) == 3 else nordpool_day(asked, 24, berlin.tz)
    )

    assert fetch_all(berlin, NOW) == {"market": 48}
    series.refresh_from_db()
    assert series.points.count() == 48
    assert series.problem == "Nord Pool answered in a form that is not known."
    market.asked.clear()
    fetch_all(berlin, NOW)
    assert market.asked[0]["date"] == "2026-03-05", "it goes on where it stopped"


@pytest.mark.any_database
@pytest.mark.parametrize("answer", [BROKEN, (500, b"busy"), b"no JSON"])
def test_nord_pool_out_of_reach_is_told_in_words(market: Market, monkeypatch: Any, answer: Any) -> None:
    monkeypatch.setattr(price_sources, "TIMEOUT_S", 0.5)
    market.answer = lambda _: answer
    with pytest.raises(SourceError, match="Nord Pool could not be reached, or refused the question"):
        ask_nordpool("SE3", NOW.date(), "SEK")


def test_new_prices_are_planned_with_at_once_and_old_ones_plan_nothing(berlin: Depot, market: Market) -> None:
    PriceSeries.objects.create(depot=berlin, kind="market", source="nordpool", area="FI")
    rows = b"start;Preis (EUR/MWh)\n10.03.2026 00:00;100,00\n"
    market.answer = lambda _: None
    fetch_all(berlin, NOW)
    import_file(berlin, None, "co2_average", rows.replace(b"Preis (EUR/MWh)", b"g (g/kWh)"), "co2.csv", NOW)
    assert not Job.objects.exists()
    market.answer = lambda asked: nordpool_day(asked, 24, berlin.tz)
    fetch_all(berlin, NOW)
    for _ in range(2):
        import_file(berlin, None, "export", rows, "prices.csv", NOW)
    assert [job.payload["trigger"] for job in Job.objects.order_by("created_at")] == [
        "New prices came",
        "New prices: prices.csv",
    ]
