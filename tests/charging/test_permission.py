"""Discharging is refused unless everybody involved allows it, and the reason is told."""

from __future__ import annotations

import pytest

from charging.permission import charge_limit_kw, discharge_limit_kw, discharge_permission
from depot.models import InterconnectionAgreement
from tests.factories import make_charger, make_type, make_vehicle


def ask(depot, vehicle, charger):
    return discharge_permission(
        vehicle, charger, InterconnectionAgreement.objects.filter(depot=depot).first()
    )


def test_a_willing_pair_may_discharge(depot):
    vehicle = make_vehicle(depot)
    assert ask(depot, vehicle, make_charger(depot, vehicle)).allowed


@pytest.mark.parametrize(
    ("vehicle_values", "type_values", "charger_values", "words"),
    [
        ({"v2g_enabled": False}, {}, {}, "switched off for Bus 01"),
        ({}, {"inverter": "none"}, {}, "cannot discharge"),
        ({}, {}, {"max_discharge_kw": 0}, "one-way"),
        ({}, {"max_discharge_dc_kw": 0, "max_discharge_ac_kw": 10}, {}, "through the DC charger"),
        ({}, {"iso15118_20": False}, {}, "does not speak ISO 15118-20"),
        ({}, {}, {"iso15118_20": False}, "does not speak ISO 15118-20"),
        ({}, {}, {"protocol": ""}, "has never logged in"),
        ({}, {}, {"protocol": "ocpp1.6"}, "speaks OCPP 1.6, which has no words for discharging"),
        ({}, {}, {"protocol": "ocpp2.0.1"}, "speaks OCPP 2.0.1, which has no words for discharging"),
    ],
)
def test_each_obstacle_is_named(depot, vehicle_values, type_values, charger_values, words):
    vehicle = make_vehicle(depot, type=make_type(depot, **type_values), **vehicle_values)
    answer = ask(depot, vehicle, make_charger(depot, vehicle, **charger_values))
    assert not answer.allowed
    assert words in answer.reason


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_older_protocols_discharge_where_the_charger_takes_limits_below_zero(depot, protocol):
    vehicle = make_vehicle(depot)
    assert ask(depot, vehicle, make_charger(depot, vehicle, protocol=protocol, negative_limits=True)).allowed


def test_without_any_agreement_on_record_nothing_is_discharged(depot):
    vehicle = make_vehicle(depot)
    charger = make_charger(depot, vehicle)
    assert "no interconnection agreement" in discharge_permission(vehicle, charger, None).reason


def test_limits_are_those_of_the_kind_of_current(depot):
    vehicle = make_vehicle(depot, type=make_type(depot, max_charge_ac_kw=19.2, max_charge_dc_kw=80))
    assert charge_limit_kw(vehicle, make_charger(depot)) == 60
    assert charge_limit_kw(vehicle, make_charger(depot, current="ac", max_charge_kw=22)) == 19.2
    assert discharge_limit_kw(vehicle, make_charger(depot, current="ac")) == 0
