"""The audit trail: every act that changed something, as a page and as a file."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from depot.access.pages import depot_page
from depot.forms_audit import AuditForm
from depot.imports import write_delimited
from depot.models import Depot
from depot.selectors.audit import CHOICES, audit_events, group_of

A_PAGE = 100
MOST_ROWS = 50_000
HEADER = ("at", "who", "what", "sentence", "verb")
ABILITY = "set_up_site"


@require_GET
@depot_page(ABILITY)
def page(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show who did what when, the newest first."""
    form = AuditForm(request.GET)
    asked = form.asked()
    shown = Paginator(audit_events(depot, asked), A_PAGE).get_page(request.GET.get("page"))
    query = {name: request.GET[name] for name in form.fields if request.GET.get(name)}
    context = {
        "form": form,
        "page": shown,
        "events": [(event, CHOICES[group_of(event.verb)]) for event in shown],
        "query": urlencode(query),
        "narrowed": bool(query),
    }
    return render(request, "depot/audit.html", context)


@require_GET
@depot_page(ABILITY)
def file(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Give what the page shows as CSV, the newest fifty thousand acts at most."""
    events = audit_events(depot, AuditForm(request.GET).asked())[:MOST_ROWS]
    rows = [
        [
            depot.local(event.at).isoformat(timespec="seconds"),
            event.actor_name,
            CHOICES[group_of(event.verb)],
            event.sentence,
            event.verb,
        ]
        for event in events
    ]
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    response = HttpResponse("\ufeff" + write_delimited(HEADER, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-{depot.slug}.csv"'
    return response
