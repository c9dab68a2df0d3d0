"""Reports: their parts are the bill, their numbers those of the Bills and Savings pages, for the depot's people."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from billing.models import Interval, PriceSeries
from billing.selectors.bills import bill_of_month
from billing.selectors.emissions import emissions_of
from billing.selectors.ledger import read_ledger
from billing.selectors.savings import statement_of
from billing.services.bills import bill_month
from billing.services.ledger import Measured, Unmanaged, record, record_unmanaged
from billing.services.market import store
from billing.sources import Point
from charging.models import ChargingSession, Connector, MeterSample, NotReady, VehicleDay
from charging.selectors.port_uptime import port_uptimes
from charging.selectors.report import month_report, year_report
from charging.services import report_work
from charging.services.operations import operate
from charging.services.vehicle_days import record_day, record_vehicle_days
from charging.views.reports import PARTS
from depot.jobs import enqueue
from depot.jobs import services as jobs
from depot.models import Alert, Depot, Job, User
from depot.templatetags.depot_pages import cents, money
from depot.timegrid import TimeGrid, month_bounds
from fleet.models import Vehicle
from tests.billing.money import make_tariff, month_grid
from tests.factories import make_block, make_charger, make_person, make_vehicle

pytestmark = pytest.mark.any_database

FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)
NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
BUILDING_KW, CHARGE_KW, GIVE_KW = 30.0, 40.0, 20.0
PAGE_QUERIES = 60


@pytest.fixture(autouse=True)
def at_now():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def buses(depot: Depot) -> list[Vehicle]:
    """Make two buses that in February charge an hour each midnight; the second gives back an hour from 17:00."""
    depot.step_minutes = 60
    depot.save()
    make_tariff(depot)
    buses = [make_vehicle(depot, f"Bus 0{number}") for number in (1, 2)]
    for number, bus in enumerate(buses):
        make_charger(depot, bus)
        make_block(depot, bus, f"{number}01", energy_kwh=40.0)
        make_block(depot, bus, f"{number}02", depart_minute=600, return_minute=660, energy_kwh=10.0)
        _session(bus, gives=number == 1)
    grid = month_grid(depot, FEBRUARY)
    _ledger(depot, grid)
    bill_month(depot, FEBRUARY, NOW)
    for day in range(28):
        record_day(depot, FEBRUARY + timedelta(days=day), NOW)
    return buses


def _power_kw(depot: Depot, at: datetime, gives: bool) -> float:
    hour = depot.local(at).hour
    return CHARGE_KW if hour == 0 else -GIVE_KW if gives and hour == 17 else 0.0


def _session(bus: Vehicle, *, gives: bool) -> None:
    start_at, end_at = month_bounds(FEBRUARY, bus.depot.tz)
    session = ChargingSession.objects.create(
        connector=bus.connectors.get(), vehicle=bus, transaction_id="1", plugged_in_at=start_at,
        unplugged_at=end_at, last_sample_at=end_at,
    )  # fmt: skip
    into = out = 0.0
    samples = []
    for at in (*TimeGrid(start_at, 60, 28 * 24).times(), end_at):
        before = _power_kw(bus.depot, at - timedelta(hours=1), gives) if at > start_at else 0.0
        into, out = into + max(before, 0.0), out + max(-before, 0.0)
        power = _power_kw(bus.depot, at, gives)
        samples.append(
            MeterSample(session=session, sampled_at=at, received_at=at, power_kw=power, import_kwh_total=into,
                        export_kwh_total=out)
        )  # fmt: skip
    MeterSample.objects.bulk_create(samples)


def _ledger(depot: Depot, grid: TimeGrid) -> None:
    rows, baseline = [], []
    for at in grid.times():
        powers = [_power_kw(depot, at, gives) for gives in (False, True)]
        charge, give = sum(max(p, 0) for p in powers), sum(max(-p, 0) for p in powers)
        net = BUILDING_KW + charge - give
        rows.append(Measured(at, net, 0.0, BUILDING_KW, 0.0, charge, give, 0.01))
        baseline.append(Unmanaged(at, charge, BUILDING_KW + 120, 0.0, True))
    record(depot, rows, grid.end_at)
    record_unmanaged(depot, baseline, grid.end_at)


def url(depot: Depot, view: str = "report", *args: str) -> str:
    return reverse(f"charging:{view}", args=[depot.slug, *args])


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    plain = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+([,.;:])", r"\1", " ".join(plain.split()).replace("\u00a0", " "))


def table(client: Client, depot: Depot, period: str, part: str) -> list[dict[str, str]]:
    response = client.get(url(depot, "report-part", period, part))
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.content.decode().removeprefix("\ufeff"))))


# --- the numbers


def test_the_vehicles_and_the_site_are_the_bill_to_the_cent(depot: Depot, buses: list[Vehicle]) -> None:
    report = month_report(depot, FEBRUARY, NOW)
    bill = bill_of_month(depot, month_bounds(FEBRUARY, depot.tz)[0])
    assert report is not None and bill is not None
    assert report.shared.total + report.site.total == report.total == bill.total
    one, two = report.vehicles
    assert one.charged_kwh == pytest.approx(28 * 40) and two.given_kwh == pytest.approx(28 * 20)
    assert one.share.energy == Decimal("112.00")  # 1,120 kWh at 0.10
    assert two.share.energy == Decimal("112.00") - Decimal("168.00")  # less 560 kWh at 0.30
    assert one.share.demand == round(Decimal(1100) * 40 / 110, 2)  # 10 a kW at midnight: 30 + 40 + 40
    assert one.share.other == round(Decimal(100) * Decimal(1120) / Decimal(28 * 24 * 30 + 2240), 2)


def test_energy_and_wear_are_those_of_the_ledger(depot: Depot, buses: list[Vehicle]) -> None:
    report = month_report(depot, FEBRUARY, NOW)
    assert report is not None
    assert sum(row.charged_kwh for row in report.vehicles) == pytest.approx(report.flows["charge_kwh"])
    assert sum(row.given_kwh for row in report.vehicles) == pytest.approx(report.flows["discharge_kwh"])
    statement = statement_of(depot, month_bounds(FEBRUARY, depot.tz)[0])
    assert statement is not None
    assert (report.net_saving, report.wear) == (statement.net_saving, statement.wear_added)
    assert report.unmanaged_total == statement.unmanaged.total


def test_blocks_share_what_their_vehicles_cost_by_energy(depot: Depot, buses: list[Vehicle]) -> None:
    report = month_report(depot, FEBRUARY, NOW)
    assert report is not None
    assert [(row.block_id, row.runs) for row in report.blocks] == [
        ("001", 20),
        ("002", 20),
        ("101", 20),
        ("102", 20),
    ]
    assert sum(row.cost for row in report.blocks) == report.shared.total
    morning, noon = report.blocks[:2]
    assert morning.energy_kwh == pytest.approx(800) and morning.distance_km == pytest.approx(800)
    assert float(morning.cost / noon.cost) == pytest.approx(4, rel=1e-3)


def test_a_vehicle_without_a_block_keeps_its_part_apart(depot: Depot, buses: list[Vehicle]) -> None:
    buses[0].blocks.all().delete()
    cache.clear()
    report = month_report(depot, FEBRUARY, NOW)
    assert report is not None
    assert report.blocks[-1].block_id == "" and report.blocks[-1].cost == report.vehicles[0].share.total


def test_pages_say_the_same_as_bills_and_savings(
    login, depot: Depot, buses: list[Vehicle], viewer: User
) -> None:
    client = login(viewer)
    text = text_of(client, url(depot, "reports"))
    bills = text_of(client, f"/{depot.slug}/bills/2026-02/")
    savings = text_of(client, f"/{depot.slug}/savings/?month=2026-02")
    report = month_report(depot, FEBRUARY, NOW)
    assert report is not None
    for page in (text, bills, savings):
        assert cents(report.total, "USD") in page
    assert money(report.net_saving, "USD") in savings and cents(report.wear, "USD") in savings
    assert f"Managed charging saved {cents(report.net_saving, 'USD')}" in text
    assert f"February 2026 cost {cents(report.total, 'USD')}" in text
    assert "Bus 01 1,120 kWh 0 kWh $112.00" in text


def test_a_year_is_the_sum_of_its_months(depot: Depot, buses: list[Vehicle]) -> None:
    march = TimeGrid(month_bounds(MARCH, depot.tz)[0], 60, 24)
    _ledger(depot, march)
    bill_month(depot, NOW.date(), NOW)
    months = [month_report(depot, first, NOW) for first in (FEBRUARY, MARCH)]
    year = year_report(depot, 2026, NOW)
    assert year is not None and None not in months
    assert year.months == (FEBRUARY, MARCH)
    assert year.total == sum(month.total for month in months if month)
    assert year.shared.total + year.site.total == year.total
    assert year.net_saving == sum(month.net_saving for month in months if month)
    assert year_report(depot, 2025, NOW) is None
    assert [report_work.from_json(report_work.as_json(month)) for month in months if month] == [
        month for month in months if month
    ]


def test_a_year_nobody_has_worked_out_is_waited_for_and_kept_for_every_process(
    login, depot: Depot, buses: list[Vehicle], monkeypatch
) -> None:
    monkeypatch.setattr(report_work, "MOST_AT_ONCE", 0)
    browser = login(make_person(depot, "viewer"))
    path = reverse("charging:report", args=[depot.slug, "2026"])
    waiting = browser.get(path)
    job = Job.objects.get(kind="report")
    assert waiting.url.startswith(reverse("depot:job", args=[depot.slug, job.pk]))
    assert browser.get(path).url == waiting.url, "the same months are worked out once"
    assert "Report of the year: waiting for its turn" in browser.get(waiting.url).content.decode()
    jobs.run(job.pk, beat=False)
    cache.clear()  # another process
    answer = browser.get(waiting.url, follow=True)
    assert answer.status_code == 200 and "2026 cost" in answer.content.decode()
    cache.clear()
    Job.objects.filter(pk=job.pk).update(kind="gone")
    nightly = enqueue("report", depot, "2026-03-10")
    jobs.run(nightly.pk, beat=False)
    cache.clear()
    assert browser.get(path).status_code == 200


def test_co2_is_that_of_the_savings_page(login, depot: Depot, buses: list[Vehicle], viewer: User) -> None:
    span = month_bounds(FEBRUARY, depot.tz)
    series = PriceSeries.objects.create(depot=depot, kind="co2_marginal", source="file")
    grid = TimeGrid(span[0], 60, 28 * 24)
    store(series, [Point(at, 60, Decimal("0.4")) for at in grid.times()], NOW)
    report = month_report(depot, FEBRUARY, NOW)
    assert report is not None
    [(_, expected)] = emissions_of(depot, read_ledger(depot, *span))
    assert report.co2[0].avoided_kg == pytest.approx(expected.avoided_kg)
    assert report.co2[0].known_share == pytest.approx(1)
    [row] = table(login(viewer), depot, "2026-02", "co2")
    assert float(row["avoided_kg"]) == pytest.approx(expected.avoided_kg, abs=0.1)


# --- days


def test_days_are_written_once_and_again_for_what_came_late(depot: Depot, buses: list[Vehicle]) -> None:
    before = VehicleDay.objects.count()
    assert record_vehicle_days(depot, month_bounds(FEBRUARY, depot.tz)[1] - timedelta(hours=1)) == 4
    assert VehicleDay.objects.count() == before == 56
    VehicleDay.objects.all().delete()
    assert record_vehicle_days(depot, NOW) == 38


def test_a_depot_without_a_ledger_has_no_days(depot: Depot) -> None:
    assert record_vehicle_days(depot, NOW) == 0


def test_what_the_ledger_has_not_closed_is_not_counted(depot: Depot, buses: list[Vehicle]) -> None:
    Interval.objects.order_by("start_at").first().delete()  # the only hour of that day in which it charged
    record_day(depot, FEBRUARY, NOW)
    assert VehicleDay.objects.get(vehicle=buses[0], date=FEBRUARY).charged_kwh == 0


# --- uptime and the ledger of the not ready


def test_ports_are_down_by_their_alerts_and_excused_by_maintenance(depot: Depot, technician: User) -> None:
    charger = make_charger(depot, make_vehicle(depot))
    make_charger(depot)
    connector = charger.connectors.get()
    start_at = NOW - timedelta(hours=100)

    def down(key: str, begin: float, end: float | None) -> None:
        cleared = None if end is None else start_at + timedelta(hours=end)
        at = start_at + timedelta(hours=begin)
        Alert.objects.create(depot=depot, key=key, level="warning", title="x", raised_at=at, seen_at=at,
                             cleared_at=cleared)  # fmt: skip

    down(f"fault:{connector.pk}", -10, 5)
    down(f"charger:{charger.pk}", 40, 50)
    down("gateway:silent", 98, None)
    for hours, name in ((45, "out_of_service"), (60, "in_service")):
        with time_machine.travel(start_at + timedelta(hours=hours), tick=False):
            operate(charger, name, technician)
    mine, other = port_uptimes(depot, start_at, NOW)
    assert (mine.uptime.outage, mine.uptime.excluded, mine.outages) == (17 * 60, 5 * 60, 3)
    assert mine.uptime.share == pytest.approx(0.88) and not mine.enough
    assert other.uptime.share == pytest.approx(0.98) and other.enough


def test_the_ledger_of_the_period_is_shown_and_given(login, depot: Depot, viewer: User) -> None:
    for month, block in ((2, "feb"), (3, "mar")):
        at = datetime(2026, month, 5, 12, tzinfo=UTC)
        NotReady.objects.create(
            depot=depot, duty_key=block, block_id=block, service_date=at.date(), pull_out_at=at, soc=0.4,
            required_soc=0.7, cause=NotReady.Cause.values[0], because="Because.", written_at=at,
        )  # fmt: skip
    client = login(viewer)
    text = text_of(client, url(depot, "report", "2026-03"))
    assert "1 pull-out: 1 ×" in text and " mar " in text and " feb " not in text
    assert [row["block"] for row in table(client, depot, "2026", "not-ready")] == ["mar", "feb"]


# --- files and doors


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_a_file(login, depot: Depot, buses: list[Vehicle], viewer: User, part: str) -> None:
    response = login(viewer).get(url(depot, "report-part", "2026-02", part))
    assert response.status_code == 200 and response["Content-Type"].startswith("text/csv")
    assert f"{part}-{depot.slug}-2026-02.csv" in response["Content-Disposition"]


def test_the_file_of_vehicles_adds_up(login, depot: Depot, buses: list[Vehicle], viewer: User) -> None:
    rows = table(login(viewer), depot, "2026-02", "vehicles")
    *parts, bill = [Decimal(row["total_cost"]) for row in rows]
    assert sum(parts) == bill and [row["vehicle"] for row in rows[-2:]] == ["rest of the site", "bill"]


@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_every_member_sees_reports(login, depot: Depot, role: str) -> None:
    client = login(make_person(depot, role))
    assert client.get(url(depot, "reports")).status_code == 200
    assert client.get(url(depot, "report", "2026")).status_code == 200
    assert client.get(url(depot, "report-part", "2026-02", "uptime")).status_code == 200
    assert client.get(url(depot, "report-part", "2026-02", "vehicles")).status_code == 404


def test_a_stranger_finds_none(login, depot: Depot, outsider: User) -> None:
    addresses = [url(depot, "reports"), url(depot, "report", "2026-02")]
    addresses += [url(depot, "report-part", "2026-02", part) for part in PARTS]
    assert {login(outsider).get(address).status_code for address in addresses} == {404}
    assert {Client().get(address).status_code for address in addresses} == {302}


@pytest.mark.parametrize("period", ["x", "2026-13", "0000", "9999-12", "2026-02-01"])
def test_what_is_no_period_is_not_found(login, depot: Depot, viewer: User, period: str) -> None:
    assert login(viewer).get(url(depot, "report", period)).status_code == 404


def test_an_unbilled_period_says_the_next_step(login, depot: Depot, viewer: User) -> None:
    text = text_of(login(viewer), url(depot, "report", "2026-04"))
    assert "April 2026 has not been billed." in text and "A report needs a bill" in text


def test_the_page_takes_a_fixed_number_of_queries(
    login, depot: Depot, buses: list[Vehicle], viewer: User, django_assert_max_num_queries: Any
) -> None:
    client = login(viewer)
    client.get(url(depot, "reports"))
    with django_assert_max_num_queries(PAGE_QUERIES):
        client.get(url(depot, "report", "2026-02"))
    assert Connector.objects.count() == 2
