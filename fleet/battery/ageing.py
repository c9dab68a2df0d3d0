"""Age a cell through any history of use, one piece after another.

A power law with a changing rate is advanced exactly: with u = loss ** (1 / exponent) it says
du = rate ** (1 / exponent) * dx, so pieces add up and a history may be chained in as many parts as it
comes in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import atanh, tanh

import numpy as np
import numpy.typing as npt

from fleet.battery.cell_model import CellModel, CycleStress
from fleet.battery.cells import CELL_MODELS
from fleet.battery.profile import HOURS_PER_YEAR, KELVIN, DailyUse, SocProfile, daily_use, repeated

_MATERIAL_SURPLUS = 0.01
"""A new cell holds 1 % more active material than its lithium can use."""
_MATERIAL_EXPONENT = 10.0
_LARGEST_MATERIAL_LOSS = 1 - 1e-12
_TOLERATED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class AgeingState:
    """Hold how far a cell has aged; every loss is a share of the new cell's capacity."""

    model: str
    age_days: float = 0.0
    equivalent_full_cycles: float = 0.0
    calendar_loss: float = 0.0
    lithium_cycle_loss: float = 0.0
    material_loss: float = 0.0

    @property
    def capacity(self) -> float:
        """Return the relative capacity: what lithium or material, the scarcer, allows; never negative."""
        lithium = 1 - self.calendar_loss - self.lithium_cycle_loss
        return max(0.0, min(lithium, 1 + _MATERIAL_SURPLUS - self.material_loss))

    @property
    def cycle_loss(self) -> float:
        """Return the cycling part of the loss, so that capacity = 1 - calendar_loss - cycle_loss."""
        return 1 - self.calendar_loss - self.capacity


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """Hold the shares of a use that lie outside a model's tests: by throughput, temperature by time."""

    shallow: float
    deep: float
    fast_charge: float
    temperature: float

    @property
    def extrapolated(self) -> bool:
        """Return whether more than 5 % of the use lies outside what was tested, in any respect."""
        return max(self.shallow, self.deep, self.fast_charge, self.temperature) > _TOLERATED_SHARE


def new_cell(model: CellModel) -> AgeingState:
    """Return the state of a cell that has never been used."""
    return AgeingState(model=model.name, material_loss=model.material_loss_new)


def advance(state: AgeingState, profile: SocProfile, *, constant_energy: bool = False) -> AgeingState:
    """Return the state after one more piece of use.

    Days are counted from the start of the piece: pieces of whole days give exactly what they give in one go.
    SoC is a share of the present capacity: in a measured history a faded battery moves less charge for the
    same swing. With `constant_energy` the profile is the duty of a new battery, which a faded one does with
    wider swings, until a swing is the whole battery.
    """
    return advance_days(state, daily_use(profile), constant_energy=constant_energy)


def advance_days(state: AgeingState, use: DailyUse, *, constant_energy: bool = False) -> AgeingState:
    """Return the state after the days of use; `advance` for callers that need the daily stress as well."""
    model = CELL_MODELS[state.model]
    calendar_rates = model.calendar_rate(use).tolist()
    for day, stress in _daily_stress(use, calendar_rates):
        capacity = state.capacity
        widening = _widening(capacity, stress.depth) if constant_energy else 1.0
        state = _next_day(model, state, day, _scaled(stress, widening, capacity), widening * capacity)
    return state


def age_years(
    state: AgeingState, profile: SocProfile, years: int, *, constant_energy: bool = False
) -> Iterator[AgeingState]:
    """Yield the state at the end of each year of 365 days, with the profile repeated; see `advance`."""
    for year in range(years):
        piece = repeated(profile, year * HOURS_PER_YEAR, (year + 1) * HOURS_PER_YEAR)
        state = advance(state, piece, constant_energy=constant_energy)
        yield state


def extrapolation(model: CellModel, use: DailyUse) -> Extrapolation:
    """Return how much of a use lies outside the conditions that the model was tested in."""
    tested = model.tested
    celsius = use.mean_kelvin - KELVIN
    low, high = tested.temperature_c
    return Extrapolation(
        shallow=_share(use.depth < tested.depth[0], use.soc_travel),
        deep=_share(use.depth > tested.depth[1], use.soc_travel),
        fast_charge=_share(use.charge_rate > tested.max_charge_rate, use.soc_travel),
        temperature=_share((celsius < low) | (celsius > high), use.days),
    )


def _share(chosen: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]) -> float:
    total = float(weights.sum())
    return float(weights[chosen].sum()) / total if total > 0 else 0.0


def _daily_stress(use: DailyUse, calendar_rates: list[float]) -> Iterator[tuple[_Day, CycleStress]]:
    columns = (
        use.days,
        use.soc_travel,
        use.mean_kelvin,
        use.depth,
        use.mean_rate,
        use.charge_rate,
        use.mean_soc,
    )
    rows = zip(*(column.tolist() for column in columns), calendar_rates, strict=True)
    for days, travel, kelvin, depth, rate, charge_rate, mean_soc, calendar_rate in rows:
        yield _Day(days, travel / 2), CycleStress(kelvin, depth, rate, charge_rate, mean_soc, calendar_rate)


@dataclass(frozen=True, slots=True)
class _Day:
    days: float
    soc_cycles: float


def _widening(capacity: float, depth: float) -> float:
    """Return how much wider swings a faded battery needs for the same energy; a swing never passes 100 %."""
    return max(1.0, 1 / max(capacity, depth))


def _scaled(stress: CycleStress, widening: float, capacity: float) -> CycleStress:
    return CycleStress(
        kelvin=stress.kelvin,
        depth=stress.depth * widening,
        rate=stress.rate * widening * capacity,
        charge_rate=stress.charge_rate * widening * capacity,
        mean_soc=stress.mean_soc,
        calendar_rate=stress.calendar_rate,
    )


def _next_day(
    model: CellModel, state: AgeingState, day: _Day, stress: CycleStress, charge_per_soc: float
) -> AgeingState:
    cycles = day.soc_cycles * charge_per_soc
    calendar = _power_law(state.calendar_loss, stress.calendar_rate, model.calendar_exponent, day.days)
    cycling = _power_law(state.lithium_cycle_loss, model.cycle_rate(stress), model.cycle_exponent, cycles)
    material = state.material_loss
    if model.material_life is not None:
        material = _material_law(material, model.material_life(stress), cycles)
    return AgeingState(
        model=model.name,
        age_days=state.age_days + day.days,
        equivalent_full_cycles=state.equivalent_full_cycles + cycles,
        calendar_loss=calendar,
        lithium_cycle_loss=cycling,
        material_loss=material,
    )


def _power_law(loss: float, rate: float, exponent: float, step: float) -> float:
    inverse = 1 / exponent
    return float((loss**inverse + rate**inverse * step) ** exponent)


def _material_law(loss: float, life_cycles: float, step: float) -> float:
    """Return the loss y = tanh((x / life) ** 10 / 2) after x has grown by `step` full cycles."""
    return material_loss(material_progress(loss) + step / life_cycles)


def material_progress(loss: float) -> float:
    """Return how far, in lives of full cycles, a cell must have been used to have lost this active material."""
    return float((2 * atanh(loss)) ** (1 / _MATERIAL_EXPONENT))


def material_loss(progress: float) -> float:
    """Return the active material lost after a use of so many lives of full cycles."""
    return min(tanh(progress**_MATERIAL_EXPONENT / 2), _LARGEST_MATERIAL_LOSS)
