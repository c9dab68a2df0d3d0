"""VDV 463: messages by hand, and complete lists that become departures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.models import AuditEvent, Depot, Job
from fleet.formats import vdv463
from fleet.formats.vdv463 import Message, MessageError, read_message, read_requests, trips, write_message
from fleet.models import Block, ChargingRequest, Vehicle
from fleet.services.charging_requests import take_in
from tests.factories import NOW, make_block, make_vehicle

AT = datetime(2026, 3, 10, 15, tzinfo=UTC)


def ask(number: int, vehicle: str = "Bus 01", hours: float = 4, **changes: Any) -> dict[str, Any]:
    data = {"minTargetSoc": 80, "maxTargetSoc": 100, "requestedTimeForDeparture": at(hours)}
    data |= changes.pop("data", {})
    return {"chargingRequestId": f"R{number}", "vehicleId": vehicle, "chargingRequestData": data} | changes


def at(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).isoformat()


# ---- messages, by hand


def test_a_message_goes_out_as_it_came_in() -> None:
    frame = '[1,"BMS","depot-7","2026-03-10T15:00:00.000Z","6f1c","ProvideChargingRequests",{"chargingRequestList":[]}]'
    message = read_message(frame)
    assert message == Message(
        1, "BMS", "depot-7", AT, "6f1c", "ProvideChargingRequests", {"chargingRequestList": []}
    )
    assert write_message(message) == frame
    answer = message.confirmation({}, AT)
    assert json.loads(write_message(answer))[:6] == [
        2, "LMS", "depot-7", "2026-03-10T15:00:00.000Z", "6f1c", "ProvideChargingRequests",
    ]  # fmt: skip
    assert json.loads(write_message(message.error("No.", AT)))[-1] == {"errorMessage": "No."}


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("nonsense", "not JSON"),
        ("[" * 9000, "not JSON"),
        ("{}", "array of seven"),
        ('[4,"BMS","x","2026-03-10T15:00:00Z","1","BootNotification",{}]', "1, 2 or 3"),
        ('[1,"","x","2026-03-10T15:00:00Z","1","BootNotification",{}]', "source must be"),
        ('[1,"BMS","x","2026-03-10T15:00:00","1","BootNotification",{}]', "offset"),
        ('[1,"BMS","x","2026-03-10T15:00:00Z","1","Reset",{}]', "The action must be"),
        ('[1,"BMS","x","2026-03-10T15:00:00Z","1","BootNotification",[]]', "an object"),
    ],
    ids=range(8),
)
def test_a_broken_message_is_refused_in_words(frame: str, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        read_message(frame)


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=7)
    )
)
def test_no_json_breaks_the_reader(document: object) -> None:
    try:
        read_message(json.dumps(document))
    except MessageError:
        return


def test_each_request_is_rejected_for_itself() -> None:
    items = [
        ask(0),
        ask(1, data={"minTargetSoc": 120}),
        ask(2, data={"minTargetSoc": 90, "maxTargetSoc": 80}),
        ask(3, data={"requestedTimeForDeparture": None, "adHocCharging": True}),
        ask(4, data={"requestedTimeForDeparture": "tomorrow"}),
        ask(5, data={"expectedArrivalTimeAtChargingPoint": at(5)}),
        ask(6, vehicle=""),
        ask(7, chargingInstruction="Terminate"),
        ask(8),
        ask(8),
        {"chargingRequestId": "R9"},
        ask(10, manualPreconditioning={"hvacPreconditioningStartTime": at(3)}),
        ask(11, automaticPreconditioning={"preconditioningRequest": "SNA"}),
        ask(12, automaticPreconditioning={"preconditioningRequest": "HotWaterAndHeating"}),
    ]
    requests, rejected = read_requests({"chargingRequestList": items})
    assert [(one.request_id, one.precondition) for one in requests] == [
        ("R0", False), ("R10", True), ("R11", False), ("R12", True),
    ]  # fmt: skip
    assert {name: words.split(":")[0][:28] for name, words in rejected.items()} == {
        "R1": "minTargetSoc must be a numbe",
        "R2": "minTargetSoc is above maxTar",
        "R3": "requestedTimeForDeparture is",
        "R4": "requestedTimeForDeparture mu",
        "R5": "It departs before it has arr",
        "R6": "vehicleId must be a text of ",
        "R8": "This chargingRequestId stand",
        "R9": "chargingRequestData is missi",
    }
    for broken in ({}, {"chargingRequestList": [3]}, {"chargingRequestList": [{}]}):
        with pytest.raises(MessageError):
            read_requests(broken)


def test_a_trip_lasts_and_uses_what_the_next_request_says() -> None:
    items = [
        ask(2, hours=20, data={"expectedArrivalTimeAtChargingPoint": at(9), "expectedSocAtArrival": 35}),
        ask(1, hours=4),
    ]
    requests, _ = read_requests({"chargingRequestList": items})
    first, last = trips(requests, capacity_kwh=200, floor_soc=0.2)
    assert (first.request.request_id, first.returns_at, first.energy_kwh) == (
        "R1",
        NOW + timedelta(hours=9),
        90.0,
    )
    assert (last.returns_at, last.energy_kwh) == (NOW + timedelta(hours=28), 120.0), "down to the floor"
    [low] = trips([requests[1]], capacity_kwh=200, floor_soc=0.9)
    assert low.energy_kwh == vdv463.LEAST_KWH, "never more is charged than is asked for"


# ---- complete lists, on the database


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def buses(depot: Depot) -> list[Vehicle]:
    return [make_vehicle(depot, f"Bus 0{number}", external_id=f"V{number}") for number in (1, 2)]


def send(depot: Depot, *items: dict[str, Any], presystem: str = "BMS-1") -> dict[str, str]:
    return dict(
        take_in(depot, presystem, {"chargingRequestList": list(items)}, {"B-01"}, "test", NOW).rejected
    )


def blocks(depot: Depot) -> dict[str, tuple[str, float | None]]:
    return {row.block_id: (row.vehicle.name, row.min_soc_departure) for row in Block.objects.of_depot(depot)}


def test_a_list_is_the_whole_truth_and_the_same_list_again_changes_nothing(depot, buses):
    first = [ask(1, chargingPointId="B-01"), ask(2, "V2", 5, data={"minTargetSoc": 60}), ask(3, "V2", 30)]
    assert send(depot, *first) == {}
    assert blocks(depot) == {"R1": ("Bus 01", 0.8), "R2": ("Bus 02", 0.6), "R3": ("Bus 02", 0.8)}
    assert Job.objects.filter(kind="plan").count() == 1, "one plan for all of them"
    marks = list(Block.objects.order_by("pk").values_list("pk")), AuditEvent.objects.count()
    assert send(depot, *reversed(first)) == {}
    assert (list(Block.objects.order_by("pk").values_list("pk")), AuditEvent.objects.count()) == marks
    assert Job.objects.filter(kind="plan").count() == 1
    assert send(depot, ask(3, "V2", 30)) == {}
    assert blocks(depot) == {"R3": ("Bus 02", 0.8)}, "what is no longer requested is no longer a departure"
    assert list(ChargingRequest.objects.values_list("request_id", flat=True)) == ["R3"]


def test_vehicles_swap_their_requests_and_others_keep_their_schedule(depot, buses):
    other = make_vehicle(depot, "Bus 03")
    make_block(depot, other, "keep")
    send(depot, ask(1), ask(2, "Bus 02"))
    assert send(depot, ask(1, "Bus 02"), ask(2)) == {}
    assert blocks(depot) == {"R1": ("Bus 02", 0.8), "R2": ("Bus 01", 0.8), "keep": ("Bus 03", None)}


def test_what_cannot_be_is_rejected_with_its_reason_and_the_rest_stands(depot, buses, other_depot):
    make_vehicle(other_depot, "Foreign")
    rejected = send(
        depot,
        ask(1),
        ask(2, "Foreign"),
        ask(3, "Bus 02", chargingPointId="Z-99"),
        ask(4, hours=9, data={"expectedArrivalTimeAtChargingPoint": at(8)}),
        ask(5, hours=9000),
        ask(6, hours=-1),
    )
    assert blocks(depot).keys() == {"R1", "R4"}, "and the one that has left already is done"
    assert rejected.keys() == {"R2", "R3", "R5"}
    assert "“Foreign”" in rejected["R2"] and "Z-99" in rejected["R3"] and "a year" in rejected["R5"]
    assert ChargingRequest.objects.get(request_id="R2").rejected_because == rejected["R2"]
    taken = send(depot, ask(7, "V1", 12), presystem="ITCS-1")
    assert taken == {"R7": "Bus 01 is requested by BMS-1."}
    plans = Job.objects.filter(kind="plan").count()
    assert send(depot, ask(1), ask(5, hours=9000)).keys() == {"R5"} and blocks(depot).keys() == {"R1"}
    assert send(depot, ask(1), ask(5, hours=9000)).keys() == {"R5"}
    assert Job.objects.filter(kind="plan").count() <= plans + 1, (
        "what is rejected again and again plans nothing"
    )


def test_a_year_that_cannot_be_is_rejected_for_itself(depot, buses):
    never = {"requestedTimeForDeparture": "9999-12-31T23:30:00Z"}
    rejected = send(depot, ask(1), ask(2, "Bus 02", data=never))
    assert blocks(depot).keys() == {"R1"} and "a year from 2000 to 2200" in rejected["R2"]
