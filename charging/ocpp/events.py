"""What a charger says, in one form for all protocol versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from charging.ocpp.frames import Fault
from charging.ocpp.needs import Needs
from depot.words import Sentence


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured at one moment; None = not said. Powers and registers at the charger's grid side."""

    at: datetime
    power_kw: float | None = None
    import_kwh_total: float | None = None
    export_kwh_total: float | None = None
    soc: float | None = None


@dataclass(frozen=True, slots=True)
class Booted:
    """The charger has started."""

    vendor: str
    model: str
    firmware: str
    serial: str = ""


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A connector says how it is; `status` is one of Connector.Status.

    `connector_id` 0 = not said; `at` None = now.
    """

    evse_id: int
    connector_id: int
    status: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class TransactionEvent:
    """A transaction began, goes on or ended; `kind` is started, updated or ended. EVSE 0 = not said."""

    kind: str
    transaction_id: str
    at: datetime
    evse_id: int = 0
    connector_id: int = 0
    sequence: int | None = None
    id_token: str = field(default="", repr=False)
    readings: tuple[Reading, ...] = ()
    offline: bool = False
    signed: tuple[dict[str, Any], ...] = ()
    """Signed meter values as they came: proof for a bill, kept word by word."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a person or a program may want to look up: `kind` is the message's name, `data` its payload.

    `level` is one of an alert's levels; `over` = what was noticed before has ended.
    """

    kind: str
    summary: str | Sentence
    data: dict[str, Any]
    at: datetime | None = None
    level: str = "info"
    evse_id: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True)
class NeedsTold:
    """A vehicle has told its charger what it needs (see `needs`)."""

    evse_id: int
    needs: Needs
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VariablesTold:
    """What a station says of its variables: component, variable, attribute, value."""

    rows: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class UpdatePulled:
    """The charger asks for the newest set-point of a dynamic profile."""

    profile_id: int


@dataclass(frozen=True, slots=True)
class TokenAsked:
    """The charger asks whether a token may charge."""

    id_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningAsked:
    """The charger asks for a certificate of its own; `kind` is OCPP's certificate type, `request` PEM text."""

    request: str = field(repr=False)
    kind: str = ""


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Something that touches the charger's security."""

    kind: str
    detail: str
    at: datetime


Event = (
    Booted
    | StatusChanged
    | TransactionEvent
    | TokenAsked
    | SecurityEvent
    | SigningAsked
    | Noticed
    | NeedsTold
    | VariablesTold
    | UpdatePulled
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the database made of an event.

    Whether its token is known, its transaction's id, how the station's boot is answered, whether the vehicle may
    discharge here, the set-point in kW a station has pulled (None = there is none), whether its certificate is signed.
    """

    token_known: bool = True
    transaction_id: str = ""
    admission: str = "accepted"
    may_discharge: bool = False
    setpoint_kw: float | None = None
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Handler:
    """How one action is understood and answered: payload -> event (or nothing to keep), then -> answer.

    `early`: it is heard before the station's boot is accepted, too.
    """

    answer: Callable[[dict[str, Any], Outcome, datetime], dict[str, Any]]
    event: Callable[[dict[str, Any]], Event | None] = lambda payload: None
    early: bool = False


def moment(text: str) -> datetime:
    """Return a time from the wire as aware UTC; one without an offset is taken as UTC."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Fault("PropertyConstraintViolation", f"{text!r:.40} is not a date and time.") from error


SCALES = {"Wh": 0.001, "kWh": 1.0, "W": 0.001, "kW": 1.0, "Percent": 0.01}
GREATEST = 1e15
"""No meter reads more; what does is no number to count with."""
REGISTER_IN, REGISTER_OUT = "Energy.Active.Import.Register", "Energy.Active.Export.Register"
POWER_IN, POWER_OUT, SOC = "Power.Active.Import", "Power.Active.Export", "SoC"
MEASURANDS = {REGISTER_IN, REGISTER_OUT, POWER_IN, POWER_OUT, SOC}


@dataclass(frozen=True, slots=True)
class Sampled:
    """One value of a meter: its measurand and unit, the phase it stands for ("" = all)."""

    measurand: str
    value: float
    unit: str
    phase: str = ""


def reading(at: datetime, values: list[Sampled]) -> Reading:
    """Make one reading of what was measured at a moment.

    A value for all phases counts before those of single phases, which are added up. Powers of the outlet
    are at the charger's grid side; import and export make one signed power.
    """
    found = {name: _value(name, values) for name in MEASURANDS}
    power_in, power_out = found[POWER_IN], found[POWER_OUT]
    known = power_in is not None or power_out is not None
    soc = found[SOC]
    return Reading(
        at,
        power_kw=(power_in or 0.0) - (power_out or 0.0) if known else None,
        import_kwh_total=found[REGISTER_IN],
        export_kwh_total=found[REGISTER_OUT],
        soc=None if soc is None else min(max(soc, 0.0), 1.0),
    )


def _value(name: str, values: list[Sampled]) -> float | None:
    mine = [
        value
        for value in values
        if value.measurand == name and value.unit in SCALES and abs(value.value) < GREATEST
    ]
    whole = [value for value in mine if not value.phase]
    if whole:
        return whole[-1].value * SCALES[whole[-1].unit]
    return sum(value.value * SCALES[value.unit] for value in mine) if mine else None
