"""Import and export at the grid connection, from what the site uses, makes and charges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depot.words import tr

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SitePower:
    """Mean kW per step at the meter: import and export, both 0 or more and never both in one step."""

    import_kw: Floats
    export_kw: Floats


def site_power(
    building_kw: npt.ArrayLike,
    solar_kw: npt.ArrayLike,
    vehicle_kw: npt.ArrayLike,
    export_limit_kw: float | None = None,
) -> SitePower:
    """Return what the meter sees: building - solar + vehicles (+ charging, - discharging), in kW per step.

    Above an `export_limit_kw` solar is curtailed (0 = no export allowed). Raises ValueError for series of
    different lengths.
    """
    building, solar, vehicles = (np.asarray(series, float) for series in (building_kw, solar_kw, vehicle_kw))
    if not building.size == solar.size == vehicles.size:
        sizes = tr("{size}, {size2} and {size3}", size=building.size, size2=solar.size, size3=vehicles.size)
        raise ValueError(
            tr(
                "Building, solar and vehicles have {sizes} steps. Give one value per step of each.",
                sizes=sizes,
            )
        )
    net = building - solar + vehicles
    exported = np.maximum(-net, 0.0)
    if export_limit_kw is not None:
        exported = np.minimum(exported, export_limit_kw)
    return SitePower(np.maximum(net, 0.0), exported)
