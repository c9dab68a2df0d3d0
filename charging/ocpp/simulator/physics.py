"""How batteries charge and discharge: losses, limits, and a charging power that tapers when nearly full."""

from __future__ import annotations

from typing import NotRequired, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TAPER_FROM_SOC = 0.9
TAPER_SLOPE = 9.0
"""From `TAPER_FROM_SOC` on the greatest charging power falls in a line to a tenth of itself at a full battery."""


class Pack(TypedDict):
    """Batteries at their chargers: numbers, or arrays of shape (vehicles,).

    Powers are in kW at the charger's grid side, efficiencies between there and the battery, SoC 0..1.
    """

    capacity_kwh: npt.ArrayLike
    max_charge_kw: npt.ArrayLike
    max_discharge_kw: npt.ArrayLike
    charge_efficiency: npt.ArrayLike
    discharge_efficiency: npt.ArrayLike
    min_soc: NotRequired[npt.ArrayLike]
    max_soc: NotRequired[npt.ArrayLike]


def step(soc: float, setpoint_kw: float, seconds: float, **pack: Unpack[Pack]) -> tuple[float, float]:
    """Move one battery on; return its SoC afterwards and its mean power in kW (see `step_fleet`)."""
    soc_after, power_kw = step_fleet(soc, setpoint_kw, seconds, **pack)
    return float(soc_after), float(power_kw)


def step_fleet(
    soc: npt.ArrayLike, setpoint_kw: npt.ArrayLike, seconds: float, **pack: Unpack[Pack]
) -> tuple[Floats, Floats]:
    """Move batteries on by `seconds`; return the SoC afterwards and the mean power at the grid side, in kW.

    A set-point above zero charges, below zero discharges; it is cut to the limits, by the taper, and at
    `max_soc` and `min_soc`. The taper is solved exactly, so steps of a second and of an hour agree: with u the
    share of the greatest power that is left, du/dt = -u * TAPER_SLOPE * (SoC per second at the greatest power).
    Raises ValueError for a step of no length.
    """
    if seconds <= 0:
        raise ValueError(f"A step must be longer than 0 s, not {seconds}.")
    before, wanted = np.asarray(soc, dtype=float), np.asarray(setpoint_kw, dtype=float)
    capacity = np.asarray(pack["capacity_kwh"], dtype=float)
    gain = np.asarray(pack["charge_efficiency"], dtype=float) / capacity
    drain = 1.0 / (np.asarray(pack["discharge_efficiency"], dtype=float) * capacity)
    hours = seconds / 3600.0
    full = _charged(
        before, np.clip(wanted, 0.0, None), gain * hours, np.asarray(pack["max_charge_kw"], float)
    )
    highest = np.maximum(before, pack.get("max_soc", 1.0))
    lowest = np.minimum(before, pack.get("min_soc", 0.0))
    charged = np.minimum(full, highest) - before
    out_kw = np.clip(-wanted, 0.0, pack["max_discharge_kw"])
    discharged = before - np.maximum(before - out_kw * drain * hours, lowest)
    power_kw = charged / (gain * hours) - discharged / (drain * hours)
    return before + charged - discharged, power_kw


def _charged(soc: Floats, wanted_kw: Floats, gain: Floats, max_kw: Floats) -> Floats:
    """Return the SoC after charging with `wanted_kw`; `gain` is the SoC that 1 kW adds over the step.

    First evenly, up to the SoC at which the taper meets the wanted power; then along the taper.
    """
    power = np.minimum(wanted_kw, max_kw)
    share = np.divide(power, max_kw, out=np.ones_like(power + max_kw), where=max_kw > 0)
    meets_at = TAPER_FROM_SOC + (1.0 - share) / TAPER_SLOPE
    even_rate = power * gain
    room = np.maximum(meets_at - soc, 0.0)
    even_part = np.divide(room, even_rate, out=np.ones_like(room + even_rate), where=even_rate > room)
    even = soc + even_rate * even_part
    left = 1.0 - TAPER_SLOPE * np.maximum(even - TAPER_FROM_SOC, 0.0)
    tapered = left * (1.0 - np.exp(-TAPER_SLOPE * max_kw * gain * (1.0 - even_part))) / TAPER_SLOPE
    return np.where(power > 0, even + np.where(even_part < 1.0, tapered, 0.0), soc)
