"""The conductor's doors of the REST API: chargers, sessions, the newest plan, readiness."""

from __future__ import annotations

from django.db.models import QuerySet
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from charging.api_operations import Operations
from charging.api_overrides import Overrides
from charging.models import Charger, ChargingSession, Connector, Plan
from charging.selectors.links import is_linked, linked
from charging.selectors.readiness import readiness
from depot import clock
from depot.access.filters import Moment, RowId
from depot.access.rows import DEPOT_PARAMETER, DepotRows, KnownParameters, depot_of


class ConnectorSerializer(serializers.ModelSerializer):
    class Meta:
        model = Connector
        fields = ("id", "evse_id", "connector_id", "bay", "vehicle", "status", "status_at")


class ChargerSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    node = serializers.SlugRelatedField("name", read_only=True)
    connectors = ConnectorSerializer(many=True, read_only=True)
    connected = serializers.SerializerMethodField()

    class Meta:
        model = Charger
        fields = (
            "id",
            "depot",
            "node",
            "name",
            "current",
            "max_charge_kw",
            "max_discharge_kw",
            "min_charge_kw",
            "min_discharge_kw",
            "vendor",
            "model",
            "firmware",
            "protocol",
            "connected",
            "last_seen_at",
            "connectors",
        )

    def get_connected(self, charger: Charger) -> bool:
        return is_linked(charger, clock.now())


class ChargerFilter(filters.FilterSet):
    connected = filters.BooleanFilter(method="are_connected")

    class Meta:
        model = Charger
        fields = ("name",)

    def are_connected(self, rows: QuerySet[Charger], name: str, value: bool) -> QuerySet[Charger]:
        here = linked(clock.now())
        return rows.filter(here) if value else rows.exclude(here)


class Chargers(DepotRows, ReadOnlyModelViewSet):
    """Chargers with their connectors."""

    queryset = Charger.objects.select_related("depot", "node").prefetch_related("connectors")
    serializer_class = ChargerSerializer
    filterset_class = ChargerFilter


class SessionSerializer(serializers.ModelSerializer):
    charger = serializers.IntegerField(source="connector.charger_id", read_only=True)

    class Meta:
        model = ChargingSession
        fields = (
            "id",
            "charger",
            "connector",
            "vehicle",
            "transaction_id",
            "plugged_in_at",
            "unplugged_at",
            "soc_in",
            "soc_out",
            "import_kwh",
            "export_kwh",
        )


class SessionFilter(filters.FilterSet):
    open = filters.BooleanFilter(field_name="unplugged_at", lookup_expr="isnull", label="Still plugged in")
    since = Moment(field_name="plugged_in_at", lookup_expr="gte")
    vehicle = RowId(field_name="vehicle_id")
    charger = RowId(field_name="connector__charger_id")


class Sessions(DepotRows, ReadOnlyModelViewSet):
    """Times at a plug, the newest first; energy is measured at the charger's grid side."""

    queryset = ChargingSession.objects.select_related("connector")
    serializer_class = SessionSerializer
    filterset_class = SessionFilter
    ordering = ("-plugged_in_at", "-pk")


class PlanSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    plan = serializers.JSONField(source="answer", read_only=True, help_text="As `manage.py solve` writes it.")

    class Meta:
        model = Plan
        fields = (
            "id",
            "depot",
            "made_at",
            "start_at",
            "step_minutes",
            "steps",
            "trigger",
            "status",
            "objective",
            "bound",
            "gap",
            "seconds",
            "currency",
            "unmanaged_cost",
            "notes",
            "violations",
            "verified_at",
            "dispatched_at",
            "plan",
        )


class LatestPlan(KnownParameters, APIView):
    """The newest plan of a depot."""

    @extend_schema(parameters=[DEPOT_PARAMETER], responses=PlanSerializer, operation_id="plans_latest")
    def get(self, request: Request) -> Response:
        """Return the newest plan: powers are signed kW per step, vehicles go by their id."""
        plan = Plan.objects.of_depot(depot_of(request)).select_related("depot").first()
        if plan is None:
            raise NotFound("There is no plan yet. The first one is made within minutes of set-up.", "no_plan")
        return Response(PlanSerializer(plan).data)


class ReadinessSerializer(serializers.Serializer):
    """Will a vehicle be ready for one pull-out? SoC is 0 to 1."""

    block_id = serializers.CharField(source="duty.block.block_id")
    service_date = serializers.DateField(source="duty.service_date")
    pull_out_at = serializers.DateTimeField(source="duty.pull_out_at")
    pull_in_at = serializers.DateTimeField(source="duty.pull_in_at")
    vehicle = serializers.IntegerField(source="vehicle.pk", allow_null=True, default=None)
    vehicle_name = serializers.CharField(source="vehicle.name", allow_null=True, default=None)
    soc_now = serializers.FloatField(allow_null=True)
    soc_at_departure = serializers.FloatField(allow_null=True, help_text="Expected.")
    required_soc = serializers.FloatField()
    because = serializers.CharField(help_text="Why it needs that much.")
    state = serializers.ChoiceField(choices=("ready", "on_track", "at_risk", "will_miss"))
    reason = serializers.CharField()
    act_by = serializers.DateTimeField(allow_null=True, help_text="The latest moment at which acting helps.")


class ReadinessAnswer(serializers.Serializer):
    depot = serializers.CharField()
    at = serializers.DateTimeField()
    results = ReadinessSerializer(many=True)


class ReadinessView(KnownParameters, APIView):
    """Every pull-out of the next 24 hours."""

    @extend_schema(parameters=[DEPOT_PARAMETER], responses=ReadinessAnswer, operation_id="readiness_list")
    def get(self, request: Request) -> Response:
        """Tell for each coming pull-out whether its vehicle will be ready, why not, and until when to act."""
        depot, now = depot_of(request), clock.now()
        answer = {"depot": depot.slug, "at": now, "results": readiness(depot, now)}
        return Response(ReadinessAnswer(answer).data)


router = SimpleRouter(trailing_slash=False)
router.register("chargers", Chargers, "api-charger")
router.register("sessions", Sessions, "api-session")
router.register("overrides", Overrides, "api-override")
router.register(r"chargers/(?P<charger_id>\d+)/operations", Operations, "api-operation")

urlpatterns = [
    path("plans/latest", LatestPlan.as_view(), name="api-latest-plan"),
    path("readiness", ReadinessView.as_view(), name="api-readiness"),
    *router.urls,
]
