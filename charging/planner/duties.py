"""What a vehicle has to do: trips and targets."""

from dataclasses import dataclass, fields
from typing import Literal

from charging.planner.reading import Fields

Tier = Literal["must", "should"]


@dataclass(frozen=True, slots=True)
class Away:
    """A trip over the half-open steps from..to; its energy is used evenly over them.

    On a bad day (rolling.BadDay) it ends `late_steps` later and uses `extra_kwh` more.
    """

    from_step: int
    to_step: int
    energy_kwh: float
    late_steps: int = 0
    extra_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """The SoC wanted at a boundary; a "should" target costs `price_per_kwh` per missing kWh."""

    boundary: int
    soc: float
    tier: Tier
    price_per_kwh: float = 0.0


AWAY = tuple(field.name for field in fields(Away))
TARGET = tuple(field.name for field in fields(Target))


def read_away(fields: Fields, steps: int) -> tuple[Away, ...]:
    """Read the trips of a vehicle, earliest first."""
    trips: list[Away] = []
    for item in fields.children("away", AWAY):
        first = item.whole("from_step", 0, steps - 1)
        last = item.whole("to_step", 1, steps)
        if last <= first:
            item.note("to_step", f"{last} is not after from_step {first}; use a later step")
        if any(first < other.to_step and other.from_step < last for other in trips):
            item.note("from_step", "overlaps another trip of this vehicle; merge or move one")
        trips.append(
            Away(
                first,
                last,
                item.number("energy_kwh", 0.0, low=0.0),
                item.whole("late_steps", 0, default=0),
                item.number("extra_kwh", 0.0, low=0.0),
            )
        )
    return tuple(sorted(trips, key=lambda trip: trip.from_step))


def read_target(fields: Fields, steps: int) -> Target:
    """Read one target of a vehicle."""
    tier: Tier = "must" if fields.choice("tier", ("must", "should")) == "must" else "should"
    default_price = 0.0 if tier == "must" else None
    return Target(
        boundary=fields.whole("boundary", 0, steps),
        soc=fields.number("soc", None, 0.0, 1.0),
        tier=tier,
        price_per_kwh=fields.number("price_per_kwh", default_price, low=0.0),
    )
