"""NMC-graphite "A", large pouch cell of about 75 Ah built for power (school buses).

Equations and parameters: Gasper et al., J. Energy Storage 73 (2023) 109042, as published in NREL BLAST-Lite.
Cycling was tested at 80 to 100 % depth. Below about 12 % depth the fitted rate passes through zero and rises
again, which is an artefact of the fit and not a property of the cell.
"""

from __future__ import annotations

from math import exp, sqrt

import numpy as np

from fleet.battery.cell_model import CellModel, CycleStress, TestedRange
from fleet.battery.cells.graphite import anode_potential_v
from fleet.battery.profile import KELVIN, DailyUse, FloatArray

_KELVIN_NORM = 308.15
_POTENTIAL_NORM_V = 0.123
_CALENDAR_EXPONENT = 0.578
_CYCLE_EXPONENT = 1.11
# The fit counts time in 1000 days and throughput in 10,000 full cycles.
_PER_DAY = 1e-3**_CALENDAR_EXPONENT
_PER_CYCLE = pow(1e-4, _CYCLE_EXPONENT)


def calendar_rate(use: DailyUse) -> FloatArray:
    """Return the calendar rate per day**0.578, from temperature and anode potential."""
    warmth = ((use.samples.temperature_c + KELVIN) / _KELVIN_NORM) ** 3
    potential = anode_potential_v(use.samples.soc) / _POTENTIAL_NORM_V
    return use.daily_mean(8.71e-7 * _PER_DAY * np.exp(10.0 * warmth / np.cbrt(potential)))


def cycle_rate(stress: CycleStress) -> float:
    """Return the cycling rate per full cycle**1.11, from temperature, depth and rate."""
    warmth = stress.kelvin / _KELVIN_NORM
    fit = (
        0.0267
        + 1.64 * warmth**3 * sqrt(stress.depth)
        + 0.011 * exp(stress.rate**2 / sqrt(warmth))
        - 0.44 * exp(sqrt(stress.depth) * warmth**2 * sqrt(stress.rate))
    )
    return float(abs(fit) * _PER_CYCLE)


NMC_A_75AH = CellModel(
    name="nmc_a",
    label="NMC-graphite A, 75 Ah pouch",
    chemistry="nmc",
    source="Gasper et al., J. Energy Storage 73 (2023) 109042",
    reference_name="NMC_Gr_75Ah_A",
    tested=TestedRange(temperature_c=(10.0, 45.0), depth=(0.8, 1.0), max_charge_rate=2.0),
    calendar_exponent=_CALENDAR_EXPONENT,
    cycle_exponent=_CYCLE_EXPONENT,
    calendar_rate=calendar_rate,
    cycle_rate=cycle_rate,
)
