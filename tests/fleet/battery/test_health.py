"""The health report and what it says about service to the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.battery.ageing import advance, new_cell
from fleet.battery.cells import CELL_MODELS
from fleet.battery.estimate import Estimate
from fleet.battery.health import History, assess_health, hours_above, model_sigma, without_discharge
from fleet.battery.profile import SocProfile, make_profile
from tests.fleet.battery.duties import duty

PACK_KWH = 200.0


def evening_v2g(days: int = 60) -> History:
    """Return a bus that gives 20 % to the grid from 17 to 19 h and is charged back by night."""
    hours = [0.0, 5.0, 7.0, 9.0, 14.0, 16.0, 17.0, 19.0, 22.0]
    soc = [0.4, 0.9, 0.9, 0.75, 0.75, 0.6, 0.6, 0.4, 0.4]
    at = np.concatenate([np.array(hours) + 24 * day for day in range(days)])
    profile = make_profile(at, soc * days, 25.0)
    out = np.where((at[:-1] % 24) == 17, 0.2 * PACK_KWH, 0.0)
    return History(profile, PACK_KWH, v2g_kwh=out)


def test_the_counterfactual_keeps_driving_and_drops_the_discharge() -> None:
    history = evening_v2g(days=2)
    assert history.v2g_kwh is not None
    without = without_discharge(history.profile, history.v2g_kwh, PACK_KWH)
    assert without.soc[:9] == pytest.approx([0.4, 0.9, 0.9, 0.75, 0.75, 0.6, 0.6, 0.6, 0.6])
    assert without.soc[9:11] == pytest.approx([0.6, 0.9])


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=40), st.lists(st.floats(0, 80), min_size=39, max_size=39)
)
def test_the_counterfactual_is_a_possible_history_above_the_real_one(
    soc: list[float], out: list[float]
) -> None:
    profile = make_profile(np.arange(len(soc)), soc, 25.0)
    without = without_discharge(profile, np.array(out[: len(soc) - 1]), PACK_KWH)
    assert (without.soc >= profile.soc - 1e-12).all()
    assert without.soc.max() <= 1 + 1e-12


def test_without_discharge_nothing_changes() -> None:
    profile = duty("late80", days=3)
    same = without_discharge(profile, np.zeros(profile.soc.size - 1), PACK_KWH)
    assert same.soc.tolist() == profile.soc.tolist()


def test_the_report_adds_up() -> None:
    report = assess_health("lfp", evening_v2g())
    assert report.soh == report.model_soh == pytest.approx(1 - report.calendar_part - report.cycling_part)
    assert report.soh_low < report.soh < report.soh_high
    assert report.v2g_throughput_kwh == pytest.approx(60 * 0.2 * PACK_KWH)
    assert report.throughput_kwh == pytest.approx(report.equivalent_full_cycles * PACK_KWH)
    assert 0 < report.v2g_share < 1
    assert report.v2g_loss == pytest.approx(report.v2g_share * (1 - report.soh))
    assert report.loss_per_year == pytest.approx((1 - report.soh) * 8760 / (60 * 24 - 2))
    assert report.extrapolated
    # Above 80 % from 4 h (0.4 + 4 * 0.1) to 7 h 00 + 80 min on the first day.
    first_day = assess_health("lfp", evening_v2g(days=1))
    assert first_day.hours_above_80_percent == pytest.approx(3 + 80 / 60)
    assert first_day.measured_weight == 0


def test_v2g_that_spares_hours_at_a_high_soc_can_gain_life() -> None:
    # A cell with strong calendar ageing that otherwise stands at 95 % all day.
    at = np.arange(0.0, 24 * 60, 1.0)
    soc = np.interp(at % 24, [0, 2, 6, 20, 24], [0.95, 0.65, 0.65, 0.65, 0.95])
    history = History(
        make_profile(at, soc, 35.0),
        PACK_KWH,
        v2g_kwh=np.where(at[:-1] % 24 < 2, 0.15 * PACK_KWH, 0.0),
    )
    report = assess_health("nmc111", history)
    assert report.v2g_loss < 0
    assert report.v2g_share < 0


def test_a_counterfactual_that_the_caller_knows_is_used() -> None:
    history = evening_v2g()
    known = History(history.profile, PACK_KWH, history.v2g_kwh, without_v2g=history.profile)
    assert assess_health("lfp", known).v2g_loss == 0
    assert assess_health("lfp", History(history.profile, PACK_KWH)).v2g_loss == 0


def test_a_history_may_be_assessed_in_parts() -> None:
    year = duty("v2g", days=120)
    first, second = (_days(year, *span) for span in ((0, 60), (60, 119)))
    state = assess_health("nmc622", History(first, PACK_KWH)).state
    chained = assess_health("nmc622", History(second, PACK_KWH), starts={"nmc622": state})
    whole = advance(new_cell(CELL_MODELS["nmc622"]), _days(year, 0, 119))
    assert chained.soh == pytest.approx(whole.capacity, rel=1e-12)


def test_plain_nmc_reports_the_worse_model() -> None:
    history = evening_v2g()
    worse = min((assess_health(name, history) for name in ("nmc111", "nmc622")), key=lambda r: r.soh)
    assert assess_health("nmc", history) == worse


def test_a_measurement_moves_the_health_and_narrows_the_band() -> None:
    history = evening_v2g()
    model = assess_health("lfp", history)
    both = assess_health("lfp", history, measured=Estimate(soh=0.99, sigma=0.005, charges=30))
    assert min(0.99, model.soh) <= both.soh <= max(0.99, model.soh)
    assert both.soh_high - both.soh_low < model.soh_high - model.soh_low
    assert both.measured_weight > 0
    assert not both.disagree


def test_the_band_widens_with_loss_and_with_extrapolation() -> None:
    model = CELL_MODELS["nmc622"]
    young, old = (advance(new_cell(model), duty("late80", days=days)) for days in (10, 300))
    assert model_sigma(young, False) < model_sigma(old, False) < model_sigma(old, True)


def test_hours_above_interpolates_crossings() -> None:
    assert hours_above(make_profile([0, 10, 20], [0.7, 0.9, 0.7], 25), 0.8) == pytest.approx(10)
    assert hours_above(make_profile([0, 10], [0.9, 0.9], 25), 0.8) == 10
    assert hours_above(make_profile([0, 10], [0.8, 0.8], 25), 0.8) == 0


@pytest.mark.parametrize(
    ("nominal", "out", "words"),
    [(0.0, None, "nominal_kwh"), (200.0, [1.0], "per interval"), (200.0, [1.0, -1.0], "negative")],
)
def test_impossible_histories_are_refused(nominal: float, out: list[float] | None, words: str) -> None:
    profile = make_profile([0, 1, 2], [0.5, 0.6, 0.5], 25)
    with pytest.raises(ValueError, match=words):
        History(profile, nominal, None if out is None else np.array(out))


def _days(profile: SocProfile, first: int, last: int) -> SocProfile:
    chosen = (profile.hours >= 24 * first) & (profile.hours <= 24 * last)
    return SocProfile(profile.hours[chosen], profile.soc[chosen], profile.temperature_c[chosen])
