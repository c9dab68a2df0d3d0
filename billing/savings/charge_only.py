"""Managed charging without V2G: what the depot would have drawn had no vehicle given anything back.

The rule (published in docs/algorithms/savings.md): the same managed charging, but nothing is discharged, and
what a discharge took out of the batteries is not charged again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from billing.savings.site import SitePower

Floats = npt.NDArray[np.float64]

ROUND_TRIP = 0.88
"""kWh given per kWh charged for it, at the chargers' grid side (0.94 each way)."""


@dataclass(frozen=True, slots=True, eq=False)
class ChargeOnly:
    """Charging of all vehicles in kWh per step, and the kWh of later charging that is still to be left out."""

    charge_kwh: Floats
    owed_kwh: float


def charge_only(charge_kwh: Floats, discharge_kwh: Floats, owed_kwh: float = 0.0) -> ChargeOnly:
    """Leave the discharge out, and of the charging that follows as much as refilled it.

    A discharged kWh is refilled by 1 / `ROUND_TRIP` kWh: the next that the depot charges, in the same step or
    later; what is not refilled yet is `owed_kwh`. Taken over the whole fleet, so a vehicle that charges while
    another gives counts as refilling at once, which understates what V2G saved, never overstates it in energy.
    """
    kept = np.array(charge_kwh, dtype=np.float64)
    for step in range(kept.size):
        owed_kwh += float(discharge_kwh[step]) / ROUND_TRIP
        if owed_kwh > 0:
            left_out = min(owed_kwh, float(kept[step]))
            kept[step] -= left_out
            owed_kwh -= left_out
    return ChargeOnly(kept, owed_kwh)


def moved_site(
    import_kwh: Floats, export_kwh: Floats, change_kwh: Floats, export_limit_kwh: float | None = None
) -> SitePower:
    """Return what the meter would have counted had the vehicles drawn `change_kwh` more in each step.

    Starts from what was metered, so that nothing else differs: what flowed both ways within a step stays. Above
    the export limit sun is curtailed. All in kWh per step.
    """
    both_ways = np.minimum(import_kwh, export_kwh)
    net = import_kwh - export_kwh + change_kwh
    exported = np.maximum(-net, 0.0) + both_ways
    if export_limit_kwh is not None:
        exported = np.minimum(exported, np.maximum(export_limit_kwh, export_kwh))
    return SitePower(np.maximum(net, 0.0) + both_ways, exported)


def solar_self_use(building_kwh: Floats, solar_kwh: Floats, charge_kwh: Floats) -> Floats:
    """Return the solar energy that building and vehicles use at once, in kWh per step."""
    return np.asarray(np.minimum(solar_kwh, building_kwh + charge_kwh))
