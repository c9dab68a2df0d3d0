"""Report a vehicle's battery health from its history, and what its service to the grid has cost it."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np

from fleet.battery.ageing import AgeingState, advance_days, extrapolation, new_cell
from fleet.battery.cell_model import CellModel
from fleet.battery.cells import cell_models
from fleet.battery.estimate import Estimate, fuse
from fleet.battery.profile import HOURS_PER_YEAR, FloatArray, SocProfile, daily_use

HIGH_SOC = 0.8
MODEL_SIGMA_FLOOR = 0.005
MODEL_SIGMA_OF_LOSS = 0.15
"""Cell-to-cell spread: the published models give 15 % of the loss as one standard deviation."""
EXTRAPOLATION_FACTOR = 2.0
"""Outside its tests a model's spread counts double; an assumption, there is no data to do better."""
BAND_SIGMAS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Hold what is known of a battery's use.

    `v2g_kwh`, one value per interval of `profile`, is the energy that left the battery through the charger.
    `without_v2g` is what the SoC would have been without that, when the caller knows it better than
    `without_discharge` can derive it.
    """

    profile: SocProfile
    nominal_kwh: float
    v2g_kwh: FloatArray | None = None
    without_v2g: SocProfile | None = None

    def __post_init__(self) -> None:
        if self.nominal_kwh <= 0:
            raise ValueError(f"nominal_kwh must be positive, not {self.nominal_kwh}.")
        if self.v2g_kwh is None:
            return
        if self.v2g_kwh.size != self.profile.soc.size - 1:
            raise ValueError("v2g_kwh needs one value per interval of the profile.")
        if not (self.v2g_kwh >= 0).all():
            raise ValueError("v2g_kwh counts energy leaving the battery and must not be negative.")


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Hold a battery's health at the end of its history.

    Losses and parts are shares of the new capacity. `v2g_loss` is the loss with the service to the grid
    minus the loss without it over this history (negative when the swings spared the battery hours at a high
    SoC), and `v2g_share` the same as a share of the history's loss. `loss_per_year` is the history's mean.
    `soh_low` and `soh_high` bound about 95 %.
    """

    model: str
    soh: float
    soh_low: float
    soh_high: float
    model_soh: float
    measured_weight: float
    disagree: bool
    calendar_part: float
    cycling_part: float
    equivalent_full_cycles: float
    throughput_kwh: float
    v2g_throughput_kwh: float
    v2g_loss: float
    v2g_share: float
    hours_above_80_percent: float
    loss_per_year: float
    extrapolated: bool
    state: AgeingState


def assess_health(
    chemistry: str,
    history: History,
    starts: dict[str, AgeingState] | None = None,
    measured: Estimate | None = None,
) -> HealthReport:
    """Return the health report of a vehicle; for plain "nmc" that of the model that shows the lower health.

    `starts` holds the states at the start of the history by model name (a model without one starts new), so
    that a nightly job can go on from stored states with the new days only. Raises ValueError for an unknown
    chemistry.
    """
    known = starts or {}
    reports = [
        _assess(model, history, known.get(model.name, new_cell(model)), measured)
        for model in cell_models(chemistry)
    ]
    return min(reports, key=lambda report: report.model_soh)


def without_discharge(profile: SocProfile, v2g_kwh: FloatArray, nominal_kwh: float) -> SocProfile:
    """Return the SoC history that the same driving would have made had nothing been discharged to the grid.

    What left through the charger stays in the battery and is taken off the charging that follows, so that the
    two histories meet again once the vehicle has been charged back. The SoC never passes 1.
    """
    changes, discharged = np.diff(profile.soc).tolist(), (v2g_kwh / nominal_kwh).tolist()
    kept = 0.0
    lifted = [0.0]
    for at_end, change, out in zip(profile.soc[1:].tolist(), changes, discharged, strict=True):
        repaid = min(max(change, 0.0), kept)
        kept = min(kept - repaid + out, 1.0 - at_end)
        lifted.append(kept)
    return SocProfile(profile.hours, profile.soc + np.array(lifted), profile.temperature_c)


def hours_above(profile: SocProfile, soc: float) -> float:
    """Return the hours that a history spends above a SoC, crossings interpolated."""
    start, end = profile.soc[:-1], profile.soc[1:]
    high, low = np.maximum(start, end), np.minimum(start, end)
    span = high - low
    share = np.divide(high - soc, span, out=(high > soc).astype(np.float64), where=span > 0)
    return float(np.clip(share, 0.0, 1.0) @ np.diff(profile.hours))


def model_sigma(state: AgeingState, extrapolated: bool) -> float:
    """Return the standard error of a modelled state of health, growing with the loss."""
    spread = MODEL_SIGMA_OF_LOSS * (1 - state.capacity) * (EXTRAPOLATION_FACTOR if extrapolated else 1.0)
    return hypot(MODEL_SIGMA_FLOOR, spread)


def _assess(
    model: CellModel, history: History, start: AgeingState, measured: Estimate | None
) -> HealthReport:
    use = daily_use(history.profile)
    state = advance_days(start, use)
    outside = extrapolation(model, use).extrapolated
    fused = fuse(state.capacity, model_sigma(state, outside), measured)
    loss = start.capacity - state.capacity
    v2g_loss = _capacity_without_v2g(history, start, state) - state.capacity
    return HealthReport(
        model=model.name,
        soh=fused.soh,
        soh_low=max(0.0, fused.soh - BAND_SIGMAS * fused.sigma),
        soh_high=fused.soh + BAND_SIGMAS * fused.sigma,
        model_soh=state.capacity,
        measured_weight=fused.measured_weight,
        disagree=fused.disagree,
        calendar_part=state.calendar_loss,
        cycling_part=state.cycle_loss,
        equivalent_full_cycles=state.equivalent_full_cycles,
        throughput_kwh=state.equivalent_full_cycles * history.nominal_kwh,
        v2g_throughput_kwh=0.0 if history.v2g_kwh is None else float(history.v2g_kwh.sum()),
        v2g_loss=v2g_loss,
        v2g_share=v2g_loss / loss if loss > 0 else 0.0,
        hours_above_80_percent=hours_above(history.profile, HIGH_SOC),
        loss_per_year=loss * HOURS_PER_YEAR / history.profile.span_hours,
        extrapolated=outside,
        state=state,
    )


def _capacity_without_v2g(history: History, start: AgeingState, state: AgeingState) -> float:
    counterfactual = history.without_v2g
    if counterfactual is None:
        if history.v2g_kwh is None or not history.v2g_kwh.any():
            return state.capacity
        present_kwh = history.nominal_kwh * start.capacity
        counterfactual = without_discharge(history.profile, history.v2g_kwh, present_kwh)
    return advance_days(start, daily_use(counterfactual)).capacity
