"""Whose export it was: what the grid meter counted, shared among vehicles by their chargers' meters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db.models import Sum

from billing.savings.programmes import shared_out, vehicles_export
from billing.selectors.ledger import read_ledger
from charging.models import ChargingSession
from depot.models import Depot


@dataclass(frozen=True, slots=True)
class VehicleExport:
    """One vehicle in a span: kWh into and out of it at its charger, and its part of the metered export."""

    vehicle: str
    charged_kwh: float
    given_kwh: float
    export_kwh: float


def export_by_vehicle(depot: Depot, start_at: datetime, end_at: datetime) -> list[VehicleExport]:
    """Return each vehicle's part of what the depot's vehicles exported in a span; the parts are the whole.

    A session counts in the span in which it ended. Vehicles that nobody knows stand together under one name.
    """
    sessions = ChargingSession.objects.filter(
        connector__charger__depot=depot, unplugged_at__gte=start_at, unplugged_at__lt=end_at
    )
    rows = list(
        sessions.values_list("vehicle__name")
        .annotate(charged=Sum("import_kwh"), given=Sum("export_kwh"))
        .order_by("vehicle__name")
    )
    given = {name or "unknown": float(out) for name, _, out in rows}
    parts = shared_out(_exported_kwh(depot, start_at, end_at), given)
    return [
        VehicleExport(name or "unknown", float(charged), float(out), parts[name or "unknown"])
        for name, charged, out in rows
    ]


def _exported_kwh(depot: Depot, start_at: datetime, end_at: datetime) -> float:
    ledger = read_ledger(depot, start_at, end_at)
    flows = ("export_kwh", "discharge_kwh", "solar_kwh", "building_kwh", "charge_kwh")
    export, discharge, solar, building, charge = (np.nan_to_num(ledger.kwh(name)) for name in flows)
    surplus = np.maximum(solar - building - charge, 0.0)
    return float(vehicles_export(export, discharge, surplus).sum())
