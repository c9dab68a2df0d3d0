"""The rules that need a switch (0 or 1): where they are asked for, and their columns and rows."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.devices import Devices, Problem, energy_per_kw, required_kwh
from charging.planner.store_rows import Powers
from charging.planner.taper import Under, hold_under


@dataclass(frozen=True, slots=True, eq=False)
class Gates:
    """Steps where a switch rules a device (D, T) or the site (T,): made only where an answer needs it.

    `direction`: the site imports or exports, not both, where exporting pays more than importing costs.
    `one_way`: charge or discharge, not both. `floor`: nothing is discharged before the energy has come up to the
    discharge floor, and from then on it stays there until the pull-out; it is asked for in whole stretches.
    `ceiling`: charge only if the energy stays at or below the maximum. `tail`: charge below the lines of a taper, or
    below its last power. `least`: charge, or discharge, nothing or at least the least power; it is asked for in whole
    stretches. `loss`: the same, and with power all of the loss; in whole stretches too. `bands`: steps whose wear the
    answer pays too little for; the powers themselves are allowed.
    """

    direction: BoolArray
    one_way: BoolArray
    floor: BoolArray
    ceiling: BoolArray
    tail: BoolArray
    bands: BoolArray
    least: BoolArray
    loss: BoolArray

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> "Gates":
        """Return no gates at all."""
        return cls(np.zeros(shape[1], bool), *(np.zeros(shape, bool) for _ in range(7)))

    def of_devices(self) -> bool:
        """Tell whether there is any gate of a device."""
        return bool((self.one_way | self.floor | self.ceiling | self.tail | self.least | self.loss).any())

    def any(self) -> bool:
        """Tell whether there is any gate but those of wear."""
        return self.of_devices() or bool(self.direction.any())

    def tightened(self, broken: "Gates", plugged: BoolArray) -> "Gates":
        """Return these gates and what is broken: the floor by stretches, one way by steps and then by stretches."""
        stretches = stretches_of(plugged)
        wider = spread(broken.one_way & self.one_way, stretches)
        return Gates(
            self.direction | broken.direction,
            self.one_way | broken.one_way | wider,
            self.floor | spread(broken.floor, stretches),
            self.ceiling | broken.ceiling,
            self.tail | broken.tail,
            self.bands | broken.bands | spread(broken.bands & self.bands, stretches),
            self.least | spread(broken.least, stretches),
            self.loss | spread(broken.loss, stretches),
        )

    def together(self, other: "Gates") -> "Gates":
        """Return the gates of both."""
        return Gates(
            self.direction | other.direction,
            self.one_way | other.one_way,
            self.floor | other.floor,
            self.ceiling | other.ceiling,
            self.tail | other.tail,
            self.bands | other.bands,
            self.least | other.least,
            self.loss | other.loss,
        )

    def count(self) -> int:
        """Return the number of steps with a gate."""
        return sum(int(getattr(self, field.name).sum()) for field in fields(self))


def stretches_of(plugged: BoolArray) -> IntArray:
    """Return a number for each unbroken stretch at the depot, -1 while away, shape (D, T)."""
    starts = np.diff(plugged, axis=1, prepend=False) & plugged
    rows = np.arange(len(plugged))[:, None]
    return np.where(plugged, rows * (plugged.shape[1] + 1) + np.cumsum(starts, axis=1), -1)


def spread(marked: BoolArray, stretches: IntArray) -> BoolArray:
    """Return the marks spread over each whole stretch that holds one."""
    return np.isin(stretches, stretches[marked & (stretches >= 0)])


def arrivals_of(plugged: BoolArray) -> tuple[IntArray, IntArray]:
    """Return device and first step of every stretch at the depot."""
    device, step = np.nonzero(np.diff(plugged, axis=1, prepend=False) & plugged)
    return device, step


def ends_of(plugged: BoolArray) -> IntArray:
    """Return the boundary at which the stretch that holds each step ends, -1 while away, shape (D, T)."""
    steps = plugged.shape[1]
    away = np.where(plugged, steps, np.arange(steps))
    following = np.minimum.accumulate(away[:, ::-1], axis=1)[:, ::-1]
    return np.where(plugged, following, -1)


def stays_of(plugged: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return device, first step and last boundary of every stretch at the depot."""
    device, first = arrivals_of(plugged)
    return device, first, ends_of(plugged)[device, first]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the columns of the devices stand; -1 for none.

    `charge_at` and `discharge_at` are powers (D, T), `energy_at` the energy at checkpoints (D, T + 1). `kept_at` is
    what a stretch that may begin below the discharge floor keeps at each of its later boundaries; `above_at` is the
    switch that says that it begins at or above the floor, and `count_at` how many stretches of about the same time
    do so, at all its boundaries (D, T + 1). `risen_at` is the switch of a gated step that says that it begins above
    the floor (D, T).
    """

    charge_at: IntArray
    discharge_at: IntArray
    energy_at: IntArray
    kept_at: IntArray
    above_at: IntArray
    count_at: IntArray
    risen_at: IntArray

    @classmethod
    def of(cls, charge_at: IntArray, discharge_at: IntArray, energy_at: IntArray) -> "Places":
        """Return the places of powers and energies, without any switch yet."""
        none = np.full_like(energy_at, -1)
        return cls(charge_at, discharge_at, energy_at, none, none, none, np.full_like(charge_at, -1))


def add_stays(builder: ProgrammeBuilder, problem: Problem, places: Places, least_kwh: FloatArray) -> Places:
    """Add what each stretch keeps where it is unknown whether it begins above the discharge floor.

    A stretch at the depot never falls below the smaller of the floor and the energy it began with. The larger that
    begins above the floor is worth more, which is why it takes a switch:
    kept >= energy - (highest - floor) * above  and  kept >= lowest + (floor - lowest) * above.
    Return the places with `kept_at`, `above_at` and `count_at`; the rows energy >= kept are added where an answer
    breaks them.
    """
    devices, envelope, energy_at = problem.devices, problem.envelope, places.energy_at
    kept_at, above_at, count_at = (np.full_like(energy_at, -1) for _ in range(3))
    device, step, ends = stays_of(devices.plugged)
    floor, lowest = devices.discharge_floor_kwh[device], least_kwh[device, step]
    unknown = (step > 0) & (devices.discharge_limit_kw[device, step] > 0.0) & (lowest < floor)
    device, step, ends = device[unknown], step[unknown], ends[unknown]
    floor, lowest = floor[unknown], lowest[unknown]
    highest = np.minimum(envelope.fullest_kwh[device, step], envelope.upper_kwh[device, step])
    kept = builder.add_columns(len(device), 0.0, lowest, floor)
    above = builder.add_switches(len(device), highest >= floor)
    rows = builder.add_rows(len(device), lower=0.0)
    builder.put(rows, kept, 1.0)
    builder.put(rows, energy_at[device, step], -1.0)
    builder.put(rows, above, np.maximum(0.0, highest - floor))
    rows = builder.add_rows(len(device), lower=lowest)
    builder.put(rows, kept, 1.0)
    builder.put(rows, above, lowest - floor)
    groups = _together(step, ends)
    counts = builder.add_switches(int(groups.max(initial=-1)) + 1, np.bincount(groups))
    rows = builder.add_rows(len(counts), 0.0, 0.0)
    builder.put(rows[groups], above, 1.0)
    builder.put(rows, counts, -1.0)
    for number, (unit, first, last) in enumerate(zip(device, step, ends, strict=True)):
        kept_at[unit, first + 1 : last + 1] = kept[number]
        above_at[unit, first : last + 1] = above[number]
        count_at[unit, first : last + 1] = counts[groups[number]]
    _add_checkpoint_floors(builder, problem, energy_at, above_at, least_kwh)
    return replace(places, kept_at=kept_at, above_at=above_at, count_at=count_at)


def _add_checkpoint_floors(
    builder: ProgrammeBuilder,
    problem: Problem,
    energy_at: IntArray,
    above_at: IntArray,
    least_kwh: FloatArray,
) -> None:
    """Add energy >= least + (floor - least) * above at checkpoints of stretches that begin above the floor or not."""
    device, boundary = np.nonzero((above_at >= 0) & (energy_at >= 0))
    least = least_kwh[device, boundary]
    rows = builder.add_rows(len(device), lower=least)
    builder.put(rows, energy_at[device, boundary], 1.0)
    gain = np.minimum(0.0, least - problem.devices.discharge_floor_kwh[device])
    builder.put(rows, above_at[device, boundary], gain)


def _together(starts: IntArray, ends: IntArray) -> IntArray:
    """Return a group number for each half-open span such that all spans of a group share a step."""
    groups = np.full(len(starts), -1, dtype=np.int64)
    number = 0
    for span in np.argsort(ends, kind="stable"):
        if groups[span] < 0:
            groups[(groups < 0) & (starts < ends[span])] = number
            number += 1
    return groups


def add_gates(
    builder: ProgrammeBuilder, problem: Problem, places: Places, gates: Gates, least_kwh: FloatArray
) -> Places:
    """Add switches: one way at a time, discharge only above the floor, charge only below the maximum.

    Return the places with `risen_at`.
    """
    if not gates.of_devices():
        return places
    _add_one_way(builder, problem, places, gates.one_way)
    _add_ceilings(builder, problem, places, gates.ceiling)
    _add_tails(builder, problem, places, gates.tail)
    _add_least(builder, problem, places, gates.least)
    return replace(places, risen_at=_add_floors(builder, problem, places, gates.floor, least_kwh))


def _add_one_way(builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray) -> None:
    """Add charge <= most * switch and discharge <= most * (1 - switch)."""
    device, step = np.nonzero(marked & (places.charge_at >= 0) & (places.discharge_at >= 0))
    charging = builder.add_switches(len(device))
    most_charge = problem.devices.charge_limit_kw[device, step]
    most_discharge = problem.devices.discharge_limit_kw[device, step]
    _switch(builder, places.charge_at[device, step], charging, -most_charge, 0.0)
    _switch(builder, places.discharge_at[device, step], charging, most_discharge, most_discharge)


def _add_floors(
    builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray, least_kwh: FloatArray
) -> IntArray:
    """Add a switch per boundary of the marked stretches: from here on the energy is at or above the floor.

    discharge <= most * above, energy >= least + (floor - least) * above at both ends of the step, and above never
    falls again. A step that discharges begins above the floor too, because it does not charge. Return `risen_at`.
    """
    devices = problem.devices
    device, step = np.nonzero(marked & (places.discharge_at >= 0))
    known = (places.above_at[device, step] >= 0) & (places.kept_at[device, step] < 0)
    above = places.above_at[device, step].copy()
    above[~known] = builder.add_switches(int((~known).sum()))
    most = devices.discharge_limit_kw[device, step]
    _switch(builder, places.discharge_at[device, step], above, -most, 0.0)
    for boundary in (step, step + 1):
        least = least_kwh[device, boundary]
        used = places.energy_at[device, boundary] >= 0
        rows = builder.add_rows(int(used.sum()), lower=least[used])
        builder.put(rows, places.energy_at[device, boundary][used], 1.0)
        gain = np.minimum(0.0, least - devices.discharge_floor_kwh[device])
        builder.put(rows, above[used], gain[used])
    stretches = stretches_of(devices.plugged)[device, step]
    follows = stretches[1:] == stretches[:-1]
    rows = builder.add_rows(int(follows.sum()), upper=0.0)
    builder.put(rows, above[:-1][follows], 1.0)
    builder.put(rows, above[1:][follows], -1.0)
    risen_at = np.full_like(places.discharge_at, -1)
    risen_at[device, step] = above
    return risen_at


def _add_ceilings(builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray) -> None:
    """Add charge <= most * switch and energy <= highest - (highest - maximum) * switch."""
    device, step = np.nonzero(marked & (places.charge_at >= 0))
    charging = builder.add_switches(len(device))
    most = problem.devices.charge_limit_kw[device, step]
    _switch(builder, places.charge_at[device, step], charging, -most, 0.0)
    highest = problem.envelope.upper_kwh[device, step + 1]
    above = highest - problem.devices.ceiling_kwh[device]
    _switch(builder, places.energy_at[device, step + 1], charging, above, highest)


def _add_tails(builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray) -> None:
    """Add charge <= the lines of the taper, or <= its last power, in the marked steps."""
    devices = problem.devices
    device, step = np.nonzero(marked & (places.charge_at >= 0))
    under = Under(
        device,
        places.energy_at[device, step],
        devices.initial_kwh[device],
        ((places.charge_at[device, step], 1.0),),
        devices.charge_limit_kw[device, step],
    )
    hold_under(builder, devices.tapers, under, problem.envelope.upper_kwh.max(axis=1))


def _add_least(builder: ProgrammeBuilder, problem: Problem, places: Places, marked: BoolArray) -> None:
    """Add least * switch <= power <= most * switch in the marked steps; where there is a loss, `add_losses` does."""
    sides = zip((places.charge_at, places.discharge_at), problem.devices.sides(), strict=True)
    for at, side in sides:
        device, step = np.nonzero(
            marked & (at >= 0) & ((side.least_kw > 0.0) & (side.loss_kw <= 0.0))[:, None]
        )
        on = builder.add_switches(len(device))
        _switch(builder, at[device, step], on, -side.most_kw[device, step], 0.0)
        rows = builder.add_rows(len(device), lower=0.0)
        builder.put(rows, at[device, step], 1.0)
        builder.put(rows, on, -side.least_kw[device])


def add_losses(builder: ProgrammeBuilder, devices: Devices, powers: Powers, marked: BoolArray) -> None:
    """Add lost + power * loss / most = loss * switch and power >= least * switch in the marked steps.

    What is lost beyond the loss of full power is the rest of the whole loss with power, and nothing without it.
    """
    for (at, lost_at), side in zip(powers.pairs(), devices.sides(), strict=True):
        device, step = np.nonzero(marked & (lost_at >= 0))
        on = builder.add_switches(len(device))
        rows = builder.add_rows(len(device), 0.0, 0.0)
        builder.put(rows, lost_at[device, step], 1.0)
        builder.put(rows, at[device, step], side.loss_kw[device] / side.most_kw[device, step])
        builder.put(rows, on, -side.loss_kw[device])
        rows = builder.add_rows(len(device), lower=0.0)
        builder.put(rows, at[device, step], 1.0)
        builder.put(rows, on, -side.least_kw[device])


def _switch(
    builder: ProgrammeBuilder, columns: IntArray, switches: IntArray, factor: FloatArray, upper: ArrayLike
) -> None:
    """Add column + factor * switch <= upper, one row a column."""
    rows = builder.add_rows(len(columns), upper=upper)
    builder.put(rows, columns, 1.0)
    builder.put(rows, switches, factor)


def lowest_kwh(problem: Problem, relaxed: bool) -> FloatArray:
    """Return the energy (D, T + 1) that no allowed plan goes below: discharge stops at the floor, trips go on.

    Strict, it counts on the minimum, the "must" targets and what a bad day wants; relaxed, only on the rule that
    forbids to discharge below the floor. So a stretch that certainly begins above the floor is held there without any
    switch.
    """
    devices, envelope = problem.devices, problem.envelope
    lowest = np.empty_like(envelope.idle_kwh)
    lowest[:, 0] = devices.initial_kwh
    required = np.full_like(lowest, -np.inf) if relaxed else required_kwh(devices, envelope)
    if problem.ready_kwh is not None and not relaxed:
        required = np.maximum(required, problem.ready_kwh)
    most = -energy_per_kw(devices, problem.case.hours, False) * devices.discharge_limit_kw
    for step in range(problem.case.steps):
        discharged = np.maximum(devices.discharge_floor_kwh, lowest[:, step] - most[:, step])
        rest = np.minimum(lowest[:, step], discharged) - devices.use_kwh[:, step]
        lowest[:, step + 1] = np.maximum(rest, required[:, step + 1])
    return lowest
