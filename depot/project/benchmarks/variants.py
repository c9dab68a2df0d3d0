"""Variants of a benchmark depot: classes of like vehicles, and the same depot one step later."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charging.planner.case import DepotCase, Vehicle
from charging.planner.duties import Away, Target
from charging.planner.plan import DepotPlan


def in_classes(depot: dict[str, Any], vehicles: int) -> dict[str, Any]:
    """Return a depot of so many vehicles, each like one of the given depot's, whose limits and loads grow with them."""
    models = list(zip(depot["chargers"], depot["vehicles"], strict=True))
    times = vehicles / len(models)
    site = depot["site"]
    chargers, fleet = [], []
    for number in range(vehicles):
        charger, vehicle = models[number % len(models)]
        chargers.append(charger | {"id": f"c{number}"})
        fleet.append(vehicle | {"id": f"v{number}", "charger": f"c{number}"})
    return depot | {
        "name": f"{depot['name']}-times-{times:g}",
        "site": site
        | {key: times * site[key] for key in ("import_limit_kw", "export_limit_kw")}
        | {key: [times * value for value in site[key]] for key in ("building_load_kw", "solar_kw")}
        | {
            "nodes": [
                node | {key: times * node[key] for key in ("import_limit_kw", "export_limit_kw")}
                for node in site["nodes"]
            ]
        },
        "demand_charges": [
            item | {"billed_kw_so_far": times * item["billed_kw_so_far"]} for item in depot["demand_charges"]
        ],
        "chargers": chargers,
        "vehicles": fleet,
    }


def one_step_later(case: DepotCase, plan: DepotPlan, steps_a_day: int) -> DepotCase:
    """Return the case a step later if all went as planned; the new last step is like the one a day before it."""
    site, prices = case.site, case.prices

    def moved(series: NDArray[Any]) -> NDArray[Any]:
        return np.append(series[1:], series[-steps_a_day])

    return replace(
        case,
        start=case.start + timedelta(minutes=case.step_minutes),
        site=replace(
            site,
            import_limit_kw=moved(site.import_limit_kw),
            export_limit_kw=moved(site.export_limit_kw),
            building_load_kw=moved(site.building_load_kw),
            solar_kw=moved(site.solar_kw),
            nodes=tuple(
                replace(
                    node,
                    import_limit_kw=moved(node.import_limit_kw),
                    export_limit_kw=moved(node.export_limit_kw),
                )
                for node in site.nodes
            ),
        ),
        prices=replace(
            prices,
            import_per_kwh=moved(prices.import_per_kwh),
            export_per_kwh=moved(prices.export_per_kwh),
        ),
        demand_charges=tuple(
            replace(item, window=moved(item.window), period=moved(item.period))
            for item in case.demand_charges
        ),
        vehicles=tuple(
            _later(vehicle, float(plan.vehicles[vehicle.id].soc[1]), case.steps) for vehicle in case.vehicles
        ),
    )


def _later(vehicle: Vehicle, soc: float, steps: int) -> Vehicle:
    trips = tuple(_later_trip(trip) for trip in vehicle.away if trip.to_step > 1)
    targets = tuple(_later_target(item, steps) for item in vehicle.targets if item.boundary > 0)
    return replace(vehicle, initial_soc=soc, away=trips, targets=targets)


def _later_trip(trip: Away) -> Away:
    first = max(1, trip.from_step)
    share = (trip.to_step - first) / (trip.to_step - trip.from_step)
    return Away(first - 1, trip.to_step - 1, share * trip.energy_kwh)


def _later_target(target: Target, steps: int) -> Target:
    """Return the target a step earlier; what is wanted at the end stays there."""
    return target if target.boundary == steps else replace(target, boundary=target.boundary - 1)
