"""Expected building load from its own history."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def profile_kw(measured_kw: Floats, weekday: Ints, minute: Ints, step_minutes: int) -> Floats:
    """Return the mean load by weekday and time of day, in kW, shape (7, steps per day).

    `weekday` (0 = Monday) and `minute` (after local midnight) say when each measured step began. A slot that was
    never seen takes the mean of the same time on the other working or weekend days, else of all values.
    """
    slots = 24 * 60 // step_minutes
    slot = minute // step_minutes
    seen = np.isfinite(measured_kw)
    if not seen.any():
        return np.full((7, slots), np.nan)
    sums, counts = np.zeros((7, slots)), np.zeros((7, slots))
    np.add.at(sums, (weekday[seen], slot[seen]), measured_kw[seen])
    np.add.at(counts, (weekday[seen], slot[seen]), 1.0)
    table = np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
    for days in (slice(0, 5), slice(5, 7)):
        total, number = sums[days].sum(axis=0), counts[days].sum(axis=0)
        alike = np.where(number > 0, total / np.maximum(number, 1.0), np.nan)
        table[days] = np.where(np.isnan(table[days]), alike, table[days])
    return np.where(np.isnan(table), float(measured_kw[seen].mean()), table)


def forecast_kw(profile: Floats, weekday: Ints, minute: Ints, level: float = 1.0) -> Floats:
    """Return the load at steps that begin at (`weekday`, `minute`), scaled by `level`, in kW."""
    step_minutes = 24 * 60 // profile.shape[1]
    expected: Floats = profile[weekday, minute // step_minutes] * level
    return expected


def level(measured_kw: Floats, expected_kw: Floats) -> float:
    """Return how much above (over 1) or below the profile the last hours were, within 0.5 to 1.5."""
    seen = np.isfinite(measured_kw) & (expected_kw > 0)
    if not seen.any():
        return 1.0
    return float(np.clip(measured_kw[seen].sum() / expected_kw[seen].sum(), 0.5, 1.5))
