"""Operations of charging stations through the REST API: order one, and see what the station has answered."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from charging.models import Charger, ChargerCommand
from charging.selectors.board_stations import ROUTINE
from charging.services.operations import OPERATIONS, operate
from depot.access.idempotency import once
from depot.access.rows import DepotRows
from depot.models import Scope


class OperationSerializer(serializers.ModelSerializer):
    """A command to a station: `answer` is what it has answered, without secrets; null until it has."""

    class Meta:
        model = ChargerCommand
        fields = ("id", "charger", "connector", "action", "state", "created_at", "answered_at", "answer")


class NewOperation(serializers.Serializer):
    """An act that a station shall do now."""

    operation = serializers.ChoiceField(choices=[(name, one.words) for name, one in OPERATIONS.items()])
    given = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=10_000,
        help_text="What some of them need: a token, a URL.",
    )


class Operations(DepotRows, mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """What a station was told, but for its schedules; the newest first."""

    queryset = ChargerCommand.objects.exclude(action__in=ROUTINE)
    serializer_class = OperationSerializer
    ordering = ("-created_at",)
    write_scope = Scope.OPERATIONS

    def get_queryset(self) -> QuerySet[ChargerCommand]:
        rows: QuerySet[ChargerCommand] = super().get_queryset()
        return rows.filter(charger=self.kwargs["charger_id"])

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self._charger(request)
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request=NewOperation,
        responses={202: OperationSerializer(many=True)},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    def create(self, request: Request, charger_id: str) -> Response:
        """Order an operation. It is queued for the station at once and written into the audit trail."""
        charger = self._charger(request)
        form = NewOperation(data=request.data)
        form.is_valid(raise_exception=True)
        made = once(request, lambda: self._order(request, charger, form.validated_data))
        return Response(made, status.HTTP_202_ACCEPTED)

    def _order(self, request: Request, charger: Charger, wanted: dict[str, Any]) -> dict[str, Any]:
        try:
            queued = operate(charger, wanted["operation"], request.user, wanted["given"])
        except ValueError as error:
            raise ValidationError({"operation": [str(error)]}) from error
        return {"results": OperationSerializer(queued, many=True).data}

    def _charger(self, request: Request) -> Charger:
        rows = Charger.objects.visible_to(request.user).select_related("depot").prefetch_related("connectors")
        return get_object_or_404(rows, pk=self.kwargs["charger_id"])
