"""CO2 of the energy that was bought and sold, beside the money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Emissions:
    """kg of CO2 of the unmanaged and the actual depot, and on which share (0..1) of the steps a factor is known."""

    unmanaged_kg: float
    actual_kg: float
    known_share: float

    @property
    def avoided_kg(self) -> float:
        """Return what was avoided; below zero more was caused."""
        return self.unmanaged_kg - self.actual_kg

    @property
    def caused_kg(self) -> float:
        """Return what was emitted more than by the unmanaged depot."""
        return -self.avoided_kg


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """Energy through the grid connection in kWh per step, NaN where nothing is recorded."""

    import_kwh: Floats
    export_kwh: Floats


def emissions(unmanaged: Flows, actual: Flows, kg_per_kwh: Floats, *, marginal: bool) -> Emissions | None:
    """Return the CO2 of both depots over the steps whose factor is known; None when it is for none.

    A marginal factor tells what one kWh more or less makes plants emit, so an exported kWh takes it off. An
    average one shares out what the grid emitted: imported kWh carry it, and an exported kWh earns nothing.
    """
    recorded = np.isfinite(unmanaged.import_kwh) & np.isfinite(actual.import_kwh)
    known = np.isfinite(kg_per_kwh) & recorded
    if not known.any():
        return None
    factor = np.where(known, kg_per_kwh, 0.0)

    def kg(flows: Flows) -> float:
        net = flows.import_kwh - flows.export_kwh if marginal else flows.import_kwh
        return float((np.where(known, net, 0.0) * factor).sum())

    return Emissions(kg(unmanaged), kg(actual), float(known.sum() / recorded.sum()))
