"""What else a case may price, ask for or sell: wear, standing full, taper, flexible loads, events, reserve."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charging.planner.reading import Fields

FloatArray = NDArray[np.float64]
EventKind = Literal["reduce", "export"]
UNLIMITED = float("inf")
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class PriceTier:
    """The price of each kW of a peak from `from_kw` up to the next tier."""

    from_kw: float
    price_per_kw: float


@dataclass(frozen=True, slots=True)
class WearBand:
    """The wear cost of a kWh that leaves the battery below a SoC (and at or above the band before)."""

    below_soc: float
    cost_per_kwh: float


@dataclass(frozen=True, slots=True)
class ThroughputPrice:
    """What each kWh that leaves the battery over the horizon costs on top, up to an amount (inf: the rest)."""

    up_to_kwh: float
    price_per_kwh: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What a kWh above a SoC costs for each hour that it stands there, plugged in."""

    above_soc: float
    cost_per_kwh_h: float


@dataclass(frozen=True, slots=True)
class TaperPoint:
    """The most charge power that a vehicle takes at a SoC; straight lines between points, flat outside them."""

    soc: float
    max_charge_kw: float


@dataclass(frozen=True, slots=True)
class FlexibleLoad:
    """A load that draws its energy at any time in the half-open steps from..to, up to `max_kw`."""

    id: str
    node: str | None
    energy_kwh: float
    max_kw: float
    from_step: int
    to_step: int


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """A utility programme's call in the half-open steps from..to, paid for what is delivered against a baseline."""

    id: str
    from_step: int
    to_step: int
    kind: EventKind
    pay_per_kwh: float
    pay_per_kw: float
    baseline_kw: FloatArray
    cap_kw: float = UNLIMITED
    min_kw: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Frequency:
    """Power offered up and down, with the energy to hold it for `hours`."""

    pay_per_kw_h: FloatArray
    symmetric: bool = True
    hours: float = 1.0
    max_kw: float = UNLIMITED


@dataclass(frozen=True, slots=True, eq=False)
class Reserve:
    """Energy kept ready at each step's end, and frequency reserve."""

    backup_kwh: FloatArray
    frequency: Frequency | None = None


def read_tiers(fields: Fields) -> tuple[PriceTier, ...]:
    """Read the tiers of a demand charge; they and `price_per_kw` exclude each other."""
    items = fields.children("tiers", ("from_kw", "price_per_kw"))
    tiers = tuple(
        PriceTier(item.number("from_kw", low=0.0), item.number("price_per_kw", low=0.0)) for item in items
    )
    if tiers and fields.data.get("price_per_kw"):
        fields.note("tiers", "stand beside price_per_kw; give one or the other")
    if tiers and tiers[0].from_kw != 0.0:
        fields.note("tiers[0].from_kw", f"is {tiers[0].from_kw:g}; the first tier begins at 0")
    _note_unless_rising(fields, "tiers", "from_kw", [tier.from_kw for tier in tiers])
    if _falls([tier.price_per_kw for tier in tiers]):
        fields.note("tiers", "tiers whose price falls are not convex and are refused; let the price rise")
    return tiers


def read_wear_bands(fields: Fields) -> tuple[WearBand, ...]:
    """Read wear by SoC band; it replaces `wear_cost_per_kwh`."""
    items = fields.children("wear_bands", ("below_soc", "cost_per_kwh"))
    bands = tuple(
        WearBand(item.number("below_soc", low=0.0), item.number("cost_per_kwh", low=0.0)) for item in items
    )
    _note_unless_rising(fields, "wear_bands", "below_soc", [band.below_soc for band in bands])
    if bands and fields.data.get("wear_cost_per_kwh"):
        fields.note("wear_bands", "stand beside wear_cost_per_kwh; give one or the other")
    if bands and bands[-1].below_soc < 1.0:
        fields.note("wear_bands", "end below a full battery; let the last below_soc be 1 or more")
    if _falls([-band.cost_per_kwh for band in bands]):
        fields.note("wear_bands", "a wear price that rises with SoC is refused; let lower bands cost more")
    return bands


def read_throughput(fields: Fields) -> tuple[ThroughputPrice, ...]:
    """Read the price on what leaves the battery over the horizon."""
    prices = []
    for item in fields.children("throughput", ("up_to_kwh", "price_per_kwh")):
        end = item.optional_number("up_to_kwh", 0.0)
        prices.append(
            ThroughputPrice(UNLIMITED if end is None else end, item.number("price_per_kwh", low=0.0))
        )
    _note_unless_rising(fields, "throughput", "up_to_kwh", [item.up_to_kwh for item in prices])
    if prices and prices[-1].up_to_kwh != UNLIMITED:
        fields.note("throughput", "has an end; write null as the last up_to_kwh")
    if _falls([item.price_per_kwh for item in prices]):
        fields.note("throughput", "a price that falls with use is not convex and is refused; let it rise")
    return tuple(prices)


def read_standing(fields: Fields) -> Standing | None:
    """Read the price on standing at a high SoC."""
    if fields.data.get("standing") is None:
        return None
    item = fields.child("standing", ("above_soc", "cost_per_kwh_h"))
    return Standing(item.number("above_soc", None, 0.0, 1.0), item.number("cost_per_kwh_h", low=0.0))


def read_taper(fields: Fields) -> tuple[TaperPoint, ...]:
    """Read the charge power that falls at high SoC."""
    items = fields.children("taper", ("soc", "max_charge_kw"))
    points = tuple(
        TaperPoint(item.number("soc", None, 0.0, 1.0), item.number("max_charge_kw", low=0.0))
        for item in items
    )
    before = len(fields.problems)
    _note_unless_rising(fields, "taper", "soc", [point.soc for point in points])
    if len(fields.problems) > before:
        return points
    slopes = [
        (high.max_charge_kw - low.max_charge_kw) / (high.soc - low.soc) for low, high in pairwise(points)
    ]
    if any(slope > SAME for slope in slopes):
        fields.note("taper", "a power that rises with SoC is refused; let it fall or stay")
    if _falls([-slope for slope in slopes]):
        fields.note(
            "taper", "a curve that flattens as SoC rises is not concave and is refused; let it bend down"
        )
    return points


def read_flexible_load(fields: Fields, node: str | None, steps: int) -> FlexibleLoad:
    """Read one flexible load."""
    first, last = read_window(fields, steps)
    return FlexibleLoad(
        id=fields.text("id"),
        node=node,
        energy_kwh=fields.number("energy_kwh", low=0.0),
        max_kw=fields.number("max_kw", low=0.0),
        from_step=first,
        to_step=last,
    )


def read_event(fields: Fields, steps: int) -> Event:
    """Read one event; it pays per kWh or per kW."""
    first, last = read_window(fields, steps)
    kind: EventKind = "reduce" if fields.choice("kind", ("reduce", "export")) == "reduce" else "export"
    pays = [fields.data.get(key) for key in ("pay_per_kwh", "pay_per_kw")]
    if pays == [None, None] or all(pays):
        fields.note("pay_per_kwh", "and pay_per_kw exclude each other; give one of the two")
    cap = fields.optional_number("cap_kw", 0.0)
    return Event(
        id=fields.text("id"),
        from_step=first,
        to_step=last,
        kind=kind,
        pay_per_kwh=fields.number("pay_per_kwh", 0.0, low=0.0),
        pay_per_kw=fields.number("pay_per_kw", 0.0, low=0.0),
        baseline_kw=fields.series("baseline_kw", steps, 0.0 if kind == "export" else None, low=0.0),
        cap_kw=UNLIMITED if cap is None else cap,
        min_kw=fields.number("min_kw", 0.0, low=0.0),
    )


def read_reserve(fields: Fields, steps: int) -> Reserve:
    """Read backup and frequency reserve."""
    frequency = None
    if fields.data.get("frequency") is not None:
        item = fields.child("frequency", ("pay_per_kw_h", "symmetric", "hours", "max_kw"))
        most = item.optional_number("max_kw", 0.0)
        frequency = Frequency(
            pay_per_kw_h=item.series("pay_per_kw_h", steps, low=0.0),
            symmetric=item.flag("symmetric", True),
            hours=item.positive("hours") if item.data.get("hours") is not None else 1.0,
            max_kw=UNLIMITED if most is None else most,
        )
    return Reserve(fields.series("backup_kwh", steps, 0.0, low=0.0), frequency)


def read_window(fields: Fields, steps: int) -> tuple[int, int]:
    """Read the half-open steps from..to."""
    first, last = fields.whole("from_step", 0, steps - 1), fields.whole("to_step", 1, steps)
    if last <= first:
        fields.note("to_step", f"{last} is not after from_step {first}; use a later step")
    return first, max(last, first + 1)


def _note_unless_rising(fields: Fields, key: str, part: str, values: Sequence[float]) -> None:
    if any(after <= before for before, after in pairwise(values)):
        fields.note(key, f"{part} does not rise from one to the next; sort them and leave out doubles")


def _falls(values: Sequence[float]) -> bool:
    return any(after < before - SAME for before, after in pairwise(values))
