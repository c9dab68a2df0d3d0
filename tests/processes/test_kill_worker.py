"""The worker killed in the middle of plan, roll-up and bill: all is done once, and the money is the same."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.factories import NOW
from tests.processes.clerk import Clerk
from tests.processes.conftest import House

pytestmark = pytest.mark.processes

DAYS = 7
SEED = 20260312
LONGEST_WAIT_S = 0.15

FREQUENT = {"watch", "alerts", "pull-outs", "telematics"}
"""Jobs of every few minutes: how often they come depends on how long the test takes."""


@pytest.fixture
def product(product: House) -> House:
    """Let the depot's time stand still, so that every run sees the same, and let one worker do one job at a time."""
    product.env |= {
        "DEPOT_CLOCK_SPEED": "0.0001",
        "DEPOT_CLOCK_ANCHOR_WALL": datetime.now(UTC).isoformat(),
        "DEPOT_CLOCK_ANCHOR_SIMULATED": NOW.isoformat(),
        "DEPOT_WORKERS": "1",
        "DEPOT_JOB_STALE_SECONDS": "3",
    }
    return product


def jobs(clerk: Clerk) -> dict[str, str]:
    return dict(clerk.rows("depot.Job", "kind", "state"))


def test_killed_worker_closes_every_interval_once_and_bills_the_same(product: House, clerk: Clerk) -> None:
    wait = random.Random(SEED)
    clerk.ask("yard")
    clerk.ask("history", days=DAYS)
    wanted = clerk.ask("undisturbed")
    assert len(wanted["ledger"]) == 96 * DAYS
    assert len(wanted["bills"]) == 2
    product.start("beat")
    spared = {"rollup", "plan", "bill"}
    while spared and not finished(clerk):
        worker = product.start("worker")
        product.until(lambda: running(clerk) & spared or finished(clerk))
        time.sleep(wait.uniform(0, LONGEST_WAIT_S))
        spared.difference_update(running(clerk))
        product.kill(worker)
    product.start("worker")
    product.until(lambda: finished(clerk))
    clerk.ask("bill_again")  # the first one may have come before the roll-up
    product.until(lambda: finished(clerk))
    attempts = clerk.rows("depot.Job", "kind", "state", "attempts")
    assert {state for _, state, _ in attempts} == {"done"}
    assert sum(count for *_, count in attempts) > len(attempts)
    assert Counter(kind for kind, *_ in attempts if kind not in FREQUENT) == {
        "rollup": 1,
        "forecast": 1,
        "plan": 1,
        "health": 1,
        "bill": 2,
        "close-bills": 1,
        "prices": 1,
        "savings-band": 1,
        "retention": 1,
        "vehicle-days": 1,
        "consumption": 1,
        "peak-outlook": 1,
        "report": 1,
    }
    assert clerk.ask("money") == wanted
    waiting = clerk.rows("charging.ChargerCommand", "connector", action="set_schedule", state="waiting")
    assert sorted(connector for [connector] in waiting) == [
        connector for [connector] in clerk.rows("charging.Connector", "id")
    ]


def running(clerk: Clerk) -> set[str]:
    return {kind for kind, state in jobs(clerk).items() if state == "running"}


def finished(clerk: Clerk) -> bool:
    """Tell whether all that recurs was asked for and is over."""
    states = clerk.rows("depot.Job", "kind", "state")
    return len(states) >= 6 and all(state in ("done", "failed") for _, state in states)
