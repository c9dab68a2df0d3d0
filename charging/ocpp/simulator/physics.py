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

    Powers are in kW at the charger's grid side, efficiencies between there and the battery, SoC 0..1. The losses, in
    kW, are those beside the efficiencies as long as power flows; where less comes than is lost, nothing is stored.
    """

    capacity_kwh: npt.ArrayLike
    max_charge_kw: npt.ArrayLike
    max_discharge_kw: npt.ArrayLike
    charge_efficiency: npt.ArrayLike
    discharge_efficiency: npt.ArrayLike
    charge_loss_kw: NotRequired[npt.ArrayLike]
    discharge_loss_kw: NotRequired[npt.ArrayLike]
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
    share of the greatest power that is left, du/dt = -TAPER_SLOPE * (u * SoC per second at the greatest power - SoC
    per second that is lost). A battery that reaches its end within the step has no power for the rest of it.
    Raises ValueError for a step of no length.
    """
    if seconds <= 0:
        raise ValueError(f"A step must be longer than 0 s, not {seconds}.")
    before, wanted = np.asarray(soc, dtype=float), np.asarray(setpoint_kw, dtype=float)
    capacity = np.asarray(pack["capacity_kwh"], dtype=float)
    gain = np.asarray(pack["charge_efficiency"], dtype=float) / capacity
    drain = 1.0 / (np.asarray(pack["discharge_efficiency"], dtype=float) * capacity)
    hours = seconds / 3600.0
    loss = np.asarray(pack.get("charge_loss_kw", 0.0), dtype=float) * hours / capacity
    out_loss = np.asarray(pack.get("discharge_loss_kw", 0.0), dtype=float) * hours / capacity
    highest = np.maximum(before, pack.get("max_soc", 1.0))
    lowest = np.minimum(before, pack.get("min_soc", 0.0))
    full, share = _charged(
        before,
        np.clip(wanted, 0.0, None),
        (gain * hours, loss),
        np.asarray(pack["max_charge_kw"], float),
        highest,
    )
    charged = full - before
    out_kw = np.clip(-wanted, 0.0, pack["max_discharge_kw"])
    drained = out_kw * drain * hours + out_loss * (out_kw > 0.0)
    discharged = before - np.maximum(before - drained, lowest)
    # What is lost is lost as long as power flows: the share of the step until an end of the battery is reached.
    out_share = np.divide(discharged, drained, out=np.zeros_like(discharged + drained), where=drained > 0.0)
    power_kw = (charged + loss * share) / (gain * hours) - (discharged - out_loss * out_share) / (
        drain * hours
    )
    return before + charged - discharged, power_kw


def _charged(
    soc: Floats, wanted_kw: Floats, rate: tuple[Floats, Floats], max_kw: Floats, highest: Floats
) -> tuple[Floats, Floats]:
    """Return the SoC after charging with `wanted_kw` up to `highest`, and the share of the step that it charges.

    `rate` is the SoC that 1 kW adds over the step, and that which is lost of it. First evenly, up to the SoC at which
    the taper meets the wanted power; then along the taper.
    """
    gain, loss = rate
    power = np.minimum(wanted_kw, max_kw)
    share = np.divide(power, max_kw, out=np.ones_like(power + max_kw), where=max_kw > 0)
    meets_at = TAPER_FROM_SOC + (1.0 - share) / TAPER_SLOPE
    even_rate = np.maximum(power * gain - loss, 0.0)
    room = np.maximum(np.minimum(meets_at, highest) - soc, 0.0)
    even_part = np.divide(room, even_rate, out=np.ones_like(room + even_rate), where=even_rate > room)
    even = soc + even_rate * even_part
    full_rate = max_kw * gain
    least = np.divide(loss, full_rate, out=np.zeros_like(even + full_rate), where=full_rate > 0.0)
    left = np.maximum(1.0 - TAPER_SLOPE * np.maximum(even - TAPER_FROM_SOC, 0.0) - least, 0.0)
    # Along the taper, what is left falls towards `least`; `spent` is the share of it that is gone at `highest`.
    spent = TAPER_SLOPE * np.maximum(highest - even, 0.0)
    spent = np.divide(spent, left, out=np.ones_like(spent + left), where=left > spent)
    until = np.full(spent.shape, np.inf)
    np.divide(
        -np.log1p(-np.minimum(spent, 1.0 - 1e-15)),
        TAPER_SLOPE * full_rate,
        out=until,
        where=(spent < 1.0) & (full_rate > 0.0),
    )
    part = np.where(even_part < 1.0, np.minimum(1.0 - even_part, until), 0.0)
    tapered = left * (1.0 - np.exp(-TAPER_SLOPE * full_rate * part)) / TAPER_SLOPE
    charges = even_rate > 0.0
    after = np.minimum(even + tapered, np.maximum(highest, soc))
    return np.where(charges, after, soc), np.where(charges, even_part + part, 0.0)
