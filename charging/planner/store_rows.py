"""Rows of the devices: the limits that they share, and the energy at their checkpoints."""

from dataclasses import dataclass

import numpy as np

from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import BoolArray, DepotCase, FloatArray, IntArray
from charging.planner.devices import Devices, Envelope, energy_per_kw, node_members
from charging.planner.phases import phase_limits


@dataclass(frozen=True, slots=True, eq=False)
class Powers:
    """Charge and discharge columns with their devices and steps, -1 for none.

    Energy counts with the loss of full power, which is a share of the power. What is lost beyond it at less power has
    a column of its own (kW; `charge_lost_at` and `discharge_lost_at`), where a device has a loss.
    """

    charge_at: IntArray
    discharge_at: IntArray
    charge_lost_at: IntArray
    discharge_lost_at: IntArray

    def entries(self, charging: bool) -> tuple[IntArray, IntArray, IntArray]:
        """Return device, step and column of every charge (or discharge) column."""
        places = self.charge_at if charging else self.discharge_at
        device, step = np.nonzero(places >= 0)
        return device, step, places[device, step]

    def places(self) -> tuple[IntArray, ...]:
        """Return the columns of charging, discharging, and what is lost beside each."""
        return self.charge_at, self.discharge_at, self.charge_lost_at, self.discharge_lost_at

    def pairs(self) -> tuple[tuple[IntArray, IntArray], ...]:
        """Return power and loss columns of charging, then of discharging."""
        return (self.charge_at, self.charge_lost_at), (self.discharge_at, self.discharge_lost_at)

    def kwh_per_unit(self, devices: Devices, hours: float) -> tuple[tuple[IntArray, FloatArray], ...]:
        """Return all columns that add energy (D, T) with what one unit of each adds to the battery in kWh (D, T)."""
        lost = np.broadcast_to(-hours, self.charge_at.shape)
        return (
            (self.charge_at, energy_per_kw(devices, hours, True)),
            (self.discharge_at, energy_per_kw(devices, hours, False)),
            (self.charge_lost_at, lost),
            (self.discharge_lost_at, lost),
        )


def add_nodes(builder: ProgrammeBuilder, case: DepotCase, devices: Devices, powers: Powers) -> None:
    """Add each node's limits in the steps where the devices below it could reach them."""
    for node, members in zip(case.site.nodes, node_members(case, devices), strict=True):
        binding = (devices.charge_limit_kw[members].sum(axis=0) > node.import_limit_kw) | (
            devices.discharge_limit_kw[members].sum(axis=0) > node.export_limit_kw
        )
        rows = np.full(case.steps, -1, dtype=np.int64)
        rows[binding] = builder.add_rows(
            int(binding.sum()), -node.export_limit_kw[binding], node.import_limit_kw[binding]
        )
        for charging, sign in ((True, 1.0), (False, -1.0)):
            device, step, columns = powers.entries(charging)
            chosen = members[device] & binding[step]
            builder.put(rows[step[chosen]], columns[chosen], sign)


def add_phases(builder: ProgrammeBuilder, case: DepotCase, devices: Devices, powers: Powers) -> None:
    """Add the limits of phases in the steps where the devices that load them could reach them."""
    phases = phase_limits(case, devices)
    most = np.maximum(phases.load_kw(devices.charge_limit_kw), phases.load_kw(devices.discharge_limit_kw))
    for shares, limit, reached in zip(phases.shares, phases.limits_kw, most, strict=True):
        rows = np.full(case.steps, -1, dtype=np.int64)
        binding = reached > limit
        rows[binding] = builder.add_rows(int(binding.sum()), -limit[binding], limit[binding])
        for charging, sign in ((True, 1.0), (False, -1.0)):
            device, step, columns = powers.entries(charging)
            chosen = (shares[device] > 0.0) & binding[step]
            builder.put(rows[step[chosen]], columns[chosen], sign * shares[device[chosen]])


def add_shared_chargers(builder: ProgrammeBuilder, case: DepotCase, devices: Devices, powers: Powers) -> None:
    """Limit the total power of vehicles that share a charger."""
    for number, charger in enumerate(case.chargers):
        members = devices.charger_index == number
        if members.sum() < 2:
            continue
        for charging, limit in ((True, charger.max_charge_kw), (False, charger.max_discharge_kw)):
            rows = builder.add_rows(case.steps, upper=limit)
            device, step, columns = powers.entries(charging)
            chosen = members[device]
            builder.put(rows[step[chosen]], columns[chosen], 1.0)


def add_energy(
    builder: ProgrammeBuilder, envelope: Envelope, points: BoolArray, least_kwh: FloatArray
) -> IntArray:
    """Add an energy column at each checkpoint within least_kwh and the envelope's upper limit."""
    energy_at = np.full(points.shape, -1, dtype=np.int64)
    energy_at[points] = builder.add_columns(
        int(points.sum()), 0.0, least_kwh[points], envelope.upper_kwh[points]
    )
    return energy_at


def add_energy_balance(
    builder: ProgrammeBuilder,
    hours: float,
    devices: Devices,
    envelope: Envelope,
    powers: Powers,
    energy_at: IntArray,
) -> None:
    """Add the row that leads from each checkpoint a to the next one, b.

    energy[b] = energy[a] + sum of what each column adds - use over a..b
    """
    device, boundary = np.nonzero(energy_at >= 0)
    before = np.r_[0, boundary[:-1]][: len(device)]
    first = np.r_[True, device[1:] != device[:-1]][: len(device)]
    before[first] = 0
    # The idle path falls by the use alone, so its change between two checkpoints is the energy used there.
    change = envelope.idle_kwh[device, boundary] - envelope.idle_kwh[device, before]
    change[first] += devices.initial_kwh[device[first]]
    rows = builder.add_rows(len(device), change, change)
    builder.put(rows, energy_at[device, boundary], 1.0)
    builder.put(rows[~first], energy_at[device, before][~first], -1.0)
    row_of_step = np.full(powers.charge_at.shape, -1, dtype=np.int64)
    for unit, start, end, row in zip(device, before, boundary, rows, strict=True):
        row_of_step[unit, start:end] = row
    for places, per_unit in powers.kwh_per_unit(devices, hours):
        owner, step = np.nonzero(places >= 0)
        builder.put(row_of_step[owner, step], places[owner, step], -per_unit[owner, step])


def add_changes(builder: ProgrammeBuilder, case: DepotCase, devices: Devices, powers: Powers) -> None:
    """Price by how much a power of the first steps differs from what the last plan was about to do.

    changed >= charge - discharge - before and changed >= before - charge + discharge.
    """
    if case.previous is None or case.previous.price_per_kw == 0.0:
        return
    for device, name in enumerate(devices.ids):
        before = np.array(case.previous.net_kw.get(name, ()))
        at = np.stack([powers.charge_at[device, : len(before)], powers.discharge_at[device, : len(before)]])
        open_steps = (at >= 0).any(axis=0)
        builder.constant += case.previous.price_per_kw * float(np.abs(before[~open_steps]).sum())
        changed = builder.add_columns(int(open_steps.sum()), case.previous.price_per_kw)
        for sign in (1.0, -1.0):
            rows = builder.add_rows(len(changed), lower=-sign * before[open_steps])
            builder.put(rows, changed, 1.0)
            for columns, factor in ((at[0, open_steps], -sign), (at[1, open_steps], sign)):
                builder.put(rows[columns >= 0], columns[columns >= 0], factor)
