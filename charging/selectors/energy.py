"""What flowed through the chargers, from the registers of their sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
from django.db.models import OuterRef, Q, QuerySet, Subquery

from charging.models import ChargingSession, MeterSample
from charging.models.chargers import drawn_per_kwh
from depot.forecasting.registers import Counted, counted_energy, counted_kwh, read_register, touched
from depot.models import Depot, Quality
from depot.selectors.metering import boundaries_of
from depot.timegrid import TimeGrid
from fleet.selectors.wear import wear_costs

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Way = Literal["import", "export"]
RATING_SLACK = 1.25
SLACK_KW = 2.0
"""What a charger may show above its rating, and still be believed."""
OUT_WAY = tuple(
    f"connector__charger__{name}"
    for name in ("discharge_efficiency", "discharge_loss_kw", "max_discharge_kw")
)


def greatest_kw(max_charge_kw: float, max_discharge_kw: float) -> float:
    """Return the greatest power, in kW, that is believed of a charger with these ratings."""
    return max(max_charge_kw, max_discharge_kw) * RATING_SLACK + SLACK_KW


@dataclass(frozen=True, slots=True)
class Readings:
    """What a charger measured in one session: moments in seconds since 1970, registers in kWh, power in kW.

    `suspect` are those whose moment or value could not be as it was said.
    """

    at: Floats
    import_kwh: Floats
    export_kwh: Floats
    power_kw: Floats
    suspect: Bools
    greatest_kw: float

    def counted(self, way: Way, edges: Floats) -> Counted:
        """Return the energy one way between boundaries; see `counted_energy`."""
        register = read_register(self.at, getattr(self, f"{way}_kwh"), self.greatest_kw)
        return counted_energy(register, self._power(way), edges, self.greatest_kw)

    def total(self, way: Way) -> tuple[float, float]:
        """Return the energy one way in the whole session, and what the register last showed, in kWh."""
        totals = getattr(self, f"{way}_kwh")
        register = read_register(self.at, totals, self.greatest_kw)
        if not register.kept.size:
            return 0.0, 0.0
        energy = counted_kwh(register, self._power(way), self.greatest_kw)
        return float(energy.sum()), float(totals[register.kept[-1]])

    def _power(self, way: Way) -> Floats:
        return self.power_kw if way == "import" else -self.power_kw


@dataclass(frozen=True, slots=True)
class VehicleEnergy:
    """Energy into and out of all vehicles at the chargers' grid side, in kWh per step, and its wear cost.

    `estimated` are the steps in which a register could not be believed; `doubted` the chargers, by id, whose
    registers or clocks they are.
    """

    charge: Floats
    discharge: Floats
    wear_cost: Floats
    estimated: Bools
    doubted: frozenset[int]


def vehicle_energy(depot: Depot, grid: TimeGrid) -> VehicleEnergy:
    """Return what flowed through the depot's chargers. Wear is paid for what leaves the battery, with losses."""
    charge, discharge, wear = np.zeros(grid.steps), np.zeros(grid.steps), np.zeros(grid.steps)
    estimated = np.zeros(grid.steps, dtype=bool)
    doubted: set[int] = set()
    edges = boundaries_of(grid)
    costs = wear_costs(depot)
    sessions = sessions_on(depot, grid)
    known = {
        pk: (vehicle_id, charger_id, drawn_per_kwh(*out_way))
        for pk, vehicle_id, charger_id, *out_way in sessions.values_list(
            "pk", "vehicle_id", "connector__charger_id", *OUT_WAY
        )
    }
    for session_id, readings in readings_of(sessions, grid):
        vehicle_id, charger_id, drawn = known[session_id]
        into, out = readings.counted("import", edges), readings.counted("export", edges)
        charge += into.energy_kwh
        discharge += out.energy_kwh
        wear += out.energy_kwh * drawn * costs.get(vehicle_id or 0, 0.0)
        moments = readings.at[readings.suspect]
        doubt = into.estimated | out.estimated | touched(moments - 1, moments + 1, edges)
        estimated |= doubt
        if doubt.any():
            doubted.add(charger_id)
    return VehicleEnergy(charge, discharge, wear, estimated, frozenset(doubted))


@dataclass(frozen=True, slots=True)
class VehicleFlow:
    """What one vehicle took and gave, in kWh per step, and the wear cost of what it gave."""

    charge: Floats
    discharge: Floats
    wear_cost: Floats


def energy_by_vehicle(depot: Depot, grid: TimeGrid) -> dict[int | None, VehicleFlow]:
    """Return what flowed through the chargers by vehicle id; None stands for vehicles that nobody knows.

    Added up it is what `vehicle_energy` gives.
    """
    edges, costs = boundaries_of(grid), wear_costs(depot)
    sessions = sessions_on(depot, grid)
    rows = sessions.values_list("pk", "vehicle_id", *OUT_WAY)
    known = {pk: (vehicle_id, drawn_per_kwh(*out_way)) for pk, vehicle_id, *out_way in rows}
    found: dict[int | None, VehicleFlow] = {}
    for session_id, readings in readings_of(sessions, grid):
        vehicle_id, drawn = known[session_id]
        flow = found.get(vehicle_id)
        if flow is None:
            flow = found[vehicle_id] = VehicleFlow(*(np.zeros(grid.steps) for _ in range(3)))
        out = readings.counted("export", edges).energy_kwh
        flow.charge[:] += readings.counted("import", edges).energy_kwh
        flow.discharge[:] += out
        flow.wear_cost[:] += out * drawn * costs.get(vehicle_id or 0, 0.0)
    return found


def sessions_on(depot: Depot, grid: TimeGrid) -> QuerySet[ChargingSession]:
    """Return the depot's sessions that touch the grid, or whose chargers have measured on it after their end."""
    over = Q(unplugged_at__lt=grid.start_at)
    silent = Q(last_sample_at__isnull=True) | Q(last_sample_at__lt=grid.start_at)
    return ChargingSession.objects.filter(
        ~(over & silent), connector__charger__depot=depot, plugged_in_at__lt=grid.end_at
    )


def readings_of(sessions: QuerySet[ChargingSession], grid: TimeGrid) -> Iterator[tuple[int, Readings]]:
    """Yield each session with its readings on the grid.

    The last reading before the grid belongs to them: what was counted since then flowed evenly.
    """
    earlier = MeterSample.objects.filter(session=OuterRef("pk"), sampled_at__lt=grid.start_at)
    found = sessions.annotate(before=Subquery(earlier.order_by("-sampled_at").values("pk")[:1])).values_list(
        "pk", "before", "connector__charger__max_charge_kw", "connector__charger__max_discharge_kw"
    )
    limits, before = {}, []
    for pk, sample_id, charge_kw, discharge_kw in found:
        limits[pk] = greatest_kw(charge_kw, discharge_kw)
        before += [] if sample_id is None else [sample_id]
    margin = timedelta(minutes=grid.step_minutes * 2)
    rows = MeterSample.objects.filter(session__in=list(limits)).filter(
        Q(sampled_at__range=(grid.start_at, grid.end_at + margin)) | Q(pk__in=before)
    )
    yield from group(rows, limits)


def group(samples: QuerySet[MeterSample], limits: dict[int, float]) -> Iterator[tuple[int, Readings]]:
    """Yield the readings of each session; `limits` tells by session id what its charger can be believed."""
    rows = samples.order_by("session_id", "sampled_at").values_list(
        "session_id", "sampled_at", "import_kwh_total", "export_kwh_total", "power_kw", "quality"
    )
    values: dict[int, list[tuple[float, float, float, float, bool]]] = {}
    for session_id, at, import_total, export_total, power_kw, quality in rows:
        row = (at.timestamp(), import_total, export_total, power_kw, quality == Quality.SUSPECT)
        values.setdefault(session_id, []).append(row)
    for session_id, readings in values.items():
        at, imported, exported, power, suspect = np.array(readings, dtype=float).T
        yield session_id, Readings(at, imported, exported, power, suspect > 0, limits[session_id])
