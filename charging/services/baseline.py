"""The counterfactual in the ledger: what unmanaged charging would have drawn in the same sessions.

The rule is published in docs/algorithms/savings.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.db.models import Max, Min, OuterRef, Q, Subquery

from billing.models import Interval
from billing.savings.counterfactual import Session, unmanaged
from billing.savings.site import site_power
from billing.selectors.charge_only import export_limit_kw
from billing.selectors.ledger import read_ledger
from billing.services.ledger import Unmanaged, record_unmanaged
from charging.models import ChargingSession
from charging.permission import charge_limit_kw
from charging.selectors.energy import readings_of, sessions_on
from depot.models import Depot
from depot.selectors.metering import boundaries_of
from depot.timegrid import TimeGrid
from fleet.models import Vehicle

Floats = npt.NDArray[np.float64]
LONGEST_WAIT = timedelta(days=7)
Change = Callable[[Session, datetime | None], Session]


def update_baseline(depot: Depot, now: datetime) -> int:
    """Write the counterfactual of every interval that is not final yet; return how many were written.

    An interval is final when no session that touches it is still open, or after a week. The open session of a
    vehicle is taken as ending now with its present charge.
    """
    waiting = Interval.objects.filter(depot=depot, baseline_frozen_at__isnull=True)
    span = waiting.aggregate(first=Min("start_at"), last=Max("start_at"))
    if span["first"] is None:
        return 0
    steps = (span["last"] - span["first"]) // timedelta(minutes=depot.step_minutes) + 1
    grid = TimeGrid(span["first"], depot.step_minutes, steps)
    charge_kw, final_before = _charging(depot, grid, now)
    charge_kw += _strangers_kw(depot, grid)
    ledger = read_ledger(depot, grid.start_at, grid.end_at)
    site = site_power(
        np.nan_to_num(ledger.kw("building_kwh")),
        np.nan_to_num(ledger.kw("solar_kwh")),
        charge_kw,
        export_limit_kw(depot),
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
    for vehicle, chain in _chains(depot, grid, now):
        carry_kwh = chain[0].unmanaged_carry_kwh
        for row in chain:
            if row.unplugged_at is None:
                oldest_open = min(oldest_open, row.plugged_in_at)
            if row.unmanaged_carry_kwh != carry_kwh:
                row.unmanaged_carry_kwh = carry_kwh
                changed.append(row)
            session = _session(vehicle, row, now)
            if session is not None:
                baseline = unmanaged([session], grid, carry_kwh)
                total += baseline.charge_kw
                carry_kwh = baseline.carry_kwh
    ChargingSession.objects.bulk_update(changed, ["unmanaged_carry_kwh"], batch_size=500)
    return total, max(oldest_open, now - LONGEST_WAIT)


def unmanaged_kw(depot: Depot, grid: TimeGrid, now: datetime, change: Change | None = None) -> Floats:
    """Return what unmanaged charging would have drawn on a grid, in kW per step; writes nothing.

    `change` varies a stay, given the moment from which its place was free; the energy for driving stays.
    """
    total = _strangers_kw(depot, grid)
    for vehicle, chain in _chains(depot, grid, now):
        carry_kwh, free_from = chain[0].unmanaged_carry_kwh, None
        for row in chain:
            session = _session(vehicle, row, now)
            if session is None:
                continue
            baseline = unmanaged([change(session, free_from) if change else session], grid, carry_kwh)
            total += baseline.charge_kw
            carry_kwh, free_from = baseline.carry_kwh, session.unplugged_at
    return total


def _strangers_kw(depot: Depot, grid: TimeGrid) -> Floats:
    """Return the charging of sessions whose vehicle nobody knows: it is taken as it was, in kW per step."""
    edges = boundaries_of(grid)
    total_kwh = np.zeros(grid.steps)
    strangers = sessions_on(depot, grid).filter(vehicle__isnull=True)
    for _, readings in readings_of(strangers, grid):
        total_kwh += readings.counted("import", edges).energy_kwh
    return total_kwh / grid.step_hours


def _chains(depot: Depot, grid: TimeGrid, now: datetime) -> list[tuple[Vehicle, list[ChargingSession]]]:
    """Return each vehicle with its sessions that touch the grid, in time order, after the last one before it.

    That one has kept what it had been carried, so the chain goes on from there however long the gap was.
    """
    earlier = ChargingSession.objects.filter(vehicle=OuterRef("pk"), unplugged_at__lte=grid.start_at)
    last_before = (
        Vehicle.objects.filter(depot=depot)
        .annotate(session=Subquery(earlier.order_by("-plugged_in_at").values("pk")[:1]))
        .values_list("session", flat=True)
    )
    touching = Q(plugged_in_at__lt=min(grid.end_at, now)) & ~Q(unplugged_at__lte=grid.start_at)
    rows = (
        ChargingSession.objects.filter(connector__charger__depot=depot, vehicle__isnull=False)
        .filter(touching | Q(pk__in=[pk for pk in last_before if pk is not None]))
        .select_related("vehicle__type", "vehicle__state", "connector__charger")
        .order_by("plugged_in_at")
    )
    chains: dict[int, tuple[Vehicle, list[ChargingSession]]] = {}
    for row in rows:
        if row.vehicle is not None:
            chains.setdefault(row.vehicle.pk, (row.vehicle, []))[1].append(row)
    return list(chains.values())


def _session(vehicle: Vehicle, row: ChargingSession, now: datetime) -> Session | None:
    """Return a stay as the counterfactual needs it; None for one of no length or without charging power."""
    charger = row.connector.charger
    end = row.unplugged_at or now
    max_charge_kw = charge_limit_kw(vehicle, charger)
    if end <= row.plugged_in_at or max_charge_kw <= 0:
        return None
    soc_in, soc_out = _soc_ends(vehicle, row)
    return Session(
        vehicle=vehicle.name,
        plugged_in_at=row.plugged_in_at,
        unplugged_at=end,
        soc_in=soc_in,
        soc_out=soc_out,
        capacity_kwh=vehicle.capacity_kwh,
        max_charge_kw=max_charge_kw,
        charge_efficiency=charger.charge_efficiency,
        charge_loss_kw=charger.charge_loss_kw,
    )


def _soc_ends(vehicle: Vehicle, row: ChargingSession) -> tuple[float, float]:
    """Return the SoC at plug-in and plug-out; where a charger does not know them, ends that the registers imply.

    Only their difference counts.
    """
    state = getattr(vehicle, "state", None)
    soc_now = state.soc if state else None
    soc_out = row.soc_out if row.unplugged_at else soc_now
    if row.soc_in is not None and soc_out is not None:
        return row.soc_in, soc_out
    charger = row.connector.charger
    gained_kwh = charger.stored_kwh(row.import_kwh, row.export_kwh)
    gained = float(np.clip(gained_kwh / vehicle.capacity_kwh, -1.0, 1.0))
    return max(-gained, 0.0), max(gained, 0.0)
