"""Schedules from an upload to saved blocks: once, all or nothing, with a trace."""

from __future__ import annotations

import json
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.jobs.registry import KINDS, JobKind
from depot.models import AuditEvent, Depot, ImportBatch, Job, User
from fleet.formats import canonical
from fleet.formats.ranges import DateRange
from fleet.models import Assignment, Block
from fleet.services import schedules as service
from fleet.services.undo import CannotUndo, undo
from tests.factories import NOW, make_block, make_type, make_vehicle

HEADER = "block_id,service_days,depart_at,return_at,distance_km,vehicle"
TWO_BLOCKS = f"{HEADER}\n101,Mon-Fri,06:30,08:45,40,Bus 01\n102,Mon-Fri,14:00,16:15,42,Bus 01\n".encode()


@pytest.fixture
def bus(depot: Depot):
    return make_vehicle(depot, "Bus 01", vin="1HVBBAAN0XH000001", external_id="tele-1")


def save(depot: Depot, user: User, content: bytes, replace: bool = False) -> service.Saved:
    return service.commit(service.upload(depot, user, content, "week.csv"), user, replace)


def counts(saved: service.Saved) -> tuple[int, ...]:
    return saved.new, saved.changed, saved.unchanged, saved.removed, saved.kept


def test_an_upload_alone_writes_no_block(depot: Depot, dispatcher: User, bus) -> None:
    batch = service.upload(depot, dispatcher, TWO_BLOCKS, "week.csv")
    assert Block.objects.count() == 0
    assert batch.state == ImportBatch.State.CHECKED
    assert bytes(batch.content) == TWO_BLOCKS
    assert batch.report["new"] == 2
    assert AuditEvent.objects.get().verb == "schedule.uploaded"


def test_the_same_file_again_changes_nothing(depot: Depot, dispatcher: User, bus) -> None:
    assert counts(save(depot, dispatcher, TWO_BLOCKS)) == (2, 0, 0, 0, 0)
    before = list(Block.objects.values())
    assert counts(save(depot, dispatcher, TWO_BLOCKS)) == (0, 0, 2, 0, 0)
    assert list(Block.objects.values()) == before
    assert Block.history.count() == 2


def test_a_saved_upload_is_saved_once(depot: Depot, dispatcher: User, bus) -> None:
    batch = service.upload(depot, dispatcher, TWO_BLOCKS, "week.csv")
    first = service.commit(batch, dispatcher)
    Block.objects.all().delete()
    assert service.commit(batch, dispatcher) == first
    assert Block.objects.count() == 0


def test_a_block_holds_what_the_file_says(depot: Depot, dispatcher: User, bus) -> None:
    content = (
        "depot,block_id,service_days,valid_from,valid_to,depart_at,return_at,distance_km,energy_kwh,"
        "min_soc_departure,vehicle,vehicle_type,precondition\n"
        f"maple-street,7,weekdays,2026-01-05,2026-06-12,22:30,01:10+1,60,55.5,80 %,tele-1,{bus.type.name},yes\n"
    )
    save(depot, dispatcher, content.encode())
    block = Block.objects.get()
    assert (block.key, block.weekdays) == ("7|1111100|2026-01-05", 31)
    assert (block.valid_from, block.valid_to) == (date(2026, 1, 5), date(2026, 6, 12))
    assert (block.depart_minute, block.return_minute) == (1350, 1510)
    assert (block.distance_km, block.energy_kwh, block.min_soc_departure) == (60, 55.5, 0.8)
    assert (block.vehicle, block.vehicle_type, block.precondition) == (bus, bus.type, True)


def test_adding_changes_and_keeps(depot: Depot, dispatcher: User, bus) -> None:
    save(depot, dispatcher, TWO_BLOCKS)
    content = f"{HEADER}\n101,Mon-Fri,06:35,08:45,40,Bus 01\n103,Sat,09:00,10:00,20,Bus 01\n".encode()
    assert counts(save(depot, dispatcher, content)) == (1, 1, 0, 0, 1)
    assert sorted(Block.objects.values_list("block_id", "depart_minute")) == [
        ("101", 395),
        ("102", 840),
        ("103", 540),
    ]


def test_replacing_removes_blocks_with_their_assignments(depot: Depot, dispatcher: User, bus) -> None:
    save(depot, dispatcher, TWO_BLOCKS)
    block = Block.objects.get(block_id="102")
    Assignment.objects.create(block=block, service_date=date(2026, 3, 10), vehicle=bus, made_at=NOW)
    batch = service.upload(depot, dispatcher, TWO_BLOCKS.rsplit(b"102", 1)[0], "one.csv")
    assert counts(service.commit(batch, dispatcher, replace=True)) == (0, 0, 1, 1, 0)
    assert list(Block.objects.values_list("block_id", flat=True)) == ["101"]
    assert not Assignment.objects.exists()
    batch.refresh_from_db()
    undo = batch.report["undo"]
    assert [row["block_id"] for row in undo["removed"]] == ["102"]
    assert undo["assignments"][0]["date"] == "2026-03-10"


def test_what_a_file_has_no_column_for_stays(depot: Depot, dispatcher: User, bus) -> None:
    save(depot, dispatcher, TWO_BLOCKS)
    content = b"block_id,service_days,depart_at,return_at,distance_km\n101,Mon-Fri,06:40,08:45,40\n"
    assert counts(save(depot, dispatcher, content)) == (0, 1, 0, 0, 1)
    assert Block.objects.get(block_id="101").vehicle == bus


def test_an_empty_cell_takes_the_vehicle_away(depot: Depot, dispatcher: User, bus) -> None:
    save(depot, dispatcher, TWO_BLOCKS)
    assert save(depot, dispatcher, TWO_BLOCKS.replace(b",Bus 01", b",")).changed == 2
    assert not Block.objects.filter(vehicle=bus).exists()


def test_a_file_with_an_error_saves_nothing(depot: Depot, dispatcher: User, bus) -> None:
    content = TWO_BLOCKS + b"103,Mon-Fri,25:99,26:00,10,Bus 01\n"
    batch = service.upload(depot, dispatcher, content, "week.csv")
    assert batch.state == ImportBatch.State.REFUSED
    with pytest.raises(service.ScheduleRefused, match=r"row 4, column depart_at: “25:99”"):
        service.commit(batch, dispatcher)
    assert not Block.objects.exists()


def test_a_conflict_with_the_schedule_forbids_adding_but_not_replacing(
    depot: Depot, dispatcher: User, bus
) -> None:
    make_block(depot, bus, "old", depart_minute=400, return_minute=500)
    batch = service.upload(depot, dispatcher, TWO_BLOCKS, "week.csv")
    assert batch.report["conflict_count"] == 1
    with pytest.raises(service.ScheduleRefused, match=r"row 2, column vehicle.*block old.*already in the"):
        service.commit(batch, dispatcher)
    assert Block.objects.count() == 1
    assert counts(service.commit(batch, dispatcher, replace=True)) == (2, 0, 0, 1, 0)


def test_a_file_is_read_before_the_transaction_and_again_when_the_schedule_changed(
    depot: Depot, dispatcher: User, bus, monkeypatch
) -> None:
    """A large file takes long to read: meanwhile telemetry and charger messages must be written."""
    batch = service.upload(depot, dispatcher, TWO_BLOCKS, "week.csv")
    check, open_transactions = service.check, []

    def slow(*arguments):
        open_transactions.append(len(connection.savepoint_ids))
        found = check(*arguments)
        if len(open_transactions) == 1:  # somebody enters a block that the same vehicle would drive
            make_block(depot, bus, "old", depart_minute=400, return_minute=500)
        return found

    monkeypatch.setattr(service, "check", slow)
    outside = len(connection.savepoint_ids)
    with pytest.raises(service.ScheduleRefused, match=r"block old.*already in the"):
        service.commit(batch, dispatcher)
    assert open_transactions == [outside, outside]
    assert Block.objects.count() == 1


def test_blocks_entered_in_another_way_are_recognised(depot: Depot, dispatcher: User, bus) -> None:
    """Keys written elsewhere, even each other's, never stand in the way."""
    make_block(depot, bus, "101", key="102|1111100", distance_km=40)
    make_block(depot, bus, "102", key="101|1111100", depart_minute=840, return_minute=975, distance_km=42)
    assert counts(save(depot, dispatcher, TWO_BLOCKS)) == (0, 0, 2, 0, 0)
    assert dict(Block.objects.values_list("block_id", "key")) == {
        "101": "101|1111100",
        "102": "102|1111100",
    }


def test_only_blocks_wholly_within_the_days_are_replaced(depot: Depot, dispatcher: User, bus) -> None:
    march, april = date(2026, 3, 10), date(2026, 4, 10)
    for day in (march, april):
        make_block(depot, bus, f"D{day:%m}", weekdays=0, service_date=day)
    content = (
        b"block_id,date,depart_at,return_at,distance_km,vehicle\nN,2026-03-11,06:00,07:00,20,Bus 01\n"
        b"M,2026-05-11,06:00,07:00,20,Bus 01\n"
    )
    days = DateRange(date(2026, 3, 1), date(2026, 3, 31))
    found = service.check(depot, content, "march.csv", days=days)
    assert [row.block_id for row in found.difference.missing] == ["D03"]
    assert [row.block_id for row in found.rows] == ["N"]
    assert "1 row runs only outside the chosen days" in found.warnings[0].message
    batch = service.upload(depot, dispatcher, content, "march.csv", days=days)
    assert counts(service.commit(batch, dispatcher, replace=True)) == (1, 0, 0, 1, 0)
    assert set(Block.objects.values_list("block_id", flat=True)) == {"N", "D04"}


def test_another_depots_blocks_are_out_of_reach(
    depot: Depot, other_depot: Depot, dispatcher: User, bus
) -> None:
    theirs = make_block(other_depot, make_vehicle(other_depot), "theirs")
    save(depot, dispatcher, TWO_BLOCKS, replace=True)
    theirs.refresh_from_db()


def test_saving_asks_for_a_plan_and_leaves_a_trace(
    depot: Depot, dispatcher: User, bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "plan", JobKind("plan", "Plan", lambda job, progress: None))
    save(depot, dispatcher, TWO_BLOCKS)
    job = Job.objects.get()
    assert (job.kind, job.payload, job.requested_by) == (
        "plan",
        {"trigger": "The schedule changed"},
        dispatcher,
    )
    event = AuditEvent.objects.get(verb="schedule.committed")
    assert event.sentence == "Saved the schedule week.csv: 2 blocks new, 0 changed, 0 unchanged."
    save(depot, dispatcher, TWO_BLOCKS)
    assert Job.objects.count() == 1, "an unchanged schedule needs no new plan"


def test_the_schedule_goes_out_and_comes_back_unchanged(depot: Depot, dispatcher: User, bus) -> None:
    make_type(depot, name="=Type; odd")
    make_block(depot, bus, "=SUM(A1)", key="x", energy_kwh=12.345, min_soc_departure=0.55, precondition=True)
    make_block(depot, None, "night", key="y", weekdays=96, depart_minute=1400, return_minute=1500)
    make_block(depot, None, "once", key="z", weekdays=0, service_date=date(2026, 3, 11))
    text = canonical.write(service.block_rows(depot), depot.slug)
    assert "'=SUM(A1)" in text
    found = service.check(depot, text.encode(), "back.csv")
    assert not found.errors
    assert len(found.difference.unchanged) == 3


def test_the_template_names_this_depots_vehicles_and_saves_nothing(depot: Depot, bus) -> None:
    make_vehicle(depot, "@Bus", type=bus.type)
    make_vehicle(depot, "Old bus", type=bus.type, active=False)
    text = canonical.write_template(service.known_fleet(depot), depot.slug)
    assert "Bus 01" in text
    assert "'@Bus" in text
    assert "Old bus" not in text
    found = service.check(depot, text.encode(), "template.csv")
    assert [error.message for error in found.errors] == [
        "template.csv has no blocks. Add one row for each block."
    ]


def run(*args: str) -> tuple[int, dict, str]:
    """Run the command; return its exit code, its JSON and its errors."""
    out, err = StringIO(), StringIO()
    try:
        call_command("import_schedule", *args, "--json", stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue() or "{}"), str(error)
    return 0, json.loads(out.getvalue()), err.getvalue()


@pytest.fixture
def week(tmp_path: Path) -> Path:
    path = tmp_path / "week.csv"
    path.write_bytes(TWO_BLOCKS)
    return path


def test_the_command_previews_and_saves(depot: Depot, bus, week: Path) -> None:
    code, answer, _ = run(depot.slug, str(week))
    assert code == 0
    assert {name: answer[name] for name in ("format", "blocks", "new", "removed", "committed")} == {
        "format": "csv",
        "blocks": 2,
        "new": 2,
        "removed": 0,
        "committed": False,
    }
    assert not Block.objects.exists()
    assert not ImportBatch.objects.exists()
    assert run(depot.slug, str(week), "--commit")[1]["committed"]
    _, answer, _ = run(depot.slug, str(week), "--commit")
    assert (answer["new"], answer["changed"], answer["unchanged"]) == (0, 0, 2)


def test_the_command_counts_what_it_keeps_and_removes(depot: Depot, bus, week: Path) -> None:
    make_block(depot, None, "old")
    _, answer, _ = run(depot.slug, str(week))
    assert (answer["removed"], answer["kept"]) == (0, 1)
    _, answer, _ = run(depot.slug, str(week), "--replace", "--commit")
    assert (answer["removed"], answer["kept"]) == (1, 0)
    assert Block.objects.count() == 2


def test_the_command_tells_every_error_and_ends_with_1(depot: Depot, bus, week: Path) -> None:
    week.write_bytes(TWO_BLOCKS.replace(b"Bus 01", b"Bus 10"))
    code, answer, err = run(depot.slug, str(week), "--commit")
    assert code == 1
    assert [(error["row"], error["column"], error["value"]) for error in answer["errors"]] == [
        (2, "vehicle", "Bus 10"),
        (3, "vehicle", "Bus 10"),
    ]
    assert "week.csv, row 2, column vehicle: This depot has no vehicle “Bus 10”." in err
    assert not Block.objects.exists()


@pytest.mark.parametrize("file_format", ["vdv452", "gtfs", "xlsx"])
def test_the_command_says_when_a_file_is_in_another_format(
    depot: Depot, week: Path, file_format: str
) -> None:
    code, answer, err = run(depot.slug, str(week), "--format", file_format)
    assert code == 1
    assert week.name in err
    assert answer["format"] == file_format


def test_the_command_speaks_to_people_too(depot: Depot, bus, week: Path) -> None:
    out, err = StringIO(), StringIO()
    week.write_bytes(TWO_BLOCKS + b",,,,,Bus 01\n")
    call_command("import_schedule", depot.slug, str(week), stdout=out, stderr=err)
    assert out.getvalue().startswith("2 blocks: 2 new")
    assert "Warning: week.csv: Row 4 has a vehicle but no block" in err.getvalue()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere", "week.csv"], 1, "There is no depot “nowhere”. Known: maple-street"),
        (["maple-street", "absent.csv"], 1, "absent.csv: cannot be read"),
        (["maple-street", "week.csv", "--from", "9.3.2026"], 1, "is not a date"),
        (["maple-street", "week.csv", "--from", "2026-03-09", "--to", "2026-03-01"], 2, "Swap them"),
    ],
)
def test_the_command_names_wrong_arguments(
    depot: Depot, week: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(week.parent)
    found, _, err = run(*arguments)
    assert words in err
    assert found == code


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", HEADER.encode() + b"\n", TWO_BLOCKS]))
def test_no_bytes_break_the_reader(start: bytes, table: bytes) -> None:
    from fleet.formats.blocks import Fleet
    from fleet.formats.registry import read_schedule

    reading = read_schedule(table + start, "any.csv", Fleet(frozenset({"d"}), (), ()))
    assert reading.rows or reading.errors
    assert all(error.message for error in reading.errors)


def test_the_last_file_can_be_taken_back(depot: Depot, dispatcher: User, bus) -> None:
    save(depot, dispatcher, TWO_BLOCKS)
    other = make_vehicle(depot, "Bus 02")
    block = Block.objects.get(block_id="102")
    Assignment.objects.create(block=block, service_date=date(2026, 3, 10), vehicle=other, made_at=NOW)
    before = sorted(Block.objects.values_list(*service.ROW_FIELDS, "key", "vehicle"))
    third = f"{HEADER}\n101,Mon-Fri,06:45,08:45,40,Bus 01\n103,Sat,06:30,08:45,40,Bus 01\n".encode()
    batch = service.upload(depot, dispatcher, third, "third.csv")
    assert counts(service.commit(batch, dispatcher, replace=True)) == (1, 1, 0, 1, 0)
    undo(batch, dispatcher)
    assert sorted(Block.objects.values_list(*service.ROW_FIELDS, "key", "vehicle")) == before
    assert Assignment.objects.get().vehicle == other
    assert AuditEvent.objects.filter(verb="schedule.undone").count() == 1
    with pytest.raises(CannotUndo):
        undo(batch, dispatcher)


def test_only_the_last_file_can_be_taken_back(depot: Depot, dispatcher: User, bus) -> None:
    first = service.upload(depot, dispatcher, TWO_BLOCKS, "first.csv")
    service.commit(first, dispatcher)
    second = service.upload(depot, dispatcher, f"{HEADER}\n103,Sat,06:30,08:45,40,\n".encode(), "second.csv")
    service.commit(second, dispatcher)
    with pytest.raises(CannotUndo, match=r"first\.csv is not the last file"):
        undo(first, dispatcher)
    undo(second, dispatcher)
    undo(first, dispatcher)
    assert not Block.objects.exists()


def test_the_pages_take_back_and_give_the_file_with_its_errors(
    depot: Depot, dispatcher: User, bus, login
) -> None:
    client = login(dispatcher)
    batch = service.upload(depot, dispatcher, TWO_BLOCKS.replace(b"14:00", b"27:99"), "bad.csv")
    page = f"/{depot.slug}/schedules/upload/{batch.pk}/"
    assert b"error column" in client.get(page).content
    lines = client.get(f"{page}errors.csv").content.decode("utf-8-sig").splitlines()
    assert lines[0] == f"{HEADER},error"
    assert lines[1].endswith("Bus 01,")
    assert "depart_at: “27:99”" in lines[2]
    good = service.upload(depot, dispatcher, TWO_BLOCKS, "good.csv")
    service.commit(good, dispatcher)
    page = f"/{depot.slug}/schedules/upload/{good.pk}/"
    assert b"Take it back" in client.get(page).content
    assert client.post(f"{page}undo/").status_code == 302
    assert b"was taken back" in client.get(page).content
    assert not Block.objects.exists()
