"""Alerts on meters and chargers that count what cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from charging.models import Charger
from depot.alerts.services import Cause, clear, raise_alert
from depot.models import Alert, Depot, Meter
from depot.words import tr

PREFIX = "doubted:"
QUIET = timedelta(days=1)
"""So long after its last doubtful reading an alert is closed."""


def causes_of(meters: Iterable[Meter], charger_ids: Collection[int]) -> list[Cause]:
    """Return an alert for each meter and charger whose readings were not believed."""
    causes = [
        Cause(
            f"{PREFIX}meter:{meter.pk}",
            "warning",
            tr("Meter {name} counts what cannot be", name=meter.name),
            tr(
                "Its register fell or jumped. Those intervals are worked out from the other meters and "
                "marked as estimated. Check the meter; after an exchange nothing is to be done."
            ),
        )
        for meter in meters
    ]
    chargers = Charger.objects.filter(pk__in=charger_ids) if charger_ids else []
    return causes + [charger_cause(charger) for charger in chargers]


def charger_cause(charger: Charger) -> Cause:
    """Return the alert on a charger whose values were not believed."""
    return Cause(
        f"{PREFIX}charger:{charger.pk}",
        "warning",
        tr("Charger {name} measures what cannot be", name=charger.name),
        tr(
            "Its register fell or jumped, a value is above its rating, or its clock is ahead. Such "
            "energy is estimated and marked. Check its meter, its rating in the set-up and its clock."
        ),
    )


def warn(depot: Depot, causes: Iterable[Cause], now: datetime) -> None:
    """Open or confirm these alerts; close those that nothing has confirmed for a day."""
    for cause in causes:
        raise_alert(depot, cause)
    quiet = Alert.objects.filter(
        depot=depot, key__startswith=PREFIX, cleared_at__isnull=True, seen_at__lt=now - QUIET
    )
    for key in list(quiet.values_list("key", flat=True)):
        clear(depot, key)
