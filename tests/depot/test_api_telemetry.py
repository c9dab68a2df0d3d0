"""`POST /api/v1/telemetry`: the envelope, results item by item, once only, nothing lost, few queries."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from depot.access.keys import make_key
from depot.models import IdempotencyKey
from fleet.models import IngestBatch, QuarantinedReading, TelemetryReading, VehicleState
from fleet.services import telemetry_batches
from fleet.services.ingest_log import forget_batches
from tests.factories import NOW, make_type, make_vehicle


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def program(depot) -> Client:
    return _program(depot)


def _program(depot) -> Client:
    _, raw = make_key(depot, "Telematics", ["telemetry"])
    return Client(headers={"Authorization": f"Bearer {raw}"}, raise_request_exception=False)


def item(vehicle, minutes=-1.0, **values):
    at = (NOW + timedelta(minutes=minutes)).isoformat()
    return {"vehicle": vehicle, "observed_at": at, "soc_percent": 60} | values


def send(program, data, **headers):
    body = data if isinstance(data, str | bytes) else json.dumps(data)
    return program.post("/api/v1/telemetry", body, content_type="application/json", headers=headers)


def results(answer) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert [row["index"] for row in body["results"]] == list(range(len(body["results"])))
    assert sum(body["counts"].values()) == len(body["results"])
    return [(row["status"], row["code"]) for row in body["results"]]


def test_every_item_gets_its_own_result(depot, program):
    bus = make_vehicle(depot, soc=0.6, vin="1BABNB8A1PF000001", external_id="T-7")
    answer = send(
        program,
        [
            item(bus.pk, 1, source_event_id="a"),
            item("1babnb8a1pf000001", 2, soc_percent=61),
            item("T-7", 2, soc_percent=61),
            item("T-7", -30),
            item("T-7", 3, soc_percent=400),
            item("T-7", 4, soc_percent=2),
            item("nobody", 1),
        ],
    )
    assert results(answer) == [
        ("accepted", "accepted"),
        ("accepted", "accepted"),
        ("duplicate", "duplicate"),
        ("late", "late"),
        ("rejected", "out_of_range"),
        ("accepted", "implausible"),
        ("quarantined", "unknown_vehicle"),
    ]
    assert answer.json()["counts"] == {
        "accepted": 3, "duplicate": 1, "late": 1, "rejected": 1, "quarantined": 1,
    }  # fmt: skip
    state = VehicleState.objects.get()
    assert (state.soc, state.soc_source) == (0.61, "telematics")
    assert TelemetryReading.objects.filter(quality="suspect").count() == 1


def test_an_object_with_items_is_taken_as_well(depot, program):
    bus = make_vehicle(depot)
    assert results(send(program, {"items": [item(bus.pk, 1)]})) == [("accepted", "accepted")]
    assert results(send(program, [])) == []


def test_a_text_of_digits_is_an_external_id_before_it_is_an_id(depot, program):
    first = make_vehicle(depot, "Bus 1", soc=None)
    second = make_vehicle(depot, "Bus 2", soc=None, external_id=str(first.pk))
    send(program, [item(str(first.pk))])
    send(program, [item(str(second.pk))])
    assert set(TelemetryReading.objects.values_list("vehicle", flat=True)) == {second.pk}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "parse_error"),
        ("[NaN]", 400, "parse_error"),
        ("\xff\xfe".encode("latin-1"), 400, "parse_error"),
        ("[" * 100_000, 400, "parse_error"),
        ("5", 400, "envelope"),
        ('"items"', 400, "envelope"),
        ("{}", 400, "envelope"),
        ('{"items": 5}', 400, "envelope"),
        ('{"items": [], "mode": "fast"}', 400, "envelope"),
        (json.dumps([{}] * 1001), 413, "too_many_items"),
        ("[" + " " * 11_000_000 + "]", 413, "too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_broken_envelope_is_refused_as_a_whole(program, body, status, code):
    answer = send(program, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_another_media_type_is_refused(program):
    answer = program.post("/api/v1/telemetry", "a,b", content_type="text/csv")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_thousand_items_are_taken(depot, program):
    bus = make_vehicle(depot, soc=None)
    answer = send(program, [item(bus.pk, -minute) for minute in range(1000)])
    assert set(results(answer)) == {("accepted", "accepted")}
    assert TelemetryReading.objects.count() == 1000


def test_the_queries_do_not_grow_with_the_batch(depot, program):
    kind = make_type(depot)
    buses = [make_vehicle(depot, f"Bus {number}", type=kind) for number in range(5)]
    send(program, [])

    def queries(count):
        batch = [item(bus.pk, -count, source_event_id=str(n)) for n in range(count) for bus in buses]
        batch += [item("nobody", -count, source_event_id=str(n)) for n in range(count)]
        with CaptureQueriesContext(connection) as captured:
            assert send(program, batch).status_code == 200
        return len(captured)

    assert queries(1) == queries(10)


# ---- nothing lost, nothing of others


def test_what_no_vehicle_claims_is_kept_once(depot, program):
    odd = item("nobody", odometer_km=5.5)
    assert (
        results(send(program, [odd])) == results(send(program, [odd])) == [("quarantined", "unknown_vehicle")]
    )
    kept = QuarantinedReading.objects.get()
    assert (kept.depot, kept.vehicle_ref, kept.payload) == (depot, "nobody", odd)


def test_the_quarantine_does_not_grow_for_ever(depot, program, monkeypatch):
    monkeypatch.setattr(telemetry_batches, "QUARANTINE_LIMIT", 1)
    assert (
        results(send(program, [item("nobody"), item("nobody", -2)])) == [("rejected", "quarantine_full")] * 2
    )
    assert QuarantinedReading.objects.count() == 0


def test_a_vehicle_of_another_depot_is_unknown(depot, other_depot, program):
    theirs = make_vehicle(other_depot, external_id="T-9", vin="VIN9")
    answers = results(send(program, [item(theirs.pk), item("T-9"), item("VIN9"), item(str(theirs.pk))]))
    assert set(answers) == {("quarantined", "unknown_vehicle")}
    assert TelemetryReading.objects.count() == 0
    assert theirs.state.soc == VehicleState.objects.get().soc


def test_a_fault_half_way_keeps_nothing_and_says_so(depot, program, monkeypatch):
    bus = make_vehicle(depot)

    def broken(*args):
        raise RuntimeError("disk full")

    monkeypatch.setattr(telemetry_batches, "_quarantine", broken)
    answer = send(program, [item(bus.pk, 1)], **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert TelemetryReading.objects.count() == IdempotencyKey.objects.count() == 0
    monkeypatch.undo()
    assert results(send(program, [item(bus.pk, 1)], **{"Idempotency-Key": "k"})) == [("accepted", "accepted")]


# ---- Idempotency-Key


def test_the_same_key_and_body_get_the_same_answer(depot, program):
    bus = make_vehicle(depot)
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = send(program, [item(bus.pk, 1)], **key)
    again = send(program, [item(bus.pk, 1)], **key)
    assert first.json() == again.json()
    assert results(again) == [("accepted", "accepted")]
    assert results(send(program, [item(bus.pk, 1)])) == [("duplicate", "duplicate")]


def test_the_same_key_with_another_body_is_refused(depot, program):
    bus = make_vehicle(depot)
    send(program, [item(bus.pk, 1)], **{"Idempotency-Key": "k"})
    answer = send(program, [item(bus.pk, 2)], **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert TelemetryReading.objects.count() == 1


def test_another_programs_key_is_another_key(depot, other_depot, program):
    ours, theirs = make_vehicle(depot), make_vehicle(other_depot)
    send(program, [item(ours.pk, 1)], **{"Idempotency-Key": "k"})
    answer = send(_program(other_depot), [item(theirs.pk, 1)], **{"Idempotency-Key": "k"})
    assert results(answer) == [("accepted", "accepted")]


def test_a_broken_envelope_does_not_use_up_the_key(depot, program):
    bus = make_vehicle(depot)
    assert send(program, "{", **{"Idempotency-Key": "k"}).status_code == 400
    assert results(send(program, [item(bus.pk, 1)], **{"Idempotency-Key": "k"})) == [("accepted", "accepted")]


def test_an_endless_key_is_refused(program):
    assert send(program, [], **{"Idempotency-Key": "k" * 201}).status_code == 400


def test_a_key_is_forgotten_after_a_week(depot, program):
    bus = make_vehicle(depot)
    send(program, [item(bus.pk, 1)], **{"Idempotency-Key": "k"})
    with time_machine.travel(NOW + timedelta(days=8), tick=False):
        answer = send(program, [item(bus.pk, 1)], **{"Idempotency-Key": "k"})
        assert results(answer) == [("duplicate", "duplicate")]
    assert IdempotencyKey.objects.count() == 1


def test_packed_bodies_and_json_lines_are_read(depot, program):
    make_vehicle(depot, external_id="T-7")
    lines = "\n".join(json.dumps(item("T-7", minute)) for minute in (1, 2, 3)) + "\n\n"
    for number, body in enumerate((lines.encode(), gzip.compress(lines.encode()))):
        headers = {"Content-Encoding": "gzip"} if number else {}
        answer = program.post("/api/v1/telemetry", body, content_type="application/x-ndjson", headers=headers)
        assert [status for status, _ in results(answer)] == [("accepted", "duplicate")[number]] * 3
    packed = gzip.compress(json.dumps([item("T-7", 4)]).encode())
    assert results(send(program, packed, **{"Content-Encoding": "gzip"})) == [("accepted", "accepted")]


@pytest.mark.parametrize(
    ("body", "encoding", "status", "words"),
    [
        (gzip.compress(b"0" * 11_000_000), "gzip", 413, "larger than 10 MB"),
        (b"[]", "gzip", 400, "says it is gzip and is not"),
        (gzip.compress(b"[]" * 1000)[:-12], "gzip", 400, "cut off"),
        (b"[]", "br", 415, "br is not read"),
        (b'{"a": NaN}', "identity", 400, "NaN"),
        ('["ä"]'.encode("latin-1"), "identity", 400, "not UTF-8"),
    ],
    ids=["too large", "not packed", "cut off", "another packing", "NaN", "not UTF-8"],
)
def test_a_broken_envelope_is_refused_with_a_sentence(depot, program, body, encoding, status, words):
    answer = send(program, body, **{"Content-Encoding": encoding})
    assert answer.status_code == status
    assert words in answer.content.decode()


def test_a_broken_line_is_named(depot, program):
    answer = program.post("/api/v1/telemetry", '{"a": 1}\n{"a"\n', content_type="application/x-ndjson")
    assert answer.status_code == 400
    assert "Line 2" in answer.content.decode()


# ---- the ingest log


def test_every_batch_leaves_a_line_that_says_what_was_wrong(depot, program):
    bus = make_vehicle(depot, soc=None)
    items = [item(bus.pk, -1), item(bus.pk, -1), item("nobody"), item(bus.pk, soc_percent="full")]
    send(program, items)
    line = IngestBatch.objects.get()
    assert (line.depot, line.sender, line.received_at) == (depot, "API key: Telematics", NOW)
    assert (line.items, line.accepted, line.duplicate, line.quarantined, line.rejected) == (4, 1, 1, 1, 1)
    assert line.first_problem.startswith("Item 2: No vehicle of this depot has this id")
    assert [(one["index"], one["code"]) for one in line.problems] == [
        (2, "unknown_vehicle"),
        (3, "not_a_number"),
    ]
    assert json.loads(line.problems[1]["item"]) == items[3]


def test_a_repeated_request_and_an_empty_one_leave_no_line(depot, program):
    bus = make_vehicle(depot, soc=None)
    for _ in range(2):
        send(program, [item(bus.pk, -1)], **{"Idempotency-Key": "k"})
    send(program, [])
    assert IngestBatch.objects.count() == 1


def test_the_log_keeps_ten_problems_of_a_batch_and_two_weeks(depot, program):
    send(program, [item("nobody", -minute) for minute in range(30)])
    assert len(IngestBatch.objects.get().problems) == 10
    assert forget_batches(depot, NOW + timedelta(days=14)) == 0
    assert forget_batches(depot, NOW + timedelta(days=14, minutes=1)) == 1
