"""Plan like vehicles as one: a pure change of the case before the solve, and of the powers after it.

Vehicles are alike when everything but their names is the same: battery, SoC, trips, targets, what the last plan was
about to do with them, and a charger of their own of the same kind on the same node. n of them become one vehicle n
times as large, and each then gets an n-th of its powers. Without switches that is exact: the sum of n equal convex sets
is the set n times as large, so every plan of the vehicles is a plan of the class, and the bound of its linear programme
is a bound of the whole case.
"""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from charging.planner.case import Charger, DepotCase, IntArray, Vehicle
from charging.planner.devices import Start
from charging.planner.rolling import Previous
from charging.planner.settle import Decision

# Below this share of vehicles that are left, a second search would cost more than the smaller first one saves.
MOST_LEFT = 0.5
# What a field of n like ones together is: n times as large, or the same. A vehicle that uses any other field is alone.
LARGER = {
    *("capacity_kwh", "max_charge_kw", "max_discharge_kw", "away", "taper"),
    *("charge_loss_kw", "discharge_loss_kw"),
}
SAME = {
    *(
        "id",
        "charger",
        "node",
        "initial_soc",
        "min_soc",
        "max_soc",
        "v2g",
        "v2g_min_soc",
        "wear_cost_per_kwh",
    ),
    *("targets", "charge_efficiency", "discharge_efficiency", "phase", "wear_bands"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """A case of classes with the class of each vehicle (V,) and the number of vehicles in each class (C,)."""

    case: DepotCase
    class_of: IntArray
    sizes: IntArray

    def split(self, decision: Decision) -> Decision:
        """Return the powers of vehicles, batteries and loads from those of classes, batteries and loads."""
        rows = self._rows()
        share = (1.0 / np.concatenate([self.sizes, np.ones(self._others)]))[rows, None]
        return Decision(
            decision.charge_kw[rows] * share, decision.discharge_kw[rows] * share, decision.solar_used_kw
        )

    def start(self, start: Start | None) -> Start | None:
        """Return where classes and batteries begin: wherever one of their vehicles does."""
        if start is None:
            return None
        rows, count = self._rows(), len(self.sizes) + self._others
        charge, discharge = (np.zeros((count, self.case.steps), dtype=bool) for _ in range(2))
        energy = np.zeros((count, self.case.steps + 1))
        np.logical_or.at(charge, rows, start.charge)
        np.logical_or.at(discharge, rows, start.discharge)
        np.add.at(energy, rows, start.energy_kwh)
        return Start(charge, discharge, energy)

    @property
    def _others(self) -> int:
        """Return how many devices follow the classes: batteries and flexible loads."""
        return len(self.case.storage) + len(self.case.flexible_loads)

    def _rows(self) -> IntArray:
        """Return the row of each vehicle's class, and of each other device, among classes and others."""
        return np.concatenate([self.class_of, len(self.sizes) + np.arange(self._others)])


def classes_of(case: DepotCase) -> Classes | None:
    """Return the case with like vehicles as one; None where too few are alike."""
    chargers = {charger.id: charger for charger in case.chargers}
    users = Counter(vehicle.charger for vehicle in case.vehicles)
    numbers: dict[Hashable, int] = {}
    first: list[Vehicle] = []
    class_of = np.empty(len(case.vehicles), dtype=np.int64)
    for row, vehicle in enumerate(case.vehicles):
        key: Hashable = vehicle.id
        charger = chargers.get(vehicle.charger)
        if charger is not None and users[charger.id] == 1 and _scales(vehicle) and _scales(charger):
            before = () if case.previous is None else case.previous.net_kw.get(vehicle.id)
            key = replace(vehicle, id="", charger=""), replace(charger, id=""), before
        class_of[row] = numbers.setdefault(key, len(numbers))
        if class_of[row] == len(first):
            first.append(vehicle)
    if not first or len(first) > MOST_LEFT * len(case.vehicles):
        return None
    sizes = np.bincount(class_of)
    size_of = {vehicle.charger: int(size) for vehicle, size in zip(first, sizes, strict=True)}
    vehicles = tuple(_together(vehicle, size_of[vehicle.charger]) for vehicle in first)
    stations = tuple(
        _station(charger, size_of[charger.id]) for charger in case.chargers if charger.id in size_of
    )
    last = _previous(case, {vehicle.id: size_of[vehicle.charger] for vehicle in first})
    together = replace(case, vehicles=vehicles, chargers=stations, previous=last)
    return Classes(together, class_of, sizes)


def _previous(case: DepotCase, sizes: Mapping[str, int]) -> Previous | None:
    """Return what the last plan was about to do with each class: as much as with all its vehicles together."""
    if case.previous is None:
        return None
    batteries = {item.id for item in case.storage}
    powers = {
        name: tuple(sizes.get(name, 1) * value for value in values)
        for name, values in case.previous.net_kw.items()
        if name in sizes or name in batteries
    }
    return replace(case.previous, net_kw=powers)


def _unknown_fields(kind: type) -> tuple[tuple[str, object], ...]:
    """Return name and default of the fields of which it is not known how they grow."""
    return tuple((field.name, field.default) for field in fields(kind) if field.name not in LARGER | SAME)


def _scales(item: Vehicle | Charger) -> bool:
    """Tell whether all that an item says is known to grow with it or to stay the same."""
    return all(getattr(item, name) == default for name, default in UNKNOWN[type(item)])


UNKNOWN = {kind: _unknown_fields(kind) for kind in (Vehicle, Charger)}


def _together(vehicle: Vehicle, size: int) -> Vehicle:
    return replace(
        vehicle,
        capacity_kwh=size * vehicle.capacity_kwh,
        max_charge_kw=None if vehicle.max_charge_kw is None else size * vehicle.max_charge_kw,
        max_discharge_kw=None if vehicle.max_discharge_kw is None else size * vehicle.max_discharge_kw,
        away=tuple(
            replace(trip, energy_kwh=size * trip.energy_kwh, extra_kwh=size * trip.extra_kwh)
            for trip in vehicle.away
        ),
        taper=tuple(replace(point, max_charge_kw=size * point.max_charge_kw) for point in vehicle.taper),
    )


def _station(charger: Charger, size: int) -> Charger:
    return replace(
        charger,
        max_charge_kw=size * charger.max_charge_kw,
        max_discharge_kw=size * charger.max_discharge_kw,
        charge_loss_kw=size * charger.charge_loss_kw,
        discharge_loss_kw=size * charger.discharge_loss_kw,
    )
