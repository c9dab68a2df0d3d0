"""NMC111-graphite, Kokam pouch cell of 75 Ah (school buses).

Equations: Smith et al., American Control Conference 2017, pp. 4062-4068; parameters as published in NREL
BLAST-Lite. Lithium is lost with time and with throughput, active material with throughput, and the scarcer of
the two is the capacity. Tested at 80 and 100 % depth and 1 C; the model knows no dependence on the rate.
"""

from __future__ import annotations

from math import exp

import numpy as np

from fleet.battery.cell_model import CellModel, CycleStress, TestedRange
from fleet.battery.cells.graphite import anode_potential_v
from fleet.battery.profile import KELVIN, DailyUse, FloatArray

_KELVIN_NORM = 308.15
_POTENTIAL_NORM_V = 0.123
_SHORTEST_MATERIAL_LIFE = 100.0
"""Full cycles. In deep frost the fitted line falls below zero, where no life is defined."""


def calendar_rate(use: DailyUse) -> FloatArray:
    """Return the calendar rate per day**0.357: Arrhenius, and faster at a low anode potential."""
    warmth = (use.samples.temperature_c + KELVIN) / _KELVIN_NORM
    potential = anode_potential_v(use.samples.soc) / _POTENTIAL_NORM_V
    return use.daily_mean(2.66e7 * np.exp(-17.8 / warmth) * np.exp(-5.21 * potential / warmth))


def cycle_rate(stress: CycleStress) -> float:
    """Return the cycling rate per full cycle**0.778: Arrhenius, and steeply faster with depth."""
    return 3.80e3 * exp(-18.4 * _KELVIN_NORM / stress.kelvin) * exp(1.04 * exp(stress.depth**2))


def material_life(stress: CycleStress) -> float:
    """Return the scale of the loss of active material in full cycles; cold, deep, full cells have less."""
    celsius = stress.kelvin - KELVIN
    fit = 1e4 + 153.0 * (celsius - 55.0) * stress.depth * stress.mean_soc / 0.6
    return max(fit, _SHORTEST_MATERIAL_LIFE)


NMC111_KOKAM_75AH = CellModel(
    name="nmc111",
    label="NMC111-graphite, Kokam 75 Ah pouch",
    chemistry="nmc",
    source="Smith et al., American Control Conference 2017, pp. 4062-4068",
    reference_name="Nmc111_Gr_Kokam75Ah_Battery",
    tested=TestedRange(temperature_c=(0.0, 45.0), depth=(0.8, 1.0), max_charge_rate=1.0),
    calendar_exponent=0.357,
    cycle_exponent=0.778,
    calendar_rate=calendar_rate,
    cycle_rate=cycle_rate,
    material_life=material_life,
    material_loss_new=1e-8,
)
