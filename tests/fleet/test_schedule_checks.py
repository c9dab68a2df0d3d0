"""Big files are checked in the background, for chosen days, and what is kept is what is shown and saved."""

from __future__ import annotations

from datetime import date

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from depot.imports import FileError
from depot.jobs import services as jobs
from depot.jobs import tasks
from depot.models import Depot, ImportBatch, Job, User
from fleet.models import Block
from fleet.selectors.duties import duties
from fleet.services import schedules as service
from fleet.services.undo import undo
from tests.factories import NOW, make_block, make_person, make_vehicle

MONDAY, SUNDAY = date(2026, 3, 9), date(2026, 3, 15)
HEADER = "block_id,date,depart_at,return_at,distance_km,vehicle"
SPECIAL = f"{HEADER}\nS1,2026-03-11,06:30,08:45,40,Bus 01\nS2,2026-03-12,06:30,08:45,40,Bus 01\n".encode()


@pytest.fixture(autouse=True)
def at_noon():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def messages(monkeypatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(tasks.run_job, "delay", sent.append)
    return sent


@pytest.fixture
def bus(depot: Depot):
    return make_vehicle(depot, "Bus 01")


@pytest.fixture
def big(monkeypatch) -> None:
    monkeypatch.setattr(service, "QUICK_BYTES", 10)


def url(depot: Depot, view: str, *args: object) -> str:
    return reverse(f"fleet:schedule-{view}", args=[depot.slug, *args])


def send(client: Client, depot: Depot, content: bytes = SPECIAL):
    file = SimpleUploadedFile("week.csv", content, "text/csv")
    return client.post(url(depot, "upload"), {"file": file}, follow=True)


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def check_job() -> Job:
    return Job.objects.get(kind=service.CHECK, state=Job.State.QUEUED)


def schedule_of(depot: Depot) -> list[tuple]:
    return sorted(Block.objects.of_depot(depot).values_list(*service.WRITTEN_FIELDS), key=str)


# ---- in the background


def test_a_big_file_waits_for_its_check_and_shows_how_far_it_is(login, depot, dispatcher, bus, big) -> None:
    client = login(dispatcher)
    waiting = send(client, depot)
    assert "Check of the schedule file: waiting for its turn" in text_of(waiting)
    batch = ImportBatch.objects.get()
    assert batch.state == ImportBatch.State.WAITING
    preview = url(depot, "preview", batch.pk)
    again = client.get(preview, follow=True)
    assert again.redirect_chain == waiting.redirect_chain
    jobs.run(check_job().pk, beat=False)
    done = client.get(waiting.redirect_chain[-1][0], follow=True)
    assert done.redirect_chain[-1][0] == preview
    assert "week.csv has 2 blocks and no errors; nothing is saved yet." in text_of(done)
    assert not Block.objects.exists()


def test_the_preview_is_kept_and_reads_no_file(
    login, depot, dispatcher, bus, monkeypatch, django_assert_max_num_queries
) -> None:
    client = login(dispatcher)
    send(client, depot)
    monkeypatch.setattr(service, "check", lambda *_: pytest.fail("the file was read again"))
    with django_assert_max_num_queries(10):
        page = client.get(url(depot, "preview", ImportBatch.objects.get().pk))
    assert "Save 2 blocks" in text_of(page)


def test_a_cancelled_check_leaves_the_file_and_can_be_asked_again(login, depot, dispatcher, bus, big) -> None:
    client = login(dispatcher)
    send(client, depot)
    job, batch = check_job(), ImportBatch.objects.get()
    page = client.post(reverse("depot:job-cancel", args=[depot.slug, job.pk]), follow=True)
    assert "cancelled" in text_of(page)
    assert jobs.run(job.pk, beat=False) is False
    page = client.get(url(depot, "preview", batch.pk))
    assert "week.csv is kept, but was not checked" in text_of(page)
    client.post(url(depot, "check", batch.pk))
    jobs.run(check_job().pk, beat=False)
    batch.refresh_from_db()
    assert batch.state == ImportBatch.State.CHECKED


def test_cancelling_stops_a_check_at_its_next_step(depot, dispatcher, bus, big, monkeypatch) -> None:
    batch = service.keep(depot, dispatcher, SPECIAL, "week.csv")
    job = service.ask(batch, dispatcher)
    monkeypatch.setattr(service, "effects_of", lambda *_: jobs.cancel(job) and {})
    assert jobs.run(job.pk, beat=False)
    job.refresh_from_db()
    batch.refresh_from_db()
    assert (job.state, batch.state, "change" in batch.report) == ("cancelled", "waiting", False)
    assert jobs.cancel(job) is False


def test_only_who_asked_cancels(login, depot, dispatcher, bus, big) -> None:
    batch = service.keep(depot, dispatcher, SPECIAL, "week.csv")
    job = service.ask(batch, dispatcher)
    other = login(make_person(depot, "dispatcher"))
    assert "Cancel" not in text_of(other.get(reverse("depot:job", args=[depot.slug, job.pk])))
    assert other.post(reverse("depot:job-cancel", args=[depot.slug, job.pk])).status_code == 404
    assert check_job().state == Job.State.QUEUED


def test_a_check_that_dies_is_done_again_and_nothing_is_half_written(
    depot, dispatcher, bus, big, monkeypatch
) -> None:
    batch = service.keep(depot, dispatcher, SPECIAL, "week.csv")
    job = service.ask(batch, dispatcher)

    def die(*_: object) -> None:
        raise KeyboardInterrupt  # as a killed worker: no handler of the job sees it

    with monkeypatch.context() as patch:
        patch.setattr(service, "report", die)
        with pytest.raises(KeyboardInterrupt):
            jobs.run(job.pk, beat=False)
    batch.refresh_from_db()
    assert (batch.state, "change" in batch.report) == (ImportBatch.State.WAITING, False)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=NOW.replace(year=2020))
    jobs.sweep()
    assert jobs.run(job.pk, beat=False)
    batch.refresh_from_db()
    assert (batch.state, batch.report["new"]) == (ImportBatch.State.CHECKED, 2)


def test_a_job_that_fails_offers_another_check(login, depot, dispatcher, bus, big, monkeypatch) -> None:
    client = login(dispatcher)
    send(client, depot)
    with monkeypatch.context() as patch:
        patch.setattr(service, "check", lambda *_: (_ for _ in ()).throw(FileError("broken")))
        jobs.run(check_job().pk, beat=False)
    page = client.get(url(depot, "preview", ImportBatch.objects.get().pk))
    assert "The last check: failed." in text_of(page)


def test_what_is_saved_is_what_was_shown(login, depot, dispatcher, bus) -> None:
    client = login(dispatcher)
    send(client, depot)
    batch = ImportBatch.objects.get()
    shown = {"mode": "replace", "change": batch.report["change"]}
    make_block(depot, None, "meanwhile")
    page = client.post(url(depot, "save", batch.pk), shown, follow=True)
    assert "The schedule has changed since this file was checked" in text_of(page)
    assert "1 block that the file does not have is removed" in text_of(page)
    assert Block.objects.get().block_id == "meanwhile"
    batch.refresh_from_db()
    client.post(url(depot, "save", batch.pk), {"mode": "replace", "change": batch.report["change"]})
    assert set(Block.objects.values_list("block_id", flat=True)) == {"S1", "S2"}


# ---- saving in the background


def save_job() -> Job:
    return Job.objects.get(kind=service.SAVE, state=Job.State.QUEUED)


def shown_of(batch: ImportBatch, mode: str = "add") -> dict[str, str]:
    batch.refresh_from_db()
    return {"mode": mode, "change": batch.report["change"]}


@pytest.fixture
def checked(depot, dispatcher, bus, big) -> ImportBatch:
    batch = service.keep(depot, dispatcher, SPECIAL, "week.csv")
    service.look(batch)
    batch.refresh_from_db()
    return batch


def test_a_big_file_is_saved_in_the_background_and_survives_a_reload(
    login, depot, dispatcher, checked
) -> None:
    client = login(dispatcher)
    waiting = client.post(url(depot, "save", checked.pk), shown_of(checked), follow=True)
    assert "Saving of the schedule file: waiting for its turn" in text_of(waiting)
    again = client.post(url(depot, "save", checked.pk), shown_of(checked), follow=True)
    reloaded = client.get(url(depot, "preview", checked.pk), follow=True)
    checking = client.post(url(depot, "check", checked.pk), follow=True)
    assert (
        waiting.redirect_chain == again.redirect_chain == reloaded.redirect_chain == checking.redirect_chain
    )
    assert not Block.objects.exists()
    job = save_job()
    assert jobs.run(job.pk, beat=False)
    done = client.get(waiting.redirect_chain[-1][0], follow=True)
    assert done.redirect_chain[-1][0] == url(depot, "preview", checked.pk)
    job.refresh_from_db()
    checked.refresh_from_db()
    assert (job.state, job.result["saved"]["new"], checked.state) == ("done", 2, "committed")
    assert Block.objects.count() == 2
    assert jobs.run(job.pk, beat=False) is False
    undo(checked, dispatcher)
    assert not Block.objects.exists()


def test_the_page_of_a_job_is_whole_where_htmx_follows_to_it(login, depot, dispatcher, checked) -> None:
    """The form is boosted: the browser's script asks for the job's page and puts it in place of the body."""
    headers = {"HX-Request": "true", "HX-Boosted": "true"}
    page = login(dispatcher).post(
        url(depot, "save", checked.pk), shown_of(checked), headers=headers, follow=True
    )
    assert "</html>" in text_of(page)


def test_saving_that_is_cancelled_at_the_last_moment_writes_nothing(
    depot, dispatcher, checked, monkeypatch
) -> None:
    job = service.ask_to_save(checked, dispatcher)
    tell = service._tell
    monkeypatch.setattr(service, "_tell", lambda *told: (tell(*told), jobs.cancel(job)))
    assert jobs.run(job.pk, beat=False)
    checked.refresh_from_db()
    assert checked.state == ImportBatch.State.CHECKED
    assert not Block.objects.exists()


def test_saving_that_dies_is_done_again_and_nothing_is_half_written(
    depot, dispatcher, checked, monkeypatch
) -> None:
    job = service.ask_to_save(checked, dispatcher, replace=True)

    def die(*_: object) -> None:
        raise KeyboardInterrupt  # as a killed worker: no handler of the job sees it

    with monkeypatch.context() as patch:
        patch.setattr(service, "_tell", die)
        with pytest.raises(KeyboardInterrupt):
            jobs.run(job.pk, beat=False)
    assert not Block.objects.exists()
    Job.objects.filter(pk=job.pk).update(heartbeat_at=NOW.replace(year=2020))
    jobs.sweep()
    assert jobs.run(job.pk, beat=False)
    checked.refresh_from_db()
    assert (checked.state, Block.objects.count()) == (ImportBatch.State.COMMITTED, 2)


def test_saving_that_is_refused_shows_why_and_the_new_preview(login, depot, dispatcher, checked) -> None:
    client = login(dispatcher)
    waiting = client.post(url(depot, "save", checked.pk), shown_of(checked, "replace"), follow=True)
    make_block(depot, None, "meanwhile")
    assert jobs.run(save_job().pk, beat=False)
    page = text_of(client.get(waiting.redirect_chain[-1][0], follow=True))
    assert "Nothing was saved. The schedule has changed since this file was checked" in page.replace(
        "week.csv: ", ""
    )
    assert "1 block that the file does not have is removed" in page
    assert Block.objects.get().block_id == "meanwhile"
    client.post(url(depot, "save", checked.pk), shown_of(checked, "replace"))
    assert jobs.run(save_job().pk, beat=False)
    assert set(Block.objects.values_list("block_id", flat=True)) == {"S1", "S2"}


def test_other_days_do_not_touch_a_file_that_was_saved_meanwhile(depot, dispatcher, checked) -> None:
    stale = ImportBatch.objects.get(pk=checked.pk)
    service.commit(checked, dispatcher)
    service.choose_days(stale, service.DateRange(MONDAY, SUNDAY))
    assert service.ask(stale, dispatcher) is None
    checked.refresh_from_db()
    assert (checked.state, checked.report["saved"]["new"]) == (ImportBatch.State.COMMITTED, 2)
    undo(checked, dispatcher)
    assert not Block.objects.exists()


# ---- days


def test_replacing_days_leaves_exactly_the_file_on_them(login, depot, dispatcher, bus) -> None:
    make_block(depot, bus, "usual")
    make_block(depot, None, "gone", weekdays=0, service_date=date(2026, 3, 10))
    make_block(depot, None, "later", weekdays=0, service_date=date(2026, 3, 17))
    client = login(dispatcher)
    send(client, depot)
    batch = ImportBatch.objects.get()
    days = {"from_date": "2026-03-09", "to_date": "2026-03-15"}
    page = text_of(client.post(url(depot, "days", batch.pk), days, follow=True))
    assert "Replace these days (from Mon 9 Mar 2026 to Sun 15 Mar 2026)" in page
    assert "1 block that the file does not have is removed with its assignments" in page
    assert "1 more stops running on these days and goes on on others" in page
    before = schedule_of(depot)
    batch.refresh_from_db()
    client.post(url(depot, "save", batch.pk), {"mode": "replace", "change": batch.report["change"]})
    from_at, to_at = depot.local(NOW).replace(day=9, hour=0), depot.local(NOW).replace(day=18, hour=0)
    runs = [(duty.block.block_id, duty.service_date.day) for duty in duties(depot, from_at, to_at)]
    assert runs == [("S1", 11), ("S2", 12), ("usual", 16), ("later", 17), ("usual", 17)]
    batch.refresh_from_db()
    assert batch.report["saved"] == {
        "new": 2, "changed": 0, "unchanged": 0, "removed": 1, "kept": 0, "taken_out": 1,
    }  # fmt: skip
    undo(batch, dispatcher)
    after = schedule_of(depot)
    assert after == before


def test_replacing_days_again_changes_nothing(depot, dispatcher, bus) -> None:
    make_block(depot, bus, "usual")
    days = service.DateRange(MONDAY, SUNDAY)
    service.commit(service.upload(depot, dispatcher, SPECIAL, "a.csv", days=days), dispatcher, replace=True)
    once = schedule_of(depot)
    again = service.commit(
        service.upload(depot, dispatcher, SPECIAL, "a.csv", days=days), dispatcher, replace=True
    )
    assert (again.new, again.changed, again.unchanged, again.removed, again.taken_out) == (0, 0, 2, 0, 0)
    assert schedule_of(depot) == once


def test_days_that_make_no_span_are_told(login, depot, dispatcher, bus) -> None:
    client = login(dispatcher)
    send(client, depot)
    batch = ImportBatch.objects.get()
    wrong = {"from_date": "2026-03-15", "to_date": "2026-03-09"}
    page = client.post(url(depot, "days", batch.pk), wrong, follow=True)
    assert "The first day is after the last day. Swap them." in text_of(page)
    batch.refresh_from_db()
    assert batch.report["days"] == {"from": None, "to": None}


@pytest.mark.parametrize("view", ["check", "days"])
def test_only_those_who_write_schedules_of_this_depot(
    login, depot: Depot, viewer: User, outsider: User, bus, view: str
) -> None:
    batch = service.keep(depot, None, SPECIAL, "week.csv")
    assert login(viewer).post(url(depot, view, batch.pk)).status_code == 403
    assert login(outsider).post(url(depot, view, batch.pk)).status_code == 404
