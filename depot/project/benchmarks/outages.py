"""Random outages of links and of the server, simulated with the product's own planner and charging profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from charging.ocpp.simulator.outages import (
    Figures,
    Outages,
    Policy,
    random_outages,
    random_yard,
    simulate,
)

RUNS, BUSES = 20, 12
AS_BEFORE = Policy(cut=False, reserve=False)


@dataclass(frozen=True, slots=True)
class OutageFigure:
    """What came of one depot: with its outages, with those and neither safeguard, and without any outage."""

    seed: int
    outage: str
    with_outages: Figures
    unguarded: Figures
    undisturbed: Figures


def measure(runs: int, buses: int, seed: int) -> Iterator[OutageFigure]:
    """Yield the figures of as many random depots, the first with `seed`; server and links fail in turn."""
    for number in range(seed, seed + runs):
        yard = random_yard(buses, number)
        outages = random_outages(yard, number)
        yield OutageFigure(
            number,
            "server dead 8 h" if outages.server else f"{len(outages.links)} links lost",
            simulate(yard, outages),
            simulate(yard, outages, AS_BEFORE),
            simulate(yard, Outages()),
        )
