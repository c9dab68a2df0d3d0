"""Which tariff holds when."""

from __future__ import annotations

from datetime import date

from django.db.models import Q

from billing.models import Tariff as TariffRow
from billing.tariff import Tariff, read_tariff
from depot.models import Depot


def tariff_on(depot: Depot, day: date) -> TariffRow | None:
    """Return the newest version that is valid on a local day, or None."""
    valid = Q(valid_to__isnull=True) | Q(valid_to__gte=day)
    return TariffRow.objects.filter(valid, depot=depot, valid_from__lte=day).order_by("-valid_from").first()


def parsed(row: TariffRow) -> Tariff:
    """Return a stored version as the tariff room's own object."""
    return read_tariff(row.definition)
