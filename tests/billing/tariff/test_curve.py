"""Price curves: what the planner is told is what the bill will charge."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from billing.tariff import (
    TariffError,
    UnsupportedTariffError,
    bill,
    demand_case,
    make_load,
    peaks_so_far,
    price_curve,
    read_tariff,
)
from tests.billing.tariff.examples import document, load, tariff, urdb

LATE_MAY = datetime(2025, 5, 30, tzinfo=UTC)
SEASONAL_DEMAND = {
    "seasons": [
        {"id": "summer", "months": [6, 7, 8, 9]},
        {"id": "winter", "months": [10, 11, 12, 1, 2, 3, 4, 5]},
    ],
    "demand": [
        {
            "id": "peak",
            "label": "Peak",
            "prices": [
                {
                    "id": "s",
                    "label": "Summer",
                    "price_per_kw": 20,
                    "when": [{"seasons": ["summer"], "hours": ["16:00-21:00"]}],
                },
                {"id": "w", "price_per_kw": 8, "when": [{"seasons": ["winter"], "hours": ["16:00-21:00"]}]},
                {"id": "zero", "price_per_kw": 0},
            ],
        }
    ],
}


def test_one_more_kwh_costs_the_bill_what_the_curve_says():
    plan = tariff(
        line_decimals=6,
        energy=[
            {
                "id": "e",
                "label": "Energy",
                "prices": [
                    {"id": "peak", "price_per_kwh": 0.3, "when": [{"hours": ["16:30-21:00"]}]},
                    {"id": "rest", "price_per_kwh": 0.1},
                ],
            },
            {"id": "rider", "label": "Rider", "prices": [{"id": "all", "price_per_kwh": 0.02}]},
        ],
        taxes=[{"id": "duty", "label": "Duty", "percent": 10, "on": ["energy.e"]}],
    )
    curve = price_curve(plan, LATE_MAY, 24, 60)
    nothing = bill(plan, load(np.zeros(24), LATE_MAY.isoformat())).total

    for hour in range(24):
        one = np.zeros(24)
        one[hour] = 1.0
        more = bill(plan, load(one, LATE_MAY.isoformat())).total
        assert float(more - nothing) == pytest.approx(curve.import_per_kwh[hour], abs=2e-6)
    assert curve.import_per_kwh[16] == pytest.approx(0.2 * 1.1 + 0.02)


def test_demand_windows_across_a_month_and_a_season():
    plan = tariff(**SEASONAL_DEMAND)
    before = make_load(datetime(2025, 5, 1, tzinfo=UTC), 60, [30.0] * 24 * 29)

    curve = price_curve(plan, LATE_MAY, 72, 60)
    case = demand_case(curve, peaks_so_far(plan, before))

    assert [row["id"] for row in case] == ["demand_tou.peak.s", "demand_tou.peak.w"]
    assert [row["label"] for row in case] == ["Peak – Summer", "Peak – w"]
    assert [row["price_per_kw"] for row in case] == [20, 8]
    assert [row["billed_kw_so_far"] for row in case] == [[0, 0], [30, 0]]
    assert np.flatnonzero(case[0]["window"]).tolist() == [64, 65, 66, 67, 68]
    assert np.flatnonzero(case[1]["window"]).tolist() == [16, 17, 18, 19, 20, 40, 41, 42, 43, 44]
    assert case[0]["period"] == [0] * 48 + [1] * 24
    assert curve.demand_charges[0].period_starts == (date(2025, 5, 1), date(2025, 6, 1))
    assert demand_case(curve)[1]["billed_kw_so_far"] == [0, 0]


def test_a_price_that_proration_changes_later_is_a_charge_of_its_own():
    plan = tariff(
        seasons=[{"id": "late", "dates": ["06-16..12-31"]}],
        demand=[
            {
                "id": "s",
                "label": "Site",
                "prices": [
                    {"id": "late", "label": "Late", "price_per_kw": 10, "when": [{"seasons": ["late"]}]}
                ],
            }
        ],
    )

    case = demand_case(price_curve(plan, datetime(2025, 6, 30, tzinfo=UTC), 48, 60))

    assert [(row["id"], row["price_per_kw"], sum(row["window"])) for row in case] == [
        ("demand_flat.s.late", 5, 24),
        ("demand_flat.s.late@2025-07-01", 10, 24),
    ]


def test_dynamic_prices_come_with_the_call():
    plan = tariff(
        energy=[{"id": "spot", "label": "Spot", "series": {"adder_per_kwh": 0.01}}],
        export={"method": "series", "series": {"floor_per_kwh": 0}},
    )

    curve = price_curve(
        plan, LATE_MAY, 2, 60, import_series_per_kwh=[0.1, -0.2], export_series_per_kwh=[0.05, -0.2]
    )

    assert curve.import_per_kwh.tolist() == pytest.approx([0.11, -0.19])
    assert curve.export_per_kwh.tolist() == [0.05, 0]
    with pytest.raises(TariffError, match="needs 2 market prices, not 0"):
        price_curve(plan, LATE_MAY, 2, 60)


def test_export_prices():
    priced = tariff(
        export={
            "method": "prices",
            "prices": [{"id": "n", "price_per_kwh": 0.06, "when": [{"hours": ["00:00-01:00"]}]}],
        }
    )

    assert price_curve(priced, LATE_MAY, 2, 60).export_per_kwh.tolist() == [0.06, 0]
    assert price_curve(tariff(), LATE_MAY, 2, 60).export_per_kwh.tolist() == [0, 0]
    netted = price_curve(tariff(export={"method": "net_metering"}), LATE_MAY, 2, 60)
    assert netted.export_per_kwh.tolist() == netted.import_per_kwh.tolist() == [0.1, 0.1]


def test_what_cannot_be_billed_has_no_curve():
    with pytest.raises(UnsupportedTariffError, match="element 'ratchet' in the tariff is not supported"):
        price_curve(read_tariff(document(ratchet={"percent": 80})), LATE_MAY, 2, 60)
    with pytest.raises(TariffError, match="time zone"):
        price_curve(read_tariff(urdb()), LATE_MAY, 2, 60)


def test_a_urdb_tariff_takes_the_depots_zone():
    schedule = [[1 if hour >= 16 else 0 for hour in range(24)]] * 12
    plan = read_tariff(
        urdb(
            energyratestructure=[[{"rate": 0.1}], [{"rate": 0.5}]],
            energyweekdayschedule=schedule,
            energyweekendschedule=schedule,
        )
    )

    curve = price_curve(
        plan, datetime(2025, 5, 30, 22, tzinfo=UTC), 2, 60, time_zone=ZoneInfo("America/Los_Angeles")
    )

    assert curve.import_per_kwh.tolist() == [0.1, 0.5]
