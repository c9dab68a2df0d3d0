"""`PUT /api/v1/vehicles/{id}/departures`: the future is replaced at once, the past stays, nothing is half-done."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
import time_machine
from django.test import Client

from depot.access.keys import make_key
from depot.jobs.registry import KINDS, JobKind
from depot.models import AuditEvent, Depot, Job
from fleet.models import Assignment, Block
from tests.factories import NOW, make_block, make_vehicle


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def bus(depot: Depot):
    return make_vehicle(depot, "Bus 01")


def program(depot: Depot, *scopes: str) -> Client:
    _, raw = make_key(depot, "Planner", list(scopes or ("schedules", "read")))
    return Client(headers={"Authorization": f"Bearer {raw}"})


def departure(hours: float, length: float = 2, **values):
    leaves = NOW + timedelta(hours=hours)
    back = leaves + timedelta(hours=length)
    return {"departs_at": leaves.isoformat(), "returns_at": back.isoformat(), "distance_km": 30} | values


def put(client: Client, vehicle, *items, **headers):
    body = json.dumps({"departures": list(items)})
    address = f"/api/v1/vehicles/{vehicle.pk}/departures"
    return client.put(address, body, content_type="application/json", headers=headers)


def counts(answer) -> tuple[int, ...]:
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return body["created"], body["unchanged"], body["removed"], body["skipped_past"]


def test_the_future_is_what_was_sent(depot: Depot, bus) -> None:
    client = program(depot)
    answer = put(
        client, bus, departure(3, external_id="R7"), departure(20, 9, energy_kwh=40, distance_km=None)
    )
    assert counts(answer) == (2, 0, 0, 0)
    first, second = answer.json()["departures"]
    assert first["external_id"] == "R7"
    assert second["energy_kwh"] == 40
    seen = client.get(f"/api/v1/vehicles/{bus.pk}/departures").json()["departures"]
    assert seen == [first, second]
    block = Block.objects.get(block_id="R7")
    assert block.pull_out_at(block.service_date) == NOW + timedelta(hours=3)
    assert AuditEvent.objects.filter(verb="departures.replaced").count() == 1


def test_the_same_again_changes_nothing_and_another_list_replaces_all(depot: Depot, bus) -> None:
    client = program(depot)
    put(client, bus, departure(3, external_id="R7"), departure(30, external_id="R8"))
    kept = Block.objects.get(block_id="R8").pk
    assert counts(put(client, bus, departure(3, external_id="R7"), departure(30, external_id="R8"))) == (
        0,
        2,
        0,
        0,
    )
    assert counts(put(client, bus, departure(5, external_id="R7"), departure(30, external_id="R8"))) == (
        1,
        1,
        1,
        0,
    )
    assert Block.objects.get(block_id="R8").pk == kept
    assert counts(put(client, bus)) == (0, 0, 2, 0)
    assert not Block.objects.exists()


def test_what_recurs_ends_today_and_what_has_left_stays(depot: Depot, bus) -> None:
    local = depot.local(NOW)
    minute = local.hour * 60 + local.minute
    out = make_block(depot, bus, "out", depart_minute=minute - 30, return_minute=minute + 60, weekdays=127)
    later = make_block(
        depot, bus, "later", depart_minute=minute + 90, return_minute=minute + 120, weekdays=127
    )
    other = make_block(depot, make_vehicle(depot, "Bus 02"), "other", weekdays=127)
    Assignment.objects.create(
        block=other, service_date=local.date() + timedelta(days=2), vehicle=bus, made_at=NOW
    )
    assert counts(put(program(depot), bus, departure(4))) == (1, 0, 3, 0)
    for block in (out, later, other):
        block.refresh_from_db()
    assert out.valid_to == local.date()
    assert later.valid_to == local.date() - timedelta(days=1)
    assert other.valid_to is None
    assert not Assignment.objects.exists()


def test_departures_that_have_left_are_skipped(depot: Depot, bus) -> None:
    assert counts(put(program(depot), bus, departure(-1), departure(5))) == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("items", "place", "words"),
    [
        ([departure(3), departure(4)], 1, "before departure 0 is back"),
        ([departure(3, -1)], 0, "returns at or before"),
        ([departure(3, 60)], 0, "more than 47 hours"),
        ([departure(3, distance_km=None)], 0, "neither distance_km nor energy_kwh"),
        ([departure(9000)], 0, "more than a year"),
        ([departure(3, external_id="R"), departure(6, external_id="R")], 1, "stands twice"),
        ([departure(3, external_id="taken")], 0, "is Bus 02's block on that day"),
    ],
)
def test_one_that_cannot_be_changes_nothing(depot: Depot, bus, items, place: int, words: str) -> None:
    day = depot.local(NOW + timedelta(hours=3)).date()
    make_block(
        depot, make_vehicle(depot, "Bus 02"), "taken", key=f"taken|{day}", service_date=day, weekdays=0
    )
    make_block(depot, bus, "kept", weekdays=127)
    answer = put(program(depot), bus, *items)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert f"departures[{place}]" in answer.content.decode()
    assert set(Block.objects.values_list("block_id", "valid_to")) == {("taken", None), ("kept", None)}


def test_a_vehicle_that_is_out_leaves_again_after_it_is_back(depot: Depot, bus) -> None:
    local = depot.local(NOW)
    minute = local.hour * 60 + local.minute
    make_block(depot, bus, "out", depart_minute=minute - 30, return_minute=minute + 60, weekdays=127)
    assert b"is out with block out until" in put(program(depot), bus, departure(0.5)).content


def test_only_keys_with_the_scope_and_only_the_own_depot(depot: Depot, other_depot: Depot, bus) -> None:
    assert put(program(depot, "read"), bus, departure(3)).status_code == 403
    assert put(program(other_depot), bus, departure(3)).status_code == 404
    assert put(Client(), bus, departure(3)).status_code == 401
    assert not Block.objects.exists()


def test_the_same_key_is_answered_again(depot: Depot, bus) -> None:
    client = program(depot)
    first = put(client, bus, departure(3), **{"Idempotency-Key": "a"})
    assert put(client, bus, departure(3), **{"Idempotency-Key": "a"}).json() == first.json()
    assert put(client, bus, departure(4), **{"Idempotency-Key": "a"}).status_code == 422


def test_a_new_plan_follows(depot: Depot, bus, monkeypatch) -> None:
    monkeypatch.setitem(KINDS, "plan", KINDS.get("plan") or JobKind("plan", lambda job: None))
    put(program(depot), bus, departure(3))
    assert Job.objects.filter(kind="plan").count() == 1


def test_the_night_that_repeats_an_hour_keeps_its_departures(depot: Depot, bus) -> None:
    depot.time_zone = "America/New_York"
    depot.save()
    with time_machine.travel("2026-10-31T20:00:00Z", tick=False):
        item = {
            "departs_at": "2026-11-01T01:50:00-04:00",
            "returns_at": "2026-11-01T01:20:00-05:00",
            "distance_km": 5,
        }
        assert counts(put(program(depot), bus, item)) == (1, 0, 0, 0)
    assert Block.objects.get().service_date == date(2026, 11, 1)
