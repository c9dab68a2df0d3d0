"""Learn what vehicles of one type use per kilometre, by vehicle and outside temperature, from measured trips. PURE.

A linear mixed model on logarithms, solved in closed form (C. R. Henderson, "Best linear unbiased estimation and
prediction under a selection model", Biometrics 31, 1975):

    log(kWh/km) = log(curve(T)) + m + a[vehicle] + Σ_j h_j(T) d[j] + e,   e ~ N(0, spread²)

`curve` is the published one, h_j are hat functions on KNOTS_C, m ~ N(log(rated), 0.3²), a ~ N(0, 0.08²) and
d ~ N(0, 0.15²). A vehicle with few trips is thereby drawn towards its type, a type with few trips towards what was
entered for it, and a temperature that was never met towards the published curve. Old trips count less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from depot.words import tr
from fleet.demand.energy import DEFAULT_CURVE, REFERENCE_TEMPERATURE_C, Consumption, TemperatureCurve

Floats = npt.NDArray[np.float64]
Points = Sequence[tuple[float, float, float]]

KNOTS_C = (-20.0, -10.0, -3.0, 5.0, 13.0, 20.0, 30.0, 40.0)
RATED_SIGMA, VEHICLE_SIGMA, CURVE_SIGMA = 0.30, 0.08, 0.15
PRIOR_SPREAD, PRIOR_TRIPS = 0.12, 10.0
"""Trips of one vehicle at one temperature differ by about 12 % (traffic, load, driver): worth ten trips."""
HALF_LIFE_DAYS = 60.0
NOISE_SCALE = 0.10
OUTLIER, LEAST_SCALE = 5.0, 0.03
ENOUGH_WITH_TEMPERATURE = 10
QUANTILE = 0.95
PLANNED_QUANTILE_Z = NormalDist().inv_cdf(QUANTILE)


@dataclass(frozen=True, slots=True)
class TripUse:
    """One measured trip: its vehicle, how long ago it was, km, kWh without auxiliaries, °C outside where known.

    `noise` is the relative standard error of its energy, as a SoC is good to half a point only.
    """

    vehicle: int
    age_days: float
    distance_km: float
    driving_kwh: float
    outside_temp_c: float | None = None
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a vehicle uses: kWh per km at 20 °C (or on its trips, where no temperature was told), without auxiliaries.

    `points` are (°C, factor, standard error of the logarithm for one trip). `trips` are its own, `fleet_trips` those
    of its type; `spread` is the relative standard deviation of single trips; `mean_temp_c` that of its type's trips.
    """

    kwh_per_km: float
    points: Points
    trips: int
    fleet_trips: int
    spread: float
    mean_temp_c: float | None

    @property
    def by_temperature(self) -> bool:
        """Tell whether the temperature of its trips was known."""
        return self.mean_temp_c is not None

    def consumption(self, auxiliary_kw: float) -> Consumption:
        """Return it as what `energy_needed` takes."""
        curve = TemperatureCurve([(at, factor) for at, factor, _ in self.points])
        return Consumption(self.kwh_per_km, auxiliary_kw, curve)

    def sigma(self, temperature_c: float, temperature_sigma_c: float = 0.0) -> float:
        """Return the standard error of log(kWh/km) for one trip, when the temperature itself is that uncertain."""
        at, factors, sigmas = (np.array(column) for column in zip(*self.points, strict=True))
        own = float(np.interp(temperature_c, at, sigmas))
        if temperature_sigma_c == 0 or at.size < 2:
            return own
        around = temperature_c + np.array([-temperature_sigma_c, temperature_sigma_c])
        low, high = np.log(np.interp(around, at, factors))
        return math.hypot(own, (high - low) / 2)


def margin(sigma: float) -> float:
    """Return by how much (relative) one trip in twenty uses more than expected: exp(1.645 sigma) - 1."""
    return math.exp(PLANNED_QUANTILE_Z * sigma) - 1


def learn(trips: Sequence[TripUse], vehicles: Sequence[int], rated_kwh_per_km: float) -> Mapping[int, Learnt]:
    """Return what each of the `vehicles` of one type uses, also those without a trip; empty where there is no trip.

    Where the temperature of ten trips is known, only such trips count; else all do, and the answer knows no
    temperature. Trips more than five robust deviations off are left out. Raises ValueError for a trip without
    energy or distance.
    """
    if any(trip.driving_kwh <= 0 or trip.distance_km <= 0 for trip in trips):
        raise ValueError(tr("A measured trip has a distance and an energy above zero."))
    known = [trip for trip in trips if trip.outside_temp_c is not None]
    by_temperature = len(known) >= ENOUGH_WITH_TEMPERATURE
    used = known if by_temperature else list(trips)
    if not used:
        return {}
    model = _Model(used, vehicles, rated_kwh_per_km, by_temperature)
    kept = np.ones(len(used), dtype=bool)
    first = model.fit(kept)
    residuals = np.abs(model.residuals(first.beta))
    scale = max(1.4826 * float(np.median(residuals)), LEAST_SCALE)
    kept = residuals <= OUTLIER * scale
    fit = model.fit(kept)
    return model.answers(fit, kept)


@dataclass(frozen=True, slots=True)
class _Fit:
    beta: Floats
    covariance: Floats
    spread: float


class _Model:
    """The mixed model of one type: dense columns for mean and curve, one effect a vehicle."""

    def __init__(
        self, trips: Sequence[TripUse], vehicles: Sequence[int], rated: float, by_temperature: bool
    ) -> None:
        self.by_temperature, self.vehicles = by_temperature, list(vehicles)
        place = {vehicle: index for index, vehicle in enumerate(self.vehicles)}
        self.vehicle = np.array([place[trip.vehicle] for trip in trips])
        self.temperature_c = np.array([trip.outside_temp_c or 0.0 for trip in trips])
        per_km = np.array([trip.driving_kwh / trip.distance_km for trip in trips])
        self.y = np.log(per_km) - self._log_curve(self.temperature_c)
        age, noise = (np.array([getattr(trip, name) for trip in trips]) for name in ("age_days", "noise"))
        self.weight = 0.5 ** (age / HALF_LIFE_DAYS) / (1 + (noise / NOISE_SCALE) ** 2)
        self.dense = self._dense(self.temperature_c)
        width, count = self.dense.shape[1], len(self.vehicles)
        self.prior_mean = np.zeros(width + count)
        self.prior_mean[0] = math.log(rated)
        sigmas = [RATED_SIGMA, *[CURVE_SIGMA] * (width - 1), *[VEHICLE_SIGMA] * count]
        self.prior_precision = 1 / np.square(sigmas)

    def _log_curve(self, temperature_c: Floats) -> Floats:
        if not self.by_temperature:
            return np.zeros_like(temperature_c)
        return np.log([DEFAULT_CURVE.factor(float(at)) for at in temperature_c])

    def _dense(self, temperature_c: Floats) -> Floats:
        one = np.ones((temperature_c.size, 1))
        if not self.by_temperature:
            return one
        hats = [np.interp(temperature_c, KNOTS_C, row) for row in np.eye(len(KNOTS_C))]
        return np.column_stack([one, *hats])

    def residuals(self, beta: Floats) -> Floats:
        width = self.dense.shape[1]
        found: Floats = self.y - self.dense @ beta[:width] - beta[width + self.vehicle]
        return found

    def fit(self, kept: npt.NDArray[np.bool_]) -> _Fit:
        """Solve for the effects, and for the spread between the rounds."""
        weight = np.where(kept, self.weight, 0.0)
        count, width = len(self.vehicles), self.dense.shape[1]
        weighted = self.dense * weight[:, None]
        information = np.zeros((width + count, width + count))
        information[:width, :width] = self.dense.T @ weighted
        for column in range(width):
            by_vehicle = np.bincount(self.vehicle, weighted[:, column], count)
            information[column, width:] = information[width:, column] = by_vehicle
        information[width:, width:] = np.diag(np.bincount(self.vehicle, weight, count))
        told = np.concatenate([weighted.T @ self.y, np.bincount(self.vehicle, weight * self.y, count)])
        spread = PRIOR_SPREAD
        beta: Floats = self.prior_mean
        covariance: Floats = np.diag(1 / self.prior_precision)
        for _ in range(4):
            covariance = np.asarray(
                np.linalg.inv(information / spread**2 + np.diag(self.prior_precision)), dtype=np.float64
            )
            beta = covariance @ (told / spread**2 + self.prior_precision * self.prior_mean)
            squares = float(weight @ self.residuals(beta) ** 2)
            spread = math.sqrt((PRIOR_TRIPS * PRIOR_SPREAD**2 + squares) / (PRIOR_TRIPS + weight.sum()))
        return _Fit(beta, covariance, spread)

    def answers(self, fit: _Fit, kept: npt.NDArray[np.bool_]) -> dict[int, Learnt]:
        own = np.bincount(self.vehicle, kept, len(self.vehicles)).astype(int)
        knots = np.array(KNOTS_C if self.by_temperature else (REFERENCE_TEMPERATURE_C,))
        dense, width = self._dense(knots), self.dense.shape[1]
        weight = np.where(kept, self.weight, 0.0)
        mean_temp_c = float(np.average(self.temperature_c, weights=weight)) if self.by_temperature else None
        level = dense @ fit.beta[:width] + self._log_curve(knots)
        at_reference = int(np.argmin(np.abs(knots - REFERENCE_TEMPERATURE_C)))
        factors = np.exp(level - level[at_reference])
        own_part = np.einsum("ij,jk,ik->i", dense, fit.covariance[:width, :width], dense)
        found = {}
        for index, vehicle in enumerate(self.vehicles):
            cross = dense @ fit.covariance[:width, width + index]
            variance = own_part + 2 * cross + fit.covariance[width + index, width + index] + fit.spread**2
            sigmas = np.sqrt(variance)
            points = [
                (float(at), round(float(factor), 4), round(float(sigma), 4))
                for at, factor, sigma in zip(knots, factors, sigmas, strict=True)
            ]
            kwh_per_km = math.exp(level[at_reference] + fit.beta[width + index])
            found[vehicle] = Learnt(
                kwh_per_km, points, int(own[index]), int(kept.sum()), fit.spread, mean_temp_c
            )
        return found
