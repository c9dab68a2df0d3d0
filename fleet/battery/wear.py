"""Price battery wear for the planner: per kWh through the charger, and per hour at a high state of charge.

Method: age the cell over a planning life of a plain duty, and again with an extra daily swing as a
discharge to the grid makes it. The extra cycling loss per extra kWh, valued at the price of the pack over
the loss that its owner allows, is the cost of a kWh. A planning life is used and not the present state,
because a power law makes a new pack look dearer and an old one cheaper than the kWh is over its life. The
duty's energy stays the same while the battery fades.

Standing at a high SoC is priced apart, from the calendar part of the same models, so that nothing counts
twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.battery.ageing import AgeingState, age_years, extrapolation, new_cell
from fleet.battery.cell_model import CellModel
from fleet.battery.cells import cell_models
from fleet.battery.profile import HOURS_PER_DAY, HOURS_PER_YEAR, SocProfile, daily_use, make_profile

DEFAULT_ALLOWED_LOSS = 0.30
DEFAULT_PLANNING_YEARS = 10
DEFAULT_SWING = 0.2
STANDING_FROM_SOC = 0.6
SOC_BANDS = ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
_STANDING_AT_SOC = 0.9
_DAILY_DRIVE_SOC = 0.24


@dataclass(frozen=True, slots=True)
class PackValue:
    """Hold what a pack is worth: its usable size, its price per kWh, and the loss at which it is worn out."""

    capacity_kwh: float
    price_per_kwh: float
    allowed_loss: float = DEFAULT_ALLOWED_LOSS

    def __post_init__(self) -> None:
        if self.capacity_kwh <= 0:
            raise ValueError(f"A pack needs a positive capacity in kWh, not {self.capacity_kwh}.")
        if self.price_per_kwh < 0:
            raise ValueError(f"A pack price per kWh must not be negative, not {self.price_per_kwh}.")
        if not 0 < self.allowed_loss <= 1:
            raise ValueError(f"The allowed loss must lie in 0..1, not {self.allowed_loss}.")

    @property
    def cost_of_loss(self) -> float:
        """Return the cost of losing the whole relative capacity; times a loss it is that loss's cost."""
        return self.capacity_kwh * self.price_per_kwh / self.allowed_loss


@dataclass(frozen=True, slots=True)
class WearCost:
    """Hold the marginal cost per kWh leaving the battery through the charger, and whose model gave it."""

    model: str
    cost_per_kwh: float
    loss_per_kwh: float
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class StandingCost:
    """Hold the cost of an hour of standing, per kWh stored above `from_soc`."""

    model: str
    from_soc: float
    cost_per_kwh_hour: float

    def cost(self, soc: float, capacity_kwh: float, hours: float) -> float:
        """Return the cost of standing for some hours at a SoC; nothing at or below `from_soc`."""
        return self.cost_per_kwh_hour * max(0.0, soc - self.from_soc) * capacity_kwh * hours


def marginal_wear_cost(
    chemistry: str,
    temperature_c: float,
    pack: PackValue,
    *,
    swing: float = DEFAULT_SWING,
    years: int = DEFAULT_PLANNING_YEARS,
) -> WearCost:
    """Return the cost per kWh of a daily extra swing of `swing` (SoC) on top of a plain duty.

    The plain duty is charged late at night to 80 %, drives twice a day (0.24 SoC together, 88 full cycles a
    year) and stands at 56 to 68 % in between. For "nmc" the dearer of two models answers.
    Raises ValueError for an unknown chemistry and for a swing that the duty leaves no room for.
    """
    if not 0 < swing <= 0.5:
        raise ValueError(f"The extra daily swing must lie between 0 and 0.5, not {swing}.")
    base, extra = _duty(temperature_c, 0.0), _duty(temperature_c, swing)
    return _dearest(chemistry, base, extra, pack, years)


def band_wear_costs(
    chemistry: str,
    temperature_c: float,
    pack: PackValue,
    *,
    bands: tuple[tuple[float, float], ...] = SOC_BANDS,
    years: int = DEFAULT_PLANNING_YEARS,
) -> list[WearCost]:
    """Return the cost per kWh of one daily swing through each SoC band, over standing at its upper end.

    A band is (low, high) with 0 <= low < high <= 1.
    """
    return [_band_cost(chemistry, temperature_c, pack, band, years) for band in bands]


def standing_cost(
    chemistry: str, temperature_c: float, pack: PackValue, *, years: int = DEFAULT_PLANNING_YEARS
) -> StandingCost:
    """Return the price of calendar ageing above 60 % SoC, as the slope of its cost from 60 to 90 %.

    Models whose calendar ageing is no faster at a high SoC give 0. For "nmc" the dearer of two answers.
    """
    costs = []
    for model in cell_models(chemistry):
        high = _resting_loss(model, temperature_c, _STANDING_AT_SOC, years)
        low = _resting_loss(model, temperature_c, STANDING_FROM_SOC, years)
        stored_kwh = (_STANDING_AT_SOC - STANDING_FROM_SOC) * pack.capacity_kwh
        per_hour = (high - low) * pack.cost_of_loss / (years * HOURS_PER_YEAR)
        costs.append(StandingCost(model.name, STANDING_FROM_SOC, max(0.0, per_hour / stored_kwh)))
    return max(costs, key=lambda cost: cost.cost_per_kwh_hour)


def profile_wear_cost(model: CellModel, profile: SocProfile, pack: PackValue, years: int) -> WearCost:
    """Return the mean cost per kWh discharged of a repeated profile: its cycling loss over its throughput."""
    state = _aged(model, profile, years)
    discharged_kwh = state.equivalent_full_cycles * pack.capacity_kwh
    if discharged_kwh <= 0:
        return WearCost(model.name, 0.0, 0.0, extrapolated=False)
    loss_per_kwh = state.cycle_loss / discharged_kwh
    outside = extrapolation(model, daily_use(profile)).extrapolated
    return WearCost(model.name, loss_per_kwh * pack.cost_of_loss, loss_per_kwh, outside)


def _band_cost(
    chemistry: str, temperature_c: float, pack: PackValue, band: tuple[float, float], years: int
) -> WearCost:
    low, high = band
    if not 0 <= low < high <= 1:
        raise ValueError(f"A SoC band must rise within 0..1, not {low} to {high}.")
    hours = [0.0, 8.0, 11.0, 14.0, 24.0]
    rest = make_profile(hours, [high] * 5, temperature_c)
    cycled = make_profile(hours, [high, high, low, high, high], temperature_c)
    return _dearest(chemistry, rest, cycled, pack, years)


def _dearest(chemistry: str, base: SocProfile, extra: SocProfile, pack: PackValue, years: int) -> WearCost:
    costs = []
    for model in cell_models(chemistry):
        plain, worked = _aged(model, base, years), _aged(model, extra, years)
        extra_cycles = worked.equivalent_full_cycles - plain.equivalent_full_cycles
        extra_loss = max(0.0, worked.cycle_loss - plain.cycle_loss)
        loss_per_kwh = extra_loss / (extra_cycles * pack.capacity_kwh)
        outside = extrapolation(model, daily_use(extra)).extrapolated
        costs.append(WearCost(model.name, loss_per_kwh * pack.cost_of_loss, loss_per_kwh, outside))
    return max(costs, key=lambda cost: cost.cost_per_kwh)


def _resting_loss(model: CellModel, temperature_c: float, soc: float, years: int) -> float:
    return _aged(model, make_profile([0.0, HOURS_PER_DAY], [soc, soc], temperature_c), years).calendar_loss


def _aged(model: CellModel, day: SocProfile, years: int) -> AgeingState:
    *_, state = age_years(new_cell(model), day, years, constant_energy=True)
    return state


def _duty(temperature_c: float, swing: float) -> SocProfile:
    run = _DAILY_DRIVE_SOC / 2
    morning, noon, evening = 0.8, 0.8 - run, 0.8 - 2 * run
    hours = [0.0, 2.0, 6.0, 6.5, 8.0, 14.5, 16.0, 17.0, 20.0, 24.0]
    soc = [evening - swing] * 2 + [morning] * 2 + [noon] * 2 + [evening] * 2 + [evening - swing] * 2
    return make_profile(hours, soc, temperature_c)
