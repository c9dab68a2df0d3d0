"""manage.py benchmark: figures of a tiny size, and a usage error for what is not measured."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from charging.planner.case import case_from_json
from depot.project.benchmarks import billing, planner


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
        (["billing", "--vehicles", "3"], "belongs to benchmark planner"),
    ],
)
def test_what_cannot_be_measured_is_a_usage_error(arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("benchmark", *arguments)
