"""The outbox: newest wins, one gateway gets it, nothing is repeated that must not be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis

from charging.models import Charger, ChargerCommand, Connector
from charging.services import commands, stations
from charging.services.commands import (
    claim,
    give_back,
    give_back_lost,
    give_back_undelivered,
    send,
    send_again,
    send_defaults,
    settle,
)
from charging.services.stations import Held
from depot import clock
from tests import factories
from tests.charging.plans import make_plan_row


@pytest.fixture
def charger(depot) -> Charger:
    return factories.make_charger(depot)


def states() -> list[str]:
    return list(ChargerCommand.objects.order_by("created_at").values_list("state", flat=True))


def schedule(charger: Charger, **values: Any) -> ChargerCommand:
    connector = charger.connectors.first()
    return send(charger, "set_schedule", {"evse_id": 1}, connector=connector, coalesce="schedule:1", **values)


def test_the_newer_supersedes_the_waiting_one(charger: Charger) -> None:
    schedule(charger)
    send(charger, "reset", {})
    schedule(charger)
    assert states() == ["superseded", "waiting", "waiting"]


def test_one_command_of_each_charger_is_claimed_by_one_gateway(charger: Charger, depot) -> None:
    other = factories.make_charger(depot)
    report, limit = send(charger, "report", {}, priority=9), send(charger, "limit", {}, priority=0)
    theirs = send(other, "limit", {})
    claimed = claim([charger.pk, other.pk], "one")
    assert {command.pk for command in claimed} == {limit.pk, theirs.pk}
    assert [command.pk for command in claim([charger.pk, other.pk], "two")] == [report.pk]
    assert claim([charger.pk], "three") == []
    limit.refresh_from_db()
    assert (limit.state, limit.claimed_by, limit.attempts) == ("sent", "one", 1)


def test_what_is_too_late_expires(charger: Charger) -> None:
    send(charger, "limit", {}, lifetime=timedelta(seconds=-1))
    assert claim([charger.pk], "one") == []
    assert states() == ["expired"]


def test_answers_are_kept_once(charger: Charger) -> None:
    command = send(charger, "limit", {})
    settle(command, "accepted", {"early": True})
    assert states() == ["waiting"]
    claim([charger.pk], "one")
    settle(command, "accepted", {"status": "Accepted"})
    settle(command, "failed", {})
    command.refresh_from_db()
    assert (command.state, command.answer) == ("accepted", {"status": "Accepted"})


def test_only_what_is_safe_is_given_back(charger: Charger) -> None:
    again, never = schedule(charger), send(charger, "start", {})
    old = schedule(charger, lifetime=timedelta(seconds=1))
    ChargerCommand.objects.update(state="sent")
    ChargerCommand.objects.filter(pk=old.pk).update(expires_at=clock.wall_now())
    give_back([again.pk, never.pk, old.pk], "The link ended.")
    found = dict(ChargerCommand.objects.values_list("pk", "state"))
    assert (found[again.pk], found[never.pk], found[old.pk]) == ("superseded", "failed", "failed")
    ChargerCommand.objects.exclude(pk=again.pk).delete()
    ChargerCommand.objects.update(state="sent")
    give_back([again.pk], "The link ended.")
    assert states() == ["waiting"]


def test_what_a_dead_gateway_took_is_given_back(charger: Charger) -> None:
    command = schedule(charger)
    claim([charger.pk], "one")
    give_back_lost()
    assert states() == ["sent"]
    ChargerCommand.objects.filter(pk=command.pk).update(claimed_at=clock.wall_now() - timedelta(minutes=3))
    give_back_lost()
    assert states() == ["waiting"]


def test_what_was_taken_and_never_heard_of_is_given_back_at_once(charger: Charger) -> None:
    lost, running = schedule(charger), send(charger, "composite", {})
    claim([charger.pk], "one")
    claim([charger.pk], "two")
    assert states() == ["sent", "sent"]
    give_back_undelivered("one", {running.pk})
    assert ChargerCommand.objects.get(pk=lost.pk).state == "waiting"
    assert ChargerCommand.objects.get(pk=running.pk).state == "sent"
    give_back_undelivered("two", {running.pk})
    assert ChargerCommand.objects.get(pk=running.pk).state == "sent"


def test_the_newest_valid_schedule_is_sent_again(charger: Charger) -> None:
    send_again(charger)
    assert states() == []
    first = schedule(charger)
    ChargerCommand.objects.update(state="accepted")
    send_again(charger)
    assert states() == ["accepted", "waiting"]
    copy = ChargerCommand.objects.get(state="waiting")
    assert abs((copy.expires_at - first.expires_at).total_seconds()) < 1
    assert (copy.payload, copy.coalesce) == (first.payload, first.coalesce)
    ChargerCommand.objects.update(state="rejected")
    send_again(charger)
    assert "waiting" not in states()


def test_the_fallback_is_shared_among_the_plugs(charger: Charger) -> None:
    Connector.objects.create(charger=charger, evse_id=2)
    send_defaults(charger)
    sent = ChargerCommand.objects.order_by("created_at").values_list("payload", "priority")
    assert list(sent) == [({"evse_id": 1, "limit_kw": 3.0}, 0), ({"evse_id": 2, "limit_kw": 3.0}, 0)]


def test_a_dead_redis_loses_no_command(
    charger: Charger, settings, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with django_capture_on_commit_callbacks(execute=True):
        schedule(charger)
    assert states() == ["waiting"]
    told: list[str] = []

    class Told:
        def publish(self, channel: str, text: str) -> None:
            told.append(channel)

    monkeypatch.setattr(commands, "_redis", lambda url: Told())
    commands.wake()
    assert told == ["depot:charger-commands"]
    assert isinstance(redis.Redis.from_url(settings.REDIS_URL), redis.Redis)


def test_an_old_link_writes_nothing(charger: Charger) -> None:
    first, second = stations.connect(charger.pk, "ocpp2.1"), stations.connect(charger.pk, "ocpp2.1")
    stations.disconnect(charger.pk, first)
    assert Charger.objects.get().connected
    assert stations.keep_alive({charger.pk: Held(first)}) == {
        charger.pk: "this charger is connected elsewhere"
    }
    assert stations.keep_alive({charger.pk: Held(second)}) == {}
    stations.disconnect(charger.pk, second)
    assert not Charger.objects.get().connected


def test_a_gateway_that_died_is_noticed(charger: Charger) -> None:
    stations.connect(charger.pk, "ocpp2.1")
    Charger.objects.update(last_seen_at=clock.now() - timedelta(minutes=1))
    stations.keep_alive({})
    assert not Charger.objects.get().connected


def test_connectors_are_found_or_added(charger: Charger) -> None:
    only = charger.connectors.get()
    find = stations.find_connector
    assert find(charger, 0) == find(charger, 1) == find(charger, 1, 7) == only
    second = find(charger, 2, 1)
    assert second is not None and second.evse_id == 2
    assert find(charger, 0) is None
    assert find(charger, 99) is None
    for number in range(3, 17):
        find(charger, number)
    assert find(charger, 2, 1) == second
    assert charger.connectors.count() == 16


def test_status_only_moves_forward(charger: Charger) -> None:
    connector = charger.connectors.get()
    stations.set_status(connector, "occupied", factories.NOW)
    stations.set_status(connector, "available", factories.NOW - timedelta(minutes=1))
    assert charger.connectors.get().status == "occupied"


def test_what_an_older_link_sent_without_an_answer_waits_again(charger: Charger) -> None:
    schedule(charger)
    send(charger, "reset", {})
    claim([charger.pk], "a gateway that dies")
    claim([charger.pk], "a gateway that dies")
    stations.connect(charger.pk, "ocpp2.1")
    assert states() == ["waiting", "failed"]  # a reset is never repeated by itself


def test_a_schedule_told_again_from_an_older_plan_never_follows_the_newer(charger: Charger, depot) -> None:
    older, newer = (make_plan_row(depot, {}, factories.NOW + timedelta(minutes=place)) for place in range(2))
    schedule(charger, plan=newer)
    [first] = claim([charger.pk], "one")
    late = schedule(charger, plan=older)
    assert claim([charger.pk], "one") == []
    settle(first, "accepted", {})
    late.refresh_from_db()
    assert late.state == "superseded"
    again = schedule(charger, plan=newer)
    assert [command.pk for command in claim([charger.pk], "one")] == [again.pk]
