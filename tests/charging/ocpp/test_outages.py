"""A simulated depot stays inside its limits whatever link or server dies, and would not without the safeguards."""

from __future__ import annotations

import numpy as np
import pytest

from charging.ocpp.profiles import V21, V201
from charging.ocpp.simulator.outages import (
    NOTICED_S,
    STEP_S,
    Bus,
    Outages,
    Policy,
    Trip,
    Yard,
    random_outages,
    random_yard,
    simulate,
)

STEPS = 12


def yard(version: str) -> Yard:
    """A full bus with time and an empty one that leaves in 2 h and needs more than the connection has."""
    trip = Trip(8, 12, 40.0, 0.65)
    flat = np.full(STEPS + 12, 1.0)
    full, empty = Bus("a", V21, 0.9, ()), Bus("b", version, 0.2, (trip,))
    return Yard(50.0, 100.0, 25.0 * flat, 0.0 * flat, 0.2 * flat, (full, empty), STEPS)


@pytest.mark.parametrize("version", [V21, V201])
@pytest.mark.parametrize(
    "outages",
    [
        Outages(server=(STEP_S + 300, STEPS * STEP_S)),
        Outages(links=((0, STEP_S + 300, STEPS * STEP_S),)),
        Outages(links=((1, STEP_S + 300, STEPS * STEP_S),)),
    ],
    ids=["server", "who gives", "who takes"],
)
def test_charging_that_lives_on_discharge_ends_with_it(version: str, outages: Outages) -> None:
    """A server dead: nothing beyond; the link of who gives: until the others are told, a minute later."""
    found = simulate(yard(version), outages)
    assert found.longest_s <= (NOTICED_S if outages.links else 0)
    if outages.server:
        assert simulate(yard(version), outages, Policy(cut=False)).beyond_s > 1800
    assert simulate(yard(version), Outages()).met == 1


def test_a_random_depot_holds_its_limits() -> None:
    depot = random_yard(3, 5, steps=20)
    found = simulate(depot, random_outages(depot, 5))
    assert found.beyond_s == 0
    assert 0 < found.met == found.departures == simulate(depot, Outages()).met
