"""Columns and rows of what a depot sells or keeps ready: events, backup energy, frequency reserve, and wear prices."""

from dataclasses import dataclass

import numpy as np

from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import BoolArray, DepotCase, FloatArray, IntArray
from charging.planner.devices import Problem, energy_per_kw
from charging.planner.earnings import pay_per_kw_step
from charging.planner.store_rows import Powers
from charging.planner.taper import Under, hold_under
from charging.planner.values import Event, Frequency


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns that offers are made of: site flows (groups, T), powers (D, T), energy at checkpoints (D, T + 1)."""

    imports: tuple[IntArray, ...]
    exports: tuple[IntArray, ...]
    powers: Powers
    energy_at: IntArray


def offer_points(problem: Problem) -> BoolArray:
    """Return the boundaries (D, T + 1) whose energy has a say in an offer or a price on standing."""
    case, devices = problem.case, problem.devices
    points = np.zeros(problem.envelope.idle_kwh.shape, dtype=bool)
    for row, vehicle in enumerate(case.vehicles):
        if vehicle.standing is not None:
            points[row, 1:] |= devices.plugged[row]
    if case.reserve is not None:
        points[:, 1:] |= (devices.discharge_limit_kw > 0.0) & (case.reserve.backup_kwh > 0.0)
        if case.reserve.frequency is not None:
            offering = _offering(problem, case.reserve.frequency)
            points[:, :-1] |= offering
            points[:, 1:] |= offering
    return points


def _offering(problem: Problem, frequency: Frequency) -> BoolArray:
    """Return which devices (D, T) may offer reserve: vehicles and batteries with power, where it is paid."""
    devices = problem.devices
    offering = (devices.charge_limit_kw + devices.discharge_limit_kw > 0.0) & (frequency.pay_per_kw_h > 0.0)
    offering[devices.vehicle_count + devices.battery_count :] = False
    return offering


def add_offers(
    builder: ProgrammeBuilder, problem: Problem, columns: Columns, least_kwh: FloatArray, relaxed: bool
) -> IntArray:
    """Add events, reserve and the prices on standing and throughput; return the columns of missing backup energy."""
    case = problem.case
    for event in case.events:
        _add_event(builder, problem, columns, event)
    _add_standing(builder, problem, columns)
    _add_throughput(builder, problem, columns)
    if case.reserve is None:
        return np.empty(0, dtype=np.int64)
    if case.reserve.frequency is not None:
        _add_frequency(builder, problem, columns, case.reserve.frequency, least_kwh)
    return _add_backup(builder, problem, columns, case.reserve.backup_kwh, relaxed)


def most_flow(case: DepotCase, problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Return import and export (T,) that the depot cannot exceed, whatever its limits."""
    load, solar = case.site.building_load_kw, case.site.solar_kw
    most_import = (load + problem.devices.charge_limit_kw.sum(axis=0)).clip(0.0)
    most_export = (solar - load + problem.devices.discharge_limit_kw.sum(axis=0)).clip(0.0)
    return most_import, most_export


def _add_event(builder: ProgrammeBuilder, problem: Problem, columns: Columns, event: Event) -> None:
    """Add what is delivered in each step, with a switch for taking part: without it nothing is owed.

    reduce: delivered + import <= baseline + (most - baseline) * (1 - switch);
    export: delivered - export <= -baseline * switch; both: min * switch <= delivered <= most * switch.
    """
    case = problem.case
    steps = np.arange(event.from_step, event.to_step)
    most_import, most_export = (item[steps] for item in most_flow(case, problem))
    baseline = event.baseline_kw[steps]
    room = baseline if event.kind == "reduce" else (most_export - baseline).clip(0.0)
    most = np.minimum(room, event.cap_kw)
    delivered = builder.add_columns(len(steps), -pay_per_kw_step(case, event), 0.0, most)
    taking_part = builder.add_switches(len(steps))
    rows = builder.add_rows(len(steps), upper=0.0)
    builder.put(rows, delivered, 1.0)
    builder.put(rows, taking_part, -most)
    rows = builder.add_rows(len(steps), lower=0.0)
    builder.put(rows, delivered, 1.0)
    builder.put(rows, taking_part, -event.min_kw)
    beyond = np.maximum(most_import - baseline, 0.0)
    if event.kind == "reduce":
        rows = builder.add_rows(len(steps), upper=baseline + beyond)
        builder.put(rows, taking_part, beyond)
        flows, sign = columns.imports, 1.0
    else:
        rows = builder.add_rows(len(steps), upper=0.0)
        builder.put(rows, taking_part, baseline)
        flows, sign = columns.exports, -1.0
    builder.put(rows, delivered, 1.0)
    for group in flows:
        builder.put(rows, group[steps], sign)


def _add_standing(builder: ProgrammeBuilder, problem: Problem, columns: Columns) -> None:
    """Add above >= energy - line at the end of each step at the depot."""
    case = problem.case
    for row, vehicle in enumerate(case.vehicles):
        if vehicle.standing is None:
            continue
        line = vehicle.standing.above_soc * vehicle.capacity_kwh
        ends = np.flatnonzero(problem.devices.plugged[row]) + 1
        above = builder.add_columns(len(ends), case.hours * vehicle.standing.cost_per_kwh_h)
        rows = builder.add_rows(len(ends), upper=line)
        builder.put(rows, columns.energy_at[row, ends], 1.0)
        builder.put(rows, above, -1.0)


def _add_throughput(builder: ProgrammeBuilder, problem: Problem, columns: Columns) -> None:
    """Add blocks of rising price for all that leaves a battery."""
    hours = problem.case.hours
    per_kw = -energy_per_kw(problem.devices, hours, False)
    for row, vehicle in enumerate(problem.case.vehicles):
        at, lost_at = columns.powers.discharge_at[row], columns.powers.discharge_lost_at[row]
        powers, lost = at[at >= 0], lost_at[lost_at >= 0]
        if not vehicle.throughput or not powers.size:
            continue
        ends = np.array([item.up_to_kwh for item in vehicle.throughput])
        widths = ends - np.r_[0.0, ends[:-1]]
        prices = np.array([item.price_per_kwh for item in vehicle.throughput])
        blocks = builder.add_columns(len(ends), prices, 0.0, widths)
        row_at = builder.add_rows(1, upper=0.0)
        builder.put(np.repeat(row_at, len(powers)), powers, per_kw[row][at >= 0])
        builder.put(np.repeat(row_at, len(lost)), lost, hours)
        builder.put(np.repeat(row_at, len(blocks)), blocks, -1.0)


def _add_backup(
    builder: ProgrammeBuilder, problem: Problem, columns: Columns, wanted_kwh: FloatArray, relaxed: bool
) -> IntArray:
    """Ask at the end of each step for energy above the minimum in what can discharge there.

    A device that is below its minimum whatever it does has nothing to give and is left out.
    """
    devices, envelope = problem.devices, problem.envelope
    steps = np.flatnonzero(wanted_kwh > 0.0)
    able = (devices.discharge_limit_kw > 0.0) & (envelope.lower_kwh[:, 1:] >= devices.floor_kwh[:, None])
    floors = (able * devices.floor_kwh[:, None]).sum(axis=0)
    rows = builder.add_rows(len(steps), lower=(wanted_kwh + floors)[steps])
    place, device = np.nonzero(able[:, steps].T)
    builder.put(rows[place], columns.energy_at[device, steps[place] + 1], 1.0)
    if not relaxed:
        return np.empty(0, dtype=np.int64)
    missing = builder.add_columns(len(steps))
    builder.put(rows, missing, 1.0)
    return missing


def _add_frequency(
    builder: ProgrammeBuilder,
    problem: Problem,
    columns: Columns,
    frequency: Frequency,
    least_kwh: FloatArray,
) -> None:
    """Add the reserve of each step: every device offers power to spare for which it has energy (or room) at both ends.

    Up and down share a column where the programme is symmetric.
    """
    case = problem.case
    device, step = np.nonzero(_offering(problem, frequency))
    steps = np.flatnonzero(frequency.pay_per_kw_h > 0.0)
    number = np.full(case.steps, -1, dtype=np.int64)
    number[steps] = np.arange(len(steps))
    pay = -case.hours * frequency.pay_per_kw_h[steps]
    up = builder.add_columns(len(steps), pay, 0.0, frequency.max_kw)
    down = up if frequency.symmetric else builder.add_columns(len(steps), pay, 0.0, frequency.max_kw)
    for held, upward in ((up, True), (down, False)):
        offers = _device_offers(builder, problem, columns, (device, step), frequency.hours, least_kwh, upward)
        if not upward:
            _add_tapers(builder, problem, columns, (device, step), offers)
        rows = builder.add_rows(len(steps), lower=0.0)
        builder.put(rows[number[step]], offers, 1.0)
        builder.put(rows, held, -1.0)
        limit = (case.site.export_limit_kw if upward else case.site.import_limit_kw)[steps]
        rows = builder.add_rows(len(steps), upper=limit)
        builder.put(rows, held, 1.0)
        builder.put(rows, (columns.exports if upward else columns.imports)[0][steps], 1.0)
        for group in columns.imports if upward else columns.exports:
            builder.put(rows, group[steps], -1.0)


def _add_tapers(
    builder: ProgrammeBuilder,
    problem: Problem,
    columns: Columns,
    places: tuple[IntArray, IntArray],
    offers: IntArray,
) -> None:
    """Add offer + charge - discharge <= what the taper leaves at the energy with which the step begins."""
    devices, (device, step) = problem.devices, places
    tapered = np.isin(device, devices.tapers.rows)
    device, step = device[tapered], step[tapered]
    under = Under(
        device,
        columns.energy_at[device, step],
        devices.initial_kwh[device],
        (
            (offers[tapered], 1.0),
            (columns.powers.charge_at[device, step], 1.0),
            (columns.powers.discharge_at[device, step], -1.0),
        ),
        devices.charge_limit_kw[device, step],
    )
    hold_under(builder, devices.tapers, under, problem.envelope.upper_kwh.max(axis=1))


def _device_offers(
    builder: ProgrammeBuilder,
    problem: Problem,
    columns: Columns,
    places: tuple[IntArray, IntArray],
    hours: float,
    least_kwh: FloatArray,
    upward: bool,
) -> IntArray:
    """Add what each device offers at (device, step) in one direction; a switch where its energy may be out of range.

    up: offer - charge + discharge <= most discharge, offer * factor <= energy - floor - loss (or no offer);
    down: offer + charge - discharge <= most charge, offer * factor <= maximum - energy (or no offer).
    """
    devices, (device, step) = problem.devices, places
    charge_limit, discharge_limit = (
        devices.charge_limit_kw[device, step],
        devices.discharge_limit_kw[device, step],
    )
    most, sign = charge_limit + discharge_limit, 1.0 if upward else -1.0
    offers = builder.add_columns(len(device), 0.0, 0.0, most)
    rows = builder.add_rows(len(device), upper=discharge_limit if upward else charge_limit)
    builder.put(rows, offers, 1.0)
    for places_at, factor in ((columns.powers.charge_at, -sign), (columns.powers.discharge_at, sign)):
        used = places_at[device, step] >= 0
        builder.put(rows[used], places_at[device, step][used], factor)
    factor_kwh = (
        hours / devices.discharge_efficiency[device] if upward else hours * devices.charge_efficiency[device]
    )
    # A call loses all of the loss, whatever it takes; less may be stored than a downward call is thought to.
    floor = devices.discharge_floor_kwh + hours * devices.discharge_loss_kw
    edge = sign * (floor if upward else devices.ceiling_kwh)[device]
    worst = least_kwh if upward else problem.envelope.upper_kwh
    beyond = np.stack([(edge - sign * worst[device, end]).clip(0.0) for end in (step, step + 1)])
    switched = beyond.max(axis=0) > 0.0
    switches = builder.add_switches(int(switched.sum()))
    rows = builder.add_rows(len(switches), upper=0.0)
    builder.put(rows, offers[switched], 1.0)
    builder.put(rows, switches, -most[switched])
    for end, short in zip((step, step + 1), beyond, strict=True):
        energy = columns.energy_at[device, end]
        initial = np.where(energy < 0, devices.initial_kwh[device], 0.0)
        rows = builder.add_rows(len(device), upper=short - edge + sign * initial)
        builder.put(rows, offers, factor_kwh)
        builder.put(rows[energy >= 0], energy[energy >= 0], -sign)
        builder.put(rows[switched], switches, short[switched])
    return offers
