"""The fleet's doors of the REST API: telemetry in; vehicles and blocks out."""

from __future__ import annotations

from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from depot import clock
from depot.access.batches import BatchAnswer, answer, read_items
from depot.access.filters import RowId
from depot.access.idempotency import once
from depot.access.rows import DepotRows, KnownParameters
from depot.models import Scope
from fleet.api_departures import VehicleDepartures
from fleet.ingest.items import LONGEST_ID, NUMBERS
from fleet.models import Block, Vehicle, VehicleState
from fleet.services.telemetry_batches import take_in


class TelemetryItem(serializers.Serializer):
    """One reading of one vehicle: who, when, and at least one value."""

    vehicle = serializers.CharField(help_text="The vehicle's id (as a number), VIN or external id.")
    observed_at = serializers.DateTimeField(help_text="ISO 8601 with offset; at most 5 minutes ahead.")
    source_event_id = serializers.CharField(
        required=False, max_length=LONGEST_ID, help_text="Tells two readings of one moment apart."
    )
    plugged_in = serializers.BooleanField(required=False, allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field]:
        numbers = {
            name: serializers.FloatField(
                required=False,
                allow_null=True,
                min_value=limits.low,
                max_value=limits.high,
                help_text=f"In {limits.unit}.",
            )
            for name, limits in NUMBERS.items()
        }
        return super().get_fields() | numbers


class TelemetryBatch(serializers.Serializer):
    items = TelemetryItem(many=True, help_text="1,000 at most. A bare list is taken as well.")


class Telemetry(KnownParameters, APIView):
    """Take in what vehicles say."""

    write_scope = Scope.TELEMETRY
    parameters = ()

    @extend_schema(
        operation_id="telemetry_create",
        request=TelemetryBatch,
        responses=BatchAnswer,
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Sent again with the same body, the first answer is repeated and nothing done.",
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Keep a batch of readings.

        Every item gets its own result: accepted, duplicate (was there already), late (older than what is
        known: kept, changes no state), rejected (code and message say why), quarantined (unknown vehicle:
        kept until it is entered). The answer is sent only after everything is stored. A reading that cannot
        be true is accepted with code `implausible`, kept as suspect, and changes nothing else.
        """
        items = read_items(request)
        key = request.auth
        return Response(
            once(request, lambda: answer(take_in(key.depot, items, clock.now(), f"API key: {key.name}")))
        )


class StateSerializer(serializers.ModelSerializer):
    """The newest known state, in the fields of telemetry."""

    soc_percent = serializers.SerializerMethodField()
    soh_percent = serializers.SerializerMethodField()

    class Meta:
        model = VehicleState
        fields = (
            "observed_at",
            "soc_percent",
            "soc_source",
            "soc_observed_at",
            "plugged_in",
            "charging_power_kw",
            "odometer_km",
            "battery_temp_c",
            "soh_percent",
        )

    def get_soc_percent(self, state: VehicleState) -> float:
        return round(state.soc * 100, 2)

    def get_soh_percent(self, state: VehicleState) -> float:
        return round(state.soh * 100, 2)


class VehicleSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    type = serializers.SlugRelatedField("name", read_only=True)
    kind = serializers.CharField(source="type.kind", read_only=True)
    usable_kwh = serializers.FloatField(source="type.usable_kwh", read_only=True)
    state = StateSerializer(read_only=True, allow_null=True, default=None)

    class Meta:
        model = Vehicle
        fields = (
            "id",
            "depot",
            "name",
            "type",
            "kind",
            "vin",
            "external_id",
            "usable_kwh",
            "v2g_enabled",
            "v2g_min_soc",
            "active",
            "state",
        )


class VehicleFilter(filters.FilterSet):
    class Meta:
        model = Vehicle
        fields = ("active", "name", "vin", "external_id")


class Vehicles(DepotRows, ReadOnlyModelViewSet):
    """Vehicles with their newest known state."""

    queryset = Vehicle.objects.select_related("depot", "type", "state")
    serializer_class = VehicleSerializer
    filterset_class = VehicleFilter


class BlockSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    calendar = serializers.SlugRelatedField("name", read_only=True)

    class Meta:
        model = Block
        fields = (
            "id",
            "depot",
            "block_id",
            "service_date",
            "weekdays",
            "valid_from",
            "valid_to",
            "calendar",
            "depart_minute",
            "return_minute",
            "distance_km",
            "energy_kwh",
            "min_soc_departure",
            "precondition",
            "vehicle",
        )


class BlockFilter(filters.FilterSet):
    vehicle = RowId(field_name="vehicle_id")

    class Meta:
        model = Block
        fields = ("block_id", "service_date")


class Blocks(DepotRows, ReadOnlyModelViewSet):
    """Blocks: times are minutes after local midnight of the service day, above 1,440 on the next day."""

    queryset = Block.objects.select_related("depot", "calendar")
    serializer_class = BlockSerializer
    filterset_class = BlockFilter


router = SimpleRouter(trailing_slash=False)
router.register("vehicles", Vehicles, "api-vehicle")
router.register("blocks", Blocks, "api-block")

urlpatterns = [
    path("telemetry", Telemetry.as_view(), name="api-telemetry"),
    path("vehicles/<int:vehicle>/departures", VehicleDepartures.as_view(), name="api-departures"),
    *router.urls,
]
