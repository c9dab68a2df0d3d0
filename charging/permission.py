"""May this vehicle be discharged here? Vehicle, charger, protocol, agreement and meter must all agree."""

from __future__ import annotations

from dataclasses import dataclass

from charging.models import Charger
from depot.models import InterconnectionAgreement
from depot.words import tr
from fleet.models import Vehicle, VehicleType

WORDS_FOR_DISCHARGE = "ocpp2.1"
"""The protocol that can ask for discharge; older ones only by a limit below zero, where the charger takes it so."""


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer, and the sentence that says why (empty when nothing stands in the way)."""

    allowed: bool
    reason: str


def discharge_permission(
    vehicle: Vehicle, charger: Charger, agreement: InterconnectionAgreement | None
) -> Permission:
    """Tell whether `vehicle` may discharge at `charger`, and if not, what stands in the way.

    Without an approved agreement a vehicle may still feed the building behind the meter: the export limit of 0
    in the case keeps it from the grid. A plan may only count on discharge that the charger can be told of.
    """
    kind = vehicle.type
    obstacle = ""
    if not vehicle.v2g_enabled:
        obstacle = tr("V2G is switched off for {name}.", name=vehicle.name)
    elif kind.inverter == VehicleType.Inverter.NONE:
        obstacle = tr("{name} cannot discharge.", name=kind.name)
    elif not charger.bidirectional:
        obstacle = tr("Charger {name} is one-way.", name=charger.name)
    elif discharge_limit_kw(vehicle, charger) <= 0:
        obstacle = tr(
            "{name} cannot discharge through the {current} charger {charger}.",
            name=kind.name,
            current=charger.get_current_display(),
            charger=charger.name,
        )
    elif not (kind.iso15118_20 and charger.iso15118_20):
        missing = charger.name if kind.iso15118_20 else kind.name
        obstacle = tr("{missing} does not speak ISO 15118-20, which discharging needs.", missing=missing)
    elif not charger.protocol:
        obstacle = tr(
            "Charger {name} has never logged in, so it is not known whether it can be asked to.",
            name=charger.name,
        )
    elif charger.protocol != WORDS_FOR_DISCHARGE and not charger.negative_limits:
        obstacle = tr(
            "Charger {name} speaks OCPP {value}, which has no words for discharging. Connect it with "
            "OCPP 2.1, or enter that it discharges on negative limits.",
            name=charger.name,
            value=charger.protocol.removeprefix("ocpp"),
        )
    elif agreement is None:
        obstacle = tr("The depot has no interconnection agreement on record.")
    return Permission(not obstacle, obstacle)


def charge_limit_kw(vehicle: Vehicle, charger: Charger) -> float:
    """Return the most power the vehicle takes from this kind of charger, in kW."""
    kind = vehicle.type
    own = kind.max_charge_dc_kw if charger.current == Charger.Current.DC else kind.max_charge_ac_kw
    return min(own, charger.max_charge_kw)


def discharge_limit_kw(vehicle: Vehicle, charger: Charger) -> float:
    """Return the most power the vehicle gives to this kind of charger, in kW."""
    kind = vehicle.type
    own = kind.max_discharge_dc_kw if charger.current == Charger.Current.DC else kind.max_discharge_ac_kw
    return min(own, charger.max_discharge_kw)
