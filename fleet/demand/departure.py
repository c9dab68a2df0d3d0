"""Work out the state of charge that a vehicle must leave with, and say why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from depot.words import tr

_SURPLUS = 1e-9


@dataclass(frozen=True, slots=True)
class RequiredSoc:
    """Hold the SoC at departure (0..1), the reason in words, and what the battery cannot hold.

    `exceeds_battery` is set when the block needs more than a full battery; `soc` is then 1 and
    `missing_kwh` what is left over. The reason is said when it is read.
    """

    soc: float
    exceeds_battery: bool
    missing_kwh: float
    say: Callable[[], str] = field(repr=False, compare=False)

    @property
    def reason(self) -> str:
        return self.say()


def required_departure_soc(
    energy_kwh: float,
    usable_kwh: float,
    *,
    soh: float = 1.0,
    min_soc: float = 0.0,
    reserve_soc: float = 0.0,
    min_soc_departure: float = 0.0,
    margin_kwh: float = 0.0,
    basis: Callable[[], str] = str,
) -> RequiredSoc:
    """Return the SoC needed to drive a block and come back with the minimum and the reserve still there.

    soc = (energy + margin) / (usable * soh) + min_soc + reserve_soc, and never less than `min_soc_departure`, which
    the schedule may demand. `usable_kwh` is that of the new battery; `margin_kwh` is by how much the energy may turn
    out higher, and widens the reserve; `basis` says where the energy is from, "" where that is not told. Raises
    ValueError for impossible values.
    """
    _check(energy_kwh, usable_kwh, soh, (min_soc, reserve_soc, min_soc_departure))
    capacity_kwh = usable_kwh * soh
    kept_soc = reserve_soc + margin_kwh / capacity_kwh
    needed = energy_kwh / capacity_kwh + min_soc + kept_soc

    def parts() -> str:
        return _parts(energy_kwh, capacity_kwh, min_soc, kept_soc, basis())

    if needed > 1 + _SURPLUS:
        missing_kwh = (needed - 1) * capacity_kwh
        return RequiredSoc(1.0, True, missing_kwh, lambda: _too_much(parts(), missing_kwh))
    if needed < min_soc_departure:
        return RequiredSoc(min_soc_departure, False, 0.0, lambda: _asked_for(min_soc_departure, needed))
    return RequiredSoc(
        min(needed, 1.0),
        False,
        0.0,
        lambda: tr("{needed} because {parts}.", needed=_percent(needed), parts=parts()),
    )


def _too_much(parts: str, missing_kwh: float) -> str:
    return tr(
        "{parts}{parts2} is {missing_kwh:.1f} kWh more than the full battery holds: shorten the "
        "block, charge on the way, or assign a bigger vehicle.",
        parts=parts[0].upper(),
        parts2=parts[1:],
        missing_kwh=missing_kwh,
    )


def _asked_for(min_soc_departure: float, needed: float) -> str:
    return tr(
        "The schedule asks for at least {min_soc_departure} at departure; the block itself needs {needed}.",
        min_soc_departure=_percent(min_soc_departure),
        needed=_percent(needed),
    )


def _parts(energy_kwh: float, capacity_kwh: float, min_soc: float, reserve_soc: float, basis: str) -> str:
    share = tr(
        "{energy_kwh:.1f} kWh ({share} of {capacity_kwh:.0f} kWh)",
        energy_kwh=energy_kwh,
        share=_percent(energy_kwh / capacity_kwh),
        capacity_kwh=capacity_kwh,
    )
    block = f"{basis} = {share}" if basis else tr("the block takes {share}", share=share)
    extras = []
    if min_soc > 0:
        extras.append(tr("minimum {min_soc}", min_soc=_percent(min_soc)))
    if reserve_soc > 0:
        extras.append(tr("reserve {reserve_soc}", reserve_soc=_percent(reserve_soc)))
    return " + ".join([block, *extras])


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _check(energy_kwh: float, usable_kwh: float, soh: float, socs: tuple[float, ...]) -> None:
    if energy_kwh < 0:
        raise ValueError(
            tr("The energy of a block must not be negative, not {energy_kwh} kWh.", energy_kwh=energy_kwh)
        )
    if usable_kwh <= 0:
        raise ValueError(
            tr("A battery's usable energy must be positive, not {usable_kwh} kWh.", usable_kwh=usable_kwh)
        )
    if not 0 < soh <= 1.2:
        raise ValueError(tr("A state of health is a share of the new capacity (0.85), not {soh}.", soh=soh))
    if any(not 0 <= soc <= 1 for soc in socs):
        raise ValueError(tr("Minimum, reserve and departure SoC must lie between 0 and 1."))
