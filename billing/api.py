"""The money's doors of the REST API: bills and savings."""

from __future__ import annotations

from django.db.models import Prefetch
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ReadOnlyModelViewSet

from billing.models import Bill, BillLine, SavingsStatement
from depot.access.rows import DepotRows


class BillLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = BillLine
        fields = ("line_id", "label", "quantity", "unit", "rate", "amount", "explanation")


class BillSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    tariff = serializers.SlugRelatedField("name", read_only=True)
    lines = BillLineSerializer(many=True, read_only=True)

    class Meta:
        model = Bill
        fields = (
            "id",
            "depot",
            "tariff",
            "scenario",
            "start_at",
            "end_at",
            "covered_to",
            "state",
            "currency",
            "total",
            "peaks_kw",
            "warnings",
            "computed_at",
            "lines",
        )


class BillFilter(filters.FilterSet):
    since = filters.IsoDateTimeFilter(field_name="start_at", lookup_expr="gte")

    class Meta:
        model = Bill
        fields = ("scenario", "state")


class Bills(DepotRows, ReadOnlyModelViewSet):
    """Bills with their lines, the newest period first; `unmanaged` is what would have been paid."""

    queryset = Bill.objects.select_related("depot", "tariff").prefetch_related(
        Prefetch("lines", BillLine.objects.order_by("position"))
    )
    serializer_class = BillSerializer
    filterset_class = BillFilter
    ordering = ("-start_at", "-pk")


class SavingsSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    actual_total = serializers.DecimalField(14, 2, source="actual.total", read_only=True)
    unmanaged_total = serializers.DecimalField(14, 2, source="unmanaged.total", read_only=True)

    class Meta:
        model = SavingsStatement
        fields = (
            "id",
            "depot",
            "start_at",
            "end_at",
            "currency",
            "actual",
            "actual_total",
            "unmanaged",
            "unmanaged_total",
            "wear_added",
            "net_saving",
            "steps",
            "computed_at",
        )


class Savings(DepotRows, ReadOnlyModelViewSet):
    """What was saved in each billing period, net of the battery wear that V2G added."""

    queryset = SavingsStatement.objects.select_related("depot", "actual", "unmanaged")
    serializer_class = SavingsSerializer
    ordering = ("-start_at", "-pk")


router = SimpleRouter(trailing_slash=False)
router.register("bills", Bills, "api-bill")
router.register("savings", Savings, "api-savings")

urlpatterns = router.urls
