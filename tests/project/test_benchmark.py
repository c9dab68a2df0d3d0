"""manage.py benchmark: figures of a tiny size, and a usage error for what is not measured."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from charging.planner.case import Away, case_from_json
from charging.planner.solve import solve
from depot.project.benchmarks import billing, planner
from depot.project.benchmarks.variants import one_step_later


@pytest.fixture(autouse=True)
def _once(monkeypatch):
    monkeypatch.setattr(planner, "RUNS", 1)
    monkeypatch.setattr(billing, "RUNS", 1)


def printed(capfd, *arguments):
    call_command("benchmark", *arguments)
    return capfd.readouterr().out


def test_the_planner_is_measured_beside_the_plain_model(capfd):
    document = json.loads(
        printed(capfd, "planner", "--vehicles", "2", "--vehicles", "3", "--seed", "4", "--json")
    )
    assert (document["benchmark"], document["seed"]) == ("planner", 4)
    assert [item["vehicles"] for item in document["cases"]] == [2, 3]
    for item in document["cases"]:
        assert item["steps"] == 192
        assert (item["status"], item["sound"]) == ("optimal", True)
        assert item["gap"] <= 1e-4
        assert item["total_seconds"] >= item["solve_seconds"] > 0.0
        assert item["times_faster"] == pytest.approx(item["plain_seconds"] / item["total_seconds"])
        # The plain model leaves rules out, so it is never dearer than the plan is proven to be.
        assert 0.5 < item["bound_share"] <= 1.0 + 1e-4


def test_a_table_for_people(capfd, monkeypatch):
    lines = printed(capfd, "planner", "--vehicles", "2").splitlines()
    assert len(lines) == 2
    assert lines[1].split()[:2] == ["2", "192"]
    assert "optimal" in lines[1]
    monkeypatch.setattr(planner, "MOST_VEHICLES_BESIDE", 1)
    assert "not run" in printed(capfd, "planner", "--vehicles", "2")
    monkeypatch.setattr(planner, "MOST_VEHICLES_BESIDE", 2)
    monkeypatch.setattr(planner, "REFERENCE_SECONDS", 1e-6)
    assert "not run" in printed(capfd, "planner", "--vehicles", "2")


def test_classes_of_like_vehicles_and_a_plan_one_step_later(capfd):
    arguments = ["planner", "--classes", "2", "--vehicles", "5", "--replan"]
    document = json.loads(printed(capfd, *arguments, "--json"))
    (item,) = document["cases"]
    assert (item["vehicles"], item["classes"], item["sound"], item["status"]) == (5, 2, True, "optimal")
    assert item["replan_times_faster"] == pytest.approx(item["later_seconds"] / item["replan_seconds"])
    header, line = printed(capfd, *arguments).splitlines()
    assert "re-planned s" in header
    assert len(line.split()) == 13


def test_a_depot_one_step_later_goes_on_where_the_plan_is():
    case = case_from_json(planner.random_depot(3, 1))
    plan = solve(case)
    later = one_step_later(case, plan, planner.DAY)
    assert later.moment(0) == case.moment(1)
    assert later.prices.import_per_kwh[-1] == case.prices.import_per_kwh[-planner.DAY]
    first, moved = case.vehicles[0], later.vehicles[0]
    assert moved.initial_soc == plan.vehicles["v0"].soc[1]
    assert [trip.from_step for trip in moved.away] == [trip.from_step - 1 for trip in first.away]
    assert [item.boundary for item in moved.targets[:-1]] == [
        item.boundary - 1 for item in first.targets[:-1]
    ]
    assert moved.targets[-1].boundary == case.steps


def test_a_trip_under_way_has_the_rest_of_its_energy_left():
    data = planner.random_depot(1, 1)
    data["vehicles"][0]["away"] = [{"from_step": 0, "to_step": 4, "energy_kwh": 8.0}]
    case = case_from_json(data)
    (vehicle,) = one_step_later(case, solve(case), planner.DAY).vehicles
    assert vehicle.away == (Away(0, 3, 6.0),)


def test_the_same_seed_gives_the_same_depot():
    assert planner.random_depot(5, 1) == planner.random_depot(5, 1)
    assert planner.random_depot(5, 1) != planner.random_depot(5, 2)
    case = case_from_json(planner.random_depot(5, 1))
    assert (len(case.demand_charges), len(case.site.nodes)) == (2, 2)


def test_billing_a_year(capfd):
    document = json.loads(printed(capfd, "billing", "--json"))
    assert (document["steps"], document["periods"], document["curve_steps"]) == (35040, 12, 192)
    assert document["total"].endswith(" USD")
    assert "12 bills" in printed(capfd, "billing")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ocpp"], "ocpp is not measured yet; use planner or billing"),
        (["telemetry"], "telemetry is not measured yet"),
        (["pages"], "pages is not measured yet"),
        (["moon"], "moon is not known"),
        (["planner", "--vehicles", "0"], "0 is no number of vehicles"),
        (["billing", "--vehicles", "3"], "--vehicles belongs to benchmark planner"),
        (["billing", "--classes", "3"], "--classes belongs to benchmark planner"),
        (["billing", "--replan"], "--replan belongs to benchmark planner"),
        (["planner", "--classes", "3", "--vehicles", "2"], "3 classes need 3 vehicles"),
    ],
)
def test_what_cannot_be_measured_is_a_usage_error(arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("benchmark", *arguments)
