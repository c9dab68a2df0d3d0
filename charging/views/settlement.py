"""The export of a month by vehicle, as a file."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from charging.selectors.settlement import export_by_vehicle
from depot.access.pages import depot_page
from depot.imports.delimited import write_delimited
from depot.models import Depot
from depot.words import tr

COLUMNS = ("vehicle", "charged_kwh", "given_kwh", "export_kwh")


@require_GET
@depot_page()
def by_vehicle(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give each vehicle's part of a month's metered export."""
    try:
        day = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
        span = depot.cycles.bounds(day)
    except (ValueError, OverflowError) as error:
        raise Http404(tr("“{month}” is not a month. Write it like 2026-10.", month=month)) from error
    rows = [
        (row.vehicle, *(f"{kwh:.3f}" for kwh in (row.charged_kwh, row.given_kwh, row.export_kwh)))
        for row in export_by_vehicle(depot, *span)
    ]
    response = HttpResponse("\ufeff" + write_delimited(COLUMNS, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="export-{depot.slug}-{month}.csv"'
    return response
