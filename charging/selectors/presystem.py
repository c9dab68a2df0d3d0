"""What a presystem is told of a depot (VDV 463, ProvideChargingInformation)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery

from charging.models import Charger, ChargingSession, Connector, MeterSample, Plan
from charging.selectors.links import is_linked
from charging.selectors.plans import grid_of, latest_plan
from charging.selectors.readiness import planned_soc, reaches
from depot.models import Depot
from depot.words import tr
from fleet.formats.vdv463 import (
    PointInfo,
    Prediction,
    ProcessInfo,
    ScheduledInfo,
    StationInfo,
    VehicleInfo,
    information,
)
from fleet.models import ChargingRequest, Vehicle

STATUS = {
    Connector.Status.AVAILABLE: "Available",
    Connector.Status.OCCUPIED: "Occupied",
    Connector.Status.RESERVED: "Reserved",
    Connector.Status.FAULTED: "Faulted",
}
"""A point that nothing is known of, or that is out of service, is Unavailable."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is asked of the database once for a whole depot."""

    plan: Plan | None
    now: datetime
    sessions: Mapping[int, ChargingSession]
    coming: Mapping[int, Sequence[ChargingRequest]]
    """Accepted requests that still count, by vehicle id, the next departure first."""


def point_of(connector: Connector) -> str:
    """Return the name by which presystems know a charging point: its bay, else charger and EVSE."""
    return str(connector)


def points(depot: Depot) -> frozenset[str]:
    """Return the names of the depot's charging points."""
    rows = Connector.objects.filter(charger__depot=depot).select_related("charger")
    return frozenset(point_of(row) for row in rows)


def charging_information(depot: Depot, presystem: str, now: datetime) -> dict[str, Any]:
    """Return the payload for one presystem; what it asked for in vain is listed with the reasons."""
    asked = ChargingRequest.objects.filter(depot=depot)
    coming: defaultdict[int, list[ChargingRequest]] = defaultdict(list)
    for request in asked.filter(rejected_because="", departs_at__gt=now).order_by("departs_at"):
        coming[request.vehicle_id or 0].append(request)
    newest = MeterSample.objects.filter(session=OuterRef("pk")).order_by("-sampled_at")
    open_ones = ChargingSession.objects.filter(connector__charger__depot=depot, unplugged_at__isnull=True)
    sessions = open_ones.select_related("vehicle__type", "vehicle__state").annotate(
        power_kw=Subquery(newest.values("power_kw")[:1])
    )
    known = Known(latest_plan(depot, now), now, {row.connector_id: row for row in sessions}, coming)
    chargers = Charger.objects.filter(depot=depot).prefetch_related("connectors__vehicle__state")
    rejected = asked.filter(presystem=presystem).exclude(rejected_because="").order_by("request_id")
    return information(
        (depot.slug, depot.name),
        [_station(charger, known) for charger in chargers],
        list(rejected.values_list("presystem", "request_id", "rejected_because")),
    )


def _station(charger: Charger, known: Known) -> StationInfo:
    fault, here_now = None, is_linked(charger, known.now)
    if not here_now:
        fault = (
            "CommunicationFailure",
            tr("The station is not connected."),
            charger.last_seen_at or known.now,
        )
    here = [known.sessions[row.pk] for row in charger.connectors.all() if row.pk in known.sessions]
    total_kw = sum(_power_kw(session) for session in here) if here_now else None
    return StationInfo(
        charger.name, [_point(charger, row, known) for row in charger.connectors.all()], total_kw, fault
    )


def _point(charger: Charger, connector: Connector, known: Known) -> PointInfo:
    session = known.sessions.get(connector.pk)
    status = STATUS.get(Connector.Status(connector.status), "Unavailable")
    if not is_linked(charger, known.now):
        status = "Unavailable"
    elif session is not None and status != "Faulted":
        status = "Occupied"
    vehicle = session.vehicle if session is not None else None
    waited = connector.vehicle
    queue = list(known.coming.get(waited.pk, ())) if waited is not None else []
    if waited is not None and vehicle is not None and vehicle.pk == waited.pk:
        queue = queue[1:]  # the first is what its process serves
    return PointInfo(
        point_of(connector),
        status,
        _vehicle(vehicle, session) if vehicle is not None and session is not None else None,
        _process(session, known) if session is not None else None,
        [_scheduled(request, waited, known) for request in queue] if waited is not None else (),
    )


def _power_kw(session: ChargingSession) -> float:
    """Return what the newest sample says, as annotated."""
    return float(getattr(session, "power_kw", None) or 0.0)


def _vehicle(vehicle: Vehicle, session: ChargingSession) -> VehicleInfo:
    state = getattr(vehicle, "state", None)
    charging = (_power_kw(session)) > 0.5
    if state is None:
        return VehicleInfo(name_of(vehicle), charging)
    return VehicleInfo(
        name_of(vehicle), charging, state.soc, state.soh, state.odometer_km, state.battery_temp_c
    )


def name_of(vehicle: Vehicle) -> str:
    """Return what a presystem calls a vehicle: its external id where it has one, else its name."""
    return vehicle.external_id or vehicle.name


def _process(session: ChargingSession, known: Known) -> ProcessInfo:
    vehicle = session.vehicle
    request = next(iter(known.coming.get(vehicle.pk, ())), None) if vehicle is not None else None
    state = getattr(vehicle, "state", None)
    enough = bool(request and state and reaches(state.soc, request.min_soc or 0.0))
    return ProcessInfo(
        str(session.pk),
        session.plugged_in_at,
        _power_kw(session),
        session.import_kwh,
        _prediction(request, vehicle, known) if request is not None and vehicle is not None else Prediction(),
        (request.presystem, request.request_id) if request is not None else None,
        enough,
    )


def _scheduled(request: ChargingRequest, vehicle: Vehicle, known: Known) -> ScheduledInfo:
    named = request.vehicle_ref or name_of(vehicle)
    return ScheduledInfo((request.presystem, request.request_id), named, _prediction(request, vehicle, known))


def _prediction(request: ChargingRequest, vehicle: Vehicle, known: Known) -> Prediction:
    at, least = request.departs_at, request.min_soc
    if known.plan is None or at is None:
        return Prediction()
    return Prediction(at, planned_soc(known.plan, vehicle, at), least, _reached_at(known, vehicle, at, least))


def _reached_at(known: Known, vehicle: Vehicle, until: datetime, soc: float | None) -> datetime | None:
    """Return when the plan has a vehicle at `soc` from now on and before `until`; None when it never has."""
    row = known.plan.answer["vehicles"].get(str(vehicle.pk)) if known.plan is not None else None
    if row is None or known.plan is None or soc is None:
        return None
    grid = grid_of(known.plan)
    for boundary, planned in enumerate(row["soc"]):
        at = grid.start_at + boundary * grid.step
        if at > until:
            return None
        if at >= known.now and reaches(planned, soc):
            return at
    return None
