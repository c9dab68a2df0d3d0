"""Take in the complete list of charging requests of a presystem (VDV 463): departures of its vehicles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from depot.models import Depot
from depot.words import tr
from fleet.formats.vdv463 import ChargingRequest as Asked
from fleet.formats.vdv463 import read_requests, stamp, trips
from fleet.models import ChargingRequest, Vehicle
from fleet.services.departures import (
    Departure,
    DeparturesRefused,
    Replaced,
    ask_for_plan,
    replace_future,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """How many requests stand, and why the others were rejected, by request id."""

    accepted: int
    rejected: Mapping[str, str]


def take_in(
    depot: Depot,
    presystem: str,
    payload: Mapping[str, Any],
    points: Collection[str],
    actor: Any,
    now: datetime,
) -> Taken:
    """Make a presystem's list the truth of its vehicles, in one transaction; the same list again changes nothing.

    A vehicle whose last request is gone has no departure any more. What is wrong is rejected for itself. `points`
    are the depot's charging points. Raises MessageError for a list that is broken as a whole.
    """
    requests, rejected = read_requests(payload)
    with transaction.atomic():
        Depot.objects.select_for_update(no_key=True).get(pk=depot.pk)
        before = {
            row.request_id: row for row in ChargingRequest.objects.filter(depot=depot, presystem=presystem)
        }
        wanted = _match(depot, presystem, requests, points, rejected, now)
        _write(depot, wanted, before, rejected, actor, now)
        _keep(depot, presystem, wanted, rejected, before, now)
    return Taken(sum(map(len, wanted.values())), rejected)


def _match(
    depot: Depot,
    presystem: str,
    requests: Sequence[Asked],
    points: Collection[str],
    rejected: dict[str, str],
    now: datetime,
) -> dict[Vehicle, list[Asked]]:
    """Return the requests by vehicle; those that name nothing we know are rejected."""
    directory: dict[str, Vehicle] = {}
    for vehicle in Vehicle.objects.filter(depot=depot, active=True).select_related("type", "state"):
        for name in (vehicle.name, vehicle.vin, vehicle.external_id):
            directory.setdefault(name, vehicle)
    others = ChargingRequest.objects.filter(depot=depot, rejected_because="", departs_at__gt=now)
    taken = dict(others.exclude(presystem=presystem).values_list("vehicle", "presystem"))
    wanted: defaultdict[Vehicle, list[Asked]] = defaultdict(list)
    for request in requests:
        named = directory.get(request.vehicle)
        if named is None:
            rejected[request.request_id] = tr(
                "No active vehicle has the name, VIN or external id “{vehicle}”. Enter it first.",
                vehicle=request.vehicle,
            )
        elif request.charging_point and request.charging_point not in points:
            rejected[request.request_id] = tr(
                "There is no charging point “{charging_point}”.", charging_point=request.charging_point
            )
        elif named.pk in taken:
            rejected[request.request_id] = tr(
                "{name} is requested by {taken}.", name=named.name, taken=taken[named.pk]
            )
        else:
            wanted[named].append(request)
    return dict(wanted)


def _write(
    depot: Depot,
    wanted: dict[Vehicle, list[Asked]],
    before: Mapping[str, ChargingRequest],
    rejected: dict[str, str],
    actor: Any,
    now: datetime,
) -> None:
    """Replace the departures of every vehicle whose requests have changed; refused ones leave `wanted`."""
    stood: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for row in before.values():
        if (
            row.vehicle_id is not None
            and not row.rejected_because
            and row.departs_at
            and row.departs_at > now
        ):
            stood[row.vehicle_id][row.request_id] = row.asked
    vehicles = {vehicle.pk: vehicle for vehicle in wanted}
    gone = Vehicle.objects.filter(depot=depot, pk__in=set(stood) - set(vehicles)).select_related(
        "type", "state"
    )
    lost = {*_lost_one(stood, wanted)} | {vehicle.pk for vehicle in gone}
    for vehicle in [*gone, *(vehicles[pk] for pk in lost & set(vehicles))]:
        replace_future(vehicle, [], actor, now, replan=False)  # first: its names may be another's now
    changed = bool(lost)
    for vehicle, requests in wanted.items():
        coming = {request.request_id: asked(request) for request in requests if request.departs_at > now}
        if vehicle.pk in lost or coming != stood.get(vehicle.pk, {}):
            wanted[vehicle], done = _replace(vehicle, requests, rejected, actor, now)
            changed = changed or bool(done.created or done.removed)
    if changed:
        ask_for_plan(depot, f"charging requests {now.isoformat()}", actor)


def _lost_one(stood: Mapping[int, Mapping[str, Any]], wanted: Mapping[Vehicle, Sequence[Asked]]) -> list[int]:
    """Return the vehicles one of whose requests now stands at another vehicle."""
    holder = {request.request_id: vehicle.pk for vehicle, requests in wanted.items() for request in requests}
    return [pk for pk, ids in stood.items() if any(holder.get(name, pk) != pk for name in ids)]


def _replace(
    vehicle: Vehicle, requests: list[Asked], rejected: dict[str, str], actor: Any, now: datetime
) -> tuple[list[Asked], Replaced]:
    """Write a vehicle's departures without those that cannot be; return what stands, and what that changed."""
    standing = sorted(requests, key=lambda one: one.departs_at)
    while True:
        kind = vehicle.type
        found = trips(standing, vehicle.capacity_kwh, kind.min_soc + kind.reserve_soc)
        departures = [
            Departure(
                trip.request.departs_at,
                trip.returns_at,
                name=trip.request.request_id,
                energy_kwh=trip.energy_kwh,
                min_soc_departure=trip.request.min_soc,
                precondition=trip.request.precondition,
            )
            for trip in found
        ]
        try:
            return standing, replace_future(vehicle, departures, actor, now, replan=False)
        except DeparturesRefused as refusal:
            for place, words in refusal.problems.items():
                rejected[found[place].request.request_id] = words
            standing = [one for one in standing if one.request_id not in rejected]


def asked(request: Asked) -> dict[str, Any]:
    """Return a request as JSON values, to compare it with what was asked before."""
    return {
        "vehicle": request.vehicle,
        "departs_at": stamp(request.departs_at),
        "arrives_at": stamp(request.arrives_at) if request.arrives_at else None,
        "soc_at_arrival": request.soc_at_arrival,
        "min_soc": request.min_soc,
        "max_soc": request.max_soc,
        "charging_point": request.charging_point,
        "precondition": request.precondition,
    }


def _keep(
    depot: Depot,
    presystem: str,
    wanted: Mapping[Vehicle, Sequence[Asked]],
    rejected: Mapping[str, str],
    before: Mapping[str, ChargingRequest],
    now: datetime,
) -> None:
    """Keep one row for each request of the list; what is no longer in it goes."""
    rows = {
        request.request_id: {
            "vehicle_id": vehicle.pk,
            "vehicle_ref": request.vehicle,
            "departs_at": request.departs_at,
            "min_soc": request.min_soc,
            "asked": asked(request),
            "rejected_because": "",
        }
        for vehicle, requests in wanted.items()
        for request in requests
    }
    nothing: dict[str, Any] = {"vehicle_id": None, "departs_at": None, "min_soc": None, "asked": {}}
    for request_id, words in rejected.items():
        rows[request_id] = nothing | {"rejected_because": words[:300]}
    gone = [row.pk for request_id, row in before.items() if request_id not in rows]
    ChargingRequest.objects.filter(pk__in=gone).delete()
    new = []
    for request_id, values in rows.items():
        row = before.get(request_id)
        if row is None:
            new.append(
                ChargingRequest(
                    depot=depot, presystem=presystem, request_id=request_id, received_at=now, **values
                )
            )
        elif any(getattr(row, name) != value for name, value in values.items()):
            ChargingRequest.objects.filter(pk=row.pk).update(received_at=now, **values)
    ChargingRequest.objects.bulk_create(new, batch_size=500)
