"""What a vehicle tells its charger of its needs (NotifyEVChargingNeeds), in one form for all versions.

Vehicles and stations disagree about signs: ISO 15118-20 has discharge limits below zero, OCPP 2.1 has magnitudes.
Here every power and energy is a magnitude; the role is in its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

BIDIRECTIONAL = "_BPT"


@dataclass(frozen=True, slots=True)
class Needs:
    """Needs as far as they were said; powers in kW, energies in kWh, SoC 0..1, `departure_at` as it came."""

    mode: str = ""
    modes: tuple[str, ...] = ()
    control: str = ""
    departure_at: str = ""
    energy_kwh: float | None = None
    min_energy_kwh: float | None = None
    max_energy_kwh: float | None = None
    max_charge_kw: float | None = None
    max_discharge_kw: float | None = None
    min_v2x_energy_kwh: float | None = None
    max_v2x_energy_kwh: float | None = None
    capacity_kwh: float | None = None
    soc: float | None = None
    target_soc: float | None = None

    @property
    def bidirectional(self) -> bool:
        """Return whether vehicle and charger are set to energy in both directions now."""
        return BIDIRECTIONAL in self.mode

    def both_ways(self) -> list[str]:
        """Return the modes in both directions that vehicle and charger have in common."""
        return [mode for mode in self.modes if BIDIRECTIONAL in mode]

    def said(self) -> dict[str, Any]:
        """Return what was said, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", ())}


def read_needs(payload: Mapping[str, Any]) -> Needs:
    """Return the needs in a NotifyEVChargingNeeds payload of OCPP 2.0.1 or 2.1."""
    needs = payload["chargingNeeds"]
    mode = str(needs["requestedEnergyTransfer"])
    parts: dict[str, Any] = {}
    for name, read in (
        ("dcChargingParameters", _dc),
        ("acChargingParameters", _ac),
        ("v2xChargingParameters", _v2x),
    ):
        parts |= {key: value for key, value in read(needs.get(name, {})).items() if value is not None}
    return Needs(
        mode=mode,
        modes=tuple(map(str, needs.get("availableEnergyTransfer", [mode]))),
        control=str(needs.get("controlMode", "")),
        departure_at=str(needs.get("departureTime", "")),
        **parts,
    )


def _ac(values: Mapping[str, Any]) -> dict[str, float | None]:
    amps, volts = values.get("evMaxCurrent"), values.get("evMaxVoltage")
    power = None if amps is None or volts is None else abs(amps * volts) * 3 / 1000
    return {"energy_kwh": _kilo(values.get("energyAmount")), "max_charge_kw": power}


def _dc(values: Mapping[str, Any]) -> dict[str, float | None]:
    soc, target = values.get("stateOfCharge"), values.get("fullSoC")
    capacity, energy = _kilo(values.get("evEnergyCapacity")), _kilo(values.get("energyAmount"))
    if energy is None and capacity is not None and soc is not None:
        energy = capacity * max((target or 100) - soc, 0) / 100
    return {
        "energy_kwh": energy,
        "max_charge_kw": _kilo(values.get("evMaxPower")),
        "capacity_kwh": capacity,
        "soc": None if soc is None else min(max(soc / 100, 0.0), 1.0),
        "target_soc": None if target is None else min(max(target / 100, 0.0), 1.0),
    }


def _v2x(values: Mapping[str, Any]) -> dict[str, float | None]:
    target = values.get("targetSoC")
    return {
        "max_charge_kw": _kilo(_phases(values, "maxChargePower")),
        "max_discharge_kw": _kilo(_phases(values, "maxDischargePower")),
        "energy_kwh": _kilo(values.get("evTargetEnergyRequest")),
        "min_energy_kwh": _kilo(values.get("evMinEnergyRequest")),
        "max_energy_kwh": _kilo(values.get("evMaxEnergyRequest")),
        "min_v2x_energy_kwh": _kilo(values.get("evMinV2XEnergyRequest")),
        "max_v2x_energy_kwh": _kilo(values.get("evMaxV2XEnergyRequest")),
        "target_soc": None if target is None else min(max(target / 100, 0.0), 1.0),
    }


def _phases(values: Mapping[str, Any], name: str) -> float | None:
    """Return a power over all phases: the first is under the plain name, the others under _L2 and _L3."""
    found = [values[key] for key in (name, f"{name}_L2", f"{name}_L3") if key in values]
    return sum(map(abs, found)) if found else None


def _kilo(value: float | None) -> float | None:
    return None if value is None else abs(value) / 1000
