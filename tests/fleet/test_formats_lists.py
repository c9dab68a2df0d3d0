"""Lists as other systems write them: school runs per bus, van routes with free titles, what must not be kept."""

from __future__ import annotations

import pytest

from depot.models import AuditEvent, Depot, ImportBatch, User
from fleet.formats.blocks import Fleet, KnownType, KnownVehicle, Reading
from fleet.formats.registry import read_schedule
from fleet.models import Block, ScheduleSettings
from fleet.services import schedules as service
from tests.factories import make_vehicle

FLEET = Fleet(
    frozenset({"maple"}),
    (KnownVehicle("Bus 12", "Bus 200", ("12",)), KnownVehicle("Bus 14", "Bus 200", ("14",))),
    (KnownType("Bus 200", 200, 1.0),),
)
RUNS = """Run ID,Bus Number,Start Time,End Time,Miles
E1-AM,12,6:35 AM,7:20 AM,10
H3-AM,12,7:30 AM,8:15 AM,8
K-MID,12,11:20 AM,12:05 PM,5
E1-PM,12,2:40 PM,3:30 PM,11
E2-AM,14,6:50 AM,8:10 AM,20
"""


def read(text: str, fleet: Fleet = FLEET) -> Reading:
    return read_schedule(text.encode(), "runs.csv", fleet)


def test_runs_of_a_bus_that_follow_each_other_are_one_block() -> None:
    found = read(RUNS)
    assert found.errors == ()
    assert [(row.block_id, row.depart_minute, row.return_minute, row.distance_km) for row in found.rows] == [
        ("Bus 12 AM", 395, 495, pytest.approx(18 * 1.609344, abs=1e-3)),
        ("Bus 12 midday", 680, 725, pytest.approx(5 * 1.609344, abs=1e-3)),
        ("Bus 12 PM", 880, 930, pytest.approx(11 * 1.609344, abs=1e-3)),
        ("Bus 14 AM", 410, 490, pytest.approx(20 * 1.609344, abs=1e-3)),
    ]
    assert {row.weekdays for row in found.rows} == {31}
    assert ["Mon-Fri" in warning.message for warning in found.warnings] == [True, False]


def test_days_and_the_way_from_the_depot_count() -> None:
    fleet = Fleet(FLEET.depot_names, FLEET.vehicles, FLEET.types, deadhead=(15, 6.0))
    found = read("run,bus,start,end,km,days\na,12,7:00,8:00,20,Mon-Thu\nb,12,7:30,8:30,25,Fri\n", fleet)
    assert found.warnings == ()
    assert [(row.weekdays, row.depart_minute, row.return_minute, row.distance_km) for row in found.rows] == [
        (0b01111, 405, 495, 32),
        (0b10000, 435, 525, 37),
    ]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        (RUNS.replace("E2-AM,14", "E2-AM,99"), "Bus Number", "This depot has no vehicle “99”"),
        (RUNS.replace("8:10 AM", "5:10 AM"), "End Time", "ends before it starts"),
        (RUNS.replace("8:10 AM", "late"), "End Time", "“late”"),
        (RUNS.replace("Miles", "Length"), "Length", "is not a column"),
        ("Run ID,Bus,Start,End,Miles\n", "", "has no runs"),
    ],
)
def test_a_run_that_cannot_be_is_named(text: str, column: str, words: str) -> None:
    found = read(text)
    assert any(words in error.message and column == error.column for error in found.errors), found.errors


@pytest.mark.parametrize(
    "title", ["Student Name", "PUPIL_ID", "Date of Birth", "Guardian phone", "last name"]
)
def test_files_with_data_of_pupils_are_refused(title: str) -> None:
    found = read(RUNS.replace("Run ID", title))
    assert found.private
    assert "data of pupils" in found.errors[0].message


def test_counts_of_pupils_are_harmless() -> None:
    found = read(RUNS.replace("Miles", "Miles,Student count").replace("10\n", "10,40\n"))
    assert not found.private
    assert found.unknown_columns == ("Student count",)


@pytest.mark.django_db
def test_a_file_with_data_of_pupils_is_not_kept(depot: Depot, dispatcher: User, login) -> None:
    batch = service.upload(depot, dispatcher, RUNS.replace("Run ID", "Student").encode(), "runs.csv")
    batch.refresh_from_db()
    assert bytes(batch.content) == b""
    assert batch.state == ImportBatch.State.REFUSED
    answer = login(dispatcher).get(f"/{depot.slug}/schedules/upload/{batch.pk}/", follow=True)
    assert "data of pupils" in answer.content.decode()


@pytest.mark.django_db
def test_free_titles_are_asked_for_once_and_remembered(depot: Depot, dispatcher: User, login) -> None:
    make_vehicle(depot, "Van 03")
    vans = (
        "Date;Plate;Route;Leave;Back;Planned km;Parcels;Wagen\n2026-03-11;;R 7;07:30;15:10;84,5;120;Van 03\n"
    )
    batch = service.upload(depot, dispatcher, vans.encode(), "vans.csv")
    client, page = login(dispatcher), f"/{depot.slug}/schedules/upload/{batch.pk}/"
    assert "What these columns mean" in client.get(page).content.decode()
    said = {"title": ["Parcels", "Wagen"], "meaning": ["", "vehicle"]}
    client.post(f"{page}columns/", said)
    assert ScheduleSettings.objects.get(depot=depot).columns == {"parcels": "", "wagen": "vehicle"}
    found = client.get(page).content.decode()
    assert "both mean vehicle" in found, "Plate and Wagen cannot both name the vehicle"
    client.post(f"{page}columns/", {"title": ["Plate"], "meaning": [""]})
    service.commit(service.upload(depot, dispatcher, vans.encode(), "vans.csv"), dispatcher)
    block = Block.objects.select_related("vehicle").get()
    assert (block.block_id, str(block.vehicle), block.distance_km) == ("R 7", "Van 03", 84.5)
    assert AuditEvent.objects.filter(verb="schedule.columns").count() == 2
    client.post(f"{page}columns/", {"title": ["Plate"], "meaning": ["no such column"]})
    assert ScheduleSettings.objects.get(depot=depot).columns["plate"] == ""
