"""Several depots in a row each: the numbers of each depot's own pages, for those who have a part in them."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from billing.selectors.savings import cost_of_day, statement_of
from billing.services.bills import bill_month
from charging.selectors.portfolio import portfolio, portfolio_sentence
from charging.selectors.readiness import readiness
from charging.selectors.site_now import site_now
from depot.models import Alert, Depot, Membership, User
from depot.timegrid import month_bounds
from tests.charging.yard import make_yard
from tests.factories import NOW, make_depot, make_person

pytestmark = pytest.mark.any_database

QUERIES = 15
HOME_QUERIES = 22


@pytest.fixture(autouse=True)
def at_eleven():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def harbor(depot: Depot) -> Depot:
    """Make a second depot in another zone, filled like the first."""
    other = make_depot("Harbor", time_zone="America/Los_Angeles")
    for number, one in enumerate((depot, other)):
        make_yard(one, NOW, buses=2 + number)
        bill_month(one, NOW.date(), NOW)
    return other


@pytest.fixture
def boss(depot: Depot, harbor: Depot) -> User:
    user = make_person(depot, "owner", "boss")
    Membership.objects.create(user=user, depot=harbor, role="technician")
    return user


def card(depot: Depot) -> str:
    return reverse("charging:card-portfolio", args=[depot.slug])


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_each_row_says_what_the_depots_own_pages_say(depot: Depot, harbor: Depot, boss: User) -> None:
    rows = portfolio(boss, [depot, harbor], NOW)
    for row in rows:
        one = row.depot
        assert row.outlook.rows == readiness(one, NOW)
        site = site_now(one, NOW, None)
        assert row.power is not None and site.net is not None
        assert (row.power.kw, row.power.stale) == (site.net.power_kw, site.net.stale)
        assert row.limit_kw == site.import_limit_kw
        day = cost_of_day(one, one.local(NOW).date())
        assert row.cost_today == pytest.approx(day.actual)
        statement = statement_of(one, month_bounds(one.local(NOW).date(), one.tz)[0])
        assert statement is not None and row.saved == statement.net_saving
    assert rows[0].outlook.rows != rows[1].outlook.rows


def test_alerts_are_those_that_concern_the_role_and_nobody_sees_to(
    depot: Depot, harbor: Depot, boss: User
) -> None:
    def alert(one: Depot, key: str, level: str, **values: Any) -> None:
        Alert.objects.create(depot=one, key=key, level=level, title=key, raised_at=NOW, seen_at=NOW, **values)

    Alert.objects.all().delete()
    alert(depot, "meter:1", "warning")
    alert(depot, "ready:1:2026-03-10", "critical")
    alert(depot, "meter:2", "critical", acknowledged_at=NOW)
    alert(depot, "meter:3", "critical", snoozed_until=NOW + timedelta(hours=1))
    alert(depot, "meter:4", "critical", cleared_at=NOW)
    alert(harbor, "ready:2:2026-03-10", "critical")  # concerns no technician
    alert(harbor, "meter:5", "warning", snoozed_until=NOW - timedelta(hours=1))
    one, other = portfolio(boss, [depot, harbor], NOW)
    assert (one.alerts, one.worst, other.alerts, other.worst) == (2, "critical", 1, "warning")


def test_a_depot_without_anything_has_a_row_too(depot: Depot, viewer: User) -> None:
    [row] = portfolio(viewer, [depot], NOW)
    assert (row.counts, row.power, row.cost_today, row.saved, row.alerts, row.level) == (
        [],
        None,
        None,
        None,
        0,
        None,
    )
    assert portfolio_sentence([row, row]) == "No vehicle leaves any of the 2 depots in the next 24 hours."
    assert portfolio(viewer, [], NOW) == []


def test_the_sentence_names_who_is_in_doubt(depot: Depot, harbor: Depot, boss: User) -> None:
    rows = portfolio(boss, [depot, harbor], NOW)
    sure = [sum(row.outlook.vehicles.values()) for row in rows]
    total = sum(len(row.outlook.vehicles) for row in rows)
    assert portfolio_sentence(rows).startswith(f"{sum(sure)} of {total} vehicles in 2 depots will be ready")
    doubtful = [row.depot.name for row in rows if row.outlook.doubtful]
    assert all(name in portfolio_sentence(rows) for name in doubtful)


def test_the_number_of_queries_is_that_of_one_depot(
    depot: Depot, harbor: Depot, boss: User, django_assert_num_queries: Any
) -> None:
    for depots in ([depot], [depot, harbor], [depot, harbor, make_depot("Third")]):
        with django_assert_num_queries(QUERIES):
            portfolio(boss, depots, NOW)


# --- who sees it


def test_home_shows_it_to_those_with_several_depots(login, depot: Depot, boss: User, viewer: User) -> None:
    place = f'hx-get="{card(depot)}"'
    assert place in login(boss).get(f"/{depot.slug}/").content.decode()
    assert place not in login(viewer).get(f"/{depot.slug}/").content.decode()


def test_the_card_and_the_page_of_depots_hold_only_ones_own(
    login, depot: Depot, harbor: Depot, boss: User, viewer: User
) -> None:
    make_depot("Secret")
    client = login(boss)
    for path in (card(depot), "/"):
        text = text_of(client, path)
        assert "Maple Street" in text and "Harbor" in text and "Secret" not in text
    assert "Harbor" not in text_of(login(viewer), card(depot))


@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_every_member_may_ask_for_it(login, depot: Depot, role: str) -> None:
    assert login(make_person(depot, role)).get(card(depot)).status_code == 200


def test_a_stranger_finds_none(login, depot: Depot, outsider: User) -> None:
    assert login(outsider).get(card(depot)).status_code == 404
    assert Client().get(card(depot)).status_code == 302


def test_the_page_of_depots_takes_a_fixed_number_of_queries(
    login, depot: Depot, harbor: Depot, boss: User, django_assert_max_num_queries: Any
) -> None:
    client = login(boss)
    with django_assert_max_num_queries(HOME_QUERIES):
        client.get("/")


def test_an_exporting_depot_has_no_share_of_its_limit(depot: Depot, harbor: Depot, boss: User) -> None:
    row = portfolio(boss, [depot], NOW)[0]
    assert row.power is not None and row.power.kw == -42.0 and row.level is None
    assert isinstance(row.saved, Decimal)
