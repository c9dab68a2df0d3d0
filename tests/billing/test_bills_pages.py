"""The Bills page: each month with its lines and its state, for the depot's people, closed and compared by managers."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from billing.models import Bill, Interval, UtilityBill
from billing.services import close
from billing.services.bills import bill_month
from depot.access.keys import make_key
from depot.models import AuditEvent, Depot, User
from depot.templatetags.depot_pages import cents
from depot.timegrid import TimeGrid
from tests import factories
from tests.billing.money import DOCUMENT, fill, make_tariff, month_grid

FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)
NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
Login = Callable[[User], Client]
pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture(autouse=True)
def at_now(time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def depot(db: None) -> Depot:
    """A depot of hours with a tariff; 50 kW on its first days of February, and 90 kW once."""
    depot = factories.make_depot(step_minutes=60)
    make_tariff(depot)
    grid = TimeGrid(month_grid(depot, FEBRUARY).start_at, 60, 72)
    actual = [50.0] * grid.steps
    actual[40] = 90.0
    fill(depot, grid, actual, 60.0)
    bill_month(depot, FEBRUARY, NOW)
    return depot


def fill_march(depot: Depot) -> Bill:
    grid = month_grid(depot, MARCH)
    fill(depot, TimeGrid(grid.start_at, 60, (NOW - grid.start_at) // timedelta(hours=1)), 50, 80)
    statement = bill_month(depot, NOW.date(), NOW)
    assert statement is not None
    return statement.actual


def text_of(response: Any) -> str:
    assert response.status_code == 200
    plain = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return " ".join(plain.replace("\xa0", " ").replace("&#x27;", "'").split())


def test_the_list_tells_this_month_and_leads_to_each(depot: Depot, login: Login, viewer: User) -> None:
    bill = fill_march(depot)
    hours, peak_hours = 743, 31 * 5  # March has lost an hour
    assert bill.projected_total == 5 * (hours - peak_hours) + 15 * peak_hours + 600
    response = login(viewer).get(f"/{depot.slug}/bills/")
    text = text_of(response)
    assert "March has cost $2,180 so far and will cost about $5,865." in text
    assert (
        "The highest demand so far is 50 kW, set on Sun 1 Mar 00:00; 10 kW more would cost $100.00." in text
    )
    assert "Demand charges are 38 % of what was charged in these 2 months." in text
    assert "Month running $2,180.00 about $5,865 50 kW – –" in text
    assert f'href="/{depot.slug}/bills/2026-02/"' in response.content.decode()


def test_a_month_shows_every_line_and_where_it_comes_from(depot: Depot, login: Login, viewer: User) -> None:
    bill = Bill.objects.get(scenario="actual")
    response = login(viewer).get(f"/{depot.slug}/bills/2026-02/")
    text = text_of(response)
    assert f"February comes to {cents(bill.total, 'USD')}; the bill is not final yet." in text
    for line in bill.lines.all():
        assert line.label in text and line.explanation in text and cents(line.amount, "USD") in text
    assert "The highest demand is 90 kW, set on Mon 2 Feb 16:00." in text
    assert (
        "72 of 672 intervals are in the ledger; 600 at the beginning or end are missing and not in the bill."
        in text
    )
    assert "so it does not become final by itself. A manager can close it." in text
    assert "Close February 2026" not in text and "Enter the utility's bill" not in text
    none = text_of(login(viewer).get(f"/{depot.slug}/bills/2026-01/"))
    assert "January 2026 has not been billed." in none


def test_nothing_billed_yet_says_the_next_step(other_depot: Depot, login: Login, outsider: User) -> None:
    browser = login(outsider)
    assert "No month has been billed yet." in text_of(browser.get(f"/{other_depot.slug}/bills/"))
    assert "Bills appear here" in text_of(browser.get(f"/{other_depot.slug}/bills/2026-02/"))


def test_a_manager_closes_corrects_and_everybody_reads_the_difference(
    depot: Depot, login: Login, manager: User, viewer: User
) -> None:
    browser = login(manager)
    page = f"/{depot.slug}/bills/2026-02/"
    assert "Close February 2026" in text_of(browser.get(page))
    assert "February 2026 is final" in text_of(browser.post(f"{page}close", follow=True))
    bill = Bill.objects.get(scenario="actual")
    Interval.objects.filter(start_at=month_grid(depot, FEBRUARY).time_of(10)).update(import_kwh=190)
    assert "Say why" in text_of(browser.post(f"{page}correct", {"reason": " "}, follow=True))
    said = "The meter\0 was read again."
    text = text_of(browser.post(f"{page}correct", {"reason": said}, follow=True))
    assert "is corrected. The bill before stays readable below." in text
    text = text_of(login(viewer).get(page))
    assert "February cost $2,536.00, after a correction." in text and "Corrected" in text
    assert "The meter was read again." in text
    assert "\0" not in Bill.objects.get(scenario="actual", revision=1).reason, "PostgreSQL keeps none"
    assert "Demand $900.00 90 kW $1,900.00 190 kW $1,000.00" in text
    assert f"Bill {cents(bill.total, 'USD')} $2,536.00 $1,014.00" in text
    old = text_of(login(viewer).get(f"{page}?revision=0"))
    assert f"was billed at {cents(bill.total, 'USD')}; a correction has taken the place of this bill." in old
    assert "The correction of Tue 10 Mar" in old and "Correct this bill" not in old
    again = text_of(login(manager).post(f"{page}correct", {"reason": "Again"}, follow=True))
    assert "No line changes" in again
    running = login(manager).post(f"/{depot.slug}/bills/2026-03/close", follow=True)
    assert "Nothing was closed. March 2026 is still running." in text_of(running)
    assert login(viewer).get(f"{page}?revision=x").status_code == 404
    assert "has not been billed" in text_of(login(viewer).get(f"{page}?revision=7"))


def numbers(bill: Bill, amounts: dict[str, str], free: list[tuple[str, str]], **head: str) -> dict[str, str]:
    """What a browser sends: a row for each of our lines, and rows of its own."""
    lines = list(bill.lines.all())
    rows = [(line.line_id, line.label, line.unit, amounts.get(line.line_id, "")) for line in lines]
    rows += [("", label, "", amount) for label, amount in free]
    data = {"lines-TOTAL_FORMS": str(len(rows)), "lines-INITIAL_FORMS": str(len(lines) + 3), **head}
    for index, (id, label, unit, amount) in enumerate(rows):
        quantity, _, money = amount.rpartition("|")
        data |= {
            f"lines-{index}-line_id": id,
            f"lines-{index}-label": label,
            f"lines-{index}-unit": unit,
            f"lines-{index}-quantity": quantity,
            f"lines-{index}-amount": money,
        }
    return data


def test_the_utilitys_bill_is_entered_compared_and_explained(
    depot: Depot, login: Login, manager: User, viewer: User
) -> None:
    bill = Bill.objects.get(scenario="actual")
    page = f"/{depot.slug}/bills/2026-02/"
    browser = login(manager)
    form = browser.get(f"{page}reconcile").content.decode()
    assert all(line.line_id in form for line in bill.lines.all())
    wrong = numbers(bill, {"fixed.meter": "hundred"}, [("Rider", ""), ("", "5")], total="1,5,00")
    answer = browser.post(f"{page}reconcile", wrong)
    assert answer.status_code == 422
    told = answer.content.decode()
    for words in (
        "“hundred” is not a number",
        "“1,5,00” is not a number",
        "Enter the amount",
        "Enter what the line is called",
    ):
        assert words in told, words
    assert not UtilityBill.objects.exists()
    right = numbers(
        bill,
        {
            "energy.e.off": "2,850|$285.00",
            "energy.e.on": "790 |237.00",
            "demand_flat.d.all": "90|981.00",
            "fixed.meter": "1|100.00",
        },
        [("Public purpose rider", "12.34")],
        total="$1,615.34",
        number="R-17",
    )
    text = text_of(browser.post(f"{page}reconcile", right, follow=True))
    assert "The utility's bill of $1,615.34 is kept." in text
    row = UtilityBill.objects.get()
    assert (row.total, row.number, row.entered_by) == (Decimal("1615.34"), "R-17", manager)
    assert [str(line.amount.normalize()) for line in row.lines.all()] == [
        "237",
        "285",
        "981",
        "1E+2",
        "12.34",
    ]
    text = text_of(login(viewer).get(page))
    assert "Same quantity, another price: 10.90000 instead of 10.00000 USD/kW" in text
    assert "The tariff has no such line" in text
    assert "entered just now by manager" in text
    event = AuditEvent.objects.get(verb="utility_bill.entered")
    assert (
        event.facts["total"] == "1615.34"
        and "manager entered the utility's bill of February 2026" in event.sentence
    )
    rows = list(csv.DictReader(StringIO(login(viewer).get(f"{page}bill.csv").content.decode("utf-8-sig"))))
    differences = [Decimal(row["difference"].removeprefix("'")) for row in rows if row["difference"]]
    assert sum(differences[:-1]) == differences[-1] == row.total - bill.total
    text = text_of(login(viewer).get(f"/{depot.slug}/bills/"))
    assert "$1,615.34" in text
    assert "R-17" in login(manager).get(f"{page}reconcile").content.decode()


def test_files_say_what_the_page_says_and_hold_no_formula(
    depot: Depot, login: Login, viewer: User, manager: User, tmp_path: Path
) -> None:
    label = "=HYPERLINK(1) <b>ż≥"
    depot.tariffs.update(
        definition=DOCUMENT
        | {"energy": [{"id": "e", "label": label, "prices": [{"id": "all", "price_per_kwh": 0.1}]}]}
    )
    bill = close.close_month(depot, FEBRUARY, NOW, manager).actual
    browser, page = login(viewer), f"/{depot.slug}/bills/2026-02"
    response = browser.get(f"{page}/bill.csv")
    assert 'filename="bill-maple-street-2026-02.csv"' in response["Content-Disposition"]
    rows = list(csv.DictReader(StringIO(response.content.decode("utf-8-sig"))))
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())
    assert [row["line"] for row in rows] == [*(line.line_id for line in bill.lines.all()), "total"]
    assert sum(Decimal(row["amount"]) for row in rows[:-1]) == Decimal(rows[-1]["amount"]) == bill.total
    document = browser.get(f"{page}/bill.pdf")
    assert document["Content-Type"] == "application/pdf" and document.content.startswith(b"%PDF-")
    assert document.content == browser.get(f"{page}/bill.pdf").content
    with zipfile.ZipFile(io.BytesIO(browser.get(f"{page}/inputs.zip").content)) as archive:
        archive.extractall(tmp_path)
    readme = (tmp_path / "README.txt").read_text()
    words = re.search(r"manage.py bill (.*) --json", readme)
    assert words
    arguments = [str(tmp_path / word) if "." in word else word for word in words[1].split()]
    out = StringIO()
    call_command("bill", *arguments, "--json", stdout=out)
    total = Decimal(str(json.loads(out.getvalue())["total"]))
    assert total == bill.total and cents(total, "USD") in text_of(browser.get(f"{page}/"))
    _, raw = make_key(depot, "test", ["read"])
    told = Client(headers={"Authorization": f"Bearer {raw}"}).get(f"/api/v1/bills/{bill.pk}").json()
    assert Decimal(told["total"]) == total and told["versions"] == bill.versions
    assert browser.get(f"/{depot.slug}/bills/2026-01/bill.pdf").status_code == 404


PAGES = ("", "2026-02/", "2026-02/bill.csv", "2026-02/bill.pdf")
DEEDS = ("2026-02/close", "2026-02/correct", "2026-02/reconcile")


def test_only_the_depots_people_see_bills_and_only_managers_settle_them(
    depot: Depot,
    login: Login,
    viewer: User,
    dispatcher: User,
    technician: User,
    manager: User,
    outsider: User,
) -> None:
    base = f"/{depot.slug}/bills/"
    for user in (viewer, dispatcher, technician, manager):
        browser = login(user)
        assert {browser.get(base + path).status_code for path in PAGES} == {200}
        assert browser.get(f"{base}2026-02/inputs.zip").status_code == 404, "an estimate has none yet"
        assert browser.post(base).status_code == 405
    for user in (viewer, dispatcher, technician):
        browser = login(user)
        assert {browser.post(base + path).status_code for path in DEEDS} == {403}
        assert browser.get(f"{base}2026-02/reconcile").status_code == 403
    browser = login(manager)
    assert {browser.get(base + path).status_code for path in DEEDS[:2]} == {405}
    for month in ("soon", "2026-13", "0001-01"):
        assert browser.get(f"{base}{month}/").status_code == 404
        assert browser.post(f"{base}{month}/close").status_code == 404
    assert browser.get(f"{base}2026-01/reconcile").status_code == 404
    browser = login(outsider)
    assert {browser.get(base + path).status_code for path in (*PAGES, *DEEDS)} <= {404, 405}
    assert {browser.post(base + path).status_code for path in DEEDS} == {404}
    assert {Client().get(base + path).status_code for path in PAGES} == {302}
    assert Bill.objects.filter(state="final").count() == 0


def test_pages_take_few_queries(
    depot: Depot, login: Login, manager: User, django_assert_max_num_queries: Any
) -> None:
    fill_march(depot)
    close.close_month(depot, FEBRUARY, NOW, manager)
    browser = login(manager)
    browser.get(f"/{depot.slug}/bills/")
    with django_assert_max_num_queries(9):
        browser.get(f"/{depot.slug}/bills/")
    with django_assert_max_num_queries(13):
        browser.get(f"/{depot.slug}/bills/2026-02/")
    with django_assert_max_num_queries(12):
        browser.get(f"/{depot.slug}/bills/2026-02/bill.pdf")
