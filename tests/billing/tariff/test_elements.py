"""What the documentation's examples do not show: edges of elements, history, versions, comparing."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from billing.tariff import (
    LoadError,
    TariffError,
    bill,
    compare,
    make_load,
    peaks_so_far,
    read_history,
    read_tariff,
)
from tests.billing.tariff.examples import amounts, document, load, tariff, urdb

FREE = [{"id": "e", "label": "E", "prices": [{"id": "all", "price_per_kwh": 0}]}]
ONE = [{"id": "all", "price_per_kw": 1}]


def demand(**more: Any) -> dict[str, Any]:
    return {
        "energy": FREE,
        "demand": [{"id": "s", "label": "S", "metering_minutes": 60, "prices": ONE} | more],
    }


def year(value: float, start: int = 2025) -> Any:
    hours = 8784 if start % 4 == 0 else 8760
    return make_load(datetime(start, 1, 1, tzinfo=UTC), 60, np.full(hours, value))


def lines(plan: Any, power: Any, period: int = 0, **more: Any) -> dict[str, Decimal]:
    return amounts(bill(plan, power, **more).periods[period].lines)


def warned(plan: Any, power: Any, words: str, **more: Any) -> bool:
    return any(words in warning for warning in bill(plan, power, **more).warnings)


# Ratchets and history


def test_a_ratchet_never_bills_less_than_the_months_own_peak():
    plan = tariff(**demand(ratchet={"percent": 80, "months_back": 2}))
    power = np.concatenate(
        [np.full(31 * 24, 100.0), np.full(28 * 24, 50.0), np.full(31 * 24, 90.0), [10.0] * 720]
    )
    months = [
        amounts(p.lines)["demand_flat.s.all"]
        for p in bill(plan, make_load(datetime(2025, 1, 1, tzinfo=UTC), 60, power)).periods
    ]

    # February 80 % of 100, March its own 90 (80 before it), April 80 % of March's 90; the 80 billed is no peak
    assert months == [100, 80, 90, 72]


def test_a_short_history_is_told_and_a_full_one_is_not():
    plan = tariff(**demand(ratchet={"percent": 80}))
    known = {"s": {date(2024 + (6 + m) // 12, (6 + m) % 12 + 1, 1): Decimal(m) for m in range(1, 12)}}

    assert warned(plan, load([1.0]), "'s' looks back 11 months before 2025-07-01, of which 0 are known")
    assert not warned(plan, load([1.0]), "looks back", history=known)
    assert lines(plan, load([1.0]), history=known)["demand_flat.s.all"] == Decimal("8.8")


def test_a_yearly_charge_looks_back_to_january_only():
    plan = tariff(**demand(per="year", prices=[{"id": "all", "price_per_kw": 12}]))
    december = {"s": {date(2024, 12, 1): Decimal(500)}}

    result = bill(plan, load([10.0], "2025-01-05T00:00:00+00:00"), history=december)

    assert amounts(result.periods[0].lines)["demand_flat.s.all"] == 10
    assert not any("looks back" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("month,kw\n", "peaks, row 1: column 'charge' is missing"),
        ("month,charge,kw\nJuly,s,1\n", "peaks, row 2: 'July' is not a month. Write 2024-07"),
        ("month,charge,kw\n2024-07,s,-1\n", "'-1' is not a power. Write kW of 0 or more"),
        ("month,charge,kw\n2024-07,s,x\n", "'x' is not a power"),
        ("month,charge,kw\n2024-07,s,1\n2024-07-01,s,2\n", "s 2024-07-01 is there twice"),
    ],
)
def test_a_history_that_cannot_be_read(text: str, sentence: str):
    with pytest.raises(LoadError, match="row") as caught:
        read_history(text, "peaks")
    assert sentence in str(caught.value)


# Minimum bills, reactive energy, kVA, coincident


def test_a_yearly_minimum_is_settled_in_december():
    plan = tariff(minimum_bill={"amount": 1000, "per": "year"})

    result = bill(plan, year(1.0))

    assert [amounts(period.lines).get("minimum") for period in result.periods] == [None] * 11 + [124]
    assert result.total == 1000
    part = bill(plan, load([1.0] * 24, "2025-12-31T00:00:00+00:00"))
    assert "minimum" not in amounts(part.periods[0].lines)
    assert any("settled only in a bill that holds the whole calendar year" in w for w in part.warnings)


def test_reactive_energy():
    plan = tariff(energy=FREE, reactive={"price_per_kvarh": 0.1, "free_per_kw": 0.5})
    assert lines(plan, load([10.0, 10.0], reactive_kvar=[8.0, 6.0]))["reactive"] == Decimal("0.40")
    assert lines(plan, load([10.0], reactive_kvar=[1.0]))["reactive"] == 0


def test_kva_without_readings_is_refused_by_name():
    result = bill(tariff(**demand(unit="kVA")), load([1.0]))
    assert (result.total, result.periods) == (None, ())
    assert (
        "demand/s: demand in kVA cannot be billed from a load without the column reactive_kvar"
        in (result.unsupported[0])
    )
    read = read_tariff(urdb(flatdemandstructure=[[{"rate": 2}]], flatdemandunit="kVA"))
    assert bill(read, load([3.0], reactive_kvar=[4.0]), time_zone=UTC).total == Decimal("10.3")


def test_coincident_hours_that_are_not_announced_yet():
    charge = {"id": "cp", "label": "CP", "price_per_kw": 5, "moments": ["2025-06-15T17:00:00Z"]}
    assert "coincident.cp" not in lines(tariff(coincident=[charge]), load([1.0]))
    assert warned(tariff(coincident=[charge]), load([1.0]), "no hour is announced for 2025-07-01")


def test_a_tag_from_last_years_hours_or_none():
    moments = [f"2024-{month:02d}-15T17:00:00Z" for month in (6, 7, 8, 9)]
    charge = {"id": "tag", "label": "Tag", "price_per_kw": 2, "basis": "year_before", "moments": moments}
    plan = tariff(energy=FREE, coincident=[charge | {"known_kw": {"2024": 1}}])
    power = np.zeros(8784 + 24)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for month, kw in zip((6, 7, 8, 9), (510, 510, 520, 500), strict=True):
        power[int((datetime(2024, month, 15, 17, tzinfo=UTC) - start).total_seconds()) // 3600] = kw

    result = bill(plan, make_load(start, 60, power))

    assert amounts(result.periods[0].lines)["coincident.tag"] == 2
    assert amounts(result.periods[12].lines)["coincident.tag"] == 1020
    refused = bill(tariff(coincident=[charge]), load([1.0]))
    assert refused.total is None
    assert "the kW of the announced hours of 2024 are not known" in refused.unsupported[0]


# Riders, versions, cycles


def test_a_month_without_a_riders_price_is_refused():
    plan = tariff(energy=[{"id": "r", "label": "R", "monthly": {"2025-06": 0.1}}])
    with pytest.raises(LoadError, match="energy/r/monthly: no price for 2025-07"):
        bill(plan, load([1.0]))


def test_versions_must_fit_together():
    first, second = tariff(valid_from="2025-01-01"), tariff(valid_from="2025-07-10")
    late = load([1.0] * 24 * 31)
    assert bill([second, first], late).total == bill(first, late).total
    assert any("From 2025-07-10 on the bill follows" in w for w in bill([first, second], late).warnings)
    with pytest.raises(LoadError, match="none is valid on 2025-07-01"):
        bill([second, tariff(valid_from="2025-08-01")], late)
    with pytest.raises(LoadError, match="their time zones differ"):
        bill([first, tariff(valid_from="2025-07-10", time_zone="Asia/Tokyo")], late)
    with pytest.raises(TariffError, match="their currencies differ"):
        bill([first, tariff(currency="EUR")], late)
    with pytest.raises(TariffError, match="there is none"):
        bill([], late)


def test_a_newer_version_that_ends_gives_way_to_the_older_one():
    base, summer = tariff(**demand()), tariff(**demand(prices=[{"id": "all", "price_per_kw": 31}]))
    base = replace(base, valid_from=date(2025, 1, 1))
    summer = replace(summer, valid_from=date(2025, 7, 11), valid_to=date(2025, 7, 20))

    found = lines([base, summer], load([62.0] * 24 * 31))

    assert found["demand_flat.s.all@2025-01-01"] == 42  # 62 kW x 21 of 31 days
    assert found["demand_flat.s.all@2025-07-11"] == 620


def test_a_ratchet_goes_on_across_versions():
    old = tariff(**demand(ratchet={"percent": 100}), valid_from="2025-01-01")
    new = tariff(**demand(ratchet={"percent": 50}), valid_from="2025-08-01")
    power = [80.0] * 31 * 24 + [10.0] * 31 * 24
    assert lines([old, new], load(power), 1)["demand_flat.s.all"] == 40


def test_net_metering_credit_of_a_season_that_is_over_helps_the_next():
    rows = [
        {"id": "june", "price_per_kwh": 0.3, "when": [{"seasons": ["june"]}]},
        {"id": "rest", "price_per_kwh": 0.1},
    ]
    plan = tariff(
        seasons=[{"id": "june", "months": [6]}],
        energy=[{"id": "e", "label": "E", "prices": rows}],
        export={"method": "net_metering"},
    )
    result = bill(plan, load([0.0, 0.0, 50.0], "2025-06-30T22:00:00+00:00", export_kw=[15.0, 15.0, 0.0]))
    june, july = (amounts(period.lines) for period in result.periods)
    assert (june["energy.e.june"], june["export.credit"]) == (0, 0)
    assert july["energy.e.rest"] == 2


# Comparing, and the planner's peaks


def test_tariffs_are_compared_on_one_load():
    cheap, dear = tariff(name="Cheap"), tariff(name="Dear", fixed=[{"id": "m", "label": "M", "amount": 9}])
    dynamic = tariff(name="Spot", energy=[{"id": "s", "label": "S", "series": {}}])
    refused = tariff(name="kVA", **demand(unit="kVA"))

    found = compare([dear, dynamic, refused, [cheap]], load([10.0]))

    assert [one.tariff.name for one in found] == ["Cheap", "Dear", "Spot", "kVA"]
    assert [one.total for one in found] == [1, 10, None, None]
    assert found[1].as_json() == {
        "name": "Dear",
        "currency": "USD",
        "total": 10.0,
        "by_kind": {"energy": 1.0, "fixed": 9.0},
        "problems": [],
    }
    assert "import_price_per_kwh" in found[2].problems[0]
    assert "kVA" in found[3].as_json()["problems"][0]


def test_peaks_of_daily_yearly_and_subscribed_charges():
    plan = tariff(
        energy=FREE,
        demand=[
            {"id": "d", "label": "D", "metering_minutes": 60, "per": "day", "prices": ONE},
            {"id": "y", "label": "Y", "metering_minutes": 60, "per": "year", "prices": ONE},
        ],
        subscriptions=[{"id": "s", "label": "S", "price_per_block": 1, "metering_minutes": 60}],
    )
    found = peaks_so_far(plan, load([5.0] * 24 + [8.0]))
    assert {key: int(peak.kw) for key, peak in found.items()} == {
        ("demand_flat.d.all", date(2025, 7, 1)): 5,
        ("demand_flat.d.all", date(2025, 7, 2)): 8,
        ("demand_flat.y.all", date(2025, 1, 1)): 8,
        ("subscription.s", date(2025, 7, 1)): 8,
    }


# Faults of tariffs


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (demand(prices=[{"id": "a", "tiers": [{"up_to": 5, "price_per_kw": 1}]}]), "nothing is priced above 5"),
        (
            demand(prices=[{"id": "a", "steps": [{"amount": 1}, {"amount": 2}]}]),
            "demand/s/prices/a/steps: up_to is missing before the last one",
        ),
        (
            demand(
                prices=[
                    {
                        "id": "a",
                        "tiers": [
                            {"up_to": 5, "price_per_kw": 1},
                            {"up_to": 5, "price_per_kw": 1},
                            {"price_per_kw": 1},
                        ],
                    }
                ]
            ),
            "up_to does not rise",
        ),
        (demand(per="day", ratchet={"percent": 80}), "a price per day stands beside a rule for months"),
        (demand(per="year", prices=[*ONE, {"id": "b", "price_per_kw": 2}]), "a price per year has several rows"),
        ({"export": {"method": "buy_all_sell_all"}}, "method 'buy_all_sell_all' has no prices"),
        (
            {"energy": [{"id": "s", "label": "S", "series": {}}], "export": {"method": "net_metering"}},
            "net metering takes kWh off price rows",
        ),
        (
            {"subscriptions": [{"id": "s", "label": "S", "price_per_block": 1, "overage": {"price_per_kw": 1}}]},
            "overage without subscribed_kw",
        ),
        (
            {"taxes": [{"id": "d", "label": "D", "per_kwh": 1, "on": ["energy"]}]},
            "a duty per kWh is on imported energy only",
        ),
        ({"proration": {"whole_from_days": 31, "whole_to_days": 28}}, "whole_from_days is above whole_to_days"),
        (
            {"energy": [{"id": "e", "label": "E", "tier_demand": "x", "prices": [{"id": "a", "price_per_kwh": 1}]}]},
            "energy/e/tier_demand: demand charge 'x' is not defined",
        ),
        (
            {"energy": [{"id": "e", "label": "E", "prices": [
                {"id": "a", "price_per_kwh": 1, "when": [{"events": ["x"]}]}, {"id": "b", "price_per_kwh": 1}]}]},
            "event 'x' is not defined",
        ),
        ({"events": [{"id": "cpp", "days": ["2025-02-30"]}]}, "'2025-02-30' is no date"),
        (
            {"energy": [{"id": "r", "label": "R", "monthly": {"June": 1}}]},
            "Write months such as 2025-01, each with a price",
        ),
        ({"coincident": [{"id": "c", "label": "C", "price_per_kw": 1, "known_kw": {"25": 1}}]}, "billing years"),
    ],
)  # fmt: skip
def test_faults_of_charges_name_place_and_cure(more: dict[str, Any], sentence: str):
    with pytest.raises(TariffError) as caught:
        read_tariff(document(**more))
    assert sentence in str(caught.value)


def test_yaml_is_read_as_its_author_meant_it():
    text = """
format: depot-tariff/1
name: "No, on: 1e3"
currency: NOK
time_zone: Europe/Oslo
valid_from: 2025-01-01
holidays: [2025-07-04, 12-25]
energy:
  - {id: e, label: Energy, prices: [{id: all, price_per_kwh: 0.10}]}
taxes:
  - {id: vat, label: VAT, percent: 25, on: [energy]}
coincident:
  - {id: tag, label: Tag, price_per_kw: 1, basis: year_before, known_kw: {2025: 10}}
"""
    plan = read_tariff(text)
    assert (plan.currency, plan.valid_from, plan.taxes[0].on) == ("NOK", date(2025, 1, 1), ("energy",))
    assert plan.coincident[0].known_kw == ((2025, Decimal(10)),)
    assert (plan.holidays, plan.recurring_holidays) == ((date(2025, 7, 4),), (1225,))
    with pytest.raises(TariffError, match="it is neither JSON nor YAML"):
        read_tariff("format: [depot")
