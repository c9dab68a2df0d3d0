"""The rules that need a switch (0 or 1): where they are asked for, and their columns and rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.devices import Problem, energy_per_kw, required_kwh


@dataclass(frozen=True, slots=True, eq=False)
class Gates:
    """Steps where a switch rules a device (D, T) or the site (T,): made only where an answer needs it.

    `direction`: the site imports or exports, not both, where exporting pays more than importing costs.
    `one_way`: charge or discharge, not both. `arrival`: what a stretch at the depot has discharged by the end of the
    step is at most what was charged in it and what the device brought above its discharge floor. `floor`: discharge
    only if the energy stays at or above that floor. `ceiling`: charge only if the energy stays at or below the
    maximum. `arrival` follows from `floor`, but needs one switch for a whole stretch and bounds better.
    """

    direction: BoolArray
    one_way: BoolArray
    arrival: BoolArray
    floor: BoolArray
    ceiling: BoolArray

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> "Gates":
        """Return no gates at all."""
        return cls(np.zeros(shape[1], bool), *(np.zeros(shape, bool) for _ in range(4)))

    def of_devices(self) -> bool:
        """Tell whether there is any gate of a device."""
        return bool((self.one_way | self.arrival | self.floor | self.ceiling).any())

    def any(self) -> bool:
        """Tell whether there is any gate."""
        return self.of_devices() or bool(self.direction.any())

    def tightened(self, broken: "Gates", plugged: BoolArray) -> "Gates":
        """Return these gates and what is broken: the floor by arrival first, then by steps, then by stretches."""
        stretches = stretches_of(plugged)
        again = broken.floor & self.arrival
        stubborn = spread(again & self.floor, stretches)
        wider = spread(broken.one_way & self.one_way, stretches)
        return Gates(
            self.direction | broken.direction,
            self.one_way | broken.one_way | wider,
            self.arrival | broken.floor,
            self.floor | again | stubborn,
            self.ceiling | broken.ceiling,
        )


def stretches_of(plugged: BoolArray) -> IntArray:
    """Return a number for each unbroken stretch at the depot, -1 while away, shape (D, T)."""
    starts = np.diff(plugged, axis=1, prepend=False) & plugged
    rows = np.arange(len(plugged))[:, None]
    return np.where(plugged, rows * (plugged.shape[1] + 1) + np.cumsum(starts, axis=1), -1)


def spread(marked: BoolArray, stretches: IntArray) -> BoolArray:
    """Return the marks spread over each whole stretch that holds one."""
    return np.isin(stretches, stretches[marked & (stretches >= 0)])


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the columns of the devices stand: powers (D, T), energy at checkpoints (D, T + 1); -1 for none."""

    charge_at: IntArray
    discharge_at: IntArray
    energy_at: IntArray


def add_gates(
    builder: ProgrammeBuilder, problem: Problem, places: Places, gates: Gates, relaxed: bool
) -> None:
    """Add switches: one way at a time, discharge only above the floor, charge only below the maximum."""
    if not gates.of_devices():
        return
    lowest = lowest_kwh(problem, relaxed)
    _add_one_way(builder, problem, places, gates.one_way)
    _add_arrivals(builder, problem, places, gates.arrival, lowest)
    _add_floors(builder, problem, places, gates.floor, lowest)
    _add_ceilings(builder, problem, places, gates.ceiling)


def _add_one_way(builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray) -> None:
    """Add charge <= most * switch and discharge <= most * (1 - switch)."""
    device, step = np.nonzero(marked & (places.charge_at >= 0) & (places.discharge_at >= 0))
    charging = builder.add_switches(len(device))
    most_charge = problem.devices.charge_limit_kw[device, step]
    most_discharge = problem.devices.discharge_limit_kw[device, step]
    _switch(builder, places.charge_at[device, step], charging, -most_charge, 0.0)
    _switch(builder, places.discharge_at[device, step], charging, most_discharge, most_discharge)


def _add_floors(
    builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray, lowest: FloatArray
) -> None:
    """Add discharge <= most * switch and energy >= lowest + (floor - lowest) * switch."""
    device, step = np.nonzero(marked & (places.discharge_at >= 0))
    discharging = builder.add_switches(len(device))
    most = problem.devices.discharge_limit_kw[device, step]
    _switch(builder, places.discharge_at[device, step], discharging, -most, 0.0)
    least = lowest[device, step + 1]
    rows = builder.add_rows(len(device), lower=least)
    builder.put(rows, places.energy_at[device, step + 1], 1.0)
    builder.put(rows, discharging, np.minimum(0.0, least - problem.devices.discharge_floor_kwh[device]))


def _add_ceilings(builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray) -> None:
    """Add charge <= most * switch and energy <= highest - (highest - maximum) * switch."""
    device, step = np.nonzero(marked & (places.charge_at >= 0))
    charging = builder.add_switches(len(device))
    most = problem.devices.charge_limit_kw[device, step]
    _switch(builder, places.charge_at[device, step], charging, -most, 0.0)
    highest = problem.envelope.upper_kwh[device, step + 1]
    above = highest - problem.devices.ceiling_kwh[device]
    _switch(builder, places.energy_at[device, step + 1], charging, above, highest)


def _switch(
    builder: ProgrammeBuilder, columns: IntArray, switches: IntArray, factor: FloatArray, upper: ArrayLike
) -> None:
    """Add column + factor * switch <= upper, one row a column."""
    rows = builder.add_rows(len(columns), upper=upper)
    builder.put(rows, columns, 1.0)
    builder.put(rows, switches, factor)


def _add_arrivals(
    builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray, lowest: FloatArray
) -> None:
    """Add discharged - charged <= what the device brought above its floor, up to each marked step."""
    devices, hours = problem.devices, problem.case.hours
    stretches = stretches_of(devices.plugged)
    for number in np.unique(stretches[marked & (stretches >= 0)]):
        (device, *_), steps = np.nonzero(stretches == number)
        brought, known = _brought(builder, problem, places, (int(device), int(steps[0])), lowest)
        for end in steps[marked[device, steps]]:
            row = builder.add_rows(1, upper=known)
            for places_at, charging in ((places.charge_at, True), (places.discharge_at, False)):
                columns = places_at[device, steps[0] : end + 1]
                columns = columns[columns >= 0]
                factor = -energy_per_kw(devices, hours, charging)[device]
                builder.put(np.repeat(row, len(columns)), columns, factor)
            builder.put(np.repeat(row, len(brought)), brought, -1.0)


def _brought(
    builder: ProgrammeBuilder, problem: Problem, places: Places, arrival: tuple[int, int], lowest: FloatArray
) -> tuple[IntArray, float]:
    """Return what a device brings above its floor: a column (or none) and a constant part.

    brought <= (highest - floor) * above and brought <= energy - floor + (floor - lowest) * (1 - above)
    """
    device, boundary = arrival
    floor = problem.devices.discharge_floor_kwh[device]
    if boundary == 0:
        return np.empty(0, dtype=np.int64), max(0.0, problem.devices.initial_kwh[device] - floor)
    highest = min(problem.envelope.fullest_kwh[arrival], problem.envelope.upper_kwh[arrival])
    short = max(0.0, floor - lowest[arrival])
    brought = builder.add_columns(1, upper=max(0.0, highest - floor))
    above = builder.add_switches(1)
    _switch(builder, brought, above, np.array([min(0.0, floor - highest)]), 0.0)
    row = builder.add_rows(1, upper=short - floor)
    builder.put(row, brought, 1.0)
    builder.put(row, places.energy_at[device, [boundary]], -1.0)
    builder.put(row, above, short)
    return brought, 0.0


def lowest_kwh(problem: Problem, relaxed: bool) -> FloatArray:
    """Return an energy that no allowed plan goes below: discharge stops at the floor, then only trips take."""
    devices, envelope = problem.devices, problem.envelope
    lowest = np.empty_like(envelope.idle_kwh)
    lowest[:, 0] = devices.initial_kwh
    required = np.full_like(lowest, -np.inf) if relaxed else required_kwh(devices, envelope)
    most = -energy_per_kw(devices, problem.case.hours, False)[:, None] * devices.discharge_limit_kw
    for step in range(problem.case.steps):
        discharged = np.maximum(devices.discharge_floor_kwh, lowest[:, step] - most[:, step])
        rest = np.minimum(lowest[:, step], discharged) - devices.use_kwh[:, step]
        lowest[:, step + 1] = np.maximum(rest, required[:, step + 1])
    return lowest
