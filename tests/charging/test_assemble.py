"""The case says what is known now: places, needs, limits, prices; and names what is missing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from charging.assemble import assemble
from charging.models import ChargingSession
from charging.planner.case import case_from_json
from depot.models import ElectricalNode, InterconnectionAgreement, StationaryBattery
from fleet.models import VehicleState
from tests.factories import NOW, grid_of, make_block, make_charger, make_vehicle


@pytest.fixture
def bus(depot):
    vehicle = make_vehicle(depot)
    make_charger(depot, vehicle)
    return vehicle


def only_vehicle(assembled):
    (row,) = assembled.case["vehicles"]
    return row


def test_the_case_is_one_the_planner_reads(depot, bus):
    make_block(depot, bus)
    case = case_from_json(assemble(depot, NOW).case)
    assert case.steps == 36 * 4
    assert len(case.vehicles) == 1


def test_a_block_becomes_absence_and_a_departure_target(depot, bus):
    make_block(depot, bus, depart_minute=15 * 60 + 7, return_minute=16 * 60 + 20, energy_kwh=40)
    row = only_vehicle(assemble(depot, NOW))
    first = row["away"][0]
    assert (first["from_step"], first["to_step"], first["energy_kwh"]) == (16, 22, 40)
    target = row["targets"][0]
    assert (target["boundary"], target["tier"]) == (16, "must")
    assert target["soc"] == pytest.approx(40 / 200 + 0.1 + 0.1, abs=1e-3)


def test_a_vehicle_on_the_road_is_away_from_now_with_the_rest_of_its_energy(depot, bus):
    VehicleState.objects.filter(vehicle=bus).update(plugged_in=False)
    make_block(depot, bus, depart_minute=10 * 60, return_minute=12 * 60, energy_kwh=40)
    row = only_vehicle(assemble(depot, NOW))
    assert row["away"][0] == {"from_step": 0, "to_step": 4, "energy_kwh": 20.0}


def test_a_vehicle_that_should_stand_here_but_does_not_is_away_for_a_step(depot, bus):
    VehicleState.objects.filter(vehicle=bus).update(plugged_in=False)
    assert only_vehicle(assemble(depot, NOW))["away"][0] == {"from_step": 0, "to_step": 1, "energy_kwh": 0.0}


def test_the_end_of_the_horizon_wants_what_the_next_block_needs(depot, bus):
    make_block(depot, bus, depart_minute=4 * 60, return_minute=6 * 60, energy_kwh=100)
    last = only_vehicle(assemble(depot, NOW))["targets"][-1]
    assert (last["boundary"], last["tier"]) == (144, "should")
    assert last["soc"] == pytest.approx(0.7, abs=1e-3)


def test_an_unknown_charge_is_taken_as_low_and_said(depot):
    vehicle = make_vehicle(depot, soc=None)
    make_charger(depot, vehicle)
    assembled = assemble(depot, NOW)
    assert only_vehicle(assembled)["initial_soc"] == 0.2
    assert "not known" in assembled.notes.vehicles[str(vehicle.pk)][0]
    assert only_vehicle(assembled)["v2g"] is False


def test_a_stale_charge_is_lowered_and_said(depot, bus):
    assembled = assemble(depot, NOW + timedelta(hours=3))
    assert only_vehicle(assembled)["initial_soc"] == pytest.approx(0.55)
    said, not_discharged = assembled.notes.vehicles[str(bus.pk)]
    assert "3 h ago" in said and "Not discharged: The present charge of Bus 01" in not_discharged
    assert only_vehicle(assembled)["v2g"] is False


def test_a_vehicle_without_a_connector_is_named_not_planned(depot):
    vehicle = make_vehicle(depot)
    assembled = assemble(depot, NOW)
    assert assembled.case["vehicles"] == []
    assert "no connector" in assembled.notes.vehicles[str(vehicle.pk)][0]


def test_a_vehicle_is_planned_where_it_is_plugged_in(depot, bus):
    other = make_charger(depot, max_charge_kw=30)
    ChargingSession.objects.create(
        connector=other.connectors.get(), vehicle=bus, transaction_id="t", plugged_in_at=NOW
    )
    assert only_vehicle(assemble(depot, NOW))["charger"] == str(other.connectors.get().pk)


def test_a_taken_place_is_named(depot, bus):
    guest = make_vehicle(depot, "Bus 02")
    ChargingSession.objects.create(
        connector=bus.connectors.get(), vehicle=guest, transaction_id="t", plugged_in_at=NOW
    )
    assembled = assemble(depot, NOW)
    assert [row["id"] for row in assembled.case["vehicles"]] == [str(guest.pk)]
    assert "another vehicle stands at its place" in assembled.notes.vehicles[str(bus.pk)][0]


def test_room_is_left_for_a_vehicle_that_nobody_knows(depot, bus):
    feeder = ElectricalNode.objects.create(
        depot=depot, parent=grid_of(depot), kind="feeder", name="F", import_limit_kw=100
    )
    before = assemble(depot, NOW).case["site"]["import_limit_kw"]
    connector = make_charger(depot, node=feeder, fallback_kw=6).connectors.get()
    for number, until in enumerate((NOW, NOW, None)):
        ChargingSession.objects.create(
            connector=connector, transaction_id=str(number), plugged_in_at=NOW, unplugged_at=until
        )
    assembled = assemble(depot, NOW)
    assert assembled.case["site"]["import_limit_kw"] == pytest.approx(before - 6)
    assert assembled.case["site"]["nodes"][0]["import_limit_kw"] == 94
    assert any(f"The vehicle at {connector} is not planned" in note for note in assembled.notes.depot)


def test_nothing_flows_to_the_grid_without_an_agreement_but_the_building_may_be_fed(depot, bus):
    InterconnectionAgreement.objects.filter(depot=depot).update(state="applied")
    assembled = assemble(depot, NOW)
    assert assembled.case["site"]["export_limit_kw"] == 0
    assert only_vehicle(assembled)["v2g"] is True
    assert any("interconnection agreement is not in force" in note for note in assembled.notes.depot)


def test_nodes_keep_their_tree_and_shared_cabinets_get_one(depot, bus):
    feeder = ElectricalNode.objects.create(
        depot=depot, parent=grid_of(depot), kind="feeder", name="F", import_limit_kw=100
    )
    charger = make_charger(depot, make_vehicle(depot, "Bus 02"), node=feeder)
    charger.connectors.create(evse_id=2, vehicle=make_vehicle(depot, "Bus 03"))
    nodes = {node["id"]: node for node in assemble(depot, NOW).case["site"]["nodes"]}
    assert nodes[str(feeder.pk)]["parent"] is None
    cabinet = nodes[f"cabinet-{charger.pk}"]
    assert (cabinet["parent"], cabinet["import_limit_kw"]) == (str(feeder.pk), 60)


def test_no_plan_counts_on_a_stationary_battery_that_nothing_commands(depot, bus):
    StationaryBattery.objects.create(
        depot=depot,
        node=grid_of(depot),
        name="Container",
        capacity_kwh=500,
        max_charge_kw=250,
        max_discharge_kw=250,
        soc=0.4,
    )
    assembled = assemble(depot, NOW)
    assert assembled.case["storage"] == []
    assert any("Battery Container is not planned" in note for note in assembled.notes.depot)


def test_a_depot_without_anything_is_still_a_case(depot):
    depot.nodes.all()
    assembled = assemble(depot, NOW)
    assert case_from_json(assembled.case).vehicles == ()
    assert any("No tariff is valid" in note for note in assembled.notes.depot)


def test_the_number_of_queries_does_not_grow_with_the_fleet(depot, django_assert_max_num_queries):
    for number in range(12):
        vehicle = make_vehicle(depot, f"Bus {number:02}")
        make_charger(depot, vehicle)
        make_block(depot, vehicle, block_id=str(number))
    with django_assert_max_num_queries(22):
        assemble(depot, NOW)
