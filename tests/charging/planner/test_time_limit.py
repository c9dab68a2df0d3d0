"""Whenever the time is up there is a verified plan, no worse than the one of less time, with a gap that is true."""

import pytest

from charging.planner import highs
from charging.planner import solve as front
from charging.planner.free import rank_of
from charging.planner.plan import DepotPlan
from charging.planner.solve import solve
from charging.planner.verify import verify
from charging.planner.warm import LastPlan
from tests.charging.planner.small import CHARGER, VEHICLE, must, small, trip


class Clock:
    """A clock that stands still for some looks at it, and then is past every time limit."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def perf_counter(self) -> float:
        self.looks -= 1
        return 0.0 if self.looks >= 0 else 1e6


@pytest.fixture(scope="module")
def case():
    """Return a depot that pays more for some export than import costs, which takes switches, with a bad day."""
    steps = 12
    buses = [
        VEHICLE
        | {"id": f"v{number}", "charger": f"c{number}", "v2g_min_soc": 0.5, "initial_soc": 0.4 + 0.1 * number}
        | {"away": [trip(3 + number, 6, 9 + number) | {"late_steps": 2, "extra_kwh": 4}]}
        | {"targets": [must(3 + number, 0.7), must(steps, 0.8)]}
        for number in range(3)
    ]
    return small(
        steps=steps,
        site__export_limit_kw=50,
        prices__import_per_kwh=[0.3, 0.1, 0.2, 0.4, 0.1, 0.3, 0.2, 0.4, 0.1, 0.35, 0.1, 0.2],
        prices__export_per_kwh=[0.32, 0.05, 0.1, 0.45, 0.05, 0.32, 0.1, 0.45, 0.05, 0.4, 0.05, 0.1],
        demand_charges=[{"id": "peak", "price_per_kw": 1.5, "billed_kw_so_far": 25}],
        vehicles=buses,
        chargers=[CHARGER | {"id": f"c{number}"} for number in range(3)],
        bad_day={},
    )


def solved_after(case, looks: int, monkeypatch, **more) -> DepotPlan:
    clock = Clock(looks)
    for module in (highs, front):
        monkeypatch.setattr(module, "time", clock)
    return solve(case, gap=1e-6, **more)


def test_a_plan_is_sound_and_its_gap_true_wherever_the_time_ends(case, monkeypatch):
    plans = [solved_after(case, looks, monkeypatch) for looks in (2, 3, 5, 8, 20, 80, 10_000)]
    best = plans[-1]
    assert (plans[0].status, best.status) == ("fallback", "optimal")
    assert "feasible" in {plan.status for plan in plans[1:-1]}
    for plan in plans:
        assert verify(case, plan) == []
        assert plan.bound <= best.objective + 1e-3
        assert plan.gap == pytest.approx((plan.objective - plan.bound) / abs(plan.objective))
        assert rank_of(case, best)[:-1] <= rank_of(case, plan)[:-1]


def test_without_time_the_last_plan_goes_on_where_that_is_sound_and_better(case, monkeypatch):
    last = solve(case)
    plan = solved_after(case, 1, monkeypatch, last=LastPlan(last, 0))
    assert (verify(case, plan), plan.status) == ([], "feasible")
    assert plan.objective == pytest.approx(last.objective, rel=1e-3)
    assert plan.bound <= last.bound + 1e-6
    # Out of step with the trips it misses targets: the rules have the better plan.
    late = solved_after(case, 1, monkeypatch, last=LastPlan(last, 7))
    assert (verify(case, late), late.status) == ([], "fallback")
