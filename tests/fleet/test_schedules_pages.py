"""The Schedules page and its upload: who may, what they see, without any script."""

from __future__ import annotations

from datetime import date

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from depot.imports import MAX_BYTES
from depot.models import Depot, ImportBatch, User
from fleet.models import Assignment, Block
from tests.factories import NOW, make_block, make_person, make_vehicle

pytestmark = pytest.mark.any_database

HEADER = "block_id,service_days,depart_at,return_at,distance_km,vehicle"
TWO_BLOCKS = f"{HEADER}\n101,Mon-Fri,06:30,08:45,40,Bus 01\n102,Mon-Fri,14:00,16:15,42,Bus 01\n".encode()
PAGES = ["schedules", "schedule-upload", "schedule-template", "schedule-download"]


@pytest.fixture(autouse=True)
def at_noon():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def bus(depot: Depot):
    return make_vehicle(depot, "Bus 01")


def url(depot: Depot, view: str = "schedules", *args: int) -> str:
    return reverse(f"fleet:{view}", args=[depot.slug, *args])


def send(client: Client, depot: Depot, content: bytes, name: str = "week.csv"):
    file = SimpleUploadedFile(name, content, "text/csv")
    return client.post(url(depot, "schedule-upload"), {"file": file}, follow=True)


def save(client: Client, depot: Depot, mode: str = "add"):
    batch = ImportBatch.objects.latest("pk")
    return client.post(url(depot, "schedule-save", batch.pk), {"mode": mode}, follow=True)


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def test_the_page_answers_in_a_sentence(login, depot: Depot, viewer: User, bus) -> None:
    make_block(depot, bus, "early")
    make_block(depot, bus, "late", depart_minute=840, return_minute=960)
    make_block(depot, None, "open", depart_minute=900, return_minute=960)
    page = login(viewer).get(url(depot))
    assert page.context["answer"] == (
        "1 vehicle has 3 blocks (1 without a vehicle) on Tue 10 Mar; next pull-out 14:00 Tue: Bus 01."
    )
    assert "No vehicle" in text_of(page)
    assert "Mon-Fri" in text_of(page)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (None, "There is no schedule yet"),
        ({"valid_to": date(2026, 1, 1)}, "No block of the schedule runs in the next two weeks."),
        (
            {"weekdays": 0, "service_date": date(2026, 3, 20)},
            "on Fri 20 Mar; next pull-out 06:30 Fri: block 101",
        ),
    ],
)
def test_the_sentence_knows_the_quiet_cases(
    login, depot: Depot, viewer: User, values: dict | None, words: str
) -> None:
    if values is not None:
        make_block(depot, None, **values)
    assert words in login(viewer).get(url(depot)).context["answer"]


def test_a_cancelled_day_is_not_the_next_pull_out(login, depot: Depot, viewer: User, bus) -> None:
    block = make_block(depot, bus, depart_minute=840, return_minute=960)
    Assignment.objects.create(block=block, service_date=date(2026, 3, 10), vehicle=None, made_at=NOW)
    assert "on Wed 11 Mar" in login(viewer).get(url(depot)).context["answer"]


def test_blocks_can_be_searched_and_paged(login, depot: Depot, viewer: User, bus) -> None:
    blocks = [
        Block(depot=depot, key=f"B{n}", block_id=f"B{n}", weekdays=1, depart_minute=300, return_minute=400)
        for n in range(201)
    ]
    Block.objects.bulk_create(blocks)
    make_block(depot, bus, "special")
    client = login(viewer)
    assert len(client.get(url(depot)).context["lines"]) == 200
    assert len(client.get(url(depot), {"page": 2}).context["lines"]) == 2
    found = client.get(url(depot), {"q": "bus 01"}).context["lines"]
    assert [line["block_id"] for line in found] == ["special"]
    assert "No vehicle and no block is called like that" in text_of(client.get(url(depot), {"q": "zzz"}))


def test_an_upload_goes_through_its_steps(login, depot: Depot, dispatcher: User, bus) -> None:
    client = login(dispatcher)
    assert "Check the file" in text_of(client.get(url(depot, "schedule-upload")))
    preview = send(client, depot, TWO_BLOCKS)
    assert "week.csv has 2 blocks and no errors; nothing is saved yet." in text_of(preview)
    assert "Save 2 blocks" in text_of(preview)
    assert not Block.objects.exists()
    done = save(client, depot)
    assert "The 2 blocks of week.csv are saved" in text_of(done)
    assert Block.objects.count() == 2
    again = send(client, depot, TWO_BLOCKS)
    assert "all 2 blocks are unchanged" in text_of(again)
    assert "week.csv" in text_of(client.get(url(depot)))


def test_the_preview_says_what_changes(login, depot: Depot, dispatcher: User, bus) -> None:
    client = login(dispatcher)
    send(client, depot, TWO_BLOCKS)
    save(client, depot)
    make_vehicle(depot, "Bus 02")
    header = HEADER + ",min_soc_departure,precondition"
    content = f"{header}\n101,Mon-Fri,06:45,08:45,40.5,Bus 02,80 %,yes\n".encode()
    page = text_of(send(client, depot, content))
    assert (
        "pull-out 06:30 → 06:45; km 40 → 40.5; leave with none → 80 %; vehicle Bus 01 → Bus 02; "
        "precondition no → yes" in page
    )
    assert "1 block that the file does not have is removed with its assignments" in page


def test_errors_show_row_column_value_and_cure(login, depot: Depot, dispatcher: User, bus) -> None:
    page = send(login(dispatcher), depot, TWO_BLOCKS.replace(b"06:30", b"6 o'clock"))
    text = text_of(page)
    assert "week.csv has 1 error in 1 row; nothing was saved." in text
    assert '<td class="number">2</td><td>depart_at</td><td>6 o&#x27;clock</td>' in text
    assert "Write it like 06:30" in text
    assert "Save 1 block" not in text
    assert "Nothing was saved. week.csv, row 2, column depart_at" in text_of(save(page.client, depot))
    assert not Block.objects.exists()


def test_a_conflict_leaves_only_replacing(login, depot: Depot, dispatcher: User, bus) -> None:
    make_block(depot, bus, "old")
    client = login(dispatcher)
    page = text_of(send(client, depot, TWO_BLOCKS))
    assert 'value="add" disabled' in page
    assert "block old (Mon-Fri 06:30–08:45, already in the schedule)" in page
    assert "Nothing was saved" in text_of(save(client, depot))
    save(client, depot, "replace")
    assert set(Block.objects.values_list("block_id", flat=True)) == {"101", "102"}


def test_no_file_and_too_large_a_file_are_told(login, depot: Depot, dispatcher: User) -> None:
    client = login(dispatcher)
    answer = client.post(url(depot, "schedule-upload"), {}, follow=True)
    assert "No file was chosen" in text_of(answer)
    answer = send(client, depot, b"x" * (MAX_BYTES + 1), "huge.csv")
    assert "huge.csv has 20 MB; at most 20 MB are read. Nothing was saved." in text_of(answer)
    assert not ImportBatch.objects.exists()


def test_names_from_a_file_cannot_become_markup(login, depot: Depot, dispatcher: User, bus) -> None:
    page = send(login(dispatcher), depot, TWO_BLOCKS.replace(b"Bus 01", b"<script>"), "<b>.csv")
    assert b"<script>&" not in page.content
    assert b"&lt;script&gt;" in page.content
    assert b"<b>.csv" not in page.content


def test_the_template_is_a_file_with_this_depots_vehicles(login, depot: Depot, viewer: User, bus) -> None:
    make_vehicle(depot, "=cmd|x", type=bus.type)
    answer = login(viewer).get(url(depot, "schedule-template"))
    assert answer["Content-Disposition"] == 'attachment; filename="schedule-template-maple-street.csv"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("depot,block_id,service_days,date,")
    assert [line.split(",")[11] for line in lines[1:]] == ["'=cmd|x", "Bus 01"]


def test_the_schedule_can_be_downloaded(login, depot: Depot, viewer: User, bus) -> None:
    make_block(depot, bus)
    answer = login(viewer).get(url(depot, "schedule-download"))
    assert "101,Mon-Fri,,,,06:30,08:45,40.0,,,Bus 01" in answer.content.decode("utf-8-sig")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("viewer", False), ("technician", False), ("dispatcher", True), ("manager", True), ("owner", True)],
)
def test_only_those_who_write_schedules_upload(login, depot: Depot, role: str, allowed: bool, bus) -> None:
    client = login(make_person(depot, role))
    page = client.get(url(depot))
    assert page.status_code == 200
    assert ("Upload a schedule" in text_of(page)) is allowed
    batch = ImportBatch.objects.create(
        depot=depot,
        kind="schedule",
        file_name="w.csv",
        content=TWO_BLOCKS,
        uploaded_at=NOW,
        file_format="csv",
    )
    status = 200 if allowed else 403
    assert send(client, depot, TWO_BLOCKS).status_code == status
    assert client.get(url(depot, "schedule-preview", batch.pk)).status_code == status
    client.post(url(depot, "schedule-save", batch.pk), {"mode": "add"})
    assert Block.objects.exists() is allowed


@pytest.mark.parametrize("view", PAGES)
def test_strangers_find_nothing(login, depot: Depot, outsider: User, view: str) -> None:
    assert login(outsider).get(url(depot, view)).status_code == 404


@pytest.mark.parametrize("view", PAGES)
def test_nobody_comes_in_without_log_in(client: Client, depot: Depot, view: str) -> None:
    answer = client.get(url(depot, view))
    assert answer.status_code == 302
    assert "/log-in/" in answer["Location"]


def test_a_file_of_another_depot_is_not_there(
    login, depot: Depot, other_depot: Depot, dispatcher: User
) -> None:
    theirs = ImportBatch.objects.create(
        depot=other_depot, kind="schedule", file_name="w.csv", content=b"", uploaded_at=NOW, file_format="csv"
    )
    client = login(dispatcher)
    assert client.get(url(depot, "schedule-preview", theirs.pk)).status_code == 404
    assert client.post(url(depot, "schedule-save", theirs.pk)).status_code == 404


def test_forms_need_their_token(depot: Depot, dispatcher: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(dispatcher, backend="django.contrib.auth.backends.ModelBackend")
    assert send(strict, depot, TWO_BLOCKS).status_code == 403
    assert not ImportBatch.objects.exists()


def test_saving_is_never_a_link(login, depot: Depot, dispatcher: User, bus) -> None:
    client = login(dispatcher)
    send(client, depot, TWO_BLOCKS)
    batch = ImportBatch.objects.get()
    assert client.get(url(depot, "schedule-save", batch.pk)).status_code == 405
    assert not Block.objects.exists()
