"""The set-up refuses what would contradict the ledger, the tariffs or the chargers, and asks little of the database."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from charging.models import Charger
from depot import clock
from depot.access.keys import make_key
from depot.models import ApiKey, Depot
from fleet.models import Vehicle
from tests.billing.money import fill, make_tariff, month_grid
from tests.depot.admin_forms import address, errors_of, form_of
from tests.factories import grid_of, make_charger, make_vehicle


@pytest.fixture
def save(login, staff, depot):
    """Return a function that saves the depot's page with some fields changed, as a technician."""
    browser = login(staff("technician"))

    def post(**changes):
        page = browser.get(address(Depot, "change", depot.pk))
        answer = browser.post(
            address(Depot, "change", depot.pk),
            form_of(page) | {name.replace("__", "-"): value for name, value in changes.items()},
        )
        depot.refresh_from_db()
        return answer

    return post


def test_the_step_may_change_until_the_ledger_has_an_interval(save, depot):
    assert save(step_minutes="30").status_code == 302
    assert depot.step_minutes == 30
    make_tariff(depot)
    fill(depot, month_grid(depot, date(2026, 2, 1)), 50.0)
    refused = save(step_minutes="60")
    assert "intervals of 30 min" in errors_of(refused)
    assert depot.step_minutes == 30
    assert save(name="Maple").status_code == 302, "everything else may still change"


def test_the_currency_stays_that_of_the_tariffs(save, depot):
    assert save(currency="EUR").status_code == 302
    assert save(currency="USD").status_code == 302
    make_tariff(depot)
    refused = save(currency="EUR")
    assert "EV (from 2026-01-01) is in USD" in errors_of(refused)
    assert depot.currency == "USD"


def test_a_node_still_carries_the_chargers_at_it(save, depot):
    make_charger(depot, None, max_charge_kw=60)
    refused = save(nodes__0__import_limit_kw="59", nodes__0__export_limit_kw="0")
    assert "draws up to 60 kW. Enter 60 kW or more" in errors_of(refused)
    assert grid_of(depot).import_limit_kw == 400
    assert save(nodes__0__import_limit_kw="60", nodes__0__export_limit_kw="0").status_code == 302


def test_a_second_grid_connection_is_refused_in_words(save, depot):
    second = {
        "name": "G2",
        "kind": "grid",
        "import_limit_kw": "5",
        "export_limit_kw": "0",
        "depot": f"{depot.pk}",
    }
    refused = save(nodes__TOTAL_FORMS="2", **{f"nodes__1__{name}": value for name, value in second.items()})
    assert f"A depot has one grid connection, and {grid_of(depot).name} is it." in errors_of(refused)
    assert depot.nodes.count() == 1


def test_a_wrong_time_zone_is_refused_in_words(save, depot):
    assert "“Mars/Base” is not a time zone of the IANA list." in errors_of(save(time_zone="Mars/Base"))


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("name", "already exists"),
        ("vin", "has this VIN already"),
        ("external_id", "has this external id already"),
        ("id_token", "has this id token already"),
    ],
)
def test_what_another_vehicle_has_is_refused_in_words(login, staff, depot, field, words):
    first, second = (
        make_vehicle(depot, "Bus 01", **{} if field == "name" else {field: "A1"}),
        make_vehicle(depot, "Bus 02"),
    )
    page = address(Vehicle, "change", second.pk)
    browser = login(staff("technician"))
    values = form_of(browser.get(page))
    refused = browser.post(page, values | {field: getattr(first, field)})
    assert (refused.status_code, words in errors_of(refused)) == (200, True)
    assert browser.post(page, values).status_code == 302


def test_a_vehicle_parks_at_one_connector(login, staff, depot):
    bus, browser = make_vehicle(depot), login(staff("technician"))
    there, here = make_charger(depot, bus), make_charger(depot)
    page = address(Charger, "change", here.pk)
    values = form_of(browser.get(page))
    number = int(values["connectors-TOTAL_FORMS"])
    for evse in range(number, number + 2):
        plug = {"charger": here.pk, "evse_id": evse + 1, "connector_id": 1, "vehicle": bus.pk}
        values |= {f"connectors-{evse}-{name}": value for name, value in plug.items()}
    values["connectors-TOTAL_FORMS"] = number + 2
    assert "parks at another connector already" in errors_of(browser.post(page, values))
    there.connectors.all().delete()
    assert f"{bus} parks at two of these connectors." in errors_of(browser.post(page, values))
    assert not bus.connectors.exists()


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "is over already"), (4000, "3,650 days at most")], ids=["past", "too far"]
)
def test_a_key_ends_ahead_but_not_in_ten_years(login, staff, depot, days, words):
    browser = login(staff("owner"))
    end = date.today() + timedelta(days=days)  # noqa: DTZ011 - a form's date
    values = {"depot": depot.pk, "name": "Telematics", "scopes": ["read"]}
    refused = browser.post(
        address(ApiKey, "add"), values | {"expires_at_0": f"{end}", "expires_at_1": "00:00"}
    )
    assert words in errors_of(refused)
    assert not ApiKey.objects.exists()
    with pytest.raises(ValueError, match=words):
        make_key(depot, "Telematics", ["read"], expires_at=clock.wall_now() + timedelta(days=days))


def test_a_page_of_the_set_up_asks_for_roles_once(login, staff, depot, django_assert_max_num_queries):
    charger = make_charger(depot, make_vehicle(depot))
    browser = login(staff("technician"))
    for row, most in ((depot, 50), (charger, 25)):
        with django_assert_max_num_queries(most):
            assert browser.get(address(type(row), "change", row.pk)).status_code == 200
