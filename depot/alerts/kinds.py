"""The kinds of alerts: whom each concerns, and the page on which to act."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from depot.models import Alert, Role

SITE = frozenset({Role.TECHNICIAN, Role.MANAGER, Role.OWNER})
DISPATCH = frozenset({Role.DISPATCHER, Role.MANAGER, Role.OWNER})
WORKING = SITE | DISPATCH
MONEY = frozenset({Role.MANAGER, Role.OWNER})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key begins with, whom it concerns, and the view to go to, with its query."""

    prefix: str
    title: str
    audience: frozenset[Role]
    view: str = ""
    query: str = ""


KINDS = {
    kind.prefix: kind
    for kind in (
        Kind("ready", "Pull-out in doubt", DISPATCH, "charging:pull-outs"),
        Kind("unplugged", "Unplugged before needed", DISPATCH, "charging:board"),
        Kind("interrupted", "Charging interrupted", WORKING, "charging:board"),
        Kind("fault", "Charger fault", WORKING, "charging:board"),
        Kind("charger", "Charger down", WORKING, "charging:board"),
        Kind("gateway", "Gateway down", WORKING, "charging:board"),
        Kind("strays", "Charger does not follow", SITE, "charging:board", "view=technician"),
        Kind("station", "Charger notice", SITE, "charging:board", "view=technician"),
        Kind("clock", "Charger clock", SITE, "charging:board", "view=technician"),
        Kind("certificate", "Charger certificate", SITE, "charging:board", "view=technician"),
        Kind("fallback", "Safe levels", SITE),
        Kind("limit", "Limit near", WORKING, "home"),
        Kind("peak", "Demand peak", WORKING, "charging:plan"),
        Kind("telemetry", "Vehicle data stale", WORKING, "charging:board"),
        Kind("telematics", "Telematics feed", SITE),
        Kind("meter", "Meter silent", SITE),
        Kind("forecast", "Forecast stale", SITE, "charging:plan"),
        Kind("note", "Plan", WORKING, "charging:plan"),
        Kind("bill", "Bill corrected", MONEY, "billing:bills"),
        Kind("job", "Background work", SITE),
    )
}
OTHER = Kind("", "Other", WORKING)


def kind_of(key: str) -> Kind:
    """Return the kind of an alert's key, like ready:17:2026-03-10 or job.plan."""
    return KINDS.get(key.replace(".", ":", 1).partition(":")[0], OTHER)


def concerns(key: str, role: str | None) -> bool:
    """Tell whether an alert concerns a role; who only looks, or may everything, is concerned with all."""
    return role is None or role == Role.VIEWER or role in kind_of(key).audience


def of_role(alerts: Iterable[Alert], role: str | None) -> list[Alert]:
    """Return the alerts that concern a role."""
    return [alert for alert in alerts if concerns(alert.key, role)]
