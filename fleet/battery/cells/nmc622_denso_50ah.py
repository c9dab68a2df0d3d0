"""NMC622-graphite, Denso cell of 50 Ah (vans and cars of the NMC622/811 class).

Equations and parameters: Smith et al., J. Electrochem. Soc. 168 (2021) 100530, as published in NREL
BLAST-Lite (without its break-in terms). Tested at 10 to 100 % depth around 50 % SoC.
"""

from __future__ import annotations

from math import exp, sqrt

import numpy as np

from fleet.battery.cell_model import CellModel, CycleStress, TestedRange
from fleet.battery.profile import DailyUse, FloatArray

_GAS_CONSTANT = 8.3144
_REFERENCE_KELVIN = 298.15
_HOT_KELVIN = 328.15


def calendar_rate(use: DailyUse) -> FloatArray:
    """Return the calendar rate per day**0.5 at the day's mean SoC and temperature; never negative.

    The fitted polynomial dips below zero under 2 % SoC, where it was not tested.
    """
    soc, kelvin = use.mean_soc, use.mean_kelvin
    warmth = np.exp(-37000.0 / _GAS_CONSTANT * (1 / kelvin - 1 / _REFERENCE_KELVIN))
    fit = (
        -0.000197
        + 0.0101 * soc
        - 0.0157 * soc**2
        + 0.00835 * soc**3
        - 4.06e-6 * soc * kelvin
        + 3.32e-5 * np.maximum(0.0, kelvin - _HOT_KELVIN)
    )
    rate: FloatArray = np.maximum(warmth * fit, 0.0)
    return rate


def cycle_rate(stress: CycleStress) -> float:
    """Return the cycling rate per full cycle**0.5, from charge rate, depth, SoC and temperature."""
    load = sqrt(stress.depth * stress.charge_rate) * (1 + 2.1 * stress.mean_soc)
    cold = max(0.0, 3.24 * _arrhenius(stress.kelvin, -58000.0) * load - 0.099)
    deep = 1.44 * _arrhenius(stress.kelvin, -13000.0) * stress.depth**6
    return stress.calendar_rate * (cold + deep) * 0.985


def _arrhenius(kelvin: float, activation_j_per_mol: float) -> float:
    return exp(-activation_j_per_mol / _GAS_CONSTANT * (1 / kelvin - 1 / _REFERENCE_KELVIN))


NMC622_DENSO_50AH = CellModel(
    name="nmc622",
    label="NMC622-graphite, Denso 50 Ah",
    chemistry="nmc",
    source="Smith et al., J. Electrochem. Soc. 168 (2021) 100530",
    reference_name="Nmc622_Gr_DENSO50Ah_Battery",
    tested=TestedRange(temperature_c=(10.0, 60.0), depth=(0.1, 1.0), max_charge_rate=1.0),
    calendar_exponent=0.5,
    cycle_exponent=0.5,
    calendar_rate=calendar_rate,
    cycle_rate=cycle_rate,
)
