"""CO2 avoided over a span of the ledger, by the depot's own factors."""

from __future__ import annotations

import numpy as np

from billing.models import PriceSeries
from billing.savings.emissions import Emissions, Flows, emissions
from billing.selectors.ledger import Ledger
from billing.selectors.market import Kind, values_of
from depot.models import Depot

CO2 = (Kind.CO2_MARGINAL, Kind.CO2_AVERAGE)


def emissions_of(depot: Depot, ledger: Ledger) -> list[tuple[PriceSeries, Emissions]]:
    """Return what each series of factors that the depot has says of a span; only steps with a factor count."""
    found = []
    rows = PriceSeries.objects.filter(depot=depot, kind__in=CO2).select_related("depot").order_by("-kind")
    for row in rows if ledger.grid.steps else ():
        series = values_of(row, ledger.grid)
        result = emissions(
            Flows(ledger.kwh("unmanaged_import_kwh"), ledger.kwh("unmanaged_export_kwh")),
            Flows(ledger.kwh("import_kwh"), ledger.kwh("export_kwh")),
            np.where(series.stale, np.nan, series.per_kwh),
            marginal=row.kind == Kind.CO2_MARGINAL,
        )
        if result is not None:
            found.append((row, result))
    return found
