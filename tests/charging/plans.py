"""Stored plans for tests, written by hand, so that a test says exactly what the plan foresees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from charging.models import Plan
from depot.models import Depot
from fleet.models import Vehicle
from tests.factories import NOW

STEPS = 144


def make_plan_row(
    depot: Depot, soc: Mapping[Vehicle, list[float] | float], made_at: datetime = NOW, **values: Any
) -> Plan:
    """Store a plan of 36 hours in which each vehicle has a SoC at every boundary and nothing else happens."""
    traces = {
        vehicle: trace if isinstance(trace, list) else [trace] * (STEPS + 1) for vehicle, trace in soc.items()
    }
    zeros = [0.0] * STEPS
    case = {
        "start": made_at.isoformat(),
        "site": {"import_limit_kw": 400, "export_limit_kw": 200, "building_load_kw": 20, "solar_kw": 0},
        "prices": {"import_per_kwh": 0.2, "export_per_kwh": 0.0},
        "demand_charges": [],
        "vehicles": [
            {"id": str(vehicle.pk), "capacity_kwh": 200, "min_soc": 0.1, "v2g_min_soc": 0.3, "v2g": True}
            | {"away": [], "targets": []}
            for vehicle in traces
        ],
    }
    answer = {
        "cost": {"energy_import": 1.0, "energy_export": 0.0, "demand": {}, "wear": 0.0, "total": 1.0},
        "site": {"import_kw": [20.0] * STEPS, "export_kw": zeros, "solar_used_kw": zeros},
        "demand_peaks": {},
        "vehicles": {
            str(vehicle.pk): {"charger": "1", "charge_kw": zeros, "discharge_kw": zeros, "soc": trace}
            for vehicle, trace in traces.items()
        },
        "storage": {},
        "shortfalls": [],
        "explanations": {},
    }
    defaults = {
        "start_at": made_at,
        "step_minutes": 15,
        "steps": STEPS,
        "trigger": "Test",
        "status": "optimal",
        "objective": 1.0,
        "bound": 1.0,
        "gap": 0.0,
        "seconds": 0.1,
        "currency": depot.currency,
        "case": case,
        "answer": answer | values.pop("answer", {}),
        "unmanaged_cost": 2.0,
    }
    return Plan.objects.create(depot=depot, made_at=made_at, **(defaults | values))


def rising(until: datetime, low: float, high: float) -> list[float]:
    """Return a trace that is `low` before a moment and `high` from then on."""
    step = (until - NOW) // timedelta(minutes=15)
    return [low] * step + [high] * (STEPS + 1 - step)
