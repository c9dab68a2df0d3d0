"""Every coming pull-out is judged: ready, on track, at risk or sure to miss, with the reason and the time to act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from charging.models import Charger, Connector, Plan
from charging.selectors.readiness import Outlook, Readiness, readiness
from depot.models import Depot
from fleet.models import Vehicle, VehicleState
from tests.charging.plans import make_plan_row, rising
from tests.factories import NOW, make_block, make_charger, make_vehicle

# NOW is Tuesday 11:00 at the depot; the block leaves at 15:00 and takes 90 kWh of 200.
PULL_OUT = datetime(2026, 3, 10, 19, 0, tzinfo=UTC)
NEEDED = 90 / 200 + 0.1 + 0.1
LATER = [0.4] * 12 + [0.9] * 133


@pytest.fixture
def bus(depot: Depot) -> Vehicle:
    vehicle = make_vehicle(depot, soc=0.4)
    make_charger(depot, vehicle, connected=True)
    make_block(depot, vehicle, depart_minute=15 * 60, return_minute=17 * 60, energy_kwh=90)
    return vehicle


def only(depot: Depot) -> Readiness:
    (row,) = readiness(depot, NOW, timedelta(hours=12))
    return row


def set_state(vehicle: Vehicle, **values) -> None:
    VehicleState.objects.filter(vehicle=vehicle).update(**values)


def test_a_vehicle_that_could_leave_now_is_ready(depot: Depot, bus: Vehicle) -> None:
    set_state(bus, soc=0.7)
    make_plan_row(depot, {bus: 0.7})
    row = only(depot)
    assert (row.state, row.soc_now, row.soc_at_departure, row.act_by) == ("ready", 0.7, 0.7, None)
    assert row.required_soc == pytest.approx(NEEDED)
    assert row.reason == "Has 70 %, needs 65 %."


def test_a_vehicle_that_is_used_meanwhile_is_on_track_not_ready(depot: Depot, bus: Vehicle) -> None:
    set_state(bus, soc=0.7)
    make_plan_row(depot, {bus: [0.7] + [0.3] * 10 + [0.9] * 134})
    row = only(depot)
    assert (row.state, row.reason) == ("on_track", "Will leave with 90 %, needs 65 %.")


def test_a_vehicle_with_a_plan_to_charge_is_on_track(depot: Depot, bus: Vehicle) -> None:
    make_plan_row(depot, {bus: LATER})
    row = only(depot)
    assert (row.state, row.soc_at_departure, row.act_by) == ("on_track", 0.9, None)


def test_a_vehicle_that_is_not_plugged_in_is_at_risk_until_charging_must_begin(
    depot: Depot, bus: Vehicle
) -> None:
    set_state(bus, plugged_in=False)
    make_plan_row(depot, {bus: LATER})
    row = only(depot)
    assert (row.state, row.reason) == ("at_risk", "It is not plugged in. It has 40 % and needs 65 %.")
    charging = timedelta(hours=(row.required_soc - 0.4) * 200 / (60 * 0.94))
    assert row.act_by == PULL_OUT - charging


def test_a_vehicle_that_has_just_come_back_may_be_parked_in_peace(depot: Depot, bus: Vehicle) -> None:
    set_state(bus, plugged_in=False)
    make_block(depot, bus, "early", depart_minute=8 * 60, return_minute=10 * 60 + 45)
    make_plan_row(depot, {bus: LATER})
    row = only(depot)
    assert (row.state, row.reason) == (
        "on_track",
        "It has just come back with 40 % and needs 65 %; plug it in.",
    )


def test_a_vehicle_that_came_back_late_is_at_risk_at_once(depot: Depot, bus: Vehicle) -> None:
    set_state(bus, plugged_in=False)
    bus.blocks.update(depart_minute=12 * 60 + 30)
    make_block(depot, bus, "early", depart_minute=8 * 60, return_minute=10 * 60 + 45)
    make_plan_row(depot, {bus: rising(NOW + timedelta(hours=1), 0.4, 0.9)})
    row = only(depot)
    assert (row.state, row.reason) == ("at_risk", "It is not plugged in. It has 40 % and needs 65 %.")
    assert row.act_by is not None and row.act_by < NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("charger", "connector", "words"),
    [
        ({"connected": False}, {}, "does not answer."),
        ({}, {"status": Connector.Status.FAULTED}, "reports a fault."),
    ],
)
def test_a_charger_that_is_silent_or_faulted_is_a_risk(
    depot: Depot, bus: Vehicle, charger: dict, connector: dict, words: str
) -> None:
    make_plan_row(depot, {bus: LATER})
    if charger:
        Charger.objects.update(**charger)
    if connector:
        Connector.objects.update(**connector)
    row = only(depot)
    name = Charger.objects.get().name
    assert (row.state, row.reason) == ("at_risk", f"Charger {name} {words} It has 40 % and needs 65 %.")
    assert row.act_by is not None


def test_a_charge_not_heard_of_lately_is_a_risk(depot: Depot, bus: Vehicle) -> None:
    make_plan_row(depot, {bus: LATER})
    set_state(bus, soc_observed_at=NOW - timedelta(hours=3))
    assert only(depot).reason.startswith("Its charge was last heard of over two hours ago.")


def test_a_stale_plan_is_a_risk_and_so_is_none(depot: Depot, bus: Vehicle) -> None:
    assert only(depot).reason.startswith("There is no plan yet.")
    made_at = NOW - timedelta(hours=2)
    make_plan_row(depot, {bus: 0.9}, made_at=made_at)
    row = only(depot)
    assert row.state == "at_risk"
    assert row.reason.startswith("The plan is older than an hour.")


def test_a_vehicle_in_no_plan_or_without_a_charger_is_a_risk(depot: Depot, bus: Vehicle) -> None:
    make_plan_row(depot, {})
    assert only(depot).reason == "It is in no plan yet and needs 65 %."
    Connector.objects.update(vehicle=None)
    row = only(depot)
    assert row.reason.startswith("It has no charger.")
    assert row.act_by == PULL_OUT


def test_an_unknown_charge_is_a_risk(depot: Depot, bus: Vehicle) -> None:
    VehicleState.objects.all().delete()
    make_plan_row(depot, {bus: LATER})
    row = only(depot)
    assert (row.state, row.soc_now, row.reason) == (
        "at_risk",
        None,
        "Its charge is not known; it needs 65 %.",
    )


def test_a_miss_of_the_plan_is_told_with_its_cause(depot: Depot, bus: Vehicle) -> None:
    shortfall = {"vehicle": str(bus.pk), "cause": "the import limit leaves too little power."}
    make_plan_row(depot, {bus: 0.5}, answer={"shortfalls": [shortfall]})
    row = only(depot)
    assert row.state == "will_miss"
    assert row.reason == "It leaves with 50 % but needs 65 %: the import limit leaves too little power."


def test_what_full_power_cannot_reach_any_more_will_miss_whatever_the_plan_hoped(
    depot: Depot, bus: Vehicle
) -> None:
    set_state(bus, soc=0.15, plugged_in=False)
    bus.blocks.update(depart_minute=12 * 60)
    make_plan_row(depot, {bus: rising(NOW + timedelta(minutes=30), 0.15, 0.9)})
    row = only(depot)
    assert row.state == "will_miss"
    assert row.reason == "Even at full power from now on it leaves with 43 %; it needs 65 %."
    assert row.act_by == datetime(2026, 3, 10, 16, 0, tzinfo=UTC)


def test_a_block_beyond_the_battery_says_so(depot: Depot, bus: Vehicle) -> None:
    bus.blocks.update(energy_kwh=400)
    make_plan_row(depot, {bus: 1.0})
    row = only(depot)
    assert row.state == "will_miss"
    assert "kWh" in row.reason


def test_a_block_without_a_vehicle_will_miss(depot: Depot) -> None:
    make_block(depot, None, "404", depart_minute=15 * 60, return_minute=17 * 60)
    row = only(depot)
    assert (row.state, row.reason, row.act_by) == (
        "will_miss",
        "Block 404 has no vehicle. Assign one.",
        PULL_OUT,
    )


def test_a_second_block_is_judged_by_the_plan_alone(depot: Depot, bus: Vehicle) -> None:
    set_state(bus, plugged_in=False)
    make_block(depot, bus, "now", depart_minute=10 * 60, return_minute=12 * 60)
    make_plan_row(depot, {bus: LATER})
    assert only(depot).state == "on_track"


def test_the_outlook_counts_vehicles_and_names_what_is_not_sure(depot: Depot, bus: Vehicle) -> None:
    second = make_vehicle(depot, "Bus 02", soc=0.9)
    make_charger(depot, second, connected=True)
    make_block(depot, second, "202", depart_minute=16 * 60, return_minute=17 * 60)
    make_plan_row(depot, {bus: LATER, second: 0.9})
    outlook = Outlook(readiness(depot, NOW))
    assert outlook.sentence(depot) == (
        "2 of 2 vehicles will be ready for the next pull-outs (first 15:00 Tue)."
    )
    assert outlook.counts == {"ready": 1, "on_track": 1, "at_risk": 0, "will_miss": 0}
    set_state(bus, plugged_in=False)
    make_block(depot, None, "404", depart_minute=16 * 60, return_minute=17 * 60)
    outlook = Outlook(readiness(depot, NOW))
    assert outlook.sentence(depot) == (
        "1 of 2 vehicles will be ready for the next pull-outs (first 15:00 Tue); not sure: Bus 01; "
        "1 block has no vehicle."
    )
    assert [row.state for row in outlook.doubtful] == ["at_risk", "will_miss"]


def test_the_outlook_of_a_quiet_depot_says_so(depot: Depot) -> None:
    assert Outlook(readiness(depot, NOW)).sentence(depot) == "No vehicle leaves in the next 24 hours."


def test_more_vehicles_cost_no_more_queries(depot: Depot, bus: Vehicle, django_assert_num_queries) -> None:
    for number in range(2, 8):
        vehicle = make_vehicle(depot, f"Bus {number:02}")
        make_charger(depot, vehicle, connected=True)
        make_block(depot, vehicle, f"{number}", depart_minute=15 * 60, return_minute=17 * 60)
    make_plan_row(depot, {bus: 0.9})
    for queries in (10, 9):  # a plan is read whole once
        with django_assert_num_queries(queries):
            assert len(readiness(depot, NOW)) == 7


def bad_day_miss(bus: Vehicle, boundary: int = 16) -> dict:
    """Return the answer of a plan that leaves no way through the bad day: 62 % in place of 70 at a boundary."""
    missed = {"vehicle": str(bus.pk), "boundary": boundary, "required_soc": 0.7, "planned_soc": 0.62}
    missed |= {"missing_kwh": 16.0, "tier": "must", "cause": "plugged in too late", "asset": "vehicle"}
    return {"bad_day": {"devices": {}, "shortfalls": [missed]}}


def with_trips(plan: Plan, *trips: tuple[int, int, int]) -> None:
    """Give the plan's only vehicle its trips: from and to step, and how many steps late a bad day is."""
    plan.case["vehicles"][0]["away"] = [
        {"from_step": first, "to_step": end, "energy_kwh": 10.0, "late_steps": late, "extra_kwh": 0.0}
        for first, end, late in trips
    ]
    plan.save()


def test_a_bad_day_that_leaves_too_little_is_said_beside_the_verdict(depot: Depot, bus: Vehicle) -> None:
    plan = make_plan_row(depot, {bus: LATER}, answer=bad_day_miss(bus))
    with_trips(plan, (4, 8, 2), (16, 24, 2))
    row = only(depot)
    assert (row.state, row.reason) == (
        "on_track",
        "Will leave with 90 %, needs 65 %. If it pulls in late and uses more than usual, it leaves with 62 % "
        "instead of 70 %.",
    )


def test_without_a_trip_before_it_a_bad_day_is_one_of_load_and_sun(depot: Depot, bus: Vehicle) -> None:
    plan = make_plan_row(depot, {bus: LATER}, answer=bad_day_miss(bus))
    with_trips(plan, (16, 24, 2))
    assert only(depot).reason.endswith(
        "If the building draws more and the sun gives less than expected, it leaves with 62 % instead of 70 %."
    )


def test_a_bad_day_of_another_pull_out_is_not_this_ones(depot: Depot, bus: Vehicle) -> None:
    plan = make_plan_row(depot, {bus: LATER}, answer=bad_day_miss(bus, boundary=40))
    with_trips(plan, (16, 24, 2), (40, 50, 2))
    assert only(depot).reason == "Will leave with 90 %, needs 65 %."


def test_energy_at_the_end_that_is_not_worth_its_price_is_no_cause_of_a_miss(
    depot: Depot, bus: Vehicle
) -> None:
    missed = bad_day_miss(bus)["bad_day"]["shortfalls"][0] | {"tier": "should", "cause": "price"}
    make_plan_row(depot, {bus: 0.5}, answer={"shortfalls": [missed]})
    assert only(depot).reason == "It leaves with 50 % but needs 65 %."
