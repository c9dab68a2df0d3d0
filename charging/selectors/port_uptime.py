"""Uptime of every charging port over a period, from the alerts that its outages left and what was announced."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from charging.models import Connector
from charging.uptime import REQUIRED, Span, Uptime, uptime
from depot.models import Alert, AuditEvent, Depot

DOWN_KEYS = Q(key__startswith="fault:") | Q(key__startswith="charger:") | Q(key="gateway:silent")
"""The alerts that tell when a port was down."""


@dataclass(frozen=True, slots=True)
class PortUptime:
    """A port with its uptime and how often it was down."""

    connector: Connector
    uptime: Uptime
    outages: int

    @property
    def enough(self) -> bool:
        return self.uptime.share is not None and self.uptime.share > REQUIRED


def port_uptimes(depot: Depot, start_at: datetime, end_at: datetime) -> list[PortUptime]:
    """Return the uptime of every port in `[start_at, end_at)`, from three queries.

    Down is a port with a fault, one whose charger does not answer, and every port while the gateway is not heard.
    Excluded is what falls between taking a charger out of service and putting it back.
    """
    connectors = (
        Connector.objects.filter(charger__depot=depot)
        .select_related("charger")
        .order_by("charger__name", "evse_id", "connector_id")
    )
    downs = _downs(depot, start_at, end_at)
    excused = _maintenance(depot, end_at)
    found = []
    for connector in connectors:
        keys = (f"fault:{connector.pk}", f"charger:{connector.charger_id}", "gateway:silent")
        spans = [span for key in keys for span in downs[key]]
        found.append(
            PortUptime(
                connector, uptime((start_at, end_at), spans, excused[connector.charger_id]), len(spans)
            )
        )
    return found


def _downs(depot: Depot, start_at: datetime, end_at: datetime) -> dict[str, list[Span]]:
    """Return by alert key the spans in which it was open."""
    still_open = Q(cleared_at__isnull=True) | Q(cleared_at__gt=start_at)
    rows = Alert.objects.filter(DOWN_KEYS, still_open, depot=depot, raised_at__lt=end_at)
    found: dict[str, list[Span]] = defaultdict(list)
    for key, raised_at, cleared_at in rows.values_list("key", "raised_at", "cleared_at"):
        found[key].append((raised_at, cleared_at or end_at))
    return found


def _maintenance(depot: Depot, end_at: datetime) -> dict[int, list[Span]]:
    """Return by charger the spans between being ordered out of service and back into it."""
    verbs = ("charger.out_of_service", "charger.in_service")
    rows = AuditEvent.objects.filter(depot=depot, verb__in=verbs, at__lt=end_at).order_by("at", "pk")
    found: dict[int, list[Span]] = defaultdict(list)
    since: dict[int, datetime] = {}
    for verb, at, facts in rows.values_list("verb", "at", "facts"):
        charger_id = facts.get("charger")
        if charger_id is None:
            continue
        if verb == verbs[0]:
            since.setdefault(charger_id, at)
        elif charger_id in since:
            found[charger_id].append((since.pop(charger_id), at))
    for charger_id, at in since.items():
        found[charger_id].append((at, end_at))
    return found
