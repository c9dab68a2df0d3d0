"""Everything at a depot that charges or discharges, as rows of arrays: vehicles, batteries, flexible loads.

A flexible load is a battery that starts empty, is there in its window only, and has to be full at its end.

D devices, T steps. Energies are kWh inside the battery, powers kW AC at the charger's grid side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from charging.planner.case import BoolArray, Charger, DepotCase, FloatArray, IntArray, Storage, Vehicle
from charging.planner.conversion import Conversion
from charging.planner.demand import DemandCharge
from charging.planner.duties import Target
from charging.planner.overrides import Alone, limit_powers, ordered_kwh
from charging.planner.taper import Tapers, fullest_after, power_at, tapers_of
from charging.planner.values import FlexibleLoad
from charging.planner.wear_bands import Bands, bands_of


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What holds for charging, or for discharging: least power (D,), most power (D, T), and loss with power (D,)."""

    least_kw: FloatArray
    most_kw: FloatArray
    loss_kw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Devices:
    """Vehicles, batteries and flexible loads of a case; shapes are (D,), (D, T) or, per boundary, (D, T + 1).

    The power limits hold what a person ordered, and the charge limits the highest power of a taper (in the first step
    that at the energy it begins with). A power is 0 or at least the least one; limits below that are 0. With a loss,
    the least charge stores something, and the least discharge gives no less than is lost. `ordered_kwh` is the energy
    that orders to charge now ask for, -inf where there is none. `wear_cost_per_kwh` is the cheapest of its `bands`
    where a vehicle has several.
    """

    ids: tuple[str, ...]
    vehicle_count: int
    battery_count: int
    capacity_kwh: FloatArray
    initial_kwh: FloatArray
    floor_kwh: FloatArray
    ceiling_kwh: FloatArray
    discharge_floor_kwh: FloatArray
    charge_efficiency: FloatArray
    discharge_efficiency: FloatArray
    wear_cost_per_kwh: FloatArray
    charger_index: IntArray
    node_index: IntArray
    use_kwh: FloatArray
    plugged: BoolArray
    charge_limit_kw: FloatArray
    discharge_limit_kw: FloatArray
    targets: tuple[tuple[Target, ...], ...]
    ordered_kwh: FloatArray
    tapers: Tapers
    bands: tuple[Bands, ...]
    least_charge_kw: FloatArray
    least_discharge_kw: FloatArray
    charge_loss_kw: FloatArray
    discharge_loss_kw: FloatArray

    def conversion(self, hours: float) -> Conversion:
        """Return how powers become energy over a step of some hours."""
        return Conversion(
            hours,
            self.charge_efficiency,
            self.discharge_efficiency,
            self.charge_loss_kw,
            self.discharge_loss_kw,
        )

    def sides(self) -> tuple[Side, Side]:
        """Return what holds for charging and for discharging."""
        return (
            Side(self.least_charge_kw, self.charge_limit_kw, self.charge_loss_kw),
            Side(self.least_discharge_kw, self.discharge_limit_kw, self.discharge_loss_kw),
        )

    def lossy(self) -> BoolArray:
        """Tell which devices have a loss, shape (D,)."""
        return (self.charge_loss_kw > 0.0) | (self.discharge_loss_kw > 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """The energies a device can hold at each boundary when it is alone at the depot, shape (D, T + 1).

    `fullest_kwh` charges at full power from now on: no plan holds more at any boundary. `idle_kwh` never
    charges. Wherever even the fullest path is under the minimum, the limit is the fullest path itself, so that a start
    outside the limits stays solvable and is mended as fast as the charger can.
    """

    fullest_kwh: FloatArray
    idle_kwh: FloatArray
    lower_kwh: FloatArray
    upper_kwh: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a device will probably do: steps (D, T) of charge and of discharge, energies (D, T + 1; NaN: not known)."""

    charge: BoolArray
    discharge: BoolArray
    energy_kwh: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A case with what is derived from it once, and where to begin if that is known.

    `ready_kwh` (D, T + 1) is what a bad day's trips want a vehicle to leave with, -inf elsewhere. With `bad`, its case
    on a bad day, a plan must leave a way through that day (both bad_day.py).
    """

    case: DepotCase
    devices: Devices
    envelope: Envelope
    start: Start | None = None
    ready_kwh: FloatArray | None = None
    bad: "Problem | None" = None


def problem_of(case: DepotCase) -> Problem:
    """Return the case with its devices and their envelope."""
    devices = devices_of(case)
    return Problem(case, devices, envelope_of(devices, case.hours))


def devices_of(case: DepotCase) -> Devices:
    """Return the case's vehicles and stationary batteries as arrays."""
    charger_rows = {charger.id: row for row, charger in enumerate(case.chargers)}
    node_rows = {node.id: row for row, node in enumerate(case.site.nodes)}
    batteries = (*case.storage, *(_battery_of(load) for load in case.flexible_loads))
    holders: tuple[Vehicle | Storage, ...] = (*case.vehicles, *batteries)
    stations: tuple[Charger | Storage, ...] = (
        *(case.chargers[charger_rows[item.charger]] for item in case.vehicles),
        *batteries,
    )
    vehicle_count = len(case.vehicles)
    use, plugged = _trips(case, len(holders))
    capacity = _floats(item.capacity_kwh for item in holders)
    low = _floats(item.min_soc for item in holders)
    v2g_low = _floats([item.v2g_min_soc for item in case.vehicles] + [0.0] * len(batteries))
    initial = capacity * _floats(item.initial_soc for item in holders)
    charge_loss = _floats(item.charge_loss_kw for item in stations)
    discharge_loss = _floats(item.discharge_loss_kw for item in stations)
    charge_efficiency = _floats(item.charge_efficiency for item in stations)
    least_charge = _floats(getattr(item, "min_charge_kw", 0.0) for item in stations)
    least_charge = np.maximum(least_charge, charge_loss / charge_efficiency)
    least_discharge = _floats(getattr(item, "min_discharge_kw", 0.0) for item in stations)
    least_discharge = np.maximum(least_discharge, discharge_loss)
    tapers = tapers_of(case.vehicles)
    charge_limit, discharge_limit = _power_limits(case, stations, plugged)
    np.minimum(charge_limit, tapers.most_kw(np.zeros(len(holders)))[:, None], out=charge_limit)
    charge_limit[:, 0] = np.minimum(charge_limit[:, 0], tapers.most_kw(initial))
    for limit, least in ((charge_limit, least_charge), (discharge_limit, least_discharge)):
        limit[limit < least[:, None]] = 0.0
    ceiling = capacity * _floats(item.max_soc for item in holders)
    discharge_floor = capacity * np.maximum(low, v2g_low)
    wear = _floats(item.wear_cost_per_kwh for item in holders)
    bands = bands_of(case.vehicles, discharge_floor, np.maximum(ceiling, initial), wear)
    return Devices(
        ids=tuple(item.id for item in holders),
        vehicle_count=vehicle_count,
        battery_count=len(case.storage),
        capacity_kwh=capacity,
        initial_kwh=initial,
        floor_kwh=capacity * low,
        ceiling_kwh=ceiling,
        discharge_floor_kwh=discharge_floor,
        charge_efficiency=charge_efficiency,
        discharge_efficiency=_floats(item.discharge_efficiency for item in stations),
        wear_cost_per_kwh=wear,
        charger_index=_rows([charger_rows[item.charger] for item in case.vehicles] + [-1] * len(batteries)),
        node_index=_rows(-1 if item.node is None else node_rows[item.node] for item in stations),
        use_kwh=use,
        plugged=plugged,
        charge_limit_kw=charge_limit,
        discharge_limit_kw=discharge_limit,
        targets=tuple(item.targets for item in case.vehicles)
        + tuple((Target(case.steps, item.final_soc, "must"),) for item in case.storage)
        + tuple((Target(item.to_step, item.energy_kwh and 1.0, "must"),) for item in case.flexible_loads),
        ordered_kwh=_ordered(case, charge_limit, use, plugged),
        tapers=tapers,
        bands=bands,
        least_charge_kw=least_charge,
        least_discharge_kw=least_discharge,
        charge_loss_kw=charge_loss,
        discharge_loss_kw=discharge_loss,
    )


def _power_limits(
    case: DepotCase, stations: Sequence[Charger | Storage], plugged: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the most charge and discharge of each device by step: its own, its station's, its orders'."""
    charge = _floats(item.max_charge_kw for item in stations)
    discharge = _floats(item.max_discharge_kw for item in stations)
    for row, vehicle in enumerate(case.vehicles):
        charge[row] = min(charge[row], _or_infinity(vehicle.max_charge_kw))
        discharge[row] = min(discharge[row], _or_infinity(vehicle.max_discharge_kw)) if vehicle.v2g else 0.0
    charge_limit, discharge_limit = charge[:, None] * plugged, discharge[:, None] * plugged
    for row, vehicle in enumerate(case.vehicles):
        limit_powers(vehicle.overrides, charge_limit[row], discharge_limit[row])
    return charge_limit, discharge_limit


def _battery_of(load: FlexibleLoad) -> Storage:
    """Return the battery that takes what a flexible load needs and never gives it back."""
    return Storage(
        id=load.id,
        node=load.node,
        capacity_kwh=load.energy_kwh or 1.0,
        initial_soc=0.0,
        min_soc=0.0,
        max_soc=1.0 if load.energy_kwh else 0.0,
        max_charge_kw=load.max_kw,
        max_discharge_kw=0.0,
        charge_efficiency=1.0,
        discharge_efficiency=1.0,
    )


def _ordered(
    case: DepotCase, charge_limit_kw: FloatArray, use_kwh: FloatArray, plugged: BoolArray
) -> FloatArray:
    """Return the energy that orders to charge now ask for at each boundary, shape (D, T + 1)."""
    ordered = np.full((len(use_kwh), case.steps + 1), -np.inf)
    chargers = {charger.id: charger for charger in case.chargers}
    for row, vehicle in enumerate(case.vehicles):
        charger = chargers[vehicle.charger]
        per_kw, lost = case.hours * charger.charge_efficiency, case.hours * charger.charge_loss_kw
        start = vehicle.initial_soc * vehicle.capacity_kwh
        taken = partial(power_at, vehicle)
        alone = Alone(
            vehicle.capacity_kwh, start, charge_limit_kw[row], per_kw, lost, taken, use_kwh[row], plugged[row]
        )
        ordered[row] = ordered_kwh(vehicle.overrides, alone)
    return ordered


def _floats(values: Iterable[float]) -> FloatArray:
    return np.array(list(values), dtype=np.float64)


def _rows(values: Iterable[int]) -> IntArray:
    return np.array(list(values), dtype=np.int64)


def _or_infinity(limit_kw: float | None) -> float:
    return np.inf if limit_kw is None else limit_kw


def _trips(case: DepotCase, count: int) -> tuple[FloatArray, BoolArray]:
    """Return the energy used per step and whether a device is at the depot, both (D, T)."""
    use, plugged = np.zeros((count, case.steps)), np.ones((count, case.steps), dtype=bool)
    for row, vehicle in enumerate(case.vehicles):
        for trip in vehicle.away:
            use[row, trip.from_step : trip.to_step] = trip.energy_kwh / (trip.to_step - trip.from_step)
            plugged[row, trip.from_step : trip.to_step] = False
        for window in vehicle.unplugged:
            plugged[row, window.from_step : window.to_step] = False
    for row, load in enumerate(case.flexible_loads, start=count - len(case.flexible_loads)):
        plugged[row, : load.from_step] = plugged[row, load.to_step :] = False
    return use, plugged


def envelope_of(devices: Devices, hours: float) -> Envelope:
    """Return what each device can hold at each boundary when no other device and no node limits it."""
    count, steps = devices.use_kwh.shape
    idle = np.empty((count, steps + 1))
    idle[:, 0] = devices.initial_kwh
    idle[:, 1:] = devices.initial_kwh[:, None] - np.cumsum(devices.use_kwh, axis=1)
    fullest = np.empty((count, steps + 1))
    fullest[:, 0] = devices.initial_kwh
    per_kw = devices.charge_efficiency * hours
    most = devices.conversion(hours).stored_kwh(devices.charge_limit_kw)
    loss = hours * devices.charge_loss_kw
    for step in range(steps):
        before = fullest[:, step]
        after = fullest_after(before, idle[:, step], most[:, step], (per_kw, loss), devices.tapers)
        fullest[:, step + 1] = np.clip(after, before, np.maximum(before, devices.ceiling_kwh))
        fullest[:, step + 1] -= devices.use_kwh[:, step]
    return Envelope(
        fullest_kwh=fullest,
        idle_kwh=idle,
        lower_kwh=np.minimum(devices.floor_kwh[:, None], fullest),
        upper_kwh=np.maximum(devices.ceiling_kwh[:, None], idle),
    )


def energy_per_kw(devices: Devices, hours: float, charging: bool) -> FloatArray:
    """Return what one kW over one step adds to (or, discharging, takes from) the battery in kWh, shape (D, T).

    With a loss it is that of a kW at full power, where the loss weighs least.
    """
    if charging:
        per_kw = hours * devices.charge_efficiency
        limit, loss = devices.charge_limit_kw, devices.charge_loss_kw
    else:
        per_kw = -hours / devices.discharge_efficiency
        limit, loss = devices.discharge_limit_kw, devices.discharge_loss_kw
    if not loss.any():
        return np.broadcast_to(per_kw[:, None], limit.shape)
    share = np.divide(loss[:, None], limit, out=np.zeros_like(limit), where=limit > 0.0)
    full: FloatArray = per_kw[:, None] - hours * share
    return full


def required_kwh(devices: Devices, envelope: Envelope) -> FloatArray:
    """Return the least energy at each boundary: minimum, orders and "must" targets, as far as the device can."""
    required = np.maximum(envelope.lower_kwh, devices.ordered_kwh)
    for device, targets in enumerate(devices.targets):
        for target in targets:
            if target.tier == "must":
                wanted = target.soc * devices.capacity_kwh[device]
                reachable = min(wanted, envelope.fullest_kwh[device, target.boundary])
                required[device, target.boundary] = max(required[device, target.boundary], reachable)
    return required


def node_members(case: DepotCase, devices: Devices) -> BoolArray:
    """Return which devices hang below which node, directly or through other nodes, shape (nodes, D)."""
    rows = {node.id: row for row, node in enumerate(case.site.nodes)}
    # One more column for the grid connection, which stands at -1: nothing is above it.
    above = np.zeros((len(rows), len(rows) + 1), dtype=bool)
    for row, node in enumerate(case.site.nodes):
        name: str | None = node.id
        while name is not None:
            above[rows[name], row] = True
            name = case.site.nodes[rows[name]].parent
    return above[:, devices.node_index]


def metering_groups(case: DepotCase, charge: DemandCharge) -> tuple[IntArray, IntArray]:
    """Return each step's metering interval (-1 outside the window) and each interval's billing period.

    Intervals follow the clock of the case's offset; the first one may have begun before the case does. An
    interval counts with the mean of those of its steps that lie in the window.
    """
    start_minute = case.start.hour * 60 + case.start.minute
    clock = (start_minute + case.step_minutes * np.arange(case.steps)) // charge.metering_minutes
    groups = np.full(case.steps, -1, dtype=np.int64)
    if not charge.window.any():
        return groups, np.empty(0, dtype=np.int64)
    keys = np.stack([charge.period, clock])[:, charge.window]
    intervals, groups[charge.window] = np.unique(keys, axis=1, return_inverse=True)
    return groups, intervals[0]
