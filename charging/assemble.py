"""Read the database once and make the planner's case: what is known now, in the format of `manage.py solve`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from billing.selectors.prices import Prices, prices_for
from billing.selectors.programmes import events_for
from charging.bands import DEFAULT_BUILDING_SHARE, DEFAULT_SOLAR_SHARE
from charging.models import Charger, ChargingSession, Connector, Override
from charging.orders import apply_orders
from charging.peak_outlook import end_targets, expecting
from charging.permission import charge_limit_kw, discharge_limit_kw, discharge_permission
from charging.planner.plan import plan_from_json
from charging.planner.warm import LastPlan
from charging.selectors.bands import TripBands, trip_bands
from charging.selectors.held import away_chargers, held_kw
from charging.selectors.known_soc import KnownSoc, known_socs
from charging.selectors.outlook import Expectation, expectation
from charging.selectors.overrides import overrides_in_force
from charging.selectors.plans import running_plan
from depot.models import Depot, ElectricalNode, Forecast, InterconnectionAgreement
from depot.selectors.forecasts import expected
from depot.services.forecasts import horizon
from depot.timegrid import TimeGrid
from depot.words import tr
from fleet.battery.charge_taper import read_charge_taper
from fleet.models import Outage, Vehicle, VehicleState
from fleet.selectors.duties import MOMENT, Duty, duties, outages_of
from fleet.selectors.needs import Need, needs_of
from fleet.selectors.wear import wear_costs

LOOK_BACK = timedelta(hours=24)
"""Trips of so long ago may have used what a charge that was told before them does not show."""
PLANNED_SHARE = 0.95
"""Of the site's limits a plan uses this much: building and sun differ from their forecasts within a step."""
BEYOND = timedelta(hours=24)
LEAST_PRICE = 0.01
"""Later energy and changes are priced at least by this, per kWh: free energy is not to be left out or moved idly."""
CHANGE_PRICE_SHARE = 0.02
"""To change the next step has to save this share of what its energy costs at the horizon's median price."""


@dataclass(slots=True)
class Notes:
    """What a person should know about the case: per vehicle id, and for the whole depot.

    The depot's are by keys that are the same in every language: each is an alert while it holds.
    """

    vehicles: dict[str, list[str]] = field(default_factory=dict)
    depot: dict[str, str] = field(default_factory=dict)
    peaks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By demand charge: which peak is billed, which is to be expected anyway, why, and when that was found."""
    remarks: list[str] = field(default_factory=list)
    """How prices were simplified: true while the tariff holds, so that nobody is alerted."""
    away: list[int] = field(default_factory=list)
    """Chargers that are not heard: the case reserves what they hold, and nothing is sent to them."""

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
    last: LastPlan | None = None


def assemble(
    depot: Depot, now: datetime, orders: Collection[Override] | None = None, *, outlook_days: int = 0
) -> Assembled:
    """Make the case of `depot` at `now`. Vehicles that cannot be planned are named in the notes, with the cure.

    `orders` are people's orders to plan by; None stands for those in force. With `outlook_days` it is the case of the
    peak outlook: of so many days, and of what is known now alone, without the last outlook and the last plan.
    """
    grid = horizon(depot, now, 24 * outlook_days if outlook_days else depot.horizon_hours)
    notes = Notes()
    vehicles = list(Vehicle.objects.filter(depot=depot, active=True).select_related("type", "state"))
    notes.away = sorted(away_chargers(depot, now))
    places = _steered(_places(depot, vehicles, notes), notes)
    out = _out_of_service(depot, now)
    planned = [
        vehicle for vehicle in vehicles if vehicle.pk in places and not _gone(vehicle, out, grid, notes)
    ]
    found = duties(depot, grid.start_at - LOOK_BACK, grid.end_at + BEYOND)
    needs = needs_of([duty for duty in found if duty.outage is None])
    prices = prices_for(depot, grid, now)
    notes.depot.update(prices.warnings)
    notes.remarks.extend(prices.remarks)
    agreement = InterconnectionAgreement.objects.filter(depot=depot).first()
    plugs = Counter(places[vehicle.pk].charger_id for vehicle in planned)
    cabinets = {charger_id for charger_id, count in plugs.items() if count > 1}
    guests = _guests(depot, places, grid, notes)
    outlook = Expectation() if outlook_days else expectation(depot, prices, grid, now)
    wear = wear_costs(depot)
    known = known_socs(planned, needs, now)
    bands = trip_bands(depot, now, grid.step_minutes)
    rows = []
    for vehicle in planned:
        if known[vehicle.pk].note:
            notes.of(vehicle.pk, known[vehicle.pk].note)
        soc = known[vehicle.pk].soc
        row = _vehicle(vehicle, places[vehicle.pk], needs.get(vehicle.pk, []), grid, now, soc, bands)
        broken = out.get(vehicle.pk)
        if broken is not None and not vehicle.state.plugged_in:
            row["away"] = _until_back(row["away"], grid.boundary_of(broken.to_at or grid.end_at, "pull_in"))
        row["wear_cost_per_kwh"] = wear[vehicle.pk]
        wanted = _wanted_at_end(row, needs.get(vehicle.pk, []), grid)
        row["targets"] += end_targets(
            grid.steps, wanted, row["max_soc"], _worth(places[vehicle.pk], prices), prices.demand_charges
        )
        permission = discharge_permission(vehicle, places[vehicle.pk].charger, agreement)
        obstacle = permission.reason or _broken(vehicle, out) or _doubt(vehicle, known[vehicle.pk])
        row["v2g"] = not obstacle
        if obstacle:
            notes.of(vehicle.pk, tr("Not discharged: {obstacle}", obstacle=obstacle))
        rows.append(row)
    orders = overrides_in_force(depot, now) if orders is None else orders
    apply_orders(rows, orders, grid)
    for order in orders:
        notes.of(
            order.vehicle_id,
            tr(
                "{made_by_name} ordered: {in_words}{order}.",
                made_by_name=order.made_by_name,
                in_words=order.in_words(),
                order=_why(order),
            ),
        )
    events, told = events_for(depot, grid, prices.export_per_kwh)
    notes.depot.update(told)
    site = _site(depot, agreement, grid, now, notes, sum(guests.values(), np.zeros(grid.steps)))
    last = None if outlook_days else _last_plan(depot, grid, now)
    case = {
        "version": 1,
        "name": f"{depot.slug} {depot.local(grid.start_at):%Y-%m-%d %H:%M}",
        "start": depot.local(grid.start_at).isoformat(),
        "step_minutes": grid.step_minutes,
        "steps": grid.steps,
        "currency": depot.currency,
        "site": site | {"nodes": _nodes(depot, guests) + _cabinets(cabinets, places.values())},
        "prices": {"import_per_kwh": prices.import_per_kwh, "export_per_kwh": prices.export_per_kwh},
        "demand_charges": expecting(prices.demand_charges, outlook.kw),
        "chargers": [_charger(places[vehicle.pk], cabinets) for vehicle in planned],
        "vehicles": rows,
        "storage": [],
        "events": events,
        "bad_day": _bad_day(site),
    }
    notes.peaks = outlook.told(prices.demand_charges)
    if last is not None:
        case["previous"] = _previous(last, rows, CHANGE_PRICE_SHARE * _usual_price(prices) * grid.step_hours)
    for battery in depot.batteries.all():
        notes.depot[f"battery {battery.pk}"] = tr(
            "Battery {name} is not planned: nothing here can command it, so no plan may count on it.",
            name=battery.name,
        )
    return Assembled(case, notes, grid, places, needs, last)


def _bad_day(site: dict[str, Any]) -> dict[str, Any]:
    """Return a bad day's building load and sun: the documented shares around the forecasts."""
    return {
        "building_load_kw": [round(kw * (1 + DEFAULT_BUILDING_SHARE), 3) for kw in site["building_load_kw"]],
        "solar_kw": [round(kw * (1 + DEFAULT_SOLAR_SHARE), 3) for kw in site["solar_kw"]],
    }


def _last_plan(depot: Depot, grid: TimeGrid, now: datetime) -> LastPlan | None:
    """Return the plan that ran until now, if its steps fall on the grid's.

    One made at this very moment is not the last but this one: assembled again, its case must come out the same.
    """
    plan = running_plan(depot, now - timedelta(microseconds=1))
    if plan is None or plan.step_minutes != grid.step_minutes or plan.violations:
        return None
    ago, rest = divmod(grid.start_at - plan.start_at, timedelta(minutes=grid.step_minutes))
    return None if rest or not 0 <= ago < plan.steps else LastPlan(plan_from_json(plan.answer), ago)


def _previous(last: LastPlan, rows: Iterable[dict[str, Any]], price_per_kw: float) -> dict[str, Any]:
    """Return what the last plan was about to do in the first step with the vehicles that it knew."""
    known = {row["id"]: last.plan.vehicles[row["id"]] for row in rows if row["id"] in last.plan.vehicles}
    return {
        "price_per_kw": round(price_per_kw, 6),
        "net_kw": {
            name: [round(float(own.charge_kw[last.steps_ago] - own.discharge_kw[last.steps_ago]), 3)]
            for name, own in known.items()
        },
    }


def _out_of_service(depot: Depot, now: datetime) -> dict[int, Outage]:
    """Return by vehicle id the outage that lasts longest of those it is in now."""
    last = datetime.max.replace(tzinfo=UTC)
    return {
        vehicle_id: max(now_out, key=lambda outage: outage.to_at or last)
        for vehicle_id, outages in outages_of(depot, now, now + MOMENT).items()
        if (now_out := [outage for outage in outages if outage.covers(now, now + MOMENT)])
    }


def _gone(vehicle: Vehicle, out: dict[int, Outage], grid: TimeGrid, notes: Notes) -> bool:
    """Tell whether a vehicle is out of service, not plugged in, and will not be back within the plan; and say so."""
    outage, state = out.get(vehicle.pk), getattr(vehicle, "state", None)
    if outage is None or (state is not None and state.plugged_in):
        return False
    gone = state is None or outage.to_at is None or outage.to_at >= grid.end_at
    if gone:
        notes.of(vehicle.pk, tr("Not planned: it is out of service and not plugged in."))
    return gone


def _broken(vehicle: Vehicle, out: dict[int, Outage]) -> str:
    """Return why a vehicle that is out of service is not discharged: somebody may be working at it."""
    return tr("{name} is out of service.", name=vehicle.name) if vehicle.pk in out else ""


def _until_back(away: list[dict[str, Any]], back: int) -> list[dict[str, Any]]:
    """Return the spans away of a vehicle that is somewhere else and out of service until a boundary."""
    first = {"from_step": 0, "to_step": max(back, 1), "energy_kwh": 0.0}
    return [first, *(span for span in away if span["from_step"] >= first["to_step"])]


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
            notes.of(vehicle.pk, tr("Not planned: it has no connector. Give it one in the set-up."))
        elif home[vehicle.pk].pk in taken:
            notes.of(
                vehicle.pk,
                tr("Not planned: another vehicle stands at its place {home}.", home=home[vehicle.pk]),
            )
        else:
            places[vehicle.pk] = home[vehicle.pk]
    return places


def _steered(places: dict[int, Connector], notes: Notes) -> dict[int, Connector]:
    """Return the places whose chargers are heard and follow their schedules; the others are loads nobody steers."""
    steered = {}
    for vehicle_id, connector in places.items():
        charger = connector.charger
        if charger.pk in notes.away:
            notes.of(
                vehicle_id,
                tr(
                    "Not planned: charger {name} does not answer. It does what it was told last.",
                    name=charger.name,
                ),
            )
        elif charger.strays_since is not None:
            notes.of(
                vehicle_id, tr("Not planned: charger {name} does not follow its schedule.", name=charger.name)
            )
        else:
            steered[vehicle_id] = connector
    return steered


def _guests(
    depot: Depot, places: dict[int, Connector], grid: TimeGrid, notes: Notes
) -> dict[int, NDArray[np.float64]]:
    """Return what vehicles that are not planned may draw, in kW per step by node.

    They get their charger's safe level; chargers that are not heard go on with what they hold.
    """
    sessions = ChargingSession.objects.filter(
        connector__charger__depot=depot, unplugged_at__isnull=True
    ).exclude(connector__in=[connector.pk for connector in places.values()])
    drawn: dict[int, NDArray[np.float64]] = {}

    def draw(charger: Charger, power_kw: float | NDArray[np.float64]) -> None:
        drawn[charger.node_id] = drawn.get(charger.node_id, np.zeros(grid.steps)) + power_kw

    for connector, power_kw in _held(notes.away, grid):
        draw(connector.charger, power_kw)
    for session in (
        sessions.exclude(connector__charger__in=notes.away)
        .select_related("connector__charger")
        .prefetch_related("connector__charger__connectors")
    ):
        charger = session.connector.charger
        if charger.strays_since is not None:
            last = session.samples.order_by("-sampled_at").first()
            draw(charger, max(last.power_kw if last else charger.max_charge_kw, charger.fallback_share_kw))
            continue
        draw(charger, charger.fallback_share_kw)
        notes.depot[f"guest {session.connector_id}"] = tr(
            "The vehicle at {connector} is not planned: nobody knows it. It charges with up to "
            "{fallback_share_kw:g} kW. Enter its token in the set-up.",
            connector=session.connector,
            fallback_share_kw=charger.fallback_share_kw,
        )
    return drawn


def _held(away: list[int], grid: TimeGrid) -> list[tuple[Connector, NDArray[np.float64]]]:
    """Return what is drawn at each connector of chargers that are not heard where a vehicle stands or parks."""
    if not away:
        return []
    here = ChargingSession.objects.filter(connector__charger__in=away, unplugged_at__isnull=True)
    used = Q(vehicle__isnull=False) | Q(pk__in=here.values("connector"))
    connectors = Connector.objects.filter(used, charger__in=away).select_related("charger")
    places = list(connectors.prefetch_related("charger__connectors"))
    held = held_kw(places, grid)
    return [(connector, held[connector.pk]) for connector in places]


def _limit(limit_kw: float, taken_kw: NDArray[np.float64]) -> float | list[float]:
    """Return what is left of a limit: one number, or one for each step where they differ."""
    left = np.round(np.maximum(limit_kw - taken_kw, 0.0), 3)
    return float(left[0]) if np.all(left == left[0]) else [float(value) for value in left]


def _site(
    depot: Depot,
    agreement: InterconnectionAgreement | None,
    grid: TimeGrid,
    now: datetime,
    notes: Notes,
    guests_kw: NDArray[np.float64],
) -> dict[str, Any]:
    connection = depot.nodes.filter(kind=ElectricalNode.Kind.GRID).first()
    allowed = agreement.allowed_export_kw if agreement else 0.0
    if connection is None:
        notes.depot["no grid connection"] = tr(
            "Nothing can be charged: the depot has no grid connection. Add it in the set-up."
        )
    if allowed == 0.0:
        notes.depot["no agreement"] = tr(
            "No power flows to the grid: the interconnection agreement is not in force."
        )
    solar = expected(depot, Forecast.Kind.SOLAR, grid, now)
    building = expected(depot, Forecast.Kind.BUILDING, grid, now)
    if solar.made_at is None or building.made_at is None:
        notes.depot["no forecast"] = tr("No forecast has been made yet.")
    import_kw = connection.import_limit_kw * PLANNED_SHARE if connection else 0.0
    beyond_kw = np.maximum(guests_kw - import_kw, 0.0)  # no limit is below 0: the others must make up for it
    return {
        "import_limit_kw": _limit(import_kw, guests_kw),
        "export_limit_kw": min(connection.export_limit_kw, allowed) * PLANNED_SHARE if connection else 0.0,
        "building_load_kw": _series(building.power_kw + beyond_kw),
        "solar_kw": _series(solar.power_kw),
        "solar_curtailable": all(array.curtailable for array in depot.solar_arrays.all()),
    }


def _series(power_kw: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 3) for value in power_kw]


def _nodes(depot: Depot, guests: dict[int, NDArray[np.float64]]) -> list[dict[str, Any]]:
    nodes = list(depot.nodes.select_related("parent").exclude(kind=ElectricalNode.Kind.GRID))
    parents = {node.pk: node.parent_id for node in nodes}
    taken = dict.fromkeys(parents, np.zeros(1))
    for node_id, power_kw in guests.items():
        above: int | None = node_id
        while above is not None and above in taken:
            taken[above] = taken[above] + power_kw
            above = parents[above]
    return [
        {
            "id": str(node.pk),
            "parent": _node_id(node.parent) if node.parent else None,
            "import_limit_kw": _limit(node.import_limit_kw, taken[node.pk]),
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


def _charger(connector: Connector, cabinets: Collection[int]) -> dict[str, Any]:
    charger = connector.charger
    return {
        "id": str(connector.pk),
        "node": f"cabinet-{charger.pk}" if charger.pk in cabinets else _node_id(charger.node),
        "max_charge_kw": charger.max_charge_kw,
        "max_discharge_kw": charger.max_discharge_kw,
        "charge_efficiency": charger.charge_efficiency,
        "discharge_efficiency": charger.discharge_efficiency,
        "min_charge_kw": charger.min_charge_kw,
        "min_discharge_kw": charger.min_discharge_kw,
        "charge_loss_kw": charger.charge_loss_kw,
        "discharge_loss_kw": charger.discharge_loss_kw,
    }


def _vehicle(
    vehicle: Vehicle,
    place: Connector,
    needs: list[Need],
    grid: TimeGrid,
    now: datetime,
    soc: float,
    bands: TripBands,
) -> dict[str, Any]:
    kind, charger = vehicle.type, place.charger
    return {
        "id": str(vehicle.pk),
        "capacity_kwh": round(vehicle.capacity_kwh, 3),
        "initial_soc": soc,
        "min_soc": kind.min_soc,
        "max_soc": kind.max_soc,
        "charger": str(place.pk),
        "max_charge_kw": charge_limit_kw(vehicle, charger),
        "max_discharge_kw": discharge_limit_kw(vehicle, charger),
        "taper": [
            {"soc": soc, "max_charge_kw": power_kw} for soc, power_kw in read_charge_taper(kind.charge_taper)
        ],
        "v2g_min_soc": max(vehicle.v2g_min_soc, kind.min_soc),
        "away": _away(vehicle, needs, grid, now, bands),
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


def _doubt(vehicle: Vehicle, known: KnownSoc) -> str:
    """Return why the charge is too uncertain to discharge; a floor that nobody sees cannot be kept."""
    return "" if known.sure else tr("The present charge of {name} is not known.", name=vehicle.name)


def _away(
    vehicle: Vehicle, needs: list[Need], grid: TimeGrid, now: datetime, bands: TripBands
) -> list[dict[str, Any]]:
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
        block_id = need.duty.block.pk
        spans.append(
            {
                "from_step": begin,
                "to_step": end,
                "energy_kwh": energy_kwh,
                "late_steps": bands.late_steps(block_id),
                "extra_kwh": round(energy_kwh * bands.extra_share(block_id), 3),
            }
        )
        reached = end
    return spans


def _share_to_come(duty: Duty, state: VehicleState | None, end_at: datetime) -> float:
    """Return which part of a trip's energy is not yet in the vehicle's last known charge, 0 to 1."""
    known_at = state.soc_observed_at if state else duty.pull_out_at
    begin, end = max(duty.pull_out_at, known_at), min(duty.pull_in_at, end_at)
    return max(0.0, (end - begin) / (duty.pull_in_at - duty.pull_out_at))


def _worth(place: Connector, prices: Prices) -> tuple[float, float]:
    """Return what a kWh in a battery costs later: at the median price, and as the cheapest energy with its losses."""
    cheapest = max(min(prices.import_per_kwh), LEAST_PRICE)
    return _usual_price(prices), cheapest / place.charger.full_charge_efficiency


def _usual_price(prices: Prices) -> float:
    return max(float(np.median(prices.import_per_kwh)), LEAST_PRICE)


def _wanted_at_end(row: dict[str, Any], needs: list[Need], grid: TimeGrid) -> float:
    """Return the SoC that should remain at the end: what the next block then needs."""
    later = next((need for need in needs if need.duty.pull_out_at > grid.end_at), None)
    wanted = later.required_soc if later else 0.5
    return round(min(max(wanted, row["min_soc"]), row["max_soc"]), 4)
