"""Taking a charger into service: steps proved by answers and the meter, tests that are safe, a signature that holds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from charging.models import Charger, ChargerCommand, ChargingSession, MeterSample
from charging.selectors.commissioning import Measured, commissioning, judge_discharge, judge_limit
from charging.services.commissioning import CannotTestError, order_test, sign_off
from depot.access.roles import ABILITIES
from depot.models import AuditEvent, Depot, ElectricalNode, MeterReading, User
from tests.factories import NOW, make_charger, make_person, make_vehicle

pytestmark = pytest.mark.any_database

State = ChargerCommand.State
LATER = NOW + timedelta(minutes=4)
QUERIES = 16


@pytest.fixture(autouse=True)
def at_eleven():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def charger(depot: Depot) -> Charger:
    """Make a connected, bidirectional charger with a bus that may discharge at its plug."""
    charger = make_charger(depot, make_vehicle(depot, soc=0.7), connected=True, booted_at=NOW, firmware="1.0")
    connector = charger.connectors.get()
    ChargingSession.objects.create(
        connector=connector, vehicle=connector.vehicle, transaction_id="1", plugged_in_at=NOW
    )
    return charger


def session(charger: Charger) -> ChargingSession:
    return ChargingSession.objects.select_related(
        "connector__charger", "vehicle__type", "vehicle__state"
    ).get(connector__charger=charger)


def states(charger: Charger, now: Any = NOW) -> dict[str, str]:
    charger.refresh_from_db()
    return {step.key: step.state for step in commissioning(charger, now)}


def measure(charger: Charger, power_kw: float, seconds: float = 90) -> None:
    at = NOW + timedelta(seconds=seconds)
    MeterSample.objects.create(
        session=session(charger), sampled_at=at, received_at=at, power_kw=power_kw, import_kwh_total=1
    )


def url(charger: Charger, view: str = "commissioning") -> str:
    return reverse(f"charging:{view}", args=[charger.depot.slug, charger.pk])


def text_of(client: Client, path: str, **extra: Any) -> str:
    response = client.get(path, **extra)
    assert response.status_code == 200, path
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split()).replace("\u00a0", " ")


# --- the steps


def test_connecting_and_starting_are_read_off_what_the_charger_said(depot: Depot) -> None:
    new = make_charger(depot)
    assert states(new) == {
        "connect": "open", "boot": "open", "limit": "open", "discharge": "open", "sign_off": "open"
    }  # fmt: skip
    assert "Give it a password in the set-up first." in commissioning(new, NOW)[0].words
    Charger.objects.filter(pk=new.pk).update(
        connected=False, last_seen_at=NOW - timedelta(hours=1), booted_at=NOW, clock_offset_s=90
    )
    assert states(new)["connect"] == states(new)["boot"] == "failed"
    Charger.objects.filter(pk=new.pk).update(
        connected=True, last_seen_at=NOW, clock_offset_s=1, admission="pending"
    )
    assert (states(new)["connect"], states(new)["boot"]) == ("done", "failed")
    Charger.objects.filter(pk=new.pk).update(admission="accepted", max_discharge_kw=0)
    assert (states(new)["boot"], states(new)["discharge"]) == ("done", "skipped")


@pytest.mark.parametrize(
    ("answers", "powers", "minutes", "state", "words"),
    [
        ([State.WAITING], [], 1, "running", "its meter is read for three minutes"),
        ([State.ACCEPTED], [], 9, "failed", "Its meter said nothing"),
        ([State.REJECTED], [5.0], 2, "failed", "It refused the order."),
        ([State.EXPIRED], [], 9, "failed", "It did not answer in time."),
        ([State.SUPERSEDED], [], 2, "failed", "A new plan took the place"),
        ([State.ACCEPTED], [2.0, 6.4], 4, "done", "It drew at most 6.4 kW under a limit of 6 kW."),
        ([State.ACCEPTED], [2.0, 40.0], 4, "failed", "It drew up to 40 kW under a limit of 6 kW."),
        ([State.ACCEPTED], [0.1], 4, "failed", "nothing charged"),
    ],
)
def test_a_limit_is_judged_by_answer_and_meter(
    answers: list[str], powers: list[float], minutes: int, state: str, words: str
) -> None:
    found, said = judge_limit(Measured(NOW, 6.0, answers, powers), NOW + timedelta(minutes=minutes))
    assert found == state and words in said


@pytest.mark.parametrize(
    ("powers", "state", "words"),
    [
        ([-5.9, -3.0], "done", "It gave up to 5.9 kW when 6 kW were asked for."),
        ([4.0, 0.0], "failed", "nothing flowed back"),
        ([-20.0], "failed", "It gave 20 kW, more than the 6 kW"),
    ],
)
def test_discharging_is_judged_by_what_flowed_back(powers: list[float], state: str, words: str) -> None:
    found, said = judge_discharge(Measured(NOW, -6.0, [State.ACCEPTED], powers), LATER)
    assert found == state and words in said


# --- the tests


def test_a_limit_is_the_safe_level_for_three_minutes(charger: Charger, technician: User) -> None:
    order_test(charger, session(charger), "limit", technician, NOW)
    command = ChargerCommand.objects.get()
    assert command.action == "set_schedule" and command.priority == 0
    assert command.payload["power_kw"][:3] == [6.0] * 3 and set(command.payload["power_kw"][3:]) == {6.0}
    assert command.payload["step_seconds"] == 60
    event = AuditEvent.objects.get(verb="charger.tested")
    assert event.sentence.startswith(f"technician let charger {charger.name} keep to 6 kW for a test")
    assert states(charger)["limit"] == "running"
    ChargerCommand.objects.update(state=State.ACCEPTED)
    measure(charger, 50.0, seconds=30)  # still coming down
    measure(charger, 5.5)
    assert states(charger, LATER)["limit"] == "done"


def test_a_discharge_is_gentle_and_for_this_vehicle_alone(charger: Charger, technician: User) -> None:
    order_test(charger, session(charger), "discharge", technician, NOW)
    payload = ChargerCommand.objects.get().payload
    assert payload["power_kw"][:4] == [-6.0] * 3 + [6.0]
    assert payload["vehicle_id"] == session(charger).vehicle_id
    measure(charger, -5.8)
    assert states(charger, LATER)["discharge"] == "done"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("offline", "is not connected"),
        ("unplugged", "Plug in a vehicle of the depot first"),
        ("stranger", "Plug in a vehicle of the depot first"),
        ("forbidden", "V2G is switched off for Bus 01."),
        ("empty", "needs at least 35 % charge"),
        ("no export", "The site may not export"),
    ],
)
def test_a_discharge_that_must_not_be_is_refused_and_nothing_is_sent(
    charger: Charger, technician: User, change: str, words: str
) -> None:
    one: ChargingSession | None = session(charger)
    assert one is not None and one.vehicle is not None
    if change == "offline":
        charger.connected = False
    elif change == "unplugged":
        one = None
    elif change == "stranger":
        one.vehicle = None
    elif change == "forbidden":
        one.vehicle.v2g_enabled = False
    elif change == "empty":
        one.vehicle.state.soc = 0.34
    else:
        ElectricalNode.objects.update(export_limit_kw=0)
    with pytest.raises(CannotTestError, match=words):
        order_test(charger, one, "discharge", technician, NOW)
    assert not ChargerCommand.objects.exists() and not AuditEvent.objects.exists()


def test_what_the_building_draws_may_be_fed_without_export(charger: Charger, technician: User) -> None:
    ElectricalNode.objects.update(export_limit_kw=0)
    MeterReading.objects.create(
        meter=charger.depot.meters.get(kind="grid"),
        observed_at=NOW,
        received_at=NOW,
        power_kw=30.0,
        import_kwh_total=1,
    )
    order_test(charger, session(charger), "discharge", technician, NOW)
    assert ChargerCommand.objects.count() == 1


def test_a_charger_without_a_safe_level_cannot_be_limited(charger: Charger, technician: User) -> None:
    charger.fallback_kw = 0
    with pytest.raises(CannotTestError, match="has no safe level to test"):
        order_test(charger, session(charger), "limit", technician, NOW)


# --- the signature


def pass_all(charger: Charger, technician: User) -> None:
    for kind, power_kw in (("limit", 5.0), ("discharge", -5.0)):
        order_test(charger, session(charger), kind, technician, NOW)  # type: ignore[arg-type]
        measure(charger, power_kw, seconds=90 if kind == "limit" else 100)
    ChargerCommand.objects.update(state=State.ACCEPTED)
    # both tests lie in the same three minutes here, so each sees the other's power too
    assert states(charger, LATER)["limit"] == "done" == states(charger, LATER)["discharge"]


def test_it_is_signed_off_when_all_is_done_and_not_before(charger: Charger, technician: User) -> None:
    with pytest.raises(CannotTestError, match="“Test a limit” is not done"):
        sign_off(charger, technician, NOW)
    pass_all(charger, technician)
    with time_machine.travel(LATER, tick=False):
        Charger.objects.update(last_seen_at=LATER)
        charger.refresh_from_db()
        sign_off(charger, technician, LATER)
    last = commissioning(charger, LATER)[-1]
    assert last.state == "done" and last.words == "Signed off by technician, Tue 10 Mar 11:04."


def test_what_was_found_outlives_its_commands_and_new_firmware_asks_again(
    charger: Charger, technician: User
) -> None:
    pass_all(charger, technician)
    with time_machine.travel(LATER, tick=False):
        Charger.objects.update(last_seen_at=LATER)
        charger.refresh_from_db()
        sign_off(charger, technician, LATER)
    ChargerCommand.objects.all().delete()
    AuditEvent.objects.filter(verb="charger.tested").delete()
    assert set(states(charger, LATER).values()) == {"done"}
    Charger.objects.update(firmware="2.0")
    found = states(charger, LATER)
    assert (found["limit"], found["discharge"], found["sign_off"]) == ("open", "open", "failed")
    assert "with firmware 1.0. It runs 2.0 now: test it again." in commissioning(charger, LATER)[-1].words


# --- the page


def test_the_page_leads_through_the_steps(login, charger: Charger, technician: User) -> None:
    client = login(technician)
    text = text_of(client, url(charger))
    assert f"{charger.name}: 2 of 5 steps are done; next: test a limit." in text
    wanted = {"session": session(charger).pk, "kind": "limit"}
    assert "Nothing was ordered. Confirm" in text_of(
        client, client.post(url(charger, "commissioning-test"), wanted)["Location"]
    )
    client.post(url(charger, "commissioning-test"), wanted | {"confirmed": "on"})
    assert ChargerCommand.objects.count() == 1
    assert "“Test a limit” is not done" in text_of(
        client, client.post(url(charger, "commissioning-sign"), {"confirmed": "on"})["Location"]
    )
    assert "Commissioning" in text_of(client, url(charger, "board-station"))


@pytest.mark.parametrize("wanted", [{}, {"kind": "x"}, {"kind": "limit", "session": "x", "confirmed": "on"}])
def test_a_wrong_order_is_refused(login, charger: Charger, technician: User, wanted: dict[str, str]) -> None:
    client = login(technician)
    answer = client.post(url(charger, "commissioning-test"), wanted)
    assert "Nothing was ordered." in text_of(client, answer["Location"])
    assert not ChargerCommand.objects.exists()


def test_nothing_plugged_in_says_the_next_step(login, depot: Depot, technician: User) -> None:
    assert "Plug in a vehicle: a test needs one." in text_of(login(technician), url(make_charger(depot)))


def test_the_page_takes_a_fixed_number_of_queries(
    login, charger: Charger, technician: User, django_assert_max_num_queries: Any
) -> None:
    pass_all(charger, technician)
    client = login(technician)
    with django_assert_max_num_queries(QUERIES):
        client.get(url(charger))


@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_only_who_commands_chargers_commissions_them(login, charger: Charger, role: str) -> None:
    client = login(make_person(charger.depot, role))
    allowed = role in ABILITIES["command_chargers"]
    assert client.get(url(charger)).status_code == (200 if allowed else 403)
    for view in ("commissioning-test", "commissioning-sign"):
        assert client.post(url(charger, view)).status_code == (302 if allowed else 403)
        assert client.get(url(charger, view)).status_code == 405 if allowed else 403


def test_a_stranger_finds_nothing(login, charger: Charger, outsider: User, other_depot: Depot) -> None:
    client = login(outsider)
    assert client.get(url(charger)).status_code == 404
    for view in ("commissioning-test", "commissioning-sign"):
        assert client.post(url(charger, view)).status_code == 404
    theirs = reverse("charging:commissioning", args=[other_depot.slug, charger.pk])
    assert client.get(theirs).status_code == 404
    assert Client().get(url(charger)).status_code == 302
