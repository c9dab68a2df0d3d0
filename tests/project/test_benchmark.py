"""manage.py benchmark: figures of a tiny size, and a usage error for what is not measured."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction

from charging.assemble import assemble
from charging.planner.case import case_from_json, case_to_json
from charging.planner.duties import Away
from charging.planner.solve import solve
from depot.models import Depot
from depot.project.benchmarks import (
    billing,
    depot_rows,
    imports,
    kills,
    pages,
    pages_run,
    peers,
    planner,
    scratch,
    servers,
)
from depot.project.benchmarks.trips import trips_depot
from depot.project.benchmarks.variants import one_step_later
from fleet.models import TelemetryReading
from tests.factories import NOW
from tests.shared import shared


@pytest.fixture(autouse=True)
def _once(monkeypatch):
    monkeypatch.setattr(planner, "RUNS", 1)
    monkeypatch.setattr(billing, "RUNS", 1)
    monkeypatch.setattr(peers, "RUNS", 1)


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


def test_uploads_are_checked_and_refused(capfd, monkeypatch):
    for name, size in (("ROWS", 30), ("TRIPS", 1200), ("TOO_MANY_ROWS", 100_001)):
        monkeypatch.setattr(imports, name, size)
    files = {one["name"]: one for one in json.loads(printed(capfd, "imports", "--json"))["files"]}
    assert {name: (one["blocks"], one["errors"]) for name, one in files.items()} == {
        "schedule.csv": (30, 0),
        "schedule.xlsx": (30, 0),
        "feed.zip": (600, 0),
        "too-many.csv": (0, 1),
        "too-many.xlsx": (0, 1),
    }
    assert all(one["peak_mb"] >= one["base_mb"] > 0 for one in files.values())


def test_billing_a_year(capfd):
    document = json.loads(printed(capfd, "billing", "--json"))
    assert (document["steps"], document["periods"], document["curve_steps"]) == (35040, 12, 192)
    assert document["total"].endswith(" USD")
    assert document["ageing_seconds"] > 0
    assert "12 bills" in printed(capfd, "billing")


def test_ten_buses_of_the_peer_benchmark_are_the_golden_case():
    golden = case_from_json(json.loads(shared("cases", "depot-10-trips.json").read_text()))
    assert case_to_json(case_from_json(trips_depot(10))) == case_to_json(golden)


def test_a_peer_that_is_not_installed_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr(peers, "installed", lambda: False)
    with pytest.raises(CommandError, match=r"FlexMeasures is not installed here.*pip install flexmeasures"):
        call_command("benchmark", "planner", "--peer", "flexmeasures")


def test_cost_and_time_stand_beside_the_peers(capfd, monkeypatch):
    """Here the peer is a stand-in that knows the least cost; the real one is not needed by the product."""
    monkeypatch.setattr(peers, "installed", lambda: True)
    monkeypatch.setattr(
        peers, "flexmeasures_answer", lambda case: (solve(case, gap=1e-6).objective, "optimal", 2.0)
    )
    arguments = ("planner", "--peer", "flexmeasures", "--vehicles", "2")
    (item,) = json.loads(printed(capfd, *arguments, "--json"))["cases"]
    assert (item["vehicles"], item["steps"], item["sound"]) == (2, 96, True)
    assert item["cost_ratio"] == pytest.approx(1.0, abs=1e-4)
    assert item["times_faster"] == pytest.approx(2.0 / item["seconds"])
    lines = printed(capfd, *arguments).splitlines()
    assert len(lines) == 2
    assert lines[1].split()[:2] == ["2", "96"]
    assert lines[1].endswith("optimal")


@pytest.mark.skipif(not peers.installed(), reason="FlexMeasures is not installed in this environment")
def test_flexmeasures_finds_the_same_least_cost():
    case = case_from_json(trips_depot(2))
    cost, status, _ = peers.flexmeasures_answer(case)
    assert status == "optimal"
    assert solve(case, gap=1e-6).objective == pytest.approx(cost, rel=1e-5)


@pytest.mark.processes
@pytest.mark.xdist_group("servers")
def test_telemetry_is_stored_once_by_a_real_server_that_is_killed(capfd, db, settings):
    before = TelemetryReading.objects.count()
    call_command("benchmark", "telemetry", "--records", "600", "--kills", "1", "--json")
    document = json.loads(capfd.readouterr().out)
    assert (document["benchmark"], document["database"]) == ("telemetry", connection.vendor)
    assert (document["stored"], document["lost"], document["doubled"]) == (600, 0, 0)
    assert document["refused_requests"] == 0, document["first_refusal"]
    assert TelemetryReading.objects.count() == before, "the user's data are left alone"


@pytest.mark.xdist_group("servers")
def test_many_depots_are_planned_by_real_workers_beside_the_users_data(capfd, db, monkeypatch, settings):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings.REDIS_URL = ""
    arguments = ("depots", "--depots", "3", "--vehicles", "4", "--workers", "2")
    before = set(Depot.objects.values_list("pk", flat=True))
    document = json.loads(printed(capfd, *arguments, "--json"))
    assert (document["benchmark"], document["database"], document["broker"]) == ("depots", "sqlite", "folder")
    assert (document["plans"], document["planned_vehicles"], document["workers"]) == (3, 12, 2)
    assert (document["status"], document["unsound"], document["sent"]) == ({"optimal": 3}, 0, 3)
    assert 0.0 < document["solve_seconds"]["median"] <= document["job_seconds"]["most"] <= document["seconds"]
    assert set(Depot.objects.values_list("pk", flat=True)) == before


def test_a_day_of_planning_again_and_again_stands_beside_perfect_foresight(capfd):
    arguments = ("closed-loop", "--weeks", "1", "--days", "1", "--vehicles", "1")
    document = json.loads(printed(capfd, *arguments, "--json"))
    (day,) = document["cases"]
    assert (document["benchmark"], document["weeks"], day["vehicles"]) == ("closed-loop", 1, 1)
    assert (day["plans"], day["unsound"], day["broken"], day["lost"]) == (96, 0, [], [])
    assert document["met"] == document["feasible"] == day["departures"] > 0
    assert document["cost_ratio"] == pytest.approx(day["cost"] / day["foresight_cost"])
    assert day["cost"] >= day["foresight_cost"] * (1 - day["foresight_gap"]) - 1e-6


@pytest.mark.any_database
def test_every_page_of_a_tiny_depot_is_measured_beside_the_users_data(capfd, db, monkeypatch):
    monkeypatch.setattr(pages, "REQUESTS", 2)
    document = json.loads(printed(capfd, "pages", "--vehicles", "2", "--days", "20", "--json"))
    assert (document["benchmark"], document["vehicles"], document["days"]) == ("pages", 2, 20)
    found = document["pages"]
    assert {"home", "plan", "savings", "battery", "bills", "board refresh"} <= set(found)
    assert all(
        0 < figure["median_ms"] <= figure["p95_ms"] and figure["queries"] > 3 for figure in found.values()
    )
    assert all(figure["first_ms"] > 0 and figure["cpu_p95_ms"] > 0 for figure in found.values())
    assert set(document["background_seconds"]) == {"proposal", "report of a year"}
    assert {"calendar", "report of a year", "proposal", "tariff", "prices uploaded"} <= set(found)
    assert found["home"]["bytes"] < found["home"]["first_load_bytes"] < 700_000
    assert "first_load_bytes" not in found["home: site"]
    assert not Depot.objects.filter(slug="depot-0001").exists()


def figures_of_pages(p95_ms=100.0, first_load=400_000, refresh=8_000):
    page = {"p95_ms": p95_ms, "bytes": 5_000, "first_load_bytes": first_load}
    return {"plan": page, "board refresh": {"p95_ms": 90.0, "bytes": refresh}}


def test_pages_that_take_too_much_are_named():
    assert pages.verdict(figures_of_pages()) == "every page within its limits"
    assert pages.verdict(figures_of_pages(p95_ms=201.0)) == "p95 above 200 ms: plan"
    said = pages.verdict(figures_of_pages(first_load=700_001, refresh=30_001))
    assert said == "first load above 700 kB: plan; refresh above 30 kB: board refresh"


def test_the_heaviest_first_load_and_the_refresh_are_told():
    assert pages.weights(figures_of_pages()) == "heaviest first load: plan, 400 kB; board refresh: 8.0 kB"


def test_a_page_names_what_a_browser_loads_with_it():
    links = pages_run.Links(
        '<link href="/static/a.css"><script src="/static/b.js" data-plotly="/static/p.js"></script>'
        '<use href="/static/icons.svg#home"></use><a href="/else"></a>'
        '<div hx-get="/card" hx-trigger="load, every 5s"></div><div hx-get="/later" hx-trigger="every 5s"></div>'
    )
    assert links.files == {"/static/a.css", "/static/b.js", "/static/icons.svg"}
    assert (links.fragments, links.plotly, links.charts) == ({"/card"}, "/static/p.js", False)


def test_a_measurement_that_fails_is_said(monkeypatch, settings):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings.REDIS_URL = ""
    monkeypatch.setattr(scratch.sys, "executable", "/bin/false")
    with pytest.raises(CommandError, match="The run failed"):
        call_command("benchmark", "depots")


def random_vehicles(number, seed):
    """Return the case's vehicles of a random depot, and leave nothing behind."""
    with transaction.atomic():
        case = assemble(depot_rows.make_depot(number, 4, NOW, seed), NOW).case
        transaction.set_rollback(True)
    assert (len(case["vehicles"]), len(case["site"]["nodes"])) == (4, 2)
    return [(row["initial_soc"], row["away"], row["capacity_kwh"]) for row in case["vehicles"]]


def test_a_depot_of_one_seed_is_always_the_same(db):
    assert random_vehicles(0, 1) == random_vehicles(0, 1)
    assert random_vehicles(0, 1) != random_vehicles(1, 1)
    assert random_vehicles(0, 1) != random_vehicles(0, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["moon"],
            "moon is not known; "
            "use planner, billing, depots, telemetry, ocpp, outages, kills, imports, closed-loop or pages",
        ),
        (["planner", "--days", "3"], "--days belongs to benchmark closed-loop or pages"),
        (["pages", "--days", "0"], "0 is no number of days"),
        (["planner", "--vehicles", "0"], "0 is no number of vehicles"),
        (["billing", "--vehicles", "3"], "--vehicles belongs to benchmark planner"),
        (["billing", "--peer", "flexmeasures"], "--peer belongs to benchmark planner"),
        (["planner", "--peer", "moon"], "invalid choice"),
        (["planner", "--workers", "3"], "--workers belongs to benchmark depots"),
        (["billing", "--depots", "3"], "--depots belongs to benchmark depots"),
        (["depots", "--depots", "none"], "none is no number of depots"),
        (["depots", "--workers", "0"], "0 is no number of workers"),
        (["depots", "--vehicles", "2", "--vehicles", "3"], "takes one --vehicles"),
        (["telemetry", "--records", "none"], "none is no number of records"),
        (["closed-loop", "--vehicles", "2", "--vehicles", "3"], "takes one --vehicles"),
        (["closed-loop", "--weeks", "0"], "0 is no number of weeks"),
        (["closed-loop", "--without", "luck"], "invalid choice"),
        (["planner", "--days", "2"], "--days belongs to benchmark closed-loop"),
        (["planner", "--kills", "1"], "--kills belongs to benchmark telemetry"),
        (["telemetry", "--times", "1"], "--times belongs to benchmark kills"),
        (["kills", "--offset", "first"], "first is no number of a kill"),
        (["depots", "--peer", "flexmeasures"], "--peer belongs to benchmark planner"),
        (["billing", "--classes", "3"], "--classes belongs to benchmark planner"),
        (["billing", "--replan"], "--replan belongs to benchmark planner"),
        (["planner", "--classes", "3", "--vehicles", "2"], "3 classes need 3 vehicles"),
    ],
)
def test_what_cannot_be_measured_is_a_usage_error(arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("benchmark", *arguments)


def test_kills_are_the_same_for_the_same_seed_however_the_run_is_cut():
    whole = kills.kills(kills.Size(times=20, seed=3))
    parts = kills.kills(kills.Size(times=8, seed=3)) + kills.kills(kills.Size(times=12, seed=3, offset=8))
    assert parts == whole
    assert {one.kind for one in whole} == set(kills.KINDS)
    assert kills.kills(kills.Size(times=20, seed=4)) != whole


def test_servers_that_are_not_installed_are_named_before_anything_is_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(servers, "CLUSTERS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        CommandError, match=r"initdb under .* \(Debian: apt install postgresql\); redis-server"
    ):
        call_command("benchmark", "kills", "--times", "1")
