"""What a vehicle does is said in sentences with times, prices and departures."""

import re
from dataclasses import replace

from charging.planner.explain import explanations_of
from charging.planner.solve import solve
from tests.charging.planner.small import must, should, small, trip

DAY = {
    "steps": 6,
    "prices__import_per_kwh": [0.3, 0.1, 0.1, 0.4, 0.4, 0.4],
    "vehicles__0__away": [trip(4, 5, 4)],
    "vehicles__0__targets": [must(4, 0.8)],
}


def sentences(case):
    return [(item.action, item.because) for item in solve(case).explanations["bus"]]


def test_every_action_names_its_money_or_its_departure():
    told = dict(sentences(small(**DAY)))
    assert set(told) >= {"charge", "discharge", "away"}
    assert re.search(r"^charging 1\d:00-1\d:00: a kWh costs the depot \d\.\d\d USD here", told["charge"])
    assert "ready for its next departure by 16:00 with 0 % to spare" in told["charge"]
    assert re.search(r"the depot's power is worth 0\.\d\d USD/kWh until \d\d:00", told["discharge"])
    assert "wear costs 0.05 USD/kWh" in told["discharge"]
    assert told["away"].startswith("away 16:00-17:00: driving uses 4.0 kWh, from 80 % to 70 %")


def test_waiting_names_the_better_time():
    case = small(vehicles__0__v2g=False, vehicles__0__targets=[must(4, 0.9)])
    told = sentences(case)
    assert told[0] == (
        "wait",
        "waiting 12:00-13:00: charging is better at 13:00, where a kWh costs 0.10 USD; "
        "ready for its target by 16:00 with 0 % to spare",
    )
    assert "neither charging nor discharging is worth" in told[-1][1]


def test_a_missed_departure_is_said():
    told = sentences(
        small(vehicles__0__max_charge_kw=0, vehicles__0__v2g=False, vehicles__0__targets=[must(4, 0.9)])
    )
    assert told[0][1].endswith("by 16:00 it is 40 % short of its target")


def test_without_departures_nothing_is_promised():
    told = sentences(small(vehicles__0__v2g=False))
    assert told[0][1].endswith("it has no departure ahead")


def test_a_later_departure_counts_and_not_a_later_charge():
    case = small(
        steps=6,
        prices__import_per_kwh=[0.3, 0.3, 0.3, 0.3, 0.3, 0.1],
        vehicles__0__v2g=False,
        vehicles__0__away=[trip(2, 4, 4)],
        vehicles__0__targets=[should(6, 0.6, 1.0)],
    )
    told = sentences(case)
    assert "neither charging nor discharging" in told[0][1]
    assert "ready for its next departure by 14:00 with 40 % to spare" in told[0][1]


def test_explanations_need_only_case_and_plan():
    case = small(**DAY)
    plan = solve(case)
    assert explanations_of(case, replace(plan, explanations={})) == plan.explanations
