"""One event: what counts by kind, what is paid once, and the planner's view of the same money."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.savings.events import Call, Metered, baseline_of, offers, settle
from billing.savings.programmes import CustomerBaseline, working_days_of
from tests.billing.tariff.examples import DOCS, table_rows

DAY = date(2026, 3, 12)
PARTS = (DOCS / "savings.md").read_text().split("\n## ")
POWERS = st.lists(st.integers(-100, 100), min_size=4, max_size=4)


def baseline(*net_kw: float) -> CustomerBaseline:
    return CustomerBaseline(np.array(net_kw, dtype=float), (), 0.0, capped=False)


def metered(*net_kw: float, credit: float = 0.0, hours: float = 0.5) -> Metered:
    net = np.array(net_kw, dtype=float)
    return Metered(net, np.maximum(-net, 0.0) * hours, np.full(net.size, credit))


def test_the_published_payments():
    part = next(part for part in PARTS if "Programmes" in part.splitlines()[0])
    rows = [row for row in table_rows(part) if len(row) == 8][2:]  # head and rule
    assert len(rows) == 6
    for kind, per, usual, net, credit, kwh, pay, revenue in rows:
        terms = {"pay_per_kwh" if per == "2.00/kWh" else "pay_per_kw": Decimal(per.split("/")[0])}
        call = Call(DAY, (0, 2), kind, **terms, credit_excluded=credit != "kept")
        found = settle(
            call, baseline(*[float(usual)] * 2), metered(*[float(net)] * 2, credit=0.1), 0.5, "USD"
        )
        assert (found.kwh, found.pay, found.revenue) == (float(kwh), Decimal(pay), Decimal(revenue))


def test_a_step_that_was_not_metered_delivers_nothing_of_either_kind():
    for kind in ("reduce", "export"):
        call = Call(DAY, (1, 3), kind, pay_per_kw=Decimal(10))
        found = settle(call, baseline(0, 0, 0, 0), metered(-40, -40, np.nan, -40), 0.5, "USD")
        assert (found.kwh, found.mean_kw, found.pay, found.missing) == (20.0, 20.0, Decimal(200), 1)


@given(usual=POWERS, net=POWERS, kind=st.sampled_from(["reduce", "export"]))
@settings(max_examples=80)
def test_the_planner_is_paid_for_exactly_what_the_settlement_pays(usual, net, kind):
    call = Call(DAY, (1, 4), kind, pay_per_kwh=Decimal(2))
    known = baseline(*usual)
    flows = {"reduce": np.maximum(net, 0)[1:], "export": np.maximum(np.negative(net), 0)[1:]}
    planned = sum(
        float(
            np.maximum(
                offer.baseline_kw - flows["reduce"]
                if offer.kind == "reduce"
                else flows["export"] - offer.baseline_kw,
                0.0,
            ).sum()
        )
        for offer in offers(call, known)
    )
    assert planned == pytest.approx(settle(call, known, metered(*net), 1.0, "USD").kwh)


def test_the_adjustment_looks_four_to_one_hour_before_within_the_day_and_at_what_is_known():
    days = [DAY - timedelta(days=back) for back in range(20)]
    loads = dict.fromkeys(days, np.full(24, 100.0)) | {DAY: np.full(24, np.nan)}
    kinds = working_days_of(days, frozenset())

    def adjusted(first: int, **known_kw: float) -> float:
        today = np.full(24, np.nan)
        for hour, kw in known_kw.items():
            today[int(hour[1:])] = kw
        found = baseline_of(
            Call(DAY, (first, first + 1), "reduce"), loads | {DAY: today}, kinds, frozenset(), 60
        )
        return found.adjustment_kw

    assert adjusted(17, h13=110, h14=110, h15=110, h16=900) == 10
    assert adjusted(17, h13=110, h14=110) == 0, "15:00 is still to come"
    assert adjusted(2, h0=110) == 10
    assert adjusted(1) == 0, "no hour of the day lies before the hour before it"
