"""The dispatcher's day: what a swap would mean, the swap, proposals, late pull-ins, outages, the ledger."""

from __future__ import annotations

from copy import copy
from datetime import date, timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from charging.models import LedgerIsClosed, NotReady
from charging.selectors.dispatching import options, situation, suggest
from charging.selectors.readiness import readiness
from charging.services import proposals
from charging.services.not_ready import record_pull_outs
from depot.jobs import services as jobs
from depot.models import Depot, Job, User
from fleet.models import Assignment, Block, Outage, Vehicle, VehicleState
from fleet.services import assignments as service
from tests.factories import NOW, make_block, make_charger, make_person, make_type, make_vehicle

DAY = date(2026, 3, 10)
# NOW is Tuesday 11:00 at the depot.


@pytest.fixture(autouse=True)
def at_eleven():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def buses(depot: Depot) -> tuple[Vehicle, Vehicle]:
    """Bus 01 (weak, 15 %) has the long block at 13:00, Bus 02 (90 %) the short one at 13:15."""
    kind = make_type(depot)
    low, full = (make_vehicle(depot, f"Bus 0{n}", type=kind, soc=soc) for n, soc in ((1, 0.15), (2, 0.9)))
    VehicleState.objects.filter(vehicle=low).update(soh=0.8)
    for bus in (low, full):
        make_charger(depot, bus, connected=True)
    make_block(depot, low, "long", depart_minute=780, return_minute=960, energy_kwh=100)
    make_block(depot, full, "short", depart_minute=795, return_minute=960, energy_kwh=30)
    return low, full


def duty_of(depot: Depot, block_id: str):
    return next(duty for duty in service.duties_of_day(depot, DAY) if duty.block.block_id == block_id)


def url(depot: Depot, view: str, *args) -> str:
    return reverse(f"charging:{view}", args=[depot.slug, *args])


def test_a_swap_shows_both_pull_outs_first_and_takes_two_clicks(
    login, depot: Depot, dispatcher: User, buses
) -> None:
    low, full = buses
    duty = duty_of(depot, "long")
    (option,) = options(situation(depot, DAY, NOW), duty)
    assert [(row.vehicle, row.state) for row in option.changed] == [(full, "ready"), (low, "on_track")]
    browser = login(dispatcher)
    page = browser.get(url(depot, "duty", duty.block.pk, DAY))
    assert "Swap with Bus 02" in page.content.decode()
    answer = browser.post(
        page.request["PATH_INFO"], {"choice": [one.as_text for one in option.choices]}, follow=True
    )
    assert "2 blocks changed" in answer.content.decode()
    assert {duty.block.block_id: duty.vehicle for duty in service.duties_of_day(depot, DAY)} == {
        "long": full,
        "short": low,
    }
    assert depot.audit_events.filter(verb="assignment.changed").count() == 1
    assert Job.objects.filter(kind="plan").exists()
    again = browser.post(
        page.request["PATH_INFO"], {"choice": [one.as_text for one in option.choices]}, follow=True
    )
    assert "the schedule changed meanwhile" in again.content.decode()


def test_the_proposal_is_told_with_reasons_and_accepted(login, depot: Depot, dispatcher: User, buses) -> None:
    rows, found = suggest(situation(depot, DAY, NOW), DAY)
    assert found.proven
    assert [(row.duty.block.block_id, str(row.vehicle)) for row in rows] == [
        ("long", "Bus 02"),
        ("short", "Bus 01"),
    ]
    assert rows[0].because == "It spares Bus 01, whose battery is weaker (80%; Bus 02 100%)."
    browser = login(dispatcher)
    page = browser.get(url(depot, "proposal"))
    assert "2 changes proposed; nothing is changed until you accept." in page.content.decode()
    browser.post(url(depot, "proposal"), as_proposed(depot, [row.choice.as_text for row in rows]))
    assert Assignment.objects.filter(fixed=False).count() == 2
    assert suggest(situation(depot, DAY, NOW), DAY)[0] == []


def as_proposed(depot: Depot, choices: list[str]) -> dict[str, object]:
    """Return what the form of a proposal sends while the day is as it was."""
    digest = proposals.digest_of(situation(depot, DAY, NOW))
    return {"choice": choices, "date": str(DAY), "digest": digest}


def test_a_large_depots_proposal_is_worked_out_in_the_background_and_refused_once_stale(
    login, depot: Depot, dispatcher: User, outsider: User, buses, monkeypatch
) -> None:
    monkeypatch.setattr(proposals, "MOST_AT_ONCE", 3)
    browser, path = login(dispatcher), url(depot, "proposal") + f"?date={DAY}"
    waiting = browser.get(path)
    job = Job.objects.get(kind="proposal")
    assert waiting.url.startswith(reverse("depot:job", args=[depot.slug, job.pk]))
    assert browser.get(path).url == waiting.url, "the same day is asked for once"
    page = browser.get(waiting.url).content.decode()
    assert "Proposal of vehicles: waiting for its turn" in page and "Cancel</button>" in page
    jobs.run(job.pk, beat=False)
    answer = browser.get(waiting.url, follow=True)
    shown = answer.content.decode()
    assert "2 changes proposed; nothing is changed until you accept." in shown
    assert "It spares Bus 01" in shown and "Proven the best." in shown
    assert login(outsider).get(answer.request["PATH_INFO"], {"job": job.pk}).status_code == 404
    job.refresh_from_db()
    form = {"date": str(DAY), "digest": job.result["digest"]}
    form |= {"choice": [row["choice"] for row in job.result["rows"]]}
    Block.objects.filter(block_id="short").update(depart_minute=800)
    browser = login(dispatcher)
    stale = browser.get(answer.request["PATH_INFO"], {"date": str(DAY), "job": str(job.pk)})
    assert "The day has changed since these vehicles were proposed." in stale.content.decode()
    refused = browser.post(url(depot, "proposal"), form, follow=True).content.decode()
    assert "Nothing was changed. The day has changed since these vehicles were proposed." in refused
    assert not Assignment.objects.exists()


def test_no_vehicle_is_put_at_two_places_and_nothing_is_changed_by_half(
    depot: Depot, dispatcher: User, buses
) -> None:
    _low, full = buses
    choices = [service.choice_of(duty_of(depot, "long"), full)]
    with pytest.raises(service.AssignmentRefused, match="at the same time"):
        service.assign(depot, dispatcher, choices, NOW)
    with pytest.raises(service.AssignmentRefused, match="not complete"):
        service.read_choice("x")
    assert not Assignment.objects.exists()


def test_a_breakdown_and_a_late_pull_in_count_at_once(login, depot: Depot, dispatcher: User, buses) -> None:
    _low, full = buses
    browser, duty = login(dispatcher), duty_of(depot, "long")
    browser.post(
        url(depot, "duty-out", duty.block.pk, DAY), {"from_at": "2026-03-10T11:00", "reason": "Brakes"}
    )
    first = readiness(depot, NOW)[0]
    assert (first.state, first.reason) == (
        "will_miss",
        "Bus 01 is out of service (Brakes). Give the block to another vehicle.",
    )
    rows, _ = suggest(situation(depot, DAY, NOW), DAY)
    assert [str(row.vehicle) for row in rows] == ["None"]
    assert rows[0].because.startswith("No vehicle can do it")
    (option,) = options(situation(depot, DAY, NOW), duty_of(depot, "long"))
    service.assign(depot, dispatcher, option.choices, NOW, fixed=True)
    assert (duty_of(depot, "long").vehicle, duty_of(depot, "short").vehicle) == (full, None)
    assert readiness(depot, NOW)[1].reason == "Block short has no vehicle. Assign one."
    Assignment.objects.all().delete()
    browser.post(url(depot, "outage-end", Outage.objects.get().pk))
    assert readiness(depot, NOW)[0].duty.outage is None
    short = duty_of(depot, "short")
    browser.post(url(depot, "duty-late", short.block.pk, DAY), {"back_at": "2026-03-10T17:10"})
    late = duty_of(depot, "short")
    assert late.late and depot.local(late.pull_in_at).strftime("%H:%M") == "17:10"
    plans = set(Job.objects.filter(kind="plan").values_list("payload__trigger", flat=True))
    assert plans == {"A dispatcher changed the day"}


def test_the_ledger_is_written_once_and_never_changed(login, depot: Depot, viewer: User, buses) -> None:
    later = NOW + timedelta(hours=2, minutes=20)
    VehicleState.objects.update(soc_observed_at=later - timedelta(minutes=30))
    assert record_pull_outs(depot, NOW, later) == 1
    assert record_pull_outs(depot, NOW, later) == 0
    entry = NotReady.objects.get()
    assert (entry.vehicle_name, entry.cause, entry.block_id) == ("Bus 01", "not_plugged_in", "long")
    assert "it had 15 % and needed" in entry.because
    for act in (
        entry.save,
        entry.delete,
        NotReady.objects.all().delete,
        lambda: NotReady.objects.update(soc=1.0),
    ):
        with pytest.raises(LedgerIsClosed):
            act()
    for statement in ("UPDATE charging_notready SET soc = 1", "DELETE FROM charging_notready"):
        with (
            pytest.raises(DatabaseError, match="cannot be changed"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    browser = login(viewer)
    assert "not plugged in" in browser.get(url(depot, "not-ready")).content.decode()
    lines = browser.get(url(depot, "not-ready-csv")).content.decode("utf-8-sig").splitlines()
    assert lines[1].startswith("2026-03-10,2026-03-10T13:00-04:00,Bus 01,")


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("technician", 403), ("dispatcher", 200)])
def test_who_may_swap(login, depot: Depot, outsider: User, buses, role: str, status: int) -> None:
    block = duty_of(depot, "long").block.pk
    paths = [url(depot, "duty", block, DAY), url(depot, "proposal")]
    browser = login(make_person(depot, role))
    assert {browser.get(path).status_code for path in paths} == {status}
    assert browser.get(url(depot, "day")).status_code == 200
    browser = login(outsider)
    for path in (*paths, url(depot, "day"), url(depot, "not-ready"), url(depot, "not-ready-csv")):
        assert browser.get(path).status_code == 404


def test_pages_of_the_day_take_few_queries(
    login, depot: Depot, dispatcher: User, buses, django_assert_max_num_queries
) -> None:
    browser = login(dispatcher)
    block = duty_of(depot, "long").block.pk
    for path, most in (
        (url(depot, "day"), 24),
        (url(depot, "duty", block, DAY), 24),
        (url(depot, "not-ready"), 12),
    ):
        with django_assert_max_num_queries(most):
            browser.get(path)


@pytest.mark.any_database
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2026-03-25"])
def test_far_days_are_not_there_and_change_nothing(login, depot: Depot, dispatcher: User, buses, day) -> None:
    browser, block = login(dispatcher), duty_of(depot, "long").block
    assert browser.get(url(depot, "duty", block.pk, day)).status_code == 404
    assert (
        browser.post(url(depot, "duty-late", block.pk, day), {"back_at": "2026-03-10T18:00"}).status_code
        == 404
    )
    chosen = as_proposed(depot, [f"{block.pk}:{day}::1"])
    answer = browser.post(url(depot, "proposal"), chosen, follow=True)
    assert "only days within 14 of today can be changed" in answer.content.decode()


@pytest.mark.any_database
@pytest.mark.parametrize("vehicle", ["9" * 30, "9" * 5000, "-1", "x"])
def test_a_vehicle_that_cannot_be_is_refused(login, depot: Depot, dispatcher: User, buses, vehicle) -> None:
    chosen = as_proposed(depot, [f"{duty_of(depot, 'long').block.pk}:{DAY}::{vehicle}"])
    answer = login(dispatcher).post(url(depot, "proposal"), chosen, follow=True)
    assert answer.status_code == 200 and "the form was not complete" in answer.content.decode()


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("from_at", "to_at"), [("0001-01-01T00:00", ""), ("2026-03-10T12:00", "9999-12-31T23:59")]
)
def test_an_outage_is_within_years(login, depot: Depot, dispatcher: User, buses, from_at, to_at) -> None:
    times = {"from_at": from_at, "to_at": to_at}
    place = url(depot, "duty-out", duty_of(depot, "long").block.pk, DAY)
    answer = login(dispatcher).post(place, times, follow=True)
    assert "enter times within five years of today" in answer.content.decode()
    assert not Outage.objects.exists()


def test_who_puts_a_vehicle_back_twice_changes_nothing_the_second_time(
    depot: Depot, dispatcher: User, buses
) -> None:
    kept, gone = (
        service.take_out(depot, dispatcher, bus, NOW - timedelta(hours=hours), None, NOW, "Brakes.")
        for bus, hours in zip(buses, (1, 0), strict=True)
    )
    for now in (NOW, NOW + timedelta(minutes=1)):
        for outage in (kept, gone):  # as another page has read them before
            service.bring_back(depot, dispatcher, copy(outage), now)
    assert [row.to_at for row in Outage.objects.all()] == [NOW]
    assert Job.objects.filter(payload__trigger="A dispatcher changed the day").count() == 4
