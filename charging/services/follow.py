"""Check who follows: compare what chargers measure with what they were told."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from charging.following import verdict
from charging.models import Charger, ChargerCommand, Connector, MeterSample, StationNotice
from charging.selectors.schedules import schedules_now, told_of
from charging.services.commands import send, send_again
from charging.services.notices import note
from depot.models import Depot
from depot.words import later

SECOND_LOOK = timedelta(minutes=2)
FORGET_AFTER = timedelta(minutes=30)
LOOK_BACK = timedelta(minutes=10)


def check_following(depot: Depot, now: datetime) -> None:
    """Compare meters with set-points; who strays is told again, asked what it believes, and then planned around.

    As many queries for many sessions as for one, but for those that stray.
    """
    told = {
        connector_id: command
        for connector_id, command in schedules_now(depot).items()
        if command.state == ChargerCommand.State.ACCEPTED and command.answered_at is not None
    }
    samples: defaultdict[int, list[tuple[datetime, float]]] = defaultdict(list)
    recent = MeterSample.objects.filter(
        session__connector__in=told,
        session__unplugged_at__isnull=True,
        sampled_at__gte=now - LOOK_BACK,
        sampled_at__lte=now,
    )
    for connector_id, at, power_kw in recent.order_by("sampled_at").values_list(
        "session__connector", "sampled_at", "power_kw"
    ):
        samples[connector_id].append((at, power_kw))
    for connector_id, said in samples.items():
        command = told[connector_id]
        charger, connector = command.charger, command.connector
        follows = verdict(told_of(command, now), said)
        if follows is False and connector is not None:
            _stray(charger, connector, now)
        elif follows and charger.strays_since and now - charger.strays_since > FORGET_AFTER:
            Charger.objects.filter(pk=charger.pk).update(strays_since=None)


def _stray(charger: Charger, connector: Connector, now: datetime) -> None:
    """Tell a charger again at the first sign, and mark it at the second."""
    if charger.strays_since is not None:
        return
    signs = StationNotice.objects.filter(
        charger=charger, kind="not following", received_at__gte=now - LOOK_BACK
    )
    first = signs.order_by("received_at").first()
    if first is None:
        note(
            charger,
            "not following",
            later("{connector} draws another power than it was told; it is told again.", connector=connector),
        )
        send_again(charger, connector)
        send(charger, "composite", {"evse_id": connector.evse_id, "seconds": 3600}, connector=connector)
    elif now - first.received_at >= SECOND_LOOK:
        Charger.objects.filter(pk=charger.pk).update(strays_since=now)
