"""Work out the energy that a block takes out of a battery."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from depot.words import tr

REFERENCE_TEMPERATURE_C = 20.0


@dataclass(frozen=True, slots=True)
class TemperatureCurve:
    """Hold the factor on consumption by outside temperature as (°C, factor) points.

    It is linear between the points and flat beyond them. Raises ValueError unless the temperatures rise and
    all factors are positive.
    """

    points: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError(tr("A temperature curve needs at least one point."))
        if any(later[0] <= earlier[0] for earlier, later in pairwise(self.points)):
            raise ValueError(tr("The temperatures of a curve must rise."))
        if any(factor <= 0 for _, factor in self.points):
            raise ValueError(tr("The factors of a temperature curve must be positive."))

    def factor(self, temperature_c: float) -> float:
        """Return the factor at a temperature."""
        after = bisect_right([point[0] for point in self.points], temperature_c)
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (cold, at_cold), (warm, at_warm) = self.points[after - 1 : after + 1]
        return at_cold + (at_warm - at_cold) * (temperature_c - cold) / (warm - cold)


DEFAULT_CURVE = TemperatureCurve(
    ((-20.0, 1.83), (-10.0, 1.70), (-3.0, 1.61), (13.0, 1.0), (20.0, 1.0), (40.0, 1.25))
)
"""Electric buses with electric heating, relative to mild weather.

From 13 to -3 °C (55 to 27 °F) the range of battery-electric transit buses falls by 37.8 % (Henning, Thomas
and Smyth, Cleveland State University 2019, four agencies): 1 / (1 - 0.378) = 1.61. The points below -3 °C
carry that on at a third of its slope, and the rise to +25 % at 40 °C stands for air conditioning: both are
assumptions. A curve learnt from the vehicle's own telemetry should replace it.
"""


@dataclass(frozen=True, slots=True)
class Consumption:
    """Hold how a vehicle uses energy: per km in mild weather, per hour of auxiliaries, and by temperature."""

    kwh_per_km: float
    auxiliary_kw: float = 0.0
    curve: TemperatureCurve = field(default=DEFAULT_CURVE)

    def __post_init__(self) -> None:
        if self.kwh_per_km < 0 or self.auxiliary_kw < 0:
            raise ValueError(tr("Consumption per km and auxiliary power must not be negative."))


@dataclass(frozen=True, slots=True)
class EnergyNeed:
    """Hold the energy a block takes out of the battery, and its parts; `given` when it was not computed."""

    total_kwh: float
    driving_kwh: float
    weather_kwh: float
    auxiliary_kwh: float
    preconditioning_kwh: float
    given: bool


def energy_needed(
    distance_km: float,
    consumption: Consumption,
    temperature_c: float = REFERENCE_TEMPERATURE_C,
    *,
    hours: float = 0.0,
    preconditioning_kwh: float = 0.0,
    given_kwh: float | None = None,
) -> EnergyNeed:
    """Return the energy a block needs from the battery.

    driving = km * kWh/km, weather = driving * (factor(temperature) - 1), auxiliaries = kW * hours on the
    road, and the pre-conditioning that comes out of the battery (0 when it is done from the charger). An
    energy given by the schedule replaces all of it. Reserves belong to the state of charge, not here: see
    `required_departure_soc`. Raises ValueError for a negative input.
    """
    if min(distance_km, hours, preconditioning_kwh, given_kwh or 0.0) < 0:
        raise ValueError(tr("Distance, hours and energies of a block must not be negative."))
    if given_kwh is not None:
        return EnergyNeed(given_kwh, given_kwh, 0.0, 0.0, 0.0, given=True)
    driving = distance_km * consumption.kwh_per_km
    weather = driving * (consumption.curve.factor(temperature_c) - 1)
    auxiliaries = consumption.auxiliary_kw * hours
    total = driving + weather + auxiliaries + preconditioning_kwh
    return EnergyNeed(total, driving, weather, auxiliaries, preconditioning_kwh, given=False)
