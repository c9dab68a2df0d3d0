"""Say where connectors stand in the yard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from charging.models import Connector
from charging.selectors.board_yard import Place
from depot import audit
from depot.models import Depot
from depot.words import later


def arrange(depot: Depot, places: Mapping[int, Place | None], by: Any) -> int:
    """Store row and place (both from 1; None = nowhere) by connector id; return how many were moved."""
    moved = []
    for connector in Connector.objects.of_depot(depot).filter(pk__in=places):
        row, place = places[connector.pk] or (None, None)
        if (connector.yard_row, connector.yard_place) != (row, place):
            connector.yard_row, connector.yard_place = row, place
            moved.append(connector)
    if moved:
        Connector.objects.bulk_update(moved, ["yard_row", "yard_place"])
        sentence = later(
            "{by} laid out the yard: {moved} connectors have another place.", by=by, moved=len(moved)
        )
        audit.record(depot, by, "yard.arranged", sentence, connectors=[row.pk for row in moved])
    return len(moved)
