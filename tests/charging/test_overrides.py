"""Orders for single vehicles: checked, previewed with their cost, confirmed by those who may, planned, withdrawn."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from charging.assemble import assemble
from charging.models import Connector, Override, Plan
from charging.planner.highs import SolverError
from charging.selectors.overrides import overrides_in_force
from charging.services import overrides as service
from charging.services.overrides import OrderError, Wanted
from depot.access.keys import make_key
from depot.jobs.services import run
from depot.models import AuditEvent, Depot, Job, User
from fleet.models import Vehicle
from tests.charging.yard import Yard, make_yard
from tests.factories import NOW, make_depot, make_person, make_vehicle

LOCAL_13, LOCAL_20 = "2026-03-10T13:00", "2026-03-10T20:00"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def at_eleven():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def yard(depot: Depot) -> Yard:
    return make_yard(depot, NOW)


@pytest.fixture
def bus(yard: Yard) -> Vehicle:
    return yard.vehicles["Bus 01"]


def in_hours(hours: float):
    return NOW + timedelta(hours=hours)


def give(vehicle: Vehicle, kind: str, hours: float = 2, by: Any = None, **values: Any) -> Override:
    wanted = service.checked(vehicle.depot, Wanted(vehicle, kind, in_hours(hours), **values), NOW)
    return service.create(vehicle.depot, wanted, by or make_person(vehicle.depot, "dispatcher"), NOW, 0.0)


def row_of(vehicle: Vehicle) -> dict[str, Any]:
    (row,) = [row for row in assemble(vehicle.depot, NOW).case["vehicles"] if row["id"] == str(vehicle.pk)]
    return row


def url(depot: Depot, view: str, *args: Any) -> str:
    return reverse(f"charging:{view}", args=[depot.slug, *args])


def text_of(response) -> str:
    plain = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return " ".join(plain.replace("\u00a0", " ").split())


# --- into the case


def test_orders_become_rules_of_the_case(bus: Vehicle) -> None:
    assert "overrides" not in row_of(bus)
    give(bus, "no_discharge", 1.1)
    give(bus, "limit", 100, max_kw=20)
    assert row_of(bus)["overrides"] == [
        {"kind": "no_discharge", "from_step": 0, "to_step": 5},
        {"kind": "limit", "from_step": 0, "to_step": 144, "max_kw": 20},
    ]
    notes = assemble(bus.depot, NOW).notes.vehicles[str(bus.pk)]
    assert notes[-1].endswith("ordered: at most 20 kW until Sat 15:00.")


def test_ready_by_is_one_more_target_unless_one_asks_for_as_much(bus: Vehicle) -> None:
    before = row_of(bus)["targets"]
    give(bus, "ready_by", 2, soc=0.85)
    (new,) = [item for item in row_of(bus)["targets"] if item not in before]
    assert new == {"boundary": 8, "soc": 0.85, "tier": "must"}
    give(bus, "ready_by", 2, soc=0.5)
    assert len(row_of(bus)["targets"]) == len(before) + 1
    give(bus, "ready_by", 100, soc=0.5)
    assert len(row_of(bus)["targets"]) == len(before) + 1


def test_charge_now_ends_when_the_vehicle_leaves(bus: Vehicle) -> None:
    order = give(bus, "charge_now", 8, soc=0.9)
    leaves = bus.depot.local(order.to_at)
    assert (leaves.hour, leaves.minute) == (13, 51)
    (rule,) = row_of(bus)["overrides"]
    assert rule == {"kind": "charge_now", "from_step": 0, "to_step": 12, "soc": 0.9}


def test_what_is_over_withdrawn_or_of_a_vehicle_in_no_plan_rules_nothing(bus: Vehicle, dispatcher) -> None:
    order = give(bus, "hold", 1)
    assert "overrides" in row_of(bus)
    assert overrides_in_force(bus.depot, in_hours(1)) == []
    assert service.withdraw(order, dispatcher, NOW)
    assert not service.withdraw(order, dispatcher, NOW)
    assert "overrides" not in row_of(bus)
    stray = make_vehicle(bus.depot, "Stray")
    give(stray, "hold", 1)
    assert str(stray.pk) not in [row["id"] for row in assemble(bus.depot, NOW).case["vehicles"]]


def test_orders_cost_one_query_however_many(bus: Vehicle, django_assert_num_queries) -> None:
    for hours in (1, 2, 3):
        give(bus, "ready_by", hours, soc=0.5)
    with django_assert_num_queries(1):
        assert len([order.in_words() for order in overrides_in_force(bus.depot, NOW)]) == 3


# --- checks


@pytest.mark.parametrize(
    ("kind", "values", "field", "words"),
    [
        ("hold", {"hours": 0}, "to_at", "a time ahead, at most 7 days"),
        ("hold", {"hours": 169}, "to_at", "a time ahead, at most 7 days"),
        ("limit", {}, "max_kw", "at most how many kW"),
        ("hold", {"max_kw": 5}, "max_kw", "belongs to a limit only"),
        ("ready_by", {}, "soc", "which charge it must have"),
        ("limit", {"max_kw": 5, "soc": 0.5}, "soc", "belongs to charge now and ready by only"),
        ("ready_by", {"soc": 1.01}, "soc", "at most"),
        ("stop", {}, "kind", "stop is no kind of order"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_at_its_field(
    bus: Vehicle, kind: str, values: dict, field: str, words: str
) -> None:
    with pytest.raises(OrderError) as error:
        give(bus, kind, **values)
    assert words in error.value.problems[field]
    assert not Override.objects.exists()


def test_orders_that_contradict_each_other_are_refused_and_those_of_one_kind_replace(bus: Vehicle) -> None:
    first = give(bus, "hold", 1, by=make_person(bus.depot, "dispatcher", "ann"))
    with pytest.raises(OrderError, match=r"ann ordered Bus 01 to hold until Tue 12:00. Withdraw that order"):
        give(bus, "charge_now", 1)
    second = give(bus, "hold", 2)
    first.refresh_from_db()
    assert first.withdrawn_at == NOW
    assert overrides_in_force(bus.depot, NOW) == [second]
    for hours in (1, 2):
        with pytest.raises(OrderError):
            give(bus, "ready_by", hours, soc=0.5)


def test_a_vehicle_out_of_service_or_in_no_plan_takes_no_order(bus: Vehicle) -> None:
    Connector.objects.filter(vehicle=bus).update(vehicle=None)
    bus.sessions.update(unplugged_at=NOW)
    with pytest.raises(OrderError, match="no connector"):
        service.preview(bus.depot, Wanted(bus, "hold", in_hours(1)), NOW)
    bus.active = False
    with pytest.raises(OrderError, match="out of service"):
        give(bus, "hold")


def test_the_database_keeps_orders_whole(bus: Vehicle) -> None:
    order = give(bus, "hold", 1)
    for change in ({"to_at": NOW}, {"kind": "limit"}, {"kind": "ready_by"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Override.objects.filter(pk=order.pk).update(**change)


# --- what it costs, before it is given


def preview(vehicle: Vehicle, kind: str, hours: float, **values: Any) -> service.Preview:
    wanted = service.checked(vehicle.depot, Wanted(vehicle, kind, in_hours(hours), **values), NOW)
    return service.preview(vehicle.depot, wanted, NOW)


def test_a_preview_tells_the_cost_and_the_next_departure_and_stores_nothing(bus: Vehicle) -> None:
    found = preview(bus, "ready_by", 9, soc=0.95)
    assert found.cost > 0
    assert re.fullmatch(r"It costs about \$\d+\.\d\d more until Wed 11 Mar 23:00\.", found.cost_sentence)
    assert found.consequences[0].startswith("Bus 01 leaves Tue 10 Mar 13:45 with")
    assert found.consequences[1].startswith("At 20:00 it has 95 %")
    assert found.misses == []
    assert not Override.objects.exists() and not Job.objects.exists()


def test_a_preview_names_the_departure_that_an_order_would_miss(bus: Vehicle) -> None:
    found = preview(bus, "hold", 22)
    assert len(found.misses) >= 1
    assert re.match(r"Bus 01 has only \d+ % at .* and needs \d+ %: a person's order\.", found.misses[0])


def test_a_preview_of_what_the_plan_does_anyway_costs_nothing(yard: Yard) -> None:
    assert preview(yard.vehicles["Van 01"], "no_discharge", 5).cost_sentence.startswith(
        "It costs nothing more"
    )


def test_a_limit_that_leaves_too_little_room_is_named_by_its_name(bus: Vehicle, yard: Yard) -> None:
    node = yard.depot.nodes.get(kind="grid")
    feeder = yard.depot.nodes.create(kind="feeder", name="East", parent=node, import_limit_kw=20)
    yard.depot.chargers.update(node=feeder)
    found = preview(bus, "charge_now", 2)
    assert any(
        re.match(r"Bus 01 gets up to [\d.]+ kWh less than ordered: feeder East\.", text)
        for text in found.misses
    )


def test_a_solver_that_fails_is_said(bus: Vehicle, monkeypatch) -> None:
    def fails(*args, **kwargs):
        raise SolverError("out of memory")

    monkeypatch.setattr(service, "solve", fails)
    with pytest.raises(OrderError, match="cannot be computed at the moment: out of memory"):
        preview(bus, "hold", 1)


# --- given and withdrawn


def test_an_order_is_recorded_and_planned_at_once(bus: Vehicle, dispatcher: User) -> None:
    order = give(bus, "hold", 2, by=dispatcher, reason="cable")
    event = AuditEvent.objects.get(verb="override.made")
    assert event.sentence == "dispatcher ordered Bus 01: hold until Tue 13:00."
    assert (event.actor, event.facts["override"], event.facts["reason"]) == (dispatcher, order.pk, "cable")
    job = Job.objects.get(kind="plan")
    assert job.requested_by == dispatcher
    assert run(job.pk, beat=False)
    plan = Plan.objects.latest("pk")
    assert plan.trigger == "Bus 01: hold until Tue 13:00"
    bus_plan = plan.answer["vehicles"][str(bus.pk)]
    assert not any(bus_plan["charge_kw"][:8]) and not any(bus_plan["discharge_kw"][:8])
    assert "a person ordered it to hold until 13:00" in plan.answer["explanations"][str(bus.pk)][0]["because"]
    service.withdraw(order, dispatcher, NOW)
    assert AuditEvent.objects.get(verb="override.withdrawn").facts == {"override": order.pk}
    assert Job.objects.filter(kind="plan").count() == 2


# --- pages


def token_of(page) -> str:
    return re.search(r'name="token" value="([^"]+)"', page.content.decode()).group(1)


def test_cost_first_then_confirmation_then_withdrawal(login, bus: Vehicle, dispatcher: User) -> None:
    client, depot = login(dispatcher), bus.depot
    form = client.get(url(depot, "order", bus.pk))
    assert "Until, or by (EDT)" in text_of(form)
    shown = client.post(
        url(depot, "order", bus.pk), {"kind": "ready_by", "to_at": LOCAL_20, "soc_percent": 95}
    )
    assert "It costs about $" in text_of(shown)
    assert "ready by Tue 20:00 with 95 %" in text_of(shown)
    assert not Override.objects.exists()
    done = client.post(url(depot, "order-confirm", bus.pk), {"token": token_of(shown)}, follow=True)
    order = Override.objects.get()
    assert (order.to_at, order.made_by) == (in_hours(9), dispatcher)
    assert "A new plan follows in a moment." in text_of(done)
    assert "ordered by dispatcher" in text_of(done)
    cost = AuditEvent.objects.get(verb="override.made").facts["cost"]
    assert f"It costs about ${cost:.2f} more" in text_of(shown)
    done = client.post(url(depot, "order-withdraw", order.pk), follow=True)
    assert "the order is withdrawn" in text_of(done)
    assert "Orders in force" not in text_of(done)
    assert "over already" in text_of(client.post(url(depot, "order-withdraw", order.pk), follow=True))


def test_a_script_gets_fragments_and_is_sent_to_the_plan(login, bus: Vehicle, dispatcher: User) -> None:
    client, depot = login(dispatcher), bus.depot
    shown = client.post(url(depot, "order", bus.pk), {"kind": "hold", "to_at": LOCAL_13}, headers=HTMX)
    assert "<html" not in shown.content.decode()
    done = client.post(url(depot, "order-confirm", bus.pk), {"token": token_of(shown)}, headers=HTMX)
    assert done.headers["HX-Redirect"] == url(depot, "plan")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "hold", "to_at": ""}, "This field is required."),
        ({"kind": "hold", "to_at": "2026-03-10T10:00"}, "Choose a time ahead"),
        ({"kind": "limit", "to_at": LOCAL_13}, "Say at most how many kW."),
        ({"kind": "ready_by", "to_at": LOCAL_13}, "Say which charge it must have."),
        ({"kind": "nothing", "to_at": LOCAL_13}, "Select a valid choice."),
    ],
)
def test_the_form_says_what_is_wrong(login, bus: Vehicle, dispatcher: User, values: dict, words: str) -> None:
    page = login(dispatcher).post(url(bus.depot, "order", bus.pk), values)
    assert words in text_of(page)
    assert 'name="token"' not in page.content.decode()


def test_only_what_was_previewed_here_and_lately_can_be_confirmed(
    login, bus: Vehicle, yard: Yard, dispatcher: User
) -> None:
    client, depot = login(dispatcher), bus.depot
    shown = client.post(url(depot, "order", bus.pk), {"kind": "hold", "to_at": LOCAL_13})
    token = token_of(shown)
    other = yard.vehicles["Bus 02"]
    for vehicle, text in ((other, token), (bus, token[:-2]), (bus, "")):
        page = client.post(url(depot, "order-confirm", vehicle.pk), {"token": text}, follow=True)
        assert "this preview is too old" in text_of(page)
    give(bus, "charge_now", 1)
    page = client.post(url(depot, "order-confirm", bus.pk), {"token": token}, follow=True)
    assert "Nothing was ordered." in text_of(page)
    with time_machine.travel(in_hours(0.6), tick=False):
        page = client.post(url(depot, "order-confirm", bus.pk), {"token": token}, follow=True)
    assert "this preview is too old" in text_of(page)
    assert Override.objects.filter(kind="hold").count() == 0


@pytest.mark.parametrize("role", ["viewer", "technician"])
def test_who_may_not_order_sees_orders_and_no_buttons(login, bus: Vehicle, role: str) -> None:
    order, client = give(bus, "hold"), login(make_person(bus.depot, role))
    page = client.get(url(bus.depot, "plan"))
    assert "hold until Tue 13:00" in text_of(page)
    assert "order/" not in page.content.decode() and "withdraw" not in page.content.decode()
    assert "order/" not in client.get(url(bus.depot, "plan-vehicle", bus.pk)).content.decode()
    assert client.get(url(bus.depot, "order", bus.pk)).status_code == 403
    assert client.post(url(bus.depot, "order-confirm", bus.pk)).status_code == 403
    assert client.post(url(bus.depot, "order-withdraw", order.pk)).status_code == 403
    assert overrides_in_force(bus.depot, NOW) == [order]


@pytest.mark.parametrize("role", ["dispatcher", "manager", "owner"])
def test_dispatchers_and_up_may_order(login, bus: Vehicle, role: str) -> None:
    client = login(make_person(bus.depot, role))
    assert "order/" in client.get(url(bus.depot, "plan")).content.decode()
    assert client.get(url(bus.depot, "order", bus.pk)).status_code == 200


def test_another_depots_vehicle_and_order_are_not_found(login, yard: Yard, outsider: User) -> None:
    elsewhere = make_depot("Elsewhere")
    strange = make_vehicle(elsewhere)
    order = Override.objects.create(
        depot=elsewhere, vehicle=strange, kind="hold", from_at=NOW, to_at=in_hours(1), made_at=NOW
    )
    dispatcher = make_person(yard.depot, "dispatcher")
    bus = yard.vehicles["Bus 01"]
    for user, vehicle in ((dispatcher, strange), (outsider, bus)):
        client = login(user)
        assert client.get(url(yard.depot, "order", vehicle.pk)).status_code == 404
        assert client.post(url(yard.depot, "order-confirm", vehicle.pk)).status_code == 404
        assert client.post(url(yard.depot, "order-withdraw", order.pk)).status_code == 404
    assert overrides_in_force(elsewhere, NOW) == [order]


def test_the_form_costs_a_fixed_number_of_queries(
    login, bus: Vehicle, dispatcher: User, django_assert_num_queries
) -> None:
    client = login(dispatcher)
    with django_assert_num_queries(6):
        client.get(url(bus.depot, "order", bus.pk))


# --- the API


def caller(depot: Depot, *scopes: str) -> Client:
    _, raw = make_key(depot, "test", scopes)
    return Client(headers={"Authorization": f"Bearer {raw}"})


def send(client: Client, data: dict, **headers: str):
    return client.post(
        "/api/v1/overrides", json.dumps(data), content_type="application/json", headers=headers
    )


def test_a_program_previews_orders_reads_and_withdraws(bus: Vehicle) -> None:
    client = caller(bus.depot, "read", "overrides")
    wanted = {"vehicle": bus.pk, "kind": "limit", "to_at": in_hours(2).isoformat(), "max_kw": 5}
    dry = send(client, wanted | {"dry_run": True})
    assert (dry.status_code, dry.json()["override"]) == (200, None)
    assert "cost" in dry.json()["preview"]
    assert not Override.objects.exists()
    made = send(client, wanted, **{"Idempotency-Key": "a"})
    assert made.status_code == 201
    again = send(client, wanted, **{"Idempotency-Key": "a"})
    assert again.json() == made.json()
    order = Override.objects.get()
    assert (order.max_kw, order.made_by, order.made_by_name) == (5, None, "API key test")
    (listed,) = client.get("/api/v1/overrides?in_force=true").json()["results"]
    assert listed == client.get(f"/api/v1/overrides/{order.pk}").json() == made.json()["override"]
    assert client.get("/api/v1/overrides?in_force=false").json()["results"] == []
    assert client.delete(f"/api/v1/overrides/{order.pk}").status_code == 204
    assert client.delete(f"/api/v1/overrides/{order.pk}").status_code == 204
    (listed,) = client.get("/api/v1/overrides?in_force=false").json()["results"]
    assert listed["withdrawn_by_name"] == "API key test"
    assert AuditEvent.objects.filter(verb="override.withdrawn").count() == 1


def test_an_orders_cost_is_computed_before_its_transaction_and_once(
    bus: Vehicle, dispatcher: User, monkeypatch
) -> None:
    client, preview, open_transactions = caller(bus.depot, "overrides"), service.preview, []
    contradiction: list[Override] = []

    def slow(*arguments):
        open_transactions.append(len(connection.savepoint_ids))
        found = preview(*arguments)
        if len(open_transactions) == 2:
            contradiction.append(give(bus, "hold", by=dispatcher))
        return found

    monkeypatch.setattr(service, "preview", slow)
    outside = len(connection.savepoint_ids)
    wanted = {"vehicle": bus.pk, "kind": "limit", "to_at": in_hours(2).isoformat(), "max_kw": 5}
    for _ in range(2):
        assert send(client, wanted, **{"Idempotency-Key": "a"}).status_code == 201
    assert open_transactions == [outside], "a repeated request is answered without computing again"
    charge = {"vehicle": bus.pk, "kind": "charge_now", "to_at": in_hours(2).isoformat()}
    refused = send(client, charge, **{"Idempotency-Key": "b"})
    assert (refused.status_code, open_transactions) == (400, [outside, outside])
    assert "Withdraw that order first" in refused.content.decode()
    assert set(Override.objects.filter(kind="hold")) == set(contradiction)
    assert not Override.objects.filter(kind="charge_now").exists()


def test_a_program_needs_the_scope_and_its_own_depot(
    bus: Vehicle, other_depot: Depot, login, manager
) -> None:
    order = give(bus, "hold")
    wanted = {"vehicle": bus.pk, "kind": "hold", "to_at": in_hours(2).isoformat()}
    for client in (caller(bus.depot, "read", "schedules"), login(manager)):
        assert send(client, wanted).status_code == 403
        assert client.delete(f"/api/v1/overrides/{order.pk}").status_code == 403
    stranger = caller(other_depot, "read", "overrides")
    assert send(stranger, wanted).status_code == 404
    assert stranger.get(f"/api/v1/overrides/{order.pk}").status_code == 404
    assert stranger.delete(f"/api/v1/overrides/{order.pk}").status_code == 404
    assert stranger.get("/api/v1/overrides").json()["results"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "stop"}, "kind"),
        ({"to_at": NOW.isoformat()}, "to_at"),
        ({"soc": 0.5}, "soc"),
        ({"soc": 2}, "soc"),
    ],
)
def test_a_program_is_told_which_value_is_wrong(bus: Vehicle, changes: dict, field: str) -> None:
    wanted = {"vehicle": bus.pk, "kind": "hold", "to_at": in_hours(2).isoformat()} | changes
    answer = send(caller(bus.depot, "overrides"), wanted)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert not Override.objects.exists()
