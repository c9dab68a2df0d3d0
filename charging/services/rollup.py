"""Close intervals: meters and chargers into the ledger, then the counterfactual beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.db.models import Min

from billing.models import Interval
from billing.selectors.ledger import Ledger, read_ledger
from billing.services.ledger import Measured, Revision, record, reopen_unmanaged, revise
from charging.models import ChargingSession
from charging.selectors.energy import vehicle_energy
from charging.selectors.late import late
from charging.services.baseline import update_baseline
from charging.services.doubts import causes_of, warn
from depot import audit
from depot.alerts.services import Cause
from depot.models import Depot, Meter, MeterReading, Quality
from depot.selectors.metering import site_energy
from depot.timegrid import TimeGrid, floor_to_step
from depot.words import later

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
PATIENCE = timedelta(hours=2)
AT_ONCE = 96 * 7
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Flows:
    """What flowed in each step, in kWh; NaN where a meter has not read, or not what can be. `wear_cost` in money.

    `guessed` are steps of the grid meter that its sender has estimated; `doubtful` those in which another meter
    or a charger could not be believed.
    """

    imported: Floats
    exported: Floats
    building: Floats
    solar: Floats
    charge: Floats
    discharge: Floats
    wear_cost: Floats
    guessed: Bools
    doubtful: Bools

    @property
    def vehicles(self) -> Floats:
        """Return charging less discharging."""
        return self.charge - self.discharge


def roll_up(depot: Depot, now: datetime) -> int:
    """Close every interval that is over and measured; return how many. Late meters are waited for, two hours.

    Then what is missing is worked out from the other meters, or estimated from the week before; unless the grid
    meter itself was read, the interval is marked as estimated, so that it never sets a demand peak. What a meter
    or charger cannot have counted is missing, too; who it was is an alert, and the others go on. Intervals that
    are closed already are measured again when something comes late that touches them.
    """
    kinds = frozenset(depot.meters.values_list("kind", flat=True))
    _measure_again(depot, kinds, now)
    grid = _open_span(depot, now)
    closed = 0
    if grid is not None:
        found = _rows(depot, grid, kinds)
        silent = found.silent | _unheard(depot, grid, now)
        ends = [at + grid.step for at in grid.times()]
        waiting = silent & np.array([end > now - PATIENCE for end in ends])
        closable = int(np.argmax(waiting)) if waiting.any() else grid.steps
        closed = record(depot, found.rows[:closable], now)
        warn(depot, found.causes, now)
    update_baseline(depot, now)
    return closed


def _measure_again(depot: Depot, kinds: frozenset[str], now: datetime) -> None:
    """Measure closed intervals again that something late touches; prices stay, the counterfactual follows.

    A late charger changes what unmanaged charging has left over for all that follows, too.
    """
    came = late(depot, AT_ONCE)
    changes = [revise(depot, _rows(depot, grid, kinds).rows, now) for grid in came.grids]
    changed = sum(changes, Revision())
    if came.chargers_since is not None and came.grids:
        reopen_unmanaged(depot, came.chargers_since)
    if changed.intervals:
        sentence = later(
            "{intervals} closed intervals were measured again, because data came late.",
            intervals=changed.intervals,
        )
        audit.record(depot, None, "ledger.revised", sentence, **changed.facts())


@dataclass(frozen=True, slots=True)
class _Measured:
    """The rows of a grid, in which steps a meter was silent, and who was not believed."""

    rows: list[Measured]
    silent: Bools
    causes: list[Cause]


def _rows(depot: Depot, grid: TimeGrid, kinds: frozenset[str]) -> _Measured:
    """Return what flowed in each step of a grid; what no meter has read is estimated."""
    flows, causes = measure(depot, grid, kinds)
    silent = _silent(flows, kinds)
    unbilled = _unbilled(flows, kinds, silent)
    flows = complete(flows, read_ledger(depot, grid.start_at - WEEK, grid.end_at - WEEK))
    rows = [_row(grid, flows, index, _quality(flows, unbilled, index)) for index in range(grid.steps)]
    return _Measured(rows, silent, causes)


def _open_span(depot: Depot, now: datetime) -> TimeGrid | None:
    """Return the steps since the last closed interval (or the first reading) that are over, a week at most."""
    newest = (
        Interval.objects.filter(depot=depot).order_by("-start_at").values_list("start_at", "minutes").first()
    )
    if newest is not None:
        start_at = newest[0] + timedelta(minutes=newest[1])
    else:
        first = MeterReading.objects.filter(meter__depot=depot).order_by("observed_at").first()
        if first is None:
            return None
        start_at = floor_to_step(first.observed_at, depot.step_minutes)
    steps = (floor_to_step(now, depot.step_minutes) - start_at) // timedelta(minutes=depot.step_minutes)
    return TimeGrid(start_at, depot.step_minutes, min(steps, AT_ONCE)) if steps > 0 else None


def measure(depot: Depot, grid: TimeGrid, kinds: frozenset[str]) -> tuple[Flows, list[Cause]]:
    """Return what the depot's meters (of these kinds) and chargers counted on `grid`, and who was not believed."""
    net, building, solar = (
        site_energy(depot, kind, grid) for kind in (Meter.Kind.GRID, Meter.Kind.BUILDING, Meter.Kind.SOLAR)
    )
    sunlight = solar.imported
    if Meter.Kind.SOLAR not in kinds and not depot.solar_arrays.exists():
        sunlight = np.zeros(grid.steps)
    vehicles = vehicle_energy(depot, grid)
    flows = Flows(
        imported=net.imported,
        exported=net.exported,
        building=building.imported,
        solar=sunlight,
        charge=vehicles.charge,
        discharge=vehicles.discharge,
        wear_cost=vehicles.wear_cost,
        guessed=net.estimated,
        doubtful=vehicles.estimated | building.estimated | solar.estimated,
    )
    meters = net.doubted | building.doubted | solar.doubted
    return flows, causes_of(meters.values(), vehicles.doubted)


def _unbilled(flows: Flows, kinds: frozenset[str], silent: Bools) -> Bools:
    """Tell for each step whether what the bill counts is not measured: it is estimated, and never makes a peak."""
    if Meter.Kind.GRID not in kinds:
        return silent | flows.doubtful
    return np.isnan(flows.imported) | np.isnan(flows.exported) | flows.guessed


def _quality(flows: Flows, unbilled: Bools, index: int) -> str:
    if unbilled[index]:
        return Quality.ESTIMATED
    return Quality.SUSPECT if flows.doubtful[index] else Quality.GOOD


def _silent(flows: Flows, kinds: frozenset[str]) -> Bools:
    """Tell for each step whether a meter that the depot has did not read."""
    series = {
        Meter.Kind.GRID: flows.imported + flows.exported,
        Meter.Kind.BUILDING: flows.building,
        Meter.Kind.SOLAR: flows.solar,
    }
    silent = np.zeros(flows.charge.size, dtype=bool)
    for kind, energy in series.items():
        if kind in kinds:
            silent |= np.isnan(energy)
    return silent


def _unheard(depot: Depot, grid: TimeGrid, now: datetime) -> Bools:
    """Tell for each step whether a charger in session has yet to speak of it; one long silent is not waited for."""
    open_sessions = ChargingSession.objects.filter(
        connector__charger__depot=depot, unplugged_at__isnull=True, last_sample_at__gt=now - PATIENCE
    )
    heard_to = open_sessions.aggregate(least=Min("last_sample_at"))["least"] or now
    return np.array([at + grid.step > heard_to for at in grid.times()])


def complete(flows: Flows, week_before: Ledger) -> Flows:
    """Fill what no meter read: import − export = building − solar + charge − discharge.

    One missing flow follows from the others. Where two are missing, sun and building are taken as a week
    before, or else as around the gap.
    """
    building, solar = flows.building, flows.solar
    net = flows.imported - flows.exported
    known_net = np.isfinite(net)
    solar = np.where(np.isnan(solar) & known_net, building + flows.vehicles - net, solar)
    solar = np.clip(_estimated(solar, week_before.kwh("solar_kwh")), 0.0, None)
    building = np.where(np.isnan(building) & known_net, net + solar - flows.vehicles, building)
    building = np.clip(_estimated(building, week_before.kwh("building_kwh")), 0.0, None)
    balance = building - solar + flows.vehicles
    return replace(
        flows,
        imported=np.where(known_net, flows.imported, np.clip(balance, 0.0, None)),
        exported=np.where(known_net, flows.exported, np.clip(-balance, 0.0, None)),
        building=building,
        solar=solar,
    )


def _estimated(energy: Floats, week_before: Floats) -> Floats:
    """Fill gaps by the same time a week before, else by a straight line over the gap, else by nothing."""
    filled = np.where(np.isnan(energy), week_before, energy)
    known = np.flatnonzero(np.isfinite(filled))
    if known.size == 0:
        return np.zeros_like(filled)
    return np.interp(np.arange(filled.size), known, filled[known])


def _row(grid: TimeGrid, flows: Flows, index: int, quality: str) -> Measured:
    def rounded(series: Floats) -> float:
        return round(max(float(series[index]), 0.0), 6)

    return Measured(
        start_at=grid.time_of(index),
        import_kwh=rounded(flows.imported),
        export_kwh=rounded(flows.exported),
        building_kwh=rounded(flows.building),
        solar_kwh=rounded(flows.solar),
        charge_kwh=rounded(flows.charge),
        discharge_kwh=rounded(flows.discharge),
        wear_cost=rounded(flows.wear_cost),
        quality=quality,
    )
