"""The reference model against answers worked out by hand, and over random depots with every feature mixed."""

import pytest
from hypothesis import given

from charging.planner.case import case_from_json, case_to_json
from charging.planner.reference import solve_plain, solve_reference
from charging.planner.solve import solve
from charging.planner.verify import verify
from tests.charging.planner.examples import examples
from tests.charging.planner.featured import featured_depots, profile

EXAMPLES = list(examples())


@pytest.mark.parametrize(
    ("data", "cost"), [item[1:] for item in EXAMPLES], ids=[item[0] for item in EXAMPLES]
)
def test_the_examples_of_the_document(data, cost):
    case = case_from_json(data)
    answer = solve_reference(case)
    assert answer.cost == pytest.approx(cost, abs=1e-3)
    assert answer.must_missing_kwh + answer.backup_missing_kwh == pytest.approx(0.0, abs=1e-6)
    assert solve_plain(case) <= cost + 1e-3
    written = case_to_json(case)
    assert case_to_json(case_from_json(written)) == written


@pytest.mark.parametrize(
    ("data", "cost"), [item[1:] for item in EXAMPLES], ids=[item[0] for item in EXAMPLES]
)
def test_the_planner_agrees(data, cost):
    case = case_from_json(data)
    plan = solve(case)
    assert verify(case, plan) == []
    assert (plan.status, plan.objective) == ("optimal", pytest.approx(cost, abs=1e-3))


def test_every_group_has_an_example():
    assert [item[0] for item in EXAMPLES] == [
        "tiers",
        "wear bands",
        "throughput",
        "standing",
        "taper",
        "phases",
        "a flexible load",
        "an event",
        "backup",
        "frequency",
        "a loss",
        "the bad day",
    ]


@profile
@given(featured_depots())
def test_the_reference_always_has_an_answer_and_the_plain_model_is_never_dearer(data):
    case = case_from_json(data)
    answer = solve_reference(case)
    levels = (
        answer.site_excess_kwh,
        answer.must_missing_kwh,
        answer.below_minimum_kwh,
        answer.backup_missing_kwh,
    )
    assert min(levels) >= -1e-6
    # The plain model takes these levels as hard, and may reach by switches in between what the full one cannot.
    if max(levels) <= 1e-6:
        assert solve_plain(case) <= answer.cost + answer.penalty + 2e-3
