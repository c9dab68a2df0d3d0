"""What chargers were told last, and still do."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery

from charging.following import Told
from charging.models import ChargerCommand, Connector
from charging.services.commands import STILL_MEANT
from depot import clock
from depot.models import Depot


def schedules_now(depot: Depot) -> dict[int, ChargerCommand]:
    """Return the schedule that each connector follows now, by connector id; one query for all."""
    own = ChargerCommand.objects.filter(connector=OuterRef("pk"), action="set_schedule")
    newest = Connector.objects.filter(charger__depot=depot).annotate(
        newest=Subquery(own.order_by("-created_at").values("pk")[:1])
    )
    found = ChargerCommand.objects.filter(
        pk__in=newest.order_by().values("newest"), state__in=STILL_MEANT, expires_at__gt=clock.wall_now()
    ).select_related("charger__depot", "connector", "plan")
    found = found.defer("plan__case", "plan__answer", "plan__notes")
    return {command.connector_id: command for command in found if command.connector_id is not None}


def told_of(command: ChargerCommand, now: datetime) -> Told:
    """Return a schedule as the check of who follows needs it."""
    payload = command.payload
    answered_at = command.answered_at or command.created_at
    ago_s = (clock.wall_now() - answered_at).total_seconds() * clock.clock().speed
    return Told(
        start_at=datetime.fromisoformat(payload["start_at"]),
        step=timedelta(seconds=payload["step_seconds"]),
        power_kw=payload["power_kw"],
        known_at=now - timedelta(seconds=ago_s),
    )
