"""Estimate a battery's capacity from what deep charges put into it, and join that with the ageing model.

Capacity = energy into the cells / SoC gained. A deep charge tells more than a shallow one, because the SoC
that a vehicle reports is good to a few percent only; that error is the battery manager's own and does not
average out within one charge, but does over many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np

from fleet.battery.profile import FloatArray, SocProfile

MIN_SWING = 0.4
SOC_READING_SIGMA = 0.015
"""Standard error of one reported SoC; an assumption for vehicles whose maker states none."""
SYSTEMATIC_SIGMA = 0.02
"""Relative standard error that all charges of a vehicle share: meter class and charging efficiency."""
_OUTLIER_SIGMAS = 3.0
_CHARGING_KWH = 1e-6


@dataclass(frozen=True, slots=True)
class DeepCharge:
    """Hold one uninterrupted charge: SoC at both ends and the energy at the charger's grid side."""

    soc_from: float
    soc_to: float
    grid_kwh: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hold a measured state of health (relative capacity), its standard error and the number of charges."""

    soh: float
    sigma: float
    charges: int


@dataclass(frozen=True, slots=True)
class FusedHealth:
    """Hold the health from model and measurement; `disagree` when they are 3 standard errors apart."""

    soh: float
    sigma: float
    measured_weight: float
    disagree: bool


def find_deep_charges(
    profile: SocProfile, charged_grid_kwh: FloatArray, min_swing: float = MIN_SWING
) -> list[DeepCharge]:
    """Return the charges of at least `min_swing` in a history.

    `charged_grid_kwh` is the energy at the grid side per interval of the profile (one fewer than samples).
    A charge lasts as long as energy flows in and the SoC does not fall.
    """
    if charged_grid_kwh.size != profile.soc.size - 1:
        raise ValueError("charged_grid_kwh needs one value per interval of the profile.")
    flowing = (charged_grid_kwh > _CHARGING_KWH) & (np.diff(profile.soc) >= 0)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flowing, [False])).astype(np.int8)))
    charges = []
    for start, end in edges.reshape(-1, 2).tolist():
        gained = float(profile.soc[end] - profile.soc[start])
        if gained >= min_swing:
            energy = float(charged_grid_kwh[start:end].sum())
            charges.append(DeepCharge(float(profile.soc[start]), float(profile.soc[end]), energy))
    return charges


def measured_health(
    charges: Sequence[DeepCharge], nominal_kwh: float, charge_efficiency: float, min_swing: float = MIN_SWING
) -> Estimate | None:
    """Return the state of health that deep charges show, or None when there is no deep charge among them.

    Each charge weighs by the square of its swing; charges more than 3 of their standard errors from the
    median are left out. `charge_efficiency` is grid side to cells, 0..1.
    """
    deep = [charge for charge in charges if charge.soc_to - charge.soc_from >= min_swing]
    if not deep:
        return None
    swings = np.array([charge.soc_to - charge.soc_from for charge in deep])
    energies = np.array([charge.grid_kwh for charge in deep]) * charge_efficiency
    healths = energies / swings / nominal_kwh
    sigmas = healths * sqrt(2) * SOC_READING_SIGMA / swings
    kept = np.abs(healths - np.median(healths)) <= _OUTLIER_SIGMAS * sigmas
    if not kept.any():
        return None
    weights = sigmas[kept] ** -2.0
    soh = float(weights @ healths[kept] / weights.sum())
    random_sigma = float(weights.sum() ** -0.5)
    return Estimate(soh, hypot(random_sigma, SYSTEMATIC_SIGMA * soh), int(kept.sum()))


def fuse(model_soh: float, model_sigma: float, measured: Estimate | None) -> FusedHealth:
    """Return the state of health from both sources, each weighted by the inverse of its variance.

    When the two are more than 3 joint standard errors apart, at least one of them is wrong: the result is
    still their weighted mean, its standard error is widened to half their distance, and `disagree` is set.
    """
    if measured is None:
        return FusedHealth(model_soh, model_sigma, 0.0, disagree=False)
    weight = model_sigma**2 / (model_sigma**2 + measured.sigma**2)
    soh = model_soh + weight * (measured.soh - model_soh)
    distance = abs(measured.soh - model_soh)
    disagree = distance > 3 * hypot(model_sigma, measured.sigma)
    sigma = model_sigma * measured.sigma / hypot(model_sigma, measured.sigma)
    return FusedHealth(soh, max(sigma, distance / 2) if disagree else sigma, weight, disagree)
