"""Capacity from deep charges, and how it joins the model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.battery.estimate import DeepCharge, Estimate, find_deep_charges, fuse, measured_health
from fleet.battery.profile import make_profile

SHARES = st.floats(0.5, 1.0)


def charge(soh: float, soc_from: float = 0.3, soc_to: float = 0.9) -> DeepCharge:
    """Return the charge that a 200 kWh pack of this health shows at 92 % efficiency."""
    return DeepCharge(soc_from, soc_to, (soc_to - soc_from) * 200 * soh / 0.92)


@given(SHARES, st.integers(1, 20))
def test_exact_charges_give_the_exact_health(soh: float, count: int) -> None:
    estimate = measured_health([charge(soh)] * count, 200, 0.92)
    assert estimate is not None
    assert estimate.soh == pytest.approx(soh)
    assert estimate.charges == count


def test_more_and_deeper_charges_are_surer_but_never_surer_than_the_meter() -> None:
    one, many = (measured_health([charge(0.9)] * count, 200, 0.92) for count in (1, 1000))
    deep = measured_health([charge(0.9, 0.1, 1.0)], 200, 0.92)
    assert one is not None and many is not None and deep is not None
    assert deep.sigma < one.sigma
    assert 0.02 * 0.9 < many.sigma < one.sigma


def test_shallow_charges_say_nothing() -> None:
    assert measured_health([charge(0.9, 0.5, 0.8)], 200, 0.92) is None
    assert measured_health([], 200, 0.92) is None


def test_a_wild_charge_is_left_out() -> None:
    estimate = measured_health([*[charge(0.9)] * 5, charge(1.6)], 200, 0.92)
    assert estimate is not None
    assert estimate.charges == 5
    assert estimate.soh == pytest.approx(0.9)
    assert measured_health([charge(0.4), charge(1.6)], 200, 0.92) is None


def test_deep_charges_are_found_in_a_history() -> None:
    profile = make_profile(range(8), [0.2, 0.5, 0.5, 0.8, 0.4, 0.6, 0.3, 0.95], 25)
    energy = np.array([60.0, 1.0, 60.0, 0.0, 40.0, 0.0, 130.0])
    assert find_deep_charges(profile, energy) == [DeepCharge(0.2, 0.8, 121.0), DeepCharge(0.3, 0.95, 130.0)]
    with pytest.raises(ValueError, match="per interval"):
        find_deep_charges(profile, energy[:-1])


@given(SHARES, st.floats(0.001, 0.1), SHARES, st.floats(0.001, 0.1))
def test_the_joint_health_lies_between_its_sources(
    model: float, model_sigma: float, soh: float, sigma: float
) -> None:
    fused = fuse(model, model_sigma, Estimate(soh, sigma, 3))
    assert min(model, soh) - 1e-12 <= fused.soh <= max(model, soh) + 1e-12
    if not fused.disagree:
        assert fused.sigma <= min(model_sigma, sigma)
    else:
        assert fused.sigma >= abs(model - soh) / 2


def test_without_a_measurement_the_model_stands() -> None:
    fused = fuse(0.93, 0.02, None)
    assert (fused.soh, fused.sigma, fused.measured_weight, fused.disagree) == (0.93, 0.02, 0.0, False)


def test_sources_that_exclude_each_other_are_flagged() -> None:
    assert fuse(0.95, 0.01, Estimate(0.80, 0.01, 9)).disagree
    assert not fuse(0.95, 0.01, Estimate(0.94, 0.01, 9)).disagree
