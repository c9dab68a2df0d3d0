"""The site's rules: what the electrical tree, the agreement and memberships refuse."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from charging.models import Charger
from depot.models import ElectricalNode, InterconnectionAgreement
from tests.factories import grid_of, make_charger, make_type


def test_a_feeder_may_not_carry_more_than_what_feeds_it(depot):
    feeder = ElectricalNode(depot=depot, parent=grid_of(depot), kind="feeder", name="F1", import_limit_kw=500)
    with pytest.raises(ValidationError) as caught:
        feeder.full_clean()
    assert "above the 400 kW of Grid" in str(caught.value)


def test_a_node_of_another_depot_is_refused(depot, other_depot):
    feeder = ElectricalNode(
        depot=depot, parent=grid_of(other_depot), kind="feeder", name="F1", import_limit_kw=100
    )
    with pytest.raises(ValidationError) as caught:
        feeder.full_clean()
    assert "another depot" in str(caught.value)


def test_a_ring_of_nodes_is_refused(depot):
    first = ElectricalNode.objects.create(
        depot=depot, parent=grid_of(depot), kind="feeder", name="F1", import_limit_kw=100
    )
    second = ElectricalNode.objects.create(
        depot=depot, parent=first, kind="panel", name="P1", import_limit_kw=50
    )
    first.parent = second
    first.import_limit_kw = 40
    with pytest.raises(ValidationError):
        first.full_clean()


def test_a_charger_on_a_node_of_another_depot_is_refused(depot, other_depot):
    charger = make_charger(depot)
    charger.node = grid_of(other_depot)
    with pytest.raises(ValidationError) as caught:
        charger.full_clean()
    assert "node" in caught.value.message_dict


def test_a_charger_stronger_than_its_node_is_refused(depot):
    charger = make_charger(depot)
    charger.max_charge_kw = 401
    with pytest.raises(ValidationError) as caught:
        charger.full_clean()
    assert "400 kW at most" in str(caught.value)
    assert Charger.objects.get(pk=charger.pk).max_charge_kw == 60


@pytest.mark.parametrize(
    ("state", "meter", "allowed"),
    [("approved", True, 200), ("approved", False, 0), ("applied", True, 0), ("expired", True, 0)],
)
def test_nothing_is_exported_before_approval_and_meter(depot, state, meter, allowed):
    InterconnectionAgreement.objects.filter(depot=depot).update(state=state, bidirectional_meter=meter)
    assert InterconnectionAgreement.objects.get(depot=depot).allowed_export_kw == allowed


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"charge_efficiency": 0}, "charge_efficiency"),
        ({"discharge_efficiency": 0}, "discharge_efficiency"),
        ({"charge_loss_kw": 60}, "charge_loss_kw"),
        ({"discharge_loss_kw": 60}, "discharge_loss_kw"),
        ({"fallback_kw": 61}, "fallback_kw"),
    ],
)
def test_a_charger_that_no_plan_could_use_is_refused(depot, values, field):
    with pytest.raises(ValidationError) as caught:
        make_charger(depot, **values).full_clean()
    assert set(caught.value.message_dict) == {field}


def test_a_battery_holds_something(depot):
    with pytest.raises(ValidationError) as caught:
        make_type(depot, usable_kwh=0).full_clean()
    assert set(caught.value.message_dict) == {"usable_kwh"}
