"""The shipped examples: golden bills, worked out by hand in the comments."""

import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from billing.tariff import LoadSeries, bill, make_load, read_tariff, to_document
from billing.tariff.shipped import example_names, example_tariff, example_text
from billing.tariff.text import parse_text, write_yaml

D = Decimal


def month(zone: str, first: str, kw: dict[str, float], minutes: int = 60, days: int = 31) -> LoadSeries:
    """Return a load of whole days: 0 kW but in the steps that begin at the given local times."""
    start = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone))
    power = np.zeros(days * 1440 // minutes)
    for at, value in kw.items():
        moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone))
        power[int((moment - start).total_seconds()) // 60 // minutes] = value
    return make_load(start, minutes, power)


def lines(name: str, load: LoadSeries, period: int = 0, **more: Any) -> dict[str, Decimal]:
    result = bill(example_tariff(name), load, **more)
    assert result.unsupported == ()
    return {line.id: line.amount for line in result.periods[period].lines}


@pytest.mark.parametrize("name", example_names())
def test_each_names_its_source_and_survives_a_round_trip(name: str):
    tariff = example_tariff(name)
    assert tariff.source.startswith("http")
    zoned = tariff if tariff.time_zone else replace(tariff, time_zone="America/Chicago")

    document = to_document(zoned)

    assert read_tariff(json.dumps(document)) == zoned
    assert read_tariff(write_yaml(document)) == zoned
    assert parse_text(example_text(name))


def test_an_unknown_example_is_named():
    with pytest.raises(KeyError, match="no example 'x'"):
        example_text("x")


def test_flanders_mean_of_twelve_months_with_a_least_of_2_5_kw():
    load = month("Europe/Brussels", "2023-03-01", {"2023-03-06T18:00": 12.0}, 15)
    history = {"capacity": {date(2022, m, 1): D(6) for m in range(4, 13)} | {date(2023, 1, 1): D("2.5")}}

    found = lines("be-flanders-capacity", load, history=history)

    # 9 x 6 + 2.5 + 12 = 68.5 over 11 known months = 6.227 kW (3 decimals) x 3.37 = 20.98; energy 3 kWh x 0.15
    assert found == {
        "energy.supply.all": D("0.45"),
        "demand_flat.capacity.all": D("20.98"),
        "tax.vat": D("4.50"),  # 21 % of 21.43
    }
    assert lines("be-flanders-capacity", month("Europe/Brussels", "2023-03-01", {}, 15)) == {
        "energy.supply.all": 0,
        "demand_flat.capacity.all": D("8.43"),  # 2.5 x 3.37 = 8.425
        "tax.vat": D("1.77"),
    }


def test_norway_step_of_the_mean_of_three_days():
    load = month(
        "Europe/Oslo",
        "2024-07-01",
        {"2024-07-02T12:00": 30, "2024-07-02T13:00": 29, "2024-07-06T12:00": 24, "2024-07-09T23:00": 18},
    )

    found = lines("no-capacity-steps", load)

    # (30 + 24 + 18) / 3 = 24 kW: step 20-25 is 720. Day 59 kWh x 0.26 = 15.34; Saturday and night 42 x 0.21
    assert found == {
        "energy.grid.day": D("15.34"),
        "energy.grid.night": D("8.82"),
        "demand_flat.capacity.all": 720,
        "tax.duty": D("16.60"),  # 101 x 0.1644 = 16.6044
        "tax.enova": D("1.01"),
        "tax.vat": D("190.44"),  # 25 % of 761.77
    }


def test_germany_a_late_peak_reprices_the_months_before():
    january = month("Europe/Berlin", "2022-01-01", {"2022-01-10T08:00": 300, "2022-02-10T08:00": 400}, 15, 59)

    result = bill(example_tariff("de-leistungspreis"), january)

    first, second = ({line.id: line.amount for line in period.lines} for period in result.periods)
    # 117.98 / 12 = 9.8317 EUR a kW and month
    assert first["demand_flat.grid.all"] == D("2949.50")  # x 300
    assert second["demand_flat.grid.all"] == D("3932.66")  # 2 x 3932.67 less January's 3932.67, to the cent
    assert second["demand_flat.grid.all.correction"] == D("983.17")  # 100 kW more for January
    assert second["energy.grid.all"] == D("0.94")  # 100 kWh
    demand = [line.amount for p in result.periods for line in p.lines if line.id.startswith("demand")]
    assert sum(demand) == D("7865.33")  # 400 x 117.98 x 2 / 12


def test_germany_a_whole_year_is_the_price_times_the_peak():
    power = np.full(8760, 100.0)
    power[5000] = 5000.0
    load = make_load(datetime(2022, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), 60, power)

    result = bill(example_tariff("de-leistungspreis"), load)

    demand = [line.amount for p in result.periods for line in p.lines if line.id.startswith("demand")]
    assert sum(demand) == 5000 * D("117.98")


def test_poland_hourly_excesses_and_the_capacity_fee():
    load = month(
        "Europe/Warsaw",
        "2021-03-01",
        {
            "2021-03-02T10:00": 260,
            "2021-03-02T10:15": 240,  # the same hour: only its highest excess counts
            "2021-03-02T11:00": 210,
            "2021-03-06T10:00": 230,  # a Saturday
        },
        15,
    )

    found = lines("pl-contracted-power", load)

    # excesses 60 + 10 + 30 = 100 kW x 6.48; energy 235 kWh, of them 177.5 on working days 7-22 h
    assert found == {
        "energy.grid.all": D("3.17"),
        "energy.quality.all": D("2.39"),
        "energy.res.all": D("0.52"),
        "energy.capacity.hours": D("13.53"),
        "energy.capacity.rest": 0,
        "subscription.contract": 1296,
        "subscription.contract.overage": 648,
        "subscription.transition": 40,
        "fixed.account": D("20.55"),
    }


def test_blocks_of_50_kw_with_overage():
    load = month("America/Los_Angeles", "2025-05-01", {"2025-05-02T02:00": 180, "2025-05-02T17:00": 20}, 15)

    # 3 blocks x 95.56, 30 kW over x 3.82, 45 kWh x 0.20, 5 kWh x 0.40
    assert lines("us-pge-bev", load) == {
        "energy.bev.peak": 2,
        "energy.bev.super": 0,
        "energy.bev.off": 9,
        "subscription.blocks": D("286.68"),
        "subscription.blocks.overage": D("114.60"),
    }


def test_ev_rate_with_a_critical_peak_event():
    load = month("America/Los_Angeles", "2025-08-01", {"2025-08-13T17:00": 100, "2025-08-14T17:00": 100})

    assert lines("us-sce-ev", load) == {
        "energy.ev.summer-on": 100,  # 200 kWh x 0.50
        "energy.ev.summer-mid": 0,
        "energy.ev.off": 0,
        "energy.event.called": 60,  # 100 kWh x 0.60
        "energy.event.rest": 0,
        "fixed.customer": 120,
    }


def test_urdb_hours_use_tiers_and_ratchet():
    power = np.zeros(2 * 31 * 24)  # July and August
    power[100:102], power[900:1200] = 300, 100
    load = make_load(datetime(2025, 7, 1, tzinfo=ZoneInfo("America/Chicago")), 60, power)
    zone = ZoneInfo("America/Chicago")

    august = lines("us-urdb-ratchet", load, 1, time_zone=zone)

    # 80 % of July's 300 kW = 240 kW: 100 x 8 + 140 x 11. 30,000 kWh / 240 kW: all within 200 kWh per kW
    assert august == {
        "energy.urdb.p0.t1": 2700,
        "demand_flat.urdb.p0.t1": 800,
        "demand_flat.urdb.p0.t2": 1540,
        "fixed.urdb": 75,
    }
    assert lines("us-urdb-ratchet", load, 0, time_zone=zone)["demand_flat.urdb.p0.t2"] == 2200  # 200 x 11
