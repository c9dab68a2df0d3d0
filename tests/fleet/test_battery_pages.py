"""Battery health pages: a sentence first, every vehicle by concern, the numbers of the rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from depot.models import Depot, User
from fleet.models import BatteryHealth, TelemetryReading, Vehicle
from fleet.selectors.battery import Advice
from fleet.views.battery_words import advice_words
from tests import factories

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
TODAY = date(2026, 3, 10)
Login = Callable[[User], Client]
pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture(autouse=True)
def at_now(time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)


def make_health(vehicle: Vehicle, day: date = TODAY - timedelta(days=1), **changes: Any) -> BatteryHealth:
    values = {
        "soh": 0.95,
        "soh_uncertainty": 0.015,
        "calendar_loss": 0.03,
        "cycling_loss": 0.02,
        "v2g_loss": 0.001,
        "trend_per_year": 0.05,
        "outlook_per_year": 0.021,
        "v2g_outlook_per_year": 0.004,
        "equivalent_full_cycles": 120.0,
        "throughput_kwh": 24_000.0,
        "v2g_throughput_kwh": 900.0,
        "hours_above_80": 60.0,
        "recorded_hours": 1000.0,
        "wear_cost_per_kwh": 0.035,
        "model": "lfp",
    } | changes
    return BatteryHealth.objects.create(vehicle=vehicle, date=day, computed_at=NOW, **values)


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(
        re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S).split()
    )


@pytest.fixture
def kind(depot: Depot) -> Any:
    return factories.make_type(depot, warranty_throughput_kwh=400_000)


def test_the_page_answers_first_and_lists_by_concern(
    depot: Depot, kind: Any, login: Login, viewer: User
) -> None:
    calm, fast = (factories.make_vehicle(depot, f"Bus 0{number}", type=kind) for number in (1, 2))
    make_health(calm)
    make_health(fast, day=TODAY - timedelta(days=9), outlook_per_year=0.5)
    make_health(fast, outlook_per_year=0.034, v2g_outlook_per_year=-0.002, extrapolated=True)
    factories.make_vehicle(depot, "Bus 03", type=kind)
    text = text_of(login(viewer), f"/{depot.slug}/battery/")
    assert "All 2 batteries are within warranty. The fastest ageing is Bus 02 at 3.4 % a year." in text
    assert text.index("Bus 02 Fine") < text.index("Bus 01 Fine")
    assert "95.0 % ± 1.5 %" in text and "0.4 points" in text and "−0.2 points" in text
    assert (
        "24,000 kWh of 400,000 kWh" in text
        and "Wear, USD/kWh" in text
        and " 6 % " in text
        and " 0.035" in text
    )
    assert "1 vehicle without charge history" in text
    assert "1 of 2 vehicles are used outside the conditions" in text
    assert "Less than four weeks" not in text


@pytest.mark.parametrize(
    ("changes", "warranty", "sentence"),
    [
        ({"throughput_kwh": 400_001.0}, 400_000, "Bus 01 is beyond warranty or below 80 % of capacity."),
        ({"soh": 0.79}, 400_000, "Bus 01 is beyond warranty or below 80 % of capacity."),
        ({}, None, "No vehicle has a warranty limit on record; all 1 are above 80 % of their capacity."),
        ({"throughput_kwh": 380_000.0}, 400_000, "All 1 batteries are within warranty."),
    ],
)
def test_the_sentence_is_true(
    depot: Depot, login: Login, viewer: User, changes: dict[str, float], warranty: float | None, sentence: str
) -> None:
    vehicle = factories.make_vehicle(depot, type=factories.make_type(depot, warranty_throughput_kwh=warranty))
    make_health(vehicle, recorded_hours=100.0, **changes)
    text = text_of(login(viewer), f"/{depot.slug}/battery/")
    assert sentence in text
    assert "Less than four weeks of charge history" in text


def test_some_have_a_warranty_and_some_have_none(depot: Depot, kind: Any, login: Login, viewer: User) -> None:
    make_health(factories.make_vehicle(depot, "Bus 01", type=kind))
    make_health(factories.make_vehicle(depot, "Bus 02"), v2g_throughput_kwh=0.0)
    text = text_of(login(viewer), f"/{depot.slug}/battery/")
    assert "All 1 batteries with a warranty limit are within it; 1 have none on record." in text
    assert "no V2G" in text and "no limit on record" in text


def test_a_vehicle_has_its_numbers_its_line_and_its_last_week(
    depot: Depot, kind: Any, login: Login, viewer: User
) -> None:
    vehicle = factories.make_vehicle(depot, type=kind)
    for number in range(1, 5):
        make_health(vehicle, day=TODAY - timedelta(days=number), soh=0.95 + number / 1000)
    TelemetryReading.objects.bulk_create(
        TelemetryReading(
            vehicle=vehicle,
            observed_at=NOW - timedelta(minutes=10 * number),
            received_at=NOW,
            source="charger",
            soc=0.5 + 0.4 * (number % 2),
        )
        for number in range(300)
    )
    text = text_of(login(viewer), f"/{depot.slug}/battery/{vehicle.pk}/")
    assert (
        "Bus 01 has 95.1 % of its capacity left and will lose 2.1 % a year if it is used as now, "
        "0.4 points of that from V2G." in text
    )
    assert "From 95.40 % to 95.10 % in 3 days" in text
    assert "Between 50 % and 90 %" in text
    assert "24,000 kWh of 400,000 kWh have left the battery (6 %)" in text
    assert "LFP-graphite" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"v2g_throughput_kwh": 0.0}, "none of that from V2G"),
        ({"v2g_outlook_per_year": -0.003}, "0.3 points less than without V2G"),
    ],
)
def test_v2g_is_blamed_only_for_what_it_did(
    depot: Depot, login: Login, viewer: User, changes: dict[str, float], words: str
) -> None:
    vehicle = factories.make_vehicle(depot)
    make_health(vehicle, recorded_hours=30.0, model="another", **changes)
    text = text_of(login(viewer), f"/{depot.slug}/battery/{vehicle.pk}/")
    assert words in text
    assert "The line begins when two assessments have a full week" in text
    assert "30 hours of charge history are recorded." in text
    assert "too little to say what would help" in text


def test_nothing_assessed_yet_says_when_it_will_be(depot: Depot, login: Login, viewer: User) -> None:
    vehicle = factories.make_vehicle(depot)
    client = login(viewer)
    assert "No battery has been assessed yet." in text_of(client, f"/{depot.slug}/battery/")
    assert "has not been assessed yet" in text_of(client, f"/{depot.slug}/battery/{vehicle.pk}/")
    assert "Batteries are assessed each night" in text_of(client, f"/{depot.slug}/cards/battery")


def test_the_card_names_the_most_worrying(depot: Depot, kind: Any, login: Login, viewer: User) -> None:
    for number in range(1, 6):
        make_health(factories.make_vehicle(depot, f"Bus 0{number}", type=kind), outlook_per_year=number / 100)
    text = text_of(login(viewer), f"/{depot.slug}/cards/battery")
    assert "All 5 batteries are within warranty. The fastest ageing is Bus 05 at 5.0 % a year." in text
    assert "Bus 03" in text and "Bus 02" not in text


@pytest.mark.parametrize("path", ["battery/", "battery/{pk}/", "cards/battery"])
def test_only_the_depot_s_people_see_batteries(
    depot: Depot, login: Login, viewer: User, technician: User, outsider: User, path: str
) -> None:
    vehicle = factories.make_vehicle(depot)
    make_health(vehicle)
    address = f"/{depot.slug}/{path.format(pk=vehicle.pk)}"
    for user in (viewer, technician):
        assert login(user).get(address).status_code == 200
    assert login(outsider).get(address).status_code == 404
    assert Client().get(address).status_code == 302


def test_a_vehicle_of_another_depot_is_not_found(
    depot: Depot, other_depot: Depot, login: Login, viewer: User
) -> None:
    stranger = factories.make_vehicle(other_depot)
    assert login(viewer).get(f"/{depot.slug}/battery/{stranger.pk}/").status_code == 404


def test_the_page_takes_as_many_queries_for_many_vehicles_as_for_one(
    depot: Depot, kind: Any, login: Login, viewer: User, django_assert_max_num_queries: Any
) -> None:
    client = login(viewer)
    for number in range(12):
        make_health(factories.make_vehicle(depot, f"Bus {number:02}", type=kind))
    client.get(f"/{depot.slug}/battery/")
    with django_assert_max_num_queries(8):
        client.get(f"/{depot.slug}/battery/")
    with django_assert_max_num_queries(6):
        client.get(f"/{depot.slug}/cards/battery")


@pytest.mark.parametrize(
    ("advice", "words"),
    [
        (Advice(0.4, 0.01), "nothing in its charging needs a change"),
        (
            Advice(30.0, 0.0001),
            "above 80 % for 30 hours a week; for this kind of cell that makes no difference",
        ),
        (Advice(30.0, 0.004), "would save up to 0.4 % of its capacity a year"),
        (None, "too little to say what would help"),
    ],
)
def test_advice_comes_from_the_numbers(advice: Advice | None, words: str) -> None:
    assert words in advice_words(advice)
