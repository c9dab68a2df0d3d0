"""The pages of the live board: who sees what, what is sent again, and at which cost."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.urls import reverse

from charging.models import Charger, ChargerCommand, ChargingSession, Connector, MeterSample, UnknownStation
from charging.services.notices import note
from depot.models import AuditEvent, Depot, User
from fleet.models import Vehicle, VehicleState
from tests.charging.plans import STEPS, make_plan_row
from tests.factories import NOW, grid_of, make_block, make_charger, make_person, make_type, make_vehicle

pytestmark = pytest.mark.any_database

BECAUSE = (
    "charges: a kWh costs the depot 0.58 USD here, demand charges included; ready for its next departure by "
)


@pytest.fixture(autouse=True)
def at_eleven():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


def url(depot: Depot, view: str = "board", *args: int, query: str = "") -> str:
    return reverse(f"charging:{view}", args=[depot.slug, *args]) + query


def fill(depot: Depot, size: int) -> list[Vehicle]:
    """Put `size` vehicles at a plug of their own each, measured just now, with a plan that says why."""
    kind, node = make_type(depot), grid_of(depot)
    first = Vehicle.objects.count()
    names = [f"{number:03}" for number in range(first, first + size)]
    vehicles = Vehicle.objects.bulk_create(
        [Vehicle(depot=depot, type=kind, name=f"Bus {name}", in_service_on="2025-08-01") for name in names]
    )
    VehicleState.objects.bulk_create(
        [
            VehicleState(vehicle=bus, observed_at=NOW, soc=0.6, soc_source="charger", soc_observed_at=NOW,
                         plugged_in=True)
            for bus in vehicles
        ]
    )  # fmt: skip
    chargers = Charger.objects.bulk_create(
        [
            Charger(depot=depot, node=node, name=f"C-{name}", identity=f"{depot.slug}{name}", current="dc",
                    max_charge_kw=60, connected=True, last_seen_at=NOW, booted_at=NOW, protocol="ocpp2.1")
            for name in names
        ]
    )  # fmt: skip
    connectors = Connector.objects.bulk_create(
        [
            Connector(charger=charger, vehicle=bus, bay=f"B-{bus.name[-3:]}", status="occupied")
            for charger, bus in zip(chargers, vehicles, strict=True)
        ]
    )
    sessions = ChargingSession.objects.bulk_create(
        [
            ChargingSession(connector=row, vehicle=row.vehicle, transaction_id="1", plugged_in_at=NOW)
            for row in connectors
        ]
    )
    MeterSample.objects.bulk_create(
        [
            MeterSample(session=row, sampled_at=NOW, received_at=NOW, power_kw=row.pk / 7, import_kwh_total=1)
            for row in sessions
        ]
    )
    told = {
        str(bus.pk): [
            {"from_step": 0, "to_step": STEPS, "action": "charge", "because": f"{BECAUSE}{bus.pk % 24}:45."}
        ]
        for bus in vehicles
    }
    make_plan_row(depot, dict.fromkeys(vehicles, 0.8), answer={"explanations": told})
    return vehicles


# --- who may see what


@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_every_member_sees_the_board_and_site_people_the_stations(login, depot: Depot, role: str) -> None:
    connector = make_charger(depot, make_vehicle(depot)).connectors.get()
    client = login(make_person(depot, role))
    seen = {
        name: client.get(address).status_code
        for name, address in {
            "board": url(depot),
            "yard": url(depot, query="?sort=yard"),
            "changes": url(depot, "board-changes"),
            "connector": url(depot, "board-connector", connector.pk),
            "stations": url(depot, query="?view=technician"),
            "their changes": url(depot, "board-changes", query="?view=technician"),
            "layout": url(depot, "board-layout"),
        }.items()
    }
    site = 200 if role in ("technician", "manager", "owner") else 403
    assert list(seen.values()) == [200] * 4 + [site] * 3
    assert ("Stations" in client.get(url(depot)).content.decode()) == (site == 200)


def test_a_stranger_finds_nothing_and_a_neighbours_connector_is_no_ones(
    login, depot: Depot, other_depot: Depot, viewer: User, outsider: User
) -> None:
    own, foreign = (make_charger(one).connectors.get() for one in (depot, other_depot))
    client = login(outsider)
    addresses = [url(depot), url(depot, "board-changes"), url(depot, "board-connector", own.pk)]
    addresses += [url(depot, "board-layout"), url(depot, query="?view=technician")]
    assert {client.get(address).status_code for address in addresses} == {404}
    assert client.post(url(depot, "board-layout")).status_code == 404
    page = login(viewer).get(url(depot)).content.decode()
    assert str(own) in page and str(foreign) not in page
    assert login(viewer).get(url(depot, "board-connector", foreign.pk)).status_code == 404


def test_who_sets_stations_up_is_led_to_their_operations(login, depot: Depot, technician: User) -> None:
    charger = make_charger(depot, connected=True, booted_at=NOW)
    UnknownStation.objects.create(identity="X-1", address="10.0.0.9", first_seen_at=NOW, last_seen_at=NOW)
    address = url(depot, query="?view=technician")
    assert "X-1" not in (page := login(technician).get(address).content.decode()) and "/admin/" not in page
    User.objects.filter(pk=technician.pk).update(is_staff=True)
    page = login(technician).get(address).content.decode()
    assert "1 station that nobody has set up has knocked" in page
    assert f"/admin/charging/charger/?q={charger.identity}" in page
    assert f"/admin/charging/charger/{charger.pk}/change/" in page


def test_an_operation_is_ordered_only_when_chosen_and_confirmed(
    login, depot: Depot, other_depot: Depot, technician: User, dispatcher: User
) -> None:
    charger, foreign = (make_charger(one, connected=True, booted_at=NOW) for one in (depot, other_depot))
    note(charger, "Alarm", "The door is open.", level="warning")
    client, address = login(technician), url(depot, "board-station", charger.pk)
    order = url(depot, "board-station-order", charger.pk)
    assert "The door is open." in client.get(address).content.decode()
    for values in ({}, {"operation": "explode", "confirmed": "on"}, {"operation": "restart"}):
        assert "Nothing was ordered." in client.post(order, values, follow=True).content.decode()
    assert not ChargerCommand.objects.exists()
    page = client.post(order, {"operation": "restart", "confirmed": "on"}, follow=True).content.decode()
    assert "Ordered: restart when it is idle." in page and "Waiting" in page
    assert AuditEvent.objects.get(verb="charger.restart").actor == technician
    start = {"operation": "start", "confirmed": "on"}
    assert "enter the token to charge with" in client.post(order, start, follow=True).content.decode()
    client.post(order, start | {"given": "TOKEN 1"})
    assert ChargerCommand.objects.get(action="remote_start").payload["id_token"] == "TOKEN 1"
    assert client.get(url(depot, "board-station", foreign.pk)).status_code == 404
    assert (
        client.post(url(depot, "board-station-order", foreign.pk), {"operation": "stop"}).status_code == 404
    )
    client = login(dispatcher)
    assert client.get(address).status_code == client.post(order).status_code == 403


# --- what it says and what is sent again


def test_a_page_gets_only_what_has_changed(login, depot: Depot, viewer: User) -> None:
    first, second = fill(depot, 2)
    make_block(depot, first, depart_minute=800, return_minute=900, energy_kwh=60)
    client = login(viewer)
    page = client.get(url(depot))
    text = page.content.decode()
    assert "Bus 000" in text and "60\u00a0%" in text and "A kWh costs the depot $0.58 here" in text
    assert "13:20" in text
    have = page.context["have"]
    assert client.get(url(depot, "board-changes", query=f"?have={have}")).status_code == 204
    MeterSample.objects.filter(session__vehicle=second).update(power_kw=-9)
    answer = client.get(url(depot, "board-changes", query=f"?have={have}"))
    text, place = answer.content.decode(), second.connectors.get().pk
    assert text.count("<li") == 1 and f'id="tile-{place}" hx-swap-oob="true"' in text
    assert "Discharging" in text and 'id="board-answer"' in text and "board-pieces" not in text
    assert client.get(url(depot, "board-changes", query=f"?have={answer.context['have']}")).status_code == 204
    Charger.objects.filter(connectors__vehicle=second).update(connected=False)
    assert (
        'id="board-pieces"' in client.get(url(depot, "board-changes", query=f"?have={have}")).content.decode()
    )


def test_a_vehicle_stands_where_it_is_plugged_in_not_where_it_parks(
    login, depot: Depot, viewer: User
) -> None:
    bus, _ = fill(depot, 2)
    guest = make_charger(depot, connected=True, booted_at=NOW).connectors.get()
    ChargingSession.objects.filter(vehicle=bus).update(connector=guest)
    tiles = {tile.pk: tile for tile in login(viewer).get(url(depot)).context["pieces"]}
    assert tiles[guest.pk].vehicle == "Bus 000"
    home = tiles[bus.connectors.get().pk]
    assert (home.vehicle, home.why) == ("", f"Bus 000 parks here; it stands at {guest}.")


def test_a_block_without_a_vehicle_is_told_above_the_tiles(login, depot: Depot, viewer: User) -> None:
    fill(depot, 1)
    make_block(depot, None, "404", depart_minute=850, return_minute=960)
    text = login(viewer).get(url(depot)).content.decode()
    assert "Block 404 has no vehicle." in text and "1 needs you" in text


def test_an_empty_depot_says_what_to_do(login, depot: Depot, viewer: User) -> None:
    assert "No charger is entered yet." in login(viewer).get(url(depot)).content.decode()


# --- what it costs


def test_more_tiles_cost_no_more_queries_and_a_whole_refresh_stays_small(
    login, depot: Depot, technician: User, django_assert_num_queries
) -> None:
    client = login(technician)
    budgets = {url(depot): 16, url(depot, "board-changes"): 15, url(depot, query="?view=technician"): 9}
    for size in (3, 197):
        for number, bus in enumerate(fill(depot, size)[:3]):
            make_block(depot, bus, f"{size}{number}", depart_minute=800, return_minute=900)
        for address, budget in budgets.items():
            client.get(address)
            with django_assert_num_queries(budget):
                client.get(address)
    answer = client.get(url(depot, "board-changes"), headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.content).count(b'<li class="tile') == 200
    assert len(answer.content) <= 30_000


# --- the layout of the yard


def test_the_layout_is_suggested_saved_and_followed(login, depot: Depot, technician: User) -> None:
    one, two, three = (make_charger(depot, name=name).connectors.get() for name in ("C-1", "C-2", "C-3"))
    for connector, bay in ((one, "B-10"), (two, "B-2"), (three, "A-1")):
        Connector.objects.filter(pk=connector.pk).update(bay=bay)
    client, address = login(technician), url(depot, "board-layout")
    page = client.get(address).content.decode()
    assert "suggested" in page and 'name="row_' in page
    wrong = {f"row_{one.pk}": 1, f"place_{one.pk}": 2, f"row_{two.pk}": 1, f"place_{two.pk}": 2}
    refused = client.post(address, wrong | {f"row_{three.pk}": 4}).content.decode()
    assert "stands there already" in refused and "Enter row and place" in refused
    assert not Connector.objects.exclude(yard_row=None).exists()
    right = {f"row_{one.pk}": 1, f"place_{one.pk}": 3, f"row_{two.pk}": 1, f"place_{two.pk}": 1}
    answer = client.post(address, right)
    assert answer.url == url(depot, query="?sort=yard")
    assert AuditEvent.objects.get(verb="yard.arranged").facts == {"connectors": [one.pk, two.pk]}
    text = client.get(answer.url).content.decode()
    assert text.index("B-2") < text.index("tile gap") < text.index("B-10") < text.index("Not in a row yet")
    assert client.post(address, right).status_code == 302
    assert AuditEvent.objects.filter(verb="yard.arranged").count() == 1


def test_a_page_that_is_left_open_learns_of_a_new_layout(login, depot: Depot, viewer: User) -> None:
    bus, _ = fill(depot, 2)
    client = login(viewer)
    have = client.get(url(depot, query="?sort=yard")).context["have"]
    bus.connectors.update(yard_row=7, yard_place=1)
    answer = client.get(url(depot, "board-changes", query=f"?sort=yard&have={have}"))
    assert "Row 7" in answer.content.decode() and "Not in a row yet" in answer.content.decode()


def test_the_connector_page_tells_charger_session_and_reasons(login, depot: Depot, viewer: User) -> None:
    bus, _ = fill(depot, 2)
    Charger.objects.update(last_seen_at=NOW - timedelta(seconds=30))
    connector = bus.connectors.get()
    address = url(depot, "board-connector", connector.pk)
    client = login(viewer)
    fragment = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment and "heard of 30 s ago" in fragment and "What it does, and why" in fragment
    assert "<html" in client.get(address).content.decode()
    Connector.objects.filter(pk=connector.pk).update(vehicle=None)
    ChargingSession.objects.update(unplugged_at=NOW)
    assert "No vehicle parks here." in client.get(address).content.decode()
