"""The counterfactual in the ledger: what unmanaged charging would have drawn in the same sessions."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from billing.models import Interval
from billing.savings.counterfactual import Session, unmanaged
from billing.savings.site import site_power
from billing.selectors.ledger import read_ledger
from billing.services.ledger import Unmanaged, record_unmanaged
from charging.models import ChargingSession
from charging.permission import charge_limit_kw
from depot.models import Depot
from depot.timegrid import TimeGrid
from fleet.models import Vehicle

Floats = npt.NDArray[np.float64]
LONGEST_WAIT = timedelta(days=7)


def update_baseline(depot: Depot, now: datetime) -> int:
    """Write the counterfactual of every interval that is not final yet; return how many were written.

    An interval is final when no session that touches it is still open, or after a week. The open session of a
    vehicle is taken as ending now with its present charge.
    """
    waiting = Interval.objects.filter(depot=depot, baseline_frozen_at__isnull=True).order_by("start_at")
    first, last = waiting.first(), waiting.last()
    if first is None or last is None:
        return 0
    steps = int((last.start_at - first.start_at).total_seconds() // 60 // depot.step_minutes) + 1
    grid = TimeGrid(first.start_at, depot.step_minutes, steps)
    charge_kw, final_before = _charging(depot, grid, now)
    ledger = read_ledger(depot, grid.start_at, grid.end_at)
    connection = depot.nodes.filter(kind="grid").first()
    agreement = getattr(depot, "agreement", None)
    limit = min(connection.export_limit_kw, agreement.allowed_export_kw) if connection and agreement else 0.0
    site = site_power(
        np.nan_to_num(ledger.kw("building_kwh")), np.nan_to_num(ledger.kw("solar_kwh")), charge_kw, limit
    )
    hours = grid.step_hours
    rows = [
        Unmanaged(
            start_at=at,
            charge_kwh=float(charge_kw[index] * hours),
            import_kwh=float(site.import_kw[index] * hours),
            export_kwh=float(site.export_kw[index] * hours),
            final=at + grid.step <= final_before,
        )
        for index, at in enumerate(grid.times())
    ]
    return record_unmanaged(depot, rows, now)


def _charging(depot: Depot, grid: TimeGrid, now: datetime) -> tuple[Floats, datetime]:
    """Return unmanaged charging of all vehicles, in kW per step, and the moment before which it is final.

    What a session leaves over is kept with the vehicle's next session, so that a later run can start there.
    """
    total = np.zeros(grid.steps)
    oldest_open = now
    changed = []
    for chain in _chains(depot, grid, now).values():
        carry_kwh = chain[0].unmanaged_carry_kwh
        for row in chain:
            if row.unplugged_at is None:
                oldest_open = min(oldest_open, row.plugged_in_at)
            if row.unmanaged_carry_kwh != carry_kwh:
                row.unmanaged_carry_kwh = carry_kwh
                changed.append(row)
            session = _session(row, now)
            if session is not None:
                baseline = unmanaged([session], grid, carry_kwh)
                total += baseline.charge_kw
                carry_kwh = baseline.carry_kwh
    ChargingSession.objects.bulk_update(changed, ["unmanaged_carry_kwh"], batch_size=500)
    return total, max(oldest_open, now - LONGEST_WAIT)


def _chains(depot: Depot, grid: TimeGrid, now: datetime) -> dict[int, list[ChargingSession]]:
    """Return each vehicle's sessions that touch the grid, in time order."""
    rows = (
        ChargingSession.objects.filter(
            connector__charger__depot=depot, vehicle__isnull=False, plugged_in_at__lt=min(grid.end_at, now)
        )
        .exclude(unplugged_at__lte=grid.start_at)
        .select_related("vehicle__type", "vehicle__state", "connector__charger")
        .order_by("plugged_in_at")
    )
    chains: dict[int, list[ChargingSession]] = defaultdict(list)
    for row in rows:
        chains[row.vehicle_id].append(row)
    return chains


def _session(row: ChargingSession, now: datetime) -> Session | None:
    """Return a stay as the counterfactual needs it; None while its charge is not known."""
    soc_out = row.soc_out if row.unplugged_at else _present_soc(row.vehicle)
    end = row.unplugged_at or now
    if row.soc_in is None or soc_out is None or end <= row.plugged_in_at:
        return None
    return Session(
        vehicle=row.vehicle.name,
        plugged_in_at=row.plugged_in_at,
        unplugged_at=end,
        soc_in=row.soc_in,
        soc_out=soc_out,
        capacity_kwh=row.vehicle.type.usable_kwh,
        max_charge_kw=charge_limit_kw(row.vehicle, row.connector.charger),
        charge_efficiency=row.connector.charger.charge_efficiency,
    )


def _present_soc(vehicle: Vehicle) -> float | None:
    state = getattr(vehicle, "state", None)
    return state.soc if state else None
