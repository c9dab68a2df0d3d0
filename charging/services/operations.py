"""What people tell stations to do: checked, written into the audit trail, queued for the gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charging.models import Charger, ChargerCommand, Connector
from charging.services.commands import send
from depot import audit

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """An act by its words on a button, and the commands it takes: name and payload, one for each connector or one."""

    words: str
    action: str
    payload: Callable[[Connector | None], Payload] = lambda connector: {}
    each_connector: bool = False


def _place(connector: Connector | None) -> Payload:
    if connector is None:
        raise ValueError("This is done to a connector. Name one.")
    return {"evse_id": connector.evse_id, "connector_id": connector.connector_id}


OPERATIONS = {
    "restart": Operation("Restart when it is idle", "reset", lambda connector: {"kind": "soft"}),
    "restart_now": Operation("Restart at once", "reset", lambda connector: {"kind": "hard"}),
    "unlock": Operation("Unlock its connectors", "unlock", _place, each_connector=True),
    "stop": Operation("End charging", "remote_stop", _place, each_connector=True),
    "out_of_service": Operation(
        "Take out of service", "availability", lambda connector: {"operative": False}
    ),
    "in_service": Operation("Put into service", "availability", lambda connector: {"operative": True}),
    "read_set_up": Operation("Read its set-up", "report"),
    "clear_cache": Operation("Clear its list of known tokens", "clear_cache"),
    "new_password": Operation("Give it a new password over the air", "new_password"),
}


def operate(charger: Charger, name: str, by: Any) -> list[ChargerCommand]:
    """Queue an operation on a charger and record who ordered it; ValueError for one that is not known."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise ValueError(f"There is no operation {name!r}; known: {', '.join(OPERATIONS)}.")
    places: list[Connector | None] = list(charger.connectors.all()) if operation.each_connector else [None]
    queued = [
        send(charger, operation.action, operation.payload(place), connector=place, priority=0)
        for place in places
    ]
    sentence = f"{by} ordered for charger {charger.name}: {operation.words.lower()}."
    facts = {"charger": charger.pk, "commands": [str(one.pk) for one in queued]}
    audit.record(charger.depot, by, f"charger.{name}", sentence, **facts)
    return queued
