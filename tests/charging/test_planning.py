"""A plan is made, proved, stored and sent; an unsound one is replaced and told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from billing.models import Tariff
from charging.models import ChargerCommand, Plan
from charging.planner.case import case_from_json
from charging.planner.highs import SolverError
from charging.planner.plan import plan_from_json
from charging.planner.solve import solve
from charging.planner.verify import verify
from charging.services import planning
from charging.services.alerts import watch
from charging.services.dispatch import dispatch
from depot.models import Alert, Forecast, Webhook
from depot.words import speaking
from tests.factories import NOW, make_block, make_charger, make_vehicle

TARIFF = {
    "format": "depot-tariff/1",
    "name": "Two prices",
    "currency": "USD",
    "time_zone": "America/New_York",
    "energy": [
        {
            "id": "energy",
            "label": "Energy",
            "prices": [
                {"id": "peak", "label": "Peak", "price_per_kwh": 0.40, "when": [{"hours": ["16:00-21:00"]}]},
                {"id": "off", "label": "Off-peak", "price_per_kwh": 0.10},
            ],
        }
    ],
    "demand": [
        {"id": "d", "label": "Demand", "prices": [{"id": "all", "label": "All hours", "price_per_kw": 5}]}
    ],
}


@pytest.fixture
def planned_depot(depot):
    Tariff.objects.create(
        depot=depot, name="Two prices", valid_from=NOW.date() - timedelta(days=90), definition=TARIFF
    )
    for number in range(3):
        vehicle = make_vehicle(depot, f"Bus {number}")
        make_charger(depot, vehicle)
        make_block(
            depot,
            vehicle,
            block_id=str(number),
            depart_minute=15 * 60,
            return_minute=17 * 60,
            distance_km=110,
        )
    return depot


@pytest.fixture
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


def test_a_stored_plan_is_the_planners_own_answer_to_the_stored_case(planned_depot, frozen):
    plan = planning.make_plan(planned_depot, NOW, "test")
    case, answer = case_from_json(plan.case), plan_from_json(plan.answer)
    assert verify(case, answer) == []
    assert plan.verified_at is not None
    assert solve(case).objective == pytest.approx(plan.objective, rel=1e-5)
    assert plan.objective == pytest.approx(plan.answer["cost"]["total"])
    assert plan.unmanaged_cost > plan.objective


def test_charging_avoids_the_dear_hours(planned_depot, frozen):
    plan = planning.make_plan(planned_depot, NOW, "test")
    dear = [price > 0.3 for price in plan.case["prices"]["import_per_kwh"]]
    charged = [
        power
        for row in plan.answer["vehicles"].values()
        for power, expensive in zip(row["charge_kw"], dear, strict=True)
        if expensive
    ]
    assert sum(charged) == pytest.approx(0, abs=1e-6)


def test_an_unsound_answer_is_replaced_by_the_rules_and_told(planned_depot, frozen, monkeypatch):
    def broken(case, *args, **kwargs):
        plan = solve(case)
        row = plan.vehicles[next(iter(plan.vehicles))]
        row.charge_kw[:] = 500.0
        return replace(plan)

    monkeypatch.setattr(planning, "solve", broken)
    plan = planning.make_plan(planned_depot, NOW, "test")
    assert plan.status == Plan.Status.FALLBACK
    assert plan.violations == []
    assert Alert.objects.filter(key="plan:unsound", level="critical", cleared_at=None).exists()
    monkeypatch.undo()
    planning.make_plan(planned_depot, NOW, "again")
    assert not Alert.objects.filter(key="plan:unsound", cleared_at=None).exists()


def test_when_the_solver_fails_the_rules_plan(planned_depot, frozen, monkeypatch):
    def fails(*args, **kwargs):
        raise SolverError("out of memory")

    monkeypatch.setattr(planning, "solve", fails)
    plan = planning.make_plan(planned_depot, NOW, "test")
    assert plan.status == Plan.Status.FALLBACK
    alert = Alert.objects.get(key="plan:unsound", cleared_at=None)
    assert "rule-based plan is used" in alert.title
    assert "out of memory" in alert.detail


def test_planning_refreshes_old_forecasts_and_sends_every_connector_its_powers(planned_depot, frozen):
    plan = planning.plan_and_dispatch(planned_depot, "test")
    assert set(Forecast.objects.values_list("kind", flat=True)) == {"solar", "building"}
    commands = ChargerCommand.objects.filter(plan=plan, action="set_schedule")
    assert commands.count() == 3
    command = commands.first()
    row = next(row for row in plan.answer["vehicles"].values() if row["charger"] == str(command.connector_id))
    signed = [charge - out for charge, out in zip(row["charge_kw"], row["discharge_kw"], strict=True)]
    assert command.payload["power_kw"] == pytest.approx(signed, abs=1e-3)
    assert command.payload["max_offline_s"] == 30
    assert len(command.payload["offline_kw"]) == len(signed)
    assert command.payload["vehicle_id"] == command.connector.vehicle_id


def test_a_newer_plan_replaces_what_still_waits(planned_depot, frozen):
    planning.plan_and_dispatch(planned_depot, "first")
    planning.plan_and_dispatch(planned_depot, "second")
    states = ChargerCommand.objects.filter(action="set_schedule").values_list("state", flat=True)
    assert sorted(states) == ["superseded"] * 3 + ["waiting"] * 3


def test_a_connector_without_a_planned_vehicle_gets_its_safe_level(planned_depot, frozen):
    empty = make_charger(planned_depot, fallback_kw=6).connectors.get()
    plan = planning.plan_and_dispatch(planned_depot, "test")
    payload = ChargerCommand.objects.get(connector=empty).payload
    assert (payload["vehicle_id"], payload["power_kw"]) == (None, [6.0] * plan.steps)


def test_an_older_plan_never_replaces_a_newer_one(planned_depot, frozen):
    older = planning.make_plan(planned_depot, NOW, "older")
    newer = planning.make_plan(planned_depot, NOW, "newer")
    Plan.objects.filter(pk=newer.pk).update(made_at=NOW + timedelta(seconds=5))
    newer.refresh_from_db()
    assert dispatch(newer) == 3
    assert dispatch(older) == 0
    older.refresh_from_db()
    assert older.dispatched_at is None
    assert set(ChargerCommand.objects.values_list("plan", "state")) == {(newer.pk, "waiting")}


def test_a_plan_sent_late_begins_with_the_running_step(planned_depot):
    plan = planning.make_plan(planned_depot, NOW, "test")
    with time_machine.travel(NOW + timedelta(minutes=40), tick=False):
        dispatch(plan)
    payload = ChargerCommand.objects.filter(action="set_schedule").first().payload
    assert payload["start_at"] == (NOW + timedelta(minutes=30)).isoformat()
    assert len(payload["power_kw"]) == plan.steps - 2
    with time_machine.travel(NOW + timedelta(days=3), tick=False):
        assert dispatch(plan) == 0


def test_a_plan_that_failed_its_check_is_never_sent(planned_depot, frozen):
    plan = planning.make_plan(planned_depot, NOW, "test")
    plan.violations = ["Bus 1 discharges below its floor."]
    with pytest.raises(ValueError, match="failed its check"):
        dispatch(plan)
    plan.violations, plan.verified_at = [], None
    with pytest.raises(ValueError, match="was never checked"):
        dispatch(plan)


def test_with_dispatch_off_plans_are_made_and_not_sent(planned_depot, frozen):
    hook = Webhook.objects.create(
        depot=planned_depot, name="hook", url="https://hooks.example/", topics=["plans"]
    )
    planning.make_plan(planned_depot, NOW, "test")
    planned_depot.dispatch_enabled = False
    planned_depot.save()
    plan = planning.plan_and_dispatch(planned_depot, "test")
    assert plan.dispatched_at is None
    told = [json.loads(row.body)["data"] for row in hook.deliveries.order_by("created_at")]
    assert {one["id"]: one["sent"] for one in told} == {plan.pk - 1: True, plan.pk: False}
    assert not ChargerCommand.objects.exists()


def test_what_is_noted_of_the_depot_is_one_alert_in_whatever_language(planned_depot, frozen):
    Tariff.objects.all().delete()
    for hours, language, words in ((0, "en", "No tariff is valid today"), (1, "de", "Heute gilt kein Tarif")):
        at = NOW + timedelta(hours=hours)
        planned_depot.language = language
        planned_depot.save()
        with speaking(language):
            planning.make_plan(planned_depot, at, "test")
            watch(planned_depot, at)
        alert = Alert.objects.get(key="note:no tariff")
        assert alert.title.startswith(words)
        assert alert.cleared_at is None


def test_old_plans_are_thinned_to_one_a_day(planned_depot, frozen):
    keep = planning.make_plan(planned_depot, NOW, "now")
    for hours in (60, 61, 62, 90):
        Plan.objects.filter(pk=planning.make_plan(planned_depot, NOW, "old").pk).update(
            made_at=NOW - timedelta(hours=hours)
        )
    assert planning.prune_plans(planned_depot, NOW) == 2
    assert Plan.objects.filter(pk=keep.pk).exists()
    assert Plan.objects.count() == 3
