"""The not-ready ledger as a page and as a file for warranty claims."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from charging.models import NotReady
from depot.access.pages import depot_page
from depot.imports import write_delimited
from depot.models import Depot

A_PAGE = 100
HEADER = (
    "service_date", "pull_out_at", "vehicle", "vin", "block", "charger", "soc_percent", "required_percent",
    "missing_kwh", "cause", "because", "written_at",
)  # fmt: skip


@require_GET
@depot_page()
def ledger(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show what was not ready, and because of what."""
    rows = _rows(request, depot)
    counts = rows.order_by().values_list("cause").annotate(number=Count("pk")).order_by("-number")
    labels = dict(NotReady.Cause.choices)
    context = {
        "page": Paginator(rows, A_PAGE).get_page(request.GET.get("page")),
        "counts": [(labels.get(cause, cause), number) for cause, number in counts],
        "words": _words(request),
    }
    return render(request, "charging/not_ready.html", context)


@require_GET
@depot_page()
def ledger_csv(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Give the entries as CSV."""
    lines = csv_lines(depot, _rows(request, depot))
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    text = "\ufeff" + write_delimited(HEADER, lines)
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="not-ready-{depot.slug}.csv"'
    return response


def csv_lines(depot: Depot, rows: Iterable[NotReady]) -> list[list[str]]:
    """Return entries as the cells of a file whose columns are `HEADER`."""
    return [[_cell(value) for value in _line(depot, row)] for row in rows]


def _words(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()[:60]


def _rows(request: HttpRequest, depot: Depot) -> QuerySet[NotReady]:
    words = _words(request)
    rows = NotReady.objects.of_depot(depot)
    if words:
        rows = rows.filter(
            Q(vehicle_name__icontains=words) | Q(vin__iexact=words) | Q(block_id__icontains=words)
        )
    return rows


def _line(depot: Depot, row: NotReady) -> list[object]:
    return [
        row.service_date,
        depot.local(row.pull_out_at).isoformat(timespec="minutes"),
        row.vehicle_name,
        row.vin,
        row.block_id,
        row.charger_name,
        None if row.soc is None else round(row.soc * 100, 1),
        round(row.required_soc * 100, 1),
        row.missing_kwh,
        row.get_cause_display(),
        row.because,
        depot.local(row.written_at).isoformat(timespec="minutes"),
    ]


def _cell(value: object) -> str:
    return "" if value is None else str(value)
