"""Reading rows through the API: only the caller's depots, page by page, unknown filters refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from depot.models import Depot

DEPOT_PARAMETER = OpenApiParameter(
    "depot", OpenApiTypes.STR, description="Short name of the depot, where the caller sees several."
)


def depot_of(request: Request) -> Depot:
    """Return the depot that `?depot=` names, or the only one of the caller; 404 for one they have no part in."""
    visible = Depot.objects.visible_to(request.user)
    slug = request.query_params.get("depot")
    if slug is not None:
        return get_object_or_404(visible, slug=slug)
    depots = list(visible[:2])
    if not depots:
        raise NotFound("You have no part in any depot.", "no_depot")
    if len(depots) > 1:
        raise ParseError("You see several depots. Name one, like ?depot=maple-street.", "depot_needed")
    return depots[0]


class Pages(CursorPagination):
    """Pages that stay put while rows are added; the order is the view's `ordering`."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        return tuple(view.ordering)

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ModelValidationError) as error:
            raise NotFound(self.invalid_cursor_message) from error


class KnownParameters:
    """A view that refuses query parameters it does not know: a misspelt filter must not return everything."""

    parameters: Sequence[str] = ("depot",)

    def known_parameters(self) -> set[str]:
        return set(self.parameters)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        known = self.known_parameters()
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            raise ParseError(
                f"Unknown parameters: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.",
                "unknown_parameter",
            )


class DepotFilter(BaseFilterBackend):
    """`?depot=`: only the rows of this depot."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        if "depot" not in request.query_params:
            return queryset
        return queryset.of_depot(depot_of(request))  # type: ignore[attr-defined]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "depot",
                "in": "query",
                "required": False,
                "description": DEPOT_PARAMETER.description,
                "schema": {"type": "string"},
            }
        ]


class DepotRows(KnownParameters, GenericAPIView):
    """A view of rows of the caller's depots; a row of another depot is not there."""

    pagination_class = Pages
    filter_backends = [DepotFilter, DjangoFilterBackend]
    parameters = ("depot", "cursor", "page_size")
    ordering: Sequence[str] = ("pk",)

    def known_parameters(self) -> set[str]:
        filters = getattr(self, "filterset_class", None)
        return set(self.parameters) | set(filters.base_filters if filters else ())

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows.none()
        return rows.visible_to(self.request.user)  # type: ignore[attr-defined]
