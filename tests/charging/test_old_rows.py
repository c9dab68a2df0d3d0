"""What nothing reads any more goes in the night; what is read, shown or can be undone stays."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from charging.services.old_rows import forget_old
from depot.access.keys import make_key
from depot.models import Alert, Depot, IdempotencyKey, ImportBatch
from fleet.models import Block, LearntConsumption, MeasuredTrip
from fleet.services import schedules
from fleet.services.undo import CannotUndo, undo
from tests.factories import NOW, make_vehicle

DAY = timedelta(days=1)
LATER = NOW + 91 * DAY
HEADER = "block_id,date,depart_at,return_at,distance_km,vehicle"
FIRST = f"{HEADER}\nS1,2026-03-11,06:30,08:45,40,Bus 01\n".encode()
SECOND = f"{HEADER}\nS1,2026-03-11,06:40,08:45,40,Bus 01\n".encode()


@pytest.fixture(autouse=True)
def at_noon():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def saved_twice(depot: Depot, dispatcher, at_noon) -> list[ImportBatch]:
    make_vehicle(depot, "Bus 01")
    batches = []
    for minute, content in enumerate((FIRST, SECOND)):
        at_noon.move_to(NOW + timedelta(minutes=minute))
        batches.append(schedules.upload(depot, dispatcher, content, f"{minute}.csv"))
        schedules.commit(batches[-1], dispatcher)
    return batches


def content_of(batch: ImportBatch) -> bytes:
    return bytes(ImportBatch.objects.get(pk=batch.pk).content)


def test_the_bytes_of_old_uploads_go_but_the_last_schedule_can_be_undone(
    depot, dispatcher, saved_twice
) -> None:
    first, last = saved_twice
    digest = first.file_digest
    assert forget_old(depot, NOW + 89 * DAY)["uploads"] == 0
    assert forget_old(depot, LATER)["uploads"] == 1
    assert forget_old(depot, LATER)["uploads"] == 0
    assert (content_of(first), content_of(last)) == (b"", SECOND)
    first.refresh_from_db()
    assert (first.file_digest, first.report["saved"]["new"]) == (digest, 1)
    undo(last, dispatcher)
    assert Block.objects.get().depart_minute == 6 * 60 + 30
    with pytest.raises(CannotUndo, match="is not kept any more"):
        undo(first, dispatcher)
    assert Block.objects.count() == 1


def test_an_unsaved_old_upload_says_that_it_is_gone(login, depot, dispatcher) -> None:
    make_vehicle(depot, "Bus 01")
    client = login(dispatcher)
    wrong = FIRST.replace(b"08:45", b"8.x")
    for name, content in (("good.csv", FIRST), ("wrong.csv", wrong)):
        client.post(
            reverse("fleet:schedule-upload", args=[depot.slug]),
            {"file": SimpleUploadedFile(name, content, "text/csv")},
        )
    assert forget_old(depot, LATER)["uploads"] == 2
    for batch in ImportBatch.objects.all():
        at = [depot.slug, batch.pk]
        for page in (
            client.get(reverse("fleet:schedule-preview", args=at), follow=True),
            client.get(reverse("fleet:schedule-errors", args=at), follow=True),
            client.post(reverse("fleet:schedule-save", args=at), {"mode": "add"}, follow=True),
        ):
            assert f"{batch.file_name} is not kept any more. Upload it again." in page.content.decode()
    assert not Block.objects.exists()


def test_an_old_price_file_says_that_it_is_gone(login, depot, manager) -> None:
    batch = ImportBatch.objects.create(
        depot=depot, kind="prices", file_format="market", file_name="p.csv", file_digest="0",
        content=b"x", uploaded_at=NOW,
    )  # fmt: skip
    assert forget_old(depot, LATER)["uploads"] == 1
    page = login(manager).get(reverse("billing:prices-check", args=[depot.slug, batch.pk]), follow=True)
    assert "p.csv is not kept any more. Upload it again." in page.content.decode()


def alert(depot: Depot, key: str, cleared_days_ago: int | None) -> None:
    over = None if cleared_days_ago is None else NOW - cleared_days_ago * DAY
    Alert.objects.create(
        depot=depot, key=key, level="info", title=key, raised_at=NOW - 900 * DAY, seen_at=NOW, cleared_at=over
    )


def test_alerts_go_when_they_were_over_for_long_but_for_outages_of_ports(depot, other_depot) -> None:
    alert(depot, "meter:1", 401)
    alert(depot, "meter:2", 399)
    alert(depot, "meter:3", None)
    for key in ("fault:1", "charger:1", "gateway:silent"):
        alert(depot, key, 800)
    alert(other_depot, "meter:1", 401)
    assert forget_old(depot, NOW)["alerts"] == 1
    left = set(Alert.objects.filter(depot=depot).values_list("key", flat=True))
    assert left == {"meter:2", "meter:3", "fault:1", "charger:1", "gateway:silent"}
    assert Alert.objects.filter(depot=other_depot).count() == 1


def test_trips_and_what_was_learnt_stay_longer_than_a_year(depot) -> None:
    bus = make_vehicle(depot, "Bus 01")
    for age in (365, 399, 402):
        out_at = NOW - age * DAY
        MeasuredTrip.objects.create(
            vehicle=bus, service_date=out_at.date(), block_id="B", pull_out_at=out_at, pull_in_at=out_at,
            out_at=out_at, in_at=out_at, distance_km=1, energy_kwh=1, distance_source="odometer",
            energy_source="soc",
        )  # fmt: skip
        LearntConsumption.objects.create(
            vehicle=bus, date=out_at.date(), computed_at=out_at, kwh_per_km=1, points=[], trips=1,
            fleet_trips=1, spread=0.1,
        )  # fmt: skip
    found = forget_old(depot, NOW)
    assert (found["trips"], found["consumption"]) == (1, 1)
    oldest = MeasuredTrip.objects.order_by("service_date").values_list("service_date", flat=True)[0]
    assert oldest == (NOW - 399 * DAY).date() > date(2025, 1, 1)


def test_everything_is_kept_where_that_is_wanted(depot, dispatcher, saved_twice, settings) -> None:
    settings.RAW_DAYS = 0
    alert(depot, "meter:1", 800)
    key, _ = make_key(depot, "Feed", ["telemetry"])
    for days in (6, 8):
        IdempotencyKey.objects.create(
            api_key=key, key=str(days), digest="", answer={"x": 1}, created_at=NOW - days * DAY
        )
    assert forget_old(depot, NOW + 900 * DAY) == {"answers": 1, "ingest_log": 0}
    assert content_of(saved_twice[0]) == FIRST
    assert Alert.objects.exists()
