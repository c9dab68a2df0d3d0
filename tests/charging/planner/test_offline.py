"""What chargers hold for the time without a server fits every node's limit though nothing discharges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.planner.case import DepotCase, FloatArray, case_from_json
from charging.planner.offline import NEAR_STEPS, Offline, offline_powers
from charging.planner.plan import DepotPlan
from charging.planner.solve import fallback, solve
from tests.charging.planner.cases import depots
from tests.charging.planner.small import CHARGER, VEHICLE, must, small, trip


def loads(
    case: DepotCase, plan: DepotPlan, charge_kw: dict[str, FloatArray], reserved: dict[str | None, float]
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Yield (load of vehicles, load of all else, limit) of the grid connection and of each node, series in kW."""
    chargers = {charger.id: charger.node for charger in case.chargers}
    parents: dict[str | None, str | None] = {node.id: node.parent for node in case.site.nodes}

    def below(place: str | None, node: str | None) -> bool:
        while place is not None and place != node:
            place = parents[place]
        return place == node

    limits: dict[str | None, FloatArray] = {node.id: node.import_limit_kw for node in case.site.nodes}
    limits[None] = case.site.import_limit_kw
    for name, limit in limits.items():
        mine = [charge_kw[item.id] for item in case.vehicles if below(chargers[item.charger], name)]
        rest = [plan.storage[item.id].charge_kw for item in case.storage if below(item.node, name)]
        rest += [np.full(case.steps, power) for place, power in reserved.items() if below(place, name)]
        rest += [case.site.building_load_kw] if name is None else []
        yield sum(mine, np.zeros(case.steps)), sum(rest, np.zeros(case.steps)), limit


@given(
    data=depots(), seed=st.integers(0, 2**32 - 1), reserved=st.sampled_from([0.0, 4.0]), late=st.booleans()
)
@settings(max_examples=50, deadline=None)
def test_without_any_discharge_every_limit_holds(
    data: dict[str, Any], seed: int, reserved: float, late: bool
) -> None:
    case = case_from_json(data)
    random = np.random.default_rng(seed)
    rows = {
        name: replace(
            row,
            charge_kw=random.choice([0.0, 11.0, 50.0], case.steps),
            discharge_kw=random.choice([0.0, 30.0], case.steps),
        )
        for name, row in fallback(case).vehicles.items()
    }
    plan = replace(fallback(case), vehicles=rows)
    idle = dict.fromkeys((None, *(node.id for node in case.site.nodes)), reserved)
    slow = list(rows)[:1] if late else []
    offline = offline_powers(case, plan, slow=slow, reserved_kw=idle)
    steps = slice(NEAR_STEPS if late else 0, None)
    for mine, rest, limit in loads(case, plan, offline.charge_kw, idle):
        fits = (mine + rest <= limit + 1e-5) | (mine <= 1e-5)
        assert np.all(fits[steps])
        assert offline.relies or np.all(fits)
    for name in slow:
        near = slice(0, NEAR_STEPS)
        np.testing.assert_allclose(offline.charge_kw[name][near], rows[name].charge_kw[near])


def two_buses(**site: Any) -> DepotCase:
    """A full and an empty bus behind a connection of 10 kW: the empty one must leave full, the other can give."""
    chargers = [CHARGER | {"id": f"c{number}"} for number in (1, 2)]
    full = VEHICLE | {"id": "full", "initial_soc": 0.9, "wear_cost_per_kwh": 0.0}
    empty = VEHICLE | {"id": "empty", "charger": "c2", "initial_soc": 0.1, "targets": [must(3, 0.8)]}
    return small(
        vehicles=[full, empty],
        chargers=chargers,
        steps=5,
        prices__import_per_kwh=0.2,
        site__import_limit_kw=20,
        **site,
    )


def near_and_later(case: DepotCase, offline: Offline, name: str) -> tuple[float, float]:
    near = float(offline.charge_kw[name][:NEAR_STEPS].max())
    return near, float(offline.charge_kw[name][NEAR_STEPS:].max())


def test_a_vehicle_charged_by_another_is_cut_and_gets_it_back_later() -> None:
    case = two_buses()
    plan = solve(case, 5)
    assert plan.vehicles["empty"].charge_kw.max() > 11
    assert plan.vehicles["full"].discharge_kw.max() > 1
    offline = offline_powers(case, plan)
    assert near_and_later(case, offline, "empty") == (10.0, 10.0)
    assert offline.charge_kw["empty"][3] > plan.vehicles["empty"].charge_kw[3]
    assert not offline.relies


def test_an_older_charger_keeps_the_near_steps_and_says_so() -> None:
    case = two_buses()
    plan = solve(case, 5)
    offline = offline_powers(case, plan, slow=["empty"])
    near, later = near_and_later(case, offline, "empty")
    assert near > 11
    assert later <= 10
    assert offline.relies
    assert offline_powers(case, plan, slow=["full"]).relies  # it goes on discharging when others have stopped


def test_who_would_miss_its_departure_keeps_its_charge() -> None:
    case = two_buses()
    plan = solve(case, 5)
    both = {name: replace(row, charge_kw=np.full(5, 20.0)) for name, row in plan.vehicles.items()}
    offline = offline_powers(case, replace(plan, vehicles=both))
    np.testing.assert_allclose(offline.charge_kw["empty"][:3], 10.0)
    np.testing.assert_allclose(offline.charge_kw["full"][:3], 0.0)


def test_what_cannot_be_got_back_later_is_charged_earlier() -> None:
    leaving = {"id": "leaving", "initial_soc": 0.2, "away": [trip(3, 5, 1)], "targets": [must(3, 0.7)]}
    case = small(vehicles=[VEHICLE | leaving], steps=5, prices__import_per_kwh=0.2, site__import_limit_kw=20)
    plan = fallback(case)
    late = replace(plan.vehicles["leaving"], charge_kw=np.array([0.0, 0.0, 20.0, 0.0, 0.0]))
    powers = offline_powers(case, replace(plan, vehicles={"leaving": late})).charge_kw["leaving"]
    np.testing.assert_allclose(powers, [0.0, 10.0, 10.0, 0.0, 0.0])


def test_sun_does_not_count_and_what_fits_stays_as_planned() -> None:
    sunny = two_buses(site__solar_kw=15)
    plan = fallback(sunny)
    powers = offline_powers(sunny, plan).charge_kw
    assert plan.vehicles["empty"].charge_kw.max() > 11
    assert powers["empty"].max() == 10.0
    roomy = small(vehicles__0__targets=[must(4, 0.9)])
    kept = offline_powers(roomy, fallback(roomy), first=1).charge_kw["bus"]
    np.testing.assert_allclose(kept[1:], fallback(roomy).vehicles["bus"].charge_kw[1:])
    assert kept[0] == 0
