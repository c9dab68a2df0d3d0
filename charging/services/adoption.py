"""Stations that knock under an identity nobody has set up: noted, shown to a technician, adopted."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from charging.models import Charger, Connector, UnknownStation
from charging.services.credentials import new_password
from depot import audit, clock
from depot.models import ElectricalNode
from depot.words import later

MOST_UNKNOWN = 500
"""Whoever guesses identities fills no table: beyond this the longest unseen make room."""


def note_unknown(identity: str, address: str, protocols: str) -> None:
    """Note that a station knocked under an identity nobody has set up."""
    now = clock.now()
    seen = {"address": address[:60], "protocols": protocols[:120], "last_seen_at": now}
    _, created = UnknownStation.objects.update_or_create(
        identity=identity,
        defaults=seen | {"tries": F("tries") + 1},
        create_defaults=seen | {"first_seen_at": now},
    )
    if not created:
        return
    old = UnknownStation.objects.order_by("-last_seen_at").values_list("pk", flat=True)[MOST_UNKNOWN:]
    UnknownStation.objects.filter(pk__in=list(old)).delete()


def adopt(
    station: UnknownStation, node: ElectricalNode, by: Any, *, max_charge_kw: float
) -> tuple[Charger, str]:
    """Set up a station that knocked, at a node of a depot; return it with the password to enter in it.

    It begins as pending: it may report what it is, and gets no schedule until somebody accepts it. Its safe level
    is 0 kW until somebody enters one, so that adopting it can never load the site.
    """
    with transaction.atomic():
        charger = Charger(
            depot=node.depot,
            node=node,
            name=station.identity[:60],
            identity=station.identity,
            current=Charger.Current.DC,
            max_charge_kw=max_charge_kw,
            admission=Charger.Admission.PENDING,
        )
        charger.full_clean(exclude=["password_hash"])
        charger.save()
        Connector.objects.create(charger=charger)
        station.delete()
        sentence = later(
            "{by} adopted the station {identity} at {name}.", by=by, identity=charger.identity, name=node.name
        )
        audit.record(node.depot, by, "charger.adopted", sentence, charger=charger.pk)
        return charger, new_password(charger, by)
