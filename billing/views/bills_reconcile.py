"""Enter the utility's bill beside the depot's own."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from billing.forms_bills import ReconcileForm
from billing.selectors.bills import bill_of_month, utility_bill_of
from billing.services.reconcile import enter_utility_bill
from billing.views.bills import ABILITY
from billing.views.months import month_of
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.money import format_money
from depot.words import tr


@require_http_methods(["GET", "POST"])
@depot_page(ABILITY)
def reconcile(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Take the utility's bill of a month, and go to where both bills stand side by side."""
    first = month_of(month)
    bill = bill_of_month(depot, depot.cycles.bounds(first)[0])
    if bill is None:
        raise Http404(tr("{month} has not been billed.", month=month))
    posted: Any = request.POST if request.method == "POST" else None
    form = ReconcileForm(bill, utility_bill_of(bill), posted)
    if posted is not None:
        entered = form.entered()
        if entered is not None:
            row = enter_utility_bill(bill, entered, request.user, clock.now())
            messages.success(
                request,
                tr("The utility's bill of {total} is kept.", total=format_money(row.total, row.currency)),
            )
            address = redirect("billing:bill", slug=depot.slug, month=month)
            address["Location"] += "#reconcile-title"
            return address
        messages.error(request, tr("Nothing was kept. The rows with a mark need another look."))
    ours = list(bill.lines.all())
    rows = [(line, ours[index] if index < len(ours) else None) for index, line in enumerate(form.lines.forms)]
    context = {"month": first, "bill": bill, "form": form, "rows": rows}
    return render(request, "billing/bill_reconcile.html", context, status=200 if posted is None else 422)
