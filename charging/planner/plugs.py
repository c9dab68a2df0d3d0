"""Chargers that are assigned: what a case says of plugs, and who is on which charger in each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from charging.planner.duties import Away
from charging.planner.reading import Fields

BoolArray = NDArray[np.bool_]
ASSIGNED = ""
"""The charger of a vehicle to which the planner assigns one (null in JSON)."""

Occupancy = Mapping[str, Sequence[str | None]]
"""By vehicle, the charger that it is on in each step; None = on none."""


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open steps from..to."""

    from_step: int
    to_step: int


@dataclass(frozen=True, slots=True, eq=False)
class Swaps:
    """How plugs may be moved by a person: how many (None: any number), how long it takes, and when somebody is there.

    For `steps` steps neither vehicle is plugged in. `staffed` says in which steps a move may begin.
    """

    max: int | None
    steps: int
    staffed: BoolArray


@dataclass(frozen=True, slots=True)
class Swap:
    """A plug that a person moves, beginning with a step; `from_vehicle` is None where the charger was free."""

    step: int
    charger: str
    from_vehicle: str | None
    to_vehicle: str


SWAPS = ("max", "steps", "staffed")
WINDOW = tuple(field.name for field in fields(Window))


def read_swaps(item: Fields, steps: int) -> Swaps:
    """Read how plugs may be moved."""
    staffed = item.series("staffed", steps, default=1.0)
    if not np.isin(staffed, (0.0, 1.0)).all():
        item.note("staffed", "holds something else than 0 and 1; write 1 where somebody is there")
    most = None if item.data.get("max") is None else item.whole("max", 0)
    return Swaps(most, item.whole("steps", 0, default=0), staffed > 0.5)


def read_windows(item: Fields, key: str, steps: int) -> tuple[Window, ...]:
    """Read windows of steps, earliest first."""
    windows = []
    for part in item.children(key, WINDOW):
        first, last = part.whole("from_step", 0, steps - 1), part.whole("to_step", 1, steps)
        if last <= first:
            part.note("to_step", f"{last} is not after from_step {first}; use a later step")
        windows.append(Window(first, last))
    return tuple(sorted(windows, key=lambda window: window.from_step))


def at_depot(away: Sequence[Away], steps: int) -> BoolArray:
    """Return the steps in which a vehicle is at the depot."""
    here = np.ones(steps, dtype=bool)
    for trip in away:
        here[trip.from_step : trip.to_step] = False
    return here


def swaps_of(
    occupancy: Occupancy, here: Mapping[str, BoolArray], before: Mapping[str, str | None], steps: int
) -> tuple[Swap, ...]:
    """Return the moves of plugs that an occupancy takes, by step.

    A vehicle that pulls in plugs itself in, unless the plug is still that of a parked vehicle. Every other plug that is
    in where it was not before was moved by a person, who began `steps` steps sooner.
    """
    found = []
    holder: dict[str, str] = {charger: name for name, charger in before.items() if charger is not None}
    length = max((len(row) for row in occupancy.values()), default=0)
    for step in range(length):
        holder = {charger: name for charger, name in holder.items() if here[name][step]}
        plugged = {row[step]: name for name, row in occupancy.items() if row[step] is not None}
        for charger, name in plugged.items():
            row, parked = occupancy[name], holder.get(str(charger))
            stays = charger == (row[step - 1] if step else before.get(name))
            pulls_in = step > 0 and not here[name][step - 1] and parked in (None, name)
            if not stays and not pulls_in:
                found.append(Swap(step - steps, str(charger), None if parked == name else parked, name))
        holder |= {str(charger): name for charger, name in plugged.items()}
    return tuple(sorted(found, key=lambda swap: (swap.step, swap.charger)))
