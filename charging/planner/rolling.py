"""What a plan that is soon made anew has to know: how the day may go wrong, and what the last plan was about to do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from charging.planner.reading import Fields, is_number

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BadDay:
    """A day on which everything goes wrong at once: trips as they say (duties.Away), and the site as said here.

    The first `replan_steps` steps are done before a new plan can react to anything.
    """

    building_load_kw: FloatArray
    solar_kw: FloatArray
    replan_steps: int = 1


BAD_DAY = tuple(field.name for field in fields(BadDay))


def read_bad_day(item: Fields, steps: int, expected: tuple[FloatArray, FloatArray]) -> BadDay:
    """Read a bad day; building load and sun that are not given are the `expected` ones."""
    building, solar = expected
    return BadDay(
        building_load_kw=item.series("building_load_kw", steps)
        if item.data.get("building_load_kw") is not None
        else building,
        solar_kw=item.series("solar_kw", steps, low=0.0) if item.data.get("solar_kw") is not None else solar,
        replan_steps=item.whole("replan_steps", 1, steps, default=1),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Previous:
    """What the last plan was about to do in the first steps: charge less discharge in kW, by vehicle or battery.

    Each kW by which a step differs from it costs `price_per_kw`, beside the cost.
    """

    price_per_kw: float
    net_kw: Mapping[str, tuple[float, ...]]

    def changed_kw(self, name: str, net_kw: FloatArray) -> float:
        """Return how much the powers (T,) of a vehicle or battery differ from the last plan's, summed over steps."""
        before = self.net_kw.get(name, ())
        return float(np.abs(net_kw[: len(before)] - np.array(before)).sum())


PREVIOUS = tuple(field.name for field in fields(Previous))


def read_previous(item: Fields, steps: int, known: Collection[str]) -> Previous:
    """Read what the last plan was about to do with the `known` vehicles and batteries."""
    powers = item.child("net_kw", known)
    found = {}
    for name, values in powers.data.items():
        if not isinstance(values, list) or len(values) > steps or not all(map(is_number, values)):
            powers.note(name, f"is no list of up to {steps} powers in kW; give those of the first steps")
            continue
        found[name] = tuple(float(value) for value in values)
    return Previous(item.number("price_per_kw", low=0.0), found)
