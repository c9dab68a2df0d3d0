"""Stop steering a depot: its chargers give up the plan they hold and go back to their safe level."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from charging.models import ChargerCommand, Connector
from charging.services.commands import send, send_defaults
from depot import audit, clock
from depot.models import Depot
from depot.words import later

LASTS = timedelta(hours=48)
"""Longer than any schedule that a charger may hold: one that is away is told when it is back."""


def stand_down(depot: Depot, by: Any) -> int:
    """Send every connector of `depot` its charger's safe level in place of the plan; return how many were sent.

    Waiting schedules are superseded. What is sent never discharges, and on OCPP 2.1 takes away the plan's near steps.
    """
    with transaction.atomic():
        Depot.objects.select_for_update(no_key=True).get(pk=depot.pk)  # no plan is sent meanwhile
        connectors = Connector.objects.filter(charger__depot=depot).select_related("charger")
        places = list(connectors.prefetch_related("charger__connectors"))
        for connector in places:
            charger = connector.charger
            send(
                charger,
                "set_schedule",
                {
                    "evse_id": connector.evse_id,
                    "start_at": clock.now().isoformat(),
                    "step_seconds": int(LASTS.total_seconds()),
                    "max_offline_s": 0,
                    "vehicle_id": None,
                    "power_kw": [charger.fallback_share_kw],
                },
                connector=connector,
                coalesce=f"schedule:{connector.pk}",
                priority=0,
                lifetime=LASTS,
            )
        for charger in {connector.charger_id: connector.charger for connector in places}.values():
            send_defaults(charger)
        who = by if by is not None else later("The program")
        sentence = later(
            "{who} stopped sending plans: {places} connectors go back to their safe level.",
            who=who,
            places=len(places),
        )
        audit.record(depot, by, "depot.stood_down", sentence, connectors=len(places))
    return len(places)


def stand_down_if_steered(depot: Depot) -> int:
    """Stand `depot` down when a charger may still hold a plan, however dispatch was switched off."""
    held = ChargerCommand.objects.filter(
        charger__depot=depot, action="set_schedule", created_at__gt=clock.wall_now() - LASTS
    )
    newest: dict[int | None, ChargerCommand] = {}
    for command in held.exclude(state=ChargerCommand.State.SUPERSEDED).order_by("created_at"):
        newest[command.connector_id] = command
    steered = any(command.plan_id is not None for command in newest.values())
    return stand_down(depot, None) if steered else 0
