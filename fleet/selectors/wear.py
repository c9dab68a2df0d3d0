"""What a kWh out of each vehicle's battery costs in ageing: the price the planner pays for V2G."""

from __future__ import annotations

from functools import lru_cache

from django.db.models import OuterRef, Subquery

from depot.models import Depot
from fleet.battery.wear import PackValue, marginal_wear_cost
from fleet.models import BatteryHealth, Vehicle

BATTERY_TEMPERATURE_C = 25.0


@lru_cache(maxsize=256)
def type_wear_cost(chemistry: str, usable_kwh: float, pack_price_per_kwh: float) -> float:
    """Return the marginal wear cost of a battery of which nothing is known but its type, per kWh."""
    pack = PackValue(usable_kwh, pack_price_per_kwh)
    return round(marginal_wear_cost(chemistry, BATTERY_TEMPERATURE_C, pack).cost_per_kwh, 5)


def wear_costs(depot: Depot) -> dict[int, float]:
    """Return the wear cost per kWh of every vehicle by id: last night's own one, else that of its type."""
    newest = BatteryHealth.objects.filter(vehicle=OuterRef("pk")).order_by("-date")
    rows = Vehicle.objects.filter(depot=depot).annotate(own=Subquery(newest.values("wear_cost_per_kwh")[:1]))
    return {
        vehicle.pk: vehicle.own
        if vehicle.own is not None
        else type_wear_cost(vehicle.type.chemistry, vehicle.type.usable_kwh, vehicle.type.pack_price_per_kwh)
        for vehicle in rows.select_related("type")
    }
