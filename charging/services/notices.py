"""Keep what stations notice, and what they say of their own set-up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from charging.models import Charger, StationNotice, StationVariable
from charging.ocpp.masking import masked
from depot import clock
from depot.models import Depot
from depot.words import Sentence, speaking

KEEP = timedelta(days=30)
RECENT = timedelta(hours=12)
MOST_VARIABLES = 5000
"""No station has more; one that claims more does not fill the table."""
Level = StationNotice.Level
CRITICAL_EVENTS = {
    "FirmwareUpdated", "SettingSystemTime", "SecurityLogWasCleared", "MemoryExhaustion",
    "TamperDetectionActivated", "InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate",
    "InvalidCsmsCertificate", "InvalidChargingStationCertificate", "InvalidTLSVersion",
    "InvalidTLSCipherSuite", "AttemptedReplayAttacks", "FailedToAuthenticateAtCsms",
    "CsmsFailedToAuthenticate",
}  # fmt: skip
"""Security events that somebody must look at; a start or a reset of the station is none."""


def note(
    charger: Charger,
    kind: str,
    summary: str | Sentence,
    data: dict[str, Any] | None = None,
    *,
    level: str = Level.INFO,
    evse_id: int = 0,
    said_at: datetime | None = None,
    over: bool = False,
) -> None:
    """Keep a notice of a station, without its secrets; its sentence is said in the depot's language."""
    with speaking(charger.depot.language):
        said = str(summary)
    StationNotice.objects.create(
        charger=charger,
        kind=kind[:40],
        level=level,
        summary=said[:200],
        evse_id=min(max(evse_id, 0), 32767),
        said_at=said_at,
        received_at=clock.now(),
        over=over,
        data=masked(data or {}),
    )


def pressing(depot: Depot, now: datetime) -> list[StationNotice]:
    """Return the recent notices that need somebody, the newest of each charger and kind, unless it is over."""
    newest: dict[tuple[int, str], StationNotice] = {}
    recent = StationNotice.objects.filter(charger__depot=depot, received_at__gte=now - RECENT)
    for one in recent.exclude(level=Level.INFO, over=False).select_related("charger"):
        newest.setdefault((one.charger_id, one.kind), one)
    return [one for one in newest.values() if not one.over]


def keep_variables(charger: Charger, rows: Iterable[Sequence[str]]) -> None:
    """Keep what a station says of its variables: component, variable, attribute, value; the newest word counts."""
    now = clock.now()
    found = {(row[0][:110], row[1][:110], row[2][:10]): _readable(row) for row in rows}
    if charger.variables.count() + len(found) > MOST_VARIABLES:
        known = set(charger.variables.values_list("component", "variable", "attribute"))
        found = {place: value for place, value in found.items() if place in known}
    StationVariable.objects.bulk_create(
        [
            StationVariable(
                charger=charger,
                component=component,
                variable=variable,
                attribute=attribute,
                value=value,
                reported_at=now,
            )
            for (component, variable, attribute), value in found.items()
        ],
        update_conflicts=True,
        unique_fields=["charger", "component", "variable", "attribute"],
        update_fields=["value", "reported_at"],
    )


def _readable(row: Sequence[str]) -> str:
    """Return a variable's value, masked when its name says that it is a secret."""
    return str(masked({"variable": f"{row[0]} {row[1]}", "value": row[3][:2500]})["value"])


def prune_notices(depot: Depot, now: datetime) -> int:
    """Delete notices older than a month; return how many went."""
    old = StationNotice.objects.filter(charger__depot=depot, received_at__lt=now - KEEP)
    return old.delete()[0]
