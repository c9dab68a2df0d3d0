"""Market prices in the database: files and sources in, prices for planner and bills out, stale ones told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
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
from billing.services.market import PriceFileError, currency_of, fetch_all, http_get, import_file, store
from billing.sources import Point
from billing.sources.entsoe import SourceError
from billing.tariff import bill
from depot.models import Alert, AuditEvent, Depot, Job
from depot.timegrid import TimeGrid, local_to_utc
from tests.billing.money import fill, make_tariff
from tests.billing.sources.test_answers import ACKNOWLEDGED
from tests.factories import make_depot

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)  # 16:00 in Berlin
SPOT = [{"id": "spot", "label": "Spot", "series": {"factor": 1, "adder_per_kwh": 0.02}}]
pytestmark = pytest.mark.django_db


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
    assert "needs 8 market prices" in prices_for(berlin, grid, NOW).warnings[0]
    series = PriceSeries.objects.create(depot=berlin, kind="market")
    store(series, [*hours(NOW - timedelta(weeks=1), "0.5", "0.3"), *hours(NOW, "0.1")], NOW)

    with django_assert_max_num_queries(5):
        prices = prices_for(berlin, grid, NOW)

    assert prices.import_per_kwh == [0.12] * 4 + [0.32] * 4
    assert prices.export_per_kwh == [0.1] * 4 + [0.3] * 4
    assert prices.warnings == [
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


def portal(day: str, midnight: str, price: float) -> bytes:
    start = datetime.fromisoformat(midnight)
    entries = [
        {
            "deliveryStart": (start + timedelta(hours=i)).isoformat(),
            "deliveryEnd": (start + timedelta(hours=i + 1)).isoformat(),
            "entryPerArea": {"FI": price},
        }
        for i in range(24)
    ]
    return json.dumps({"deliveryDateCET": day, "currency": "EUR", "multiAreaEntries": entries}).encode()


def test_nord_pool_is_asked_for_the_days_that_are_missing(berlin: Depot) -> None:
    series = PriceSeries.objects.create(depot=berlin, kind="market", source="nordpool", area="FI")
    asked: list[str] = []

    def get(_: str, parameters: Mapping[str, str]) -> bytes:
        asked.append(parameters["date"])
        start = local_to_utc(date.fromisoformat(parameters["date"]), 0, berlin.tz)
        return (
            b"" if parameters["date"] == "2026-03-11" else portal(parameters["date"], start.isoformat(), 50)
        )

    assert fetch_all(berlin, NOW, get) == {"market": 8 * 24}
    assert (asked[0], asked[-1], len(asked)) == ("2026-03-03", "2026-03-11", 9)
    [alert] = Alert.objects.filter(depot=berlin, cleared_at__isnull=True)
    assert alert.title == "Market price: Prices are known to 2026-03-11 00:00 only."
    asked.clear()
    fetch_all(berlin, NOW, lambda _, asked_for: portal(asked_for["date"], "2026-03-10T23:00:00+00:00", 40))
    assert series.points.count() == 9 * 24
    assert not Alert.objects.filter(depot=berlin, cleared_at__isnull=True).exists()


def test_entso_e_needs_its_token_and_a_failing_source_is_told(berlin: Depot, settings: Any) -> None:
    PriceSeries.objects.create(depot=berlin, kind="market", source="entsoe", area="DE-LU")

    def get(_: str, parameters: Mapping[str, str]) -> bytes:
        assert parameters["securityToken"] == "secret"
        assert (parameters["periodStart"], parameters["periodEnd"]) == ("202602101500", "202603112300")
        return ACKNOWLEDGED.format(code=401, text="Unauthorized").encode()

    for token, words in (
        ("", "DEPOT_ENTSOE_TOKEN is not set"),
        ("secret", "refused the question: Unauthorized"),
    ):
        settings.ENTSOE_TOKEN = token
        assert fetch_all(berlin, NOW, get) == {"market": 0}
        [known] = known_series(berlin, NOW)
        assert words in known.series.problem
        assert known.series.checked_at == NOW
    assert "No price is known yet." in Alert.objects.get(depot=berlin).title

    def away(*_: Any) -> bytes:
        raise SourceError("web-api.tp.entsoe.eu could not be reached.")

    fetch_all(berlin, NOW, away)
    assert "could not be reached" in known_series(berlin, NOW)[0].series.problem


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


def test_days_that_came_are_kept_though_a_later_one_fails(berlin: Depot) -> None:
    series = PriceSeries.objects.create(depot=berlin, kind="market", source="nordpool", area="FI")
    asked: list[str] = []

    def get(_: str, parameters: Mapping[str, str]) -> bytes:
        asked.append(parameters["date"])
        if len(asked) == 3:
            raise SourceError("The portal answered 500.")
        return portal(parameters["date"], f"{parameters['date']}T00:00:00+00:00", 24)

    assert fetch_all(berlin, NOW, get) == {"market": 48}
    series.refresh_from_db()
    assert series.points.count() == 48 and series.problem == "The portal answered 500."
    asked.clear()
    fetch_all(berlin, NOW, get)
    assert asked[0] == "2026-03-05", "it goes on where it stopped"


@pytest.mark.any_database
@pytest.mark.parametrize("answer", [b"not HTTP at all\r\n\r\n", b""])
def test_an_answer_that_is_broken_is_told_in_words(answer: bytes) -> None:
    def speak(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(10_000)
            peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=speak, args=[server])
        thread.start()
        with pytest.raises(SourceError, match=r"127\.0\.0\.1 could not be reached"):
            http_get(f"http://127.0.0.1:{server.getsockname()[1]}/", {"token": "canary"})
        thread.join()


def test_new_prices_are_planned_with_at_once_and_old_ones_plan_nothing(berlin: Depot) -> None:
    PriceSeries.objects.create(depot=berlin, kind="market", source="nordpool", area="FI")
    rows = b"start;Preis (EUR/MWh)\n10.03.2026 00:00;100,00\n"
    fetch_all(berlin, NOW, lambda *_: b"")
    import_file(berlin, None, "co2_average", rows.replace(b"Preis (EUR/MWh)", b"g (g/kWh)"), "co2.csv", NOW)
    assert not Job.objects.exists()
    fetch_all(berlin, NOW, lambda _, asked: portal(asked["date"], f"{asked['date']}T00:00:00+00:00", 24))
    for _ in range(2):
        import_file(berlin, None, "export", rows, "prices.csv", NOW)
    assert [job.payload["trigger"] for job in Job.objects.order_by("created_at")] == [
        "New prices came",
        "New prices: prices.csv",
    ]
