"""Programmes: baselines, deliveries and shares, by the published table and by property."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.savings.emissions import Flows, emissions
from billing.savings.programmes import (
    BaselineRule,
    CustomerBaseline,
    NoBaselineError,
    customer_baseline,
    delivered_kwh,
    paid_once,
    shared_out,
    vehicles_export,
    working_days_of,
)
from tests.billing.tariff.examples import DOCS, table_rows

EVENT = date(2026, 3, 12)  # a Thursday
BEFORE = [EVENT - timedelta(days=back) for back in range(60)]
PARTS = (DOCS / "savings.md").read_text().split("\n## ")


def loads(of_day, steps: int = 4) -> dict[date, np.ndarray]:
    return {day: np.full(steps, float(of_day(day))) for day in BEFORE}


def test_the_published_baselines():
    part = next(part for part in PARTS if "Programmes" in part.splitlines()[0])
    for row in table_rows(part)[:4]:
        usual, before, expected, metered, delivered = map(float, row[1:])
        load = dict.fromkeys(BEFORE, np.full(4, usual)) | {
            EVENT: np.array([before, before, metered, metered])
        }
        found = customer_baseline(EVENT, load, working_days_of(BEFORE, frozenset()), frozenset(), (0, 2))
        assert found.net_kw[2] == pytest.approx(expected), row[0]
        assert delivered_kwh(found, load[EVENT], (2, 4), 0.5).sum() == pytest.approx(delivered), row[0]


def test_similar_days_without_events_are_taken_the_newest_first():
    holiday, event = date(2026, 3, 10), date(2026, 3, 9)
    kinds = working_days_of(BEFORE, frozenset({holiday}))
    load = loads(lambda day: 500 if day in (holiday, event) or day.weekday() >= 5 else 100)
    load[date(2026, 3, 6)] = np.array([100.0, np.nan, 100.0, 100.0])
    found = customer_baseline(EVENT, load, kinds, frozenset({event}), (0, 2))
    assert found.days[:3] == (date(2026, 3, 11), date(2026, 3, 5), date(2026, 3, 4))
    assert len(found.days) == 10
    assert found.net_kw.tolist() == [100.0] * 4
    weekend = customer_baseline(date(2026, 3, 8), load, kinds, frozenset({event}), (0, 2))
    assert all(day.weekday() >= 5 or day == holiday for day in weekend.days)


def test_too_few_days_make_no_baseline():
    kinds = working_days_of(BEFORE, frozenset())
    with pytest.raises(NoBaselineError, match="Only 3 similar days"):
        customer_baseline(EVENT, {day: np.ones(4) for day in BEFORE[:6]}, kinds, frozenset(), (0, 2))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-200, 400), min_size=60, max_size=60),
    st.floats(-300, 500),
    st.booleans(),
    st.floats(0, 0.5),
)
def test_the_adjustment_stays_within_its_cap(values: list[float], today: float, ratio: bool, cap: float):
    of = dict(zip(BEFORE, values, strict=True))
    load = loads(of.__getitem__) | {EVENT: np.full(4, today)}
    rule = BaselineRule(cap=cap, multiplicative=ratio)
    found = customer_baseline(EVENT, load, working_days_of(BEFORE, frozenset()), frozenset(), (0, 2), rule)
    plain = np.mean([of[day] for day in found.days])
    assert abs(found.adjustment_kw) <= cap * abs(plain) + 1e-9
    assert found.net_kw == pytest.approx([plain + found.adjustment_kw] * 4, abs=1e-6)
    assert found.capped == (abs(today - plain) > cap * abs(plain))
    other = load | {day: np.full(4, 1e4) for day in BEFORE if day.weekday() >= 5}  # other days change nothing
    again = customer_baseline(EVENT, other, working_days_of(BEFORE, frozenset()), frozenset(), (0, 2), rule)
    assert again.net_kw.tolist() == found.net_kw.tolist()


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=20))
def test_nothing_is_delivered_below_zero_or_after_the_event(steps: list[tuple[float, float]]):
    base, net = (np.array(column) for column in zip(*steps, strict=True))
    found = delivered_kwh(CustomerBaseline(base, (), 0.0, False), net, (0, len(steps)), 0.25)
    assert (found >= 0).all()
    assert found.sum() >= (base - net).sum() * 0.25 - 1e-9


@given(st.floats(0, 1000), st.dictionaries(st.sampled_from("abcdef"), st.floats(-5, 100), min_size=1))
def test_the_parts_are_the_whole(metered: float, by_vehicle: dict[str, float]):
    parts = shared_out(metered, by_vehicle)
    assert set(parts) == set(by_vehicle)
    if any(kwh > 0 for kwh in by_vehicle.values()):
        assert sum(parts.values()) == pytest.approx(metered)
    else:
        assert not any(parts.values())


def test_vehicles_export_what_is_left_after_the_sun():
    export, discharge, sun = (
        np.array([30.0, 30, 5, 0]),
        np.array([20.0, 40, 20, 20]),
        np.array([0.0, 25, 8, 0]),
    )
    assert vehicles_export(export, discharge, sun).tolist() == [20, 5, 0, 0]


def test_energy_is_paid_once_where_the_terms_say_so():
    export, delivered = np.array([10.0, 5, 0]), np.array([6.0, 8, 4])
    assert [part.tolist() for part in paid_once(export, delivered, credit_excluded=True)] == [
        [4, 0, 0],
        [6, 8, 4],
    ]
    assert paid_once(export, delivered, credit_excluded=False)[0] is export


def test_emissions_by_both_kinds_of_factor():
    unmanaged, actual = (
        Flows(np.array([10.0, 0, 4, np.nan]), np.zeros(4)),
        Flows(np.array([2.0, 6, 4, 1]), np.array([0, 0, 3.0, 0])),
    )
    factor = np.array([0.5, 0.2, 0.4, 0.4])
    marginal = emissions(unmanaged, actual, factor, marginal=True)
    average = emissions(unmanaged, actual, factor, marginal=False)
    assert marginal is not None and average is not None
    assert (marginal.unmanaged_kg, marginal.actual_kg) == pytest.approx((6.6, 2.6))
    assert (average.avoided_kg, average.known_share) == pytest.approx((2.8, 1.0))
    half = emissions(unmanaged, actual, np.array([np.nan, 0.2, np.nan, 1]), marginal=True)
    assert half is not None and half.known_share == pytest.approx(1 / 3)
    assert emissions(unmanaged, actual, np.full(4, np.nan), marginal=True) is None
