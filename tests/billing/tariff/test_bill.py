"""Bills: rules that hold for every tariff and load, clock changes, and the edges of each rule."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariff import LoadError, bill, peaks_so_far
from tests.billing.tariff.examples import amounts, load, real_tariff, tariff, year_load

WINTER_SUMMER = [
    {"id": "summer", "months": [6, 7, 8]},
    {"id": "winter", "months": [1, 2, 3, 4, 5, 9, 10, 11, 12]},
]


def peak_window(hours: list[str]) -> dict:
    return {"id": "w" + hours[0][:2], "price_per_kw": 7, "when": [{"hours": hours}]}


def rich_tariff(hours: list[str], energy_price: float = 0.2):
    """Return a tariff with every element, all prices 0 or more."""
    return tariff(
        time_zone="America/New_York",
        seasons=WINTER_SUMMER,
        holidays=["07-04"],
        energy=[
            {
                "id": "e",
                "label": "Energy",
                "prices": [
                    {
                        "id": "peak",
                        "price_per_kwh": energy_price,
                        "when": [{"days": ["weekday"], "hours": hours}],
                    },
                    {"id": "summer", "price_per_kwh": 0.1, "when": [{"seasons": ["summer"]}]},
                    {"id": "rest", "price_per_kwh": 0.05},
                ],
            }
        ],
        demand=[
            {"id": "site", "label": "Site", "prices": [{"id": "all", "price_per_kw": 3}]},
            {"id": "peak", "label": "Peak", "metering_minutes": 30, "prices": [peak_window(hours)]},
        ],
        fixed=[{"id": "m", "label": "Meter", "amount": 10}],
        minimum_bill={"amount": 30},
        taxes=[{"id": "t", "label": "Tax", "percent": 5}],
    )


powers = st.lists(st.integers(0, 500), min_size=8, max_size=300)
windows = st.sampled_from([["16:00-21:00"], ["16:30-17:00", "18:00-24:00"], ["22:00-06:00"]])
starts = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0, tzinfo=UTC).isoformat()
)


@settings(max_examples=60, deadline=None)
@given(powers, windows, starts)
def test_totals_are_sums_and_amounts_are_quantity_times_rate(power: list[int], hours: list[str], start: str):
    result = bill(rich_tariff(hours), load(power, start, 15))

    assert result.total == sum(period.total for period in result.periods)
    for period in result.periods:
        assert period.total == sum(line.amount for line in period.lines)
        for line in period.lines:
            assert abs(line.amount - line.quantity * line.rate) <= Decimal("0.005")
    kwh = sum(x.quantity for p in result.periods for x in p.lines if x.id.startswith("energy"))
    assert abs(float(kwh) - sum(power) / 4) < 0.01


@settings(max_examples=60, deadline=None)
@given(powers, windows, starts, st.data())
def test_more_load_never_costs_less(power: list[int], hours: list[str], start: str, data: st.DataObject):
    step = data.draw(st.integers(0, len(power) - 1))
    more = [*power[:step], power[step] + data.draw(st.integers(1, 100)), *power[step + 1 :]]
    plan = rich_tariff(hours)

    assert bill(plan, load(more, start, 15)).total >= bill(plan, load(power, start, 15)).total


@settings(max_examples=40, deadline=None)
@given(powers, starts, st.integers(1, 47))
def test_splitting_an_energy_window_changes_nothing_but_lines(power: list[int], start: str, half_hour: int):
    edge = f"{half_hour // 2:02d}:{half_hour % 2 * 30:02d}"
    row = {"id": "a", "price_per_kwh": 0.25}
    halves = [
        {**row, "when": [{"hours": [f"00:00-{edge}"]}]},
        {**row, "id": "b", "when": [{"hours": [f"{edge}-24:00"]}]},
    ]
    whole, split = (
        tariff(line_decimals=6, energy=[{"id": "e", "label": "E", "prices": prices}])
        for prices in ([row], halves)
    )

    difference = bill(whole, load(power, start, 15)).total - bill(split, load(power, start, 15)).total
    assert abs(difference) <= Decimal("0.001") * len(bill(whole, load(power, start, 15)).periods)


@settings(max_examples=40, deadline=None)
@given(powers, starts, st.integers(1, 47))
def test_the_whole_days_peak_is_the_higher_of_two_windows(power: list[int], start: str, half_hour: int):
    edge = f"{half_hour // 2:02d}:{half_hour % 2 * 30:02d}"
    rows = [("whole", "00:00-24:00"), ("early", f"00:00-{edge}"), ("late", f"{edge}-24:00")]
    plan = tariff(
        demand=[
            {"id": id, "label": id, "prices": [{"id": "p", "price_per_kw": 1, "when": [{"hours": [span]}]}]}
            for id, span in rows
        ]
    )
    for period in bill(plan, load(power, start, 15)).periods:
        kw = {id.split(".")[1]: peak.kw for id, peak in period.peaks_kw.items()}
        assert kw["whole"] == max(kw.get("early", 0), kw.get("late", 0))


@pytest.mark.parametrize(("day", "hours"), [("2025-03-09", 23), ("2025-11-02", 25), ("2024-02-29", 24)])
def test_days_of_23_24_and_25_hours_are_billed_whole(day: str, hours: int):
    zone = ZoneInfo("America/New_York")
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    plan = tariff(
        time_zone="America/New_York", fixed=[{"id": "d", "label": "Day", "amount": 2, "per": "day"}]
    )

    (period,) = bill(plan, load([10.0] * hours, start.isoformat())).periods

    assert {line.id: line.quantity for line in period.lines} == {"energy.e.all": hours * 10, "fixed.d": 1}
    assert period.start_at == start.replace(day=1)


def test_windows_follow_the_wall_clock_across_the_clock_change():
    plan = tariff(
        time_zone="America/New_York",
        energy=[
            {
                "id": "e",
                "label": "Energy",
                "prices": [
                    {"id": "four", "price_per_kwh": 1, "when": [{"hours": ["16:00-17:00"]}]},
                    {"id": "rest", "price_per_kwh": 0},
                ],
            }
        ],
    )
    power = np.zeros(48)
    power[[21, 44]] = 5  # 16:00 on 8 March is 21:00 UTC, 16:00 on 9 March is 20:00 UTC

    assert bill(plan, load(power, "2025-03-08T00:00:00+00:00")).total == 10


def test_holidays_are_their_own_kind_of_day():
    rows = [
        {"id": "holiday", "price_per_kwh": 1, "when": [{"days": ["holiday"]}]},
        {"id": "friday", "price_per_kwh": 2, "when": [{"days": ["fri"]}]},
        {"id": "rest", "price_per_kwh": 3},
    ]
    plan = tariff(holidays=["2025-07-04", "12-25"], energy=[{"id": "e", "label": "E", "prices": rows}])

    def price(day: str) -> Decimal | None:
        return bill(plan, load([1.0, 0.0], f"{day}T10:00:00+00:00")).total

    assert [price(day) for day in ("2025-07-04", "2025-07-11", "2025-12-25", "2025-07-05")] == [1, 2, 1, 3]


def test_cycles_that_are_not_months():
    plan = tariff(fixed=[{"id": "m", "label": "Meter", "amount": 10}])
    month = load([1.0] * 24 * 40, "2025-01-10T00:00:00+00:00")
    starts_ = [date(2025, 1, 8), date(2025, 2, 7), date(2025, 3, 10)]

    result = bill(plan, month, cycle_starts=starts_)

    assert [(p.start_at.date(), p.end_at.date()) for p in result.periods] == [
        (starts_[0], starts_[1]),
        (starts_[1], starts_[2]),
    ]
    assert result.total == 20 + 96
    with pytest.raises(ValueError, match="do not enclose 2025-01-10 to 2025-02-18"):
        bill(plan, month, cycle_starts=starts_[:2])


def test_an_hourly_load_under_quarter_hour_metering_warns():
    plan = tariff(demand=[{"id": "s", "label": "Site", "prices": [{"id": "all", "price_per_kw": 1}]}])

    result = bill(plan, load([10.0, 20.0]))

    assert amounts(result.periods[0].lines)["demand_flat.s.all"] == 20
    assert any("Demand is metered over 15 minutes" in warning for warning in result.warnings)
    assert not any("Demand is metered" in w for w in bill(plan, load([0.0, 0.0])).warnings)


def test_a_block_cut_by_the_loads_edge_makes_no_peak():
    plan = tariff(
        demand=[
            {"id": "s", "label": "S", "metering_minutes": 60, "prices": [{"id": "all", "price_per_kw": 1}]}
        ]
    )

    (period,) = bill(plan, load([100.0, 20.0, 20.0], "2025-07-01T00:30:00+00:00", 30)).periods

    assert period.peaks_kw["demand_flat.s.all"].kw == 50


def test_export_in_a_demand_window_is_zero_not_negative():
    plan = tariff(demand=[{"id": "s", "label": "S", "prices": [{"id": "all", "price_per_kw": 4}]}])

    result = bill(plan, load([0.0, 0.0], export_kw=[90.0, 80.0]))

    assert amounts(result.periods[0].lines)["demand_flat.s.all"] == 0
    assert any("170.0 kWh were exported; the tariff pays nothing" in w for w in result.warnings)


def test_prices_that_the_tariff_does_not_ask_for_are_named():
    priced = load([1.0, 1.0], import_price_per_kwh=[0.1, 0.2], export_price_per_kwh=[0.1, 0.2])
    unused = [warning for warning in bill(tariff(), priced).warnings if "is not used" in warning]
    assert ["import_price" in unused[0], "export_price" in unused[1]] == [True, True]
    assert not [warning for warning in bill(tariff(), load([1.0])).warnings if "is not used" in warning]


def test_export_by_series_and_by_hours():
    by_hours = tariff(
        export={
            "method": "prices",
            "prices": [{"id": "noon", "price_per_kwh": 0.08, "when": [{"hours": ["01:00-02:00"]}]}],
        }
    )
    by_series = tariff(export={"method": "series", "series": {"factor": 0.9}})
    exported = {"export_kw": [10.0, 10.0, 0.0], "export_price_per_kwh": [-0.1, 0.3, 0.2]}

    assert amounts(bill(by_hours, load([0.0] * 3, **exported)).periods[0].lines)["export.noon"] == Decimal(
        "-0.80"
    )
    assert amounts(bill(by_series, load([0.0] * 3, **exported)).periods[0].lines)["export.series"] == Decimal(
        "-1.80"
    )
    assert bill(by_series, load([1.0, 1.0])).total == Decimal("0.20")


def test_prices_that_the_load_must_bring():
    dynamic = tariff(energy=[{"id": "spot", "label": "Spot", "series": {}}])
    paid = tariff(export={"method": "series"})

    with pytest.raises(LoadError, match="column import_price_per_kwh"):
        bill(dynamic, load([1.0, 1.0]))
    with pytest.raises(LoadError, match="column export_price_per_kwh"):
        bill(paid, load([1.0, 1.0], export_kw=[0.0, 1.0]))
    line = bill(dynamic, load([0.0, 0.0], import_price_per_kwh=[1.0, 1.0])).periods[0].lines[0]
    assert (line.quantity, line.rate, line.amount) == (0, 0, 0)


def test_fixed_charges_by_year_and_minimum_by_day():
    plan = tariff(fixed=[{"id": "y", "label": "Year", "amount": 120, "per": "year"}])
    assert amounts(bill(plan, load([0.0, 0.0])).periods[0].lines)["fixed.y"] == 10

    least = tariff(minimum_bill={"amount": 2, "per": "day"})
    assert amounts(bill(least, load([0.0] * 25)).periods[0].lines)["minimum"] == 4
    assert "minimum" not in amounts(bill(least, load([100.0] * 24)).periods[0].lines)


def test_a_tax_on_named_lines_only():
    plan = tariff(
        fixed=[{"id": "m", "label": "Meter", "amount": 10}],
        taxes=[{"id": "duty", "label": "Duty", "percent": 10, "on": ["energy"]}],
    )
    assert amounts(bill(plan, load([50.0, 50.0])).periods[0].lines)["tax.duty"] == 1


def test_reactive_demand_is_named_when_it_cannot_be_billed():
    result = bill(tariff(reactive_price_per_kvar=0.5), load([1.0, 1.0]))

    assert amounts(result.periods[0].lines)["reactive"] == 0
    assert any("0.5 USD/kVAr" in warning for warning in result.warnings)


def test_validity_and_coverage_are_told():
    plan = tariff(valid_from="2025-07-02", valid_to="2025-12-31")

    warnings = bill(plan, load([1.0] * 24)).warnings

    assert any(
        "valid from 2025-07-02 to 2025-12-31; the load runs from 2025-07-01 to 2025-07-01" in w
        for w in warnings
    )
    assert any("does not cover the whole billing period from 2025-07-01 to 2025-08-01" in w for w in warnings)
    late = bill(tariff(valid_to="2025-07-01"), load([1.0] * 24 * 62)).warnings
    assert any("valid from any time to 2025-07-01" in warning for warning in late)
    assert bill(tariff(valid_from="2025-07-01"), load([1.0] * 24 * 31)).warnings == ()


def test_peaks_so_far_use_the_bills_ids():
    plan = rich_tariff(["16:00-21:00"])
    month = load([5.0] * 60 + [80.0] + [7.0] * 50, "2025-07-31T04:00:00+00:00", 15)

    peaks = peaks_so_far(plan, month)

    bills = bill(plan, month)
    july, august = bills.periods
    assert {id: peak for (id, first), peak in peaks.items() if first == date(2025, 7, 1)} == july.peaks_kw
    assert {id: peak for (id, first), peak in peaks.items() if first == date(2025, 8, 1)} == august.peaks_kw
    assert peaks["demand_flat.site.all", date(2025, 7, 1)].kw == 80


def test_values_that_the_caller_estimated_make_no_peak():
    plan = tariff(demand=[{"id": "s", "label": "S", "prices": [{"id": "all", "price_per_kw": 1}]}])

    (period,) = bill(plan, load([10.0, 99.0], estimated=[False, True])).periods

    assert amounts(period.lines) == {"energy.e.all": Decimal("10.90"), "demand_flat.s.all": 10}


def test_a_zone_must_be_known():
    sce = real_tariff("sce_tou8_d")
    mixed = load([1.0, 2.0])

    with pytest.raises(LoadError, match="neither the tariff nor the load names one"):
        bill(sce, mixed)
    assert bill(sce, mixed, time_zone=ZoneInfo("America/Los_Angeles")).time_zone == "America/Los_Angeles"


def test_real_tariffs():
    year = year_load("unmanaged")

    assert round(bill(real_tariff("pge_e19_2019"), year).total, 2) == Decimal("245173.31")
    assert round(bill(real_tariff("sdge_ev_hp"), year).total, 2) == Decimal("126108.53")
