"""A charger that is not heard goes on with what it was told: plans leave room for it and count on nothing from it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from charging.assemble import assemble
from charging.models import Charger, ChargerCommand
from charging.selectors.held import away_chargers, held_kw
from charging.services import planning
from charging.services.commands import claim, settle
from charging.services.relinking import plan_for_links
from depot.models import Job
from depot.services.forecasts import horizon
from tests.billing.money import make_tariff
from tests.factories import NOW, make_block, make_charger, make_vehicle

LATER = NOW + timedelta(minutes=15)


@pytest.fixture
def chargers(depot) -> list[Charger]:
    """Return two chargers whose buses must charge, and that have accepted the plan of `NOW`."""
    make_tariff(depot)
    made = []
    for name in ("Bus 01", "Bus 02"):
        bus = make_vehicle(depot, name, soc=0.2)
        made.append(make_charger(depot, bus, connected=True, booted_at=NOW, fallback_kw=6))
        make_block(depot, bus, depart_minute=1200, return_minute=1400, energy_kwh=100)
    with time_machine.travel(NOW, tick=False):
        planning.plan_and_dispatch(depot, "test")
        for command in claim([one.pk for one in made], "test"):
            settle(command, "accepted", {})
    return made


def lose(charger: Charger) -> None:
    Charger.objects.exclude(pk=charger.pk).update(last_seen_at=LATER)
    Charger.objects.filter(pk=charger.pk).update(connected=False)


def test_a_plan_leaves_room_for_what_a_lost_charger_holds(depot, chargers):
    lost, other = chargers
    command = ChargerCommand.objects.get(charger=lost, action="set_schedule")
    told = [50.0, 40.0, *command.payload["power_kw"][2:]]
    alone = [9.0, 9.0, 30.0, *[0.0] * (len(told) - 3)]
    payload = command.payload | {"power_kw": told, "offline_kw": alone}
    ChargerCommand.objects.filter(pk=command.pk).update(payload=payload)
    with time_machine.travel(LATER, tick=False):
        before = assemble(depot, LATER)
        assert before.notes.away == []
        lose(lost)
        case, notes = (after := assemble(depot, LATER)).case, after.notes
        assert notes.away == [lost.pk]
        [vehicle] = case["vehicles"]
        assert vehicle["charger"] == str(other.connectors.get().pk)
        full = before.case["site"]["import_limit_kw"]
        assert case["site"]["import_limit_kw"][:3] == pytest.approx([full - 40, full - 30, full])
        beyond = case["site"]["import_limit_kw"][-1]
        assert beyond == pytest.approx(full - 6), "the safe level"
        planning.plan_and_dispatch(depot, "test")
    sent = ChargerCommand.objects.filter(action="set_schedule").order_by("created_at")
    assert list(sent.values_list("charger", flat=True))[2:] == [other.pk]


def test_what_may_have_reached_it_counts_and_what_waits_is_taken_back(depot, chargers):
    lost, _ = chargers
    connector = lost.connectors.get()
    grid = horizon(depot, NOW, 1)
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        planning.plan_and_dispatch(depot, "waits")
        waiting = ChargerCommand.objects.get(charger=lost, action="set_schedule", state="waiting")
        holds = held_kw([connector], grid)[connector.pk]
        doubtful = waiting.payload | {"power_kw": [55.0] * 4, "offline_kw": [55.0] * 4}
        ChargerCommand.objects.filter(pk=waiting.pk).update(state="sent", payload=doubtful)
        assert held_kw([connector], grid)[connector.pk].tolist() == [55.0] * 4
        assert holds.max() < 55
        ChargerCommand.objects.filter(pk=waiting.pk).update(state="waiting")
    with time_machine.travel(LATER, tick=False):
        lose(lost)
        planning.plan_and_dispatch(depot, "test")
    waiting.refresh_from_db()
    assert waiting.state == "superseded"


def test_what_a_lost_charger_draws_beyond_the_limit_must_be_made_up_for(depot, chargers):
    """No limit is below 0, so what is beyond it counts as load of the building: others have to discharge."""
    lost, _ = chargers
    with time_machine.travel(LATER, tick=False):
        before = assemble(depot, LATER).case["site"]["building_load_kw"]
        depot.nodes.update(import_limit_kw=40)
        command = ChargerCommand.objects.get(charger=lost, action="set_schedule")
        command.payload["power_kw"][1] = 50.0
        command.save()
        lose(lost)
        site = assemble(depot, LATER).case["site"]
    assert site["import_limit_kw"][0] == 0
    assert site["building_load_kw"][0] == pytest.approx(before[0] + 50 - 40 * 0.95)


def test_with_the_gateway_down_everybody_is_planned(depot, chargers):
    with time_machine.travel(LATER, tick=False):
        assert away_chargers(depot, LATER) == set()
        assert len(assemble(depot, LATER).case["vehicles"]) == 2


def test_a_plan_is_asked_for_when_a_charger_is_lost_or_back(depot, chargers):
    lost, _ = chargers
    with time_machine.travel(LATER, tick=False):
        lose(lost)
        assert plan_for_links(depot, LATER) == ""
        command = ChargerCommand.objects.get(charger=lost, action="set_schedule")
        powers = [0.0, 0.0, -20.0, *command.payload["power_kw"][3:]]
        ChargerCommand.objects.filter(pk=command.pk).update(payload=command.payload | {"power_kw": powers})
        assert plan_for_links(depot, LATER) == f"{lost} is lost while it discharges"
        planning.plan_and_dispatch(depot, "test")
        assert plan_for_links(depot, LATER) == ""
        Charger.objects.update(connected=True, last_seen_at=LATER)
        assert plan_for_links(depot, LATER) == f"{lost} is back"
    assert Job.objects.filter(kind="plan", window__startswith="links").count() == 1
