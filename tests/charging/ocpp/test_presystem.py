"""A presystem over a real socket: who may come in, what it asks for, what it is told."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from charging.models import Charger
from charging.selectors.presystem import charging_information, points
from charging.services.plugs import plug_in
from charging.services.samples import record_sample
from charging.vdv463 import door
from depot import clock
from depot.access.keys import make_key, revoke
from depot.models import Depot
from fleet.formats import vdv463
from fleet.models import Block
from tests import factories
from tests.charging.ocpp.conftest import Running, basic


def link(running: Running, slug: str, header: str, protocol: str = vdv463.SUBPROTOCOL) -> ClientConnection:
    assert running.gateway is not None
    return connect(
        f"ws://127.0.0.1:{running.gateway.port}/vdv463/{slug}",
        subprotocols=[protocol] if protocol else None,  # type: ignore[list-item] - plain texts in a test
        additional_headers={"Authorization": header} if header else {},
        proxy=None,
    )


def call(socket: ClientConnection, action: str, payload: dict[str, Any]) -> Any:
    """Send a request and return the answer to it; what comes unasked is confirmed."""
    number = str(uuid.uuid4())
    at = vdv463.stamp(clock.now())
    socket.send(json.dumps([1, "BMS", "BMS-1", at, number, action, payload]))
    while True:
        answer = json.loads(socket.recv(timeout=5))
        if answer[4] == number:
            return answer
        confirm(socket, answer)


def confirm(socket: ClientConnection, message: list[Any]) -> None:
    socket.send(json.dumps([2, "BMS", *message[2:6], {}]))


def informed(socket: ClientConnection) -> dict[str, Any]:
    """Return what the next information says."""
    message = json.loads(socket.recv(timeout=5))
    assert message[:3] == [1, "LMS", "BMS-1"] and message[5] == "ProvideChargingInformation"
    confirm(socket, message)
    payload: dict[str, Any] = message[6]
    return payload


def test_only_a_key_of_this_depot_that_may_write_schedules_comes_in(running: Running, yard: Depot) -> None:
    _, key = make_key(yard, "BMS", ["schedules", "read"])
    _, reader = make_key(yard, "reader", ["read"])
    other = factories.make_depot("Harbor")
    _, foreign = make_key(other, "BMS", ["schedules", "read"])
    refused = [(yard.slug, ""), (yard.slug, "Basic !"), (yard.slug, f"Bearer {key}x")]
    refused += [
        (yard.slug, f"Bearer {reader}"),
        (yard.slug, f"Bearer {foreign}"),
        (other.slug, f"Bearer {key}"),
    ]
    for slug, header in refused:
        with pytest.raises(InvalidStatus) as told:
            link(running, slug, header)
        assert (told.value.response.status_code, told.value.response.body) == (401, b""), (slug, header)
    for header in (f"Bearer {key}", basic("BMS", key)):
        with link(running, yard.slug, header) as socket:
            assert socket.subprotocol == vdv463.SUBPROTOCOL
    with link(running, yard.slug, f"Bearer {key}", "") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=5)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1002


def test_a_presystem_asks_and_is_told(
    running: Running, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "INFORM_S", 0.05)
    depot, [point] = charger.depot, points(charger.depot)
    key, raw = make_key(depot, "BMS", ["schedules", "read"])
    departs = clock.now() + timedelta(hours=5)
    wanted = {
        "chargingRequestId": "R1",
        "vehicleId": "Bus 01",
        "chargingPointId": point,
        "chargingRequestData": {
            "minTargetSoc": 75,
            "maxTargetSoc": 100,
            "requestedTimeForDeparture": departs.isoformat(),
        },
    }
    lost = wanted | {"chargingRequestId": "R2", "vehicleId": "Bus 99"}
    with link(running, depot.slug, basic("BMS", raw)) as socket:
        assert call(socket, "BootNotification", {"presystem": "BMS"})[0::6] == [2, {"status": "Accepted"}]
        assert call(socket, "BootNotification", {"presystem": "PC"})[0] == 3
        assert call(socket, "ProvideChargingInformation", {})[0] == 3
        socket.send("nonsense")
        while (broken := json.loads(socket.recv(timeout=5)))[0] != 3:
            confirm(socket, broken)
        assert broken[6] == {"errorMessage": "This is not JSON."}
        many = [lost | {"chargingRequestId": f"L{number}"} for number in range(600)]
        assert call(socket, "ProvideChargingRequests", {"chargingRequestList": [wanted, *many]})[0::6] == [
            2,
            {},
        ]
        assert Block.objects.get().min_soc_departure == 0.75
        assert call(socket, "ProvideChargingRequests", {"chargingRequestList": [wanted, lost]})[0] == 2
        while len((payload := informed(socket))["rejectedChargingRequestInfoList"]) != 1:
            pass
        [rejected] = payload["rejectedChargingRequestInfoList"]
        assert (rejected["presystemId"], rejected["chargingRequestId"]) == ("BMS-1", "R2")
        [told] = payload["depotInfoList"]
        assert (told["depotId"], told["name"]) == (depot.slug, depot.name)
        [station] = told["chargingStationInfoList"]
        assert station["chargingStationFaultInfo"]["chargingStationFaultCode"] == "CommunicationFailure"
        [place] = station["chargingPointInfoList"]
        assert (place["chargingPointId"], place["chargingPointStatus"]) == (point, "Unavailable")
        assert [one["chargingRequestId"] for one in place["scheduledChargingProcessList"]] == ["R1"]
        revoke(key, factories.make_person(depot, "owner"))
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(50):
                informed(socket)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


def test_what_is_told_of_a_vehicle_that_charges(charger: Charger) -> None:
    """Names and units are the standard's: SoC in %, power in kW, energy in Wh."""
    now = clock.now()
    connector, depot = charger.connectors.get(), charger.depot
    vehicle = connector.vehicle
    assert vehicle is not None
    Charger.objects.update(connected=True, last_seen_at=now)
    session = plug_in(connector, "tx", now - timedelta(hours=1), vehicle, 0.5)
    record_sample(session, now - timedelta(minutes=20), 40.0, 0.0, 0.0, 0.5)
    record_sample(session, now - timedelta(seconds=5), 42.5, 12.5, 0.0, 0.55)
    payload = charging_information(depot, "BMS-1", now)
    [station] = payload["depotInfoList"][0]["chargingStationInfoList"]
    [place] = station["chargingPointInfoList"]
    assert station["totalPower"] == 42.5 and "chargingStationFaultInfo" not in station
    assert place["chargingPointStatus"] == "Occupied"
    told = place["vehicleInfo"]
    assert (told["vehicleId"], told["vehicleChargingStatus"]) == ("Bus 01", "Charging")
    assert told["tractionBatteryInfo"] == {"stateOfHealth": 100.0, "stateOfCharge": 55.0}
    assert {"vehicleStatusInfo", "preconditioningInfo"} <= told.keys()
    process = place["chargingProcessInfo"]
    assert process.keys() == {
        "chargingProcessId", "processStatus", "startTime", "chargingPredictionData", "electricData",
        "deliveredEnergy",
    }  # fmt: skip
    assert (process["processStatus"], process["electricData"]) == ("Charging", {"chargingPower": 42.5})
    assert process["chargingPredictionData"] == {"chargingPredictionDataStatus": "Ongoing"}
    assert process["deliveredEnergy"] == 12500
