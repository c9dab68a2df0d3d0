"""What each duty takes from the battery, and the charge its vehicle must leave with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.demand.departure import required_departure_soc
from fleet.demand.energy import Consumption, energy_needed
from fleet.models import Vehicle
from fleet.selectors.duties import Duty


@dataclass(frozen=True, slots=True)
class Need:
    """A duty's energy in kWh and the SoC (0..1) its vehicle must leave with, with the reason in words."""

    duty: Duty
    energy_kwh: float
    required_soc: float
    reason: str
    exceeds_battery: bool


def need_of(duty: Duty, vehicle: Vehicle) -> Need:
    """Return what `duty` needs when `vehicle` runs it."""
    kind, block = vehicle.type, duty.block
    hours = (duty.pull_in_at - duty.pull_out_at).total_seconds() / 3600
    energy = energy_needed(
        block.distance_km or 0.0,
        Consumption(kind.consumption_kwh_per_km, kind.auxiliary_kw),
        hours=hours,
        given_kwh=block.energy_kwh,
    )
    state = getattr(vehicle, "state", None)
    required = required_departure_soc(
        energy.total_kwh,
        kind.usable_kwh,
        soh=state.soh if state else 1.0,
        min_soc=kind.min_soc,
        reserve_soc=kind.reserve_soc,
        min_soc_departure=block.min_soc_departure or 0.0,
    )
    return Need(duty, energy.total_kwh, required.soc, required.reason, required.exceeds_battery)


def needs_of(coming: Iterable[Duty]) -> dict[int, list[Need]]:
    """Return the needs of all duties that have a vehicle, by vehicle id, in the order of the duties."""
    found: dict[int, list[Need]] = {}
    for duty in coming:
        if duty.vehicle is not None:
            found.setdefault(duty.vehicle.pk, []).append(need_of(duty, duty.vehicle))
    return found
