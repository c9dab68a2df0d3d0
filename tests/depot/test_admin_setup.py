"""A whole depot is set up in the admin alone, and its page says what is still missing."""

from __future__ import annotations

import re
from datetime import date
from html import unescape

import pytest

from billing.models import Tariff
from charging.models import Charger, ChargerCommand, Connector
from depot.models import AuditEvent, Depot, ElectricalNode, InterconnectionAgreement, User
from depot.project.checklist import missing
from fleet.models import Block, Vehicle, VehicleType
from fleet.services.telemetry_batches import take_in
from tests.depot.admin_forms import address, empty_formsets, errors_of, form_of
from tests.factories import NOW, grid_of, make_array, make_block, make_charger, make_person, make_vehicle

SITE = {
    "name": "Harbor Yard",
    "slug": "harbor-yard",
    "time_zone": "America/New_York",
    "currency": "USD",
    "units": "us",
    "language": "en",
    "latitude": "36.1",
    "longitude": "-79.9",
    "elevation_m": "250",
    "horizon_hours": "36",
    "step_minutes": "15",
    "meter_reading_day": "1",
    "dispatch_enabled": "on",
    **empty_formsets("agreement"),
    "nodes-TOTAL_FORMS": "1",
    "nodes-INITIAL_FORMS": "0",
    "nodes-0-name": "Grid",
    "nodes-0-kind": "grid",
    "nodes-0-import_limit_kw": "400",
    "nodes-0-export_limit_kw": "0",
    "memberships-TOTAL_FORMS": "1",
    "memberships-INITIAL_FORMS": "0",
    "memberships-0-person": "tess",
    "memberships-0-role": "technician",
}
PARTS = {
    "nodes-TOTAL_FORMS": "2",
    "nodes-1-name": "Feeder A",
    "nodes-1-kind": "feeder",
    "nodes-1-import_limit_kw": "200",
    "nodes-1-export_limit_kw": "0",
    "meters-TOTAL_FORMS": "1",
    "meters-0-name": "Main",
    "meters-0-kind": "grid",
    "solar_arrays-TOTAL_FORMS": "1",
    "solar_arrays-0-name": "Roof",
    "solar_arrays-0-peak_kw": "100",
    "solar_arrays-0-inverter_kw": "90",
    "solar_arrays-0-tilt_degrees": "10",
    "solar_arrays-0-azimuth_degrees": "180",
    "solar_arrays-0-loss_fraction": "0.14",
}
TYPE = {
    "name": "Type C",
    "kind": "bus",
    "usable_kwh": "200",
    "chemistry": "lfp",
    "min_soc": "0.1",
    "max_soc": "1",
    "reserve_soc": "0.1",
    "pack_price_per_kwh": "150",
    "max_charge_ac_kw": "19.2",
    "max_charge_dc_kw": "60",
    "max_discharge_ac_kw": "0",
    "max_discharge_dc_kw": "60",
    "inverter": "off_board",
    "consumption_kwh_per_km": "0.9",
    "preconditioning_kwh": "0",
    "auxiliary_kw": "2",
}
VEHICLE = {"name": "Bus 01", "in_service_on": "2025-08-01", "active": "on", "v2g_min_soc": "0.3"}
CHARGER = {
    "name": "C-01",
    "identity": "harbor-C01",
    "admission": "accepted",
    "make_password": "on",
    "current": "dc",
    "max_charge_kw": "60",
    "min_charge_kw": "0",
    "charge_efficiency": "0.94",
    "charge_loss_kw": "0.5",
    "max_discharge_kw": "60",
    "min_discharge_kw": "0",
    "discharge_efficiency": "0.94",
    "discharge_loss_kw": "0.5",
    "fallback_kw": "6",
    "negative_limits": "on",
    "connectors-TOTAL_FORMS": "1",
    "connectors-INITIAL_FORMS": "0",
    "connectors-0-evse_id": "1",
    "connectors-0-connector_id": "1",
    "connectors-0-bay": "B-01",
}
BLOCK = {
    "block_id": "101",
    "weekdays": "Mon-Fri",
    "depart_minute": "06:30",
    "return_minute": "08:45",
    "distance_km": "40",
}


@pytest.fixture
def yard(login, root) -> Depot:
    """Make a depot with its grid connection and a technician, as the administrator does."""
    tess = make_person(None, name="tess")
    tess.is_staff = True
    tess.save()
    made = login(root).post(address(Depot, "add"), SITE)
    assert made.status_code == 302, errors_of(made)
    return Depot.objects.get(slug="harbor-yard")


@pytest.fixture
def tess(yard, login):
    """Return the technician's browser."""
    return login(User.objects.get(username="tess"))


def add(browser, model, values):
    answer = browser.post(address(model, "add"), values)
    assert answer.status_code == 302, errors_of(answer)
    return model.objects.get()


def test_the_technician_enters_the_parts_of_the_site(yard, tess):
    grid = str(grid_of(yard).pk)
    places = {"nodes-1-parent": grid, "meters-0-node": grid, "solar_arrays-0-node": grid}
    owner = {f"{prefix}-depot": str(yard.pk) for prefix in ("nodes-1", "meters-0", "solar_arrays-0")}
    page = tess.get(address(Depot, "change", yard.pk))
    saved = tess.post(address(Depot, "change", yard.pk), form_of(page) | PARTS | places | owner)
    assert saved.status_code == 302, errors_of(saved)
    assert yard.nodes.get(name="Feeder A").parent == grid_of(yard)
    assert (yard.meters.get().kind, yard.solar_arrays.get().peak_kw) == ("grid", 100)


def test_the_technician_enters_vehicles_and_chargers_and_gets_the_password_once(yard, tess):
    kind = add(tess, VehicleType, TYPE | {"depot": yard.pk})
    bus = add(tess, Vehicle, VEHICLE | {"depot": yard.pk, "type": kind.pk})
    places = {"depot": yard.pk, "node": grid_of(yard).pk, "connectors-0-vehicle": bus.pk}
    shown = tess.post(address(Charger, "add"), CHARGER | places)
    password = re.search(r"<code>([\w-]{32})</code>", shown.content.decode()).group(1)
    charger = Charger.objects.get()
    assert charger.check_password(password) and password not in charger.password_hash
    assert "no-store" in shown["Cache-Control"]
    assert charger.connectors.get().vehicle == bus
    assert charger.negative_limits
    again = tess.get(address(Charger, "change", charger.pk)).content.decode()
    assert password not in again


def test_switching_dispatch_off_tells_every_charger(yard, tess):
    make_charger(yard, make_vehicle(yard))
    page = address(Depot, "change", yard.pk)
    tess.post(page, form_of(tess.get(page)))
    assert not ChargerCommand.objects.exists()
    values = form_of(tess.get(page))
    del values["dispatch_enabled"]
    tess.post(page, values)
    assert set(ChargerCommand.objects.values_list("action", flat=True)) == {"set_schedule", "set_default"}
    assert AuditEvent.objects.get(verb="depot.stood_down").actor_name == "tess"


def test_a_block_entered_by_hand_is_the_same_row_as_from_a_file(yard, tess, staff, login):
    assert tess.get(address(Block, "add")).status_code == 403, "schedules are the dispatcher's"
    bus = make_vehicle(yard)
    block = add(login(staff("manager", yard)), Block, BLOCK | {"depot": yard.pk, "vehicle": bus.pk})
    assert (block.key, block.weekdays, block.depart_minute) == ("101|1111100", 31, 390)


# ---- what is still missing


def test_an_empty_depot_lacks_everything_and_each_has_its_link(login, root, db):
    depot = Depot.objects.create(
        name="Bare", slug="bare", time_zone="Europe/Berlin", latitude=52, longitude=13
    )
    sentences = " ".join(gap.sentence for gap in missing(depot, NOW))
    for word in (
        "grid connection",
        "meter",
        "vehicle type",
        "vehicle",
        "charger",
        "tariff",
        "block",
        "owner",
    ):
        assert word in sentences
    browser = login(root)
    page = browser.get(address(Depot, "change", depot.pk)).content.decode()
    for gap in missing(depot, NOW):
        assert gap.sentence in unescape(page)
        assert browser.get(gap.address).status_code == 200


def test_each_gap_is_named_and_goes_away(depot):
    make_array(depot)
    depot.meters.filter(kind="solar").delete()
    InterconnectionAgreement.objects.filter(depot=depot).update(state="applied")
    homeless, parked = make_vehicle(depot, "Bus 01"), make_vehicle(depot, "Bus 02", soc=None)
    charger = make_charger(depot, parked)
    sentences = {gap.sentence for gap in missing(depot, NOW)}
    assert {
        "Solar panels, but no solar meter: forecasts cannot learn.",
        "The interconnection agreement is not approved: vehicles supply the building only, not the grid.",
        "Bus 01 has no connector to park at: enter it at the charger.",
        "Bus 02 has never told a state of charge.",
        f"{charger.name} has no password: it cannot log in.",
        f"{charger.name} has never connected.",
        "No tariff is valid today: energy has no price.",
        "No block runs today or later: upload a schedule.",
        "Nobody is owner of this depot: nobody can give roles.",
        "Nobody is dispatcher of this depot: nobody watches the pull-outs.",
    } == sentences
    InterconnectionAgreement.objects.filter(depot=depot).update(state="approved", bidirectional_meter=False)
    assert "No bidirectional meter is commissioned: nothing may flow to the grid." in {
        gap.sentence for gap in missing(depot, NOW)
    }
    InterconnectionAgreement.objects.filter(depot=depot).update(bidirectional_meter=True)
    Connector.objects.create(charger=charger, evse_id=2, vehicle=homeless)
    charger.set_password("a password for tests")
    charger.last_seen_at = NOW
    charger.save()
    make_block(depot, homeless)
    Tariff.objects.create(depot=depot, name="EV", valid_from=date(2026, 1, 1), definition={})
    for role in ("owner", "dispatcher"):
        make_person(depot, role)
    depot.solar_arrays.all().delete()
    observed = [{"vehicle": parked.pk, "observed_at": NOW.isoformat(), "soc_percent": 50}]
    take_in(depot, observed, NOW)
    assert missing(depot, NOW) == []


def test_fallback_powers_that_no_node_carries_together_are_named(depot):
    grid = grid_of(depot)
    feeder = ElectricalNode.objects.create(
        depot=depot, parent=grid, kind="feeder", name="F", import_limit_kw=grid.import_limit_kw
    )
    for _ in range(2):
        make_charger(depot, node=feeder, fallback_kw=grid.import_limit_kw * 0.5)
    assert not [gap for gap in missing(depot, NOW) if "fallback" in gap.sentence]
    make_charger(depot, fallback_kw=1)
    (gap,) = [gap for gap in missing(depot, NOW) if "fallback" in gap.sentence]
    assert f"the chargers below {grid.name} may draw {grid.import_limit_kw + 1:g} kW together" in gap.sentence


def test_two_and_many_names_are_named_in_words(depot):
    for number in range(5):
        make_charger(depot, name=f"C{number}", password_hash="x", last_seen_at=NOW if number > 1 else None)
    make_vehicle(depot)
    sentences = " ".join(gap.sentence for gap in missing(depot, NOW))
    assert "C0 and C1 have never connected." in sentences
    Charger.objects.update(last_seen_at=None)
    assert "C0, C1, C2 and 2 more have never connected." in " ".join(
        gap.sentence for gap in missing(depot, NOW)
    )
