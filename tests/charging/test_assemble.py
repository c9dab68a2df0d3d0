"""The case says what is known now: places, needs, limits, prices; and names what is missing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from charging.assemble import assemble
from charging.models import Charger, ChargingSession, Plan
from charging.planner.case import case_from_json
from charging.services.planning import make_plan
from depot.models import ElectricalNode, InterconnectionAgreement, StationaryBattery
from fleet.models import Outage, VehicleState
from tests.charging.meters import stay
from tests.factories import NOW, grid_of, make_block, make_charger, make_type, make_vehicle


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
    first = row["away"][0]
    assert (first["from_step"], first["to_step"], first["energy_kwh"]) == (0, 4, 20.0)
    # Without a history, the documented defaults say how bad it may be.
    assert (first["late_steps"], first["extra_kwh"]) == (2, 2.0)


def test_silence_on_the_road_needs_no_margin(depot, bus):
    VehicleState.objects.filter(vehicle=bus).update(
        plugged_in=False, soc_observed_at=NOW - timedelta(hours=6)
    )
    make_block(depot, bus, depart_minute=6 * 60, return_minute=14 * 60, energy_kwh=80)
    assembled = assemble(depot, NOW)
    row = only_vehicle(assembled)
    assert (row["initial_soc"], row["v2g"], assembled.notes.vehicles) == (0.6, True, {})
    assert row["away"][0]["energy_kwh"] == pytest.approx(80)


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
    assert only_vehicle(assembled)["initial_soc"] == pytest.approx(0.54)
    said, not_discharged = assembled.notes.vehicles[str(bus.pk)]
    assert "3 h ago" in said and "Not discharged: The present charge of Bus 01" in not_discharged
    assert only_vehicle(assembled)["v2g"] is False


def test_what_has_flowed_since_a_charge_was_told_counts(depot, bus):
    """Heard of at 06:00 with 60 %; a trip of 40 kWh; then 30 kWh from a charger that knows no SoC."""
    local_six = NOW - timedelta(hours=5)
    VehicleState.objects.filter(vehicle=bus).update(soc_observed_at=local_six, observed_at=local_six)
    make_block(depot, bus, depart_minute=7 * 60, return_minute=9 * 60, energy_kwh=40)
    assembled = assemble(depot, NOW)
    assert only_vehicle(assembled)["initial_soc"] == pytest.approx(0.6 - 40 / 200 - 0.08)
    connector = bus.connectors.get()
    Charger.objects.update(charge_efficiency=0.8)
    stay(connector, NOW - timedelta(hours=1), [60, 60, 30], None, None, still_there=True)
    assembled = assemble(depot, NOW)
    assert only_vehicle(assembled)["initial_soc"] == pytest.approx(0.6 + (37.5 * 0.8 - 40) / 200 - 0.08)
    assert assembled.notes.vehicles[str(bus.pk)][0] == (
        "Its charge was last heard of 5 h ago (its trips took 40 kWh and chargers counted +30 kWh since); "
        "planned 8% lower to be safe."
    )


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
    assert any(
        f"The vehicle at {connector} is not planned" in note for note in assembled.notes.depot.values()
    )


def test_nothing_flows_to_the_grid_without_an_agreement_but_the_building_may_be_fed(depot, bus):
    InterconnectionAgreement.objects.filter(depot=depot).update(state="applied")
    assembled = assemble(depot, NOW)
    assert assembled.case["site"]["export_limit_kw"] == 0
    assert only_vehicle(assembled)["v2g"] is True
    assert any("interconnection agreement is not in force" in note for note in assembled.notes.depot.values())


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
    assert any("Battery Container is not planned" in note for note in assembled.notes.depot.values())


def test_a_depot_without_anything_is_still_a_case(depot):
    depot.nodes.all()
    assembled = assemble(depot, NOW)
    assert case_from_json(assembled.case).vehicles == ()
    assert any("No tariff is valid" in note for note in assembled.notes.depot.values())


def test_the_number_of_queries_does_not_grow_with_the_fleet(depot, django_assert_max_num_queries):
    for number in range(12):
        vehicle = make_vehicle(depot, f"Bus {number:02}")
        make_charger(depot, vehicle)
        make_block(depot, vehicle, block_id=str(number))
    with django_assert_max_num_queries(26):
        assemble(depot, NOW)


def test_the_taper_of_the_type_is_in_the_case(depot):
    vehicle = make_vehicle(depot, type=make_type(depot, charge_taper="80:60, 100:10"))
    make_charger(depot, vehicle)
    (bus,) = case_from_json(assemble(depot, NOW).case).vehicles
    assert [(point.soc, point.max_charge_kw) for point in bus.taper] == [(0.8, 60.0), (1.0, 10.0)]


def test_a_bad_day_has_more_load_and_less_sun_than_expected(depot, bus):
    case = assemble(depot, NOW).case
    site, bad = case["site"], case["bad_day"]
    assert bad["building_load_kw"] == pytest.approx([1.15 * kw for kw in site["building_load_kw"]], abs=1e-3)
    assert bad["solar_kw"] == pytest.approx([0.5 * kw for kw in site["solar_kw"]], abs=1e-3)
    assert case_from_json(case).bad_day is not None


def test_the_last_plan_is_what_the_next_step_is_compared_with(depot, bus):
    assert "previous" not in assemble(depot, NOW).case
    plan = make_plan(depot, NOW, "Test")
    plan.answer["vehicles"][str(bus.pk)]["charge_kw"][2] = 11.0
    plan.save()
    later = assemble(depot, NOW + timedelta(minutes=30))
    assert later.last.steps_ago == 2
    assert later.case["previous"]["net_kw"] == {str(bus.pk): [11.0]}
    assert later.case["previous"]["price_per_kw"] > 0


@pytest.mark.parametrize("doubt", [{"violations": ["wrong"]}, {"step_minutes": 10}])
def test_a_last_plan_that_was_never_sent_or_has_other_steps_is_not_followed(depot, bus, doubt):
    plan = make_plan(depot, NOW, "Test")
    Plan.objects.filter(pk=plan.pk).update(**doubt)
    assembled = assemble(depot, NOW + timedelta(minutes=30))
    assert (assembled.last, "previous" in assembled.case) == (None, False)


def out_of_service(vehicle, hours=None, plugged_in=True):
    VehicleState.objects.filter(vehicle=vehicle).update(plugged_in=plugged_in)
    to_at = None if hours is None else NOW + timedelta(hours=hours)
    Outage.objects.create(vehicle=vehicle, from_at=NOW - timedelta(hours=1), to_at=to_at, made_at=NOW)


def test_a_vehicle_that_is_out_of_service_is_not_discharged_nor_promised(depot, bus):
    make_block(depot, bus, depart_minute=15 * 60, return_minute=16 * 60, energy_kwh=40)
    out_of_service(bus)
    assembled = assemble(depot, NOW)
    row = only_vehicle(assembled)
    assert (row["v2g"], row["away"], [item["tier"] for item in row["targets"]]) == (False, [], ["should"])
    assert assembled.notes.vehicles[str(bus.pk)] == ["Not discharged: Bus 01 is out of service."]


def test_a_vehicle_in_the_workshop_counts_from_when_it_is_back(depot, bus):
    make_block(depot, bus, depart_minute=15 * 60, return_minute=16 * 60, energy_kwh=40)
    out_of_service(bus, hours=3, plugged_in=False)
    row = only_vehicle(assemble(depot, NOW))
    assert [(span["from_step"], span["to_step"]) for span in row["away"]] == [(0, 12), (16, 20), (112, 116)]
    assert row["targets"][0]["boundary"] == 16


@pytest.mark.parametrize("hours", [None, 48])
def test_a_vehicle_that_is_not_back_within_the_plan_is_not_planned(depot, bus, hours):
    out_of_service(bus, hours=hours, plugged_in=False)
    assembled = assemble(depot, NOW)
    assert assembled.case["vehicles"] == []
    assert assembled.notes.vehicles[str(bus.pk)] == ["Not planned: it is out of service and not plugged in."]


def test_a_chargers_least_power_is_kept_by_the_plan(depot, bus):
    make_block(depot, bus, depart_minute=15 * 60, return_minute=17 * 60, energy_kwh=90)
    Charger.objects.update(min_charge_kw=40.0)
    assert assemble(depot, NOW).case["chargers"][0]["min_charge_kw"] == 40.0
    plan = make_plan(depot, NOW, "test")
    assert plan.violations == []
    powers = plan.answer["vehicles"][str(bus.pk)]["charge_kw"]
    assert any(powers)
    assert all(power == 0 or power >= 40 - 1e-3 for power in powers)


def test_what_a_charger_loses_is_counted_by_the_plan(depot, bus):
    make_block(depot, bus, depart_minute=15 * 60, return_minute=17 * 60, energy_kwh=90)
    Charger.objects.update(charge_loss_kw=2.0, discharge_loss_kw=1.0)
    (charger,) = assemble(depot, NOW).case["chargers"]
    assert (charger["charge_loss_kw"], charger["discharge_loss_kw"]) == (2.0, 1.0)
    plan = make_plan(depot, NOW, "test")
    assert plan.violations == []
    assert any(plan.answer["vehicles"][str(bus.pk)]["charge_kw"])


def test_energies_at_a_charger_count_with_the_losses_of_full_power(depot, bus):
    charger = Charger.objects.get()
    charger.charge_loss_kw, charger.discharge_loss_kw = 3.0, 1.2
    stored = 20 * (charger.charge_efficiency - 3.0 / charger.max_charge_kw)
    drawn = 10 * (1 / charger.discharge_efficiency + 1.2 / charger.max_discharge_kw)
    assert charger.stored_kwh(20.0, 10.0) == pytest.approx(stored - drawn)
