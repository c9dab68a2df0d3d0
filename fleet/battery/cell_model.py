"""Describe a published ageing model of one cell: what it needs, what it gives, and where it was tested.

Capacity is 1 - calendar loss - cycle loss. Each loss follows a power law, loss = rate * x ** exponent, with
x in days (calendar) or in equivalent full cycles (cycling), and its rate changes with use. A cell may also
lose active material; the smaller of what lithium and material allow is its capacity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet.battery.profile import DailyUse, FloatArray


@dataclass(frozen=True, slots=True)
class CycleStress:
    """Hold what a day's cycling does to a cell.

    `rate` (rests included) and `charge_rate` are in C of the new cell, `calendar_rate` is the day's own.
    """

    kelvin: float
    depth: float
    rate: float
    charge_rate: float
    mean_soc: float
    calendar_rate: float


@dataclass(frozen=True, slots=True)
class TestedRange:
    """Hold the conditions of the tests that a model was fitted to; beyond them it extrapolates."""

    temperature_c: tuple[float, float]
    depth: tuple[float, float]
    max_charge_rate: float


@dataclass(frozen=True, slots=True)
class CellModel:
    """Hold one published model.

    `calendar_rate` gives each day's rate, `cycle_rate` the rate of one day's cycling, both per unit of their
    x (days, equivalent full cycles). `material_life` gives the scale of the active-material loss in
    equivalent full cycles, `material_loss_new` its value in a new cell. `reference_name` is the class of the
    same model in NREL BLAST-Lite.
    """

    name: str
    label: str
    chemistry: str
    source: str
    reference_name: str
    tested: TestedRange
    calendar_exponent: float
    cycle_exponent: float
    calendar_rate: Callable[[DailyUse], FloatArray]
    cycle_rate: Callable[[CycleStress], float]
    material_life: Callable[[CycleStress], float] | None = None
    material_loss_new: float = 0.0
