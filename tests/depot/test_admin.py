"""The set-up: a whole depot in the admin alone, by role, and nothing of other depots."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.contrib import admin
from django.core.checks import run_checks
from django.urls import reverse

from billing.models import Tariff
from charging.models import Charger, Plan
from depot.access.keys import find_key, make_key
from depot.models import (
    ApiKey,
    AuditEvent,
    Depot,
    ElectricalNode,
    Job,
    Membership,
    User,
)
from fleet.models import Block, IngestBatch, QuarantinedReading, TelemetryReading, Vehicle
from fleet.services.telemetry_batches import take_in
from tests.depot.admin_forms import address, errors_of, form_of
from tests.factories import (
    NOW,
    grid_of,
    make_block,
    make_charger,
    make_person,
    make_vehicle,
)

# ---- the pages themselves


def test_the_admin_is_sound():
    assert [problem for problem in run_checks() if problem.is_serious()] == []


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_every_list_and_every_empty_form_opens(login, root, depot, model):
    browser = login(root)
    assert browser.get(address(model, "changelist")).status_code == 200
    adds = browser.get(address(model, "add")).status_code
    assert adds == (200 if admin.site._registry[model].has_add_permission(_request(root)) else 403)


def _request(user):
    class Request:
        pass

    request = Request()
    request.user = user
    return request


# ---- validation across rows


def _save_nodes(browser, depot, **changes):
    page = browser.get(address(Depot, "change", depot.pk))
    return browser.post(address(Depot, "change", depot.pk), form_of(page) | changes)


def test_a_node_and_what_feeds_it_may_be_raised_at_once(login, staff, depot):
    ElectricalNode.objects.create(
        depot=depot, parent=grid_of(depot), kind="feeder", name="F1", import_limit_kw=400
    )
    browser = login(staff("technician"))
    raised = _save_nodes(
        browser, depot, **{"nodes-0-import_limit_kw": "900", "nodes-1-import_limit_kw": "800"}
    )
    assert raised.status_code == 302, errors_of(raised)
    lowered = _save_nodes(
        browser, depot, **{"nodes-0-import_limit_kw": "90", "nodes-1-import_limit_kw": "80"}
    )
    assert lowered.status_code == 302, errors_of(lowered)
    assert list(depot.nodes.values_list("import_limit_kw", flat=True)) == [90, 80]


def test_limits_that_do_not_nest_are_refused_and_nothing_is_saved(login, staff, depot):
    ElectricalNode.objects.create(
        depot=depot, parent=grid_of(depot), kind="feeder", name="F1", import_limit_kw=400
    )
    answer = _save_nodes(login(staff("technician")), depot, **{"nodes-0-import_limit_kw": "300"})
    assert answer.status_code == 200
    assert "The import limit of F1 (400 kW) is above the 300 kW of Grid" in errors_of(answer)
    assert grid_of(depot).import_limit_kw == 400


def test_a_node_of_another_depot_cannot_be_chosen(login, staff, depot, other_depot):
    browser = login(staff("technician"))
    page = browser.get(address(Charger, "change", make_charger(depot).pk))
    foreign = str(grid_of(other_depot).pk)
    offered = {str(value) for value, _ in page.context["adminform"].form.fields["node"].choices}
    assert foreign not in offered and str(grid_of(depot).pk) in offered
    answer = browser.post(page.request["PATH_INFO"], form_of(page) | {"node": foreign})
    assert "Select a valid choice" in errors_of(answer)


def test_even_who_sees_both_depots_cannot_mix_them(login, root, depot, other_depot):
    browser = login(root)
    foreign = make_vehicle(other_depot, "Foreign")
    charger = make_charger(depot)
    new = form_of(browser.get(address(Charger, "add"))) | {
        "depot": depot.pk,
        "node": grid_of(depot).pk,
        "name": "C-99",
        "identity": "c99",
        "current": "dc",
        "max_charge_kw": "60",
        "connectors-TOTAL_FORMS": "1",
        "connectors-INITIAL_FORMS": "0",
        "connectors-0-evse_id": "1",
        "connectors-0-connector_id": "1",
        "connectors-0-vehicle": foreign.pk,
    }
    answer = browser.post(address(Charger, "add"), new)
    assert "belongs to another depot" in errors_of(answer)
    assert Charger.objects.get() == charger


def test_a_short_name_may_not_hide_the_programs_own_addresses(login, root, depot):
    browser = login(root)
    page = browser.get(address(Depot, "change", depot.pk))
    answer = browser.post(page.request["PATH_INFO"], form_of(page) | {"slug": "admin"})
    assert "is an address of the program itself" in errors_of(answer)


def test_a_row_stays_in_its_depot(login, root, depot, other_depot):
    bus = make_vehicle(depot)
    browser = login(root)
    page = browser.get(address(Vehicle, "change", bus.pk))
    browser.post(page.request["PATH_INFO"], form_of(page) | {"depot": other_depot.pk, "name": "Bus 9"})
    bus.refresh_from_db()
    assert (bus.name, bus.depot) == ("Bus 9", depot)


def test_a_wrong_tariff_is_refused_with_its_place(login, staff, depot):
    answer = login(staff("technician")).post(
        address(Tariff, "add"),
        {"depot": depot.pk, "name": "EV", "valid_from": "2026-01-01", "definition": '{"energy": "free"}'},
    )
    assert answer.status_code == 200
    assert Tariff.objects.count() == 0
    assert answer.context["adminform"].form.errors["definition"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"return_minute": "06:00"}, "not after the pull-out"),
        ({"depart_minute": "6 o'clock"}, "is not a time"),
        ({"weekdays": ""}, "either weekdays or one service date"),
        ({"service_date": "2026-03-10"}, "either weekdays or one service date"),
        ({"weekdays": "Mondy"}, "is no day"),
        ({"block_id": "101"}, "runs on these days already"),
    ],
)
def test_a_wrong_block_is_refused_in_words(login, staff, depot, changes, words):
    make_block(depot, None, "101", key="101|1111100")
    values = {
        "depot": depot.pk,
        "block_id": "102",
        "weekdays": "Mon-Fri",
        "depart_minute": "06:30",
        "return_minute": "08:45",
    }
    answer = login(staff("manager")).post(address(Block, "add"), values | changes)
    assert words in errors_of(answer)
    assert Block.objects.count() == 1


# ---- who may do what


def test_lists_show_only_depots_in_which_one_has_a_role_for_the_site(login, staff, depot, other_depot):
    make_vehicle(depot, "Ours")
    make_vehicle(other_depot, "Theirs")
    user = staff("technician")
    Membership.objects.create(user=user, depot=other_depot, role="dispatcher")
    page = login(user).get(address(Vehicle, "changelist")).content.decode()
    assert "Ours" in page and "Theirs" not in page and "Harbor" not in page


@pytest.mark.parametrize("role", ["viewer", "dispatcher"])
def test_viewers_and_dispatchers_find_nothing_to_set_up(login, staff, depot, role):
    browser = login(staff(role))
    assert browser.get(address(Vehicle, "changelist")).status_code == 403
    assert browser.get(address(Depot, "change", depot.pk)).status_code in (302, 403)


def test_another_depots_row_is_not_there(login, staff, depot, other_depot):
    browser = login(staff("owner"))
    theirs = make_vehicle(other_depot, "Theirs")
    for what in ("change", "delete", "history"):
        answer = browser.get(address(Vehicle, what, theirs.pk))
        assert answer.status_code == 302 and answer.url == reverse("admin:index")
    posted = browser.post(address(Vehicle, "change", theirs.pk), {"name": "Mine now"})
    assert posted.status_code == 302
    picked = {"action": "delete_selected", "_selected_action": [theirs.pk], "post": "yes"}
    browser.post(address(Vehicle, "changelist"), picked)
    theirs.refresh_from_db()
    assert theirs.name == "Theirs"


def test_a_technician_cannot_rise(login, staff, depot):
    user = staff("technician")
    browser = login(user)
    for what in ("changelist", "add"):
        assert browser.get(address(User, what)).status_code == 403
    for what in ("change", "password_change", "delete"):
        name = f"admin:{'auth_user_password_change' if what == 'password_change' else f'depot_user_{what}'}"
        answer = browser.post(
            reverse(name, args=[user.pk]), {"is_superuser": "on", "username": user.username}
        )
        assert answer.status_code in (302, 403)
    page = browser.get(address(Depot, "change", depot.pk))
    member = user.memberships.get()
    raised = {
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": member.pk,
        "memberships-0-depot": depot.pk,
        "memberships-0-role": "owner",
    }
    browser.post(address(Depot, "change", depot.pk), form_of(page) | raised)
    assert browser.get(address(ApiKey, "add")).status_code == 403
    assert browser.get(address(Depot, "add")).status_code == 403
    user.refresh_from_db()
    member.refresh_from_db()
    assert (user.is_superuser, member.role) == (False, "technician")


def test_an_owner_gives_roles_by_user_name(login, staff, depot):
    newcomer = make_person(None, name="nora")
    browser = login(staff("owner"))
    page = browser.get(address(Depot, "change", depot.pk))
    row = {
        "memberships-TOTAL_FORMS": "2",
        "memberships-1-depot": depot.pk,
        "memberships-1-role": "dispatcher",
    }
    unknown = browser.post(
        page.request["PATH_INFO"], form_of(page) | row | {"memberships-1-person": "nobody"}
    )
    assert "There is no log-in “nobody”" in errors_of(unknown)
    answer = browser.post(page.request["PATH_INFO"], form_of(page) | row | {"memberships-1-person": "nora"})
    assert answer.status_code == 302, errors_of(answer)
    assert newcomer.memberships.get().role == "dispatcher"
    page = browser.get(address(Depot, "change", depot.pk))
    again = {"memberships-TOTAL_FORMS": "3", "memberships-2-depot": depot.pk, "memberships-2-role": "viewer"}
    twice = browser.post(page.request["PATH_INFO"], form_of(page) | again | {"memberships-2-person": "nora"})
    assert "has a role here already" in errors_of(twice)


def test_a_role_in_one_depot_gives_nothing_in_another(login, staff, depot, other_depot):
    """A technician here and manager there deletes there, not here."""
    user = staff("dispatcher")
    Membership.objects.create(user=user, depot=other_depot, role="manager")
    ours = make_block(depot, None)
    answer = login(user).post(
        address(Block, "changelist"),
        {"action": "delete_selected", "_selected_action": [ours.pk], "post": "yes"},
    )
    assert answer.status_code in (200, 302)
    assert Block.objects.filter(pk=ours.pk).exists()


def test_a_technician_sees_schedules_but_leaves_them_alone(login, staff, depot):
    block = make_block(depot, None)
    browser = login(staff("technician"))
    page = browser.get(address(Block, "change", block.pk))
    assert page.status_code == 200 and not page.context["has_change_permission"]
    assert browser.post(address(Block, "change", block.pk), {"block_id": "x"}).status_code == 403
    picked = {"action": "delete_selected", "_selected_action": [block.pk], "post": "yes"}
    browser.post(address(Block, "changelist"), picked)
    assert Block.objects.filter(pk=block.pk).exists()


def test_somebody_who_is_not_staff_stays_outside(login, manager):
    assert login(manager).get(reverse("admin:index")).status_code == 302


def test_records_are_for_looking_only(login, root, depot):
    job = Job.objects.create(kind="plan", depot=depot, window="w", due_at=NOW, created_at=NOW)
    browser = login(root)
    assert browser.get(address(Job, "change", job.pk)).status_code == 200
    assert browser.post(address(Job, "change", job.pk), {"state": "done"}).status_code == 403
    assert browser.post(address(Job, "delete", job.pk), {"post": "yes"}).status_code == 403
    assert browser.get(address(Plan, "add")).status_code == 403


# ---- what the pages do


def test_every_change_goes_to_the_audit_trail(login, staff, depot):
    user = staff("technician")
    bus = make_vehicle(depot)
    browser = login(user)
    page = browser.get(address(Vehicle, "change", bus.pk))
    browser.post(page.request["PATH_INFO"], form_of(page) | {"name": "Bus 02"})
    browser.post(address(Vehicle, "delete", bus.pk), {"post": "yes"})
    first, second = AuditEvent.objects.order_by("pk")
    assert (first.verb, first.actor, first.depot) == ("vehicle.changed", user, depot)
    assert "Bus 02" in first.sentence and "name" in first.sentence.lower()
    assert second.verb == "vehicle.deleted"
    asked = Job.objects.filter(kind="plan", depot=depot, requested_by=user)
    assert "The set-up changed: vehicle Bus 02" in [job.payload["trigger"] for job in asked]


def test_passwords_of_many_chargers_are_made_and_shown_once(login, staff, depot, other_depot):
    ours, theirs = make_charger(depot), make_charger(other_depot)
    page = login(staff("technician")).post(
        address(Charger, "changelist"),
        {"action": "make_passwords", "_selected_action": [ours.pk, theirs.pk]},
    )
    shown = re.findall(r"<code>([\w-]{32})</code>", page.content.decode())
    ours.refresh_from_db()
    theirs.refresh_from_db()
    assert len(shown) == 1 and ours.check_password(shown[0])
    assert theirs.password_hash == ""


def test_saving_a_charger_without_the_tick_keeps_its_password(login, staff, depot):
    charger = make_charger(depot)
    charger.set_password("as it was, as it was")
    charger.save()
    browser = login(staff("technician"))
    page = browser.get(address(Charger, "change", charger.pk))
    assert charger.password_hash not in page.content.decode()
    answer = browser.post(page.request["PATH_INFO"], form_of(page) | {"fallback_kw": "5"})
    assert answer.status_code == 302, errors_of(answer)
    charger.refresh_from_db()
    assert charger.fallback_kw == 5 and charger.check_password("as it was, as it was")


def test_an_owner_makes_and_ends_api_keys(login, staff, depot):
    browser = login(staff("owner"))
    values = {
        "depot": depot.pk,
        "name": "Telematics",
        "scopes": ["telemetry"],
        "expires_at_0": f"{date.today() + timedelta(days=30)}",  # noqa: DTZ011 - a form's date
        "expires_at_1": "00:00",
    }
    shown = browser.post(address(ApiKey, "add"), values).content.decode()
    raw = re.search(r"<code>(dk[^<]+)</code>", shown).group(1)
    key = find_key(raw)
    assert (key.depot, key.scopes, key.name) == (depot, ["telemetry"], "Telematics")
    assert ApiKey.objects.count() == 1
    browser.post(address(ApiKey, "changelist"), {"action": "end", "_selected_action": [key.pk]})
    assert find_key(raw) is None


def test_keys_of_another_depot_cannot_be_ended(login, staff, depot, other_depot):
    key, raw = make_key(other_depot, "Theirs", ["read"])
    login(staff("owner")).post(address(ApiKey, "changelist"), {"action": "end", "_selected_action": [key.pk]})
    assert find_key(raw) == key


def test_the_ingest_log_shows_own_batches_only_and_is_not_edited(login, staff, depot, other_depot):
    for owner, sender in ((depot, "API key: Ours"), (other_depot, "API key: Theirs")):
        take_in(owner, [{"vehicle": "nobody", "observed_at": NOW.isoformat(), "soc_percent": 5}], NOW, sender)
    browser = login(staff("technician"))
    page = browser.get(address(IngestBatch, "changelist")).content.decode()
    assert "API key: Ours" in page and "Theirs" not in page
    assert "Item 0: No vehicle of this depot has this id" in page
    ours, theirs = (IngestBatch.objects.get(depot=one).pk for one in (depot, other_depot))
    assert "nobody" in browser.get(address(IngestBatch, "change", ours)).content.decode()
    assert browser.get(address(IngestBatch, "change", theirs)).status_code == 302
    assert browser.get(address(IngestBatch, "add")).status_code == 403


def test_readings_of_unknown_vehicles_are_taken_over_once_they_are_entered(login, staff, depot):
    item = {"vehicle": "VIN-NEW", "observed_at": NOW.isoformat(), "soc_percent": 50}
    other = {"vehicle": "VIN-OTHER", "observed_at": NOW.isoformat(), "soc_percent": 50}
    take_in(depot, [item, other], NOW)
    make_vehicle(depot, soc=None, external_id="VIN-NEW")
    rows = list(QuarantinedReading.objects.values_list("pk", flat=True))
    page = login(staff("technician")).post(
        address(QuarantinedReading, "changelist"),
        {"action": "take_over", "_selected_action": rows},
        follow=True,
    )
    assert "1 readings taken over, 1 left" in page.content.decode()
    assert TelemetryReading.objects.get().soc == 0.5
    assert QuarantinedReading.objects.get().vehicle_ref == "VIN-OTHER"
