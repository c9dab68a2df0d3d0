"""The pages of vehicles: what they say is what the rows say, for the people of the depot."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from charging.models import ChargingSession
from charging.selectors.vehicle_page import alerts_about, vehicle_page
from depot.models import Alert, Depot, User
from fleet.models import Outage, TelemetryReading, Vehicle
from tests.charging.plans import make_plan_row
from tests.charging.yard import Yard, make_yard
from tests.factories import NOW, make_block, make_charger, make_depot, make_person, make_vehicle
from tests.fleet.test_battery_pages import make_health

pytestmark = pytest.mark.any_database

PAGE_QUERIES, LIST_QUERIES = 30, 20


@pytest.fixture(autouse=True)
def at_eleven():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


def url(depot: Depot, view: str, *args: Any) -> str:
    return reverse(f"charging:{view}", args=[depot.slug, *args])


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    plain = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+([,.;:])", r"\1", " ".join(plain.split()))


@pytest.fixture
def bus(depot: Depot) -> Vehicle:
    """Make a bus that leaves on weekdays at 14:00 local time (18:00 UTC) and needs 60 %."""
    bus = make_vehicle(depot, "Bus 07", soc=0.55, v2g_min_soc=0.3, vin="1FVBUS07")
    make_charger(depot, bus, connected=True)
    make_block(depot, bus, "207", depart_minute=840, return_minute=960, energy_kwh=40, min_soc_departure=0.6)
    return bus


def hear(vehicle: Vehicle, minutes_ago: int, soc: float) -> None:
    at = NOW - timedelta(minutes=minutes_ago)
    TelemetryReading.objects.create(
        vehicle=vehicle, observed_at=at, received_at=at, source="telematics", soc=soc
    )


# --- who may see what


@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_every_member_sees_the_vehicles(login, bus: Vehicle, role: str) -> None:
    client = login(make_person(bus.depot, role))
    assert client.get(url(bus.depot, "vehicles")).status_code == 200
    page = client.get(url(bus.depot, "vehicle", bus.pk))
    assert page.status_code == 200
    may_order = role in ("dispatcher", "manager", "owner")
    assert (url(bus.depot, "order", bus.pk) in page.content.decode()) == may_order


def test_a_stranger_finds_nothing_and_a_neighbours_vehicle_is_no_ones(
    login, bus: Vehicle, outsider: User, viewer: User
) -> None:
    addresses = [url(bus.depot, "vehicles"), url(bus.depot, "vehicle", bus.pk)]
    assert {login(outsider).get(address).status_code for address in addresses} == {404}
    assert {Client().get(address).status_code for address in addresses} == {302}
    strange = make_vehicle(make_depot("Elsewhere"))
    assert login(viewer).get(url(bus.depot, "vehicle", strange.pk)).status_code == 404


# --- one vehicle


def test_the_page_answers_where_it_is_and_whether_it_will_be_ready(login, bus: Vehicle, viewer: User) -> None:
    make_plan_row(bus.depot, {bus: 0.8})
    text = text_of(login(viewer), url(bus.depot, "vehicle", bus.pk))
    place = bus.connectors.get().bay
    assert (
        f"Bus 07 is plugged in at {place} with 55 %. It leaves Tue 10 Mar 14:00 and needs 60 %: on track."
        in (text.replace("\u00a0", " "))
    )
    assert "VIN 1FVBUS07" in text and "from its charger, just now" in text
    assert "Allowed down to 30 %" in text


def test_coming_blocks_say_what_they_need_and_why(login, bus: Vehicle, viewer: User) -> None:
    text = text_of(login(viewer), url(bus.depot, "vehicle", bus.pk)).replace("\u00a0", " ")
    page = vehicle_page(bus.depot, bus, NOW)
    assert [row.need.duty.service_date.day for row in page.coming] == [10, 11, 12, 13, 16]
    assert page.coming[0].verdict is not None and page.coming[-1].verdict is None
    for row in page.coming:
        assert row.need.reason in text
    assert "60 % At risk 40 kWh" in text and "There is no plan yet. It has 55 % and needs 60 %." in text


def test_departures_of_the_last_days_are_marked_by_the_charge_they_left_with(
    login, bus: Vehicle, viewer: User
) -> None:
    day = 24 * 60
    hear(bus, day - 180 + 10, 0.75)  # ten minutes before it left on Monday at 14:00
    hear(bus, 30, 0.5)
    page = vehicle_page(bus.depot, bus, NOW)
    assert [(row.need.duty.service_date.day, row.met) for row in page.left] == [(9, True)]
    response = login(viewer).get(url(bus.depot, "vehicle", bus.pk))
    text = response.content.decode()
    assert (
        "Bus 07 was between 50 % and 75 % in the last 3 days; 1 of 1 departure had the charge needed." in text
    )
    figure = json.loads(
        re.findall(r'<script id="trace-figure" type="application/json">(.*?)</script>', text)[0]
    )
    needed = next(trace for trace in figure["data"] if trace["name"] == "Needed")
    assert needed["marker"]["symbol"] == ["diamond"] and needed["y"] == [pytest.approx(60)]
    assert "needs 60 %" in text


def test_a_reading_too_long_before_a_departure_says_nothing_of_it(bus: Vehicle) -> None:
    hear(bus, 24 * 60, 0.75)  # three hours before
    left = vehicle_page(bus.depot, bus, NOW).left
    assert [row.soc for row in left] == [None] and not left[0].met


def test_sessions_battery_outages_and_alerts_are_those_of_this_vehicle(
    login, bus: Vehicle, viewer: User
) -> None:
    other = make_vehicle(bus.depot, "Bus 08")
    make_charger(bus.depot, other)
    for vehicle, energy in ((bus, 41.5), (other, 77.7)):
        ChargingSession.objects.create(
            connector=vehicle.connectors.get(), vehicle=vehicle, transaction_id="1", soc_in=0.3, soc_out=0.5,
            plugged_in_at=NOW - timedelta(hours=9), unplugged_at=NOW - timedelta(hours=4),
            import_kwh=energy, export_kwh=3.2,
        )  # fmt: skip
        Outage.objects.create(
            vehicle=vehicle, from_at=NOW - timedelta(days=9), to_at=NOW - timedelta(days=8),
            reason=f"Brakes of {vehicle}", made_at=NOW,
        )  # fmt: skip
        Alert.objects.create(
            depot=bus.depot, key=f"unplugged:{vehicle.pk}", level="warning", title=f"{vehicle} hangs free",
            raised_at=NOW, seen_at=NOW,
        )  # fmt: skip
    bus.type.warranty_throughput_kwh = 96_000
    bus.type.save()
    make_health(bus)
    text = text_of(login(viewer), url(bus.depot, "vehicle", bus.pk)).replace("\u00a0", " ")
    assert "30 % → 50 % 41.5 kWh 3.2 kWh" in text and "77.7" not in text
    assert "Brakes of Bus 07" in text and "Brakes of Bus 08" not in text
    assert "Bus 07 hangs free" in text and "Bus 08 hangs free" not in text
    assert "24,000 kWh of 96,000 kWh have left it (25 %)" in text and "95.0 %" in text


def test_alerts_are_found_by_vehicle_block_connector_and_charger(bus: Vehicle) -> None:
    connector = bus.connectors.get()
    own = [
        f"unplugged:{bus.pk}", "ready:4:2026-03-10", f"fault:{connector.pk}", f"interrupted:{connector.pk}",
        f"charger:{connector.charger_id}", f"station:{connector.charger_id}:FaultEvent",
    ]  # fmt: skip
    foreign = [
        f"unplugged:{bus.pk}0",
        "ready:5:2026-03-10",
        f"fault:{connector.pk}1",
        f"charger:{connector.charger_id}2",
    ]
    alerts = [Alert(key=key) for key in (*own, *foreign, "peak:d", "charger")]
    found = alerts_about(alerts, bus.pk, connector, ["4:2026-03-10"])
    assert [alert.key for alert in found] == own
    assert [alert.key for alert in alerts_about(alerts, bus.pk, None, [])] == own[:1]


def test_a_vehicle_of_which_nothing_is_known_says_the_next_step(login, depot: Depot, viewer: User) -> None:
    bare = make_vehicle(depot, "Bus 09", soc=None)
    text = text_of(login(viewer), url(depot, "vehicle", bare.pk))
    assert "Bus 09 is not plugged in; its charge is not known. No block is ahead in the next 7 days." in text
    assert "Check its telematics and its charger." in text
    assert "Nothing has been heard of it." in text
    bare.active = False
    bare.save()
    assert "Bus 09 is no longer in use." in text_of(login(viewer), url(depot, "vehicle", bare.pk))


def test_a_vehicle_on_the_road_says_when_it_is_back(login, bus: Vehicle, viewer: User) -> None:
    with time_machine.travel(NOW + timedelta(hours=4), tick=False):
        text = text_of(login(viewer), url(bus.depot, "vehicle", bus.pk))
    assert "Bus 07 is on block 207 until Tue 10 Mar 16:00" in text


# --- the list, and what both cost


def test_the_list_tells_where_everybody_is(login, bus: Vehicle, viewer: User) -> None:
    broken = make_vehicle(bus.depot, "Bus 08", soc=None)
    Outage.objects.create(vehicle=broken, from_at=NOW - timedelta(hours=1), made_at=NOW)
    make_health(bus)
    text = text_of(login(viewer), url(bus.depot, "vehicles")).replace("\u00a0", " ")
    assert "2 vehicles: 1 plugged in, 0 on a block, 1 out of service; 1 next pull-out in doubt." in text
    assert "Tue 10 Mar 14:00 60 % At risk 95.0 %" in text
    assert "Out of service" in text
    assert url(bus.depot, "vehicle", bus.pk) in login(viewer).get(url(bus.depot, "vehicles")).content.decode()


def test_an_empty_list_says_the_next_step(login, depot: Depot, viewer: User) -> None:
    assert "enters them in the set-up" in text_of(login(viewer), url(depot, "vehicles"))


@pytest.mark.parametrize("view", ["vehicles", "vehicle"])
def test_the_pages_take_as_many_queries_for_many_vehicles(
    login, depot: Depot, viewer: User, django_assert_max_num_queries: Any, view: str
) -> None:
    yard: Yard = make_yard(depot, NOW, buses=6)
    for vehicle in yard.vehicles.values():
        make_health(vehicle)
    address = url(depot, view, *([yard.vehicles["Bus 01"].pk] if view == "vehicle" else []))
    client = login(viewer)
    client.get(address)
    with django_assert_max_num_queries(PAGE_QUERIES if view == "vehicle" else LIST_QUERIES):
        client.get(address)


@pytest.mark.parametrize("view", ["card-readiness", "pull-outs", "plan-vehicle", "board-connector"])
def test_other_pages_lead_to_it(login, bus: Vehicle, viewer: User, view: str) -> None:
    make_plan_row(bus.depot, {bus: 0.8})
    number = {"plan-vehicle": [bus.pk], "board-connector": [bus.connectors.get().pk]}.get(view, [])
    body = login(viewer).get(url(bus.depot, view, *number)).content.decode()
    assert url(bus.depot, "vehicle", bus.pk) in body
