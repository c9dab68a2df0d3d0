"""The planner's answer as frozen dataclasses, written to and read from JSON (INTERFACES section 2).

Series are numpy arrays of `steps` values; a SoC trace has one value a boundary, `steps` + 1.
"""

from dataclasses import dataclass, field, is_dataclass
from typing import Any, Literal

import numpy as np

from charging.planner.case import FloatArray, names
from charging.planner.duties import Tier
from charging.planner.plugs import ASSIGNED, Swap

VERSION = 1
Status = Literal["optimal", "feasible", "fallback"]
Asset = Literal["vehicle", "storage", "flexible_load"]
Action = Literal["charge", "discharge", "wait", "away"]


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long the plan took."""

    build: float
    solve: float
    total: float


@dataclass(frozen=True, slots=True)
class Cost:
    """The parts of the cost, in the case's currency; income is negative."""

    energy_import: float
    energy_export: float
    demand: dict[str, float]
    wear: float
    programmes: float
    total: float
    standing: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SiteFlows:
    """Power at the grid connection and the solar power used, per step."""

    import_kw: FloatArray
    export_kw: FloatArray
    solar_used_kw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class VehiclePlan:
    """What a vehicle does at its charger; one without its own has `chargers`, that of each step (None: on none)."""

    charger: str
    charge_kw: FloatArray
    discharge_kw: FloatArray
    soc: FloatArray
    chargers: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StoragePlan:
    """What a stationary battery does."""

    charge_kw: FloatArray
    discharge_kw: FloatArray
    soc: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LoadPlan:
    """When a flexible load runs."""

    power_kw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class EventPlan:
    """What is delivered to a programme, and what it pays for that."""

    delivered_kw: FloatArray
    pay: float


@dataclass(frozen=True, slots=True, eq=False)
class ReservePlan:
    """The frequency reserve held in each step, and what it is paid."""

    up_kw: FloatArray
    down_kw: FloatArray
    pay: float


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A target that the plan misses; `asset` says what `vehicle` names."""

    vehicle: str
    boundary: int
    required_soc: float
    planned_soc: float
    missing_kwh: float
    tier: Tier
    cause: str
    asset: Asset = "vehicle"


@dataclass(frozen=True, slots=True)
class ExceededLimit:
    """A limit that no plan could hold over the half-open steps, with the worst excess in `unit`.

    `charge_now` is an order of a person that limits of the site, or departures, left no room for.
    """

    kind: Literal["import_limit", "export_limit", "min_soc", "max_soc", "backup", "charge_now"]
    place: str
    from_step: int
    to_step: int
    worst: float
    unit: Literal["kW", "kWh"]
    cause: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a vehicle does over the half-open steps, and why."""

    from_step: int
    to_step: int
    action: Action
    because: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """What it would take to reach a missed target: so much more power at the vehicle, all its time at the depot.

    `more_kw` is None where it is not at the depot before; `worth` is what a "should" target's missing energy costs.
    """

    vehicle: str
    boundary: int
    missing_kwh: float
    more_kw: float | None
    worth: float | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would change the plan: money saved per kW of import limit in every step (None: not known), and remedies."""

    import_limit_per_kw: float | None = None
    shortfalls: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class BadDayStore:
    """What a vehicle, battery or flexible load does on a bad day."""

    charge_kw: FloatArray
    soc: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class BadDayPlan:
    """A way through a bad day that begins as the plan does, by device, and what even this way misses."""

    devices: dict[str, BadDayStore]
    shortfalls: tuple[Shortfall, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DepotPlan:
    """A plan for one depot case; `bound` is a proven lower bound of `objective`, which holds no penalty.

    `changed_kw` is by how much the first steps differ from what the last plan was about to do (rolling.Previous).
    """

    case: str
    status: Status
    objective: float
    bound: float
    gap: float
    seconds: Seconds
    cost: Cost
    site: SiteFlows
    demand_peaks: dict[str, list[float]]
    vehicles: dict[str, VehiclePlan]
    storage: dict[str, StoragePlan]
    shortfalls: tuple[Shortfall, ...]
    exceeded_limits: tuple[ExceededLimit, ...]
    marginal_price_per_kwh: FloatArray
    explanations: dict[str, tuple[Explanation, ...]] = field(default_factory=dict)
    flexible_loads: dict[str, LoadPlan] = field(default_factory=dict)
    events: dict[str, EventPlan] = field(default_factory=dict)
    reserve: ReservePlan | None = None
    what_if: WhatIf = WhatIf()
    swaps: tuple[Swap, ...] = ()
    bad_day: BadDayPlan | None = None
    changed_kw: float = 0.0


def plan_to_json(plan: DepotPlan) -> dict[str, Any]:
    """Return the plan as the JSON object of INTERFACES section 2."""
    data = {"version": VERSION} | {key: _plain(getattr(plan, key)) for key in names(DepotPlan)}
    for vehicle in data["vehicles"].values():
        del vehicle["chargers" if vehicle["charger"] else "charger"]
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {key: _plain(getattr(value, key)) for key in names(type(value))}
    return value


def plan_from_json(data: dict[str, Any]) -> DepotPlan:
    """Read a plan that `plan_to_json` wrote. Raises ValueError for another version."""
    if data.get("version") != VERSION:
        raise ValueError(f"plan: version {data.get('version')!r} is not supported; use {VERSION}")
    return DepotPlan(
        **{key: data[key] for key in ("case", "status", "objective", "bound", "gap", "demand_peaks")},
        seconds=Seconds(**data["seconds"]),
        cost=Cost(**data["cost"]),
        site=SiteFlows(**_arrays(data["site"])),
        vehicles={key: _vehicle(item) for key, item in data["vehicles"].items()},
        storage={key: StoragePlan(**_arrays(item)) for key, item in data["storage"].items()},
        shortfalls=tuple(Shortfall(**item) for item in data["shortfalls"]),
        exceeded_limits=tuple(ExceededLimit(**item) for item in data["exceeded_limits"]),
        marginal_price_per_kwh=np.array(data["marginal_price_per_kwh"], dtype=np.float64),
        explanations={
            key: tuple(Explanation(**item) for item in items) for key, items in data["explanations"].items()
        },
        flexible_loads={key: LoadPlan(**_arrays(item)) for key, item in data["flexible_loads"].items()},
        events={key: EventPlan(**_arrays(item)) for key, item in data.get("events", {}).items()},
        reserve=ReservePlan(**_arrays(data["reserve"])) if data.get("reserve") else None,
        what_if=_what_if(data.get("what_if", {})),
        swaps=tuple(Swap(**item) for item in data.get("swaps", ())),
        bad_day=_bad_day(data["bad_day"]) if data.get("bad_day") else None,
        changed_kw=data.get("changed_kw", 0.0),
    )


def _vehicle(data: dict[str, Any]) -> VehiclePlan:
    chargers = tuple(data.get("chargers", ()))
    powers = _arrays({key: value for key, value in data.items() if key != "chargers"})
    return VehiclePlan(**{"charger": ASSIGNED} | powers, chargers=chargers)


def _bad_day(data: dict[str, Any]) -> BadDayPlan:
    return BadDayPlan(
        devices={key: BadDayStore(**_arrays(item)) for key, item in data["devices"].items()},
        shortfalls=tuple(Shortfall(**item) for item in data["shortfalls"]),
    )


def _what_if(data: dict[str, Any]) -> WhatIf:
    remedies = tuple(Remedy(**item) for item in data.get("shortfalls", ()))
    return WhatIf(data.get("import_limit_per_kw"), remedies)


def _arrays(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: np.array(value, dtype=np.float64) if isinstance(value, list) else value
        for key, value in data.items()
    }
