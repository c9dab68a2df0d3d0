"""The Tariffs pages: prices by the hour, versions, editing with faults at their place, comparing, price files."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client

from billing.models import Bill, PricePoint, PriceSeries, Tariff
from billing.selectors.tariffs import parsed
from billing.tariff.text import write_yaml
from billing.views.week import season_tables
from depot.jobs.services import run
from depot.models import Depot, ImportBatch, Job, User
from depot.timegrid import TimeGrid
from tests.billing.money import DOCUMENT, fill, make_tariff, month_grid
from tests.billing.test_pages import text_of
from tests.depot.admin_forms import address, errors_of, form_of

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
FEBRUARY = date(2026, 2, 1)
Login = Callable[[User], Client]
pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture(autouse=True)
def at_now(time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)


def test_the_page_answers_what_power_costs_and_lays_it_out_by_hour(
    depot: Depot, login: Login, viewer: User, django_assert_max_num_queries: Any
) -> None:
    row = make_tariff(depot)
    make_tariff(depot, date(2026, 7, 1), name="EV-2")
    client = login(viewer)
    text_of(client, f"/{depot.slug}/tariffs/")
    with django_assert_max_num_queries(9):
        text = text_of(client, f"/{depot.slug}/tariffs/")
    assert "EV, from 1 Jan 2026: $0.10/kWh to $0.30/kWh; a kW of peak costs up to $10.00/kW." in text
    assert "All year" in text and "16:00–21:00: 0.30" in text.replace("  ", " ")
    assert "$10.00/kW a month for the highest 15-minute mean" in text
    assert "Meter $100.00 per month" in text
    assert "EV-2 Coming" in text
    assert "New version" not in text  # a viewer may look only
    [season] = season_tables(parsed(row), 2026)
    [(days, cells)] = season.energy.rows
    assert (days, [(cell.slots, cell.level) for cell in cells]) == ("Every day", [(16, 1), (5, 5), (3, 1)])
    assert season.demand is not None


def test_without_a_tariff_the_page_says_what_follows(depot: Depot, login: Login, manager: User) -> None:
    text = text_of(login(manager), f"/{depot.slug}/tariffs/")
    assert "No tariff is valid today, so plans take power as free" in text
    assert "New version" in text


def fill_three_days(depot: Depot) -> None:
    fill(depot, TimeGrid(month_grid(depot, FEBRUARY).start_at, 15, 288), 50.0)


def test_last_month_is_billed_with_any_version(depot: Depot, login: Login, viewer: User) -> None:
    row = make_tariff(depot)
    address = f"/{depot.slug}/tariffs/{row.pk}/last-month/"
    assert "Nothing is recorded in February 2026." in text_of(login(viewer), address)
    fill_three_days(depot)
    text = text_of(login(viewer), address)
    # 72 h x 50 kW: 5/24 of it at 0.30, the rest at 0.10; 50 kW at 10; 100 fixed
    assert "February 2026 with EV costs $1,110.00." in text
    assert "Demand" in text


def sheet(**changes: Any) -> str:
    return write_yaml(DOCUMENT | changes)


def test_a_version_is_checked_then_saved(depot: Depot, login: Login, manager: User) -> None:
    client, address = login(manager), f"/{depot.slug}/tariffs/new/"
    form = {"name": "EV-3", "valid_from": "2026-04-01", "text": sheet()}
    checked = client.post(address, form).content.decode()
    assert "No faults. This is what it would charge" in checked and "16:00–21:00" in checked
    assert not Tariff.objects.exists()
    saved = client.post(address, form | {"save": "1"})
    row = Tariff.objects.get()
    assert saved.headers["Location"] == f"/{depot.slug}/tariffs/{row.pk}/"
    assert (row.depot, row.valid_from, row.definition["name"]) == (depot, date(2026, 4, 1), "EV")
    assert "Tariff EV-3" in Job.objects.get(kind="plan").payload["trigger"], "the next plan does not wait"
    copy = client.get(f"{address}?from={row.pk}").content.decode()
    assert "format: depot-tariff/1" in copy
    file = SimpleUploadedFile("sheet.yaml", sheet(currency="USD", name="File").encode())
    client.post(
        f"/{depot.slug}/tariffs/{row.pk}/edit/",
        {"name": "EV-3", "valid_from": "2026-04-01", "file": file, "save": "1"},
    )
    row.refresh_from_db()
    assert row.definition["name"] == "File"


FAULTS = {
    "no text": ({"text": ""}, "it is not a JSON object"),
    "broken": ({"text": "{"}, "it is not JSON"),
    "a place": ({"text": sheet(energy=[{"id": "e", "label": "E", "prices": [{"id": "a", "price_per_kwh": "x"}]}])},
                "energy/0/prices/0"),
    "unsupported": ({"text": sheet(moon_tax=3)}, "moon_tax"),
    "currency": ({"text": sheet(currency="EUR")}, "The tariff is in EUR, the depot in USD."),
    "day twice": ({"valid_from": "2026-01-01"}, "already exists"),
    "days": ({"valid_to": "2026-03-01"}, "The last day is before the first"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_and_nothing_is_saved(
    depot: Depot, login: Login, manager: User, fault: str
) -> None:
    make_tariff(depot)
    changes, words = FAULTS[fault]
    form = {"name": "EV-3", "valid_from": "2026-04-01", "text": sheet(), "save": "1"} | changes
    answer = login(manager).post(f"/{depot.slug}/tariffs/new/", form).content.decode()
    assert words.replace("'", "&#x27;") in answer and "Nothing was saved" in answer
    assert Tariff.objects.count() == 1


def finally_billed(row: Tariff, versions: list[dict[str, Any]]) -> None:
    Bill.objects.create(
        depot=row.depot, tariff=row, scenario="actual", start_at=NOW, end_at=NOW, covered_to=NOW, state="final",
        currency="USD", total=1, computed_at=NOW, closed_at=NOW, versions=versions,
    )  # fmt: skip


def test_a_version_that_a_final_bill_was_made_by_stays(depot: Depot, login: Login, manager: User) -> None:
    row = make_tariff(depot)
    finally_billed(row, [])
    form = {"name": "Other", "valid_from": "2026-01-01", "text": sheet(), "save": "1"}
    answer = login(manager).post(f"/{depot.slug}/tariffs/{row.pk}/edit/", form).content.decode()
    assert "so it stays as it is. Enter a new version" in answer
    row.refresh_from_db()
    assert row.name == "EV"


def test_the_set_up_neither_changes_nor_deletes_a_version_of_a_final_bill(depot: Depot, login: Login) -> None:
    first, later = make_tariff(depot), make_tariff(depot, date(2026, 3, 9), name="Later")
    finally_billed(later, [{"name": "EV", "from": "2026-01-01"}, {"name": "Later", "from": "2026-03-09"}])
    free = make_tariff(depot, date(2027, 1, 1), name="Next year")
    browser = login(User.objects.create_superuser("root", password="correct horse battery"))
    for row in (first, later, free):
        page = browser.get(address(Tariff, "change", row.pk))
        answer = browser.post(page.request["PATH_INFO"], form_of(page) | {"name": "Other"})
        refused = "A final bill was made by this version, so it stays as it is. Enter a new version"
        assert (refused in errors_of(answer)) == (row != free)
        assert browser.get(address(Tariff, "delete", row.pk)).status_code == (200 if row == free else 403)
    assert set(Tariff.objects.values_list("name", flat=True)) == {"EV", "Later", "Other"}


def test_tariffs_are_compared_on_the_depots_own_load(
    depot: Depot, login: Login, technician: User, viewer: User
) -> None:
    row = make_tariff(depot)
    dear = make_tariff(depot, date(2026, 6, 1), name="Dear", fixed=[{"id": "m", "label": "M", "amount": 900}])
    odd = make_tariff(
        depot, date(2026, 9, 1), name="Spot", energy=[{"id": "s", "label": "S", "series": {"factor": 1}}]
    )
    fill_three_days(depot)
    keys = [f"own-{one.pk}" for one in (row, dear, odd)] + ["example-us-sce-ev", "own-999999", "example-none"]
    reader = login(viewer)
    assert reader.post(f"/{depot.slug}/tariffs/compare/", {"tariff": keys}).status_code == 403
    assert not Job.objects.exists(), "who may only look makes no work"
    assert "Compare on the last year" not in text_of(reader, f"/{depot.slug}/tariffs/")
    client = login(technician)
    assert "Compare on the last year" in text_of(client, f"/{depot.slug}/tariffs/")
    asked = client.post(f"/{depot.slug}/tariffs/compare/", {"tariff": keys})
    job = Job.objects.get(kind="compare_tariffs")
    assert f"/{depot.slug}/jobs/{job.pk}/?next=" in asked.headers["Location"]
    result = f"/{depot.slug}/tariffs/compare/{job.pk}/"
    assert client.get(result).status_code == 404
    assert run(job.pk, beat=False)
    text = text_of(client, result)
    assert "for 3,600 kWh" in text
    assert re.search(r"EV Today's \$1,110.00 \$0.00", text), text
    assert re.search(r"Dear \$1,910.00 \$800.00", text)
    assert "Spot cannot bill this load" in text
    assert "Nothing" not in text
    assert (
        client.post(f"/{depot.slug}/tariffs/compare/", {"tariff": ["nope"]})
        .headers["Location"]
        .endswith("/tariffs/")
    )


def upload(client: Client, depot: Depot, text: str, kind: str = "market") -> str:
    file = SimpleUploadedFile("prices.csv", text.encode())
    return str(
        client.post(f"/{depot.slug}/tariffs/prices/", {"file": file, "kind": kind}).headers["Location"]
    )


def test_prices_are_uploaded_checked_and_saved(depot: Depot, login: Login, manager: User) -> None:
    client = login(manager)
    address = upload(
        client, depot, "start,A (USD/MWh),B (USD/MWh)\n2026-03-10 00:00,12.5,1\n2026-03-10 01:00,-3,1\n"
    )
    assert "leaves one thing open" in text_of(client, address)
    text = text_of(client, f"{address}?column=A (USD/MWh)")
    assert "has 2 good intervals; nothing is saved yet" in text and "−0.003 per kWh" in text
    assert not PriceSeries.objects.exists()
    saved = client.post(f"{address}save/", {"column": "A (USD/MWh)", "unit": ""}, follow=True)
    assert "2 new intervals, 0 changed" in saved.content.decode()
    assert PricePoint.objects.count() == 2
    assert ImportBatch.objects.get().state == "committed"
    broken = upload(client, depot, "start,A (USD/MWh)\n2026-03-10 00:00,dear\n")
    assert "is not a number" in text_of(client, broken)
    refused = client.post(f"{broken}save/", follow=True).content.decode()
    assert "Nothing was saved" in refused
    assert PricePoint.objects.count() == 2
    assert upload(client, depot, "", kind="nonsense").endswith("/tariffs/prices/")


def test_the_source_is_chosen_and_checked(depot: Depot, login: Login, manager: User) -> None:
    client, address = login(manager), f"/{depot.slug}/tariffs/prices/source/"
    wrong = client.post(address, {"source": "nordpool", "area": "XX"}, follow=True).content.decode()
    assert "is not an area of Nord Pool" in wrong and not PriceSeries.objects.exists()
    client.post(address, {"source": "nordpool", "area": "SE3"})
    assert PriceSeries.objects.get().area == "SE3"
    text = text_of(client, f"/{depot.slug}/tariffs/")
    assert "Market price Nord Pool, SE3" in text and "No price is known yet." in text


@pytest.mark.parametrize("role", ["viewer", "dispatcher"])
def test_who_may_not_write_tariffs_changes_nothing(
    depot: Depot, login: Login, role: str, request: Any
) -> None:
    row = make_tariff(depot)
    client = login(request.getfixturevalue(role))
    for path in ("new/", f"{row.pk}/edit/", "prices/", "prices/1/"):
        assert client.get(f"/{depot.slug}/tariffs/{path}").status_code == 403, path
    for path in ("new/", f"{row.pk}/edit/", "prices/", "prices/1/save/", "prices/source/"):
        assert client.post(f"/{depot.slug}/tariffs/{path}", {"save": "1"}).status_code == 403, path


def test_another_depots_rows_are_not_there(
    depot: Depot, other_depot: Depot, login: Login, manager: User
) -> None:
    foreign = make_tariff(other_depot)
    batch = ImportBatch.objects.create(
        depot=other_depot,
        kind="prices",
        file_format="market",
        file_name="x",
        file_digest="",
        content=b"",
        uploaded_at=NOW,
    )
    client = login(manager)
    for path in (f"{foreign.pk}/", f"{foreign.pk}/edit/", f"{foreign.pk}/last-month/", f"prices/{batch.pk}/"):
        assert client.get(f"/{depot.slug}/tariffs/{path}").status_code == 404, path
    assert "format:" not in client.get(f"/{depot.slug}/tariffs/new/?from={foreign.pk}").content.decode()
    assert client.get(f"/{depot.slug}/tariffs/new/?from={'9' * 5000}").status_code == 200
    assert (
        client.post(f"/{depot.slug}/tariffs/compare/", {"tariff": [f"own-{foreign.pk}"]}).status_code == 302
    )
    assert not Job.objects.filter(kind="compare_tariffs").exists()


def test_a_version_is_saved_with_its_entry_in_the_audit_trail_or_not_at_all(
    depot: Depot, login: Login, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr("depot.audit.record", away)
    form = {"name": "EV-3", "valid_from": "2026-04-01", "text": sheet(), "save": "1"}
    assert login(manager).post(f"/{depot.slug}/tariffs/new/", form).status_code == 503
    assert not Tariff.objects.exists()
    source = {"source": "nordpool", "area": "FI"}
    assert login(manager).post(f"/{depot.slug}/tariffs/prices/source/", source).status_code == 503
    assert not PriceSeries.objects.exists()
