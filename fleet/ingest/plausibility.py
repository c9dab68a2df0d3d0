"""Doubt what a vehicle cannot have done: power above its rating, SoC that moves faster than energy can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet.ingest.items import Item

POWER_SLACK_KW = 2.0  # what a vehicle at rest may show
RATING_SLACK = 1.25  # meters, rounding and cold packs together stay below this
SOC_SLACK = 0.05  # telematics report SoC in steps of up to 1 %, and seconds late
FASTEST_FALL_PER_H = 2.0  # twice the battery's energy in an hour: above any bus or van on the road


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vehicle can do: its battery in kWh and its greatest charging and discharging power in kW."""

    capacity_kwh: float
    max_charge_kw: float
    max_discharge_kw: float


@dataclass(frozen=True, slots=True)
class Known:
    """The newest SoC (0..1) known of a vehicle."""

    soc: float
    at: datetime


def doubt(item: Item, limits: Limits, known: Known | None) -> str:
    """Return why `item` cannot be true of a vehicle with these limits, or "" when it can.

    The SoC is compared with the newest one known: it may rise at the rated charging power and fall at 2 C. An
    older item than that has nothing to be compared with. The room to move grows with time, so a wrong known
    value never shuts out the truth for longer than a charge takes.
    """
    return _doubt_power(item, limits) or _doubt_soc(item, limits, known)


def _doubt_power(item: Item, limits: Limits) -> str:
    power = item.charging_power_kw
    if power is None:
        return ""
    if power > limits.max_charge_kw * RATING_SLACK + POWER_SLACK_KW:
        return f"charging_power_kw is above the vehicle's {limits.max_charge_kw:g} kW."
    if -power > limits.max_discharge_kw * RATING_SLACK + POWER_SLACK_KW:
        return f"charging_power_kw discharges above the vehicle's {limits.max_discharge_kw:g} kW."
    if item.plugged_in is False and abs(power) > POWER_SLACK_KW:
        return "charging_power_kw flows although plugged_in is false."
    return ""


def _doubt_soc(item: Item, limits: Limits, known: Known | None) -> str:
    if item.soc is None or known is None or item.observed_at <= known.at:
        return ""
    hours = (item.observed_at - known.at).total_seconds() / 3600
    rise_per_h = RATING_SLACK * limits.max_charge_kw / limits.capacity_kwh
    if item.soc > known.soc + SOC_SLACK + rise_per_h * hours:
        return "soc_percent rose faster than the vehicle can charge."
    if item.soc < known.soc - SOC_SLACK - FASTEST_FALL_PER_H * hours:
        return "soc_percent fell faster than the vehicle can use energy."
    return ""
