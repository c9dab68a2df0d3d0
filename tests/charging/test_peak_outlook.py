"""The peak that a week needs anyway: found by the planner itself, used while it is fresh, and said with its reason."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine

from charging.assemble import assemble
from charging.jobs import PEAK_OUTLOOK, look_a_week_ahead, make_plan
from charging.models import PeakOutlook
from charging.peak_outlook import end_targets, expected_peaks, expecting, look_ahead
from charging.planner.solve import fallback, solve
from charging.selectors.outlook import FRESH
from charging.services import outlook
from charging.services.planning import make_plan as plan_of
from depot.jobs import enqueue
from depot.models import Forecast, Job
from tests.charging.planner.small import must, small
from tests.charging.yard import make_yard
from tests.factories import NOW, make_block, make_charger, make_vehicle

PEAK = {"id": "peak", "price_per_kw": 5.0, "billed_kw_so_far": 12.0}
CHARGE = PEAK | {"period": 0}
NEEDY = {"demand_charges": [PEAK], "vehicles__0__targets": [must(4, 0.9)]}


def test_what_stays_below_an_expected_peak_costs_nothing_more() -> None:
    without = solve(small(**NEEDY))
    peak = without.demand_peaks["peak"][0]
    assert peak == pytest.approx(14.444, abs=1e-3)
    case = small(**NEEDY | {"demand_charges": expecting([PEAK], {("peak", 0): 18.0})})
    plan = solve(case)
    assert plan.cost.demand == {"peak": 0.0}
    assert peak < plan.demand_peaks["peak"][0] <= 18.0 + 1e-6
    assert plan.objective < without.objective - 1.0


def test_the_outlook_is_the_peak_of_a_plan_and_what_draws_it() -> None:
    case = small(**NEEDY)
    (peak,) = look_ahead(case, 5.0)
    assert (peak.charge, peak.period, peak.building_kw, peak.vehicles) == ("peak", 0, 10.0, 1)
    assert peak.kw == pytest.approx(peak.building_kw + peak.vehicles_kw)


def test_each_period_has_its_own_peak() -> None:
    charge = PEAK | {"period": [0, 0, 1, 1], "billed_kw_so_far": [12.0, 0.0]}
    case = small(**NEEDY | {"demand_charges": [charge]})
    plan = solve(case)
    found = {peak.period: (peak.kw, peak.step) for peak in expected_peaks(case, plan)}
    assert [found[0][0], found[1][0]] == pytest.approx(plan.demand_peaks["peak"])
    assert found[0][1] < 2 <= found[1][1]


def test_a_plan_by_rule_tells_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charging.peak_outlook.solve", lambda case, *_, **__: fallback(case))
    assert look_ahead(small(**NEEDY), 5.0) == []


def test_a_peak_counts_as_billed_where_it_is_higher_than_what_is() -> None:
    charges = [CHARGE | {"billed_kw_so_far": [1.0, 2.0]}, CHARGE | {"id": "other"}]
    first, other = expecting(charges, {("peak", 0): 0.5, ("peak", 1): 7.0})
    assert first["billed_kw_so_far"] == [1.0, 7.0]
    assert other["billed_kw_so_far"] == [12.0]


def test_a_vehicle_is_filled_at_the_end_only_where_a_peak_costs_money() -> None:
    assert end_targets(8, 0.5, 0.9, (0.2, 0.1), []) == [
        {"boundary": 8, "soc": 0.5, "tier": "should", "price_per_kwh": 0.2}
    ]
    filled = end_targets(8, 0.5, 0.9, (0.2, 0.1), [PEAK])
    assert filled[1] == {"boundary": 8, "soc": 0.9, "tier": "should", "price_per_kwh": 0.102}
    assert len(end_targets(8, 0.95, 0.95, (0.2, 0.1), [PEAK])) == 1


@pytest.fixture
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def busy(depot):
    """Return a depot with two long trips a bus in three days, and little time in between: 36 hours do not see it."""
    make_yard(depot, NOW, buses=1)
    Forecast.objects.update(made_at=NOW - timedelta(hours=6))
    for number in range(5):
        vehicle = make_vehicle(depot, f"Late {number}", soc=0.3)
        make_charger(depot, vehicle)
        for name, hours in (("early", (5, 11)), ("late", (13, 18))):
            make_block(
                depot,
                vehicle,
                f"{name} {number}",
                depart_minute=60 * hours[0],
                return_minute=60 * hours[1],
                energy_kwh=120,
                weekdays=0b0010000,
            )
    return depot


def charge_of(depot, at):
    (charge,) = assemble(depot, at).case["demand_charges"]
    return charge


def test_the_coming_week_is_planned_stored_and_used_with_its_reason(busy, frozen):
    before = charge_of(busy, NOW)
    made = outlook.make_outlook(busy, NOW - timedelta(hours=3))
    (row,) = made.peaks
    assert made.until_at == NOW + timedelta(days=7, hours=-3)
    assert row["month"] == "2026-03-01"
    charge = charge_of(busy, NOW)
    assert charge["billed_kw_so_far"][0] == row["kw"] > before["billed_kw_so_far"][0]
    plan = plan_of(busy, NOW, "test")
    told = plan.notes["peaks"][charge["id"]]
    assert (told["billed_kw"], told["expected_kw"][0]) == (before["billed_kw_so_far"], row["kw"])
    words = told["because"]
    assert words.startswith(f"The coming week needs {row['kw']:.0f} kW anyway: on Thu 12 Mar at ")
    assert words.endswith("Up to that, more power costs nothing more. Found on Tue 10 Mar at 08:00.")
    assert plan.violations == []


def test_a_stale_or_missing_outlook_is_not_used(busy, frozen):
    billed = charge_of(busy, NOW)
    made = outlook.make_outlook(busy, NOW - timedelta(hours=1))
    assert charge_of(busy, NOW) != billed
    PeakOutlook.objects.update(made_at=NOW - FRESH - timedelta(minutes=1))
    assert charge_of(busy, NOW) == billed
    PeakOutlook.objects.update(made_at=NOW, peaks=made.peaks)
    assert charge_of(busy, NOW) == billed, "a plan assembled again has the same case"


def test_a_peak_of_another_month_or_charge_is_not_taken(busy, frozen):
    billed = charge_of(busy, NOW)
    made = outlook.make_outlook(busy, NOW - timedelta(hours=1))
    (row,) = made.peaks
    for other in (row | {"month": "2026-02-01"}, row | {"charge": "another"}):
        PeakOutlook.objects.update(peaks=[other])
        assert charge_of(busy, NOW) == billed


def test_an_outlook_is_made_of_what_is_known_now_alone(busy, frozen):
    billed = charge_of(busy, NOW)["billed_kw_so_far"]
    outlook.make_outlook(busy, NOW - timedelta(hours=1))
    assembled = assemble(busy, NOW, outlook_days=7)
    assert assembled.case["steps"] == 7 * 96
    assert "previous" not in assembled.case
    assert assembled.case["demand_charges"][0]["billed_kw_so_far"] == billed


def test_the_days_job_stores_an_outlook_and_a_change_asks_for_another(busy, frozen):
    job = enqueue(PEAK_OUTLOOK, busy, "2026-03-10")
    told = look_a_week_ahead(job, lambda *_: None)
    assert told is not None and told["peaks"] == PeakOutlook.objects.get().peaks
    Job.objects.all().delete()
    make_plan(enqueue("plan", busy, "2026-03-10T15:00:00+00:00"), lambda *_: None)
    assert not Job.objects.filter(kind=PEAK_OUTLOOK).exists()
    for window in ("schedule 1", "tariff 2"):
        make_plan(enqueue("plan", busy, window), lambda *_: None)
    assert [job.window for job in Job.objects.filter(kind=PEAK_OUTLOOK)] == ["schedule 1"]


def test_a_depot_without_a_demand_charge_has_nothing_to_look_for(depot, frozen):
    make_charger(depot, make_vehicle(depot))
    assert outlook.make_outlook(depot, NOW).peaks == []
    assert SimpleNamespace(**assemble(depot, NOW + timedelta(hours=1)).case).demand_charges == []
