"""One rule for the peaks of earlier months: planner, bills, projection and third bill look back on the same."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Bill, Interval, KnownPeak, SavingsStatement, Scenario
from billing.selectors.bills_inputs import inputs_of
from billing.selectors.charge_only import charge_only_bill
from billing.selectors.history import earlier_peaks
from billing.selectors.prices import prices_for
from billing.selectors.tariffs import parsed
from billing.services.bills import bill_month, bill_of
from depot.models import Depot
from depot.timegrid import TimeGrid, month_bounds
from tests import factories
from tests.billing.money import at_local, fill, make_tariff

OCTOBER, NOVEMBER, DECEMBER = date(2025, 10, 1), date(2025, 11, 1), date(2025, 12, 1)
JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
RATCHET: dict[str, Any] = {
    "id": "d",
    "label": "Demand",
    "metering_minutes": 60,
    "prices": [{"id": "all", "price_per_kw": 10}],
    "ratchet": {"percent": 80, "months_back": 11},
}
pytestmark = pytest.mark.django_db


@pytest.fixture
def depot(db: None) -> Depot:
    return factories.make_depot(step_minutes=60)


def hours(depot: Depot, month: date, kw: float, unmanaged_kw: float) -> None:
    """Record the first two days of a month."""
    fill(depot, TimeGrid(at_local(depot, month, 0), 60, 48), kw, unmanaged_kw)


def billed(depot: Depot, month: date, kw: str, scenario: str) -> None:
    start_at, end_at = month_bounds(month, depot.tz)
    Bill.objects.create(
        depot=depot, tariff=depot.tariffs.get(), scenario=scenario, start_at=start_at, end_at=end_at,
        covered_to=end_at, state="final", currency="USD", total=1, computed_at=end_at, closed_at=end_at,
        peaks_kw={"demand_flat.d.all": {"kw": kw, "at": start_at.isoformat()}},
    )  # fmt: skip


def test_the_entered_peak_comes_first_then_the_bill_then_the_ledger_for_planner_and_bill(
    depot: Depot,
) -> None:
    row = make_tariff(depot, demand=[RATCHET])
    KnownPeak.objects.create(depot=depot, charge="d", month=OCTOBER, kw=150)
    KnownPeak.objects.create(
        depot=depot, charge="d", month=NOVEMBER, kw=200
    )  # stands beside a bill and the ledger
    KnownPeak.objects.create(depot=depot, charge="gone", month=NOVEMBER, kw=900)
    for month in (NOVEMBER, DECEMBER, JANUARY):
        hours(depot, month, 90, 60)
    for month, kw in ((NOVEMBER, "260"), (DECEMBER, "120")):
        billed(depot, month, kw, Scenario.ACTUAL)
        billed(depot, month, "300", Scenario.UNMANAGED)
    hours(depot, FEBRUARY, 50, 40)

    version = parsed(row)
    looked_back = earlier_peaks(depot, [version], FEBRUARY, Scenario.ACTUAL)

    assert looked_back == {"d": {OCTOBER: 150, NOVEMBER: 200, DECEMBER: 120, JANUARY: 90}}
    inputs = inputs_of(depot, [version], *month_bounds(FEBRUARY, depot.tz), Scenario.ACTUAL)
    assert inputs is not None and inputs.peaks == looked_back
    [line] = [line for line in bill_of(inputs, depot).periods[0].lines if line.id == "demand_flat.d.all"]
    now = at_local(depot, date(2026, 2, 3), 0)
    [charge] = prices_for(depot, TimeGrid(now, 60, 24), now).demand_charges
    assert charge["billed_kw_so_far"] == [160.0] == [float(line.quantity)], "80 % of November's 200 kW"


def test_what_was_entered_counts_for_the_unmanaged_depot_only_from_before_the_ledger(depot: Depot) -> None:
    row = make_tariff(depot, demand=[RATCHET])
    for month in (OCTOBER, NOVEMBER, DECEMBER):
        KnownPeak.objects.create(depot=depot, charge="d", month=month, kw=200)
    fill(depot, TimeGrid(at_local(depot, date(2025, 11, 20), 0), 60, 24), 90, 60)
    hours(depot, DECEMBER, 90, 70)

    found = earlier_peaks(depot, [parsed(row)], JANUARY, Scenario.UNMANAGED)

    assert found == {"d": {OCTOBER: 200, NOVEMBER: 200, DECEMBER: 70}}


@pytest.mark.parametrize("versions", [1, 2])
def test_the_third_bill_looks_back_on_what_was_entered_and_on_months_of_its_own(
    depot: Depot, versions: int
) -> None:
    make_tariff(depot, NOVEMBER, demand=[RATCHET])
    if versions == 2:
        make_tariff(depot, date(2026, 1, 2), demand=[RATCHET], name="New")
    KnownPeak.objects.create(depot=depot, charge="d", month=OCTOBER, kw=100)
    hours(depot, DECEMBER, 90, 60)
    hours(depot, JANUARY, 50, 40)
    statement = bill_month(depot, JANUARY, at_local(depot, JANUARY, 48))
    assert statement is not None

    def demand_kw() -> set[Decimal]:
        found = charge_only_bill(depot, SavingsStatement.objects.get(pk=statement.pk))
        assert found is not None
        return {line.quantity for line in found.result.periods[-1].lines if line.id.startswith("demand")}

    assert demand_kw() == {Decimal(80)}, "80 % of the 100 kW entered for October"
    rows = list(Interval.objects.filter(start_at__lt=month_bounds(JANUARY, depot.tz)[0]).order_by("start_at"))
    rows[0].discharge_kwh = 60.0  # without V2G December would have drawn 150 kW
    rows[0].save()
    assert demand_kw() == {Decimal(120)}
