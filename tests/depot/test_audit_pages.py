"""The audit trail: each act as a sentence with who and when, for those who answer for the site."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from depot.access.roles import ABILITIES
from depot.audit import record
from depot.models import AuditEvent, Depot, User
from depot.selectors.audit import CHOICES, Asked, audit_events, group_of
from tests.factories import make_person

pytestmark = pytest.mark.any_database

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
QUERIES = 9


@pytest.fixture(autouse=True)
def at_eleven():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def trail(depot: Depot, other_depot: Depot, manager: User) -> Depot:
    acts = [
        ("override.made", manager, "manager ordered for Bus 07: hold until Tue 14:00."),
        ("tariff.saved", manager, "Saved tariff EV."),
        ("charger.restart", manager, "manager ordered for charger C-01: restart when it is idle."),
        ("ledger.revised", None, "4 closed intervals were measured again, because data came late."),
        ("vehicletype.changed", manager, "manager changed vehicle type Bus: usable kWh."),
    ]
    for number, (verb, actor, sentence) in enumerate(acts):
        with time_machine.travel(NOW - timedelta(days=number), tick=False):
            record(depot, actor, verb, sentence)
    record(other_depot, manager, "tariff.saved", "Secret of the neighbour.")
    return depot


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split()).replace("\u00a0", " ")


def test_acts_are_sentences_the_newest_first(login, trail: Depot, technician: User) -> None:
    text = text_of(login(technician), f"/{trail.slug}/audit/")
    assert "5 acts have changed something; the last was just now." in text
    assert (
        "Tue 10 Mar 11:00 manager manager ordered for Bus 07: hold until Tue 14:00. Orders and plans" in text
    )
    assert "Sat 7 Mar 10:00 the program 4 closed intervals were measured again" in text
    assert text.index("Bus 07") < text.index("Saved tariff") < text.index("vehicle type Bus")
    assert "Secret" not in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=money", ["tariff.saved", "ledger.revised"]),
        ("kind=other", ["vehicletype.changed"]),
        ("kind=schedule", []),
        ("words=c-01", ["charger.restart"]),
        ("words=the+program", ["ledger.revised"]),
        ("first=2026-03-08&last=2026-03-09", ["tariff.saved", "charger.restart"]),
    ],
)
def test_it_is_narrowed_on_the_page_and_in_the_file(
    login, trail: Depot, technician: User, query: str, found: list[str]
) -> None:
    client = login(technician)
    body = client.get(f"/{trail.slug}/audit.csv?{query}").content.decode().removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(body)))
    assert [row["verb"] for row in rows] == found
    text = text_of(client, f"/{trail.slug}/audit/?{query}")
    assert all(row["sentence"] in text for row in rows)
    assert found or "No act is like what you look for." in text


def test_days_are_those_of_the_depot(trail: Depot) -> None:
    AuditEvent.objects.all().delete()
    with time_machine.travel(datetime(2026, 3, 10, 3, 59, tzinfo=UTC), tick=False):  # 23:59 on the 9th
        record(trail, None, "plan.requested", "Asked.")
    assert audit_events(trail, Asked(last=date(2026, 3, 9))).count() == 1
    assert audit_events(trail, Asked(first=date(2026, 3, 10))).count() == 0


def test_a_wrong_date_is_said_and_changes_nothing(login, trail: Depot, technician: User) -> None:
    text = text_of(login(technician), f"/{trail.slug}/audit/?first=2026-03-09&last=2026-03-01")
    assert "The last day is before the first. Enter a later one." in text
    assert "Enter a valid date." in text_of(login(technician), f"/{trail.slug}/audit/?first=soon")


@pytest.mark.parametrize(
    "verb", ["override.made", "vehicle.out", "vehicle.changed", "depot.stood_down", "x", "planet.x"]
)
def test_every_verb_has_one_kind(trail: Depot, verb: str) -> None:
    AuditEvent.objects.all().delete()
    record(trail, None, verb, "x")
    found = [kind for kind in CHOICES if audit_events(trail, Asked(kind)).exists()]
    assert found == [group_of(verb)]


def test_an_empty_trail_says_what_will_stand_there(login, depot: Depot, technician: User) -> None:
    assert "Nothing has been changed yet." in text_of(login(technician), f"/{depot.slug}/audit/")


def test_it_comes_in_pages_at_a_fixed_cost(
    login, trail: Depot, technician: User, django_assert_max_num_queries
) -> None:
    for number in range(101):
        record(trail, None, "plan.requested", f"Asked {number}.")
    client = login(technician)
    with django_assert_max_num_queries(QUERIES):
        text = text_of(client, f"/{trail.slug}/audit/?words=Asked")
    assert "Page 1 of 2" in text and "Asked 0." not in text
    assert "Asked 0." in text_of(client, f"/{trail.slug}/audit/?words=Asked&page=2")


@pytest.mark.parametrize("path", ["audit/", "audit.csv"])
@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_who_may_set_up_the_site_reads_it(login, depot: Depot, role: str, path: str) -> None:
    client = login(make_person(depot, role))
    allowed = role in ABILITIES["set_up_site"]
    assert client.get(f"/{depot.slug}/{path}").status_code == (200 if allowed else 403)
    assert ("Audit trail" in client.get(f"/{depot.slug}/alerts/").content.decode()) == allowed


@pytest.mark.parametrize("path", ["audit/", "audit.csv"])
def test_a_stranger_finds_nothing(login, depot: Depot, outsider: User, path: str) -> None:
    assert login(outsider).get(f"/{depot.slug}/{path}").status_code == 404
    assert Client().get(f"/{depot.slug}/{path}").status_code == 302
