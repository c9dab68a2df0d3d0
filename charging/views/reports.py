"""The Reports page: a month or a year, and its parts as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from billing.selectors.savings import months_with_statements
from charging.models import NotReady
from charging.selectors.port_uptime import port_uptimes
from charging.selectors.report import NO_BLOCK, BilledMonth, Report, billed_months, month_report, year_report
from charging.services import report_work
from charging.uptime import REQUIRED
from charging.views.not_ready import HEADER as NOT_READY_HEADER
from charging.views.not_ready import csv_lines
from depot import clock
from depot.access.pages import depot_page
from depot.imports import write_delimited
from depot.models import Depot, Job
from depot.templatetags.depot_pages import cents
from depot.timegrid import local_to_utc
from depot.words import month_year, tr

SHOWN_NOT_READY = 50


@dataclass(frozen=True, slots=True)
class Period:
    """A local month, or a year when `month` is None."""

    year: int
    month: int | None

    @property
    def first(self) -> date:
        return date(self.year, self.month or 1, 1)

    @property
    def text(self) -> str:
        return f"{self.first:%Y-%m}" if self.month else f"{self.year:04}"

    @property
    def name(self) -> str:
        return month_year(self.first) if self.month else f"{self.year}"

    def bounds(self, depot: Depot) -> tuple[datetime, datetime]:
        if self.month:
            return depot.cycles.bounds(self.first)
        return local_to_utc(self.first, 0, depot.tz), local_to_utc(date(self.year + 1, 1, 1), 0, depot.tz)

    def report(self, depot: Depot, now: datetime) -> Report | None:
        if self.month:
            return month_report(depot, self.first, now)
        months = billed_months(depot, self.year)
        report_work.recall(depot, months)
        return year_report(depot, self.year, now, months)


def period_of(text: str) -> Period:
    """Return the period written YYYY-MM or YYYY; 404 for anything else."""
    try:
        day = datetime.strptime(text, "%Y-%m" if "-" in text else "%Y").replace(tzinfo=UTC).date()
        if not date.min.year < day.year < date.max.year:
            raise ValueError(tr("the months beside it are outside the calendar"))
    except ValueError as error:
        raise Http404(
            tr("“{text}” is no month and no year. Write it like 2026-10 or 2026.", text=text)
        ) from error
    return Period(day.year, day.month if "-" in text else None)


@require_GET
@depot_page()
def newest(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the report of the newest month that has been billed."""
    months = months_with_statements(depot)
    first = months[0] if months else depot.local(clock.now()).date()
    return _page(request, depot, Period(first.year, first.month), months)


@require_GET
@depot_page()
def report(request: HttpRequest, depot: Depot, period: str) -> HttpResponse:
    """Show the report of a month or a year; a year whose months nobody has worked out shows how far that is."""
    wanted = period_of(period)
    months = months_with_statements(depot)
    if wanted.month:
        return _page(request, depot, wanted, months)
    billed = billed_months(depot, wanted.year)
    waiting = _work_to_wait_for(request, depot, wanted, billed)
    return waiting or _page(request, depot, wanted, months, billed)


def _work_to_wait_for(
    request: HttpRequest, depot: Depot, period: Period, billed: list[BilledMonth]
) -> HttpResponse | None:
    """Lead to the work that the year needs first; None where the page can be shown at once."""
    absent = report_work.recall(depot, billed)
    if len(absent) <= report_work.MOST_AT_ONCE:
        return None
    job = report_work.ask_for(depot, period.year, absent, request.user)
    if job.state == Job.State.DONE:
        report_work.take_over(job, absent)
        return None
    answer = reverse("charging:report", args=[depot.slug, period.text])
    return redirect(f"{reverse('depot:job', args=[depot.slug, job.pk])}?{urlencode({'next': answer})}")


def _page(
    request: HttpRequest,
    depot: Depot,
    period: Period,
    months: list[date],
    billed: list[BilledMonth] | None = None,
) -> HttpResponse:
    now = clock.now()
    start_at, end_at = period.bounds(depot)
    found = period.report(depot, now) if billed is None else year_report(depot, period.year, now, billed)
    ports = port_uptimes(depot, start_at, min(end_at, now)) if start_at < now else []
    entries = _not_ready(depot, start_at, end_at)
    labels = dict(NotReady.Cause.choices)
    counts = entries.order_by().values_list("cause").annotate(number=Count("pk")).order_by("-number")
    context = {
        "period": period,
        "months": months,
        "months_of_year": [month for month in months if month.year == period.year],
        "years": sorted({month.year for month in months}, reverse=True),
        "running": start_at <= now < end_at,
        "report": found,
        "answer": answer(period, found),
        "no_block": NO_BLOCK,
        "ports": ports,
        "ports_short": sum(not port.enough for port in ports),
        "required": REQUIRED,
        "entries": entries[:SHOWN_NOT_READY],
        "causes": [(labels.get(cause, cause), number) for cause, number in counts],
        "entries_count": sum(number for _, number in counts),
        "now": now,
    }
    return render(request, "charging/report.html", context)


def answer(period: Period, found: Report | None) -> str:
    """Say what the period cost, how much of that was the vehicles', and what was saved."""
    if found is None:
        return tr("{name} has not been billed.", name=period.name)
    currency = found.currency
    saved = found.net_saving
    said = tr(
        "{name} cost {total}: {vehicles} for the vehicles and {site} for the rest of the site.",
        name=period.name,
        total=cents(found.total, currency),
        vehicles=cents(found.shared.total, currency),
        site=cents(found.site.total, currency),
    )
    money = cents(abs(saved), currency)
    net = (
        tr("Managed charging saved {saved}, net of battery wear.", saved=money)
        if saved >= 0
        else tr(
            "Managed charging cost {saved} more than unmanaged charging, net of battery wear.", saved=money
        )
    )
    return f"{said} {net}"


def _not_ready(depot: Depot, start_at: datetime, end_at: datetime) -> QuerySet[NotReady]:
    return NotReady.objects.of_depot(depot).filter(pull_out_at__gte=start_at, pull_out_at__lt=end_at)


Table = tuple[tuple[str, ...], list[list[str]]]


def _vehicles_table(depot: Depot, period: Period, now: datetime) -> Table:
    found = _billed(depot, period, now)
    header = (
        "vehicle", "charged_kwh", "given_kwh", "energy_cost", "demand_cost", "other_cost", "total_cost", "currency",
        "battery_wear",
    )  # fmt: skip
    rows = [
        [
            row.name,
            f"{row.charged_kwh:.3f}",
            f"{row.given_kwh:.3f}",
            *_amounts(row.share),
            found.currency,
            f"{row.wear:.2f}",
        ]
        for row in found.vehicles
    ]
    rows.append([tr("rest of the site"), "", "", *_amounts(found.site), found.currency, ""])
    rows.append(["bill", "", "", *_amounts(found.shared + found.site), found.currency, f"{found.wear:.2f}"])
    return header, rows


def _amounts(share: Any) -> list[str]:
    return [str(share.energy), str(share.demand), str(share.other), str(share.total)]


def _blocks_table(depot: Depot, period: Period, now: datetime) -> Table:
    found = _billed(depot, period, now)
    rows = [
        [
            row.block_id or tr("no block"),
            str(row.runs),
            f"{row.distance_km:.1f}",
            f"{row.energy_kwh:.3f}",
            str(row.cost),
            found.currency,
        ]
        for row in found.blocks
    ]
    return ("block", "runs", "distance_km", "energy_kwh", "cost", "currency"), rows


def _uptime_table(depot: Depot, period: Period, now: datetime) -> Table:
    start_at, end_at = period.bounds(depot)
    header = (
        "charger", "port", "bay", "minutes", "outage_minutes", "excluded_minutes", "outages", "uptime_percent"
    )  # fmt: skip
    rows = [
        [
            port.connector.charger.name,
            f"{port.connector.evse_id}/{port.connector.connector_id}",
            port.connector.bay,
            f"{port.uptime.minutes:.0f}",
            f"{port.uptime.outage:.0f}",
            f"{port.uptime.excluded:.0f}",
            str(port.outages),
            "" if port.uptime.share is None else f"{100 * port.uptime.share:.3f}",
        ]
        for port in port_uptimes(depot, start_at, min(end_at, now))
    ]
    return header, rows


def _not_ready_table(depot: Depot, period: Period, now: datetime) -> Table:
    return NOT_READY_HEADER, csv_lines(depot, _not_ready(depot, *period.bounds(depot)))


def _co2_table(depot: Depot, period: Period, now: datetime) -> Table:
    rows = [
        [
            row.label,
            f"{row.unmanaged_kg:.1f}",
            f"{row.actual_kg:.1f}",
            f"{row.avoided_kg:.1f}",
            f"{100 * row.known_share:.1f}",
        ]
        for row in _billed(depot, period, now).co2
    ]
    return ("factors", "unmanaged_kg", "actual_kg", "avoided_kg", "known_percent"), rows


PARTS: dict[str, Callable[[Depot, Period, datetime], Table]] = {
    "vehicles": _vehicles_table,
    "blocks": _blocks_table,
    "uptime": _uptime_table,
    "not-ready": _not_ready_table,
    "co2": _co2_table,
}


def _billed(depot: Depot, period: Period, now: datetime) -> Report:
    found = period.report(depot, now)
    if found is None:
        raise Http404(tr("{name} has not been billed.", name=period.name))
    return found


@require_GET
@depot_page()
def part(request: HttpRequest, depot: Depot, period: str, part: str) -> HttpResponse:
    """Give a part of a report as CSV."""
    if part not in PARTS:
        raise Http404(tr("A report has no part “{part}”. It has {known}.", part=part, known=", ".join(PARTS)))
    span = period_of(period)
    # The byte order mark makes spreadsheet programs read names with accents rightly.
    text = "\ufeff" + write_delimited(*PARTS[part](depot, span, clock.now()))
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{part}-{depot.slug}-{span.text}.csv"'
    return response
