"""A random depot week for the closed loop: what is planned for, and what really happens."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charging.bands import late_quantile, least_quantile, share_quantile

FloatArray = NDArray[np.float64]

STEP_MINUTES = 15
HOURS = STEP_MINUTES / 60
DAY = 96
EFFICIENCY = 0.94
MIN_SOC = 0.1
RESERVE = 1.15
"""A bus has to leave with this times the energy that its trip is expected to take, above its minimum."""
HISTORY = 60
"""So many past trips of its kind are known of each trip, and as many past days of forecasts."""
# Usable kWh, charger kW, whether it discharges, and the trips of a day: out and back (steps of the day), kWh each.
KINDS: tuple[tuple[float, float, bool, tuple[tuple[int, int, float], ...]], ...] = (
    (155.0, 60.0, True, ((24, 38, 52.0), (54, 72, 62.0))),
    (226.0, 60.0, True, ((26, 40, 70.0), (56, 74, 80.0))),
    (350.0, 100.0, False, ((20, 74, 215.0),)),
    (450.0, 120.0, False, ((18, 84, 280.0),)),
    (79.0, 22.0, True, ((30, 46, 24.0), (52, 68, 26.0))),
    (120.0, 40.0, True, ((22, 36, 48.0), (44, 58, 44.0), (62, 80, 40.0))),
)


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip as scheduled, what is known of its kind, and how it really goes (`late` steps, `used_kwh`)."""

    out: int
    back: int
    energy_kwh: float
    required_soc: float
    late_band: int
    extra_band_kwh: float
    late: int
    used_kwh: float

    @property
    def real_back(self) -> int:
        """Return the step in which it is really back."""
        return self.back + self.late


@dataclass(frozen=True, slots=True)
class Bus:
    """A vehicle with a charger of its own and its trips, earliest first."""

    id: str
    capacity_kwh: float
    power_kw: float
    both_ways: bool
    floor_soc: float
    wear_per_kwh: float
    feeder: str
    initial_soc: float
    trips: tuple[Trip, ...]

    def out_at(self, step: int) -> Trip | None:
        """Return the trip that it is really on in a step."""
        return next((trip for trip in self.trips if trip.out <= step < trip.real_back), None)


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """A depot over `steps` steps and a horizon beyond; series are the truth, `base` and `clear` what is known of it."""

    name: str
    steps: int
    buses: tuple[Bus, ...]
    import_limit_kw: float
    export_limit_kw: float
    feeders_kw: dict[str, float]
    import_price: FloatArray
    export_price: FloatArray
    on_peak: NDArray[np.bool_]
    billed_kw: dict[str, float]
    building_kw: FloatArray
    solar_kw: FloatArray
    base_kw: FloatArray
    clear_kw: FloatArray
    cloud_forecast: FloatArray
    building_band: float
    solar_band: float


FACILITY_PER_KW, ON_PEAK_PER_KW = 9.5, 14.0
START = "2026-03-09T00:00:00-05:00"
# Spread of a trip's consumption, of a day's sun around its forecast, and of the building's load.
USE_SPREAD, SUN_SPREAD, LOAD_SPREAD, LOAD_MEMORY = 0.08, 0.2, 0.02, 0.97
LATE_SHARE, LATE_MORE, MOST_LATE = 0.3, 0.55, 7


def random_week(number: int, seed: int, vehicles: tuple[int, int], steps: int, horizon: int) -> Week:
    """Return a week of a random depot; the same numbers give the same week."""
    chance = np.random.default_rng((seed, number))
    count = int(chance.integers(vehicles[0], vehicles[1] + 1))
    whole = steps + horizon
    clock = np.arange(whole) % DAY / 4
    on_peak = (clock >= 16) & (clock < 21)
    buses = tuple(_bus(chance, place, whole) for place in range(count))
    power = sum(bus.power_kw for bus in buses)
    base = 3.0 * count * np.where((clock >= 7) & (clock < 18), 1.5, 1.0)
    clear = chance.uniform(2.0, 6.0) * count * np.maximum(0.0, 1 - ((clock - 12.5) / 5.5) ** 2)
    clouds = np.clip(chance.uniform(0.25, 1.0, size=whole // DAY + 1), 0.0, 1.0)
    forecast = np.clip(clouds + SUN_SPREAD * chance.standard_normal(len(clouds)), 0.05, 1.0)
    day = np.arange(whole) // DAY
    swing = np.clip(1 + 0.15 * chance.standard_normal(whole), 0.5, 1.3)
    building = base * (1 + _wandering(chance, whole))
    past_load = _wandering(chance, HISTORY * DAY)
    past_sun = SUN_SPREAD * chance.standard_normal(HISTORY)
    return Week(
        name=f"week-{seed}-{number}",
        steps=steps,
        buses=buses,
        import_limit_kw=float(chance.uniform(0.4, 0.7)) * power + 6.0 * count,
        export_limit_kw=0.3 * power,
        feeders_kw={
            name: 0.65 * sum(bus.power_kw for bus in buses if bus.feeder == name) for name in ("east", "west")
        },
        import_price=np.where(on_peak, 0.31, np.where(clock < 6, 0.11, 0.15)),
        export_price=np.where(on_peak, 0.18, 0.06),
        on_peak=on_peak,
        billed_kw={"facility": float(chance.uniform(6.0, 14.0)) * count, "on_peak": 4.0 * count},
        building_kw=np.maximum(0.0, building),
        solar_kw=np.minimum(clear, clear * clouds[day] * swing),
        base_kw=base,
        clear_kw=clear,
        cloud_forecast=forecast[day],
        building_band=share_quantile(past_load.tolist()),
        solar_band=least_quantile(past_sun.tolist()),
    )


def _wandering(chance: np.random.Generator, count: int) -> FloatArray:
    """Return the building's relative errors: each step most of the one before."""
    errors, error = np.empty(count), 0.0
    for step, shock in enumerate(LOAD_SPREAD * chance.standard_normal(count)):
        error = LOAD_MEMORY * error + shock
        errors[step] = error
    return np.clip(errors, -0.5, 0.5)


def _bus(chance: np.random.Generator, number: int, whole: int) -> Bus:
    capacity, power, both_ways, plan = KINDS[int(chance.integers(len(KINDS)))]
    works_weekends = bool(chance.random() < 0.4)
    history = [(_late(chance), _factor(chance)) for _ in range(HISTORY)]
    late_band = late_quantile([float(late) for late, _ in history])
    extra_band = share_quantile([factor - 1.0 for _, factor in history])
    trips: list[Trip] = []
    moved = int(chance.integers(-3, 4))
    for day in range(whole // DAY + 1):
        if day % 7 >= 5 and not works_weekends:
            continue
        for out, back, energy in plan:
            begin, kwh = day * DAY + out + moved, energy * float(chance.uniform(0.85, 1.1))
            if begin >= whole:
                continue
            trips.append(
                Trip(
                    out=begin,
                    back=day * DAY + back + moved,
                    energy_kwh=kwh,
                    required_soc=float(np.ceil(1e3 * (MIN_SOC + RESERVE * kwh / capacity)) / 1e3),
                    late_band=late_band,
                    extra_band_kwh=extra_band * kwh,
                    late=_late(chance),
                    used_kwh=kwh * _factor(chance),
                )
            )
    # Another bus would take a trip that begins before this one is back.
    following = [*(trip.out for trip in trips[1:]), whole]
    trips = [
        replace(trip, late=min(trip.late, max(out - trip.back, 0)))
        for trip, out in zip(trips, following, strict=False)
    ]
    return Bus(
        id=f"bus-{number}",
        capacity_kwh=capacity,
        power_kw=power,
        both_ways=both_ways,
        floor_soc=float(chance.choice((0.2, 0.3, 0.4))),
        wear_per_kwh=round(float(chance.uniform(0.02, 0.06)), 3),
        feeder="east" if number % 2 else "west",
        initial_soc=round(float(chance.uniform(0.5, 0.9)), 3),
        trips=tuple(trips),
    )


def _late(chance: np.random.Generator) -> int:
    """Return by how many steps a trip comes back late: mostly none, else a few."""
    if chance.random() >= LATE_SHARE:
        return 0
    return min(MOST_LATE, int(chance.geometric(LATE_MORE)))


def _factor(chance: np.random.Generator) -> float:
    return float(np.clip(1 + USE_SPREAD * chance.standard_normal(), 0.8, 1.13))


def forecast_of(week: Week, step: int, horizon: int) -> tuple[FloatArray, FloatArray]:
    """Return the building load and the sun expected from a step on: today's errors fade with the hours."""
    span = slice(step, step + horizon)
    fading = LOAD_MEMORY ** np.arange(1, horizon + 1)
    last = max(0, step - 1)
    error = week.building_kw[last] / week.base_kw[last] - 1
    building = week.base_kw[span] * (1 + error * fading)
    clouds = week.cloud_forecast[span].copy()
    if week.clear_kw[last] > 0.2 * week.clear_kw.max():
        seen = week.solar_kw[last] / week.clear_kw[last]
        clouds += (seen - week.cloud_forecast[last]) * 0.9 ** np.arange(1, horizon + 1)
    return building, week.clear_kw[span] * np.clip(clouds, 0.0, 1.0)


def case_of(
    week: Week, span: tuple[int, int], series: tuple[FloatArray, FloatArray], limit_share: float
) -> dict[str, Any]:
    """Return site, prices and demand charges of a case over the half-open steps; vehicles are still missing."""
    first, end = span
    building, solar = series
    feeders = [
        {"id": name, "parent": None, "import_limit_kw": limit, "export_limit_kw": limit}
        for name, limit in week.feeders_kw.items()
    ]
    return {
        "version": 1,
        "name": f"{week.name}-{first}",
        "start": _moment(first),
        "step_minutes": STEP_MINUTES,
        "steps": end - first,
        "currency": "USD",
        "site": {
            "import_limit_kw": limit_share * week.import_limit_kw,
            "export_limit_kw": limit_share * week.export_limit_kw,
            "building_load_kw": building.tolist(),
            "solar_kw": solar.tolist(),
            "nodes": feeders,
        },
        "prices": {
            "import_per_kwh": week.import_price[first:end].tolist(),
            "export_per_kwh": week.export_price[first:end].tolist(),
        },
        "chargers": [
            {
                "id": f"c-{bus.id}",
                "node": bus.feeder,
                "max_charge_kw": bus.power_kw,
                "max_discharge_kw": bus.power_kw if bus.both_ways else 0.0,
                "charge_efficiency": EFFICIENCY,
                "discharge_efficiency": EFFICIENCY,
            }
            for bus in week.buses
        ],
    }


def demand_charges(week: Week, span: tuple[int, int], billed_kw: dict[str, float]) -> list[dict[str, Any]]:
    """Return both demand charges over the half-open steps, above what is billed."""
    return [
        {"id": "facility", "price_per_kw": FACILITY_PER_KW, "billed_kw_so_far": billed_kw["facility"]},
        {
            "id": "on_peak",
            "price_per_kw": ON_PEAK_PER_KW,
            "billed_kw_so_far": billed_kw["on_peak"],
            "window": week.on_peak[span[0] : span[1]].astype(int).tolist(),
        },
    ]


def vehicle_of(bus: Bus, soc: float) -> dict[str, Any]:
    """Return a vehicle of a case without its trips and targets."""
    return {
        "id": bus.id,
        "capacity_kwh": bus.capacity_kwh,
        "initial_soc": min(1.0, max(0.0, soc)),
        "min_soc": MIN_SOC,
        "max_soc": 1.0,
        "charger": f"c-{bus.id}",
        "v2g": bus.both_ways,
        "v2g_min_soc": bus.floor_soc,
        "wear_cost_per_kwh": bus.wear_per_kwh,
    }


def _moment(step: int) -> str:
    minutes = step * STEP_MINUTES
    day, rest = divmod(minutes, 24 * 60)
    return f"2026-03-{9 + day:02}T{rest // 60:02}:{rest % 60:02}:00-05:00"
