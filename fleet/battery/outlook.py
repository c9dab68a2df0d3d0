"""Look ahead: what a battery will lose if it goes on being used as it was.

A pack that has just begun to be used harder loses fast at first, because its losses follow power laws; the rate of
the moment therefore says little about the years. With an unchanged use, each law's own variable grows evenly:
u = loss ** (1 / exponent) for standing and cycling, and the full cycles over their life for the active material.
"""

from __future__ import annotations

from dataclasses import replace

from fleet.battery.ageing import AgeingState, material_loss, material_progress
from fleet.battery.cells import CELL_MODELS

DAYS_PER_YEAR = 365.0
OUTLOOK_YEARS = 5


def loss_per_year_ahead(before: AgeingState, after: AgeingState, years: float = OUTLOOK_YEARS) -> float:
    """Return the mean loss a year (share of the new capacity) over the next `years` from `after`.

    The use is that which led from `before` to `after`. Raises ValueError when no time lies between them, or when
    they are states of two models.
    """
    if before.model != after.model:
        raise ValueError(f"The states are of two models, {before.model} and {after.model}.")
    days = after.age_days - before.age_days
    if days <= 0:
        raise ValueError("The second state must be older than the first.")
    times = years * DAYS_PER_YEAR / days
    model = CELL_MODELS[after.model]
    material = after.material_loss
    if model.material_life is not None:
        progress = material_progress(after.material_loss)
        material = material_loss(progress + times * (progress - material_progress(before.material_loss)))
    later = replace(
        after,
        calendar_loss=_grown(before.calendar_loss, after.calendar_loss, model.calendar_exponent, times),
        lithium_cycle_loss=_grown(
            before.lithium_cycle_loss, after.lithium_cycle_loss, model.cycle_exponent, times
        ),
        material_loss=material,
    )
    return (after.capacity - later.capacity) / years


def _grown(before: float, after: float, exponent: float, times: float) -> float:
    inverse = 1 / exponent
    return float((after**inverse + times * (after**inverse - before**inverse)) ** exponent)
