"""Orders of a person for one vehicle: what they are in a case, and which limits and energies they ask for.

An order rules the half-open steps from_step..to_step. "hold" stops charge and discharge, "no_discharge" stops
discharge, "limit" keeps both at or below `max_kw`, and "charge_now" charges with all the power there is until `soc` is
reached, and keeps it. Where orders overlap, the strictest limit counts. No order lifts a limit of charger, node or
site.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from charging.planner.reading import Fields

FloatArray = NDArray[np.float64]
Kind = Literal["charge_now", "hold", "no_discharge", "limit"]
KINDS = ("charge_now", "hold", "no_discharge", "limit")


@dataclass(frozen=True, slots=True)
class Override:
    """An order over the half-open steps; `max_kw` belongs to "limit" and `soc` to "charge_now" (None elsewhere)."""

    kind: Kind
    from_step: int
    to_step: int
    max_kw: float | None = None
    soc: float | None = None

    def rules(self, start: int, end: int) -> bool:
        """Tell whether the order rules any of the half-open steps."""
        return self.from_step < end and start < self.to_step


def read_overrides(fields: Fields, steps: int, max_soc: float) -> tuple[Override, ...]:
    """Read the orders of a vehicle; `max_soc` is the SoC that "charge_now" goes to where it names none."""
    known = tuple(field.name for field in fields_of(Override))
    return tuple(_read_override(item, steps, max_soc) for item in fields.children("overrides", known))


def _read_override(fields: Fields, steps: int, max_soc: float) -> Override:
    kind = fields.choice("kind", KINDS)
    first, last = fields.whole("from_step", 0, steps - 1), fields.whole("to_step", 1, steps)
    if last <= first:
        fields.note("to_step", f"{last} is not after from_step {first}; use a later step")
    for key, owner in (("max_kw", "limit"), ("soc", "charge_now")):
        if kind != owner and fields.data.get(key) is not None:
            fields.note(key, f"belongs to the kind {owner}; remove it")
    max_kw = fields.number("max_kw", low=0.0) if kind == "limit" else None
    soc = fields.number("soc", max_soc, 0.0, 1.0) if kind == "charge_now" else None
    if soc is not None and soc > max_soc:
        fields.note("soc", f"{soc:g} is above the vehicle's max_soc {max_soc:g}; lower it")
    return Override(cast(Kind, kind), first, last, max_kw, soc)


def limit_powers(overrides: Sequence[Override], charge_kw: FloatArray, discharge_kw: FloatArray) -> None:
    """Lower a vehicle's power limits per step to what orders allow, in place."""
    for item in overrides:
        span = slice(item.from_step, item.to_step)
        if item.kind in ("hold", "limit"):
            most = 0.0 if item.max_kw is None else item.max_kw
            charge_kw[span] = np.minimum(charge_kw[span], most)
            discharge_kw[span] = np.minimum(discharge_kw[span], most)
        elif item.kind == "no_discharge":
            discharge_kw[span] = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """A vehicle as if it were alone at the depot: most power per step, use per step (kWh), and its stays.

    One kW over a step adds `per_kw` kWh, less `lost_kwh` for any power, and `taken_kw` is the most power that it takes
    at an energy in kWh.
    """

    capacity_kwh: float
    initial_kwh: float
    limit_kw: FloatArray
    per_kw: float
    lost_kwh: float
    taken_kw: Callable[[float], float]
    use_kwh: FloatArray
    plugged: NDArray[np.bool_]


def ordered_kwh(overrides: Sequence[Override], alone: Alone) -> FloatArray:
    """Return the energy that "charge_now" asks for at each boundary (T + 1), -inf where it asks for none.

    It is what the vehicle holds when it charges with all its power from from_step on; what was charged before then
    counts too. The order ends at to_step, or when the vehicle leaves with the SoC that was asked for.
    """
    steps = len(alone.use_kwh)
    ordered = np.full(steps + 1, -np.inf)
    for item in overrides:
        if item.kind != "charge_now" or item.soc is None:
            continue
        wanted = item.soc * alone.capacity_kwh
        energy = alone.initial_kwh - float(alone.use_kwh[: item.from_step].sum())
        for step in range(item.from_step, item.to_step):
            if not alone.plugged[step] and energy >= wanted:
                break
            power = min(float(alone.limit_kw[step]), alone.taken_kw(energy))
            gained = min(max(0.0, alone.per_kw * power - alone.lost_kwh), max(0.0, wanted - energy))
            energy += gained - float(alone.use_kwh[step])
            ordered[step + 1] = max(float(ordered[step + 1]), min(energy, wanted))
    return ordered
