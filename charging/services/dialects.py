"""Find how a station wants to be spoken to."""

from __future__ import annotations

from collections.abc import Sequence

from charging.models import Charger, Dialect


def dialects_of(chargers: Sequence[Charger]) -> dict[int, Dialect]:
    """Return the dialect of each charger that has one, by the charger's id."""
    vendors = {charger.vendor.lower() for charger in chargers if charger.vendor}
    if not vendors:
        return {}
    rows = list(Dialect.objects.filter(depot__in={charger.depot_id for charger in chargers}))
    found = {charger.pk: best_dialect(charger, rows) for charger in chargers}
    return {charger_id: dialect for charger_id, dialect in found.items() if dialect is not None}


def best_dialect(charger: Charger, rows: Sequence[Dialect]) -> Dialect | None:
    """Return the dialect that fits a charger most closely: by model before vendor, by the longest firmware."""
    fitting = [
        row
        for row in rows
        if row.depot_id == charger.depot_id
        and row.vendor.lower() == charger.vendor.lower()
        and row.model.lower() in ("", charger.model.lower())
        and charger.firmware.startswith(row.firmware)
    ]
    return max(fitting, key=lambda row: (bool(row.model), len(row.firmware)), default=None)
