"""The PuLP problem while its parts add to it."""

from dataclasses import dataclass, field
from typing import Any

import pulp

from charging.planner.case import DepotCase


@dataclass(frozen=True, slots=True)
class StoreColumns:
    """What the site and its services need of a vehicle or battery: limits and expressions, one a step.

    `losses_kw` are those of charging and of discharging, `lost_kw` what is lost of both by the switches of each step.
    `energy` has one more value, one a boundary; `taken` is the power that a taper leaves, empty without one. A limit
    is (charge kW, discharge kW), (0, 0) while away.
    """

    limits_kw: list[tuple[float, float]]
    plugged: list[bool]
    efficiency: tuple[float, float]
    capacity_kwh: float
    min_kwh: float
    max_kwh: float
    floor_kwh: float
    charge: list[Any]
    discharge: list[Any]
    energy: list[Any]
    losses_kw: tuple[float, float] = (0.0, 0.0)
    lost_kw: list[tuple[Any, Any]] = field(default_factory=list)
    taken: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Model:
    """The PuLP problem with its expressions; costs and pays are in the case's currency, levels in kWh."""

    case: DepotCase
    switches: bool = True
    problem: pulp.LpProblem = field(default_factory=lambda: pulp.LpProblem("depot", pulp.LpMinimize))
    net: list[Any] = field(default_factory=list)
    node_net: dict[str, list[Any]] = field(default_factory=dict)
    # By node and phase 1, 2 or 3: what stands on that phase alone.
    phase_net: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    charger_use: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    stores: list[StoreColumns] = field(default_factory=list)
    # By flexible load, its power in each step; 0 outside its window.
    load_kw: list[list[Any]] = field(default_factory=list)
    imports: list[Any] = field(default_factory=list)
    exports: list[Any] = field(default_factory=list)
    excess: list[Any] = field(default_factory=list)
    must_missing: list[Any] = field(default_factory=list)
    bad_day_missing: list[Any] = field(default_factory=list)
    unprepared: list[Any] = field(default_factory=list)
    deficits: list[Any] = field(default_factory=list)
    backup_missing: list[Any] = field(default_factory=list)
    unheeded: list[Any] = field(default_factory=list)
    penalty: list[Any] = field(default_factory=list)
    cost: list[Any] = field(default_factory=list)

    def add(self, condition: Any) -> None:
        """Add a constraint."""
        self.problem += condition

    def draw(self, node: str | None, phase: int | None, step: int, net: Any) -> None:
        """Add a net power at a node (None: the grid connection) to all that lies above it."""
        parents = {item.id: item.parent for item in self.case.site.nodes}
        self.net[step] += net
        while node is not None:
            self.node_net[node][step] += net
            if phase is not None:
                self.phase_net[node, phase][step] += net
            node = parents[node]

    def only_if(self, switch: Any, most: float, *, value: Any, limit: Any, reach: float) -> None:
        """Hold 0 <= value <= most, value <= limit where the switch is on, and value at 0 where it is off.

        So a limit below zero means nothing instead of making the programme impossible. `reach` is at least how far
        below zero the limit can be.
        """
        self.add(value <= most * switch)
        self.add(value <= limit + reach * (1 - switch))


def variable(name: str, high: float | None = None, low: float | None = 0.0) -> Any:
    """Return a continuous variable."""
    return pulp.LpVariable(name, low, high)


def switch_of(model: Model, name: str) -> Any:
    """Return a variable of 0 or 1; in the plain model it may lie between."""
    return pulp.LpVariable(name, cat="Binary") if model.switches else pulp.LpVariable(name, 0.0, 1.0)
