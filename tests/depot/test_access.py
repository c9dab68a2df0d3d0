"""Who comes in: keys, roles, the door of pages; and every address replayed by strangers.

The replay takes its addresses from the URL map, so that a new route is covered the day it is written.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import connection
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from django.utils.regex_helper import normalize
from rest_framework.throttling import UserRateThrottle

from billing.models import (
    Bill,
    BillInputs,
    Interval,
    KnownPeak,
    PricePoint,
    PriceSeries,
    ProgrammeEvent,
    SavingsBand,
    SavingsStatement,
    Tariff,
    UtilityBill,
    UtilityLine,
)
from charging.models import (
    ChargerCertificate,
    ChargerCommand,
    ChargingSession,
    Dialect,
    NotReady,
    Override,
    Plan,
    StationNotice,
    StationVariable,
)
from depot.access.keys import find_key, make_key, revoke
from depot.access.pages import depot_page
from depot.access.roles import ABILITIES, abilities, depots_where, may
from depot.alerts import raise_alert
from depot.alerts.services import Cause
from depot.models import (
    AlertMail,
    AlertPreference,
    ApiKey,
    AuditEvent,
    Depot,
    ImportBatch,
    Job,
    Membership,
    MeterReading,
    MeterSource,
    Role,
    Scope,
    Scoped,
    User,
    Webhook,
    WebhookDelivery,
)
from fleet.models import (
    Assignment,
    BatteryHealth,
    ChargingRequest,
    DayTemperature,
    IngestBatch,
    LearntConsumption,
    MeasuredTrip,
    Outage,
    QuarantinedReading,
    ScheduleSettings,
    ServiceCalendar,
    TelematicsFeed,
)
from tests.factories import NOW, grid_of, make_array, make_block, make_charger, make_person, make_vehicle

# ---- keys


def test_a_key_is_found_by_its_only_readable_copy_and_kept_as_a_digest(depot):
    key, raw = make_key(depot, "Telematics", ["telemetry", "read", "read"])
    assert find_key(raw) == key
    assert key.scopes == ["read", "telemetry"]
    assert raw not in str(ApiKey.objects.values().get())
    assert len(raw) > 40


@pytest.mark.parametrize("change", ["x", "", "."])
def test_a_key_that_is_almost_right_is_wrong(depot, change):
    _, raw = make_key(depot, "Telematics", ["read"])
    assert find_key(raw[:-1] + change if change else raw[:-1]) is None
    assert find_key(raw.partition(".")[0]) is None


def test_a_key_ends_when_it_expires_or_is_revoked(depot, manager):
    with time_machine.travel(NOW, tick=False):
        key, raw = make_key(depot, "Short", ["read"], expires_at=NOW + timedelta(days=1))
        assert find_key(raw) == key
    with time_machine.travel(NOW + timedelta(days=1), tick=False):
        assert find_key(raw) is None
    with time_machine.travel(NOW, tick=False):
        revoke(key, manager)
        revoke(key, manager)
        assert find_key(raw) is None
    assert list(AuditEvent.objects.values_list("verb", flat=True)) == ["key.revoked", "key.made"]


def test_the_last_use_is_noted_once_a_minute(depot, django_assert_num_queries):
    with time_machine.travel(NOW, tick=False):
        _, raw = make_key(depot, "Telematics", ["read"])
        find_key(raw)
    assert ApiKey.objects.get().last_used_at == NOW
    with time_machine.travel(NOW + timedelta(seconds=50), tick=False), django_assert_num_queries(1):
        find_key(raw)


@pytest.mark.parametrize("scopes", [[], ["everything"]])
def test_a_key_needs_scopes_that_exist(depot, scopes):
    with pytest.raises(ValueError, match="Known: read"):
        make_key(depot, "Odd", scopes)


def test_the_command_prints_a_key_once(depot, capsys):
    call_command(
        "make_api_key", depot.slug, "Telematics", "--scope", "read", "--scope", "telemetry", "--days", "30"
    )
    printed = capsys.readouterr()
    key = find_key(printed.out.strip())
    assert (key.depot, key.name, key.scopes) == (depot, "Telematics", ["read", "telemetry"])
    assert timedelta(days=29, hours=23) < key.expires_at - key.created_at < timedelta(days=30, hours=1)
    assert "cannot be shown again" in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "x", "--scope", "read"], "no depot “nowhere”. Known: maple-street"),
        (["maple-street", "x"], "--scope"),
        (["maple-street", "x", "--scope", "all"], "invalid choice"),
        (["maple-street", "x", "--scope", "read", "--days", "0"], "number of days"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(depot, arguments, words):
    with pytest.raises(CommandError, match=re.escape(words)):
        call_command("make_api_key", *arguments)
    assert not ApiKey.objects.exists()


# ---- roles


def test_each_role_may_do_what_the_table_says(depot):
    expected = {
        "viewer": {"view"},
        "dispatcher": {"view", "write_schedules", "replan", "override", "handle_alerts"},
        "technician": {"view", "handle_alerts", "set_up_site", "command_chargers", "write_tariffs"},
        "manager": set(ABILITIES) - {"manage_people"},
        "owner": set(ABILITIES),
    }
    assert set(expected) == set(Role.values)
    for role, allowed in expected.items():
        assert abilities(make_person(depot, role), depot) == allowed


def test_a_role_counts_in_its_depot_alone_and_a_change_counts_at_once(depot, other_depot, manager):
    assert may(manager, depot, "set_up_site") and not may(manager, other_depot, "view")
    assert list(depots_where(manager, "set_up_site")) == [depot.pk]
    Membership.objects.filter(user=manager).update(role="viewer")
    assert not may(manager, depot, "set_up_site")
    assert list(depots_where(manager, "set_up_site")) == []


def test_a_superuser_may_everything_and_an_unknown_ability_is_a_mistake(depot, other_depot):
    root = User.objects.create_superuser("root")
    assert abilities(root, depot) == set(ABILITIES)
    assert set(depots_where(root, "view")) == {depot.pk, other_depot.pk}
    with pytest.raises(KeyError):
        may(root, depot, "fly")


# ---- the door of pages


@depot_page("write_schedules")
def page(request, depot):
    return HttpResponse(f"{depot} {sorted(request.abilities)}")


def visit(user, slug="maple-street"):
    request = RequestFactory().get("/")
    request.user = user
    return page(request, slug)


def test_the_door_lets_in_who_may_and_tells_the_page_what_else(dispatcher):
    assert b"Maple Street" in visit(dispatcher).content


def test_the_door_is_closed_to_others(depot, viewer, outsider, client):
    from django.contrib.auth.models import AnonymousUser

    assert visit(AnonymousUser()).status_code == 302
    with pytest.raises(Http404):
        visit(outsider)
    with pytest.raises(Http404):
        visit(viewer, "no-such-depot")
    with pytest.raises(PermissionDenied, match="Ask an owner"):
        visit(viewer)


# ---- every address, replayed by strangers

pytestmark = pytest.mark.any_database

MARK = "Secret-Garden"
VERBS = ("get", "post", "put", "patch", "delete")
OPEN = {"/health/live", "/health/ready", "/log-in/", "/log-out/", "/admin/login/", "/admin/logout/"}
CLOSED = {301, 302, 400, 401, 403, 404, 405, 413, 415}


def fill(depot: Depot) -> list[str]:
    """Put a row of every kind into the depot, each with the mark in its texts; return their ids."""
    meter = depot.meters.first()
    meter.name = MARK
    meter.save()
    reading = MeterReading.objects.create(
        meter=meter, observed_at=NOW, received_at=NOW, power_kw=1, import_kwh_total=1
    )
    source = MeterSource.objects.create(
        meter=meter, kind="mqtt", host=MARK, topic=MARK, trouble=MARK, changed_at=NOW
    )
    hook = Webhook.objects.create(depot=depot, name=MARK, url=f"https://{MARK}.example", topics=["plans"])
    told = WebhookDelivery.objects.create(webhook=hook, event=MARK, body=MARK, created_at=NOW, next_at=NOW)
    job = Job.objects.create(kind=MARK, depot=depot, window=MARK, due_at=NOW, created_at=NOW)
    make_array(depot, name=f"{MARK} roof")
    raise_alert(depot, Cause(MARK, "warning", MARK))
    reader = make_person(depot, "manager", f"{MARK} reader")
    AlertPreference.objects.create(depot=depot, user=reader)
    AlertMail.objects.create(depot=depot, user=reader, key=MARK, sent_at=NOW)
    make_key(depot, MARK, ["read"])
    rows = [
        depot, meter, reading, source, hook, told, job, grid_of(depot), *depot.alerts.all(), *depot.api_keys.all(),
        *depot.audit_events.all(), *depot.solar_arrays.all(), *fill_fleet(depot), *fill_money(depot),
    ]  # fmt: skip
    return sorted({str(row.pk) for row in rows})


def fill_fleet(depot: Depot) -> list[Scoped]:
    """Put a vehicle with all that hangs on it, a schedule, a charger and a plan into the depot."""
    bus = make_vehicle(depot, f"{MARK} bus", vin="SECRETVIN00000001", external_id=f"{MARK}-7")
    charger = make_charger(depot, bus, name=f"{MARK} charger", identity=MARK)
    connector = charger.connectors.get()
    calendar = ServiceCalendar.objects.create(depot=depot, name=f"{MARK} calendar")
    block = make_block(depot, bus, f"{MARK} block", calendar=calendar)
    Assignment.objects.create(
        block=block, service_date=date(2026, 3, 11), vehicle=bus, made_at=NOW, reason=MARK
    )
    session = ChargingSession.objects.create(
        connector=connector, vehicle=bus, transaction_id=MARK, plugged_in_at=NOW
    )
    plan = Plan.objects.create(
        depot=depot, made_at=NOW, start_at=NOW, step_minutes=15, steps=1, trigger=MARK, status="optimal",
        objective=1, bound=1, gap=0, seconds=1, currency="USD", case={}, answer={"name": MARK}, unmanaged_cost=2,
    )  # fmt: skip
    command = ChargerCommand.objects.create(
        charger=charger, action=MARK, created_at=NOW, expires_at=NOW, plan=plan
    )
    BatteryHealth.objects.create(
        vehicle=bus, date=date(2026, 3, 9), computed_at=NOW, soh=0.9, soh_uncertainty=0.01, calendar_loss=0.05,
        cycling_loss=0.05, v2g_loss=0.01, trend_per_year=0.02, equivalent_full_cycles=1, throughput_kwh=1,
        v2g_throughput_kwh=0, hours_above_80=0, wear_cost_per_kwh=0.05, model=MARK,
    )  # fmt: skip
    batch = ImportBatch.objects.create(
        depot=depot, kind="schedule", file_format="csv", file_name=MARK, file_digest="0", content=b"",
        uploaded_at=NOW,
    )  # fmt: skip
    DayTemperature.objects.create(depot=depot, date=date(2026, 3, 9), outside_temp_c=4, source="told")
    MeasuredTrip.objects.create(
        vehicle=bus, service_date=date(2026, 3, 9), block_id=MARK, pull_out_at=NOW, pull_in_at=NOW, out_at=NOW,
        in_at=NOW, distance_km=40, distance_source="odometer", energy_kwh=40, energy_source="soc",
    )  # fmt: skip
    LearntConsumption.objects.create(
        vehicle=bus, date=date(2026, 3, 9), computed_at=NOW, kwh_per_km=1, points=[[20, 1, 0.1]], trips=1,
        fleet_trips=1, spread=0.1,
    )  # fmt: skip
    QuarantinedReading.objects.create(
        depot=depot, vehicle_ref=MARK, observed_at=NOW, received_at=NOW, payload={}
    )
    ingested = IngestBatch.objects.create(
        depot=depot, received_at=NOW, sender=MARK, items=1, first_problem=MARK, problems=[{"item": MARK}]
    )
    order = Override.objects.create(
        depot=depot, vehicle=bus, kind="hold", from_at=NOW, to_at=NOW + timedelta(days=30), made_at=NOW,
        made_by_name=MARK, reason=MARK,
    )  # fmt: skip
    outage = Outage.objects.create(vehicle=bus, from_at=NOW, reason=MARK, made_at=NOW)
    NotReady.objects.create(
        depot=depot, vehicle=bus, vehicle_name=bus.name, block_id=MARK, duty_key=MARK, pull_out_at=NOW,
        service_date=date(2026, 3, 9), required_soc=0.5, cause="short", because=MARK, written_at=NOW,
    )  # fmt: skip
    settings = ScheduleSettings.objects.create(depot=depot, columns={MARK: ""})
    request = ChargingRequest.objects.create(
        depot=depot, presystem=MARK, request_id=MARK, vehicle=bus, vehicle_ref=MARK, received_at=NOW
    )
    dialect = Dialect.objects.create(depot=depot, vendor=MARK)
    notice = StationNotice.objects.create(charger=charger, kind=MARK, received_at=NOW, data={"x": MARK})
    StationVariable.objects.create(charger=charger, variable=MARK, reported_at=NOW)
    ChargerCertificate.objects.create(
        charger=charger, fingerprint=MARK, serial=MARK, not_before=NOW, not_after=NOW, issued_at=NOW
    )
    feed = TelematicsFeed.objects.create(
        depot=depot, kind="samsara", server=MARK, trouble=MARK, changed_at=NOW
    )
    made = [feed, bus, bus.type, charger, connector, calendar, block, session, plan, command, batch, order]
    return [*made, settings, request, dialect, notice, outage, ingested]


def fill_money(depot: Depot) -> list[Scoped]:
    """Put a tariff, an interval, bills and savings into the depot."""
    tariff = Tariff.objects.create(
        depot=depot, name=MARK, valid_from=date(2026, 1, 1), definition={"x": MARK}
    )
    Interval.objects.create(
        depot=depot, start_at=NOW, minutes=15, import_kwh=1, export_kwh=0, building_kwh=1, solar_kwh=0,
        charge_kwh=0, discharge_kwh=0, tariff=tariff, closed_at=NOW,
    )  # fmt: skip
    actual, unmanaged = (
        Bill.objects.create(
            depot=depot, tariff=tariff, scenario=scenario, start_at=NOW, end_at=NOW, covered_to=NOW, state="final",
            closed_at=NOW, currency="USD", total=1, computed_at=NOW,
        )
        for scenario in ("actual", "unmanaged")
    )  # fmt: skip
    series = PriceSeries.objects.create(depot=depot, kind="market", area="SE3", problem=MARK)
    PricePoint.objects.create(series=series, start_at=NOW, minutes=15, per_kwh=1, read_at=NOW)
    savings = SavingsStatement.objects.create(
        depot=depot, start_at=NOW, end_at=NOW, actual=actual, unmanaged=unmanaged, currency="USD",
        wear_added=0, net_saving=1, steps=[{"label": MARK}], computed_at=NOW,
    )  # fmt: skip
    band = SavingsBand.objects.create(
        depot=depot, start_at=NOW, low=1, high=2, cases=[{"case": MARK}], computed_at=NOW
    )
    inputs = BillInputs.objects.create(
        bill=actual, engine=MARK, time_zone="UTC", tariffs=[{"x": MARK}], peaks={}, load=b"", load_sha256=MARK
    )
    peak = KnownPeak.objects.create(depot=depot, month=date(2026, 1, 1), charge=MARK, kw=1)
    theirs = UtilityBill.objects.create(
        depot=depot, start_at=NOW, end_at=NOW, number=MARK, currency="USD", total=1, entered_at=NOW
    )
    UtilityLine.objects.create(utility_bill=theirs, position=0, label=MARK, amount=1)
    event = ProgrammeEvent.objects.create(
        depot=depot,
        programme=MARK,
        start_at=NOW,
        end_at=NOW + timedelta(hours=1),
        pay_per_kwh=1,
        notified_at=NOW,
    )
    return [event, series, band, tariff, actual, unmanaged, savings, inputs, peak, theirs]


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield every address of the URL map as a format string with the names of its parts."""
    for entry in resolver.url_patterns:
        (shape, _), *_ = normalize(entry.pattern.regex.pattern)
        if isinstance(entry, URLPattern):
            yield before + shape, re.findall(r"%\((\w+)\)s", before + shape)
        else:
            yield from routes(entry, before + shape)


def addresses(own: Depot, foreign: Depot, ids: list[str]) -> Iterator[str]:
    """Yield every address with every id of a foreign row in it, below the foreign and below one's own depot."""
    for shape, names in routes(get_resolver()):
        slugs = [foreign.slug, own.slug] if "slug" in names and len(set(names)) > 1 else [foreign.slug]
        for slug in slugs:
            for value in ids if set(names) - {"slug"} else [""]:
                path = "/" + shape % {name: slug if name == "slug" else value for name in names}
                try:
                    resolve(path)
                except Resolver404:
                    continue
                yield path


@pytest.fixture
def prey(other_depot) -> list[str]:
    """Fill a depot with rows that nobody else may see."""
    count_alike()
    Depot.objects.filter(pk=other_depot.pk).update(name=MARK, slug="secret-garden")
    other_depot.refresh_from_db()
    return fill(other_depot)


def count_alike() -> None:
    """Let rows of all kinds have the same few ids, as on an unused database: the replays try every one."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            for sequence in connection.introspection.get_sequences(cursor, table):
                name = connection.ops.quote_name(sequence["name"])
                cursor.execute(f"ALTER SEQUENCE {name} RESTART WITH 900")


@pytest.fixture(autouse=True)
def unthrottled(monkeypatch):
    """Let the replays through: their thousands of calls must not end at the rate limit."""
    monkeypatch.setattr(UserRateThrottle, "get_rate", lambda self: None)


@pytest.fixture
def mine(db) -> Depot:
    """Make a depot without any row, whose own id is none of the filled depot's."""
    return Depot.objects.create(
        pk=98_765, name="Mine", slug="mine", time_zone="America/New_York", latitude=36, longitude=-80
    )


def tells(answer) -> bool:
    """Tell whether an answer gives away anything of the filled depot."""
    body = b"".join(answer) if answer.streaming else answer.content
    return MARK.encode() in body or b"SECRETVIN" in body


def test_the_prey_has_a_row_of_almost_every_kind(prey, other_depot):
    """A new kind of row must be put into `fill`, or named here with the reason why not."""
    from django.apps import apps

    unseen = {
        "Forecast": "a series without a text",
        "StationaryBattery": "shown on the depot's own page alone",
        "InterconnectionAgreement": "made with the depot",
        "CalendarException": "shown with its calendar alone",
        "TelemetryReading": "has no address of its own",
        "MeterSample": "has no address of its own",
        "PeakOutlook": "has no address of its own; plans say what they took from it",
        "VehicleDay": "a series without a text, shown in reports alone",
        "PlanSlot": "has no address of its own",
        "BillLine": "shown with its bill alone",
        "Membership": "shown on the depot's own page alone",
        "IdempotencyKey": "has no address of its own",
    }
    scoped = [model for model in apps.get_models() if issubclass(model, Scoped)]
    empty = {model.__name__ for model in scoped if not model.objects.of_depot(other_depot).exists()}
    assert empty <= set(unseen), "put a row of it into fill()"


def test_the_url_map_is_really_walked(mine, other_depot, prey):
    found = set(addresses(mine, other_depot, prey))
    bus = other_depot.vehicles.get()
    job = other_depot.jobs.get()
    assert {
        "/api/v1/vehicles",
        f"/api/v1/vehicles/{bus.pk}",
        f"/api/v1/jobs/{job.pk}",
        "/secret-garden/",
        f"/admin/fleet/vehicle/{bus.pk}/change/",
    } <= found
    assert len(found) > 200


def test_nobody_without_a_log_in_sees_anything(mine, other_depot, prey):
    visitor = Client(raise_request_exception=False)
    for path in sorted(set(addresses(mine, other_depot, prey))):
        answer = visitor.get(path)
        assert not tells(answer), path
        if path not in OPEN:
            assert answer.status_code in CLOSED, (path, answer.status_code)


def replay(browser: Client, paths: list[str]) -> None:
    """Send every verb to every address; nothing may be told, nothing may be done, nothing may break."""
    for path in paths:
        for verb in VERBS:
            answer = getattr(browser, verb)(path, *(([], "application/json") if verb != "get" else ()))
            assert not tells(answer), (verb, path)
            assert answer.status_code < 500, (verb, path, answer.status_code)


def counts(depot: Depot) -> dict[str, int]:
    from django.apps import apps

    return {
        model.__name__: model.objects.of_depot(depot).count()
        for model in apps.get_models()
        if issubclass(model, Scoped)
    }


@pytest.mark.parametrize("staff", [False, True], ids=["person", "staff"])
def test_the_owner_of_another_depot_sees_and_changes_nothing(login, mine, other_depot, prey, staff):
    stranger = make_person(mine, "owner")
    stranger.is_staff = staff
    stranger.save()
    before = counts(other_depot)
    paths = [path for path in set(addresses(mine, other_depot, prey)) if path not in OPEN]
    browser = login(stranger)
    browser.raise_request_exception = False
    replay(browser, sorted(paths))
    assert counts(other_depot) == before
    slug_pages = [path for path in paths if path.startswith("/secret-garden/")]
    assert slug_pages and {browser.get(path).status_code for path in slug_pages} <= {404, 405}


def test_a_person_without_any_depot_sees_nothing(login, mine, other_depot, prey):
    browser = login(make_person(None))
    for path in sorted(set(addresses(mine, other_depot, prey)) - OPEN):
        answer = browser.get(path)
        assert not tells(answer), path
        if path.startswith(("/secret-garden/", "/mine/")):
            assert answer.status_code in (404, 405), path


def test_another_depots_key_gets_404_for_every_row(mine, other_depot, prey):
    _, raw = make_key(mine, "ours", Scope.values)
    program = Client(headers={"Authorization": f"Bearer {raw}"}, raise_request_exception=False)
    before = counts(other_depot)
    paths = {path for path in addresses(mine, other_depot, prey) if path.startswith("/api/v1/")}
    replay(program, sorted(paths))
    assert counts(other_depot) == before
    with_id = {path for path in paths if any(part in prey for part in path.split("/")[3:])}
    assert len(with_id) > 20
    absent = program.get("/api/v1/vehicles/987654321")
    for path in sorted(with_id):
        answer = program.get(path)
        assert answer.status_code == 404, path
        assert answer.content == absent.content, "a foreign row must look like none at all"
    assert program.get("/api/v1/vehicles?depot=secret-garden").status_code == 404
    assert program.get(f"/api/v1/jobs/{uuid.uuid4()}").content == absent.content


def test_a_key_opens_no_page_and_no_admin(depot):
    _, raw = make_key(depot, "ours", Scope.values)
    program = Client(headers={"Authorization": f"Bearer {raw}"})
    assert program.get("/maple-street/").status_code == 302
    assert program.get("/admin/").status_code == 302
