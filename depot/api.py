"""The site's doors of the REST API: depots, alerts, jobs, meters and their readings."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from depot import clock
from depot.access.batches import BatchAnswer, answer, read_items
from depot.access.filters import Moment
from depot.access.idempotency import once
from depot.access.rows import DepotRows
from depot.models import Alert, Depot, Job, Meter, MeterReading, Quality, Scope
from depot.services.readings import POWER, REGISTER, take_in


class DepotSerializer(serializers.ModelSerializer):
    class Meta:
        model = Depot
        fields = ("slug", "name", "time_zone", "currency", "latitude", "longitude", "step_minutes")


class Depots(DepotRows, ListAPIView):
    """The depots the caller has a part in."""

    queryset = Depot.objects.all()
    serializer_class = DepotSerializer


class AlertSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)

    class Meta:
        model = Alert
        fields = (
            "id",
            "depot",
            "key",
            "level",
            "title",
            "detail",
            "raised_at",
            "seen_at",
            "cleared_at",
            "acknowledged_at",
            "snoozed_until",
        )


class AlertFilter(filters.FilterSet):
    open = filters.BooleanFilter(field_name="cleared_at", lookup_expr="isnull", label="Not cleared yet")
    since = Moment(field_name="seen_at", lookup_expr="gte")

    class Meta:
        model = Alert
        fields = ("level",)


class Alerts(DepotRows, ListAPIView):
    """What needs somebody, the newest first."""

    queryset = Alert.objects.select_related("depot")
    serializer_class = AlertSerializer
    filterset_class = AlertFilter
    ordering = ("-raised_at", "-pk")


class JobSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)

    class Meta:
        model = Job
        fields = (
            "id",
            "depot",
            "kind",
            "window",
            "state",
            "progress",
            "step",
            "result",
            "error",
            "attempts",
            "created_at",
            "started_at",
            "finished_at",
        )


class JobDetail(DepotRows, RetrieveAPIView):
    """One piece of background work: how far it is, and what came of it."""

    queryset = Job.objects.select_related("depot")
    serializer_class = JobSerializer


class MeterSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)

    class Meta:
        model = Meter
        fields = ("id", "depot", "kind", "name", "serial")


class Meters(DepotRows, ListAPIView):
    """The meters of the site."""

    queryset = Meter.objects.select_related("depot")
    serializer_class = MeterSerializer


class ReadingSerializer(serializers.ModelSerializer):
    power_kw = serializers.FloatField(
        min_value=POWER.low, max_value=POWER.high, help_text="In kW; above zero is import, or production."
    )
    import_kwh_total = serializers.FloatField(min_value=0, max_value=REGISTER.high, help_text="In kWh.")
    export_kwh_total = serializers.FloatField(
        min_value=0, max_value=REGISTER.high, required=False, help_text="In kWh; 0 when left out."
    )
    quality = serializers.ChoiceField(choices=Quality.choices, required=False)

    class Meta:
        model = MeterReading
        fields = ("observed_at", "power_kw", "import_kwh_total", "export_kwh_total", "quality")


class ReadingBatch(serializers.Serializer):
    items = ReadingSerializer(many=True, help_text="1,000 at most. A bare list is taken as well.")


class ReadingFilter(filters.FilterSet):
    since = Moment(field_name="observed_at", lookup_expr="gte")
    until = Moment(field_name="observed_at", lookup_expr="lt")

    class Meta:
        model = MeterReading
        fields = ("quality",)


class MeterReadings(DepotRows, ListAPIView):
    """The readings of one meter, the newest first."""

    queryset = MeterReading.objects.all()
    serializer_class = ReadingSerializer
    filterset_class = ReadingFilter
    ordering = ("-observed_at", "-pk")
    write_scope = Scope.METERS

    def meter(self) -> Meter:
        return get_object_or_404(Meter.objects.visible_to(self.request.user), pk=self.kwargs["meter"])

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        return rows if getattr(self, "swagger_fake_view", False) else rows.filter(meter=self.meter())

    @extend_schema(request=ReadingBatch, responses=BatchAnswer, operation_id="meter_readings_create")
    def post(self, request: Request, meter: int) -> Response:
        """Keep a batch of readings; each gets its own result: accepted, duplicate or rejected."""
        row, items = self.meter(), read_items(request)
        return Response(once(request, lambda: answer(take_in(row, items, clock.now()))))


urlpatterns = [
    path("depots", Depots.as_view(), name="api-depots"),
    path("alerts", Alerts.as_view(), name="api-alerts"),
    path("jobs/<uuid:pk>", JobDetail.as_view(), name="api-job"),
    path("meters", Meters.as_view(), name="api-meters"),
    path("meters/<int:meter>/readings", MeterReadings.as_view(), name="api-meter-readings"),
]
