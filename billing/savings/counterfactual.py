"""What the vehicles would have drawn without management: full power from plug-in until the same energy is in.

The rule (published in docs/algorithms/savings.md): same vehicles, same plug-in and plug-out times, same
energy into the battery for driving.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from depot.timegrid import TimeGrid
from depot.words import tr

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Session:
    """One plugged-in stay as it really was.

    SoC 0..1 at plug-in and plug-out; `max_charge_kw` is the AC limit of charger and vehicle, whichever is
    lower; `charge_efficiency` is battery kWh per AC kWh, less `charge_loss_kw` as long as it charges. Moments are
    aware.
    """

    vehicle: str
    plugged_in_at: datetime
    unplugged_at: datetime
    soc_in: float
    soc_out: float
    capacity_kwh: float
    max_charge_kw: float
    charge_efficiency: float
    charge_loss_kw: float = 0.0

    @property
    def battery_kw(self) -> float:
        """Return what full power puts into the battery; a vehicle that takes less than is lost gets nothing."""
        return max(0.0, self.max_charge_kw * self.charge_efficiency - self.charge_loss_kw)

    @property
    def net_kwh(self) -> float:
        """Return the energy the battery gained (negative: discharged on balance)."""
        return (self.soc_out - self.soc_in) * self.capacity_kwh


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Unmanaged charging of one vehicle: mean AC kW per step, and battery kWh still owed (- is ahead)."""

    charge_kw: Floats
    carry_kwh: float


def unmanaged(sessions: Sequence[Session], grid: TimeGrid, carry_kwh: float = 0.0) -> Baseline:
    """Charge one vehicle's sessions, in time order, at full power from plug-in.

    Each session gives the battery its own net energy plus the carry. A session that ended lower than it began
    (V2G) charges nothing: the vehicle would have stayed that much fuller, so the difference lowers the next
    session. Energy that does not fit before plug-out is owed to the next. A step that charging covers in part
    has the mean power, so its energy is exact; charging outside the grid counts for the carry only. Raises
    ValueError for sessions of several vehicles, out of order, overlapping, or with impossible values.
    """
    _check(sessions)
    charge_kw = np.zeros(grid.steps)
    for session in sessions:
        owed_kwh = session.net_kwh + carry_kwh
        stay_hours = (session.unplugged_at - session.plugged_in_at) / timedelta(hours=1)
        able = session.battery_kw > 0.0
        hours = min(max(owed_kwh, 0.0) / session.battery_kw, stay_hours) if able else 0.0
        charge_kw += session.max_charge_kw * _share_of_steps(grid, session.plugged_in_at, hours)
        carry_kwh = owed_kwh - hours * session.battery_kw
    return Baseline(charge_kw, carry_kwh)


def _share_of_steps(grid: TimeGrid, from_at: datetime, hours: float) -> Floats:
    """Return which part (0..1) of each step a span of hours covers."""
    start = (from_at - grid.start_at) / grid.step
    end = start + hours / grid.step_hours
    step = np.arange(grid.steps)
    return np.asarray(np.clip(np.minimum(end, step + 1) - np.maximum(start, step), 0.0, 1.0))


def _check(sessions: Sequence[Session]) -> None:
    for session in sessions:
        name = tr(
            "The session of {vehicle} at {plugged_in_at}",
            vehicle=session.vehicle,
            plugged_in_at=session.plugged_in_at.isoformat(),
        )
        if session.unplugged_at <= session.plugged_in_at:
            raise ValueError(tr("{name} ends before it begins. Correct its times.", name=name))
        if not (0 <= session.soc_in <= 1 and 0 <= session.soc_out <= 1):
            raise ValueError(tr("{name} has a SoC outside 0..1. Give fractions, not percent.", name=name))
        if session.capacity_kwh <= 0 or session.max_charge_kw <= 0 or not 0 < session.charge_efficiency <= 1:
            raise ValueError(
                tr("{name} needs a capacity and a power above 0 and an efficiency in (0, 1].", name=name)
            )
    for before, after in pairwise(sessions):
        if before.vehicle != after.vehicle:
            raise ValueError(
                tr(
                    "Sessions of {vehicle} and {vehicle2} are mixed. Give one vehicle.",
                    vehicle=before.vehicle,
                    vehicle2=after.vehicle,
                )
            )
        if after.plugged_in_at < before.unplugged_at:
            raise ValueError(
                tr(
                    "Sessions of {vehicle} overlap or are out of order. Sort and mend them.",
                    vehicle=after.vehicle,
                )
            )
