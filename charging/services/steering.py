"""Steer a vehicle between two plans: set-points that move, frequency curves, the grid operator's signal, priority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from charging.models import ChargerCommand, ChargingSession, Connector
from charging.ocpp.profiles import profile_id
from charging.ocpp.profiles_v2x import STEERED, STEERED_LEVEL
from charging.permission import discharge_permission
from charging.services.commands import send
from charging.services.dispatch import OFFLINE_S
from depot import audit
from depot.models import InterconnectionAgreement
from depot.words import later, tr

ACTIONS = (*STEERED, "setpoint", "afrr_signal", "priority_charging")


def steer(connector: Connector, action: str, values: Mapping[str, Any], by: Any) -> ChargerCommand:
    """Queue a steering action for the vehicle at a connector and record who ordered it.

    `values` are the action's own (see `profiles_v2x` and `wording`). Raises ValueError with what stands in the way:
    no vehicle, or one that may not discharge here. Priority charging only charges and needs no permission.
    """
    if action not in ACTIONS:
        raise ValueError(
            tr(
                "There is no steering action {action!r}; known: {known}.",
                action=action,
                known=", ".join(ACTIONS),
            )
        )
    charger = connector.charger
    here = ChargingSession.objects.filter(connector=connector, unplugged_at__isnull=True)
    session = here.select_related("vehicle__type").first()
    if session is None or session.vehicle is None:
        raise ValueError(tr("No vehicle that is known is plugged in at {connector}.", connector=connector))
    if action != "priority_charging":
        agreement = InterconnectionAgreement.objects.filter(depot=charger.depot_id).first()
        permission = discharge_permission(session.vehicle, charger, agreement)
        if not permission.allowed:
            raise ValueError(permission.reason)
    place: dict[str, Any] = {"evse_id": connector.evse_id, "vehicle_id": session.vehicle.pk}
    if action in STEERED:
        place["max_offline_s"] = OFFLINE_S
    if action == "setpoint":
        place["profile_id"] = profile_id(connector.evse_id, STEERED_LEVEL)
    purpose = "steered" if action in STEERED else action
    command = send(
        charger, action, {**values, **place}, connector=connector, coalesce=f"{purpose}:{connector.pk}"
    )
    sentence = later(
        "{by} ordered {action} for {name} at charger {name2}.",
        by=by,
        action=action,
        name=session.vehicle.name,
        name2=charger.name,
    )
    audit.record(charger.depot, by, f"charger.{action}", sentence, command=str(command.pk), **values)
    return command
