"""Power of solar arrays from sun and weather, through pvlib's published models.

Position: NREL SPA. Plane of array: isotropic sky. Cell temperature: Faiman. DC and inverter: NREL PVWatts v5.
Clear sky without a forecast of clouds: simplified Solis, scaled by the clearness the array's own meter showed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TEMPERATURE_COEFFICIENT = -0.0037
LEAST_SUN_KW = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the arrays stand: degrees north and east, metres above sea level."""

    latitude: float
    longitude: float
    elevation_m: float


@dataclass(frozen=True, slots=True)
class Array:
    """One roof face: DC and AC rating in kW, orientation in degrees, losses as a fraction."""

    peak_kw: float
    inverter_kw: float
    tilt_degrees: float
    azimuth_degrees: float
    loss_fraction: float


@dataclass(frozen=True, slots=True)
class Weather:
    """Irradiance in W/m² and air temperature in °C, one value per time."""

    ghi: Floats
    dni: Floats
    dhi: Floats
    temperature_c: Floats


def power_kw(arrays: Sequence[Array], place: Place, times: Sequence[datetime], weather: Weather) -> Floats:
    """Return the AC power of all arrays at `times` (aware), in kW."""
    import pandas as pd
    from pvlib import inverter, irradiance, pvsystem, solarposition, temperature

    index = pd.DatetimeIndex(times)
    sun = solarposition.get_solarposition(index, place.latitude, place.longitude, place.elevation_m)
    total = np.zeros(len(index))
    for array in arrays:
        plane = irradiance.get_total_irradiance(
            array.tilt_degrees,
            array.azimuth_degrees,
            sun["apparent_zenith"].to_numpy(),
            sun["azimuth"].to_numpy(),
            weather.dni,
            weather.ghi,
            weather.dhi,
        )["poa_global"]
        cell_c = temperature.faiman(plane, weather.temperature_c)
        dc_kw = pvsystem.pvwatts_dc(plane, cell_c, array.peak_kw, TEMPERATURE_COEFFICIENT)
        dc_kw = np.asarray(dc_kw, dtype=float) * (1.0 - array.loss_fraction)
        total += np.nan_to_num(inverter.pvwatts(dc_kw, array.inverter_kw / 0.96))
    return np.clip(total, 0.0, sum(array.inverter_kw for array in arrays))


def clear_sky_kw(
    arrays: Sequence[Array], place: Place, times: Sequence[datetime], temperature_c: float = 15.0
) -> Floats:
    """Return the power of all arrays under a cloudless sky, in kW."""
    import pandas as pd
    from pvlib import clearsky, irradiance, solarposition

    index = pd.DatetimeIndex(times)
    sun = solarposition.get_solarposition(index, place.latitude, place.longitude, place.elevation_m)
    sky = clearsky.simplified_solis(
        sun["apparent_elevation"].to_numpy(), dni_extra=irradiance.get_extra_radiation(index).to_numpy()
    )
    weather = Weather(
        ghi=np.asarray(sky["ghi"], dtype=float),
        dni=np.asarray(sky["dni"], dtype=float),
        dhi=np.asarray(sky["dhi"], dtype=float),
        temperature_c=np.full(len(index), temperature_c),
    )
    return power_kw(arrays, place, times, weather)


def clearness(measured_kw: Floats, clear_kw: Floats) -> float | None:
    """Return measured over clear-sky energy, 0 to 1.2, from the steps with sun; None when there are none."""
    sunny = np.isfinite(measured_kw) & (clear_kw > LEAST_SUN_KW)
    if not sunny.any():
        return None
    return float(np.clip(measured_kw[sunny].sum() / clear_kw[sunny].sum(), 0.0, 1.2))


def forecast_kw(
    clear_kw: Floats, hours_ahead: Floats, clearness_now: float | None, clearness_usual: float | None
) -> Floats:
    """Return clear-sky power scaled by a clearness that moves from today's to the usual one within hours.

    Today's sky says less and less about a time the further ahead it is: its weight falls by e in 6 hours.
    """
    usual = 0.7 if clearness_usual is None else clearness_usual
    now = usual if clearness_now is None else clearness_now
    weight = np.exp(-np.clip(hours_ahead, 0.0, None) / 6.0)
    return clear_kw * (usual + (now - usual) * weight)
