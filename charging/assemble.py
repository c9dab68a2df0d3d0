"""Read the database once and make the planner's case: what is known now, in the format of `manage.py solve`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from billing.selectors.prices import prices_for
from charging.models import ChargingSession, Connector, Override
from charging.orders import apply_orders
from charging.permission import charge_limit_kw, discharge_limit_kw, discharge_permission
from charging.selectors.overrides import overrides_in_force
from depot.models import Depot, ElectricalNode, Forecast, InterconnectionAgreement
from depot.selectors.forecasts import Expected, expected
from depot.services.forecasts import horizon
from depot.timegrid import TimeGrid
from fleet.models import Vehicle, VehicleState
from fleet.selectors.duties import Duty, duties
from fleet.selectors.needs import Need, needs_of
from fleet.selectors.wear import wear_costs

STALE_SOC = timedelta(hours=2)
STALE_MARGIN = 0.05
UNKNOWN_SOC = 0.2
LATE = timedelta(hours=3)
PLANNED_SHARE = 0.95
"""Of the site's limits a plan uses this much: building and sun differ from their forecasts within a step."""
BEYOND = timedelta(hours=24)


@dataclass(slots=True)
class Notes:
    """What a person should know about the case: per vehicle id, and for the whole depot."""

    vehicles: dict[str, list[str]] = field(default_factory=dict)
    depot: list[str] = field(default_factory=list)

    def of(self, vehicle_id: int, sentence: str) -> None:
        self.vehicles.setdefault(str(vehicle_id), []).append(sentence)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A case, and what names its parts: connector and coming needs by vehicle id."""

    case: dict[str, Any]
    notes: Notes
    grid: TimeGrid
    places: dict[int, Connector]
    needs: dict[int, list[Need]]


def assemble(depot: Depot, now: datetime, orders: Collection[Override] | None = None) -> Assembled:
    """Make the case of `depot` at `now`. Vehicles that cannot be planned are named in the notes, with the cure.

    `orders` are people's orders to plan by; None stands for those in force.
    """
    grid = horizon(depot, now, depot.horizon_hours)
    notes = Notes()
    vehicles = list(Vehicle.objects.filter(depot=depot, active=True).select_related("type", "state"))
    places = _places(depot, vehicles, notes)
    planned = [vehicle for vehicle in vehicles if vehicle.pk in places]
    needs = needs_of(duties(depot, grid.start_at - LATE, grid.end_at + BEYOND))
    prices = prices_for(depot, grid, now)
    notes.depot.extend(prices.warnings)
    agreement = InterconnectionAgreement.objects.filter(depot=depot).first()
    plugs = Counter(places[vehicle.pk].charger_id for vehicle in planned)
    cabinets = {charger_id for charger_id, count in plugs.items() if count > 1}
    guests = _guests(depot, places, notes)
    end_price = float(np.median(prices.import_per_kwh))
    wear = wear_costs(depot)
    rows = []
    for vehicle in planned:
        row = _vehicle(vehicle, places[vehicle.pk], needs.get(vehicle.pk, []), grid, now, notes)
        row["wear_cost_per_kwh"] = wear[vehicle.pk]
        row["targets"].append(_final_target(row, needs.get(vehicle.pk, []), grid, end_price))
        permission = discharge_permission(vehicle, places[vehicle.pk].charger, agreement)
        obstacle = permission.reason or _doubt(vehicle, now)
        row["v2g"] = not obstacle
        if obstacle:
            notes.of(vehicle.pk, f"Not discharged: {obstacle}")
        rows.append(row)
    orders = overrides_in_force(depot, now) if orders is None else orders
    apply_orders(rows, orders, grid)
    for order in orders:
        notes.of(order.vehicle_id, f"{order.made_by_name} ordered: {order.in_words()}{_why(order)}.")
    case = {
        "version": 1,
        "name": f"{depot.slug} {depot.local(grid.start_at):%Y-%m-%d %H:%M}",
        "start": depot.local(grid.start_at).isoformat(),
        "step_minutes": grid.step_minutes,
        "steps": grid.steps,
        "currency": depot.currency,
        "site": _site(depot, agreement, grid, now, notes, sum(guests.values()))
        | {"nodes": _nodes(depot, guests) + _cabinets(cabinets, places.values())},
        "prices": {"import_per_kwh": prices.import_per_kwh, "export_per_kwh": prices.export_per_kwh},
        "demand_charges": prices.demand_charges,
        "chargers": [_charger(places[vehicle.pk], cabinets, notes) for vehicle in planned],
        "vehicles": rows,
        "storage": [],
    }
    notes.depot.extend(
        f"Battery {battery.name} is not planned: nothing here can command it, so no plan may count on it."
        for battery in depot.batteries.all()
    )
    return Assembled(case, notes, grid, places, needs)


def _why(order: Override) -> str:
    return f" ({order.reason.rstrip('.')})" if order.reason else ""


def _places(depot: Depot, vehicles: list[Vehicle], notes: Notes) -> dict[int, Connector]:
    """Return where each vehicle is or will be plugged in: its open session's connector, else its own one."""
    related = ("charger__node", "charger__depot")
    connectors = Connector.objects.filter(charger__depot=depot).select_related(*related)
    sessions = ChargingSession.objects.filter(
        connector__charger__depot=depot, unplugged_at__isnull=True, vehicle__isnull=False
    ).select_related(*(f"connector__{name}" for name in related))
    here = {session.vehicle_id: session.connector for session in sessions}
    taken = {connector.pk for connector in here.values()}
    home = {row.vehicle_id: row for row in connectors if row.vehicle_id is not None}
    places: dict[int, Connector] = {}
    for vehicle in vehicles:
        if vehicle.pk in here:
            places[vehicle.pk] = here[vehicle.pk]
        elif vehicle.pk not in home:
            notes.of(vehicle.pk, "Not planned: it has no connector. Give it one in the set-up.")
        elif home[vehicle.pk].pk in taken:
            notes.of(vehicle.pk, f"Not planned: another vehicle stands at its place {home[vehicle.pk]}.")
        else:
            places[vehicle.pk] = home[vehicle.pk]
    return places


def _guests(depot: Depot, places: dict[int, Connector], notes: Notes) -> dict[int, float]:
    """Return what vehicles that are not planned may draw, in kW by node: they get their charger's safe level."""
    sessions = ChargingSession.objects.filter(
        connector__charger__depot=depot, unplugged_at__isnull=True
    ).exclude(connector__in=[connector.pk for connector in places.values()])
    drawn: dict[int, float] = {}
    for session in sessions.select_related("connector__charger").prefetch_related(
        "connector__charger__connectors"
    ):
        charger = session.connector.charger
        drawn[charger.node_id] = drawn.get(charger.node_id, 0.0) + charger.fallback_share_kw
        notes.depot.append(
            f"The vehicle at {session.connector} is not planned: nobody knows it. It charges with up to "
            f"{charger.fallback_share_kw:g} kW. Enter its token in the set-up."
        )
    return drawn


def _site(
    depot: Depot,
    agreement: InterconnectionAgreement | None,
    grid: TimeGrid,
    now: datetime,
    notes: Notes,
    guests_kw: float,
) -> dict[str, Any]:
    connection = depot.nodes.filter(kind=ElectricalNode.Kind.GRID).first()
    allowed = agreement.allowed_export_kw if agreement else 0.0
    if connection is None:
        notes.depot.append("Nothing can be charged: the depot has no grid connection. Add it in the set-up.")
    if allowed == 0.0:
        notes.depot.append("No power flows to the grid: the interconnection agreement is not in force.")
    solar = expected(depot, Forecast.Kind.SOLAR, grid, now)
    building = expected(depot, Forecast.Kind.BUILDING, grid, now)
    notes.depot.extend(forecast.source for forecast in (solar, building) if forecast.made_at is None)
    return {
        "import_limit_kw": max(connection.import_limit_kw * PLANNED_SHARE - guests_kw, 0.0)
        if connection
        else 0.0,
        "export_limit_kw": min(connection.export_limit_kw, allowed) * PLANNED_SHARE if connection else 0.0,
        "building_load_kw": _series(building),
        "solar_kw": _series(solar),
        "solar_curtailable": all(array.curtailable for array in depot.solar_arrays.all()),
    }


def _series(forecast: Expected) -> list[float]:
    return [round(float(value), 3) for value in forecast.power_kw]


def _nodes(depot: Depot, guests: dict[int, float]) -> list[dict[str, Any]]:
    nodes = list(depot.nodes.select_related("parent").exclude(kind=ElectricalNode.Kind.GRID))
    parents = {node.pk: node.parent_id for node in nodes}
    taken = dict.fromkeys(parents, 0.0)
    for node_id, power_kw in guests.items():
        above: int | None = node_id
        while above is not None and above in taken:
            taken[above] += power_kw
            above = parents[above]
    return [
        {
            "id": str(node.pk),
            "parent": _node_id(node.parent) if node.parent else None,
            "import_limit_kw": max(node.import_limit_kw - taken[node.pk], 0.0),
            "export_limit_kw": node.export_limit_kw,
        }
        for node in nodes
    ]


def _node_id(node: ElectricalNode) -> str | None:
    return None if node.kind == ElectricalNode.Kind.GRID else str(node.pk)


def _cabinets(cabinets: Collection[int], connectors: Iterable[Connector]) -> list[dict[str, Any]]:
    """Return a node for each charger whose plugs share one power limit."""
    chargers = {row.charger_id: row.charger for row in connectors if row.charger_id in cabinets}
    return [
        {
            "id": f"cabinet-{charger.pk}",
            "parent": _node_id(charger.node),
            "import_limit_kw": charger.max_charge_kw,
            "export_limit_kw": charger.max_discharge_kw,
        }
        for charger in chargers.values()
    ]


def _charger(connector: Connector, cabinets: Collection[int], notes: Notes) -> dict[str, Any]:
    charger = connector.charger
    if charger.min_charge_kw or charger.min_discharge_kw:
        notes.depot.append(f"The least power of charger {charger.name} is not kept by the plan.")
    return {
        "id": str(connector.pk),
        "node": f"cabinet-{charger.pk}" if charger.pk in cabinets else _node_id(charger.node),
        "max_charge_kw": charger.max_charge_kw,
        "max_discharge_kw": charger.max_discharge_kw,
        "charge_efficiency": charger.charge_efficiency,
        "discharge_efficiency": charger.discharge_efficiency,
    }


def _vehicle(
    vehicle: Vehicle, place: Connector, needs: list[Need], grid: TimeGrid, now: datetime, notes: Notes
) -> dict[str, Any]:
    kind, charger = vehicle.type, place.charger
    return {
        "id": str(vehicle.pk),
        "capacity_kwh": round(vehicle.capacity_kwh, 3),
        "initial_soc": _known_soc(vehicle, now, notes),
        "min_soc": kind.min_soc,
        "max_soc": kind.max_soc,
        "charger": str(place.pk),
        "max_charge_kw": charge_limit_kw(vehicle, charger),
        "max_discharge_kw": discharge_limit_kw(vehicle, charger),
        "v2g_min_soc": max(vehicle.v2g_min_soc, kind.min_soc),
        "away": _away(vehicle, needs, grid, now),
        "targets": [
            {
                "boundary": grid.boundary_of(need.duty.pull_out_at, "pull_out"),
                "soc": min(math.ceil(need.required_soc * 1e4) / 1e4, kind.max_soc),
                "tier": "must",
            }
            for need in needs
            if now < need.duty.pull_out_at <= grid.end_at
        ],
    }


def _known_soc(vehicle: Vehicle, now: datetime, notes: Notes) -> float:
    """Return the SoC to plan with: a stale one is lowered, an unknown one is taken as low."""
    state = getattr(vehicle, "state", None)
    if state is None:
        notes.of(vehicle.pk, f"Its charge is not known; planned as if at {UNKNOWN_SOC:.0%}.")
        return UNKNOWN_SOC
    if _is_stale(state, now):
        notes.of(
            vehicle.pk,
            f"Its charge was last heard of {_ago(now - state.soc_observed_at)} ago; "
            f"planned {STALE_MARGIN:.0%} lower to be safe.",
        )
        return round(max(0.0, state.soc - STALE_MARGIN), 4)
    return round(state.soc, 4)


def _is_stale(state: VehicleState, now: datetime) -> bool:
    return state.plugged_in and now - state.soc_observed_at > STALE_SOC


def _doubt(vehicle: Vehicle, now: datetime) -> str:
    """Return why the charge is too uncertain to discharge; a floor that nobody sees cannot be kept."""
    state = getattr(vehicle, "state", None)
    if state is None or _is_stale(state, now):
        return f"The present charge of {vehicle.name} is not known."
    return ""


def _ago(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def _away(vehicle: Vehicle, needs: list[Need], grid: TimeGrid, now: datetime) -> list[dict[str, Any]]:
    """Return when the vehicle is away: its duties, and the next step if it should stand here but does not."""
    state = getattr(vehicle, "state", None)
    spans: list[dict[str, Any]] = []
    reached = 0
    out_now = any(need.duty.pull_out_at <= now < need.duty.pull_in_at for need in needs)
    if state is not None and not state.plugged_in and not out_now:
        spans.append({"from_step": 0, "to_step": 1, "energy_kwh": 0.0})
        reached = 1
    for need in needs:
        begin = max(grid.boundary_of(need.duty.pull_out_at, "pull_out"), reached)
        end = grid.boundary_of(need.duty.pull_in_at, "pull_in")
        if need.duty.pull_in_at <= now or begin >= end:
            continue
        energy_kwh = round(need.energy_kwh * _share_to_come(need.duty, state, grid.end_at), 3)
        spans.append({"from_step": begin, "to_step": end, "energy_kwh": energy_kwh})
        reached = end
    return spans


def _share_to_come(duty: Duty, state: VehicleState | None, end_at: datetime) -> float:
    """Return which part of a trip's energy is not yet in the vehicle's last known charge, 0 to 1."""
    known_at = state.soc_observed_at if state else duty.pull_out_at
    begin, end = max(duty.pull_out_at, known_at), min(duty.pull_in_at, end_at)
    return max(0.0, (end - begin) / (duty.pull_in_at - duty.pull_out_at))


def _final_target(row: dict[str, Any], needs: list[Need], grid: TimeGrid, price: float) -> dict[str, Any]:
    """Return what should remain at the end: what the next block then needs, priced like buying it later."""
    later = next((need for need in needs if need.duty.pull_out_at > grid.end_at), None)
    wanted = later.required_soc if later else 0.5
    return {
        "boundary": grid.steps,
        "soc": round(min(max(wanted, row["min_soc"]), row["max_soc"]), 4),
        "tier": "should",
        "price_per_kwh": round(max(price, 0.01), 6),
    }
