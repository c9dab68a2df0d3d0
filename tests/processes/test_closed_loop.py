"""All processes together on a fast clock: planned, sent, obeyed, metered, closed, billed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from depot.clock import Clock
from tests.processes.browser import insist, with_key
from tests.processes.chargers import PASSWORD
from tests.processes.clerk import Clerk
from tests.processes.conftest import House

pytestmark = pytest.mark.processes

SPEED = 120.0
METER_S = 150
BEGINS_AT = datetime(2026, 3, 10, 19, 45, tzinfo=UTC)  # 15:45 at the depot; the dear hours begin at 16:00
SOC = {"Bus 01": 0.9, "Bus 02": 0.6, "Van 01": 0.3}
SAME_KW = 0.5
INTERVALS = 4


@dataclass(frozen=True, slots=True)
class Loop:
    """A running depot, its clock, and who looks into its tables."""

    clerk: Clerk
    clock: Clock

    def now(self) -> datetime:
        return self.clock.at(datetime.now(UTC))


@pytest.fixture
def loop(product: House, clerk: Clerk) -> Iterator[Loop]:
    """Start gateway, worker, beat, web and simulated chargers, each with its own command."""
    passwords = product.folder / "charger_passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(clerk.ask("yard"), PASSWORD)))
    passwords.chmod(0o600)
    clerk.ask("afternoon", at=BEGINS_AT.isoformat(), soc=SOC)
    clock = Clock(datetime.now(UTC), BEGINS_AT, SPEED)
    product.env |= {
        "DEPOT_CLOCK_SPEED": str(SPEED),
        "DEPOT_CLOCK_ANCHOR_WALL": clock.anchor_wall.isoformat(),
        "DEPOT_CLOCK_ANCHOR_SIMULATED": clock.anchor_simulated.isoformat(),
        "DEPOT_JOB_STALE_SECONDS": "20",
    }
    for name in ("gateway", "worker", "beat", "web"):
        product.start(name)
    [[slug]] = clerk.rows("depot.Depot", "slug")
    product.run("chargers", f"python manage.py simulate_chargers {slug} --meter-seconds {METER_S}")
    yield Loop(clerk, clock)
    product.stop()


def test_an_afternoon_goes_through_the_whole_loop(product: House, loop: Loop) -> None:
    clerk = loop.clerk
    product.until(lambda: bool(clerk.rows("charging.MeterSample", "id", power_kw__lt=-1)))
    product.until(lambda: bool(clerk.rows("charging.MeterSample", "id", power_kw__gt=1)))
    product.until(lambda: len(clerk.rows("billing.Interval", "id")) >= INTERVALS)
    product.until(lambda: bool(clerk.rows("billing.SavingsStatement", "id")))
    plans_are_sound(clerk)
    powers_follow_the_plan(loop)
    charge_moves(clerk)
    energy_balances(clerk)
    bills = clerk.rows("billing.Bill", "scenario", "state")
    assert sorted(bills) == [["actual", "estimate"], ["unmanaged", "estimate"]]
    program = with_key(int(product.env["DEPOT_WEB_PORT"]), clerk.ask("program"))
    answer = insist(lambda: program.get("/api/v1/readiness"))
    assert answer.status == 200
    assert all(name in answer.text for name in SOC)
    product.until(lambda: all_will_be_ready(loop))
    assert "failed" not in {state for [state] in clerk.rows("depot.Job", "state")}
    assert all(process.poll() is None for process in product.running), product.logs()


def all_will_be_ready(loop: Loop) -> bool:
    coming = dict(loop.clerk.ask("coming", at=loop.now().isoformat()))
    assert coming.keys() == SOC.keys()
    return set(coming.values()) <= {"ready", "on_track"}


def plans_are_sound(clerk: Clerk) -> None:
    plans = clerk.rows("charging.Plan", "status", "violations", "made_at", "dispatched_at")
    assert len(plans) >= 2
    newest_sent = max(made_at for *_, made_at, dispatched_at in plans if dispatched_at is not None)
    for status, violations, made_at, dispatched_at in plans[:-1]:
        assert status in ("optimal", "feasible")
        assert violations == []
        assert dispatched_at is not None or made_at < newest_sent, (
            "only a plan that was overtaken is not sent"
        )


def powers_follow_the_plan(loop: Loop) -> None:
    """Each charger took its schedules, charged and discharged by them, and never did more than they say."""
    followed = {1: 0, -1: 0}
    connectors = [pk for [pk] in loop.clerk.rows("charging.Connector", "id")]
    for connector in connectors:
        schedules = loop.clerk.rows(
            "charging.ChargerCommand", "created_at", "answered_at", "payload",
            connector=connector, action="set_schedule", state="accepted",
        )  # fmt: skip
        assert schedules
        samples = loop.clerk.rows(
            "charging.MeterSample", "sampled_at", "power_kw", session__connector=connector
        )
        for at, power_kw in samples:
            wanted_kw = setpoint(loop.clock, schedules, datetime.fromisoformat(at))
            if wanted_kw is None or abs(wanted_kw) <= SAME_KW:
                continue
            sign = 1 if wanted_kw > 0 else -1
            assert -SAME_KW <= power_kw * sign <= abs(wanted_kw) + SAME_KW
            followed[sign] += abs(power_kw - wanted_kw) <= SAME_KW
    assert followed[1] > 0
    assert followed[-1] > 0


def setpoint(clock: Clock, schedules: list[list[Any]], sampled_at: datetime) -> float | None:
    """Return the power that the schedule in force says for the span before a sample; None near a change."""
    from_at, middle = sampled_at.timestamp() - METER_S, sampled_at.timestamp() - METER_S / 2
    spans = []
    for created_at, answered_at, payload in schedules:
        taken_at = clock.at(datetime.fromisoformat(answered_at)).timestamp()
        sent_at = clock.at(datetime.fromisoformat(created_at)).timestamp()
        if sent_at < sampled_at.timestamp() and taken_at > from_at:
            return None
        if taken_at <= from_at:
            spans.append((taken_at, payload))
    if not spans:
        return None
    _, payload = max(spans, key=lambda span: span[0])
    index = int((middle - datetime.fromisoformat(payload["start_at"]).timestamp()) // payload["step_seconds"])
    return float(payload["power_kw"][index]) if 0 <= index < len(payload["power_kw"]) else None


def charge_moves(clerk: Clerk) -> None:
    states = dict(clerk.rows("fleet.VehicleState", "vehicle__name", "soc"))
    assert states["Bus 01"] < SOC["Bus 01"] - 0.01
    assert states["Van 01"] > SOC["Van 01"] + 0.01


def energy_balances(clerk: Clerk) -> None:
    fields = (
        "import_kwh",
        "export_kwh",
        "building_kwh",
        "solar_kwh",
        "charge_kwh",
        "discharge_kwh",
        "quality",
    )
    intervals = clerk.rows("billing.Interval", *fields)
    for into, out, building, solar, charge, discharge, quality in intervals:
        assert quality == "good"
        assert into - out == pytest.approx(
            building - solar + charge - discharge, abs=0.01 * max(into, out, building)
        )
    assert sum(row[4] for row in intervals) > 1
    assert sum(row[5] for row in intervals) > 1
