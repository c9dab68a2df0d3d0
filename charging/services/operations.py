"""What people tell stations to do: checked, written into the audit trail, queued for the gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charging.models import Charger, ChargerCommand, Connector
from charging.ocpp.frames import Fault
from charging.ocpp.profiles import VERSIONS
from charging.ocpp.schemas import check_request
from charging.ocpp.wording import Context, messages
from charging.services.certificates import authority
from charging.services.commands import send
from depot import audit, clock
from depot.words import later, mark, tr

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """An act by its words on a button, and the commands it takes: name and payload, one for each connector or one.

    `asks` says what a person has to give with it, "" = nothing; `payload` then gets that too.
    """

    words: str
    action: str
    payload: Callable[[Connector | None, str], Payload] = lambda connector, given: {}
    each_connector: bool = False
    asks: str = ""


def _place(connector: Connector | None, given: str = "") -> Payload:
    if connector is None:
        raise ValueError(tr("This is done to a connector. Name one."))
    return {"evse_id": connector.evse_id, "connector_id": connector.connector_id}


def _start(connector: Connector | None, given: str) -> Payload:
    return _place(connector) | {"id_token": given}


def _listed(given: str) -> list[str]:
    """Return the words between commas and line ends."""
    return [word.strip() for word in given.replace("\n", ",").split(",") if word.strip()]


def _values(given: str) -> dict[str, str]:
    """Return the values of lines like `SampledDataCtrlr.TxUpdatedInterval=10`; ValueError for others."""
    pairs = [line.partition("=") for line in given.splitlines() if line.strip()]
    if not pairs or any(not (name.strip() and equals) for name, equals, _ in pairs):
        raise ValueError(tr("Write each as name=value, on a line of its own."))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _tokens(connector: Connector | None, given: str) -> Payload:
    return {"version": int(clock.wall_now().timestamp()), "tokens": _listed(given)}


OPERATIONS = {
    "restart": Operation(mark("Restart when it is idle"), "reset", lambda _, given: {"kind": "soft"}),
    "restart_now": Operation(mark("Restart at once"), "reset", lambda _, given: {"kind": "hard"}),
    "unlock": Operation(mark("Unlock its connectors"), "unlock", _place, each_connector=True),
    "start": Operation(
        mark("Start charging"), "remote_start", _start, each_connector=True, asks=mark("the token to charge with")
    ),
    "stop": Operation(mark("End charging"), "remote_stop", _place, each_connector=True),
    "out_of_service": Operation(mark("Take out of service"), "availability", lambda _, given: {"operative": False}),
    "in_service": Operation(mark("Put into service"), "availability", lambda _, given: {"operative": True}),
    "read_set_up": Operation(mark("Read its set-up"), "report"),
    "read_variables": Operation(
        mark("Read some of its settings"), "get_variables", lambda _, given: {"names": _listed(given)},
        asks=mark("their names, with commas between"),
    ),
    "set_variables": Operation(
        mark("Change its settings"), "set_variables", lambda _, given: {"values": _values(given)},
        asks=mark("name=value, one a line"),
    ),
    "trigger": Operation(
        mark("Let it send a message"), "trigger", lambda _, given: {"message": given},
        asks=mark("the message's name, like StatusNotification"),
    ),
    "clear_cache": Operation(mark("Clear its list of known tokens"), "clear_cache"),
    "local_list": Operation(
        mark("Give it a list of tokens it knows when it is alone"), "local_list", _tokens,
        asks=mark("the tokens, with commas between"),
    ),
    "get_log": Operation(
        mark("Send its diagnostics"), "get_log", lambda _, given: {"url": given},
        asks=mark("the address to send them to"),
    ),
    "update_firmware": Operation(
        mark("Load other firmware"), "update_firmware", lambda _, given: {"url": given}, asks=mark("its address")
    ),
    "certificates": Operation(mark("Say which root certificates it has"), "certificates"),
    "install_certificate": Operation(
        mark("Install a root certificate of ours"), "install_certificate",
        lambda _, given: {"kind": "CSMSRootCertificate", "pem": given}, asks=mark("the certificate as PEM text"),
    ),
    "install_authority": Operation(
        mark("Let it trust this installation's own authority"), "install_certificate",
        lambda *_: {"kind": "CSMSRootCertificate", "pem": authority().root_pem()},
    ),
    "renew_certificate": Operation(
        mark("Let it ask for a new certificate"), "trigger", lambda *_: {"message": "SignChargingStationCertificate"}
    ),
    "new_password": Operation(mark("Give it a new password over the air"), "new_password"),
}  # fmt: skip


def operate(charger: Charger, name: str, by: Any, given: str = "") -> list[ChargerCommand]:
    """Queue an operation on a charger and record who ordered it.

    Raises ValueError for one that is not known, that lacks what it asks for, or that its OCPP version cannot say.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise ValueError(
            tr(
                "There is no operation {name!r}; known: {known}.",
                name=name,
                known=", ".join(OPERATIONS),
            )
        )
    given = given.strip()
    if operation.asks and not given:
        raise ValueError(tr("{words}: enter {asks}.", words=tr(operation.words), asks=tr(operation.asks)))
    places: list[Connector | None] = list(charger.connectors.all()) if operation.each_connector else [None]
    payloads = [(place, operation.payload(place, given)) for place in places]
    if operation.asks:
        for _, payload in payloads:
            _check(charger, operation.action, payload)
    queued = [
        send(charger, operation.action, payload, connector=place, priority=0) for place, payload in payloads
    ]
    sentence = later(
        "{by} ordered for charger {name}: {words}.",
        by=by,
        name=charger.name,
        words=tr(operation.words).lower(),
    )
    facts = {"charger": charger.pk, "commands": [str(one.pk) for one in queued]}
    audit.record(charger.depot, by, f"charger.{name}", sentence, **facts)
    return queued


def _check(charger: Charger, action: str, payload: Payload) -> None:
    """Raise ValueError where what was given does not fit the messages of the station's version."""
    version = charger.protocol.removeprefix("ocpp")
    if version not in VERSIONS:
        raise ValueError(tr("The station has never logged in, so it is not known what it understands."))
    for message, body in messages(action, payload, Context(version, clock.now(), 1)):
        try:
            check_request(version, message, body)
        except Fault as fault:
            raise ValueError(
                tr(
                    "That does not fit OCPP {version}: {description}",
                    version=version,
                    description=fault.description,
                )
            ) from fault
