"""Ageing against the published tool's own results, and the invariants of any ageing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.battery.ageing import AgeingState, advance, age_years, extrapolation, new_cell
from fleet.battery.cells import CELL_MODELS, CHEMISTRIES, cell_models
from fleet.battery.profile import daily_use, make_profile
from tests.fleet.battery.duties import duty, random_days

# Relative capacity after 1 and 10 years by NREL BLAST-Lite 1.1.1 (hourly samples, a year repeated,
# is_conserve_energy_throughput=False: the SoC series is taken as it is).
REFERENCE = [
    ("late80", 15.0, "lfp", 0.98864, 0.94567),
    ("late80", 15.0, "nmc111", 0.99197, 0.97699),
    ("late80", 15.0, "nmc622", 0.96334, 0.88791),
    ("late80", 15.0, "nmc_a", 0.99589, 0.96674),
    ("late80", 25.0, "lfp", 0.98397, 0.93383),
    ("late80", 25.0, "nmc111", 0.98238, 0.95094),
    ("late80", 25.0, "nmc622", 0.96029, 0.87747),
    ("late80", 25.0, "nmc_a", 0.99228, 0.94886),
    ("late80", 35.0, "lfp", 0.97458, 0.90533),
    ("late80", 35.0, "nmc111", 0.96319, 0.90030),
    ("late80", 35.0, "nmc622", 0.95078, 0.84712),
    ("late80", 35.0, "nmc_a", 0.98320, 0.91069),
    ("early100", 15.0, "lfp", 0.98692, 0.94198),
    ("early100", 15.0, "nmc111", 0.97827, 0.94657),
    ("early100", 15.0, "nmc622", 0.96805, 0.90180),
    ("early100", 15.0, "nmc_a", 0.99423, 0.96550),
    ("early100", 25.0, "lfp", 0.98012, 0.92260),
    ("early100", 25.0, "nmc111", 0.95318, 0.88618),
    ("early100", 25.0, "nmc622", 0.96500, 0.89159),
    ("early100", 25.0, "nmc_a", 0.98661, 0.93353),
    ("early100", 35.0, "lfp", 0.96727, 0.88219),
    ("early100", 35.0, "nmc111", 0.90404, 0.76958),
    ("early100", 35.0, "nmc622", 0.95634, 0.86399),
    ("early100", 35.0, "nmc_a", 0.96473, 0.84868),
    ("v2g", 15.0, "lfp", 0.98167, 0.90315),
    ("v2g", 15.0, "nmc111", 0.98676, 0.95842),
    ("v2g", 15.0, "nmc622", 0.94450, 0.83488),
    ("v2g", 15.0, "nmc_a", 0.98896, 0.88729),
    ("v2g", 25.0, "lfp", 0.97806, 0.89918),
    ("v2g", 25.0, "nmc111", 0.97171, 0.91421),
    ("v2g", 25.0, "nmc622", 0.94683, 0.83923),
    ("v2g", 25.0, "nmc_a", 0.98327, 0.85440),
    ("v2g", 35.0, "lfp", 0.96907, 0.87549),
    ("v2g", 35.0, "nmc111", 0.94236, 0.83182),
    ("v2g", 35.0, "nmc622", 0.94145, 0.82087),
    ("v2g", 35.0, "nmc_a", 0.97005, 0.79545),
    ("deep", 15.0, "lfp", 0.97633, 0.87118),
    ("deep", 15.0, "nmc111", 0.97533, 0.51174),
    ("deep", 15.0, "nmc622", 0.88814, 0.69077),
    ("deep", 15.0, "nmc_a", 0.97979, 0.79075),
    ("deep", 25.0, "lfp", 0.97376, 0.87369),
    ("deep", 25.0, "nmc111", 0.94906, 0.82057),
    ("deep", 25.0, "nmc622", 0.89912, 0.71272),
    ("deep", 25.0, "nmc_a", 0.97169, 0.74460),
    ("deep", 35.0, "lfp", 0.96548, 0.85484),
    ("deep", 35.0, "nmc111", 0.89980, 0.67005),
    ("deep", 35.0, "nmc622", 0.89834, 0.70469),
    ("deep", 35.0, "nmc_a", 0.95319, 0.66617),
    ("rest60", 25.0, "lfp", 0.98836, 0.96099),
    ("rest60", 25.0, "nmc111", 0.98768, 0.97201),
    ("rest60", 25.0, "nmc622", 0.97534, 0.92214),
    ("rest60", 25.0, "nmc_a", 0.99536, 0.98247),
    ("shallow", 25.0, "lfp", 0.98409, 0.93331),
    ("shallow", 25.0, "nmc111", 0.98483, 0.95626),
    ("shallow", 25.0, "nmc622", 0.97045, 0.90748),
    ("shallow", 25.0, "nmc_a", 0.99519, 0.98081),
]
# The same at constant energy (the tool's default mode), for duties that stay within the battery.
CONSTANT_ENERGY = [
    ("late80", 15.0, "lfp", 0.98861, 0.94454),
    ("late80", 15.0, "nmc111", 0.99195, 0.97679),
    ("late80", 15.0, "nmc622", 0.96249, 0.87936),
    ("late80", 15.0, "nmc_a", 0.99588, 0.96572),
    ("late80", 25.0, "lfp", 0.98392, 0.93267),
    ("late80", 25.0, "nmc111", 0.98229, 0.95004),
    ("late80", 25.0, "nmc622", 0.95962, 0.87077),
    ("late80", 25.0, "nmc_a", 0.99225, 0.94684),
    ("early100", 15.0, "lfp", 0.98690, 0.94138),
    ("early100", 15.0, "nmc111", 0.97830, 0.94666),
    ("early100", 15.0, "nmc622", 0.96767, 0.89809),
    ("early100", 15.0, "nmc_a", 0.99423, 0.96500),
    ("early100", 25.0, "lfp", 0.98010, 0.92203),
    ("early100", 25.0, "nmc111", 0.95334, 0.88667),
    ("early100", 25.0, "nmc622", 0.96472, 0.88876),
    ("early100", 25.0, "nmc_a", 0.98660, 0.93242),
    ("v2g", 15.0, "lfp", 0.98154, 0.89824),
    ("v2g", 15.0, "nmc111", 0.98668, 0.95729),
    ("v2g", 15.0, "nmc622", 0.94190, 0.80803),
    ("v2g", 15.0, "nmc_a", 0.98886, 0.87471),
    ("v2g", 25.0, "lfp", 0.97793, 0.89514),
    ("v2g", 25.0, "nmc111", 0.97137, 0.90926),
    ("v2g", 25.0, "nmc622", 0.94493, 0.81916),
    ("v2g", 25.0, "nmc_a", 0.98309, 0.83443),
]
# Calendar loss in percent after 5 years at 25 °C and 50 % / 90 % SoC, by the same tool.
RESTING = {"lfp": (2.6, 3.9), "nmc111": (1.8, 8.4), "nmc622": (5.8, 5.0), "nmc_a": (1.1, 3.1)}
MODELS = st.sampled_from(list(CELL_MODELS.values()))
SOCS = st.lists(st.floats(0.05, 1), min_size=13, max_size=13)


@pytest.mark.parametrize(("name", "temperature_c", "model", "after_1", "after_10"), REFERENCE)
def test_capacity_is_that_of_the_published_tool(
    name: str, temperature_c: float, model: str, after_1: float, after_10: float
) -> None:
    states = list(age_years(new_cell(CELL_MODELS[model]), duty(name, temperature_c), 10))
    assert states[0].capacity == pytest.approx(after_1, abs=0.0005)
    assert states[9].capacity == pytest.approx(after_10, abs=0.001 if after_10 > 0.6 else 0.005)


@pytest.mark.parametrize(("name", "temperature_c", "model", "after_1", "after_10"), CONSTANT_ENERGY)
def test_capacity_at_constant_energy_is_that_of_the_published_tool(
    name: str, temperature_c: float, model: str, after_1: float, after_10: float
) -> None:
    year = duty(name, temperature_c)
    states = list(age_years(new_cell(CELL_MODELS[model]), year, 10, constant_energy=True))
    assert states[0].capacity == pytest.approx(after_1, abs=0.0005)
    assert states[9].capacity == pytest.approx(after_10, abs=0.003)


def test_wider_swings_end_at_the_whole_battery() -> None:
    worn = AgeingState("lfp", calendar_loss=0.4, lithium_cycle_loss=0.1)
    day = make_profile([0, 12, 24], [0.9, 0.1, 0.9], 25.0)
    after = advance(worn, day, constant_energy=True)
    # The swing of 80 % widens to 100 % of the half that is left, not to the 160 % that it would take.
    assert after.equivalent_full_cycles == pytest.approx(0.5)
    assert advance(worn, day).equivalent_full_cycles == pytest.approx(0.4)


@pytest.mark.parametrize("model", RESTING)
def test_resting_loss_is_that_of_the_published_tool(model: str) -> None:
    for soc, percent in zip((0.5, 0.9), RESTING[model], strict=True):
        state = advance(new_cell(CELL_MODELS[model]), make_profile([0, 5 * 8760], [soc, soc], 25.0))
        assert 100 * state.calendar_loss == pytest.approx(percent, abs=0.051)
        assert state.cycle_loss == pytest.approx(0.0, abs=1e-12)


@given(MODELS, SOCS, SOCS)
def test_a_chained_history_ages_as_in_one_go(model, first: list[float], second: list[float]) -> None:
    second[0] = first[-1]
    whole = random_days([*first, *second[1:]], days=4)
    parts = advance(new_cell(model), random_days(first, days=2))
    parts = advance(parts, random_days(second, days=2))
    at_once = advance(new_cell(model), whole)
    for name in ("age_days", "equivalent_full_cycles", "calendar_loss", "lithium_cycle_loss", "capacity"):
        assert getattr(parts, name) == pytest.approx(getattr(at_once, name), rel=1e-9, abs=1e-12)


@given(MODELS, SOCS)
def test_capacity_never_grows_and_its_parts_add_up(model, soc: list[float]) -> None:
    state = new_cell(model)
    for _ in range(3):
        later = advance(state, random_days(soc, days=2))
        assert later.capacity <= state.capacity
        assert later.calendar_loss >= state.calendar_loss
        assert later.cycle_loss >= state.cycle_loss - 1e-15
        assert later.capacity == pytest.approx(1 - later.calendar_loss - later.cycle_loss)
        state = later


@settings(max_examples=40)
@given(st.sampled_from(list(CELL_MODELS)), st.floats(0.2, 0.7), st.floats(0.01, 0.1), st.floats(5, 40))
def test_more_energy_never_lowers_cycling_wear(
    name: str, swing: float, more: float, temperature_c: float
) -> None:
    # The mean SoC is held, because the lower mean of a deeper discharge spares some cells.
    def cycle_loss(depth: float) -> float:
        soc = [0.5 + depth / 2, 0.5 - depth / 2, 0.5 + depth / 2]
        year = make_profile(np.arange(0, 8761, 12.0), (soc[:2] * 366)[:731], temperature_c)
        return advance(new_cell(CELL_MODELS[name]), year).cycle_loss

    assert cycle_loss(swing + more) >= cycle_loss(swing)


@pytest.mark.parametrize("name", CELL_MODELS)
def test_warmth_ages_a_resting_cell(name: str) -> None:
    cold, warm = (
        advance(new_cell(CELL_MODELS[name]), make_profile([0, 8760], [0.6, 0.6], celsius)).capacity
        for celsius in (10.0, 35.0)
    )
    assert warm < cold


@pytest.mark.parametrize("name", CELL_MODELS)
def test_an_empty_cell_in_deep_frost_still_has_an_answer(name: str) -> None:
    state = advance(new_cell(CELL_MODELS[name]), duty("deep", temperature_c=-30.0, days=60))
    state = advance(state, make_profile([0, 240], [0.0, 0.0], -30.0))
    assert 0 <= state.capacity <= 1


def test_capacity_stops_at_zero() -> None:
    assert AgeingState("lfp", calendar_loss=0.7, lithium_cycle_loss=0.6).capacity == 0.0
    worn = replace(new_cell(CELL_MODELS["nmc111"]), material_loss=0.999999)
    assert 0.0 <= advance(worn, duty("deep", days=5)).capacity <= worn.capacity


def test_use_outside_the_tests_is_flagged() -> None:
    lfp, denso = CELL_MODELS["lfp"], CELL_MODELS["nmc622"]
    assert extrapolation(lfp, daily_use(duty("late80", days=5))).shallow == 1.0
    assert not extrapolation(denso, daily_use(duty("late80", days=5))).extrapolated
    assert extrapolation(denso, daily_use(duty("late80", temperature_c=0.0, days=5))).temperature == 1.0
    fast = make_profile([0, 0.5, 24], [0.1, 0.9, 0.1], 25.0)
    assert extrapolation(lfp, daily_use(fast)).fast_charge == 1.0
    assert not extrapolation(lfp, daily_use(duty("rest60", days=5))).extrapolated


def test_every_name_finds_its_model_and_others_are_refused_by_name() -> None:
    assert [model.name for model in cell_models(" LFP ")] == ["lfp"]
    assert [model.name for model in cell_models("nmc")] == ["nmc111", "nmc622"]
    for model in CELL_MODELS.values():
        assert cell_models(model.reference_name) == (model,)
    with pytest.raises(ValueError, match=", ".join(CHEMISTRIES)):
        cell_models("lto")
