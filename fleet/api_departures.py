"""`/api/v1/vehicles/{id}/departures`: what a vehicle has to do, read and replaced at once."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from depot import clock
from depot.access.batches import LONGEST, TooManyItems
from depot.access.idempotency import once
from depot.access.rows import KnownParameters
from depot.models import Scope
from fleet.formats.canonical import LARGEST_KWH, LONGEST_BLOCK_ID, LONGEST_KM
from fleet.models import Vehicle
from fleet.selectors.duties import duties
from fleet.services.departures import Departure, DeparturesRefused, replace_future

SHOWN = timedelta(days=14)


class DepartureSerializer(serializers.Serializer):
    """One departure; it needs a distance or an energy."""

    departs_at = serializers.DateTimeField(help_text="ISO 8601 with offset.")
    returns_at = serializers.DateTimeField()
    external_id = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=LONGEST_BLOCK_ID,
        help_text="Your name for it; it becomes the block's name.",
    )
    distance_km = serializers.FloatField(
        required=False, allow_null=True, default=None, min_value=0, max_value=LONGEST_KM
    )
    energy_kwh = serializers.FloatField(
        required=False, allow_null=True, default=None, min_value=0, max_value=LARGEST_KWH
    )
    min_soc_departure = serializers.FloatField(
        required=False, allow_null=True, default=None, min_value=0, max_value=1, help_text="0 to 1."
    )
    precondition = serializers.BooleanField(required=False, default=False)


class Departures(serializers.Serializer):
    departures = DepartureSerializer(many=True, help_text="All the future departures of the vehicle.")


class ReplacedSerializer(serializers.Serializer):
    """What the replacement did, and the vehicle's departures of the next 14 days."""

    created = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    removed = serializers.IntegerField()
    skipped_past = serializers.IntegerField(help_text="Left already; nothing was changed for them.")
    departures = DepartureSerializer(many=True)


class VehicleDepartures(KnownParameters, APIView):
    """A vehicle's departures."""

    write_scope = Scope.SCHEDULES
    parameters = ()

    def vehicle(self) -> Vehicle:
        rows = Vehicle.objects.visible_to(self.request.user).select_related("depot")
        return get_object_or_404(rows, pk=self.kwargs["vehicle"])

    @extend_schema(operation_id="vehicle_departures_list", responses=Departures)
    def get(self, request: Request, vehicle: int) -> Response:
        """Return the departures of the next 14 days, what is under way included."""
        return Response({"departures": _coming(self.vehicle())})

    @extend_schema(
        operation_id="vehicle_departures_replace",
        request=Departures,
        responses=ReplacedSerializer,
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    def put(self, request: Request, vehicle: int) -> Response:
        """Replace all FUTURE departures of the vehicle at once; what has left already stays as it is.

        All or nothing: one departure that cannot be, and nothing is changed. A new plan follows at once.
        """
        row = self.vehicle()
        wanted = _read(request)
        return Response(once(request, lambda: _replace(row, wanted, request)))


def _read(request: Request) -> list[Departure]:
    data = request.data if isinstance(request.data, dict) else {"departures": request.data}
    items = data.get("departures")
    if isinstance(items, list) and len(items) > LONGEST:
        raise TooManyItems
    form = Departures(data=data)
    form.is_valid(raise_exception=True)
    return [Departure(name=item.pop("external_id"), **item) for item in form.validated_data["departures"]]


def _replace(vehicle: Vehicle, wanted: list[Departure], request: Request) -> dict[str, Any]:
    try:
        done = replace_future(vehicle, wanted, request.user, clock.now())
    except DeparturesRefused as refusal:
        problems = {f"departures[{place}]": [text] for place, text in refusal.problems.items()}
        raise ValidationError(problems) from refusal
    return asdict(done) | {"departures": _coming(vehicle)}


def _coming(vehicle: Vehicle) -> list[dict[str, Any]]:
    now = clock.now()
    return [
        dict(
            DepartureSerializer(
                {
                    "departs_at": duty.pull_out_at,
                    "returns_at": duty.pull_in_at,
                    "external_id": duty.block.block_id,
                    "distance_km": duty.block.distance_km,
                    "energy_kwh": duty.block.energy_kwh,
                    "min_soc_departure": duty.block.min_soc_departure,
                    "precondition": duty.block.precondition,
                }
            ).data
        )
        for duty in duties(vehicle.depot, now, now + SHOWN)
        if duty.vehicle is not None and duty.vehicle.pk == vehicle.pk
    ]
