"""Charging stations: log-ins, life signs, boots and what their connectors say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from charging.models import Charger, Connector
from charging.services.commands import give_back_of, send_again, send_defaults
from depot import clock

SILENT_S = 45.0
"""A link whose gateway has shown no life for this long, in wall time, counts as gone."""
MOST_CONNECTORS = 16


def connect(charger_id: int, protocol: str) -> int:
    """Note a log-in and return its number; an older link of this charger writes nothing from now on.

    What an older link has sent without an answer, for instance one of a gateway that died, waits again.
    """
    with transaction.atomic():
        Charger.objects.filter(pk=charger_id).update(
            connected=True, connection=F("connection") + 1, protocol=protocol, last_seen_at=clock.now()
        )
        give_back_of(charger_id, "The charger logged in again before it had answered.")
        return int(Charger.objects.values_list("connection", flat=True).get(pk=charger_id))


def disconnect(charger_id: int, connection: int) -> None:
    """Note the end of a link, unless a newer one is there."""
    Charger.objects.filter(pk=charger_id, connection=connection).update(connected=False)


def keep_alive(links: Mapping[int, int]) -> set[int]:
    """Note that these links (charger -> log-in number) live; return the chargers that have a newer link.

    Links of gateways that have ended without a word are marked as gone.
    """
    now = clock.now()
    newest = dict(Charger.objects.filter(pk__in=list(links)).values_list("pk", "connection"))
    mine = {charger_id for charger_id, connection in links.items() if newest.get(charger_id) == connection}
    Charger.objects.filter(pk__in=mine).update(connected=True, last_seen_at=now)
    silent = timedelta(seconds=SILENT_S * clock.clock().speed)
    Charger.objects.filter(connected=True, last_seen_at__lt=now - silent).update(connected=False)
    return set(links) - mine


def booted(charger: Charger, vendor: str, model: str, firmware: str) -> None:
    """Note what the charger is, and queue what it must know: the safe default first, then the plan."""
    Charger.objects.filter(pk=charger.pk).update(
        vendor=vendor[:50], model=model[:50], firmware=firmware[:50], booted_at=clock.now()
    )
    instruct(charger)


def instruct(charger: Charger) -> None:
    """Queue what a charger must know after a boot or a reconnect."""
    send_defaults(charger)
    send_again(charger)


def find_connector(charger: Charger, evse_id: int, connector_id: int = 0) -> Connector | None:
    """Return the connector a station speaks of; 0 = it did not say which. One that is new is added.

    None when nothing fits, or a charger claims more connectors than any has.
    """
    known = list(charger.connectors.select_related("vehicle"))
    if not evse_id:
        return known[0] if len(known) == 1 else None
    fitting = [one for one in known if one.evse_id == evse_id]
    exact = [one for one in fitting if one.connector_id == connector_id]
    if exact or (fitting and (not connector_id or len(fitting) == 1)):
        return (exact or fitting)[0]
    if len(known) >= MOST_CONNECTORS or not 0 < evse_id <= MOST_CONNECTORS:
        return None
    return Connector.objects.create(charger=charger, evse_id=evse_id, connector_id=connector_id or 1)


def set_status(connector: Connector, status: str, at: datetime) -> None:
    """Note how a connector is, unless something newer is known."""
    newer = Q(status_at__isnull=True) | Q(status_at__lte=at)
    Connector.objects.filter(newer, pk=connector.pk).update(status=status, status_at=at)
