"""The Savings page and the money card: the numbers of the rows, for the people of the depot, in honest words."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from reportlab.platypus import Paragraph

from billing.models import Interval, PriceSeries, SavingsBand, SavingsStatement
from billing.selectors.charge_only import charge_only_bill, solar_saving
from billing.selectors.ledger import read_ledger
from billing.selectors.savings import cost_of_day, day_costs
from billing.services.bills import bill_month
from billing.services.market import store
from billing.sources import Point
from billing.views import paper
from billing.views.words import UNMANAGED
from depot.models import Depot, Quality, User
from depot.money import format_money
from depot.templatetags.depot_pages import cents
from depot.timegrid import TimeGrid, month_bounds
from tests.billing.money import DOCUMENT, fill, make_tariff, month_grid

FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)
NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
Login = Callable[[User], Client]
pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture(autouse=True)
def at_now(time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)


def fill_month(depot: Depot, peak_kw: float = 90.0, *, wear: float = 0.01) -> SavingsStatement:
    grid = month_grid(depot, FEBRUARY)
    actual, unmanaged = [50.0] * grid.steps, [50.0] * grid.steps
    actual[100], unmanaged[200] = peak_kw, 150.0
    fill(depot, grid, actual, unmanaged, wear=wear)
    statement = bill_month(depot, FEBRUARY, NOW)
    assert statement is not None
    return statement


def fill_march(depot: Depot, *, final: bool = True, quality: str = Quality.GOOD) -> SavingsStatement:
    grid = month_grid(depot, MARCH)
    steps = (NOW - grid.start_at) // timedelta(minutes=15)
    fill(depot, TimeGrid(grid.start_at, 15, steps), 50, 80, final=final, quality=quality, wear=0.01)
    statement = bill_month(depot, NOW.date(), NOW)
    assert statement is not None
    return statement


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(
        re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S).split()
    )


def test_the_page_answers_in_its_first_sentence(depot: Depot, login: Login, viewer: User) -> None:
    make_tariff(depot)
    statement = fill_month(depot)
    text = text_of(login(viewer), f"/{depot.slug}/savings/?month=2026-02")
    assert "In February V2G and smart charging saved $575 net: bill $5,761 instead of $6,362" in text
    assert "after $27 of battery wear." in text
    assert "Final" in text
    for amount in (statement.actual.total, statement.unmanaged.total, statement.wear_added):
        assert cents(amount, "USD") in text
    for line in statement.actual.lines.all():
        assert line.explanation in text
    assert "150 kW" in text and "90 kW" in text
    assert "2,688 intervals recorded; all of them measured; the unmanaged side of all is final." in text


def test_a_month_that_cost_more_is_said_to_have(depot: Depot, login: Login, viewer: User) -> None:
    make_tariff(depot)
    fill_month(depot, peak_kw=250.0, wear=0.0)
    text = text_of(login(viewer), f"/{depot.slug}/savings/")
    assert (
        "In February managed charging cost $1,002 more than charging at full power on plug-in would have"
        in text
    )
    assert "plus no battery wear" in text
    assert "No step made the month cheaper." in text


def test_a_month_without_difference_is_said_to_have_saved_nothing(
    depot: Depot, login: Login, viewer: User
) -> None:
    make_tariff(depot)
    fill(depot, month_grid(depot, FEBRUARY), 50, 50)
    bill_month(depot, FEBRUARY, NOW)
    text = text_of(login(viewer), f"/{depot.slug}/savings/")
    assert "In February V2G and smart charging saved nothing" in text
    assert "The bills are the same." in text


def test_a_running_month_says_how_far_and_how_sure(depot: Depot, login: Login, viewer: User) -> None:
    make_tariff(depot)
    fill_march(depot, final=False, quality=Quality.ESTIMATED)
    text = text_of(login(viewer), f"/{depot.slug}/savings/")
    assert "So far in March (to Tue 10 Mar) V2G and smart charging have saved" in text
    assert "Month running" in text
    assert "(100.0 %) estimated because the grid meter was silent" in text
    assert "is not final, because vehicles are still plugged in" in text


def test_a_month_that_waits_for_its_last_vehicles_is_not_final(
    depot: Depot, login: Login, viewer: User
) -> None:
    make_tariff(depot)
    fill(depot, month_grid(depot, FEBRUARY), 50, 80, final=False)
    bill_month(depot, FEBRUARY, NOW)
    assert "Not final yet" in text_of(login(viewer), f"/{depot.slug}/savings/")


def test_months_lead_to_each_other(depot: Depot, login: Login, viewer: User) -> None:
    make_tariff(depot)
    fill_month(depot)
    fill_march(depot)
    client = login(viewer)
    newest = client.get(f"/{depot.slug}/savings/").content.decode()
    assert 'href="?month=2026-02">February 2026' in newest
    older = client.get(f"/{depot.slug}/savings/?month=2026-02").content.decode()
    assert 'href="?month=2026-03">March 2026' in older
    assert "?month=2026-01" not in older


def test_nothing_billed_yet_leads_to_the_next_step(depot: Depot, login: Login, viewer: User) -> None:
    client = login(viewer)
    assert "Savings appear here an hour after" in text_of(client, f"/{depot.slug}/savings/")
    make_tariff(depot)
    fill_march(depot)
    text = text_of(client, f"/{depot.slug}/savings/?month=2025-07")
    assert "July 2025 has not been billed." in text and "Show the newest month" in text
    for wrong in ("2026-13", "soon", "2026-2-30"):
        assert client.get(f"/{depot.slug}/savings/?month={wrong}").status_code == 404


def test_the_page_has_the_numbers_of_the_command(
    depot: Depot, login: Login, viewer: User, tmp_path: Path
) -> None:
    make_tariff(depot)
    statement = fill_month(depot)
    text = text_of(login(viewer), f"/{depot.slug}/savings/")
    call_command("export_tariff", depot.slug, "--on", "2026-02-28", "-o", tmp_path / "t.json")
    for scenario in ("actual", "unmanaged"):
        load = tmp_path / f"{scenario}.csv"
        call_command("export_ledger", depot.slug, "--month", "2026-02", "--scenario", scenario, "-o", load)
        out = StringIO()
        call_command("bill", str(tmp_path / "t.json"), str(load), "--json", stdout=out)
        total = Decimal(str(json.loads(out.getvalue())["total"]))
        assert total == getattr(statement, scenario).total
        assert cents(total, "USD") in text


@pytest.mark.parametrize(
    "path", ["savings/", "savings/2026-02/statement.pdf", "savings/2026-02/bills.csv", "cards/money"]
)
def test_only_the_depot_s_people_see_money(
    depot: Depot,
    login: Login,
    viewer: User,
    dispatcher: User,
    technician: User,
    manager: User,
    outsider: User,
    path: str,
) -> None:
    make_tariff(depot)
    fill_month(depot)
    for user in (viewer, dispatcher, technician, manager):
        assert login(user).get(f"/{depot.slug}/{path}").status_code == 200
    assert login(outsider).get(f"/{depot.slug}/{path}").status_code == 404
    assert Client().get(f"/{depot.slug}/{path}").status_code == 302
    assert login(viewer).post(f"/{depot.slug}/{path}").status_code == 405


def test_files_hold_the_rows_and_no_formula(depot: Depot, login: Login, viewer: User) -> None:
    energy = [
        {"id": "e", "label": "=HYPERLINK(1)", "prices": [{"id": "all", "price_per_kwh": 0.1}]},
    ]
    make_tariff(depot, definition=DOCUMENT | {"energy": energy})
    statement = fill_month(depot)
    client = login(viewer)
    response = client.get(f"/{depot.slug}/savings/2026-02/bills.csv")
    assert 'filename="bills-maple-street-2026-02.csv"' in response["Content-Disposition"]
    rows = list(csv.DictReader(StringIO(response.content.decode("utf-8-sig"))))
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())
    actual = [Decimal(row["amount"]) for row in rows if row["scenario"] == "actual"]
    assert sum(actual) == statement.actual.total
    intervals = client.get(f"/{depot.slug}/savings/2026-02/intervals.csv").content.decode("utf-8-sig")
    ledger = list(csv.DictReader(StringIO(intervals)))
    assert len(ledger) == 2688
    assert ledger[0]["start"] == "2026-02-01T00:00:00-05:00"
    assert sum(float(row["import_kwh"]) for row in ledger) == pytest.approx(50 * 672 + 10)
    assert client.get(f"/{depot.slug}/savings/2026-01/bills.csv").status_code == 404
    assert client.get(f"/{depot.slug}/savings/soon/intervals.csv").status_code == 404


def test_the_card_tells_today_the_month_and_where_the_bill_goes(
    depot: Depot, login: Login, viewer: User
) -> None:
    make_tariff(depot)
    statement = fill_march(depot)
    day = cost_of_day(depot, NOW.date())
    assert day.actual == pytest.approx(11 * 50 * 0.1)
    assert day.saved == pytest.approx(11 * 30 * 0.1)
    text = text_of(login(viewer), f"/{depot.slug}/cards/money")
    assert "$55 energy today" in text
    assert "Saved today $33 energy only" in text
    assert f"{cents(round(statement.net_saving), 'USD').removesuffix('.00')} net of" in text
    expected = Decimal("5865")  # 743 hours of 50 kW, 155 of them on-peak, demand and meter
    assert statement.actual.projected_total == expected
    assert f"about {cents(round(expected), 'USD').removesuffix('.00')} at the month's end" in text


def test_the_card_before_the_first_interval(depot: Depot, login: Login, viewer: User) -> None:
    assert "Costs and savings appear here" in text_of(login(viewer), f"/{depot.slug}/cards/money")


def test_days_with_a_clock_change_are_whole(depot: Depot) -> None:
    make_tariff(depot)
    grid = month_grid(depot, MARCH)
    fill(depot, TimeGrid(grid.start_at, 15, 96 * 10), 40, 40)
    costs = {row.day: row.actual for row in day_costs(depot, *month_bounds(MARCH, depot.tz))}
    assert costs[date(2026, 3, 7)] == pytest.approx(40 * (19 * 0.1 + 5 * 0.3))
    assert costs[date(2026, 3, 8)] == pytest.approx(40 * (18 * 0.1 + 5 * 0.3))
    assert len(costs) == 11  # the lost hour pushes the last steps into one more day


def test_pages_take_few_queries(
    depot: Depot, login: Login, viewer: User, django_assert_max_num_queries: Any
) -> None:
    make_tariff(depot)
    fill_month(depot)
    client = login(viewer)
    client.get(f"/{depot.slug}/savings/")
    with django_assert_max_num_queries(20):
        client.get(f"/{depot.slug}/savings/")
    with django_assert_max_num_queries(10):
        client.get(f"/{depot.slug}/cards/money")


def test_the_third_bill_tells_smart_charging_from_v2g(depot: Depot, login: Login, viewer: User) -> None:
    """Three days of 50 kW; each day 10 kWh are given at 17:00 and refilled at 02:00; once more sun is used."""
    make_tariff(depot)
    unmanaged = [50.0] * 288
    unmanaged[200] = 150.0
    fill(depot, TimeGrid(month_grid(depot, FEBRUARY).start_at, 15, 288), 50.0, unmanaged)
    bill_month(depot, FEBRUARY, NOW)
    rows = list(Interval.objects.order_by("start_at"))
    changed = [rows[8]]
    rows[8].solar_kwh, rows[8].building_kwh, rows[8].charge_kwh = 5.0, 0.0, 11.0  # 02:00 of the first day
    for row in rows:
        local = depot.local(row.start_at)
        if (local.hour, local.minute) == (17, 0):
            row.discharge_kwh = 10.0
            changed.append(row)
        elif (local.hour, local.minute) == (2, 0) and row is not rows[8]:
            row.charge_kwh = 11.0
            changed.append(row)
    Interval.objects.bulk_update(changed, ["discharge_kwh", "charge_kwh", "solar_kwh", "building_kwh"])
    [statement] = SavingsStatement.objects.all()
    series = PriceSeries.objects.create(depot=depot, kind="co2_marginal")
    store(
        series, [Point(rows[200].start_at, 15, Decimal("0.02"))], NOW
    )  # where unmanaged imports 25 kWh more

    found = charge_only_bill(depot, statement)

    assert found is not None
    # at 17:00 22.5 kWh are imported instead of 12.5, at 02:00 as much less as refilled it, from the day after on
    assert found.total - statement.actual.total == 3 * Decimal(3) - 2 * Decimal("1.1") + (90 - 50) * 10
    assert found.smart_saving + found.v2g_saving == statement.net_saving
    assert solar_saving(read_ledger(depot, statement.start_at, statement.end_at), "USD") == Decimal("0.50")
    SavingsBand.objects.create(
        depot=depot, start_at=statement.start_at, low=501, high=702, computed_at=NOW,
        cases=[{"case": "Chargers 10 % weaker", "net_saving": "501.2"}],
    )  # fmt: skip
    text = text_of(login(viewer), f"/{depot.slug}/savings/")
    assert "lies between $501 and $702" in text and "Chargers 10 % weaker $501" in text
    assert "Three bills, line by line" in text
    assert "CO₂, marginal plant" in text and "factors known for 0 % of the intervals" in text
    rows = list(
        csv.reader(
            StringIO(
                login(viewer).get(f"/{depot.slug}/savings/2026-02/statement.csv").content.decode("utf-8-sig")
            )
        )
    )
    steps = [Decimal(row[2].removeprefix("'")) for row in rows if row[0] == "step"]
    assert sum(steps[:-1]) == steps[-1]
    assert ["bill", "Charge-only", str(found.total), "USD"] in rows
    assert ["co2", "CO₂, marginal plant, avoided", "0.5", "kg"] in rows
    assert login(viewer).get(f"/{depot.slug}/savings/2026-01/statement.csv").status_code == 404
    document = login(viewer).get(f"/{depot.slug}/savings/2026-02/statement.pdf")
    assert document["Content-Type"] == "application/pdf" and document.content.startswith(b"%PDF-")
    assert 'filename="savings-maple-street-2026-02.pdf"' in document["Content-Disposition"]
    assert login(viewer).get(f"/{depot.slug}/savings/2026-01/statement.pdf").status_code == 404
    assert "Solar self-use" in text
    assert re.search(r"Smart charging alone saved \$\d+; V2G saved \$\d+ more, after its battery wear.", text)


def words_of(part: Any) -> list[str]:
    """Return what a part of a document says."""
    if isinstance(part, Paragraph):
        return [part.text]
    rows = getattr(part, "_cellvalues", part if isinstance(part, list | tuple) else [])
    return [words for cell in rows for words in words_of(cell)]


def test_the_statement_on_paper_says_what_the_page_says(
    depot: Depot, login: Login, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tariff(depot)
    statement = fill_month(depot)
    told: list[str] = []
    monkeypatch.setattr(
        paper, "render", lambda title, footer, parts: told.extend(words_of(parts)) or b"%PDF-"
    )
    client = login(viewer)
    client.get(f"/{depot.slug}/savings/2026-02/statement.pdf")
    page = unescape(text_of(client, f"/{depot.slug}/savings/?month=2026-02"))
    on_paper_alone = re.compile(
        r"Maple Street: savings|Final,|Not final yet,|Tariff:|\d\. |Set on|Step$|Amount$|Charge$"
    )
    for words in told:
        plain = unescape(words).replace("-$", "−$")
        assert plain in page or on_paper_alone.match(plain), plain
    assert format_money(statement.actual.total, "USD") in told
    assert sum(UNMANAGED[0] in words for words in told) == 1
