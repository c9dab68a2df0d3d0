"""Looking ahead by the laws themselves agrees with ageing day by day."""

from __future__ import annotations

import pytest

from fleet.battery.ageing import advance, new_cell
from fleet.battery.cells import CELL_MODELS
from fleet.battery.outlook import loss_per_year_ahead
from fleet.battery.profile import HOURS_PER_YEAR, make_profile, repeated

HOURS = [0.0, 3, 7, 9, 13, 15, 17, 21, 24]
SOC = [0.3, 0.8, 0.8, 0.6, 0.85, 0.7, 0.65, 0.3, 0.3]


@pytest.mark.parametrize("name", CELL_MODELS)
def test_the_outlook_is_what_ageing_day_by_day_comes_to(name: str) -> None:
    day = make_profile(HOURS, SOC, 25.0)
    before = advance(new_cell(CELL_MODELS[name]), repeated(day, 0, HOURS_PER_YEAR))
    after = advance(before, repeated(day, 0, 168))
    later = advance(after, repeated(day, 0, 5 * HOURS_PER_YEAR))
    expected = (after.capacity - later.capacity) / 5
    assert loss_per_year_ahead(before, after) == pytest.approx(expected, rel=0.05)


def test_states_that_do_not_follow_each_other_are_refused() -> None:
    one, other = (new_cell(CELL_MODELS[name]) for name in list(CELL_MODELS)[:2])
    with pytest.raises(ValueError, match="two models"):
        loss_per_year_ahead(one, other)
    with pytest.raises(ValueError, match="older"):
        loss_per_year_ahead(one, one)
