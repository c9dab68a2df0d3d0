"""Both formats: what is read, what is refused by name, and what is wrong, with place and cure."""

import json
from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from billing.tariff import TariffError, bill, read_tariff, to_document
from billing.tariff.model import WEEKDAYS, WEEKEND, Reactive, When
from billing.tariff.schema_document import SCHEMA
from tests.billing.tariff.examples import document, hours, load, real_tariff, urdb

TWO_PERIODS = {
    "energyratestructure": [[{"rate": 0.1}], [{"rate": 0.5, "adj": 0.01}]],
    "energyweekdayschedule": [[0] * 16 + [1] * 5 + [0] * 3] * 12,
    "energyweekendschedule": hours(0),
}


def problems(data: Any) -> str:
    with pytest.raises(TariffError) as caught:
        read_tariff(data)
    return "\n".join(caught.value.problems)


# The product's own format


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


def test_everything_survives_a_round_trip():
    data = document(
        utility="Utility",
        source="https://example.org/sheet.pdf",
        valid_from="2025-01-01",
        valid_to="2025-12-31",
        line_decimals=3,
        notes=["A note."],
        seasons=[
            {"id": "winter", "label": "Winter", "dates": ["10-01..05-31"]},
            {"id": "june", "months": [6, 7, 9]},
        ],
        holidays=["2025-07-04", "12-25"],
        energy=[
            {
                "id": "a",
                "label": "A",
                "prices": [
                    {
                        "id": "x",
                        "price_per_kwh": "0.12345678901234567890",
                        "when": [
                            {"seasons": ["winter"], "days": ["weekday", "sat"], "hours": ["22:00-06:30"]}
                        ],
                    },
                    {
                        "id": "y",
                        "price_per_kwh": 0.1,
                        "when": [{"days": ["holiday"]}, {"hours": ["16:00-24:00"]}],
                    },
                    {"id": "z", "price_per_kwh": -0.02},
                ],
            },
            {"id": "b", "label": "B", "series": {"factor": 1.1, "cap_per_kwh": 0.5}},
        ],
        demand=[
            {"id": "d", "label": "D", "metering_minutes": 30, "prices": [{"id": "p", "price_per_kw": 12.5}]}
        ],
        fixed=[{"id": "f", "label": "F", "amount": 3, "per": "year"}],
        export={"method": "series"},
        minimum_bill={"amount": 5, "per": "day"},
        reactive_price_per_kvar=0.5,
        taxes=[{"id": "t", "label": "T", "percent": 19, "on": ["energy"]}],
    )
    tariff = read_tariff(data)

    written = to_document(tariff)

    assert read_tariff(json.dumps(written)) == tariff
    assert tariff.energy[0].prices[0].amount == Decimal("0.12345678901234567890")
    assert tariff.seasons[1].spans == ((601, 731), (901, 930))
    assert written["energy"][0]["prices"][0]["when"][0]["days"] == ["weekday", "sat"]


def test_a_urdb_tariff_can_be_written_once_it_has_a_zone():
    sce = real_tariff("sce_tou8_d")
    with pytest.raises(ValueError, match="time zone"):
        to_document(sce)
    zoned = replace(sce, time_zone="America/Los_Angeles")
    assert read_tariff(to_document(zoned)) == zoned


def test_an_unknown_element_is_refused_by_name_and_nothing_is_billed():
    tariff = read_tariff(
        document(ratchet={"percent": 80}, fixed=[{"id": "f", "label": "F", "amount": 1, "tier": 2}])
    )

    result = bill(tariff, load([1.0, 1.0]))

    assert tariff.unsupported == (
        "ratchet: element 'ratchet' in the tariff is not supported.",
        "tier: element 'tier' in fixed/0 is not supported.",
    )
    assert (result.total, result.periods, result.unsupported) == (None, (), tariff.unsupported)


PRICE = {"id": "p", "price_per_kwh": 0.1}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"currency": "dollar"},
            "currency: 'dollar' is not allowed here. Write an ISO 4217 code such as USD.",
        ),
        (
            {"fixed": [{"id": "f", "label": "F", "amount": float("nan")}]},
            "fixed/0/amount: nan is not a number",
        ),
        ({"fixed": [{"id": "f", "label": "F", "amount": 1e30}]}, "fixed/0/amount: 1e+30 is not allowed here"),
        ({"time_zone": "Mars/Base"}, "'Mars/Base' is not a known time zone"),
        ({"time_zone": "../x"}, "'../x' is not a known time zone"),
        ({"valid_from": "2025-06-31"}, "valid_from: '2025-06-31' is no date. Write a day that exists."),
        ({"valid_from": "2025-06-02", "valid_to": "2025-06-01"}, "valid_to: 2025-06-01 is before valid_from"),
        ({"holidays": ["02-30"]}, "holidays/0: '02-30' is no date"),
        ({"seasons": [{"id": "s", "dates": ["06-31..07-01"]}]}, "seasons/0: '06-31' is no date"),
        ({"seasons": [{"id": "s"}]}, "seasons/s: it has no dates"),
        ({"energy": []}, "energy: [] is not allowed here"),
        ({"energy": [{"id": "e", "label": "E"}]}, "either prices, series or monthly"),
        (
            {"energy": [{"id": "e", "label": "E", "prices": [{"id": "p"}]}]},
            "Give an id and either price_per_kwh or tiers",
        ),
        (
            {"energy": [{"id": "e", "label": "E", "prices": [{**PRICE, "price_per_kwh": "1,5"}]}]},
            "energy/0/prices/0/price_per_kwh: '1,5' is not allowed here. Write a number such as 0.1234",
        ),
        (
            {"energy": [{"id": "e", "label": "E", "prices": [{**PRICE, "when": [{"hours": ["16-21"]}]}]}]},
            "Write 16:00-21:00",
        ),
        (
            {"energy": [{"id": "e", "label": "E", "prices": [{**PRICE, "when": [{"seasons": ["s"]}]}]}]},
            "energy/e/prices/p: season 's' is not defined. Use one of: none is defined.",
        ),
        (
            {"energy": [{"id": "e", "label": "E", "prices": [{**PRICE, "when": [{"days": ["weekday"]}]}]}]},
            "energy/e: no price holds on a Saturday at 00:00 on 01 January",
        ),
        (
            {
                "holidays": ["12-25"],
                "energy": [
                    {
                        "id": "e",
                        "label": "E",
                        "prices": [{**PRICE, "when": [{"days": ["weekday", "weekend"]}]}],
                    }
                ],
            },
            "no price holds on a holiday at 00:00",
        ),
        ({"energy": [{"id": "e", "label": "E", "prices": [PRICE, PRICE]}]}, "id 'p' is used 2 times"),
        ({"export": {"method": "prices"}}, "export: method 'prices' has no prices"),
        (
            {
                "demand": [
                    {
                        "id": "d",
                        "label": "D",
                        "metering_minutes": 60,
                        "prices": [{"id": "p", "price_per_kw": 1, "when": [{"hours": ["16:30-21:00"]}]}],
                    }
                ]
            },
            "demand/d: window edge 16:30 cuts a 60-minute block",
        ),
    ],
)
def test_faults_name_place_and_cure(more: dict[str, Any], sentence: str):
    assert sentence in problems(document(**more))


def test_all_faults_are_told_at_once():
    assert len(problems(document(currency="x", fixed=[{"id": "F"}], taxes=3)).splitlines()) == 5


def test_an_unknown_element_in_the_place_of_a_price_is_named():
    blocks = [{"id": "p", "blocks": [{"price_per_kwh": 0.1}]}]

    found = problems(document(energy=[{"id": "e", "label": "E", "prices": blocks}]))

    assert "energy/0/prices/0: this object is not allowed here. Give an id and either price_per_kwh" in found
    assert "blocks: element 'blocks' in energy/0/prices/0 is not supported. Remove it." in found


# OpenEI URDB


def test_prices_are_rate_plus_adj_by_weekday_and_weekend():
    tariff = read_tariff(urdb(**TWO_PERIODS, energytoulabels=["Off", ""]))

    off, peak = tariff.energy[0].prices
    assert (off.label, peak.label) == ("Off", "Period 1")
    assert peak.amount == Decimal("0.51")
    assert peak.when == (When((), WEEKDAYS, ((960, 1260),)),)
    assert off.when == (
        When((), WEEKDAYS, ((0, 960), (1260, 1440))),
        When((), WEEKEND, ((0, 1440),)),
    )


DIRTY = {
    "rateName": "Bulk",
    "utilityName": "Utility",
    "effectiveDate": {"$date": "2024-10-01T00:00:00.000Z"},
    "enddate": 1761868800000,
    "energyRateStrux": [
        {"energyRateTiers": [{"rate": 0.1, "max": 1e38, "unit": "kWh"}]},
        {"energyRateTiers": [{"rate": "0.5", "adj": 0.01}]},
    ],
    "energyWeekdaySched": [[0.0] * 16 + [1.0] * 5 + [0.0] * 3] * 12,
    "energyWeekendSched": hours(0.0),
    "flatDemandStrux": [{"flatDemandTiers": [{"rate": 5}]}],
    "flatDemandMonths": [0.0] * 12,
    "flatDemandUnits": "kW",
    "demandReactPwrCharge": 0.3,
    "demandWindow": 30.0,
    "dgRules": "Net Billing Instantaneous",
    "supercedes": "x",
    "fixedChargeFirstMeter": 10,
    "minCharge": None,
    "frobnicate": 1,
}


@pytest.mark.parametrize(
    "wrapped",
    [
        DIRTY,
        [DIRTY],
        {"items": [DIRTY]},
        json.dumps(DIRTY),
        json.dumps(json.dumps({"items": [DIRTY]})),
        json.dumps(DIRTY).encode(),
    ],
)
def test_the_other_spelling_and_every_wrapper(wrapped: Any):
    tariff = read_tariff(wrapped)

    assert (tariff.name, tariff.utility, tariff.unsupported) == ("Bulk", "Utility", ())
    assert (tariff.valid_from, tariff.valid_to) == (date(2024, 10, 1), date(2025, 10, 31))
    assert [price.amount for price in tariff.energy[0].prices] == [Decimal("0.1"), Decimal("0.51")]
    assert tariff.demand[0].metering_minutes == 30
    assert tariff.reactive == Reactive(Decimal("0.3"))
    assert tariff.export is None
    assert tariff.notes == ("The URDB field 'frobnicate' is not known and was not read.",)


@pytest.mark.parametrize(
    ("more", "name"),
    [
        (
            {
                "energyratestructure": [
                    [{"rate": 0.1, "max": 200, "unit": "kWh/kW"}, {"rate": 0.2, "max": 900}, {"rate": 0.3}]
                ]
            },
            "energyratestructure: one price in tiers of several units (kWh/kW, kWh)",
        ),
        (
            {"energyratestructure": [[{"rate": 0.1, "max": 9, "sell": 1}, {"rate": 0.2, "sell": 2}]]},
            "a sell price that differs by tier",
        ),
        ({"energyratestructure": [[{"rate": 0.1, "unit": "therm"}]]}, "the unit 'therm'"),
        ({"flatdemandstructure": [[{"rate": 1}]], "flatdemandunit": "hp"}, "the demand unit 'hp'"),
        ({"flatdemandstructure": [[{"rate": 1, "unit": "kVA"}]]}, "the demand unit 'kVA' beside 'kW'"),
        (
            {"flatdemandstructure": [[{"rate": 1}]], "demandwindow": 7},
            "demandwindow: a metering interval of 7",
        ),
        ({"demandratchetpercentage": [0] * 11 + [0.8]}, "a demand ratchet whose percentage differs by month"),
        (
            {"demandratchetpercentage": [0.5] * 12, "lookbackpercent": 0.5, "lookbackrange": 11},
            "demandratchetpercentage: a second demand ratchet",
        ),
        ({"lookbackpercent": 0.5, "lookbackrange": 0}, "a look-back without lookbackrange"),
        ({"coincidentratestructure": [[{"rate": 0}], [{"rate": 4}]]}, "a coincident-peak charge"),
        ({"dgrules": "Barter"}, "the export rule 'Barter'"),
        ({"annualmincharge": 100, "mincharge": 5}, "annualmincharge: a second minimum bill"),
        ({"mincharge": 100, "minchargeunits": "$/kW"}, "minchargeunits: the unit '$/kW'"),
        ({"fixedchargefirstmeter": 1, "fixedchargeunits": "$/pole"}, "the unit '$/pole'"),
        ({"wildfirecharge": 2}, "the URDB field 'wildfirecharge'"),
    ],
)
def test_what_is_not_billed_is_refused_by_name(more: dict[str, Any], name: str):
    tariff = read_tariff(urdb(**more))

    assert len(tariff.unsupported) == 1
    assert name in tariff.unsupported[0]
    assert bill(tariff, load([1.0, 1.0]), time_zone=UTC).total is None


@pytest.mark.parametrize(
    "more",
    [
        {"energyratestructure": [[{"rate": 0.1, "max": 100}, {"rate": 0.1}]]},
        {"energyratestructure": [[{"rate": 0.1, "unit": "kWh daily"}]]},
        {"demandratchetpercentage": [0] * 12, "lookbackrange": 0, "lookbackmonths": [0] * 12},
        {"coincidentratestructure": [[{"rate": 0}]], "coincidentschedule": hours(0)},
        {"demandratestructure": [[{"rate": 0}]]},
        {"flatdemandstructure": [[{"rate": 0}]]},
    ],
)
def test_elements_without_money_are_no_obstacle(more: dict[str, Any]):
    tariff = read_tariff(urdb(**more))

    assert tariff.unsupported == ()
    assert tariff.demand == ()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"energyratestructure": None}, "energyratestructure: it is missing"),
        ({"energyratestructure": {}}, "energyratestructure: it is not a list of lists of tiers"),
        ({"energyratestructure": [[0.1]]}, "energyratestructure/0: a tier is not an object"),
        ({"energyratestructure": [[{}]]}, 'energyratestructure/0/0: it has no rate. Write "rate": 0'),
        ({"energyratestructure": [[{"rate": "cheap"}]]}, "'cheap' is not a number"),
        ({"energyratestructure": [[{"rate": True}]]}, "True is not a number"),
        ({"energyratestructure": [[{"rate": 0.1, "max": 500}]]}, "nothing is priced above 500"),
        ({"energyweekdayschedule": hours(1)}, "names period 1, but there are 1 rows (0 to 0)"),
        ({"energyweekdayschedule": hours(0.5)}, "energyweekdayschedule/0/0: 0.5 is not a period number"),
        ({"energyweekdayschedule": hours(-1)}, "-1 is not a period number"),
        ({"energyweekdayschedule": hours(10**400)}, "is not a period number"),
        ({"fixedchargefirstmeter": 1e38}, "fixedchargefirstmeter: 1e+38 is not a number"),
        (
            {"energyweekdayschedule": [[0] * 23] * 12},
            "energyweekdayschedule: it is not 12 months of 24 hours",
        ),
        ({"energyratestructure": [[{"rate": 1}]] * 2}, "energyweekdayschedule: it is missing"),
        (
            {"flatdemandstructure": [[{"rate": 1}]], "flatdemandmonths": [0]},
            "flatdemandmonths: it is not 12 months",
        ),
        (
            {"flatdemandstructure": [[{"rate": 1}]], "flatdemandmonths": [2] * 12},
            "flatdemandmonths names period 2",
        ),
        (
            {"fixedchargefirstmeter": 5, "fixedmonthlycharge": 6},
            "6 a month differs from fixedchargefirstmeter 5",
        ),
        ({"fixedchargefirstmeter": "x"}, "fixedchargefirstmeter: 'x' is not a number"),
        ({"startdate": "soon"}, "startdate: 'soon' is not a date"),
        ({"startdate": 1e30}, "is not a date"),
        ({"demandWindow": 15, "demandwindow": 30}, "is given twice with different values"),
    ],
)
def test_faults_of_a_urdb_record(more: dict[str, Any], sentence: str):
    assert sentence in problems(urdb(**more))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("{", "it is not JSON"),
        ({"items": []}, "items: 0 tariffs where one is expected. Give one."),
        (
            {"items": [{"label": "a"}, {"label": "b"}]},
            "2 tariffs where one is expected. Keep one of them (a, b).",
        ),
        ("7", "it is not a JSON object"),
        (json.dumps(json.dumps(json.dumps(json.dumps(json.dumps({}))))), "it is not a JSON object"),
    ],
)
def test_what_is_no_tariff(data: Any, sentence: str):
    assert sentence in problems(data)


def test_fixed_and_minimum_charges():
    old = read_tariff(urdb(fixedmonthlycharge=7, mincharge=3, minchargeunits="$/day", fixedchargeeaaddl=2))
    same = read_tariff(urdb(fixedmonthlycharge=7, fixedchargefirstmeter=7))
    daily = read_tariff(urdb(fixedchargefirstmeter=1, fixedchargeunits="$/day"))

    assert (old.fixed[0].amount, old.fixed[0].per) == (7, "month")
    assert old.minimum is not None
    assert (old.minimum.amount, old.minimum.per) == (3, "day")
    assert "each additional meter" in old.notes[0]
    assert [charge.amount for charge in same.fixed] == [7]
    assert daily.fixed[0].per == "day"


def test_sell_prices_become_export():
    tiers = [[{"rate": 0.1, "sell": 0.04}], [{"sell": 0.09}]]
    tariff = read_tariff(urdb(**{**TWO_PERIODS, "energyratestructure": tiers}))

    assert tariff.export is not None
    assert [price.amount for price in tariff.export.prices] == [Decimal("0.04"), Decimal("0.09")]
    assert [price.amount for price in tariff.energy[0].prices] == [Decimal("0.1"), 0]
    assert read_tariff(urdb(dgrules="Net Billing Hourly")).export.method == "net_billing_hourly"
    partly = read_tariff(
        urdb(**{**TWO_PERIODS, "energyratestructure": [[{"rate": 0.1}], [{"rate": 0, "sell": 1}]]})
    )
    assert [price.id for price in partly.export.prices] == ["p1"]


def test_time_of_use_demand_by_month():
    winter, summer = [0] * 24, [0] * 16 + [1] * 5 + [0] * 3
    tariff = read_tariff(
        urdb(
            demandratestructure=[[{"rate": 0}], [{"rate": 12, "adj": 1}]],
            demandweekdayschedule=[winter] * 5 + [summer] * 4 + [winter] * 3,
            demandweekendschedule=hours(0),
            demandlabels=["", "Evening"],
        )
    )

    (charge,) = tariff.demand
    assert (charge.kind, charge.label, charge.prices[0].amount) == ("tou", "Evening", 13)
    assert charge.prices[0].when == (When(("jun-sep",), WEEKDAYS, ((960, 1260),)),)
    assert tariff.seasons[0].spans == ((601, 930),)


def test_money_in_free_text_is_told():
    notes = read_tariff(
        urdb(
            demandattrs=[{"Power-Factor-Adjustment-Rate-$": "0.00005"}, {"TOU-winter:Off-Peak": "1"}],
            energyKeyVals=[{"key": "Wildfire fee", "val": "0.01"}],
            fixedattrs="none",
        )
    ).notes

    assert notes == (
        "The free text 'demandattrs' mentions 'Power-Factor-Adjustment-Rate-$', which is not billed.",
        "The free text 'energyKeyVals' mentions 'Wildfire fee', which is not billed.",
    )
