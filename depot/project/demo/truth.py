"""The weather and the building of the demonstration: what really happens, which forecasts do not know.

The sun is that of Greensboro, North Carolina: the typical year of hourly measurements (NREL TMY3, station
723170) that pvlib ships. The building is a transport centre with a workshop, offices and a vehicle wash; its
load is made up from opening hours, with a little noise that is the same at every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from charging.ocpp.simulator.world import Truth
from depot.forecasting import solar
from depot.models import Depot
from depot.services.forecasts import arrays_of, place_of
from fleet.models import Vehicle
from fleet.selectors.duties import Duty
from fleet.selectors.needs import energy_as_entered

Floats = npt.NDArray[np.float64]
STATION = "723170TYA.CSV"
WEATHER_COLUMNS = ("ghi", "dni", "dhi", "temp_air")
HOURS_PER_YEAR = 8760
EXPORT_LIMIT_KW = 300.0
"""Above this the inverter holds production back, as the interconnection agreement demands."""


@lru_cache(maxsize=1)
def typical_year() -> Floats:
    """Return the station's typical year: rows of GHI, DNI, DHI (W/m²) and air temperature (°C) for each hour."""
    import pvlib

    path = Path(pvlib.__file__).parent / "data" / STATION
    frame, _ = pvlib.iotools.read_tmy3(path, map_variables=True)
    return frame[list(WEATHER_COLUMNS)].to_numpy(dtype=float)[:HOURS_PER_YEAR]


def weather_at(times: Sequence[datetime], utc_offset_hours: float = -5.0) -> solar.Weather:
    """Return the typical year's weather at `times`; a row of the year holds the mean of the hour before it."""
    year = typical_year()
    hours = np.array([_hour_of_year(at, utc_offset_hours) for at in times]) - 0.5
    below = np.floor(hours).astype(int)
    share = (hours - below)[:, None]
    values = year[below % HOURS_PER_YEAR] * (1 - share) + year[(below + 1) % HOURS_PER_YEAR] * share
    ghi, dni, dhi, temperature_c = values.T
    return solar.Weather(ghi, dni, dhi, temperature_c)


def _hour_of_year(at: datetime, utc_offset_hours: float) -> float:
    day = at.utctimetuple().tm_yday - 1
    return (day * 24 + at.hour + at.minute / 60 + at.second / 3600 + utc_offset_hours) % HOURS_PER_YEAR


def solar_kw(depot: Depot, times: Sequence[datetime]) -> Floats:
    """Return what the depot's arrays really produce at `times`, in kW."""
    arrays = arrays_of(depot)
    if not arrays or not times:
        return np.zeros(len(times))
    return solar.power_kw(arrays, place_of(depot), times, weather_at(times))


def trip_kwh(duty: Duty, vehicle: Vehicle) -> float:
    """Return what a trip really takes from the battery, in kWh, the same at every run.

    It differs from the schedule's estimate by the cold of the day and by a few percent of traffic.
    """
    cold = max(0.0, 13.0 - float(weather_at([duty.pull_out_at]).temperature_c[0]))
    traffic = np.random.default_rng([duty.block.pk, duty.service_date.toordinal()]).normal(0.0, 0.04)
    return energy_as_entered(duty, vehicle) * (1.0 + 0.006 * cold + float(np.clip(traffic, -0.1, 0.1)))


def live(depot: Depot) -> Truth:
    """Return the truth for the simulated world; the sun is worked out once a minute."""
    arrays, place = arrays_of(depot), place_of(depot)

    @lru_cache(maxsize=4)
    def sun(minute: datetime) -> float:
        return float(solar.power_kw(arrays, place, [minute], weather_at([minute]))[0])

    return Truth(
        solar_kw=lambda at: sun(at.replace(second=0, microsecond=0)),
        building_kw=lambda at: _building_kw(depot.local(at)),
        trip_kwh=trip_kwh,
        export_limit_kw=EXPORT_LIMIT_KW,
    )


def building_kw(depot: Depot, times: Sequence[datetime]) -> Floats:
    """Return what the building really draws at `times`, in kW."""
    return np.array([_building_kw(depot.local(at)) for at in times])


def _building_kw(local: datetime) -> float:
    hour = local.hour + local.minute / 60
    working = local.weekday() < 5
    base = 62.0 + 6.0 * np.cos((hour - 15) / 24 * 2 * np.pi)
    workshop = 88.0 * _open(hour, 5.5, 21.5) if working else 14.0 * _open(hour, 8, 16)
    offices = 36.0 * _open(hour, 7, 18) if working else 0.0
    wash = 30.0 * _open(hour, 16.5, 20.5) if working else 0.0
    seed = local.toordinal() * 96 + int(hour * 4)
    return float(base + workshop + offices + wash + 5.0 * np.sin(seed * 12.9898) * np.cos(seed * 78.233))


def _open(hour: float, opens: float, closes: float) -> float:
    """Return 0 outside opening hours, 1 inside, with half an hour of slope at either end."""
    return float(np.clip(min(hour - opens, closes - hour) / 0.5 + 0.5, 0.0, 1.0))
