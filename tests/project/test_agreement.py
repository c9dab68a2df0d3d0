"""Pages, API and commands tell the same numbers of one depot."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from billing.models import SavingsStatement
from charging.selectors.plans import cost_sentence
from charging.selectors.readiness import readiness
from depot.access.keys import make_key
from depot.templatetags.depot_pages import cents, money
from tests.project.conftest import NOW

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def owner(demo, client) -> Client:
    client.force_login(
        demo.memberships.get(role="owner").user, backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


@pytest.fixture
def api(demo):
    _, raw = make_key(demo, "agreement", ["read"])

    def get(path: str):
        answer = Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {raw}"})
        assert answer.status_code == 200, answer.content
        return answer.json()

    return get


def page(owner: Client, demo, view: str, *more: str) -> str:
    answer = owner.get(reverse(view, args=[demo.slug, *more]))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().replace("&#x27;", "'").replace("\u00a0", " ").split())


def test_the_plan_is_the_same_on_the_page_in_the_api_and_from_the_command(owner, api, demo, tmp_path):
    plan = demo.plans.latest()
    assert api("plans/latest")["objective"] == pytest.approx(plan.objective)
    assert money(plan.objective, "USD") in cost_sentence(demo, plan)
    assert money(plan.objective, "USD") in page(owner, demo, "charging:plan")
    case, answer = tmp_path / "case.json", tmp_path / "plan.json"
    call_command("export_case", demo.slug, output=str(case), at=plan.made_at.isoformat())
    assert json.loads(case.read_text()) == plan.case
    call_command("solve", str(case), "-o", str(answer))
    again = json.loads(answer.read_text())
    assert again["objective"] == pytest.approx(plan.objective, rel=1e-3)


def test_readiness_is_the_same_on_home_and_in_the_api(owner, api, demo):
    coming = readiness(demo, NOW)
    told = api("readiness")
    rows = told["results"] if isinstance(told, dict) else told
    assert [row["state"] for row in rows] == [row.state for row in coming]
    ready = sum(row.state in ("ready", "on_track") for row in coming if row.vehicle)
    assert ready > 0
    first = coming[0]
    assert first.vehicle.name in page(owner, demo, "charging:card-readiness")


def test_bill_and_savings_are_the_same_on_the_page_in_the_api_and_from_the_command(
    owner, api, demo, tmp_path, capfd
):
    statement = SavingsStatement.objects.get(depot=demo)
    shown = page(owner, demo, "billing:savings")
    for amount in (statement.actual.total, statement.unmanaged.total, statement.wear_added):
        assert cents(amount, "USD") in shown
    told = api("savings")["results"][0]
    assert Decimal(told["net_saving"]) == statement.net_saving
    [billed] = api("bills?scenario=actual")["results"]
    assert Decimal(billed["total"]) == statement.actual.total
    months, month = page(owner, demo, "billing:bills"), page(owner, demo, "billing:bill", "2026-10")
    assert cents(statement.actual.total, "USD") in months and cents(statement.actual.total, "USD") in month
    assert money(Decimal(billed["projected_total"]), "USD") in months
    assert all(line["explanation"] in month for line in billed["lines"])
    for peak in billed["peaks_kw"].values():
        assert cents(Decimal(peak["next_10_kw"]), "USD") in month
    tariff = tmp_path / "tariff.json"
    call_command("export_tariff", demo.slug, "-o", str(tariff))
    for scenario, bill in (("actual", statement.actual), ("unmanaged", statement.unmanaged)):
        load = tmp_path / f"{scenario}.csv"
        call_command(
            "export_ledger", demo.slug, "--month", "2026-10", "--scenario", scenario, "-o", str(load)
        )
        capfd.readouterr()
        call_command("bill", str(tariff), str(load), "--json")
        assert Decimal(str(json.loads(capfd.readouterr().out)["total"])) == bill.total


def test_vehicles_and_chargers_are_all_in_the_api(api, demo):
    assert len(api("vehicles")["results"]) == demo.vehicles.count()
    assert len(api("chargers")["results"]) == demo.chargers.count()
