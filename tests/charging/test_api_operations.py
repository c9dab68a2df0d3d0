"""Operations of stations through the API: ordered once, audited, answered; for keys with the scope and depot alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from charging.models import Charger, ChargerCommand
from charging.services.commands import settle
from depot.access.keys import make_key
from depot.models import AuditEvent, Depot
from tests.factories import make_charger, make_depot

JSON = "application/json"


@pytest.fixture
def charger(depot: Depot) -> Charger:
    return make_charger(depot)


def client_of(depot: Depot, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_key(depot, 'program', scopes)[1]}"})


def order(client: Client, charger: Charger, body: dict[str, Any], **headers: str) -> Any:
    return client.post(f"/api/v1/chargers/{charger.pk}/operations", body, JSON, headers=headers)


def test_an_operation_is_ordered_once_audited_and_its_answer_told(depot: Depot, charger: Charger) -> None:
    client = client_of(depot, "read", "operations")
    for _ in range(2):
        told = order(client, charger, {"operation": "start", "given": "AABB"}, **{"Idempotency-Key": "one"})
        assert told.status_code == 202
    [row] = told.json()["results"]
    assert (row["action"], row["state"], row["answer"]) == ("remote_start", "waiting", None)
    command = ChargerCommand.objects.get()
    assert command.payload["id_token"] == "AABB"
    assert AuditEvent.objects.filter(verb="charger.start").count() == 1
    ChargerCommand.objects.update(state="sent")
    settle(command, "accepted", {"answers": [{"status": "Accepted"}]})
    found = client.get(f"/api/v1/chargers/{charger.pk}/operations/{command.pk}").json()
    assert (found["state"], found["answer"]) == ("accepted", {"answers": [{"status": "Accepted"}]})
    assert [
        one["id"] for one in client.get(f"/api/v1/chargers/{charger.pk}/operations").json()["results"]
    ] == [str(command.pk)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"operation": "dance"}, "not a valid choice"),
        ({"operation": "start"}, "enter the token to charge with"),
        ({"operation": "trigger", "given": "MakeCoffee"}, "does not fit OCPP 2.1"),
        ({}, "required"),
    ],
)
def test_what_cannot_be_ordered_is_refused_by_name(
    depot: Depot, charger: Charger, body: dict, words: str
) -> None:
    answer = order(client_of(depot, "operations"), charger, body)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not ChargerCommand.objects.exists()


def test_it_needs_the_scope_and_another_depots_charger_is_not_there(depot: Depot, charger: Charger) -> None:
    body = {"operation": "restart"}
    assert order(client_of(depot, "read", "overrides"), charger, body).status_code == 403
    other = client_of(make_depot("Elsewhere"), "read", "operations")
    assert order(other, charger, body).status_code == 404
    assert other.get(f"/api/v1/chargers/{charger.pk}/operations").status_code == 404
    assert order(Client(), charger, body).status_code == 401
    assert order(client_of(depot, "operations"), charger, body).status_code == 202
    row = ChargerCommand.objects.get()
    assert other.get(f"/api/v1/chargers/{charger.pk}/operations/{row.pk}").status_code == 404
    mine = make_charger(depot)
    assert client_of(depot, "read").get(f"/api/v1/chargers/{mine.pk}/operations/{row.pk}").status_code == 404
