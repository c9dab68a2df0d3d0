"""A small depot that single tests change."""

import copy
from typing import Any

from charging.planner.case import DepotCase, case_from_json

CHARGER: dict[str, Any] = {
    "id": "c1",
    "node": None,
    "max_charge_kw": 20,
    "max_discharge_kw": 20,
    "charge_efficiency": 0.9,
    "discharge_efficiency": 0.9,
}
VEHICLE: dict[str, Any] = {
    "id": "bus",
    "capacity_kwh": 40,
    "initial_soc": 0.5,
    "min_soc": 0.1,
    "max_soc": 0.9,
    "charger": "c1",
    "v2g": True,
    "wear_cost_per_kwh": 0.05,
    "away": [],
    "targets": [],
}
DEPOT: dict[str, Any] = {
    "version": 1,
    "name": "small",
    "start": "2026-03-10T12:00:00-05:00",
    "step_minutes": 60,
    "steps": 4,
    "currency": "USD",
    "site": {"import_limit_kw": 100, "export_limit_kw": 0, "building_load_kw": 10, "solar_kw": 0},
    "prices": {"import_per_kwh": [0.3, 0.1, 0.1, 0.4], "export_per_kwh": 0},
    "demand_charges": [],
    "chargers": [CHARGER],
    "vehicles": [VEHICLE],
}


def document(**changes: Any) -> dict[str, Any]:
    """Return the small depot as JSON; a key such as `site__solar_kw` or `vehicles__0__v2g` changes that field."""
    data = copy.deepcopy(DEPOT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = data
        for key in parents:
            place = place[int(key)] if key.isdigit() else place[key]
        place[last] = value
    return data


def small(**changes: Any) -> DepotCase:
    """Return the small depot as a case."""
    return case_from_json(document(**changes))


def must(boundary: int, soc: float) -> dict[str, Any]:
    """Return a "must" target."""
    return {"boundary": boundary, "soc": soc, "tier": "must"}


def should(boundary: int, soc: float, price: float) -> dict[str, Any]:
    """Return a "should" target."""
    return {"boundary": boundary, "soc": soc, "tier": "should", "price_per_kwh": price}


def trip(start: int, end: int, energy: float) -> dict[str, Any]:
    """Return a trip."""
    return {"from_step": start, "to_step": end, "energy_kwh": energy}
