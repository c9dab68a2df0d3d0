"""The worker killed while it saves a big schedule: nothing of the file is there, then all of it, once."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.factories import NOW
from tests.processes.clerk import Clerk
from tests.processes.conftest import House

pytestmark = pytest.mark.processes

BLOCKS = 10_000
KILLS = 2
"""A job is tried three times."""
LONGEST_WAIT_S = 0.5
SEED = 20261127


@pytest.fixture
def product(product: House) -> House:
    product.env |= {
        "DEPOT_CLOCK_SPEED": "0.0001",
        "DEPOT_CLOCK_ANCHOR_WALL": datetime.now(UTC).isoformat(),
        "DEPOT_CLOCK_ANCHOR_SIMULATED": NOW.isoformat(),
        "DEPOT_WORKERS": "1",
        "DEPOT_JOB_STALE_SECONDS": "3",
    }
    return product


def saving(clerk: Clerk) -> list[Any]:
    """Return the state of the job, and how often it was begun."""
    [found] = clerk.rows("depot.Job", "state", "attempts", kind="schedule-save")
    return found


def test_a_killed_saving_leaves_nothing_and_is_done_again_once(product: House, clerk: Clerk) -> None:
    wait = random.Random(SEED)
    clerk.ask("yard")
    batch = clerk.ask("big_schedule", blocks=BLOCKS)
    product.start("beat")
    for begun in range(1, KILLS + 1):
        worker = product.start("worker")
        product.until(lambda wanted=begun: saving(clerk) == ["running", wanted])
        time.sleep(wait.uniform(0, LONGEST_WAIT_S))
        assert saving(clerk) == ["running", begun], "the file is too small to be killed while it is saved"
        product.kill(worker)
        assert clerk.rows("fleet.Block", "key") == []
        assert clerk.rows("depot.ImportBatch", "state", pk=batch) == [["checked"]]
    product.start("worker")
    product.until(lambda: saving(clerk)[0] in ("done", "failed"))
    [[result, attempts, error]] = clerk.rows("depot.Job", "result", "attempts", "error", kind="schedule-save")
    assert error == ""
    assert (result["saved"]["new"], attempts) == (BLOCKS, KILLS + 1)
    keys = [key for [key] in clerk.rows("fleet.Block", "key")]
    assert len(keys) == len(set(keys)) == BLOCKS
    assert clerk.rows("depot.ImportBatch", "state", pk=batch) == [["committed"]]
