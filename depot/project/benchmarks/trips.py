"""The depot of like buses with two trips a day that two engines have to agree on, at any size."""

import math
from typing import Any

STEP_MINUTES = 15
STEPS = 96
SUNRISE, SUNSET = 24, 72
DAY_SHIFT = (28, 72)
ON_PEAK = (64, 84)
# From which step on which import price holds.
IMPORT_PRICES = ((0, 0.12), (24, 0.2), (36, 0.08), (56, 0.2), (64, 0.45), (84, 0.16))


def trips_depot(vehicles: int) -> dict[str, Any]:
    """Return the case of a day with so many V2G buses; site limits, load, sun and billed peaks grow with them.

    Every bus makes the same two trips and has a charger of its own; they differ in how full they start. Ten buses
    are the golden case of the project's tests, whose least cost is known.
    """
    share = vehicles / 10
    peak = range(*ON_PEAK)
    return {
        "version": 1,
        "name": f"depot-{vehicles}-trips",
        "start": "2026-03-10T00:00:00-05:00",
        "step_minutes": STEP_MINUTES,
        "steps": STEPS,
        "currency": "USD",
        "site": {
            "import_limit_kw": 700.0 * share,
            "export_limit_kw": 400.0 * share,
            "building_load_kw": [
                share * (180.0 if step in range(*DAY_SHIFT) else 80.0) for step in range(STEPS)
            ],
            "solar_kw": [share * _sun_kw(step) for step in range(STEPS)],
            "solar_curtailable": False,
        },
        "prices": {
            "import_per_kwh": [_import_price(step) for step in range(STEPS)],
            "export_per_kwh": [0.4 if step in peak else 0.04 for step in range(STEPS)],
        },
        "demand_charges": [
            {"id": "facility", "price_per_kw": 18.0, "billed_kw_so_far": 220.0 * share},
            {
                "id": "on_peak",
                "price_per_kw": 12.0,
                "billed_kw_so_far": 90.0 * share,
                "window": [int(step in peak) for step in range(STEPS)],
            },
        ],
        "chargers": [_charger(number) for number in range(vehicles)],
        "vehicles": [_bus(number) for number in range(vehicles)],
    }


def _sun_kw(step: int) -> float:
    return max(0.0, 200.0 * math.sin(math.pi * (step - SUNRISE) / (SUNSET - SUNRISE)))


def _import_price(step: int) -> float:
    return [price for start, price in IMPORT_PRICES if start <= step][-1]


def _charger(number: int) -> dict[str, Any]:
    return {
        "id": f"c-{number:03d}",
        "node": None,
        "max_charge_kw": 60.0,
        "max_discharge_kw": 60.0,
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.95,
    }


def _bus(number: int) -> dict[str, Any]:
    return {
        "id": f"bus-{number:03d}",
        "capacity_kwh": 200.0,
        "initial_soc": 0.5 + 0.025 * (number % 10),
        "min_soc": 0.1,
        "max_soc": 1.0,
        "charger": f"c-{number:03d}",
        "v2g": True,
        "wear_cost_per_kwh": 0.04,
        "away": [
            {"from_step": 26, "to_step": 36, "energy_kwh": 45.0},
            {"from_step": 54, "to_step": 66, "energy_kwh": 50.0},
        ],
        "targets": [
            {"boundary": 26, "soc": 0.8, "tier": "must"},
            {"boundary": 54, "soc": 0.7, "tier": "must"},
            {"boundary": 96, "soc": 0.6, "tier": "must"},
        ],
    }
