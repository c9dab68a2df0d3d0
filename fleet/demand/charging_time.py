"""How long a battery takes to charge, and until when that must begin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from depot.words import tr

STEP_SOC = 0.005


@dataclass(frozen=True, slots=True)
class Charging:
    """How a vehicle charges at its place: capacity in kWh, power in kW (AC) and what of it reaches the battery (0..1).

    `taper` holds points (SoC 0..1, most power in kW) between which the power falls in straight lines.
    """

    capacity_kwh: float
    power_kw: float
    efficiency: float = 1.0
    max_soc: float = 1.0
    taper: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        if self.capacity_kwh <= 0 or self.power_kw < 0 or not 0 < self.efficiency <= 1:
            raise ValueError(tr("Capacity and efficiency must be positive, the power not negative."))

    def power_at(self, soc: float) -> float:
        """Return the most power at a SoC, in kW."""
        if not self.taper or soc <= self.taper[0][0]:
            return min(self.power_kw, self.taper[0][1]) if self.taper else self.power_kw
        for (low, high_kw), (high, low_kw) in zip(self.taper, self.taper[1:], strict=False):
            if soc <= high:
                return min(self.power_kw, high_kw + (low_kw - high_kw) * (soc - low) / (high - low))
        return min(self.power_kw, self.taper[-1][1])

    @property
    def tapers_from(self) -> float:
        """Return the SoC up to which the power is the same, at most the vehicle's highest."""
        return min(self.max_soc, self.taper[0][0]) if self.taper else self.max_soc

    def hours(self, from_soc: float, to_soc: float) -> float:
        """Return the hours from one SoC to another at full power; infinite where it never gets there.

        Where the power falls, the SoC is walked in steps of half a point, each at the power of its middle.
        """
        if to_soc <= from_soc:
            return 0.0
        if to_soc > self.max_soc + 1e-9:
            return math.inf
        hours, soc = 0.0, from_soc
        while soc < to_soc - 1e-12:
            step = self._step(soc, to_soc)
            reaching_kw = self.power_at(soc + step / 2) * self.efficiency
            if reaching_kw <= 0:
                return math.inf
            hours += step * self.capacity_kwh / reaching_kw
            soc += step
        return hours

    def reached(self, from_soc: float, hours: float) -> float:
        """Return the SoC after so many hours at full power, at most the vehicle's highest."""
        soc, left = from_soc, hours
        while soc < self.max_soc - 1e-12 and left > 0:
            step = self._step(soc, self.max_soc)
            reaching_kw = self.power_at(soc + step / 2) * self.efficiency
            if reaching_kw <= 0:
                break
            needed = step * self.capacity_kwh / reaching_kw
            soc += step * min(1.0, left / needed)
            left -= needed
        return soc

    def _step(self, soc: float, to_soc: float) -> float:
        """Return how far the SoC may be walked at one power."""
        tapers_from = self.tapers_from
        return min(tapers_from, to_soc) - soc if soc < tapers_from - 1e-12 else min(STEP_SOC, to_soc - soc)


def latest_start(
    charging: Charging | None, soc: float | None, required_soc: float, leaves_at: datetime, from_at: datetime
) -> datetime:
    """Return the latest moment at which acting still helps a vehicle that leaves at `leaves_at`.

    That is when full power must begin for `soc` (at `from_at`: now, or when the vehicle is back) to reach
    `required_soc`. Where it is not known, needs no charge, or is over already, only another vehicle or an extra
    charge can help, and that until the vehicle leaves: then it is `leaves_at`.
    """
    if charging is None or soc is None:
        return leaves_at
    hours = charging.hours(soc, required_soc)
    if not math.isfinite(hours):
        return leaves_at
    latest = leaves_at - timedelta(hours=hours)
    return latest if latest > from_at else leaves_at
