"""Chargers whose efficiency falls at low power: by hand, and at random beside the reference model."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.planner.baseline import unmanaged
from charging.planner.case import CaseError, case_from_json, case_to_json
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.reference import solve_plain, solve_reference
from charging.planner.settle import MISSING_KWH
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from tests.charging.planner.cases import depots, returning_depots
from tests.charging.planner.featured import EXAMPLES, featured_depots, profile
from tests.charging.planner.test_properties import same_as_the_reference, worth_of_slack

SHARES = st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.8])


@st.composite
def with_losses(draw: st.DrawFn, source: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    """A depot whose chargers and batteries lose a share of what full power stores, as long as they work."""
    data = draw(source)
    for station in (*data["chargers"], *data.get("storage", ())):
        station["charge_loss_kw"] = draw(SHARES) * station["max_charge_kw"] * station["charge_efficiency"]
        station["discharge_loss_kw"] = draw(SHARES) * station["max_discharge_kw"]
        if draw(st.booleans()) and "capacity_kwh" not in station:
            station["min_charge_kw"] = draw(st.sampled_from([0.0, 3.0, 11.0]))
    return data


@settings(profile, max_examples=EXAMPLES or 60)
@given(with_losses(depots(6, 2)))
def test_every_plan_is_sound_and_costs_what_the_reference_does(data):
    case = case_from_json(data)
    assert verify(case, fallback(case)) == []
    plan = solve(case)
    assert plan.bound <= plan.objective + 1e-6
    same_as_the_reference(case, share=1e-4)
