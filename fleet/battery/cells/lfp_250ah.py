"""LFP-graphite, large prismatic cell of more than 250 Ah (newer buses and vans).

Equations and parameters: Gasper et al., J. Energy Storage 73 (2023) 109042, as published in NREL BLAST-Lite.
Cycling was tested at 80 to 100 % depth and low rates only; a depot's cycles of 10 to 40 % extrapolate.
"""

from __future__ import annotations

from math import exp

import numpy as np

from fleet.battery.cell_model import CellModel, CycleStress, TestedRange
from fleet.battery.cells.graphite import anode_potential_v
from fleet.battery.profile import KELVIN, DailyUse, FloatArray


def calendar_rate(use: DailyUse) -> FloatArray:
    """Return the calendar rate per day**0.526: Arrhenius, and faster at a low anode potential."""
    kelvin = use.samples.temperature_c + KELVIN
    potential = anode_potential_v(use.samples.soc)
    return use.daily_mean(8.37e4 * np.exp(-5210.0 / kelvin) * np.exp(-3560.0 * potential / kelvin))


def cycle_rate(stress: CycleStress) -> float:
    """Return the cycling rate per full cycle**0.828: linear in depth and rate, faster in the cold."""
    strength = 4.38e-8 + 1.55e-8 * stress.depth + 1.68e-7 * stress.rate
    return strength * (exp(2190.0 / stress.kelvin) + exp(-1.55e5 / stress.kelvin))


LFP_250AH = CellModel(
    name="lfp",
    label="LFP-graphite, 250 Ah prismatic",
    chemistry="lfp",
    source="Gasper et al., J. Energy Storage 73 (2023) 109042",
    reference_name="Lfp_Gr_250AhPrismatic",
    tested=TestedRange(temperature_c=(10.0, 45.0), depth=(0.8, 1.0), max_charge_rate=0.65),
    calendar_exponent=0.526,
    cycle_exponent=0.828,
    calendar_rate=calendar_rate,
    cycle_rate=cycle_rate,
)
