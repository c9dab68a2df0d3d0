"""Many chargers that speak at once cost few queries: a gateway of 500 lives on that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from charging.models import ChargingSession, MeterSample
from charging.ocpp.journal import HANDLERS
from charging.ocpp.keeping import Word, apply_all
from tests.factories import NOW, make_charger, make_vehicle

FEW, MANY = 2, 6
EACH_STARTED = 10
"""The charger's clock, the plug's lock, its sessions, its vehicle elsewhere, the new session, and five of the vehicle's
state.
"""
EACH_BOOTED = 5
"""What it is, its default level and its newest schedule, each read or superseded before it is written."""


@pytest.fixture
def frozen() -> Iterator[None]:
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        yield


@pytest.fixture
def chargers(depot) -> list[Any]:
    return [
        make_charger(depot, make_vehicle(depot, f"Bus {number}"), connected=True)
        for number in range(2 * MANY)
    ]


def booted(charger: Any, _: int) -> Word:
    station = {"model": "M", "vendorName": "V"}
    event = HANDLERS["2.0.1"]["BootNotification"].event({"reason": "PowerUp", "chargingStation": station})
    assert event is not None
    return charger.pk, event


def told(charger: Any, sequence: int) -> Word:
    at = (NOW + timedelta(seconds=0.5 * sequence)).isoformat()
    values = [
        {
            "value": 5.0 * sequence,
            "measurand": "Energy.Active.Import.Register",
            "unitOfMeasure": {"unit": "Wh"},
        }
    ]
    payload = {
        "eventType": "Updated" if sequence else "Started",
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": sequence,
        "transactionInfo": {"transactionId": f"tx-{charger.pk}"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": at, "sampledValue": values}],
    }
    event = HANDLERS["2.0.1"]["TransactionEvent"].event(payload)
    assert event is not None
    return charger.pk, event


def queries(words: list[Word]) -> int:
    with CaptureQueriesContext(connection) as seen:
        for verdict in apply_all(words):
            assert not isinstance(verdict, Exception), verdict
    return len(seen)


def more_for_each(chargers: list[Any], say: Callable[[Any, int], Word], sequence: int) -> float:
    """Return how many queries one more charger costs in a batch."""
    few = queries([say(charger, sequence) for charger in chargers[:FEW]])
    many = queries([say(charger, sequence) for charger in chargers[FEW : FEW + MANY]])
    return (many - few) / (MANY - FEW)


def test_readings_of_many_sessions_cost_as_many_queries_as_those_of_one(
    chargers: list[Any], frozen: None
) -> None:
    apply_all([told(charger, 0) for charger in chargers])
    assert more_for_each(chargers, told, 1) == 0
    assert MeterSample.objects.count() == len(chargers) + FEW + MANY
    assert set(ChargingSession.objects.values_list("last_sequence", flat=True)) == {0, 1}


def test_a_session_that_begins_costs_a_few_queries(chargers: list[Any], frozen: None) -> None:
    apply_all([told(chargers[-1], 0)])  # which asks for the plan
    assert more_for_each(chargers, told, 0) <= EACH_STARTED
    assert ChargingSession.objects.filter(vehicle__isnull=False).count() == FEW + MANY + 1


def test_a_boot_costs_a_few_queries(chargers: list[Any], frozen: None) -> None:
    assert more_for_each(chargers, booted, 0) <= EACH_BOOTED
