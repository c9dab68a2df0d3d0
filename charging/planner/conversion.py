"""How power becomes energy: an efficiency, and a loss that a charger has as long as it works, whatever its power.

So its efficiency falls at low power: what is stored is 0 without power, or on the line efficiency * power - loss.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from charging.planner.case import FloatArray

SAME_KWH = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Conversion:
    """The conversion of R devices over a step of some hours; the other fields are (R,).

    Powers and energies of its methods are (R,), or (R, ...) with more steps.
    """

    hours: float
    charge_efficiency: FloatArray
    discharge_efficiency: FloatArray
    charge_loss_kw: FloatArray
    discharge_loss_kw: FloatArray

    def of(self, rows: slice | list[int]) -> Self:
        """Return the conversion of some devices alone."""
        return type(self)(self.hours, *(getattr(self, field.name)[rows] for field in fields(self)[1:]))

    def stored_kwh(self, charge_kw: FloatArray, discharge_kw: FloatArray | None = None) -> FloatArray:
        """Return what powers add to each battery."""
        stored = self.hours * charge_kw * _wide(self.charge_efficiency, charge_kw)
        if self.charge_loss_kw.any():
            stored -= self.hours * _wide(self.charge_loss_kw, charge_kw) * (charge_kw > 0.0)
        return stored if discharge_kw is None else stored - self.leaving_kwh(discharge_kw)

    def leaving_kwh(self, discharge_kw: FloatArray) -> FloatArray:
        """Return what powers take out of each battery for its charger."""
        leaving = self.hours * discharge_kw / _wide(self.discharge_efficiency, discharge_kw)
        if self.discharge_loss_kw.any():
            leaving += self.hours * _wide(self.discharge_loss_kw, discharge_kw) * (discharge_kw > 0.0)
        return leaving

    def charge_for(self, kwh: FloatArray) -> FloatArray:
        """Return the power that stores an energy in one step; nothing for what is no energy."""
        power = (kwh / self.hours + _wide(self.charge_loss_kw, kwh)) / _wide(self.charge_efficiency, kwh)
        return np.where(kwh > SAME_KWH, power, 0.0)

    def discharge_for(self, kwh: FloatArray) -> FloatArray:
        """Return the power for which an energy leaves each battery in one step; nothing where the loss is more."""
        power = (kwh / self.hours - _wide(self.discharge_loss_kw, kwh)) * _wide(
            self.discharge_efficiency, kwh
        )
        return np.maximum(0.0, power)


def _wide(values: FloatArray, like: FloatArray) -> FloatArray:
    """Return values (R,) so that they spread over an array (R, ...)."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
