"""The planner's linear programme, built as arrays (the mathematics is in docs/algorithms/planning.md).

Columns: import, export and solar per step; one peak per demand charge and billing period; charge and discharge
per device and step at the depot; the energy of a device at its *checkpoints* only (pull-out, pull-in, target, end).
State rows between checkpoints hold the energy balance; the SoC limits in between are added by `solve` as rows where
an answer crosses them, because they bind at few moments.

The strict programme takes all limits as hard. The relaxed one, for cases where that is impossible, counts in kWh
what is beyond the grid connection's limits, missing at "must" targets, missing at them on the bad day, missing to what
such a day wants vehicles to leave with, to the minimum SoC, to the backup, and to what a person ordered.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from charging.planner.arrays import LinearProgramme, ProgrammeBuilder
from charging.planner.bad_day import add_bad_day
from charging.planner.band_columns import BandColumns, Surroundings, add_bands
from charging.planner.case import BoolArray, DepotCase, FloatArray, IntArray
from charging.planner.demand import DemandCharge
from charging.planner.devices import (
    Devices,
    Envelope,
    Problem,
    energy_per_kw,
    metering_groups,
)
from charging.planner.gates import Gates, Places, add_gates, add_losses, add_stays
from charging.planner.offers import Columns, add_offers, offer_points
from charging.planner.store_rows import (
    Powers,
    add_changes,
    add_energy,
    add_energy_balance,
    add_nodes,
    add_phases,
    add_shared_chargers,
)
from charging.planner.turning import turning_points


@dataclass(frozen=True, slots=True, eq=False)
class Formulation:
    """A programme with the places of its columns and rows; -1 in a map means that there is none.

    The maps of devices are those of gates.Places, and `deficit_at` (D, T + 1) what is missing to the minimum.
    `goals` are the cost vectors of the relaxed programme's levels, most important first, without money.
    """

    programme: LinearProgramme
    import_columns: IntArray
    export_columns: IntArray
    solar_columns: IntArray
    powers: Powers
    energy_at: IntArray
    kept_at: IntArray
    above_at: IntArray
    count_at: IntArray
    risen_at: IntArray
    way_at: IntArray
    way_count_at: IntArray
    deficit_at: IntArray
    balance_rows: IntArray
    goals: tuple[FloatArray, ...]
    bands: BandColumns

    @property
    def charge_at(self) -> IntArray:
        """Return the columns of charging (D, T)."""
        return self.powers.charge_at

    @property
    def discharge_at(self) -> IntArray:
        """Return the columns of discharging (D, T)."""
        return self.powers.discharge_at


@dataclass(frozen=True, slots=True, eq=False)
class _Site:
    """Columns of the site while the programme grows; the excess columns exist in the relaxed one."""

    imports: tuple[IntArray, ...]
    exports: tuple[IntArray, ...]
    solar: IntArray
    balance_rows: IntArray


def formulate(problem: Problem, gates: Gates, relaxed: bool, least_kwh: FloatArray) -> Formulation:
    """Return the linear programme of a case, strict or relaxed, with switches at the given gates.

    `least_kwh` (D, T + 1) is the energy that each device has to keep: `gates.lowest_kwh` or more.
    """
    case, devices, envelope = problem.case, problem.devices, problem.envelope
    builder = ProgrammeBuilder()
    site = _add_site(builder, case, relaxed)
    powers = _add_powers(builder, case, devices, envelope)
    for charging, sign in ((True, -1.0), (False, 1.0)):
        _, step, columns = powers.entries(charging)
        builder.put(site.balance_rows[step], columns, sign)
    peaks = _add_demand_charges(builder, case, site)
    add_nodes(builder, case, devices, powers)
    add_phases(builder, case, devices, powers)
    add_shared_chargers(builder, case, devices, powers)
    add_changes(builder, case, devices, powers)
    points = _checkpoints(case, devices, gates) | offer_points(problem)
    points[:, 0] = False
    energy_at = add_energy(builder, envelope, points, least_kwh)
    add_energy_balance(builder, case.hours, devices, envelope, powers, energy_at)
    deficit_at = _add_deficits(builder, envelope, least_kwh, relaxed)
    unsafe = add_bad_day(builder, problem, powers, relaxed).missing
    unprepared = _add_ready(builder, problem, energy_at, relaxed)
    unheeded = _add_orders(builder, devices, energy_at, relaxed)
    ways = _add_directions(builder, problem, site, gates.direction, powers, peaks)
    places = add_stays(builder, problem, _places(powers, energy_at), least_kwh)
    missing = _add_targets(builder, devices, envelope, places, relaxed)
    places = add_gates(builder, problem, places, gates, least_kwh)
    add_losses(builder, devices, powers, gates.loss)
    offered = Columns(site.imports, site.exports, powers, energy_at)
    bands = add_bands(
        builder, devices.bands, gates.bands, _surroundings(problem, powers, energy_at, least_kwh)
    )
    unready = add_offers(builder, problem, offered, least_kwh, relaxed)
    goals = (
        (np.concatenate([*site.imports[1:], *site.exports[1:], np.empty(0, dtype=np.int64)]), case.hours),
        (missing, 1.0),
        (unsafe, 1.0),
        (unprepared, 1.0),
        (deficit_at[deficit_at >= 0], case.hours),
        (unready, case.hours),
        (unheeded, case.hours),
    )
    return Formulation(
        programme=builder.programme(),
        import_columns=np.stack(site.imports),
        export_columns=np.stack(site.exports),
        solar_columns=site.solar,
        powers=powers,
        energy_at=energy_at,
        kept_at=places.kept_at,
        above_at=places.above_at,
        count_at=places.count_at,
        risen_at=places.risen_at,
        way_at=ways[0],
        way_count_at=ways[1],
        deficit_at=deficit_at,
        balance_rows=site.balance_rows,
        goals=tuple(_goal(builder, columns, weight) for columns, weight in goals if columns.size),
        bands=bands,
    )


def _places(powers: Powers, energy_at: IntArray) -> Places:
    """Return the places of powers and energies; what stays and gates add has none yet."""
    none = np.full_like(energy_at, -1)
    risen_at = np.full_like(powers.charge_at, -1)
    return Places(powers.charge_at, powers.discharge_at, energy_at, none, none, none, risen_at)


def _surroundings(
    problem: Problem, powers: Powers, energy_at: IntArray, least_kwh: FloatArray
) -> Surroundings:
    """Return what wear by bands looks at: discharge, and the energies between which each battery moves."""
    devices, envelope = problem.devices, problem.envelope
    return Surroundings(
        powers.discharge_at,
        powers.discharge_lost_at,
        energy_at,
        least_kwh,
        np.maximum(least_kwh, np.minimum(envelope.fullest_kwh, envelope.upper_kwh)),
        -energy_per_kw(devices, problem.case.hours, False),
        problem.case.hours,
        devices.plugged,
    )


def _goal(builder: ProgrammeBuilder, columns: IntArray, weight: float) -> FloatArray:
    cost = np.zeros(builder.columns)
    cost[columns] = weight
    return cost


def _add_site(builder: ProgrammeBuilder, case: DepotCase, relaxed: bool) -> _Site:
    """Add import, export, solar and the balance: import - export + solar - charge + discharge = load."""
    site, prices, steps = case.site, case.prices, case.steps
    import_cost, export_cost = case.hours * prices.import_per_kwh, -case.hours * prices.export_per_kwh
    imports = [builder.add_columns(steps, import_cost, 0.0, site.import_limit_kw)]
    exports = [builder.add_columns(steps, export_cost, 0.0, site.export_limit_kw)]
    if relaxed:
        excess_import, excess_export = unavoidable_excess(case)
        imports.append(builder.add_columns(steps, import_cost, 0.0, excess_import))
        exports.append(builder.add_columns(steps, export_cost, 0.0, excess_export))
    solar = builder.add_columns(steps, 0.0, 0.0 if site.solar_curtailable else site.solar_kw, site.solar_kw)
    rows = builder.add_rows(steps, site.building_load_kw, site.building_load_kw)
    for columns, sign in [(item, 1.0) for item in (*imports, solar)] + [(item, -1.0) for item in exports]:
        builder.put(rows, columns, sign)
    return _Site(tuple(imports), tuple(exports), solar, rows)


def unavoidable_excess(case: DepotCase) -> tuple[FloatArray, FloatArray]:
    """Return how far building and sun alone are beyond the import and the export limit, in kW per step.

    The devices may lessen this excess and never add to it.
    """
    site = case.site
    must_use = np.zeros(case.steps) if site.solar_curtailable else site.solar_kw
    over_import = site.building_load_kw - site.solar_kw - site.import_limit_kw
    over_export = must_use - site.building_load_kw - site.export_limit_kw
    return np.maximum(over_import, 0.0), np.maximum(over_export, 0.0)


def _add_powers(builder: ProgrammeBuilder, case: DepotCase, devices: Devices, envelope: Envelope) -> Powers:
    """Add charge and discharge columns where a device has power at all; wear is priced per kWh leaving it.

    Where it has a loss, what is lost beyond that of full power is from nothing to the whole loss.
    """
    charge_limit = devices.charge_limit_kw
    # What a device can hold at most bounds what may leave it above its floor; it saves switches later.
    spare_kwh = np.maximum(0.0, envelope.fullest_kwh[:, :-1] - devices.discharge_floor_kwh[:, None])
    conversion = devices.conversion(case.hours)
    discharge_limit = np.minimum(devices.discharge_limit_kw, conversion.discharge_for(spare_kwh))
    wear = -devices.wear_cost_per_kwh[:, None] * energy_per_kw(devices, case.hours, False)
    lost_wear = np.broadcast_to((case.hours * devices.wear_cost_per_kwh)[:, None], wear.shape)
    nothing = np.zeros_like(charge_limit)
    charge_loss = np.where(charge_limit > 0.0, devices.charge_loss_kw[:, None], 0.0)
    discharge_loss = np.where(discharge_limit > 0.0, devices.discharge_loss_kw[:, None], 0.0)
    places = []
    for limit, cost in (
        (charge_limit, nothing),
        (discharge_limit, wear),
        (charge_loss, nothing),
        (discharge_loss, lost_wear),
    ):
        used = limit > 0.0
        at = np.full(limit.shape, -1, dtype=np.int64)
        at[used] = builder.add_columns(int(used.sum()), cost[used], 0.0, limit[used])
        places.append(at)
    return Powers(*places)


def _add_demand_charges(builder: ProgrammeBuilder, case: DepotCase, site: _Site) -> IntArray:
    """Add one peak per billing period, at or above each metering interval's mean import and what is billed.

    Return the peak of each charge in each step (charges, T): -1 outside its window, and where an interval is longer
    than a step.
    """
    peak_at = np.full((len(case.demand_charges), case.steps), -1, dtype=np.int64)
    for number, charge in enumerate(case.demand_charges):
        peaks = _add_peaks(builder, charge)
        if charge.metering_minutes == case.step_minutes:
            peak_at[number, charge.window] = peaks[charge.period[charge.window]]
        groups, periods = metering_groups(case, charge)
        rows = builder.add_rows(len(periods), upper=0.0)
        builder.put(rows, peaks[periods], -1.0)
        steps = np.nonzero(groups >= 0)[0]
        share = 1.0 / np.bincount(groups[steps], minlength=len(periods))
        for columns in site.imports:
            builder.put(rows[groups[steps]], columns[steps], share[groups[steps]])
    return peak_at


def _add_peaks(builder: ProgrammeBuilder, charge: DemandCharge) -> IntArray:
    """Add a priced peak per billing period; tiers price the slices of it above what is billed, cheapest first."""
    billed = charge.billed_kw_so_far
    if not charge.tiers:
        builder.constant -= charge.price_per_kw * float(billed.sum())
        return builder.add_columns(len(billed), charge.price_per_kw, billed)
    peaks = builder.add_columns(len(billed), 0.0, billed)
    rows = builder.add_rows(len(billed), upper=billed)
    builder.put(rows, peaks, 1.0)
    edges = [*(tier.from_kw for tier in charge.tiers), np.inf]
    for tier, (low, high) in zip(charge.tiers, pairwise(edges), strict=True):
        width = np.maximum(0.0, high - np.maximum(low, billed))
        builder.put(rows, builder.add_columns(len(billed), tier.price_per_kw, 0.0, width), -1.0)
    return peaks


def _checkpoints(case: DepotCase, devices: Devices, gates: Gates) -> BoolArray:
    """Return the boundaries (D, T + 1) whose energy is a column of its own; the start never is."""
    points = np.zeros((len(devices.ids), case.steps + 1), dtype=bool)
    points[:, 1:] = gates.floor | gates.ceiling | gates.bands
    points[:, :-1] |= gates.tail | gates.bands
    points[:, 1:-1] |= devices.plugged[:, 1:] != devices.plugged[:, :-1]
    points[:, -1] = True
    turns = turning_points(case)
    points[:, turns] |= devices.plugged[:, turns]
    points |= devices.ordered_kwh > -np.inf
    for device, targets in enumerate(devices.targets):
        points[device, [target.boundary for target in targets]] = True
    points[:, 0] = False
    return points


def _add_targets(
    builder: ProgrammeBuilder, devices: Devices, envelope: Envelope, places: Places, relaxed: bool
) -> IntArray:
    """Add energy + missing >= wanted for "should" targets and, relaxed, for "must" ones; return the latter's missing.

    What no plan can reach is not asked for: wanted is at most the fullest path. Targets at the start are settled.
    A stretch that begins above a discharge floor higher than its target stays there, so that wanted is the floor
    then; with the switch as a fraction, this says more.
    """
    must_missing = []
    for device, targets in enumerate(devices.targets):
        for target in targets:
            if target.boundary == 0 or (target.tier == "must" and not relaxed):
                continue
            wanted = min(
                target.soc * devices.capacity_kwh[device], envelope.fullest_kwh[device, target.boundary]
            )
            missing = builder.add_columns(1, 0.0 if target.tier == "must" else target.price_per_kwh)
            row = builder.add_rows(1, lower=wanted)
            builder.put(row, places.energy_at[device, [target.boundary]], 1.0)
            builder.put(row, missing, 1.0)
            above = places.above_at[device, [target.boundary]]
            if above[0] >= 0:
                builder.put(row, above, min(0.0, wanted - devices.discharge_floor_kwh[device]))
            if target.tier == "must":
                must_missing.append(missing)
    return np.concatenate([np.empty(0, dtype=np.int64), *must_missing])


def _add_deficits(
    builder: ProgrammeBuilder, envelope: Envelope, least_kwh: FloatArray, relaxed: bool
) -> IntArray:
    """Add what is missing to the minimum at each boundary (D, T + 1) where the relaxed programme may go below it.

    The rows energy + deficit >= minimum are added where an answer breaks them.
    """
    deficit_at = np.full(least_kwh.shape, -1, dtype=np.int64)
    places = (least_kwh < envelope.lower_kwh) & relaxed
    places[:, 0] = False
    deficit_at[places] = builder.add_columns(int(places.sum()))
    return deficit_at


def _add_orders(builder: ProgrammeBuilder, devices: Devices, energy_at: IntArray, relaxed: bool) -> IntArray:
    """Add energy + missing >= ordered where a person ordered to charge now; return the columns of what is missing.

    The strict programme holds it in the least energy; the relaxed one makes the shortfall as small as it can be.
    """
    device, boundary = np.nonzero((devices.ordered_kwh > -np.inf) & relaxed)
    missing = builder.add_columns(len(device))
    rows = builder.add_rows(len(device), lower=devices.ordered_kwh[device, boundary])
    builder.put(rows, energy_at[device, boundary], 1.0)
    builder.put(rows, missing, 1.0)
    return missing


def _add_ready(builder: ProgrammeBuilder, problem: Problem, energy_at: IntArray, relaxed: bool) -> IntArray:
    """Add energy + missing >= what a bad day wants a vehicle to leave with; return the columns of what is missing.

    The strict programme holds it in the least energy.
    """
    if problem.ready_kwh is None or not relaxed:
        return np.empty(0, dtype=np.int64)
    device, boundary = np.nonzero(problem.ready_kwh > -np.inf)
    missing = builder.add_columns(len(device))
    rows = builder.add_rows(len(device), lower=problem.ready_kwh[device, boundary])
    builder.put(rows, energy_at[device, boundary], 1.0)
    builder.put(rows, missing, 1.0)
    return missing


def _add_directions(
    builder: ProgrammeBuilder,
    problem: Problem,
    site: _Site,
    marked: BoolArray,
    powers: Powers,
    peak_at: IntArray,
) -> tuple[IntArray, IntArray]:
    """Add import <= most * switch and export <= most * (1 - switch) in the marked steps.

    With half a switch these let energy bought be sold in the same step. So three more rows that hold with either
    switch: only what is discharged or left of the sun is exported, export <= discharge + (sun - load) * (1 - switch);
    only load and what is charged is imported, import <= charge + (load - sun that must flow) * switch; and no import
    is above a peak that counts there, nor a peak below what is free of it, import <= peak - free * (1 - switch).
    Return the switch of each step (T,), and how many steps of the same prices in a row import; -1 where there is none.
    """
    limits, devices = problem.case.site, problem.devices
    most_import = limits.building_load_kw + devices.charge_limit_kw.sum(axis=0)
    most_export = limits.solar_kw - limits.building_load_kw + devices.discharge_limit_kw.sum(axis=0)
    excess_import, excess_export = unavoidable_excess(problem.case)
    most_import = np.clip(most_import, 0.0, limits.import_limit_kw + excess_import)
    most_export = np.clip(most_export, 0.0, limits.export_limit_kw + excess_export)
    steps = np.flatnonzero(marked)
    importing = builder.add_switches(len(steps))
    import_rows = builder.add_rows(len(steps), upper=0.0)
    export_rows = builder.add_rows(len(steps), upper=most_export[steps])
    for columns in site.imports:
        builder.put(import_rows, columns[steps], 1.0)
    for columns in site.exports:
        builder.put(export_rows, columns[steps], 1.0)
    builder.put(import_rows, importing, -most_import[steps])
    builder.put(export_rows, importing, most_export[steps])
    _hold_flows(builder, problem, site, steps, importing, powers)
    for charge, peaks in zip(problem.case.demand_charges, peak_at, strict=True):
        counts = peaks[steps] >= 0
        inside, switches = steps[counts], importing[counts]
        free = charge.billed_kw_so_far[charge.period[inside]]
        rows = builder.add_rows(len(inside), upper=-free)
        for columns in site.imports:
            builder.put(rows, columns[inside], 1.0)
        builder.put(rows, peaks[inside], -1.0)
        builder.put(rows, switches, -free)
    way_at = np.full(problem.case.steps, -1, dtype=np.int64)
    way_at[steps] = importing
    return way_at, _count_ways(builder, problem, steps, way_at)


def _hold_flows(
    builder: ProgrammeBuilder,
    problem: Problem,
    site: _Site,
    steps: IntArray,
    importing: IntArray,
    powers: Powers,
) -> None:
    """Add the two rows of `_add_directions` that back export by discharge and import by charge."""
    limits = problem.case.site
    sun = limits.solar_kw - limits.building_load_kw
    must = limits.building_load_kw - (0.0 if limits.solar_curtailable else limits.solar_kw)
    row_of = np.full(problem.case.steps, -1, dtype=np.int64)
    for columns_of, charging, factor, upper in (
        (site.exports, False, sun, sun),
        (site.imports, True, -must, np.zeros_like(must)),
    ):
        row_of[steps] = rows = builder.add_rows(len(steps), upper=upper[steps])
        for columns in columns_of:
            builder.put(rows, columns[steps], 1.0)
        builder.put(rows, importing, factor[steps])
        _, step, columns = powers.entries(charging)
        inside = row_of[step] >= 0
        builder.put(row_of[step[inside]], columns[inside], -1.0)


def _count_ways(builder: ProgrammeBuilder, problem: Problem, steps: IntArray, way_at: IntArray) -> IntArray:
    """Add how many of some like steps in a row import: which of them do matters little, how many does."""
    prices = problem.case.prices
    count_at = np.full(problem.case.steps, -1, dtype=np.int64)
    new = np.ones(len(steps), dtype=bool)
    new[1:] = np.diff(steps) > 1
    for series in (prices.import_per_kwh, prices.export_per_kwh):
        new[1:] |= np.diff(series[steps]) != 0.0
    groups = np.cumsum(new) - 1
    counts = builder.add_switches(int(groups.max(initial=-1)) + 1, np.bincount(groups))
    rows = builder.add_rows(len(counts), 0.0, 0.0)
    builder.put(rows[groups], way_at[steps], 1.0)
    builder.put(rows, counts, -1.0)
    count_at[steps] = counts[groups]
    return count_at
