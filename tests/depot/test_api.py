"""The REST API's doors: keys, scopes, pages, filters, one error shape."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator
from rest_framework.throttling import UserRateThrottle

from charging.models import ChargingSession, Connector, Plan
from depot.access.keys import make_key
from depot.alerts import raise_alert
from depot.alerts.services import Cause
from depot.models import Alert, Job, MeterReading
from tests.factories import NOW, make_block, make_charger, make_person, make_vehicle


def caller(depot, *scopes) -> Client:
    """Return a program with a key of `depot`."""
    _, raw = make_key(depot, "test", scopes or ["read"])
    return Client(headers={"Authorization": f"Bearer {raw}"}, raise_request_exception=False)


READS = (
    "depots",
    "vehicles",
    "blocks",
    "chargers",
    "sessions",
    "alerts",
    "meters",
    "bills",
    "savings",
    "programme-events",
    "overrides",
)


def send(browser, address, data, **headers):
    body = data if isinstance(data, str | bytes) else json.dumps(data)
    return browser.post(f"/api/v1/{address}", body, content_type="application/json", headers=headers)


# ---- who may come in


@pytest.mark.parametrize("address", [*READS, "readiness"])
def test_nobody_reads_without_a_key(db, client, address):
    answer = client.get(f"/api/v1/{address}")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("address", [*READS, "readiness"])
def test_a_key_without_the_read_scope_reads_nothing(depot, address):
    answer = caller(depot, "telemetry").get(f"/api/v1/{address}")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "scope" in answer.json()["detail"]


def test_a_key_may_write_only_what_its_scope_says(depot):
    meter = depot.meters.first()
    assert send(caller(depot, "read", "meters"), "telemetry", []).status_code == 403
    assert send(caller(depot, "read", "telemetry"), f"meters/{meter.pk}/readings", []).status_code == 403
    assert send(caller(depot, "telemetry"), "telemetry", []).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer nonsense", "Bearer dk00000000.nonsense", "bearer "])
def test_a_wrong_key_is_refused(db, client, scheme):
    answer = client.get("/api/v1/vehicles", headers={"Authorization": scheme})
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


def test_a_person_who_is_logged_in_reads_but_does_not_write(login, depot, viewer):
    browser = login(viewer)
    assert browser.get("/api/v1/vehicles").status_code == 200
    assert send(browser, "telemetry", []).status_code == 403


def test_a_session_without_a_csrf_token_is_refused(depot, viewer):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    answer = send(browser, "telemetry", [])
    assert (answer.status_code, "CSRF" in answer.json()["detail"]) == (403, True)


def test_too_many_calls_are_told_when_to_come_again(depot, monkeypatch):
    cache.clear()
    monkeypatch.setattr(UserRateThrottle, "get_rate", lambda self: "2/min")
    browser = caller(depot)
    assert [browser.get("/api/v1/vehicles").status_code for _ in range(3)] == [200, 200, 429]
    answer = browser.get("/api/v1/vehicles")
    assert answer.json()["code"] == "throttled" and 0 < int(answer["Retry-After"]) <= 60
    assert caller(depot).get("/api/v1/vehicles").status_code == 200, "another key has its own count"
    cache.clear()


# ---- one error shape


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("vehicles/999999999999999999999", 404, "not_found"),
        ("vehicles/abc", 404, "not_found"),
        ("vehicles/", 404, "not_found"),
        ("nothing", 404, "not_found"),
        ("vehicles?cursor=nonsense", 404, "not_found"),
        ("vehicles?cursor=cD1hYmM=", 404, "not_found"),
        ("sessions?cursor=cD1hYmM=", 404, "not_found"),
        ("vehicles?colour=red", 400, "unknown_parameter"),
        ("readiness?hours=3", 400, "unknown_parameter"),
        ("sessions?since=yesterday", 400, "invalid"),
        ("vehicles?depot=harbor", 404, "not_found"),
        ("plans/latest", 404, "no_plan"),
        ("jobs/00000000-0000-0000-0000-000000000000", 404, "not_found"),
    ],
)
def test_every_error_has_one_shape(depot, other_depot, address, status, code):
    answer = caller(depot).get(f"/api/v1/{address}")
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer["Content-Type"].startswith("application/problem+json")
    assert body["title"] and body["detail"]


def test_a_wrong_field_is_named(depot):
    body = caller(depot).get("/api/v1/sessions?since=yesterday").json()
    assert list(body["errors"]) == ["since"]


def test_a_wrong_method_is_named(depot):
    answer = caller(depot, "read", "telemetry").delete("/api/v1/telemetry")
    assert answer.status_code in (403, 405)
    assert answer.json()["code"] in ("permission_denied", "method_not_allowed")


def test_a_fault_of_the_program_has_the_same_shape_and_tells_no_secrets(depot, monkeypatch):
    def broken(*args):
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("charging.api.readiness", broken)
    answer = caller(depot).get("/api/v1/readiness")
    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert "hunter2" not in answer.content.decode()


def test_pages_outside_the_api_keep_their_own_404(db, client):
    assert "text/html" in client.get("/no-such-place/at/all")["Content-Type"]


# ---- what is answered


def test_reads_answer_with_units_and_names(depot):
    bus = make_vehicle(depot, "Bus 07", soc=0.62, vin="1BABNB8A1PF000001")
    charger = make_charger(depot, bus)
    make_block(depot, bus, "101")
    ChargingSession.objects.create(
        connector=Connector.objects.get(),
        vehicle=bus,
        transaction_id="t1",
        plugged_in_at=NOW,
        import_kwh=12.5,
    )
    raise_alert(depot, Cause("charger:1", "warning", "C-01 is silent"))
    browser = caller(depot)

    def results(address):
        answer = browser.get(f"/api/v1/{address}")
        assert answer.status_code == 200, answer.content
        return answer.json()["results"]

    (vehicle,) = results("vehicles")
    assert (vehicle["name"], vehicle["depot"], vehicle["vin"]) == ("Bus 07", "maple-street", bus.vin)
    assert (vehicle["state"]["soc_percent"], vehicle["state"]["soh_percent"]) == (62.0, 100.0)
    assert browser.get(f"/api/v1/vehicles/{bus.pk}").json() == vehicle
    assert results("vehicles?vin=nothing") == []
    (found,) = results("chargers")
    assert found["connectors"][0]["vehicle"] == bus.pk and found["node"] == "Grid"
    assert "password" not in json.dumps(found) and "identity" not in found
    (session,) = results("sessions?open=true")
    assert (session["charger"], session["import_kwh"]) == (charger.pk, 12.5)
    assert results("sessions?open=false") == results(f"sessions?vehicle={bus.pk + 1}") == []
    assert results("blocks")[0]["depart_minute"] == 390
    assert results("alerts?open=true")[0]["title"] == "C-01 is silent"
    assert len(results("meters")) == 3
    assert [row["slug"] for row in results("depots")] == ["maple-street"]


def test_a_vehicle_never_heard_of_has_no_state(depot):
    make_vehicle(depot, soc=None)
    assert caller(depot).get("/api/v1/vehicles").json()["results"][0]["state"] is None


def test_readiness_answers_the_coming_pull_outs(depot):
    bus = make_vehicle(depot, "Bus 07", soc=0.95)
    make_charger(depot, bus)
    make_block(depot, bus, "101")
    with time_machine.travel(NOW, tick=False):
        body = caller(depot).get("/api/v1/readiness").json()
    assert body["depot"] == "maple-street"
    (row,) = body["results"]
    assert (row["block_id"], row["vehicle"], row["vehicle_name"]) == ("101", bus.pk, "Bus 07")
    assert row["pull_out_at"] == "2026-03-11T10:30:00Z"
    assert row["state"] in ("ready", "on_track", "at_risk", "will_miss") and row["reason"]


def test_a_block_without_a_vehicle_is_answered_too(depot):
    make_block(depot, None, "101")
    with time_machine.travel(NOW, tick=False):
        (row,) = caller(depot).get("/api/v1/readiness").json()["results"]
    assert (row["vehicle"], row["vehicle_name"], row["state"]) == (None, None, "will_miss")


def make_plan(depot, made_at, **values) -> Plan:
    values = {"status": "optimal", "objective": 10.0, "bound": 10.0, "gap": 0.0, "seconds": 0.1} | values
    return Plan.objects.create(
        depot=depot,
        made_at=made_at,
        start_at=made_at,
        step_minutes=15,
        steps=4,
        trigger="clock",
        currency="USD",
        case={},
        answer={"version": 1, "vehicles": {}},
        unmanaged_cost=20.0,
        **values,
    )


def test_the_latest_plan_is_the_newest_of_the_depot(depot, other_depot):
    make_plan(depot, NOW - timedelta(minutes=15))
    newest = make_plan(depot, NOW)
    make_plan(other_depot, NOW + timedelta(minutes=15))
    body = caller(depot).get("/api/v1/plans/latest").json()
    assert (body["id"], body["depot"], body["plan"]) == (
        newest.pk,
        "maple-street",
        {"version": 1, "vehicles": {}},
    )


def test_a_job_is_read_by_its_id(depot):
    job = Job.objects.create(kind="plan", depot=depot, window="w", due_at=NOW, created_at=NOW, progress=0.5)
    body = caller(depot).get(f"/api/v1/jobs/{job.pk}").json()
    assert (body["id"], body["state"], body["progress"]) == (str(job.pk), "queued", 0.5)


def test_who_sees_several_depots_names_one(login, depot, other_depot):
    person = make_person(depot, "viewer")
    person.memberships.create(depot=other_depot, role="viewer")
    make_vehicle(depot, "Ours")
    make_vehicle(other_depot, "Theirs")
    browser = login(person)
    unnamed = browser.get("/api/v1/readiness")
    assert (unnamed.status_code, unnamed.json()["code"]) == (400, "depot_needed")
    assert browser.get("/api/v1/readiness?depot=harbor").status_code == 200
    names = [row["name"] for row in browser.get("/api/v1/vehicles?depot=harbor").json()["results"]]
    assert names == ["Theirs"]
    assert len(browser.get("/api/v1/vehicles").json()["results"]) == 2


def test_who_has_no_depot_is_told_so(login, db):
    answer = login(make_person(None)).get("/api/v1/readiness")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_depot")


def test_pages_follow_each_other_without_gap_or_repetition(depot):
    for number in range(7):
        make_vehicle(depot, f"Bus {number}", soc=None)
    browser, seen = caller(depot), []
    address = "/api/v1/vehicles?page_size=3"
    while address:
        body = browser.get(address).json()
        seen += [row["name"] for row in body["results"]]
        address = body["next"]
    assert seen == [f"Bus {number}" for number in range(7)]


@pytest.mark.parametrize("address", ["vehicles", "chargers", "sessions", "blocks"])
def test_a_page_takes_the_same_queries_however_long_it_is(depot, address):
    def fill(count):
        for _ in range(count):
            number = depot.vehicles.count()
            bus = make_vehicle(depot, f"Bus {number}")
            connector = make_charger(depot, bus).connectors.get()
            make_block(depot, bus, f"{number}")
            ChargingSession.objects.create(
                connector=connector, vehicle=bus, transaction_id="t", plugged_in_at=NOW
            )

    browser = caller(depot)
    browser.get(f"/api/v1/{address}")  # notes that the key was used

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(f"/api/v1/{address}").status_code == 200
        return len(captured)

    fill(1)
    few = queries()
    fill(5)
    assert queries() == few


# ---- meter readings


def reading(minutes=0, **values):
    at = (NOW + timedelta(minutes=minutes)).isoformat()
    return {"observed_at": at, "power_kw": 12.0, "import_kwh_total": 100.0} | values


@time_machine.travel(NOW, tick=False)
def test_meter_readings_are_kept_and_read_back(depot):
    meter = depot.meters.get(kind="grid")
    browser = caller(depot, "read", "meters")
    items = [reading(-10), reading(-5, export_kwh_total=3.0, quality="estimated"), reading(-10)]
    answer = send(browser, f"meters/{meter.pk}/readings", items).json()
    assert [row["status"] for row in answer["results"]] == ["accepted", "accepted", "duplicate"]
    assert answer["counts"]["accepted"] == 2
    rows = browser.get(f"/api/v1/meters/{meter.pk}/readings").json()["results"]
    assert [row["export_kwh_total"] for row in rows] == [3.0, 0.0]
    since = (NOW - timedelta(minutes=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert len(browser.get(f"/api/v1/meters/{meter.pk}/readings?since={since}").json()["results"]) == 1
    assert send(browser, f"meters/{meter.pk}/readings", items).json()["counts"]["duplicate"] == 3


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"power_kw": None}, "value_missing"),
        ({"import_kwh_total": -1}, "out_of_range"),
        ({"quality": "guessed"}, "unknown_quality"),
        ({"current_a": 4}, "unknown_field"),
    ],
)
def test_a_wrong_meter_reading_is_refused_alone(depot, values, code):
    meter = depot.meters.get(kind="grid")
    items = [reading(-1, **values), reading(-2)]
    answer = send(caller(depot, "meters"), f"meters/{meter.pk}/readings", items).json()
    assert [(row["status"], row["code"]) for row in answer["results"]] == [
        ("rejected", code),
        ("accepted", "accepted"),
    ]
    assert MeterReading.objects.count() == 1


@time_machine.travel(NOW, tick=False)
def test_a_meter_whose_clock_is_ahead_is_kept_as_suspect_and_is_an_alert(depot):
    meter = depot.meters.get(kind="grid")
    browser = caller(depot, "meters")
    answer = send(browser, f"meters/{meter.pk}/readings", [reading(180), reading(181)]).json()
    assert [(row["status"], row["code"]) for row in answer["results"]] == [
        ("accepted", "in_future"),
        ("duplicate", "duplicate"),
    ]
    row = MeterReading.objects.get()
    assert (row.observed_at, row.quality) == (NOW, "suspect")
    assert Alert.objects.get().title == f"The clock of meter {meter.name} is 181 min fast"
    send(browser, f"meters/{meter.pk}/readings", [reading(-1)])
    assert Alert.objects.get().cleared_at == NOW


# ---- the document


def test_the_schema_describes_every_address(db):
    schema = SchemaGenerator().get_schema(request=None, public=True)
    paths = set(schema["paths"])
    for address in (*READS, "telemetry", "plans/latest", "readiness", "jobs/{id}", "meters/{meter}/readings"):
        assert f"/api/v1/{address}" in paths
    item = schema["components"]["schemas"]["TelemetryItem"]
    assert set(item["properties"]) == {
        "vehicle", "observed_at", "soc_percent", "odometer_km", "energy_used_kwh_total", "battery_temp_c",
        "outside_temp_c", "soh_percent", "lat", "lon", "plugged_in", "charging_power_kw", "source_event_id",
    }  # fmt: skip
    assert item["required"] == ["observed_at", "vehicle"]
    listing = schema["paths"]["/api/v1/vehicles"]["get"]
    assert {"depot", "cursor", "page_size", "vin"} <= {row["name"] for row in listing["parameters"]}


def test_the_documents_need_a_log_in(client, login, viewer):
    assert client.get("/api/schema/").status_code in (401, 403)
    asked = client.get("/api/docs/")
    assert (asked.status_code, asked["Location"]) == (302, "/log-in/?next=/api/docs/")
    browser = login(viewer)
    for address in ("/api/schema/", "/api/docs/"):
        assert browser.get(address).status_code == 200


def test_the_reader_of_the_documents_keeps_to_the_content_policy(login, viewer):
    """No script stands in the page itself, and none comes from elsewhere."""
    page = login(viewer).get("/api/docs/").content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert all(source.startswith("/") for source in re.findall(r'<script[^>]*src="([^"]+)"', page))


def test_a_database_that_is_away_is_said_and_when_to_come_again(depot, viewer, login, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr("charging.api.readiness", away)
    monkeypatch.setattr("depot.project.pages.redirect", away)
    program, page = caller(depot).get("/api/v1/readiness"), login(viewer).get("/")
    assert program.json()["code"] == "database_unavailable"
    assert "send it again" in page.content.decode()
    for answer in (program, page):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "server closed" not in answer.content.decode()


# ---- values that no database can compare


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("sessions?vehicle=1e30", 400),
        ("sessions?vehicle=99999999999999999999999", 400),
        ("sessions?charger=-1", 400),
        ("blocks?vehicle=NaN", 400),
        ("overrides?vehicle=1e30", 400),
        ("sessions?since=0001-01-01T00:00:00%2B14:00", 400),
        ("alerts?since=9999-12-31T23:59:59-12:00", 400),
        ("bills?since=9999-12-31T23:59:59-12:00", 400),
        ("vehicles?depot=%00", 400),
        ("plans/latest?depot=%00", 400),
        ("readiness?depot=%00", 400),
        ("sessions?vehicle=1&since=2026-03-10T15:00:00Z", 200),
    ],
)
def test_a_filter_that_cannot_be_compared_is_refused_in_words(depot, address, status):
    found = caller(depot).get(f"/api/v1/{address}")
    assert found.status_code == status, found.content
    assert status == 200 or found.json()["code"] in ("invalid", "bad_address")


@pytest.mark.parametrize(
    ("address", "status"),
    [("schedules/?q=%00", 400), ("savings/?month=9999-12", 404), ("savings/?month=0001-01", 404)],
)
def test_a_page_refuses_an_address_it_cannot_read(login, manager, depot, address, status):
    assert login(manager).get(f"/{depot.slug}/{address}").status_code == status
