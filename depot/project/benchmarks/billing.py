"""Measure billing: a year of quarter hours on the demonstration depot's tariff, a price curve, a battery's year.

NREL-PySAM, where it is installed, bills a URDB tariff that both engines read, on the same load.
"""

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from billing.tariff.bill import bill
from billing.tariff.curve import price_curve
from billing.tariff.load import LoadSeries, make_load
from billing.tariff.read import read_tariff
from billing.tariff.shipped import example_text
from fleet.battery.ageing import advance, new_cell
from fleet.battery.cells import CELL_MODELS
from fleet.battery.profile import make_profile

TARIFF = Path(__file__).resolve().parents[1] / "demo" / "tariff.json"
BESIDE = "us-urdb-tou"
BESIDE_START = datetime(2018, 1, 1, tzinfo=UTC)
"""The year of the other engine: 365 days from a Monday, without clock change."""
RUNS = 3
STEP_MINUTES = 15
YEAR_STEPS = 365 * 96
CURVE_STEPS = 2 * 96
START = datetime(2025, 1, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BillingFigure:
    """Seconds (medians of RUNS runs): read the tariff, bill a year, price 48 hours, age a battery over a year."""

    steps: int
    periods: int
    total: str
    read_seconds: float
    bill_seconds: float
    curve_steps: int
    curve_seconds: float
    ageing_seconds: float
    beside: "Beside | None"


@dataclass(frozen=True, slots=True)
class Beside:
    """The same year and URDB tariff billed by both engines: seconds (medians) and totals."""

    engine: str
    seconds: float
    total: float
    our_seconds: float
    our_total: float

    @property
    def times_faster(self) -> float:
        """Return how many times faster this product bills."""
        return self.seconds / self.our_seconds


def measure(seed: int) -> BillingFigure:
    """Return the figures of billing with a random load of a year."""
    text = TARIFF.read_text(encoding="utf-8")
    read_seconds, tariff = _timed(lambda: read_tariff(text))
    rng = np.random.default_rng(seed)
    load = make_load(START, STEP_MINUTES, rng.gamma(4.0, 40.0, YEAR_STEPS), rng.gamma(0.5, 20.0, YEAR_STEPS))
    bill_seconds, result = _timed(lambda: bill(tariff, load))
    curve_seconds, _ = _timed(lambda: price_curve(tariff, START, CURVE_STEPS, STEP_MINUTES))
    soc = make_profile(np.arange(YEAR_STEPS) * STEP_MINUTES / 60, rng.uniform(0.2, 0.9, YEAR_STEPS), 25.0)
    ageing_seconds, _ = _timed(lambda: advance(new_cell(CELL_MODELS["nmc111"]), soc))
    return BillingFigure(
        steps=YEAR_STEPS,
        periods=len(result.periods),
        total=f"{result.total} {result.currency}",
        read_seconds=read_seconds,
        bill_seconds=bill_seconds,
        curve_steps=CURVE_STEPS,
        curve_seconds=curve_seconds,
        ageing_seconds=ageing_seconds,
        beside=_beside(load) if find_spec("PySAM") else None,
    )


def _beside(load: LoadSeries) -> Beside:
    from PySAM import Utilityrate5, UtilityRateTools

    record = json.loads(example_text(BESIDE))
    net_kw = np.maximum(load.import_kw - load.export_kw, 0)
    gen_kw = np.maximum(load.export_kw - load.import_kw, 0)

    def theirs() -> float:
        model = Utilityrate5.new()
        rates = UtilityRateTools.URDBv8_to_ElectricityRates(copy.deepcopy(record))
        model.ElectricityRates.assign(rates | {"rate_escalation": [0]})
        model.Lifetime.assign({"analysis_period": 1, "system_use_lifetime_output": 0, "inflation_rate": 0})
        model.SystemOutput.assign({"gen": gen_kw.tolist(), "degradation": [0]})
        model.Load.assign({"load": net_kw.tolist(), "load_escalation": [0]})
        model.execute(0)
        return float(sum(model.Outputs.year1_monthly_utility_bill_w_sys))

    tariff = read_tariff(copy.deepcopy(record))
    year = make_load(BESIDE_START, STEP_MINUTES, net_kw, gen_kw)
    seconds, total = _timed(theirs)
    our_seconds, result = _timed(lambda: bill(tariff, year, time_zone=UTC))
    return Beside("NREL-PySAM Utilityrate5", seconds, total, our_seconds, float(result.total))


def _timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median seconds of an act and its last answer."""
    seconds = []
    answer = None
    for _ in range(RUNS):
        started = time.perf_counter()
        answer = act()
        seconds.append(time.perf_counter() - started)
    return median(seconds), answer
