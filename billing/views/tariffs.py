"""The Tariffs page: what a kWh and a kW cost, hour by hour; versions, and editing with every fault at its place."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from billing.forms import SourceForm, TariffDocumentForm
from billing.models import PriceSeries, Scenario
from billing.models import Tariff as TariffRow
from billing.selectors.market import known_series
from billing.selectors.tariff_bills import bill_of_month, candidates, last_month
from billing.selectors.tariffs import parsed, tariff_on
from billing.services.tariffs import save_version
from billing.tariff import InputError, Tariff, TariffError, read_tariff
from billing.views.tariff_words import charges_in_words, tariff_answer
from billing.views.week import season_tables
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.money import currency_sign
from depot.words import tr


@require_GET
@depot_page()
def tariffs(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show the version that is valid today, or tell that there is none."""
    row = tariff_on(depot, depot.local(clock.now()).date())
    return _page(request, depot, row)


@require_GET
@depot_page()
def version(request: HttpRequest, depot: Depot, tariff_id: int) -> HttpResponse:
    """Show one version."""
    return _page(request, depot, get_object_or_404(TariffRow.objects.of_depot(depot), pk=tariff_id))


def _page(request: HttpRequest, depot: Depot, row: TariffRow | None) -> HttpResponse:
    now = clock.now()
    today = depot.local(now).date()
    versions = list(TariffRow.objects.of_depot(depot).order_by("-valid_from"))
    known = known_series(depot, now)
    market = next((one.series for one in known if one.series.kind == PriceSeries.Kind.MARKET), None)
    context: dict[str, Any] = {
        "row": row,
        "today": today,
        "versions": versions,
        "known": known,
        "source_form": SourceForm(instance=market),
        "candidates": candidates(depot, versions),
        "month": last_month(depot, now),
    }
    if row is not None:
        try:
            context |= _described(parsed(row), row, today.year)
        except TariffError as error:
            context["problems"] = error.problems
    return render(request, "billing/tariffs.html", context)


def _described(tariff: Tariff, row: TariffRow, year: int) -> dict[str, Any]:
    return {
        "tariff": tariff,
        "answer": tariff_answer(tariff, row, year),
        "seasons": season_tables(tariff, year),
        "charges": charges_in_words(tariff),
        **_signs(tariff),
    }


def _signs(tariff: Tariff) -> dict[str, Any]:
    return {
        "sign": currency_sign(tariff.currency),
        "dynamic": any(component.series for component in tariff.energy),
        "hours": [f"{hour:02}" for hour in range(24)],
    }


@require_GET
@depot_page()
def month_bill(request: HttpRequest, depot: Depot, tariff_id: int) -> HttpResponse:
    """Bill the last whole month's load with a version."""
    row = get_object_or_404(TariffRow.objects.of_depot(depot), pk=tariff_id)
    month = last_month(depot, clock.now())
    context: dict[str, Any] = {"row": row, "month": month, "result": None, "problems": ()}
    try:
        result = bill_of_month(depot, parsed(row), month)
    except InputError as error:
        context["problems"] = error.problems
    else:
        context |= {"result": result, "problems": result.unsupported if result else ()}
        bills = depot.bills.filter(scenario=Scenario.ACTUAL, start_at=depot.cycles.bounds(month)[0])
        context["actual"] = bills.order_by("pk").last()
    return render(request, "billing/tariff_month.html", context)


@require_http_methods(["GET", "POST"])
@depot_page("write_tariffs")
def new_version(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Enter a version, starting from an empty sheet or from `?from=` another version."""
    copied = request.GET.get("from", "")
    named = copied.isdecimal() and len(copied) < 19
    base = TariffRow.objects.of_depot(depot).filter(pk=copied).first() if named else None
    initial = {"name": base.name, "utility": base.utility, "source": base.source} if base else {}
    return _edit(request, depot, TariffRow(depot=depot), initial, base.definition if base else None)


@require_http_methods(["GET", "POST"])
@depot_page("write_tariffs")
def edit_version(request: HttpRequest, depot: Depot, tariff_id: int) -> HttpResponse:
    """Correct a version that no final bill was made by."""
    row = get_object_or_404(TariffRow.objects.of_depot(depot), pk=tariff_id)
    return _edit(request, depot, row, {}, row.definition)


def _edit(
    request: HttpRequest, depot: Depot, row: TariffRow, initial: dict[str, Any], definition: Any
) -> HttpResponse:
    """Show the form; on POST check it, show what it would charge, and with `save` save it."""
    if request.method != "POST":
        form = TariffDocumentForm(instance=row, initial=initial, definition=definition)
        return render(request, "billing/tariff_edit.html", {"form": form, "row": row})
    form = TariffDocumentForm(request.POST, request.FILES, instance=row, definition=definition)
    context: dict[str, Any] = {"form": form, "row": row}
    if form.is_valid():
        if "save" in request.POST:
            saved = form.save(commit=False)
            save_version(saved, request.user)
            messages.success(
                request, tr("{saved} is saved. Bills and plans use it from its first day.", saved=saved)
            )
            return redirect("billing:tariff", slug=depot.slug, tariff_id=saved.pk)
        year = form.cleaned_data["valid_from"].year
        tariff = read_tariff(form.instance.definition)
        context |= {
            "seasons": season_tables(tariff, year),
            "charges": charges_in_words(tariff),
            "checked": True,
            **_signs(tariff),
        }
    context["fault_count"] = sum(len(faults) for faults in form.errors.values())
    return render(request, "billing/tariff_edit.html", context)
