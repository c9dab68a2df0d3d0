"""The money's doors of the REST API: bills, savings and calls of grid programmes."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ReadOnlyModelViewSet

from billing.models import Bill, BillLine, ProgrammeEvent, SavingsStatement
from depot.access.filters import Moment
from depot.access.rows import DepotRows


class BillLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = BillLine
        fields = ("line_id", "label", "quantity", "unit", "rate", "amount", "explanation")


class BillSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    tariff = serializers.SlugRelatedField("name", read_only=True)
    corrected_by = serializers.PrimaryKeyRelatedField(
        source="correction", read_only=True, allow_null=True, default=None
    )
    lines = BillLineSerializer(many=True, read_only=True)

    class Meta:
        model = Bill
        fields = (
            "id",
            "depot",
            "tariff",
            "versions",
            "scenario",
            "start_at",
            "end_at",
            "covered_to",
            "state",
            "revision",
            "corrects",
            "corrected_by",
            "reason",
            "closed_at",
            "currency",
            "total",
            "projected_total",
            "peaks_kw",
            "warnings",
            "computed_at",
            "lines",
        )


class BillFilter(filters.FilterSet):
    since = Moment(field_name="start_at", lookup_expr="gte")
    corrected = filters.BooleanFilter(
        field_name="correction",
        lookup_expr="isnull",
        exclude=True,
        label="Bills that a correction has taken the place of (left out of the list otherwise).",
    )

    class Meta:
        model = Bill
        fields = ("scenario", "state")


class Bills(DepotRows, ReadOnlyModelViewSet):
    """Bills in force with their lines, the newest period first; `unmanaged` is what would have been paid.

    A final bill never changes. What is learned later makes a correction: a bill of the same period with a higher
    `revision`. `?corrected=true` gives the bills that were final before it.
    """

    queryset = Bill.objects.select_related("depot", "tariff", "correction").prefetch_related(
        Prefetch("lines", BillLine.objects.order_by("position"))
    )
    serializer_class = BillSerializer
    filterset_class = BillFilter
    ordering = ("-start_at", "-pk")

    def filter_queryset(self, queryset: QuerySet[Bill]) -> QuerySet[Bill]:
        found = super().filter_queryset(queryset)
        if self.action == "list" and "corrected" not in self.request.query_params:
            return found.filter(correction__isnull=True)
        return found


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
            "programmes",
            "computed_at",
        )


class Savings(DepotRows, ReadOnlyModelViewSet):
    """What was saved in each billing period, net of the battery wear that V2G added."""

    queryset = SavingsStatement.objects.filter(actual__correction__isnull=True).select_related(
        "depot", "actual", "unmanaged"
    )
    serializer_class = SavingsSerializer
    ordering = ("-start_at", "-pk")


class ProgrammeEventSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)
    currency = serializers.CharField(source="depot.currency", read_only=True, help_text="Of the pay.")

    class Meta:
        model = ProgrammeEvent
        fields = (
            "id",
            "depot",
            "programme",
            "kind",
            "start_at",
            "end_at",
            "pay_per_kwh",
            "pay_per_kw",
            "currency",
            "credit_excluded",
            "notified_at",
            "source",
        )


class ProgrammeEventFilter(filters.FilterSet):
    since = Moment(field_name="end_at", lookup_expr="gt", label="Only events that end after this moment.")

    class Meta:
        model = ProgrammeEvent
        fields = ("kind",)


class ProgrammeEvents(DepotRows, ReadOnlyModelViewSet):
    """Calls of grid programmes, the latest first, with what they pay: `pay_per_kwh` or `pay_per_kw`, one of the two.

    What those of a month delivered and were paid is in its savings (`programmes`), and frozen with them.
    """

    queryset = ProgrammeEvent.objects.select_related("depot")
    serializer_class = ProgrammeEventSerializer
    filterset_class = ProgrammeEventFilter
    ordering = ("-start_at", "-pk")


router = SimpleRouter(trailing_slash=False)
router.register("bills", Bills, "api-bill")
router.register("savings", Savings, "api-savings")
router.register("programme-events", ProgrammeEvents, "api-programme-event")

urlpatterns = router.urls
