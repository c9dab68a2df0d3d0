"""Measure what a trip took from the battery, from what its vehicle said before, during and after it. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean
from typing import Literal

NEAR = timedelta(minutes=30)
"""A SoC older than this at pull-out, or later than this after pull-in, says nothing of the trip."""
LATE = timedelta(hours=3)
"""Vehicles come back up to so much later than the schedule says."""
LEAST_KM = 3.0
LEAST_SWING = 0.02
DEEP_SWING = 0.1
"""From here on a SoC that is good to half a point is better than 10 %, and the counter is not needed."""
CHARGED_SOC = 0.02
PLAUSIBLE_KWH_PER_KM = (0.05, 6.0)
COUNTER_AGREES = (0.6, 1.6)

EnergySource = Literal["soc", "counter"]
DistanceSource = Literal["odometer", "schedule"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a vehicle, or the charger it hung on, said at one moment; SoC 0..1, `power_kw` above zero into it."""

    at: datetime
    soc: float | None = None
    plugged_in: bool | None = None
    power_kw: float | None = None
    odometer_km: float | None = None
    used_kwh_total: float | None = None
    outside_temp_c: float | None = None


@dataclass(frozen=True, slots=True)
class TripMeasure:
    """What a trip took: kilometres, kWh out of the battery, the mean temperature outside, and where each is from."""

    out_at: datetime
    in_at: datetime
    distance_km: float
    distance_source: DistanceSource
    energy_kwh: float
    energy_source: EnergySource
    outside_temp_c: float | None


def measure_trip(
    said: Sequence[Said],
    pull_out_at: datetime,
    pull_in_at: datetime,
    scheduled_km: float | None,
    capacity_kwh: float,
) -> TripMeasure | None:
    """Return what the trip between a scheduled pull-out and pull-in took, or None where that cannot be told.

    `said` are plausible readings in the order of time that belong to no other trip. The trip begins with the last SoC
    on the plug (or before pull-out) and ends with the first on the plug again. Energy is the SoC's fall × capacity, or
    that of the vehicle's counter where the fall is below 10 points. Distance is the odometer's, else the schedule's.
    None for old readings, a charge on the way or before leaving that nobody measured, and values no vehicle has.
    """
    ends = _ends(said, pull_out_at, pull_in_at, capacity_kwh)
    if ends is None:
        return None
    before, after = ends
    energy = _energy(said, before, after, capacity_kwh)
    distance = _distance(said, before, after, scheduled_km)
    if energy is None or distance is None:
        return None
    (energy_kwh, energy_source), (km, distance_source) = energy, distance
    least, most = PLAUSIBLE_KWH_PER_KM
    if km < LEAST_KM or not least <= energy_kwh / km <= most:
        return None
    outside = [
        row.outside_temp_c
        for row in said
        if before.at <= row.at <= after.at and row.outside_temp_c is not None
    ]
    return TripMeasure(
        before.at,
        after.at,
        km,
        distance_source,
        energy_kwh,
        energy_source,
        fmean(outside) if outside else None,
    )


def _ends(
    said: Sequence[Said], pull_out_at: datetime, pull_in_at: datetime, capacity_kwh: float
) -> tuple[Said, Said] | None:
    """Return the readings of the SoC before and after a trip; None where they are too far from it."""
    middle = pull_out_at + (pull_in_at - pull_out_at) / 2
    known = [row for row in said if row.soc is not None]
    on_plug = [row for row in known if row.plugged_in and row.at <= middle]
    at_home = on_plug or [row for row in known if row.at <= pull_out_at]
    back = [row for row in known if row.plugged_in and row.at > middle]
    back = back or [row for row in known if row.at >= pull_in_at]
    if not at_home or not back:
        return None
    before, after = at_home[-1], back[0]
    near = pull_out_at - before.at <= NEAR and after.at - pull_in_at <= (LATE if after.plugged_in else NEAR)
    if not near or (after.at - before.at) < (pull_in_at - pull_out_at) / 2:
        return None
    if before.plugged_in and _charged_unseen(before, pull_out_at) > CHARGED_SOC * capacity_kwh:
        return None
    return None if _charged_on_the_way(said, before, after) else (before, after)


def _charged_on_the_way(said: Sequence[Said], before: Said, after: Said) -> bool:
    """Tell whether power flowed in between; a charger that tells no SoC may speak a little longer or sooner."""
    way = [row for row in said if before.at < row.at < after.at]
    plugged = (row for row in way if row.plugged_in and before.at + NEAR < row.at < after.at - NEAR)
    return any((row.power_kw or 0.0) > 1.0 for row in way) or any(plugged)


def _charged_unseen(before: Said, pull_out_at: datetime) -> float:
    """Return how much may have flowed between the last word on the plug and the pull-out, in kWh."""
    hours = max((pull_out_at - before.at) / timedelta(hours=1), 0.0)
    return abs(before.power_kw or 0.0) * hours


def _energy(
    said: Sequence[Said], before: Said, after: Said, capacity_kwh: float
) -> tuple[float, EnergySource] | None:
    fall = (before.soc or 0.0) - (after.soc or 0.0)
    by_soc = fall * capacity_kwh
    counted = _counted(said, before, after, "used_kwh_total")
    if counted is not None and counted > 0 and fall >= LEAST_SWING:
        least, most = COUNTER_AGREES
        if fall >= DEEP_SWING and not least <= by_soc / counted <= most:
            return None
        if fall < DEEP_SWING:
            return counted, "counter"
    return (by_soc, "soc") if fall >= LEAST_SWING else None


def _distance(
    said: Sequence[Said], before: Said, after: Said, scheduled_km: float | None
) -> tuple[float, DistanceSource] | None:
    driven = _counted(said, before, after, "odometer_km")
    if driven is not None and driven > 0:
        return driven, "odometer"
    return (scheduled_km, "schedule") if scheduled_km else None


def _counted(said: Sequence[Said], before: Said, after: Said, name: str) -> float | None:
    """Return by how much a counter rose over a trip; None where it was not told at both ends, or was reset."""
    values = [(row.at, getattr(row, name)) for row in said if getattr(row, name) is not None]
    first = [value for at, value in values if at <= before.at]
    last = [value for at, value in values if at >= after.at]
    if not first or not last or last[0] < first[-1]:
        return None
    return float(last[0] - first[-1])
