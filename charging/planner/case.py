"""The planner's input: one depot over one horizon, as frozen dataclasses, read from and written to JSON.

Series are numpy arrays of `steps` values. A *boundary* b is the moment at the start of step b: boundary 0 is
now, boundary `steps` is the end. Powers are AC at the charger's grid side, in kW; SoC is a fraction 0..1 of
capacity. Infinity in a limit series means that there is no limit.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from dataclasses import fields as fields_of
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charging.planner.demand import DemandCharge, read_demand
from charging.planner.duties import TARGET, Away, Target, read_away, read_target
from charging.planner.overrides import Override, read_overrides
from charging.planner.plugs import ASSIGNED, SWAPS, Swaps, Window, read_swaps, read_windows
from charging.planner.reading import Fields, is_number
from charging.planner.rolling import BAD_DAY, PREVIOUS, BadDay, Previous, read_bad_day, read_previous
from charging.planner.values import (
    Event,
    FlexibleLoad,
    Reserve,
    Standing,
    TaperPoint,
    ThroughputPrice,
    WearBand,
    read_event,
    read_flexible_load,
    read_reserve,
    read_standing,
    read_taper,
    read_throughput,
    read_wear_bands,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

VERSION = 1


class CaseError(ValueError):
    """The case is wrong; `problems` holds one readable sentence a problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A feeder, panel or transformer between chargers and the grid connection."""

    id: str
    parent: str | None
    import_limit_kw: FloatArray
    export_limit_kw: FloatArray
    phase_limit_kw: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """The grid connection with what the building draws and the sun offers."""

    import_limit_kw: FloatArray
    export_limit_kw: FloatArray
    building_load_kw: FloatArray
    solar_kw: FloatArray
    solar_curtailable: bool = True
    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Energy prices per step; they may be negative."""

    import_per_kwh: FloatArray
    export_per_kwh: FloatArray


@dataclass(frozen=True, slots=True)
class Charger:
    """A charger; powers are AC at its grid side. It gives a vehicle nothing, or at least its least power.

    While it charges with c kW the battery gains charge_efficiency * c - charge_loss_kw, and while it discharges with d
    kW the battery loses d / discharge_efficiency + discharge_loss_kw. Nothing is lost while no power flows.
    """

    id: str
    node: str | None
    max_charge_kw: float
    max_discharge_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    phase: int | None = None
    min_charge_kw: float = 0.0
    min_discharge_kw: float = 0.0
    charge_loss_kw: float = 0.0
    discharge_loss_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle at its charger; None in a power limit means that only the charger limits it.

    With `charger` ASSIGNED the planner assigns one of `chargers` (none named: any), and `plugged_into` is where its
    plug is now. In the `unplugged` steps it is at the depot, but on no charger.
    """

    id: str
    capacity_kwh: float
    initial_soc: float
    min_soc: float
    max_soc: float
    charger: str
    v2g: bool = False
    v2g_min_soc: float = 0.0
    wear_cost_per_kwh: float = 0.0
    max_charge_kw: float | None = None
    max_discharge_kw: float | None = None
    away: tuple[Away, ...] = ()
    targets: tuple[Target, ...] = ()
    wear_bands: tuple[WearBand, ...] = ()
    throughput: tuple[ThroughputPrice, ...] = ()
    standing: Standing | None = None
    taper: tuple[TaperPoint, ...] = ()
    overrides: tuple[Override, ...] = ()
    chargers: tuple[str, ...] = ()
    plugged_into: str | None = None
    unplugged: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Storage:
    """A stationary battery, with losses as those of a charger; it must hold at least `final_soc` at the end."""

    id: str
    node: str | None
    capacity_kwh: float
    initial_soc: float
    min_soc: float
    max_soc: float
    max_charge_kw: float
    max_discharge_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_cost_per_kwh: float = 0.0
    final_soc: float = 0.0
    charge_loss_kw: float = 0.0
    discharge_loss_kw: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class DepotCase:
    """Everything the planner knows about one depot over one horizon."""

    name: str
    start: datetime
    step_minutes: int
    steps: int
    currency: str
    site: Site
    prices: Prices
    demand_charges: tuple[DemandCharge, ...] = ()
    chargers: tuple[Charger, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    storage: tuple[Storage, ...] = ()
    flexible_loads: tuple[FlexibleLoad, ...] = ()
    events: tuple[Event, ...] = ()
    reserve: Reserve | None = None
    swaps: Swaps | None = None
    bad_day: BadDay | None = None
    previous: Previous | None = None

    @property
    def hours(self) -> float:
        """Return the length of a step in hours."""
        return self.step_minutes / 60.0

    def moment(self, boundary: int) -> datetime:
        """Return the moment of a boundary in the case's own offset."""
        return self.start + timedelta(minutes=self.step_minutes * boundary)


def names(kind: type) -> tuple[str, ...]:
    """Return the field names of a dataclass; they are the JSON names too."""
    return tuple(field.name for field in fields_of(kind))


def case_from_json(data: object, source: str = "CASE.json") -> DepotCase:
    """Read a case from parsed JSON (INTERFACES section 2).

    Raises CaseError with all problems, one sentence each, naming source, place and cure.
    """
    problems: list[str] = []
    fields = Fields(data, "", problems, ("version", *names(DepotCase)))
    case = _read_case(fields)
    if problems:
        raise CaseError([f"{source}: {problem}" for problem in problems])
    return case


def _read_case(fields: Fields) -> DepotCase:
    if fields.whole("version", 0) != VERSION and fields.data.get("version") is not None:
        fields.note("version", f"{fields.data['version']!r} is not supported; use {VERSION}")
    steps, step_minutes = fields.whole("steps", 1), fields.whole("step_minutes", 1)
    site = _read_site(fields.child("site", names(Site)), steps)
    prices = fields.child("prices", names(Prices))
    chargers = tuple(
        _read_charger(item, site.nodes) for item in fields.children("chargers", names(Charger), True)
    )
    vehicle_fields = fields.children("vehicles", names(Vehicle), True)
    case = DepotCase(
        name=fields.text("name", ""),
        start=fields.moment("start"),
        step_minutes=step_minutes,
        steps=steps,
        currency=fields.text("currency", ""),
        site=site,
        prices=Prices(
            import_per_kwh=prices.series("import_per_kwh", steps),
            export_per_kwh=prices.series("export_per_kwh", steps, default=0.0),
        ),
        demand_charges=tuple(
            read_demand(item, steps, step_minutes)
            for item in fields.children("demand_charges", names(DemandCharge))
        ),
        chargers=chargers,
        vehicles=tuple(_read_vehicle(item, steps, chargers) for item in vehicle_fields),
        storage=tuple(_read_storage(item, site.nodes) for item in fields.children("storage", names(Storage))),
        flexible_loads=tuple(
            read_flexible_load(item, _read_node_name(item, site.nodes), steps)
            for item in fields.children("flexible_loads", names(FlexibleLoad))
        ),
        events=tuple(read_event(item, steps) for item in fields.children("events", names(Event))),
        reserve=read_reserve(fields.child("reserve", names(Reserve)), steps)
        if fields.data.get("reserve")
        else None,
        swaps=read_swaps(fields.child("swaps", SWAPS), steps) if fields.data.get("swaps") else None,
        bad_day=read_bad_day(fields.child("bad_day", BAD_DAY), steps, (site.building_load_kw, site.solar_kw))
        if fields.data.get("bad_day") is not None
        else None,
    )
    if fields.data.get("previous") is not None:
        known = [*(item.id for item in case.vehicles), *(item.id for item in case.storage)]
        before = read_previous(fields.child("previous", PREVIOUS), steps, known)
        case = replace(case, previous=before)
    _note_doubles(fields, "site.nodes", [item.id for item in site.nodes])
    _note_doubles(fields, "demand_charges", [item.id for item in case.demand_charges])
    _note_doubles(fields, "chargers", [item.id for item in chargers])
    batteries = [item.id for item in case.storage]
    batteries += [item.id for item in case.flexible_loads]
    place = "vehicles, storage and flexible_loads" if case.flexible_loads else "vehicles and storage"
    _note_doubles(fields, place, [item.id for item in case.vehicles] + batteries)
    return case


def _note_doubles(fields: Fields, key: str, ids: list[str]) -> None:
    for name, count in Counter(ids).items():
        if count > 1 and name:
            fields.note(key, f"id {name!r} stands {count} times; give each its own id")


def _read_site(fields: Fields, steps: int) -> Site:
    nodes = []
    for item in fields.children("nodes", names(Node)):
        nodes.append(
            Node(
                id=item.text("id"),
                parent=item.optional_text("parent"),
                import_limit_kw=item.limit_series("import_limit_kw", steps),
                export_limit_kw=item.limit_series("export_limit_kw", steps),
                phase_limit_kw=item.limit_series("phase_limit_kw", steps)
                if item.data.get("phase_limit_kw") is not None
                else None,
            )
        )
    _note_broken_tree(fields, nodes)
    return Site(
        import_limit_kw=fields.series("import_limit_kw", steps, low=0.0),
        export_limit_kw=fields.series("export_limit_kw", steps, default=0.0, low=0.0),
        building_load_kw=fields.series("building_load_kw", steps),
        solar_kw=fields.series("solar_kw", steps, default=0.0, low=0.0),
        solar_curtailable=fields.flag("solar_curtailable", True),
        nodes=tuple(nodes),
    )


def _note_broken_tree(fields: Fields, nodes: list[Node]) -> None:
    parents = {node.id: node.parent for node in nodes}
    for index, node in enumerate(nodes):
        place = f"nodes[{index}].parent"
        if node.parent is not None and node.parent not in parents:
            fields.note(place, f"no node is called {node.parent!r}; name one of site.nodes or write null")
            continue
        seen, above = {node.id}, node.parent
        while above is not None and above not in seen:
            seen.add(above)
            above = parents.get(above)
        if above is not None:
            fields.note(place, f"{node.parent!r} leads back to itself; end the chain with parent null")


def _read_node_name(fields: Fields, nodes: tuple[Node, ...]) -> str | None:
    name = fields.optional_text("node")
    if name and name not in {node.id for node in nodes}:
        fields.note(
            "node",
            f"no node is called {name!r}; name one of site.nodes or write null for the grid connection",
        )
        return None
    return name


def _read_charger(fields: Fields, nodes: tuple[Node, ...]) -> Charger:
    return Charger(
        id=fields.text("id"),
        node=_read_node_name(fields, nodes),
        max_charge_kw=fields.number("max_charge_kw", low=0.0),
        max_discharge_kw=fields.number("max_discharge_kw", 0.0, low=0.0),
        charge_efficiency=fields.positive("charge_efficiency", 1.0),
        discharge_efficiency=fields.positive("discharge_efficiency", 1.0),
        phase=None if fields.data.get("phase") is None else fields.whole("phase", 1, 3),
        min_charge_kw=fields.number("min_charge_kw", 0.0, low=0.0),
        min_discharge_kw=fields.number("min_discharge_kw", 0.0, low=0.0),
        charge_loss_kw=_read_charge_loss(fields),
        discharge_loss_kw=_read_discharge_loss(fields),
    )


def _read_charge_loss(fields: Fields) -> float:
    """Read what is lost while charging; at full power something must be left to store."""
    loss = fields.number("charge_loss_kw", 0.0, low=0.0)
    stored = _number(fields, "max_charge_kw") * _number(fields, "charge_efficiency")
    if loss and 0.0 < stored <= loss:
        fields.note(
            "charge_loss_kw", f"{loss:g} kW eat all of the {stored:g} kW that full power stores; lower it"
        )
    return loss


def _read_discharge_loss(fields: Fields) -> float:
    """Read what is lost while discharging; at full power no more may be lost than is given."""
    loss, full = fields.number("discharge_loss_kw", 0.0, low=0.0), _number(fields, "max_discharge_kw")
    if loss and 0.0 < full <= loss:
        fields.note("discharge_loss_kw", f"{loss:g} kW are no less than max_discharge_kw {full:g}; lower it")
    return loss


def _number(fields: Fields, key: str) -> float:
    """Return a number that is read, and told of, elsewhere; 0 where there is none."""
    value = fields.data.get(key)
    return float(value) if value is not None and is_number(value) else 0.0


def _read_soc_range(fields: Fields) -> tuple[float, float]:
    low, high = fields.number("min_soc", 0.0, 0.0, 1.0), fields.number("max_soc", 1.0, 0.0, 1.0)
    if low > high:
        fields.note("min_soc", f"{low:g} is above max_soc {high:g}; lower it or raise max_soc")
    return low, high


def _read_vehicle(fields: Fields, steps: int, chargers: tuple[Charger, ...]) -> Vehicle:
    low, high = _read_soc_range(fields)
    return Vehicle(
        id=fields.text("id"),
        capacity_kwh=fields.positive("capacity_kwh"),
        initial_soc=fields.number("initial_soc", None, 0.0, 1.0),
        min_soc=low,
        max_soc=high,
        charger=_read_charger_name(fields, chargers),
        v2g=fields.flag("v2g", False),
        v2g_min_soc=fields.number("v2g_min_soc", low, 0.0, 1.0),
        wear_cost_per_kwh=fields.number("wear_cost_per_kwh", 0.0, low=0.0),
        max_charge_kw=fields.optional_number("max_charge_kw", 0.0),
        max_discharge_kw=fields.optional_number("max_discharge_kw", 0.0),
        away=read_away(fields, steps),
        targets=tuple(read_target(item, steps) for item in fields.children("targets", TARGET)),
        wear_bands=read_wear_bands(fields),
        throughput=read_throughput(fields),
        standing=read_standing(fields),
        taper=read_taper(fields),
        overrides=read_overrides(fields, steps, high),
        chargers=_read_allowed(fields, chargers),
        plugged_into=_read_plug(fields, chargers),
        unplugged=read_windows(fields, "unplugged", steps),
    )


def _read_allowed(fields: Fields, chargers: tuple[Charger, ...]) -> tuple[str, ...]:
    listed = fields.data.get("chargers")
    if listed is None:
        return ()
    known = {charger.id for charger in chargers}
    if not isinstance(listed, list) or not listed or any(name not in known for name in listed):
        fields.note("chargers", "is no list of the chargers' ids; name some of chargers or leave it out")
        return ()
    if fields.data.get("charger") is not None:
        fields.note("chargers", "stands beside a charger of its own; write charger null or leave it out")
    return tuple(listed)


def _read_plug(fields: Fields, chargers: tuple[Charger, ...]) -> str | None:
    name = fields.optional_text("plugged_into")
    if name and name not in {charger.id for charger in chargers}:
        fields.note("plugged_into", f"no charger is called {name!r}; name one of chargers or write null")
        return None
    return name


def _read_charger_name(fields: Fields, chargers: tuple[Charger, ...]) -> str:
    if "charger" in fields.data and fields.data["charger"] is None:
        return ASSIGNED
    name = fields.text("charger")
    if name and name not in {charger.id for charger in chargers}:
        fields.note("charger", f"no charger is called {name!r}; name one of chargers")
    return name


def _read_storage(fields: Fields, nodes: tuple[Node, ...]) -> Storage:
    low, high = _read_soc_range(fields)
    return Storage(
        id=fields.text("id"),
        node=_read_node_name(fields, nodes),
        capacity_kwh=fields.positive("capacity_kwh"),
        initial_soc=fields.number("initial_soc", None, 0.0, 1.0),
        min_soc=low,
        max_soc=high,
        max_charge_kw=fields.number("max_charge_kw", low=0.0),
        max_discharge_kw=fields.number("max_discharge_kw", low=0.0),
        charge_efficiency=fields.positive("charge_efficiency", 1.0),
        discharge_efficiency=fields.positive("discharge_efficiency", 1.0),
        wear_cost_per_kwh=fields.number("wear_cost_per_kwh", 0.0, low=0.0),
        final_soc=fields.number("final_soc", low, 0.0, 1.0),
        charge_loss_kw=_read_charge_loss(fields),
        discharge_loss_kw=_read_discharge_loss(fields),
    )


def case_to_json(case: DepotCase) -> dict[str, Any]:
    """Return the case as the JSON object of INTERFACES section 2; `case_from_json` reads it back."""
    data = {"version": VERSION} | {key: _plain(getattr(case, key)) for key in names(DepotCase)}
    for vehicle in data["vehicles"]:
        vehicle["charger"] = vehicle["charger"] or None
        if not vehicle["chargers"]:
            del vehicle["chargers"]
    return data


def _plain(value: Any) -> Any:
    """Return JSON for a value; infinity (no limit) becomes null."""
    if isinstance(value, np.ndarray):
        if value.dtype != np.float64:
            return value.astype(int).tolist()
        limits = [None if math.isinf(item) else item for item in value.tolist()]
        return limits if any(item is not None for item in limits) else None
    if isinstance(value, float):
        return None if math.isinf(value) else value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {key: _plain(getattr(value, key)) for key in names(type(value))}
    return value
