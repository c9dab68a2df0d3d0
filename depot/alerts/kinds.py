"""The kinds of alerts: whom each concerns, and the page on which to act."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from depot.models import Alert, Role
from depot.words import mark

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
        Kind("ready", mark("Pull-out in doubt"), DISPATCH, "charging:pull-outs"),
        Kind("unplugged", mark("Unplugged before needed"), DISPATCH, "charging:board"),
        Kind("interrupted", mark("Charging interrupted"), WORKING, "charging:board"),
        Kind("fault", mark("Charger fault"), WORKING, "charging:board"),
        Kind("charger", mark("Charger down"), WORKING, "charging:board"),
        Kind("gateway", mark("Gateway down"), WORKING, "charging:board"),
        Kind("strays", mark("Charger does not follow"), SITE, "charging:board", "view=technician"),
        Kind("station", mark("Charger notice"), SITE, "charging:board", "view=technician"),
        Kind("clock", mark("Charger clock"), SITE, "charging:board", "view=technician"),
        Kind("certificate", mark("Charger certificate"), SITE, "charging:board", "view=technician"),
        Kind("fallback", mark("Safe levels"), SITE),
        Kind("limit", mark("Limit near"), WORKING, "home"),
        Kind("peak", mark("Demand peak"), WORKING, "charging:plan"),
        Kind("telemetry", mark("Vehicle data stale"), WORKING, "charging:board"),
        Kind("telematics", mark("Telematics feed"), SITE),
        Kind("meter", mark("Meter silent"), SITE),
        Kind("forecast", mark("Forecast stale"), SITE, "charging:plan"),
        Kind("note", mark("Plan"), WORKING, "charging:plan"),
        Kind("bill", mark("Bill corrected"), MONEY, "billing:bills"),
        Kind("job", mark("Background work"), SITE),
    )
}
OTHER = Kind("", mark("Other"), WORKING)


def kind_of(key: str) -> Kind:
    """Return the kind of an alert's key, like ready:17:2026-03-10 or job.plan."""
    return KINDS.get(key.replace(".", ":", 1).partition(":")[0], OTHER)


def concerns(key: str, role: str | None) -> bool:
    """Tell whether an alert concerns a role; who only looks, or may everything, is concerned with all."""
    return role is None or role == Role.VIEWER or role in kind_of(key).audience


def of_role(alerts: Iterable[Alert], role: str | None) -> list[Alert]:
    """Return the alerts that concern a role."""
    return [alert for alert in alerts if concerns(alert.key, role)]
