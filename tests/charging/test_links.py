"""A gateway that died without a word keeps no charger connected, and somebody is told within a minute."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from charging.jobs import watch_chargers
from charging.models import Charger
from depot.models import Alert, Job
from tests.factories import NOW, make_charger, make_person


@pytest.fixture
def two_chargers(depot) -> list[Charger]:
    return [make_charger(depot, connected=True, booted_at=NOW, last_seen_at=NOW) for _ in range(2)]


def watched(depot) -> set[str]:
    """Run the watch of a minute and return the open alerts' keys."""
    job = Job.objects.create(
        depot=depot, kind="watch", window=str(Job.objects.count()), due_at=NOW, created_at=NOW
    )
    watch_chargers(job, lambda fraction, step: None)
    open_now = Alert.objects.filter(depot=depot, cleared_at__isnull=True)
    return set(open_now.values_list("key", flat=True))


def test_a_dead_gateway_keeps_nobody_connected(depot, two_chargers, client, login):
    login(make_person(depot, "technician"))
    page, rows = reverse("charging:connection", args=[depot.slug]), "/api/v1/chargers"

    def shown() -> tuple[bool, list[bool], int]:
        answer = client.get(rows).json()["results"]
        found = client.get(rows, {"connected": "true"}).json()["results"]
        return "2/2" in client.get(page).content.decode(), [row["connected"] for row in answer], len(found)

    with time_machine.travel(NOW + timedelta(seconds=40), tick=False):
        assert shown() == (True, [True, True], 2)
        assert watched(depot) == set()
    with time_machine.travel(NOW + timedelta(seconds=61), tick=False):
        assert shown() == (False, [False, False], 0)
        assert watched(depot) == {"gateway:silent"}
    Charger.objects.filter(pk=two_chargers[0].pk).update(last_seen_at=NOW + timedelta(seconds=70))
    with time_machine.travel(NOW + timedelta(seconds=75), tick=False):
        assert watched(depot) == {f"charger:{two_chargers[1].pk}"}
