"""The Bills page: what each month costs, line by line, how sure that is, and what closes it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from billing.models import Bill
from billing.selectors.bills import (
    bill_of_month,
    correction_of,
    inputs_row,
    kinds_of,
    months_of,
    peaks_of,
    reconciled,
    sources_of,
    utility_bill_of,
)
from billing.selectors.bills_files import bill_csv, inputs_zip
from billing.services import close as closing
from billing.services.bills import BillingError
from billing.views.bills_charts import months_chart
from billing.views.bills_words import answer, peak_answer, sources_words, status_words
from billing.views.months import month_of
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr

ABILITY = "settle_bills"


@require_GET
@depot_page()
def bills(request: HttpRequest, depot: Depot) -> HttpResponse:
    """List the months, the newest first, under what this month costs and will cost."""
    months = months_of(depot)
    this = depot.cycles.month_of(clock.now())
    context: dict[str, Any] = {"months": months, "this": this}
    if months:
        newest = months[0].bill
        newest.depot = depot
        running = months[0].first == this
        context |= {
            "answer": answer(depot, newest, running=running),
            "peak_answer": peak_answer(depot, newest, peaks_of(newest)),
            "newest": newest,
            "chart": months_chart(months, kinds_of(row.bill for row in months)),
        }
    return render(request, "billing/bills.html", context)


@require_GET
@depot_page()
def bill(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Show the bill of a month that is in force, or one that was corrected (`?revision=0`)."""
    first = month_of(month)
    found = bill_of_month(depot, depot.cycles.bounds(first)[0], _revision(request))
    others = [row.first for row in months_of(depot)]
    context: dict[str, Any] = {
        "month": first,
        "before": max((other for other in others if other < first), default=None),
        "after": min((other for other in others if other > first), default=None),
    }
    if found is None:
        return render(request, "billing/bill_none.html", context | {"newest": others[0] if others else None})
    return render(request, "billing/bill.html", context | _page(depot, found))


def _page(depot: Depot, found: Bill) -> dict[str, Any]:
    now = clock.now()
    running = now < found.end_at
    peaks, sources = peaks_of(found), sources_of(found, now)
    utility = utility_bill_of(found)
    return {
        "bill": found,
        "running": running,
        "replaced_by": getattr(found, "correction", None),
        "answer": answer(depot, found, running=running),
        "peak_answer": peak_answer(depot, found, peaks),
        "status_words": status_words(depot, found, now),
        "lines": found.lines.all(),
        "peaks": peaks,
        "correction": correction_of(found),
        "corrected_total": found.corrects.total if found.corrects else None,
        "difference": found.total - found.corrects.total if found.corrects else None,
        "sources": sources,
        "sources_words": sources_words(sources),
        "utility": utility,
        "compared": reconciled(found, utility) if utility else None,
        "may_close": found.state == Bill.State.ESTIMATE and not running,
        "may_correct": found.state == Bill.State.FINAL and not hasattr(found, "correction"),
    }


@require_GET
@depot_page()
def lines_file(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give the lines of a month's bill as CSV."""
    found = _bill(request, depot, month)
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    text = "\ufeff" + bill_csv(found, utility_bill_of(found))
    return _file(text, "text/csv; charset=utf-8", f"{_name(found)}.csv")


@require_GET
@depot_page()
def document(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give a month's bill as a PDF."""
    from billing.views.bills_pdf import bill_pdf

    found = _bill(request, depot, month)
    now = clock.now()
    notes = [status_words(depot, found, now), sources_words(sources_of(found, now))]
    return _file(bill_pdf(found, notes, now), "application/pdf", f"{_name(found)}.pdf")


@require_GET
@depot_page()
def inputs(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Give what a final bill was made from: with these files `manage.py bill` makes it again."""
    found = _bill(request, depot, month)
    kept = inputs_row(found)
    if kept is None:
        raise Http404(tr("An estimate has no frozen inputs yet. They are kept when the bill becomes final."))
    return _file(inputs_zip(kept), "application/zip", f"{_name(found)}-inputs.zip")


@require_POST
@depot_page(ABILITY)
def close(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Make the bill of a month that is over final."""
    first = month_of(month)
    try:
        closing.close_month(depot, first, clock.now(), request.user)  # type: ignore[arg-type]
        messages.success(request, tr("{first:%B %Y} is final.", first=first))
    except BillingError as error:
        messages.error(request, tr("Nothing was closed. {error}", error=error))
    return redirect("billing:bill", slug=depot.slug, month=month)


@require_POST
@depot_page(ABILITY)
def correct(request: HttpRequest, depot: Depot, month: str) -> HttpResponse:
    """Correct a final bill with today's ledger and tariffs, for a reason."""
    first = month_of(month)
    reason = request.POST.get("reason", "").replace("\0", " ")[:300]  # PostgreSQL keeps no NUL
    try:
        statement = closing.correct_month(depot, first, clock.now(), request.user, reason)  # type: ignore[arg-type]
        if statement is None:
            messages.info(
                request, tr("No line changes with today's data and tariffs: the bill stays as it is.")
            )
        else:
            messages.success(
                request, tr("{first:%B %Y} is corrected. The bill before stays readable below.", first=first)
            )
    except BillingError as error:
        messages.error(request, tr("Nothing was corrected. {error}", error=error))
    return redirect("billing:bill", slug=depot.slug, month=month)


def _bill(request: HttpRequest, depot: Depot, month: str) -> Bill:
    found = bill_of_month(depot, depot.cycles.bounds(month_of(month))[0], _revision(request))
    if found is None:
        raise Http404(tr("{month} has not been billed.", month=month))
    return found


def _revision(request: HttpRequest) -> int | None:
    """Return the revision that `?revision=` names; 404 for one that cannot be."""
    text = request.GET.get("revision")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise Http404(tr("“{text}” is not a revision.", text=text))
    return int(text)


def _name(found: Bill) -> str:
    revision = f"-correction-{found.revision}" if found.revision else ""
    return f"bill-{found.depot.slug}-{found.depot.local(found.start_at):%Y-%m}{revision}"


def _file(content: str | bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
