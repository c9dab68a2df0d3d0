"""What each duty takes from the battery, and the charge its vehicle must leave with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from depot.measures import consumption, distance, temperature
from depot.words import mark, tr, trn
from fleet.demand.departure import RequiredSoc, required_departure_soc
from fleet.demand.energy import REFERENCE_TEMPERATURE_C, Consumption, EnergyNeed, energy_needed
from fleet.demand.learnt import Learnt, margin
from fleet.models import Vehicle
from fleet.selectors.consumption import DayWeather
from fleet.selectors.duties import Duty

UNTOLD_SIGMA_C = 8.0
"""When no day of the last ten told its temperature, the season may have changed since."""


@dataclass(frozen=True, slots=True)
class Need:
    """A duty's energy in kWh and the SoC (0..1) its vehicle must leave with, with the reason in words."""

    duty: Duty
    energy_kwh: float
    required: RequiredSoc

    @property
    def required_soc(self) -> float:
        return self.required.soc

    @property
    def exceeds_battery(self) -> bool:
        return self.required.exceeds_battery

    @property
    def reason(self) -> str:
        return self.required.reason


@dataclass(frozen=True, slots=True)
class _Use:
    """The energy of a duty, by how much it may turn out higher (kWh), and what says where both are from."""

    energy: EnergyNeed
    margin_kwh: float
    basis: Callable[[], str]


def need_of(duty: Duty, vehicle: Vehicle) -> Need:
    """Return what `duty` needs when `vehicle` runs it.

    An energy given by the schedule counts as it is. Else it is distance × what was learnt of the vehicle at the
    temperature of the day, or × what was entered for its type while nothing is learnt, and auxiliaries and
    pre-conditioning. What is learnt is uncertain, which widens the reserve; what was entered is taken at its word.
    """
    kind, block = vehicle.type, duty.block
    learnt = duty.book.learnt.get(vehicle.pk)
    if learnt is None or block.energy_kwh is not None or not block.distance_km:
        use = _as_entered(duty, vehicle)
    else:
        use = _as_learnt(duty, vehicle, learnt)
    state = getattr(vehicle, "state", None)
    required = required_departure_soc(
        use.energy.total_kwh,
        kind.usable_kwh,
        soh=state.soh if state else 1.0,
        min_soc=kind.min_soc,
        reserve_soc=kind.reserve_soc,
        min_soc_departure=block.min_soc_departure or 0.0,
        margin_kwh=use.margin_kwh,
        basis=use.basis,
    )
    return Need(duty, use.energy.total_kwh, required)


def needs_of(coming: Iterable[Duty]) -> dict[int, list[Need]]:
    """Return the needs of all duties whose vehicle can run, by vehicle id, in the order of the duties."""
    found: dict[int, list[Need]] = {}
    for duty in coming:
        if duty.vehicle is not None and duty.outage is None:
            found.setdefault(duty.vehicle.pk, []).append(need_of(duty, duty.vehicle))
    return found


def energy_as_entered(duty: Duty, vehicle: Vehicle) -> float:
    """Return what a duty takes by the schedule and the figures entered for the vehicle's type, in kWh."""
    return _as_entered(duty, vehicle).energy.total_kwh


def _as_entered(duty: Duty, vehicle: Vehicle) -> _Use:
    kind = vehicle.type
    energy = _energy(duty, vehicle, Consumption(kind.consumption_kwh_per_km, kind.auxiliary_kw))
    if energy.given:
        return _Use(energy, 0.0, lambda: tr("the energy in the schedule"))

    def basis() -> str:
        use = consumption(kind.consumption_kwh_per_km, duty.block.depot.units)
        return _basis(duty, energy, tr("{use} (as entered for its type)", use=use))

    return _Use(energy, 0.0, basis)


def _as_learnt(duty: Duty, vehicle: Vehicle, learnt: Learnt) -> _Use:
    weather = _weather(duty, learnt)
    celsius, sigma_c = (
        (weather.outside_temp_c, weather.sigma_c) if weather else (REFERENCE_TEMPERATURE_C, 0.0)
    )
    energy = _energy(duty, vehicle, learnt.consumption(vehicle.type.auxiliary_kw), celsius)
    driving_kwh = energy.driving_kwh + energy.weather_kwh
    margin_kwh = driving_kwh * margin(learnt.sigma(celsius, sigma_c))
    return _Use(
        energy,
        margin_kwh,
        lambda: _basis(duty, energy, _learnt_words(duty, driving_kwh, learnt.trips, weather)),
    )


def _learnt_words(duty: Duty, driving_kwh: float, trips_seen: int, weather: DayWeather | None) -> str:
    units = duty.block.depot.units
    trips = trn("{count} trip", "{count} trips", trips_seen)
    at = (
        tr("at {temperature}", temperature=temperature(weather.outside_temp_c, units))
        + (f", {tr(weather.source)}" if weather.source else "")
        if weather
        else ""
    )
    use = consumption(driving_kwh / (duty.block.distance_km or 1.0), units)
    return f"{use} ({trips}{', ' + at if at else ''})"


def _weather(duty: Duty, learnt: Learnt) -> DayWeather | None:
    """Return the temperature to plan with: of the day, else that of the trips behind it; None where none was told."""
    if learnt.mean_temp_c is None:
        return None
    return duty.book.weather(duty.service_date) or DayWeather(
        learnt.mean_temp_c, UNTOLD_SIGMA_C, mark("as on its trips")
    )


def _energy(
    duty: Duty, vehicle: Vehicle, consumption: Consumption, celsius: float = REFERENCE_TEMPERATURE_C
) -> EnergyNeed:
    block = duty.block
    return energy_needed(
        block.distance_km or 0.0,
        consumption,
        celsius,
        hours=(duty.pull_in_at - duty.pull_out_at).total_seconds() / 3600,
        preconditioning_kwh=vehicle.type.preconditioning_kwh if block.precondition else 0.0,
        given_kwh=block.energy_kwh,
    )


def _basis(duty: Duty, energy: EnergyNeed, per_km: str) -> str:
    parts = [f"{distance(duty.block.distance_km or 0.0, duty.block.depot.units)} × {per_km}"]
    if energy.auxiliary_kwh:
        parts.append(tr("{auxiliary_kwh:.1f} kWh auxiliaries", auxiliary_kwh=energy.auxiliary_kwh))
    if energy.preconditioning_kwh:
        parts.append(
            tr(
                "{preconditioning_kwh:.1f} kWh pre-conditioning",
                preconditioning_kwh=energy.preconditioning_kwh,
            )
        )
    return " + ".join(parts)
