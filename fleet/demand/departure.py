"""Work out the state of charge that a vehicle must leave with, and say why."""

from __future__ import annotations

from dataclasses import dataclass

_SURPLUS = 1e-9


@dataclass(frozen=True, slots=True)
class RequiredSoc:
    """Hold the SoC at departure (0..1), the reason in words, and what the battery cannot hold.

    `exceeds_battery` is set when the block needs more than a full battery; `soc` is then 1 and
    `missing_kwh` what is left over.
    """

    soc: float
    reason: str
    exceeds_battery: bool
    missing_kwh: float


def required_departure_soc(
    energy_kwh: float,
    usable_kwh: float,
    *,
    soh: float = 1.0,
    min_soc: float = 0.0,
    reserve_soc: float = 0.0,
    min_soc_departure: float = 0.0,
    margin_kwh: float = 0.0,
    basis: str = "",
) -> RequiredSoc:
    """Return the SoC needed to drive a block and come back with the minimum and the reserve still there.

    soc = (energy + margin) / (usable * soh) + min_soc + reserve_soc, and never less than `min_soc_departure`, which
    the schedule may demand. `usable_kwh` is that of the new battery; `margin_kwh` is by how much the energy may turn
    out higher, and widens the reserve; `basis` says where the energy is from. Raises ValueError for impossible values.
    """
    _check(energy_kwh, usable_kwh, soh, (min_soc, reserve_soc, min_soc_departure))
    capacity_kwh = usable_kwh * soh
    kept_soc = reserve_soc + margin_kwh / capacity_kwh
    needed = energy_kwh / capacity_kwh + min_soc + kept_soc
    parts = _parts(energy_kwh, capacity_kwh, min_soc, kept_soc, basis)
    if needed > 1 + _SURPLUS:
        missing_kwh = (needed - 1) * capacity_kwh
        reason = (
            f"{parts[0].upper()}{parts[1:]} is {missing_kwh:.1f} kWh more than the full battery holds: shorten the "
            "block, charge on the way, or assign a bigger vehicle."
        )
        return RequiredSoc(1.0, reason, exceeds_battery=True, missing_kwh=missing_kwh)
    if needed < min_soc_departure:
        reason = (
            f"The schedule asks for at least {_percent(min_soc_departure)} at departure; the block itself needs "
            f"{_percent(needed)}."
        )
        return RequiredSoc(min_soc_departure, reason, exceeds_battery=False, missing_kwh=0.0)
    reason = f"{_percent(needed)} because {parts}."
    return RequiredSoc(min(needed, 1.0), reason, exceeds_battery=False, missing_kwh=0.0)


def _parts(energy_kwh: float, capacity_kwh: float, min_soc: float, reserve_soc: float, basis: str) -> str:
    share = f"{energy_kwh:.1f} kWh ({_percent(energy_kwh / capacity_kwh)} of {capacity_kwh:.0f} kWh)"
    block = f"{basis} = {share}" if basis else f"the block takes {share}"
    extras = []
    if min_soc > 0:
        extras.append(f"minimum {_percent(min_soc)}")
    if reserve_soc > 0:
        extras.append(f"reserve {_percent(reserve_soc)}")
    return " + ".join([block, *extras])


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _check(energy_kwh: float, usable_kwh: float, soh: float, socs: tuple[float, ...]) -> None:
    if energy_kwh < 0:
        raise ValueError(f"The energy of a block must not be negative, not {energy_kwh} kWh.")
    if usable_kwh <= 0:
        raise ValueError(f"A battery's usable energy must be positive, not {usable_kwh} kWh.")
    if not 0 < soh <= 1.2:
        raise ValueError(f"A state of health is a share of the new capacity (0.85), not {soh}.")
    if any(not 0 <= soc <= 1 for soc in socs):
        raise ValueError("Minimum, reserve and departure SoC must lie between 0 and 1.")
