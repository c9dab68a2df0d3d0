"""Demand charges of a case, and how they are read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charging.planner.reading import Fields
from charging.planner.values import PriceTier, read_tiers

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class DemandCharge:
    """A price on the highest metered import in a window, one maximum per billing period.

    `period` numbers each step's billing period (0..P-1); `billed_kw_so_far` has P values.
    """

    id: str
    price_per_kw: float
    billed_kw_so_far: FloatArray
    window: BoolArray
    period: IntArray
    metering_minutes: int
    tiers: tuple[PriceTier, ...] = ()


def read_demand(fields: Fields, steps: int, step_minutes: int) -> DemandCharge:
    """Read one demand charge."""
    window = fields.series("window", steps, default=1.0)
    if not np.isin(window, (0.0, 1.0)).all():
        fields.note("window", "holds something else than 0 and 1; write 1 for each step that counts")
    period, billed = _read_periods(fields, steps)
    metering = fields.whole("metering_minutes", 1, default=step_minutes)
    if metering % step_minutes:
        fields.note(
            "metering_minutes",
            f"{metering} is no multiple of the step of {step_minutes} minutes; use a multiple",
        )
    tiers = read_tiers(fields)
    return DemandCharge(
        id=fields.text("id"),
        price_per_kw=fields.number("price_per_kw", 0.0 if tiers else None, low=0.0),
        billed_kw_so_far=billed,
        window=window > 0.5,
        period=period,
        metering_minutes=metering,
        tiers=tiers,
    )


def _read_periods(fields: Fields, steps: int) -> tuple[IntArray, FloatArray]:
    """Return each step's period as an index, and what is billed so far in each period.

    Numbers 0..P-1 are taken as they are; others (such as 202603) are numbered in rising order.
    """
    raw = fields.series("period", steps, default=0.0)
    if (raw != np.round(raw)).any():
        fields.note("period", "holds numbers that are not whole; number the billing periods 0, 1, ...")
    names, ranked = np.unique(np.round(raw).astype(np.int64), return_inverse=True)
    listed = fields.data.get("billed_kw_so_far")
    if not isinstance(listed, list):
        billed = np.full(len(names), fields.number("billed_kw_so_far", 0.0, low=0.0))
        return ranked.astype(np.int64), billed
    billed = fields.series("billed_kw_so_far", len(listed), low=0.0)
    if names[0] >= 0 and names[-1] < len(listed):
        return np.round(raw).astype(np.int64), billed
    if len(names) != len(listed):
        fields.note(
            "billed_kw_so_far", f"has {len(listed)} values for {len(names)} periods; give one value a period"
        )
        return ranked.astype(np.int64), np.zeros(len(names))
    return ranked.astype(np.int64), billed
