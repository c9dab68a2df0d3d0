"""Orders that count now."""

from __future__ import annotations

from datetime import datetime

from charging.models import Override
from depot.models import Depot


def overrides_in_force(depot: Depot, now: datetime) -> list[Override]:
    """Return the orders that are neither over nor withdrawn, those of one vehicle together, from one query."""
    rows = Override.objects.filter(depot=depot, withdrawn_at__isnull=True, to_at__gt=now)
    return list(rows.select_related("vehicle", "depot").order_by("vehicle__name", "made_at", "pk"))
