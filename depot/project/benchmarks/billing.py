"""Measure billing on the demonstration depot's tariff: a year of quarter hours billed, and a price curve."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from billing.tariff.bill import bill
from billing.tariff.curve import price_curve
from billing.tariff.load import make_load
from billing.tariff.read import read_tariff

TARIFF = Path(__file__).resolve().parents[1] / "demo" / "tariff.json"
RUNS = 3
STEP_MINUTES = 15
YEAR_STEPS = 365 * 96
CURVE_STEPS = 2 * 96
START = datetime(2025, 1, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BillingFigure:
    """Seconds (medians of RUNS runs) for reading the tariff, billing a year, and a 48-hour price curve."""

    steps: int
    periods: int
    total: str
    read_seconds: float
    bill_seconds: float
    curve_steps: int
    curve_seconds: float


def measure(seed: int) -> BillingFigure:
    """Return the figures of billing with a random load of a year."""
    text = TARIFF.read_text(encoding="utf-8")
    read_seconds, tariff = _timed(lambda: read_tariff(text))
    rng = np.random.default_rng(seed)
    load = make_load(START, STEP_MINUTES, rng.gamma(4.0, 40.0, YEAR_STEPS), rng.gamma(0.5, 20.0, YEAR_STEPS))
    bill_seconds, result = _timed(lambda: bill(tariff, load))
    curve_seconds, _ = _timed(lambda: price_curve(tariff, START, CURVE_STEPS, STEP_MINUTES))
    return BillingFigure(
        steps=YEAR_STEPS,
        periods=len(result.periods),
        total=f"{result.total} {result.currency}",
        read_seconds=read_seconds,
        bill_seconds=bill_seconds,
        curve_steps=CURVE_STEPS,
        curve_seconds=curve_seconds,
    )


def _timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median seconds of an act and its last answer."""
    seconds = []
    answer = None
    for _ in range(RUNS):
        started = time.perf_counter()
        answer = act()
        seconds.append(time.perf_counter() - started)
    return median(seconds), answer
