"""The cards of Home and the Plan page: what they say is what the rows say, for those who may see it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import time_machine
from django.core.cache import cache
from django.urls import reverse

from charging.models import Charger, ChargingSession, Plan
from charging.planner.baseline import unmanaged
from charging.planner.case import case_from_json
from charging.selectors.plan_view import compare, plan_view, site_view
from charging.selectors.plans import cost_sentence, later_price, proof_words, stored_kwh, unmanaged_of
from charging.selectors.timeline import bridged, timeline, windows
from charging.views.plan_charts import row_names
from depot.charts.figure import ALLOWED_TRACES
from depot.jobs.services import run
from depot.models import AuditEvent, Depot, Job, MeterReading, User
from depot.templatetags.depot_pages import cents, kw, money, percent
from fleet.models import Block, Vehicle, VehicleState
from tests.billing.money import DOCUMENT
from tests.charging.plans import make_plan_row
from tests.charging.yard import BUILDING_KW, CHARGE_KW, Yard, make_yard
from tests.factories import NOW, make_charger, make_depot, make_person, make_type, make_vehicle

pytestmark = pytest.mark.any_database

DATA = re.compile(r'<script id="([\w-]+)" type="application/json">(.*?)</script>', re.S)
PAGES = ["plan", "pull-outs", "plan-compare", "card-answer", "card-readiness", "card-site", "connection"]


@pytest.fixture(autouse=True)
def at_eleven():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def yard(depot: Depot) -> Yard:
    return make_yard(depot, NOW)


def url(depot: Depot, view: str = "plan", *args: Any) -> str:
    return reverse(f"charging:{view}", args=[depot.slug, *args])


def text_of(response) -> str:
    plain = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+([,.;])", r"\1", " ".join(plain.split()))


def figures(response) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in DATA.findall(response.content.decode())}


# --- who may see what


@pytest.mark.parametrize("view", PAGES)
@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_every_member_sees_every_page(login, yard: Yard, role: str, view: str) -> None:
    assert login(make_person(yard.depot, role)).get(url(yard.depot, view)).status_code == 200


@pytest.mark.parametrize("view", PAGES)
def test_a_stranger_finds_nothing(login, yard: Yard, outsider: User, view: str) -> None:
    assert login(outsider).get(url(yard.depot, view)).status_code == 404


def test_a_stranger_finds_no_vehicle_no_status_and_no_job(login, yard: Yard, outsider: User) -> None:
    client, depot = login(outsider), yard.depot
    bus = yard.vehicles["Bus 01"]
    assert client.get(url(depot, "plan-vehicle", bus.pk)).status_code == 404
    assert client.get(url(depot, "plan-status", yard.plan.pk)).status_code == 404
    assert client.post(url(depot, "replan")).status_code == 404


def test_another_depots_vehicle_and_plan_are_not_found(login, yard: Yard, viewer: User) -> None:
    elsewhere = make_depot("Harbor")
    strange, plan = make_vehicle(elsewhere), make_plan_row(elsewhere, {})
    client = login(viewer)
    assert client.get(url(yard.depot, "plan-vehicle", strange.pk)).status_code == 404
    assert client.get(url(yard.depot, "plan-status", plan.pk)).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "technician"])
def test_who_may_not_replan_sees_no_button(login, yard: Yard, role: str) -> None:
    client = login(make_person(yard.depot, role))
    assert "Re-plan now" not in text_of(client.get(url(yard.depot)))
    assert client.post(url(yard.depot, "replan")).status_code == 403
    assert not Job.objects.filter(kind="plan").exists()


# --- asking for a new plan


def test_a_new_plan_is_asked_for_once_and_followed_to_its_end(login, yard: Yard, dispatcher: User) -> None:
    client, depot = login(dispatcher), yard.depot
    assert "Re-plan now" in text_of(client.get(url(depot)))
    asked = client.post(url(depot, "replan"), headers={"HX-Request": "true"})
    job = Job.objects.get(kind="plan")
    assert job.requested_by == dispatcher
    following = f"{reverse('depot:job', args=[depot.slug, job.pk])}?next=%2F{depot.slug}%2Fplan%2F"
    assert asked.url == following
    assert client.post(url(depot, "replan")).url == following
    assert Job.objects.filter(kind="plan").count() == 1
    assert AuditEvent.objects.get(verb="plan.requested").facts == {"job": str(job.pk)}
    assert "waiting for its turn" in text_of(client.get(following, headers={"HX-Request": "true"}))
    page = client.get(following)
    assert page.headers["Refresh"] == "2"
    assert run(job.pk, beat=False)
    done = client.get(following, headers={"HX-Request": "true"})
    assert done.headers["HX-Redirect"] == url(depot)
    assert client.get(following).url == url(depot)
    assert Plan.objects.latest("pk").trigger == f"Asked for by {dispatcher}"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"state": "running", "step": "Solving", "progress": 0.4}, "Plan: Solving"),
        ({"state": "failed", "error": "No tariff."}, "Plan: failed. No tariff. Nothing was changed."),
        ({"state": "done"}, "Plan: done."),
    ],
)
def test_a_job_says_how_far_it_is(login, depot: Depot, viewer: User, state: dict, words: str) -> None:
    job = Job.objects.create(kind="plan", depot=depot, window="x", due_at=NOW, created_at=NOW, **state)
    address = reverse("depot:job", args=[depot.slug, job.pk])
    page = login(viewer).get(f"{address}?next=https://elsewhere.example/", headers={"HX-Request": "true"})
    assert words in text_of(page)
    assert "elsewhere" not in page.content.decode()
    assert ('hx-trigger="every 1s"' in page.content.decode()) == (state["state"] == "running")


def test_another_depots_job_is_not_found(login, depot: Depot, viewer: User) -> None:
    job = Job.objects.create(kind="plan", depot=make_depot("Harbor"), window="x", due_at=NOW, created_at=NOW)
    assert login(viewer).get(reverse("depot:job", args=[depot.slug, job.pk])).status_code == 404


# --- the Plan page


def test_the_plan_page_says_what_the_plan_row_says(login, yard: Yard, viewer: User) -> None:
    page, plan = login(viewer).get(url(yard.depot)), yard.plan
    text = text_of(page)
    assert f"The plan until Wed 23:00 costs about {money(plan.objective, 'USD')}" in text
    assert cost_sentence(yard.depot, plan) in text
    assert proof_words(plan) in text
    assert "verified" in text
    assert "Re-planned just now" in text
    for lane in page.context["lanes"]:
        row = next((row for row in plan.case["vehicles"] if row["id"] == str(lane.vehicle.pk)), None)
        assert row is not None
        soc = plan.answer["vehicles"][row["id"]]["soc"]
        leaves = {trip["from_step"] for trip in row["away"]}
        wanted = [item for item in row["targets"] if item["boundary"] in leaves]
        assert [(leave.required_soc, leave.planned_soc) for leave in lane.departures] == [
            (item["soc"], soc[item["boundary"]]) for item in wanted
        ]
        assert all(leave.met for leave in lane.departures)


def test_the_timeline_joins_the_ledger_and_the_plan_without_a_seam(yard: Yard) -> None:
    view = plan_view(yard.depot, NOW)
    assert view is not None
    line, power, answer = view.line, view.power, yard.plan.answer
    assert line.grid.start_at == datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
    assert (line.now_step, line.plan_step, line.grid.steps) == (44, 44, 44 + 144)
    assert power.building_kw[:44] == pytest.approx(BUILDING_KW)
    assert power.charge_kw[:44] == pytest.approx(CHARGE_KW)
    net = np.array(answer["site"]["import_kw"]) - np.array(answer["site"]["export_kw"])
    assert power.net_kw[44:] == pytest.approx(net)
    charge = np.sum([row["charge_kw"] for row in answer["vehicles"].values()], axis=0)
    assert power.charge_kw[44:] == pytest.approx(charge)
    assert [(window.name, window.to_step - window.from_step) for window in view.windows] == [
        ("On-peak", 20)
    ] * 2
    (peak,) = view.peaks
    assert (peak.name, peak.price_per_kw, round(peak.so_far_kw)) == ("Demand", 10.0, BUILDING_KW + CHARGE_KW)


def test_demand_windows_are_shaded_under_their_names(login, yard: Yard, viewer: User) -> None:
    prices = [
        {"id": "on", "label": "On-peak demand", "price_per_kw": 19.5, "when": [{"hours": ["16:00-21:00"]}]},
        {"id": "off", "label": "Other hours", "price_per_kw": 4},
    ]
    tariff = yard.depot.tariffs.get()
    tariff.definition = DOCUMENT | {"demand": [{"id": "d", "label": "Demand", "prices": prices}]}
    tariff.save()
    make_yard_plan(yard.depot)
    with time_machine.travel(NOW + timedelta(minutes=2), tick=False):
        data = figures(login(viewer).get(url(yard.depot)))["power-figure"]
    bands = [shape["label"]["text"] for shape in data["layout"]["shapes"] if shape["type"] == "rect"]
    assert bands.count("Demand – On-peak demand $19.50/kW") == 2
    levels = [trace["name"] for trace in data["data"] if "so far" in trace["name"]]
    assert levels == ["Demand – Other hours: peak so far 60 kW · $4.00/kW"]


@pytest.mark.parametrize("prices", [[0.2] * 8, [0.1 * step for step in range(1, 9)], [np.nan] * 8])
def test_prices_without_a_few_levels_shade_nothing(yard: Yard, prices: list[float]) -> None:
    view = plan_view(yard.depot, NOW)
    assert view is not None
    power = replace(view.power, import_price=np.array(prices))
    assert windows(view.line, power, {}) == []


def test_a_tariff_that_cannot_be_read_leaves_the_page_standing(login, yard: Yard, viewer: User) -> None:
    yard.depot.tariffs.update(definition={"format": "unknown"})
    assert login(viewer).get(url(yard.depot)).status_code == 200
    yard.depot.tariffs.update(valid_to=NOW.date() - timedelta(days=30))
    assert login(viewer).get(url(yard.depot, "plan-compare")).status_code == 200


def test_a_lane_shows_what_was_measured_and_what_is_planned(yard: Yard) -> None:
    view = plan_view(yard.depot, NOW)
    assert view is not None
    lane = view.lanes[0]
    night = lane.flows[0]
    assert (night.action, night.mean_kw, night.energy_kwh) == ("charge", CHARGE_KW, CHARGE_KW)
    assert night.from_at == datetime(2026, 3, 10, 5, 0, tzinfo=UTC)
    gone = lane.absences[0]
    assert (gone.blocks, gone.to_at - gone.from_at) == ("101 AM", timedelta(hours=3))
    planned = [flow for flow in lane.flows if flow.from_at >= NOW]
    answer = yard.plan.answer["vehicles"][str(lane.vehicle.pk)]
    for action in ("charge", "discharge"):
        drawn = sum(flow.energy_kwh for flow in planned if flow.action == action)
        assert drawn == pytest.approx(sum(answer[f"{action}_kw"]) / 4, abs=0.5)


def test_the_van_that_is_not_here_and_may_not_discharge_says_both(login, yard: Yard, viewer: User) -> None:
    page = login(viewer).get(url(yard.depot))
    (lane,) = [lane for lane in page.context["lanes"] if lane.vehicle.name == "Van 01"]
    assert lane.notes == ["Not discharged: V2G is switched off for Van 01."]
    assert "Not discharged: V2G is switched off for Van 01." in text_of(page)
    Block.objects.filter(vehicle=lane.vehicle).delete()
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        make_again = make_yard_plan(yard.depot)
        page = login(viewer).get(url(yard.depot))
    (lane,) = [lane for lane in page.context["lanes"] if lane.vehicle.name == "Van 01"]
    assert make_again.pk != yard.plan.pk
    assert lane.now.because == "It should be here, but no charger reports it as plugged in."


def make_yard_plan(depot: Depot) -> Plan:
    from charging.services.planning import make_plan

    return make_plan(depot, NOW + timedelta(minutes=1), "again")


def test_charts_hold_to_the_small_bundle_and_stay_light(login, depot: Depot, viewer: User) -> None:
    make_yard(depot, NOW, buses=35)
    page = login(viewer).get(url(depot))
    data = figures(page)
    assert sum(len(json.dumps(figure)) for figure in data.values()) < 300_000
    traces = [trace for name in ("power-figure", "lanes-figure") for trace in data[name]["data"]]
    assert {trace["type"] for trace in traces} <= ALLOWED_TRACES
    assert len(data["lanes-rows"]) == len(data["lanes-figure"]["layout"]["yaxis"]["categoryarray"]) == 36
    ranges = {tuple(data[name]["layout"]["xaxis"]["range"]) for name in ("power-figure", "lanes-figure")}
    assert len(ranges) == 1


def test_more_vehicles_cost_no_more_queries(
    login, yard: Yard, viewer: User, django_assert_num_queries
) -> None:
    client = login(viewer)
    client.get(url(yard.depot))
    with django_assert_num_queries(19):
        client.get(url(yard.depot))
    for number in range(10, 30):
        make_charger(yard.depot, make_vehicle(yard.depot, f"Bus {number}"))
    make_yard_plan(yard.depot)
    for queries in (20, 19):  # a plan is read whole once
        with time_machine.travel(NOW + timedelta(minutes=2), tick=False), django_assert_num_queries(queries):
            client.get(url(yard.depot))


def test_long_names_stay_apart_on_the_axis(depot: Depot) -> None:
    kind = make_type(depot)
    names = ["Bus 01", "Coach number 0001", "Coach number 0002", "Crane number 0002"]
    lanes: Any = [type("Lane", (), {"vehicle": make_vehicle(depot, name, type=kind)}) for name in names]
    short = row_names(lanes)
    assert short[0] == "Bus 01"
    assert len(set(short)) == 4
    assert max(map(len, short)) <= 9


def test_the_page_without_a_running_plan_says_what_comes(login, depot: Depot, manager: User) -> None:
    client = login(manager)
    assert "There is no plan yet." in text_of(client.get(url(depot)))
    make_plan_row(depot, {}, made_at=NOW - timedelta(days=2))
    text = text_of(client.get(url(depot)))
    assert "The last plan, made Sun 8 Mar 11:00, has ended." in text
    assert "Plan now" in text
    assert "no plan to compare" in text_of(client.get(url(depot, "plan-compare")))
    vehicle = make_vehicle(depot)
    assert "no plan that says" in text_of(client.get(url(depot, "plan-vehicle", vehicle.pk)))


def test_a_plan_that_failed_its_check_and_its_notes_are_told(login, yard: Yard, viewer: User) -> None:
    Plan.objects.update(
        violations=["Bus 01 is above its limit."],
        verified_at=None,
        status="fallback",
        notes={"depot": ["No sun."]},
    )
    text = text_of(login(viewer).get(url(yard.depot)))
    assert "Bus 01 is above its limit. It is not sent to the chargers." in text
    assert "No sun." in text
    assert "failed its check" in text
    assert "made by rule" in text


def test_prices_go_on_where_the_ledger_has_no_interval_yet() -> None:
    prices = np.array([np.nan, 0.1, 0.3, np.nan, 0.3, np.nan, 0.1])
    assert bridged(prices) == pytest.approx([np.nan, 0.1, 0.3, 0.3, 0.3, np.nan, 0.1], nan_ok=True)


@pytest.mark.parametrize(("gap", "words"), [(0.0, "the best possible"), (0.0002, "within 0.02 %")])
def test_the_proof_is_told_as_it_is(depot: Depot, gap: float, words: str) -> None:
    assert words in proof_words(make_plan_row(depot, {}, gap=gap))


def test_the_status_names_a_newer_plan(login, yard: Yard, viewer: User) -> None:
    client, address = login(viewer), url(yard.depot, "plan-status", yard.plan.pk)
    assert "newer" not in text_of(client.get(address))
    make_yard_plan(yard.depot)
    with time_machine.travel(NOW + timedelta(minutes=4), tick=False):
        text = text_of(client.get(address))
    assert "Re-planned 4 min ago" in text
    assert "Show the newer plan of 11:01" in text


# --- one vehicle, and the comparison


def test_a_vehicle_is_a_fragment_and_a_page(login, yard: Yard, viewer: User) -> None:
    client, bus = login(viewer), yard.vehicles["Bus 01"]
    fragment = client.get(url(yard.depot, "plan-vehicle", bus.pk), headers={"HX-Request": "true"})
    page = client.get(url(yard.depot, "plan-vehicle", bus.pk))
    assert "<html" not in fragment.content.decode()
    assert "<html" in page.content.decode()
    told = yard.plan.answer["explanations"][str(bus.pk)]
    assert len(fragment.context["lane"].reasons) == len(told)
    leave = fragment.context["lane"].next_departure
    assert (
        f"Bus 01 leaves Tue 10 Mar 13:51 with {percent(leave.planned_soc)}; it needs "
        f"{percent(leave.required_soc)}." in text_of(fragment)
    )
    data = figures(fragment)[f"vehicle-{bus.pk}-figure"]["data"]
    trace = next(item for item in data if item.get("meta") == "soc")
    planned = [round(value * 100, 1) for value in yard.plan.answer["vehicles"][str(bus.pk)]["soc"]]
    assert trace["y"][-len(planned) :] == planned
    assert trace["y"][0] == 40.0


def test_a_vehicle_in_no_plan_says_so(login, yard: Yard, viewer: User) -> None:
    late = make_vehicle(yard.depot, "Late", soc=None)
    text = text_of(login(viewer).get(url(yard.depot, "plan-vehicle", late.pk)))
    assert "Its charge is not known yet." in text
    assert "It is in no plan." in text


def test_the_comparison_is_the_baseline_of_the_same_case(login, yard: Yard, viewer: User) -> None:
    page = login(viewer).get(url(yard.depot, "plan-compare"), headers={"HX-Request": "true"})
    found, plan = page.context["comparison"], yard.plan
    other = unmanaged(case_from_json(plan.case))
    assert found.total.unmanaged == pytest.approx(other.cost.total) == pytest.approx(plan.unmanaged_cost)
    assert found.total.planned == plan.objective
    assert sum(line.planned for line in found.lines) == pytest.approx(plan.objective)
    assert sum(line.unmanaged for line in found.lines) == pytest.approx(other.cost.total)
    text = text_of(page)
    for line in (*found.lines, found.total):
        assert line.name in text
        assert cents(line.unmanaged, "USD") in text
        assert cents(line.planned, "USD") in text
    assert kw(found.peak.planned) in text


def test_the_comparison_counts_what_events_of_programmes_pay(yard: Yard) -> None:
    plan = yard.plan
    cache.clear()
    call = {"id": "1-reduce", "kind": "reduce", "from_step": 0, "to_step": 4, "pay_per_kwh": 2.0}
    plan.case["events"] = [call | {"baseline_kw": [400.0] * plan.steps}]
    plan.answer["cost"]["programmes"] = -12.0
    plan.objective -= 12.0
    found = compare(plan, {})
    [paid] = [line for line in found.lines if line.name == "Grid programmes"]
    assert paid.planned == -12 and paid.unmanaged < 0
    assert sum(line.planned for line in found.lines) == pytest.approx(plan.objective)
    assert sum(line.unmanaged for line in found.lines) == pytest.approx(
        unmanaged(case_from_json(plan.case)).cost.total
    )


# --- the cards of Home


def test_home_answers_in_two_sentences(login, yard: Yard, viewer: User) -> None:
    text = text_of(login(viewer).get(url(yard.depot, "card-answer")))
    assert text == (
        "4 of 4 vehicles will be ready for the next pull-outs (first 13:51 Tue). "
        + cost_sentence(yard.depot, yard.plan)
    )


def test_charging_on_arrival_is_priced_for_the_same_energy_and_its_peak_apart(yard: Yard) -> None:
    plan, other = yard.plan, unmanaged_of(yard.plan)
    peak = sum(other.cost.demand.values())
    extra_kwh = other.stored_kwh - stored_kwh(plan)
    energy = other.cost.total - peak - extra_kwh * later_price(plan)
    assert plan.unmanaged_cost == pytest.approx(other.cost.total)
    assert extra_kwh > 0 and later_price(plan) > 0
    sentence = cost_sentence(yard.depot, plan)
    assert f"would cost {money(energy, 'USD')}" in sentence
    assert (f"{money(peak, 'USD')} more for a new peak of" in sentence) == (peak > 0.2 * abs(energy))


def test_the_next_pull_outs_carry_state_charge_and_need(login, yard: Yard, viewer: User) -> None:
    page = login(viewer).get(url(yard.depot, "card-readiness"))
    text, rows = text_of(page), page.context["rows"]
    assert [row.vehicle.name for row in rows[:3]] == ["Bus 01", "Bus 02", "Bus 03"]
    first = rows[0]
    assert f"13:51 Bus 01 {'Ready' if first.state == 'ready' else 'On track'} 50 % now → " in text
    assert f"needs {percent(first.required_soc)}" in text
    assert "All 7 pull-outs of the next 24 hours" in text


def _unplug(yard: Yard) -> None:
    VehicleState.objects.filter(vehicle__name="Bus 01").update(plugged_in=False)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        (_unplug, "at_risk", "It is not plugged in."),
        (lambda yard: Charger.objects.update(connected=False), "at_risk", "does not answer."),
        (
            lambda yard: Plan.objects.update(made_at=NOW - timedelta(hours=2)),
            "at_risk",
            "The plan is older than an hour.",
        ),
        (lambda yard: Block.objects.update(energy_kwh=400), "will_miss", "kWh"),
        (
            lambda yard: Block.objects.filter(vehicle__name="Bus 01").update(vehicle=None),
            "will_miss",
            "Assign one.",
        ),
    ],
    ids=["not plugged in", "charger silent", "stale plan", "beyond the battery", "no vehicle"],
)
def test_what_stands_in_the_way_is_named_with_the_time_to_act(
    login, yard: Yard, viewer: User, change, state: str, words: str
) -> None:
    VehicleState.objects.filter(vehicle__name="Bus 01").update(soc=0.3)
    change(yard)
    page = login(viewer).get(url(yard.depot, "card-readiness"))
    first = page.context["rows"][0]
    assert (first.state, first.sure) == (state, False)
    assert words in first.reason
    text = text_of(page)
    assert first.reason in text.replace("&#x27;", "'")
    assert f"Act by {yard.depot.local(first.act_by):%H:%M}." in text
    assert {"at_risk": "at risk", "will_miss": "will miss"}[state] in text


def test_the_site_card_tells_live_power_limit_peak_and_chargers(login, yard: Yard, viewer: User) -> None:
    Charger.objects.filter(pk=Charger.objects.earliest("pk").pk).update(connected=False)
    page = login(viewer).get(url(yard.depot, "card-site"))
    text = text_of(page)
    assert "12 s ago" in text
    assert "−42 kW exporting of 200 kW allowed" in text
    assert "Building 39 kW Solar 61 kW Vehicles −45 kW" in text
    assert "Peak this month 60 kW" in text
    assert "3 of 4 connected" in text
    (peak,) = page.context["site"].peaks
    (planned,) = yard.plan.answer["demand_peaks"].values()
    assert peak.planned_kw == pytest.approx(max(60.0, planned[0]))
    assert "site-today-figure" in figures(page)


def test_old_readings_are_greyed_and_dated(login, yard: Yard, viewer: User) -> None:
    with time_machine.travel(NOW + timedelta(minutes=4), tick=False):
        page = login(viewer).get(url(yard.depot, "card-site"))
    html = page.content.decode()
    assert 'class="fresh stale"' in html
    assert html.count("stale-value") == 4
    assert "stale, 4 min ago" in text_of(page)


def test_what_a_vehicle_drew_long_ago_is_not_what_it_draws(login, yard: Yard, viewer: User) -> None:
    session = ChargingSession.objects.filter(unplugged_at=None).earliest("pk")
    session.samples.update(sampled_at=NOW - timedelta(minutes=40))
    MeterReading.objects.filter(meter__kind="building").delete()
    page = login(viewer).get(url(yard.depot, "card-site"))
    assert "Vehicles −30 kW without 1 vehicle, last heard 40 min ago" in text_of(page)
    assert page.context["site"].building is None, "what the silent vehicle draws is in the rest"
    with time_machine.travel(NOW + timedelta(minutes=30), tick=False):
        page = login(viewer).get(url(yard.depot, "card-site"))
    assert "Vehicles – 3 vehicles, last heard 30 min ago" in text_of(page)
    assert page.context["site"].level is None


def test_the_building_is_worked_out_where_no_meter_counts_it(login, yard: Yard, viewer: User) -> None:
    MeterReading.objects.filter(meter__kind="building").delete()
    site = login(viewer).get(url(yard.depot, "card-site")).context["site"]
    assert site.building.power_kw == pytest.approx(-42 + 61 + 45)
    MeterReading.objects.filter(meter__kind="grid").delete()
    ChargingSession.objects.update(unplugged_at=NOW)
    page = login(viewer).get(url(yard.depot, "card-site"))
    assert page.context["site"].building is None
    assert text_of(page).count("not measured") == 2


def test_an_empty_depot_names_the_next_step(login, depot: Depot, viewer: User, dispatcher: User) -> None:
    client = login(viewer)
    assert "has no vehicles yet" in text_of(client.get(url(depot, "card-answer")))
    assert "No vehicle is entered yet." in text_of(client.get(url(depot, "card-readiness")))
    assert "No meter has reported yet." in text_of(client.get(url(depot, "card-site")))
    assert text_of(client.get(url(depot, "connection"))) == ""
    make_vehicle(depot)
    assert "have no schedule yet" in text_of(client.get(url(depot, "card-answer")))
    page = login(dispatcher).get(url(depot, "card-readiness"))
    assert reverse("fleet:schedule-upload", args=[depot.slug]) in page.content.decode()


def test_a_quiet_day_is_told_as_such(login, yard: Yard, viewer: User) -> None:
    Block.objects.update(valid_to=NOW.date() - timedelta(days=2))
    client = login(viewer)
    assert "No vehicle leaves in the next 24 hours." in text_of(client.get(url(yard.depot, "card-readiness")))
    assert "No vehicle leaves in the next 24 hours." in text_of(client.get(url(yard.depot, "pull-outs")))


def test_the_cards_cost_a_fixed_number_of_queries(
    login, yard: Yard, viewer: User, django_assert_num_queries
) -> None:
    client = login(viewer)
    budgets = {"card-answer": 16, "card-readiness": 13, "card-site": 11, "connection": 5, "pull-outs": 14}
    for view in budgets:
        client.get(url(yard.depot, view))
    for view, budget in budgets.items():
        with django_assert_num_queries(budget):
            client.get(url(yard.depot, view))


def test_the_day_that_loses_an_hour_keeps_its_steps(db: None) -> None:
    depot = make_depot("Spring")
    now = datetime(2026, 3, 8, 15, 0, tzinfo=UTC)
    plan = make_plan_row(depot, {}, made_at=now)
    line = timeline(plan, depot, now)
    assert line.grid.start_at == datetime(2026, 3, 8, 5, 0, tzinfo=UTC)
    assert line.now_step == 40
    view = site_view(depot, now, plan)
    assert view.steps == 23 * 4


def test_a_plan_made_yesterday_begins_at_midnight(depot: Depot) -> None:
    now = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
    plan = make_plan_row(depot, {}, made_at=datetime(2026, 3, 10, 3, 45, tzinfo=UTC))
    line = timeline(plan, depot, now)
    assert line.grid.start_at == datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
    assert (line.now_step, line.plan_step, line.grid.steps) == (0, -1, 143)
    assert line.joined(None, list(range(144))).tolist() == list(range(1, 144))
    assert not line.past.times()


def test_vehicles_of_no_depot_are_not_shown(login, yard: Yard, viewer: User) -> None:
    Vehicle.objects.filter(name="Bus 02").update(active=False)
    assert "Bus 02" not in text_of(login(viewer).get(url(yard.depot)))


def test_the_plan_page_says_what_a_bad_day_would_leave(login, yard: Yard, viewer: User) -> None:
    bus = yard.vehicles["Bus 01"]
    row = next(row for row in yard.plan.case["vehicles"] if row["id"] == str(bus.pk))
    target = next(target for target in row["targets"] if target["boundary"] == row["away"][1]["from_step"])
    missed = {"vehicle": row["id"], "boundary": target["boundary"], "required_soc": 0.7, "planned_soc": 0.62}
    yard.plan.answer["bad_day"]["shortfalls"] = [missed | {"missing_kwh": 16.0, "tier": "must", "cause": "x"}]
    yard.plan.save()
    assert "If it pulls in late and uses more than usual, it leaves at" in text_of(
        login(viewer).get(url(yard.depot))
    )
    lane = next(lane for lane in plan_view(yard.depot, NOW).lanes if lane.vehicle == bus)
    assert lane.notes[-1].endswith("with 62 % instead of 70 %.")


def test_the_plan_says_which_peak_is_expected_anyway_and_why(login, yard: Yard, viewer: User) -> None:
    charge = yard.plan.case["demand_charges"][0]
    billed_kw, expected_kw = charge["billed_kw_so_far"], [90.0] * len(charge["billed_kw_so_far"])
    charge["billed_kw_so_far"] = expected_kw
    because = "The coming week needs 90 kW anyway: why."
    yard.plan.notes["peaks"] = {
        charge["id"]: {"billed_kw": billed_kw, "expected_kw": expected_kw, "because": because}
    }
    yard.plan.save()
    browser = login(viewer)
    page = browser.get(url(yard.depot))
    assert "The coming week needs 90 kW anyway: why." in text_of(page)
    assert "90 kW expected this week" in json.dumps(figures(page))
    assert "90 kW expected this week" in text_of(browser.get(url(yard.depot, "card-site")))
