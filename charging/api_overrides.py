"""Orders for single vehicles through the REST API: what is in force, a new one with its cost, the withdrawal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from charging.models import Override
from charging.models.overrides import MOST_KW
from charging.services import overrides as service
from depot import clock
from depot.access.filters import RowId
from depot.access.idempotency import answered, once
from depot.access.rows import DepotRows
from depot.models import Scope
from fleet.models import Vehicle


class OverrideSerializer(serializers.ModelSerializer):
    depot = serializers.SlugRelatedField("slug", read_only=True)

    class Meta:
        model = Override
        fields = (
            "id",
            "depot",
            "vehicle",
            "kind",
            "from_at",
            "to_at",
            "max_kw",
            "soc",
            "reason",
            "made_at",
            "made_by_name",
            "withdrawn_at",
            "withdrawn_by_name",
        )


class NewOverride(serializers.Serializer):
    """An order that begins now."""

    vehicle = serializers.IntegerField(help_text="The vehicle's id.")
    kind = serializers.ChoiceField(choices=Override.Kind.choices)
    to_at = serializers.DateTimeField(help_text="Until when, or by when; at most 7 days ahead.")
    max_kw = serializers.FloatField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0.0,
        max_value=MOST_KW,
        help_text="Of a limit.",
    )
    soc = serializers.FloatField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0.0,
        max_value=1.0,
        help_text="Charge to reach, 0 to 1: of ready by (required) and charge now.",
    )
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)
    dry_run = serializers.BooleanField(default=False, help_text="Only tell the cost; store nothing.")


class PreviewSerializer(serializers.Serializer):
    """What the order changes until the plan's end, in the depot's currency and in sentences."""

    cost = serializers.FloatField(help_text="Above zero it costs, below zero it saves.")
    cost_sentence = serializers.CharField()
    consequences = serializers.ListField(child=serializers.CharField())
    misses = serializers.ListField(
        child=serializers.CharField(), help_text="What is missed that was not before; empty = nothing."
    )


class OverrideAnswer(serializers.Serializer):
    """The stored order (null for a dry run) and what it changes."""

    override = OverrideSerializer(allow_null=True)
    preview = PreviewSerializer()


class OverrideFilter(filters.FilterSet):
    vehicle = RowId(field_name="vehicle_id")
    in_force = filters.BooleanFilter(method="keep_in_force", label="Neither over nor withdrawn")

    class Meta:
        model = Override
        fields = ("kind",)

    def keep_in_force(self, rows: QuerySet[Override], name: str, value: bool) -> QuerySet[Override]:
        now = clock.now()
        chosen = {"withdrawn_at__isnull": True, "to_at__gt": now}
        return rows.filter(**chosen) if value else rows.exclude(**chosen)


@contextmanager
def _named_problems() -> Iterator[None]:
    """Answer an order that cannot be given with its problems by field."""
    try:
        yield
    except service.OrderError as error:
        problems = {name or "non_field_errors": [text] for name, text in error.problems.items()}
        raise ValidationError(problems) from error


class Overrides(
    DepotRows, mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, GenericViewSet
):
    """People's and programs' orders for single vehicles, the newest first."""

    queryset = Override.objects.select_related("depot", "vehicle")
    serializer_class = OverrideSerializer
    filterset_class = OverrideFilter
    ordering = ("-made_at", "-pk")
    write_scope = Scope.OVERRIDES

    @extend_schema(
        request=NewOverride,
        responses={201: OverrideAnswer, 200: OverrideAnswer},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    def create(self, request: Request) -> Response:
        """Order a vehicle: charge now, hold, never discharge, ready by, or a limit.

        The answer says what it costs and what it means for departures; `dry_run` stores nothing. An order takes
        the place of one of the same kind for the same vehicle (but ready by). A new plan follows at once.
        """
        form = NewOverride(data=request.data)
        form.is_valid(raise_exception=True)
        values = dict(form.validated_data)
        dry_run, vehicle_id = values.pop("dry_run"), values.pop("vehicle")
        rows = Vehicle.objects.of_depot(request.auth.depot).select_related("type")
        vehicle = get_object_or_404(rows, pk=vehicle_id)
        wanted = service.Wanted(vehicle, **values)
        if not dry_run and (stored := answered(request)) is not None:
            return Response(stored, status.HTTP_201_CREATED)
        with _named_problems():
            wanted = service.checked(request.auth.depot, wanted, clock.now())
            found = service.preview(request.auth.depot, wanted, clock.now())
        if dry_run:
            return Response(OverrideAnswer({"override": None, "preview": found}).data)
        made = once(request, lambda: self._make(request, wanted, found))
        return Response(made, status.HTTP_201_CREATED)

    def _make(self, request: Request, wanted: service.Wanted, found: service.Preview) -> dict[str, Any]:
        """Store the order; what came in while its cost was computed may contradict it."""
        depot, now = request.auth.depot, clock.now()
        with _named_problems():
            wanted = service.checked(depot, wanted, now)
        row = service.create(depot, wanted, request.user, now, found.cost)
        return dict(OverrideAnswer({"override": row, "preview": found}).data)

    def perform_destroy(self, instance: Override) -> None:
        """Withdraw the order; the row stays as a record. It is no error when it was over already."""
        service.withdraw(instance, self.request.user, clock.now())
