"""Vehicles and stationary batteries: powers, energy, targets, and what wear, standing full and taper do to them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pulp

from charging.planner.case import Charger, Storage, Vehicle
from charging.planner.duties import Target
from charging.planner.reference.model import Model, StoreColumns, switch_of, variable
from charging.planner.reference.orders import add_orders, ordered_powers, taken_kw
from charging.planner.values import Standing, TaperPoint, ThroughputPrice, WearBand


@dataclass(frozen=True, slots=True)
class _Store:
    """A vehicle or battery with the limits that apply to it."""

    name: str
    holder: Vehicle | Storage
    node: str | None
    phase: int | None
    power_kw: list[tuple[float, float]]
    plugged: list[bool]
    efficiency: tuple[float, float]
    floor_soc: float
    use_kwh: list[float]
    least_kw: tuple[float, float]
    losses_kw: tuple[float, float]


def add_vehicle(model: Model, number: int, vehicle: Vehicle) -> None:
    """Add a vehicle at its charger."""
    charger = next(item for item in model.case.chargers if item.id == vehicle.charger)
    charge, discharge = charger.max_charge_kw, charger.max_discharge_kw if vehicle.v2g else 0.0
    if vehicle.max_charge_kw is not None:
        charge = min(charge, vehicle.max_charge_kw)
    if vehicle.max_discharge_kw is not None:
        discharge = min(discharge, vehicle.max_discharge_kw)
    use = [0.0] * model.case.steps
    plugged = [True] * model.case.steps
    for trip in vehicle.away:
        for step in range(trip.from_step, trip.to_step):
            use[step] = trip.energy_kwh / (trip.to_step - trip.from_step)
            plugged[step] = False
    for window in vehicle.unplugged:
        plugged[window.from_step : window.to_step] = [False] * (window.to_step - window.from_step)
    if vehicle.taper:
        charge = min(charge, vehicle.taper[0].max_charge_kw)
    at_first = min(charge, taken_kw(vehicle, vehicle.initial_soc * vehicle.capacity_kwh))
    least = least_powers(charger, (charger.min_charge_kw, charger.min_discharge_kw))
    store = _Store(
        name=f"v{number}",
        holder=vehicle,
        node=charger.node,
        phase=charger.phase,
        power_kw=[
            (most if most >= least[0] else 0.0, out if out >= least[1] else 0.0)
            for most, out in ordered_powers(
                vehicle,
                [
                    (charge if step else at_first, discharge) if here else (0.0, 0.0)
                    for step, here in enumerate(plugged)
                ],
            )
        ],
        plugged=plugged,
        efficiency=(charger.charge_efficiency, charger.discharge_efficiency),
        floor_soc=max(vehicle.min_soc, vehicle.v2g_min_soc),
        use_kwh=use,
        least_kw=least,
        losses_kw=(charger.charge_loss_kw, charger.discharge_loss_kw),
    )
    columns = _add_store(model, store, vehicle.targets)
    _add_taper(model, store, columns, vehicle.taper)
    add_orders(model, number, vehicle, columns, use)
    for step, powers in enumerate(zip(columns.charge, columns.discharge, strict=True)):
        model.charger_use.setdefault(f"{charger.id} {step}", []).append(powers)
    if vehicle.wear_bands:
        _add_banded_wear(model, store, columns, vehicle.wear_bands)
    else:
        _add_flat_wear(model, columns, vehicle.wear_cost_per_kwh)
    _add_throughput(model, store, columns, vehicle.throughput)
    if vehicle.standing is not None:
        _add_standing(model, store, columns, vehicle.standing)


def add_battery(model: Model, number: int, battery: Storage) -> None:
    """Add a stationary battery."""
    steps = model.case.steps
    store = _Store(
        name=f"s{number}",
        holder=battery,
        node=battery.node,
        phase=None,
        power_kw=[(battery.max_charge_kw, battery.max_discharge_kw)] * steps,
        plugged=[True] * steps,
        efficiency=(battery.charge_efficiency, battery.discharge_efficiency),
        floor_soc=battery.min_soc,
        use_kwh=[0.0] * steps,
        least_kw=least_powers(battery, (0.0, 0.0)),
        losses_kw=(battery.charge_loss_kw, battery.discharge_loss_kw),
    )
    columns = _add_store(model, store, (Target(steps, battery.final_soc, "must"),))
    _add_flat_wear(model, columns, battery.wear_cost_per_kwh)


def least_powers(station: Charger | Storage, least_kw: tuple[float, float]) -> tuple[float, float]:
    """Return the least powers: charging has to store something, discharging to give no less than is lost."""
    stores_nothing = station.charge_loss_kw / station.charge_efficiency
    return max(least_kw[0], stores_nothing), max(least_kw[1], station.discharge_loss_kw)


def _add_store(model: Model, store: _Store, targets: tuple[Target, ...]) -> StoreColumns:
    """Add powers, switches, the energy balance and the targets of one store."""
    case, holder = model.case, store.holder
    capacity, hours = holder.capacity_kwh, case.hours
    low, high, floor = holder.min_soc * capacity, holder.max_soc * capacity, store.floor_soc * capacity
    reach = capacity + holder.initial_soc * capacity + sum(store.use_kwh)
    columns = StoreColumns(
        limits_kw=store.power_kw,
        plugged=store.plugged,
        efficiency=store.efficiency,
        capacity_kwh=capacity,
        min_kwh=low,
        max_kwh=high,
        floor_kwh=floor,
        charge=[],
        discharge=[],
        energy=[holder.initial_soc * capacity],
        losses_kw=store.losses_kw,
    )
    for step, (most_charge, most_discharge) in enumerate(store.power_kw):
        label = f"{store.name}_{step}"
        charge, discharge = variable(f"c_{label}", most_charge), variable(f"d_{label}", most_discharge)
        after = variable(f"e_{label}", None, None)
        charging: Any = 0.0
        discharging: Any = 0.0
        if model.switches or any(store.losses_kw):
            charging, discharging = switch_of(model, f"cs_{label}"), switch_of(model, f"ds_{label}")
        lost = store.losses_kw[0] * charging, store.losses_kw[1] * discharging
        gained = charge * store.efficiency[0] - lost[0] - discharge * (1.0 / store.efficiency[1]) - lost[1]
        model.add(after == columns.energy[-1] + hours * gained - store.use_kwh[step])
        if model.switches or any(store.losses_kw):
            model.add(charge <= most_charge * charging)
            model.add(discharge <= most_discharge * discharging)
        if model.switches:
            model.add(charging + discharging <= 1)
            model.add(charge >= store.least_kw[0] * charging)
            model.add(discharge >= store.least_kw[1] * discharging)
            model.add(after <= high + reach * (1 - charging))
            model.add(after >= floor - reach * (1 - discharging))
        else:
            model.add(after <= max(high, holder.initial_soc * capacity))
        deficit = variable(f"q_{label}")
        model.add(after + deficit >= low)
        model.deficits.append(hours * deficit)
        model.draw(store.node, store.phase, step, charge - discharge)
        columns.charge.append(charge)
        columns.discharge.append(discharge)
        columns.energy.append(after)
        columns.lost_kw.append(lost)
    _add_targets(model, store, columns, targets)
    model.stores.append(columns)
    return columns


def _add_targets(model: Model, store: _Store, columns: StoreColumns, targets: tuple[Target, ...]) -> None:
    for number, target in enumerate(targets):
        missing = variable(f"m_{store.name}_{number}")
        model.add(columns.energy[target.boundary] + missing >= target.soc * columns.capacity_kwh)
        if target.tier == "must":
            model.must_missing.append(missing)
        else:
            model.penalty.append(target.price_per_kwh * missing)


def _leaving(model: Model, columns: StoreColumns, step: int) -> Any:
    """Return the kWh that leave the battery through the charger in a step."""
    leaving = columns.discharge[step] * (1.0 / columns.efficiency[1]) + columns.lost_kw[step][1]
    return model.case.hours * leaving


def _add_flat_wear(model: Model, columns: StoreColumns, price_per_kwh: float) -> None:
    model.cost += [price_per_kwh * _leaving(model, columns, step) for step in range(model.case.steps)]


def _add_banded_wear(model: Model, store: _Store, columns: StoreColumns, bands: tuple[WearBand, ...]) -> None:
    """Price what leaves the battery by the band of SoC that it leaves from.

    The worth of an energy is what its bands cost when filled from below: worth(e) = sum of price x kWh in the band.
    Discharging from one energy to a lower one costs the difference of their worths; charging and trips cost nothing.
    """
    edges = [0.0, *(band.below_soc * columns.capacity_kwh for band in bands)]
    widths = [high - low for low, high in pairwise(edges)]
    most = max(band.cost_per_kwh for band in bands) * (columns.capacity_kwh + sum(store.use_kwh))
    worths = []
    for boundary, energy in enumerate(columns.energy):
        label = f"{store.name}_{boundary}"
        # A trip can leave less than nothing; that lies in the lowest band too.
        fills = [variable(f"z_{label}_{k}", width, None if k == 0 else 0.0) for k, width in enumerate(widths)]
        model.add(pulp.lpSum(fills) == energy)
        for k, (lower, upper) in enumerate(pairwise(fills)):
            lower_full = switch_of(model, f"zs_{label}_{k}")
            model.add(upper <= widths[k + 1] * lower_full)
            emptiest = -sum(store.use_kwh) if k == 0 else 0.0
            model.add(lower >= widths[k] - (widths[k] - emptiest) * (1 - lower_full))
        worths.append(pulp.lpSum(band.cost_per_kwh * fill for band, fill in zip(bands, fills, strict=True)))
    for step, (before, after) in enumerate(pairwise(worths)):
        limit = store.power_kw[step][1]
        if limit > 0.0:
            price = variable(f"w_{store.name}_{step}")
            discharging = switch_of(model, f"ws_{store.name}_{step}")
            model.add(columns.discharge[step] <= limit * discharging)
            model.add(price >= before - after - most * (1 - discharging))
            model.cost.append(price)


def _add_throughput(
    model: Model, store: _Store, columns: StoreColumns, prices: tuple[ThroughputPrice, ...]
) -> None:
    """Price all that leaves the battery over the horizon, in blocks whose price rises."""
    if not prices:
        return
    start, blocks = 0.0, []
    for number, item in enumerate(prices):
        end = None if item.up_to_kwh == float("inf") else item.up_to_kwh - start
        blocks.append(variable(f"t_{store.name}_{number}", end))
        model.cost.append(item.price_per_kwh * blocks[-1])
        start = item.up_to_kwh
    steps = range(model.case.steps)
    model.add(pulp.lpSum(blocks) >= pulp.lpSum(_leaving(model, columns, step) for step in steps))


def _add_standing(model: Model, store: _Store, columns: StoreColumns, standing: Standing) -> None:
    """Price each kWh above a SoC at the end of every step spent at the charger."""
    line = standing.above_soc * columns.capacity_kwh
    for step, here in enumerate(store.plugged):
        if here:
            above = variable(f"h_{store.name}_{step}")
            model.add(above >= columns.energy[step + 1] - line)
            model.cost.append(model.case.hours * standing.cost_per_kwh_h * above)


def _add_taper(model: Model, store: _Store, columns: StoreColumns, points: tuple[TaperPoint, ...]) -> None:
    """Hold each charge power below what the vehicle takes."""
    if points:
        reach = columns.capacity_kwh + sum(store.use_kwh)
        for step in range(model.case.steps):
            begins = columns.energy[step], columns.capacity_kwh, reach
            taken = hold_taper(model, f"{store.name}_{step}", columns.charge[step], begins, points)
            columns.taken.append(taken)


def hold_taper(
    model: Model,
    label: str,
    charge: Any,
    begins: tuple[Any, float, float],
    points: tuple[TaperPoint, ...],
) -> Any:
    """Hold a charge power below `taken`, a power below the vehicle's curve at the SoC with which the step begins.

    `begins` are the energy then, the capacity, and how far the energy can be from any other, in kWh. Return `taken`.
    """
    energy, capacity, reach = begins
    last = points[-1]
    taken = variable(f"tk_{label}", points[0].max_charge_kw)
    model.add(charge <= taken)
    beyond = switch_of(model, f"ts_{label}")
    model.add(energy >= last.soc * capacity - reach * (1 - beyond))
    model.add(taken <= last.max_charge_kw + points[0].max_charge_kw * (1 - beyond))
    for low, high in pairwise(points):
        slope = (high.max_charge_kw - low.max_charge_kw) / ((high.soc - low.soc) * capacity)
        line = low.max_charge_kw + slope * (energy - low.soc * capacity)
        # Past the last point the line goes on falling; the curve does not.
        model.add(taken <= line + (points[0].max_charge_kw + abs(slope) * reach) * beyond)
    return taken
