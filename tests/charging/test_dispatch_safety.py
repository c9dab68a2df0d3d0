"""What is sent holds the site's limits whatever chargers can be told, and whichever of them falls silent."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import time_machine

from charging.models import Charger, ChargerCommand, ChargingSession, Plan
from charging.ocpp import outbox
from charging.ocpp.simulator.composite import Profiles
from charging.planner.offline import NEAR_STEPS
from charging.services import planning
from charging.services.dispatch import dispatch
from depot.models import AuditEvent, Depot, ElectricalNode
from tests import factories
from tests.billing.money import make_tariff
from tests.factories import NOW

CONNECTION_KW = 50.0


@pytest.fixture
def narrow_depot(depot: Depot) -> Depot:
    """Return a depot of 50 kW with a full and an empty bus; the empty one needs more than 50 kW to leave in 2 h."""
    make_tariff(depot)
    ElectricalNode.objects.filter(depot=depot).update(import_limit_kw=CONNECTION_KW, export_limit_kw=0)
    for name, soc in (("Full", 0.95), ("Empty", 0.2)):
        vehicle = factories.make_vehicle(depot, name, soc=soc)
        charger = factories.make_charger(depot, vehicle, connected=True)
        ChargingSession.objects.create(
            connector=charger.connectors.get(),
            vehicle=vehicle,
            transaction_id=name,
            plugged_in_at=NOW - timedelta(hours=1),
        )
    minute = depot.local(NOW).hour * 60
    factories.make_block(
        depot,
        vehicle,
        depart_minute=minute + 120,
        return_minute=minute + 300,
        energy_kwh=130,
        distance_km=None,
    )
    return depot


def planned_kw(plan: Plan) -> dict[str, list[float]]:
    """Return the signed powers of each vehicle by its name."""
    rows = plan.answer["vehicles"]
    return {
        vehicle.name: [
            charge - discharge
            for charge, discharge in zip(
                rows[str(vehicle.pk)]["charge_kw"], rows[str(vehicle.pk)]["discharge_kw"], strict=True
            )
        ]
        for vehicle in plan.depot.vehicles.all()
    }


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", ""])
def test_no_plan_counts_on_discharge_that_cannot_be_sent(narrow_depot, protocol):
    Charger.objects.update(protocol=protocol)
    with time_machine.travel(NOW, tick=False):
        plan = planning.plan_and_dispatch(narrow_depot, "test")
    powers = planned_kw(plan)
    assert plan.violations == []
    assert min(powers["Full"]) >= 0
    assert max(powers["Empty"]) <= CONNECTION_KW
    full = narrow_depot.vehicles.get(name="Full")
    assert any("Not discharged" in note for note in plan.notes["vehicles"][str(full.pk)])


@pytest.mark.parametrize(("protocol", "max_offline_s"), [("ocpp2.1", 30), ("ocpp2.0.1", 1800)])
def test_a_charger_on_its_own_needs_no_other_to_discharge(narrow_depot, protocol, max_offline_s):
    """Charging at an older charger that lives on discharge goes on for two steps, so discharge must last as long."""
    Charger.objects.filter(connectors__vehicle__name="Empty").update(protocol=protocol)
    with time_machine.travel(NOW, tick=False):
        plan = planning.plan_and_dispatch(narrow_depot, "test")
    assert max(planned_kw(plan)["Empty"]) > CONNECTION_KW
    sent = {
        command.connector.vehicle.name: command.payload
        for command in ChargerCommand.objects.filter(plan=plan, action="set_schedule")
    }
    assert {payload["max_offline_s"] for payload in sent.values()} == {max_offline_s}
    alone = np.array([payload["offline_kw"] for payload in sent.values()])
    assert alone[:, NEAR_STEPS:].sum(axis=0).max() <= CONNECTION_KW
    assert (alone.sum(axis=0).max() <= CONNECTION_KW) == (protocol == "ocpp2.1")


def held_after(errands) -> dict[str, Profiles]:
    """Return what stations of OCPP 2.1 hold after these commands, by the name of their vehicle."""
    stations: dict[str, Profiles] = {}
    for errand in errands:
        station = stations.setdefault(errand.command.connector.vehicle.name, Profiles(bidirectional=True))
        for action, body in outbox.messages(errand, "2.1"):
            if action == "SetChargingProfile":
                station.install(body["chargingProfile"], errand.transaction_id)
            else:
                station.clear(body["chargingProfileId"], {})
    return stations


def deliver_all(until: int) -> list[outbox.Errand]:
    chargers = list(Charger.objects.values_list("pk", flat=True))
    errands: list[outbox.Errand] = []
    while len(errands) < until:
        errands += (taken := outbox.claim(chargers, "test"))
        assert taken
    return errands


def test_switching_dispatch_off_ends_what_chargers_were_told(narrow_depot):
    """The plan's discharge and its hours of charging give way to the safe level, also if only the row was changed."""
    with time_machine.travel(NOW, tick=False):
        plan = planning.plan_and_dispatch(narrow_depot, "test")
        told = deliver_all(2)
        narrow_depot.dispatch_enabled = False
        narrow_depot.save()
        assert dispatch(plan) == 0
        planning.plan_and_dispatch(narrow_depot, "test")
        planning.plan_and_dispatch(narrow_depot, "once is enough")
        stations = held_after([*told, *deliver_all(4)])
        assert outbox.claim(list(Charger.objects.values_list("pk", flat=True)), "test") == []
    for hours in (0.01, 1, 12, 47, 60):
        at = NOW + timedelta(hours=hours)
        assert {one.power_kw(at, 60.0, NOW) for one in stations.values()} == {6.0}
    event = AuditEvent.objects.get(verb="depot.stood_down")
    assert "2 connectors" in event.sentence


def test_what_is_planned_is_what_is_sent(narrow_depot):
    with time_machine.travel(NOW, tick=False):
        plan = planning.plan_and_dispatch(narrow_depot, "test")
        assert min(planned_kw(plan)["Full"]) < 0
        for errand in outbox.claim(list(Charger.objects.values_list("pk", flat=True)), "test"):
            name = errand.command.connector.vehicle.name
            calls = [
                body for action, body in outbox.messages(errand, "2.1") if action == "SetChargingProfile"
            ]
            profile = calls[-1]["chargingProfile"]
            sent = profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]
            sent_kw = sent.get("setpoint", sent.get("limit")) / 1000
            assert sent_kw == pytest.approx(planned_kw(plan)[name][0], abs=1e-3)
