"""VDV 463: what a presystem (depot management, ITCS) and a load management system say to each other. PURE.

A message is a JSON array of seven: type (1 request, 2 confirmation, 3 error), source, presystem id, time, message id,
action, payload. Source: VDV 463 and its JSON schemas (VDVde/VDV463 on GitHub), where SoC is in %, power in kW,
energy in Wh. Here SoC is 0 to 1 and energy in kWh; only the payloads hold the standard's units.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SUBPROTOCOL = "v1.463.vdv.de"
REQUEST, CONFIRMATION, ERROR = 1, 2, 3
ACTIONS = ("BootNotification", "ProvideChargingRequests", "ProvideChargingInformation")
PRESYSTEMS = ("BMS", "ITCS")
OURSELVES = "LMS"
LONGEST_ID = 80
MOST_REQUESTS = 5000
AWAY_UNKNOWN = timedelta(hours=8)
"""How long a vehicle is away when no later request says when it is back."""
LEAST_KWH = 0.1
FIRST_YEAR, LAST_YEAR = 2000, 2200
NO_PRECONDITIONING = (
    "NoClimaticPreconditioningOrSNA",
    "NoClimatePreconditioningOrAutomaticPreselectionByTheVehicle",
    "SNA",
)


class MessageError(ValueError):
    """A message that cannot be understood, in words for the presystem's people."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of either side."""

    type: int
    source: str
    presystem: str
    at: datetime
    message_id: str
    action: str
    payload: Mapping[str, Any]

    def confirmation(self, payload: Mapping[str, Any], at: datetime) -> Message:
        """Return the answer to this request; it carries the request's id."""
        return Message(CONFIRMATION, OURSELVES, self.presystem, at, self.message_id, self.action, payload)

    def error(self, words: str, at: datetime) -> Message:
        payload = {"errorMessage": words}
        return Message(ERROR, OURSELVES, self.presystem, at, self.message_id, self.action, payload)


def read_message(text: str) -> Message:
    """Return the message in a text frame; raises MessageError."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError("This is not JSON.") from error
    if not isinstance(raw, list) or len(raw) != 7:
        raise MessageError(
            "A message is an array of seven: type, source, presystemId, time, id, action, payload."
        )
    kind, source, presystem, at, message_id, action, payload = raw
    if isinstance(kind, bool) or kind not in (REQUEST, CONFIRMATION, ERROR):
        raise MessageError("The message type must be 1, 2 or 3.")
    if action not in ACTIONS:
        raise MessageError(f"The action must be one of {', '.join(ACTIONS)}.")
    if not isinstance(payload, dict):
        raise MessageError("The payload must be an object.")
    names = [
        _id(value, name)
        for value, name in ((source, "source"), (presystem, "presystemId"), (message_id, "id"))
    ]
    return Message(kind, names[0], names[1], _moment(at, "The time"), names[2], action, payload)


def write_message(message: Message) -> str:
    """Return a message as a text frame."""
    return json.dumps(
        [
            message.type,
            message.source,
            message.presystem,
            stamp(message.at),
            message.message_id,
            message.action,
            message.payload,
        ],
        separators=(",", ":"),
    )


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _id(raw: object, name: str) -> str:
    if not isinstance(raw, str) or not raw.strip() or len(raw) > LONGEST_ID or not raw.isprintable():
        raise MessageError(f"{name} must be a text of 1 to {LONGEST_ID} characters.")
    return raw


def _moment(raw: object, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(raw) if isinstance(raw, str) else None
        if at is None or at.tzinfo is None:
            raise MessageError(f"{name} must be ISO 8601 with an offset from UTC.")
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise MessageError(f"{name} must be in a year from {FIRST_YEAR} to {LAST_YEAR}.")
        return at.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        if isinstance(error, MessageError):
            raise
        raise MessageError(f"{name} must be ISO 8601 with an offset from UTC.") from error


def read_boot(payload: Mapping[str, Any]) -> str:
    """Return which kind of presystem has booted; raises MessageError."""
    if payload.get("presystem") not in PRESYSTEMS:
        raise MessageError(f"presystem must be one of {', '.join(PRESYSTEMS)}.")
    return str(payload["presystem"])


# ---- charging requests


@dataclass(frozen=True, slots=True)
class ChargingRequest:
    """What a vehicle shall have, and when; SoC from 0 to 1."""

    request_id: str
    vehicle: str
    departs_at: datetime
    min_soc: float
    max_soc: float
    charging_point: str = ""
    arrives_at: datetime | None = None
    soc_at_arrival: float | None = None
    precondition: bool = False


def read_requests(payload: Mapping[str, Any]) -> tuple[list[ChargingRequest], dict[str, str]]:
    """Return the requests of a complete list, and the reasons why others are rejected, by request id.

    Raises MessageError when the list itself is broken, or an item has no id by which it could be rejected. Requests
    to be terminated are left out: their vehicle need not be charged for them any more.
    """
    items = payload.get("chargingRequestList")
    if not isinstance(items, list):
        raise MessageError("chargingRequestList must be a list.")
    if len(items) > MOST_REQUESTS:
        raise MessageError(f"chargingRequestList has more than {MOST_REQUESTS:,} requests.")
    requests: list[ChargingRequest] = []
    rejected: dict[str, str] = {}
    seen: set[str] = set()
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise MessageError(f"chargingRequestList[{place}] must be an object.")
        request_id = _id(item.get("chargingRequestId"), f"chargingRequestList[{place}].chargingRequestId")
        try:
            if request_id in seen:
                raise MessageError("This chargingRequestId stands twice in the list.")
            seen.add(request_id)
            if item.get("chargingInstruction") != "Terminate":
                requests.append(_request(request_id, item))
        except MessageError as error:
            rejected[request_id] = str(error)
    return [request for request in requests if request.request_id not in rejected], rejected


def _request(request_id: str, item: Mapping[str, Any]) -> ChargingRequest:
    data = item.get("chargingRequestData")
    if not isinstance(data, dict):
        raise MessageError("chargingRequestData is missing.")
    if data.get("requestedTimeForDeparture") is None:
        raise MessageError(
            "requestedTimeForDeparture is missing: nothing says until when it must be charged."
        )
    least, most = _soc(data, "minTargetSoc"), _soc(data, "maxTargetSoc")
    if least is None or most is None:
        raise MessageError("minTargetSoc and maxTargetSoc are needed.")
    if least > most:
        raise MessageError("minTargetSoc is above maxTargetSoc.")
    departs_at = _moment(data["requestedTimeForDeparture"], "requestedTimeForDeparture")
    arrival = data.get("expectedArrivalTimeAtChargingPoint")
    arrives_at = None if arrival is None else _moment(arrival, "expectedArrivalTimeAtChargingPoint")
    if arrives_at is not None and arrives_at >= departs_at:
        raise MessageError("It departs before it has arrived.")
    point = item.get("chargingPointId")
    return ChargingRequest(
        request_id,
        _id(item.get("vehicleId"), "vehicleId"),
        departs_at,
        least,
        most,
        _id(point, "chargingPointId") if point is not None else "",
        arrives_at,
        _soc(data, "expectedSocAtArrival"),
        _preconditions(item),
    )


def _soc(data: Mapping[str, Any], name: str) -> float | None:
    raw = data.get(name)
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= 100:
        raise MessageError(f"{name} must be a number from 0 to 100 (%).")
    return raw / 100


def _preconditions(item: Mapping[str, Any]) -> bool:
    automatic = item.get("automaticPreconditioning")
    asked = isinstance(automatic, dict) and automatic.get("preconditioningRequest") not in NO_PRECONDITIONING
    return asked or isinstance(item.get("manualPreconditioning"), dict)


@dataclass(frozen=True, slots=True)
class Trip:
    """The departure that a request asks for, with what it is taken to use until the vehicle is back."""

    request: ChargingRequest
    returns_at: datetime
    energy_kwh: float


def trips(requests: Sequence[ChargingRequest], capacity_kwh: float, floor_soc: float) -> list[Trip]:
    """Return the trips of one vehicle, in the order of their departures.

    A request says nothing of the way that follows it. The vehicle is back at the arrival of its next request, else
    after `AWAY_UNKNOWN`; it uses the difference between what it leaves with and comes back with, which is what the
    next request expects, at least `floor_soc` (its minimum and reserve), so that no more is charged than is asked for.
    """
    ordered = sorted(requests, key=lambda one: one.departs_at)
    found = []
    for place, request in enumerate(ordered):
        after = ordered[place + 1] if place + 1 < len(ordered) else None
        returns_at, back_soc = request.departs_at + AWAY_UNKNOWN, floor_soc
        if after is not None:
            known = after.arrives_at is not None and after.arrives_at > request.departs_at
            returns_at = after.arrives_at if known and after.arrives_at else min(returns_at, after.departs_at)
            back_soc = max(after.soc_at_arrival or 0.0, floor_soc)
        energy_kwh = max((request.min_soc - back_soc) * capacity_kwh, LEAST_KWH)
        found.append(Trip(request, returns_at, round(energy_kwh, 3)))
    return found


# ---- charging information


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the plan foresees: the SoC at departure, and when the least that was asked for is reached."""

    departs_at: datetime | None = None
    soc_at_departure: float | None = None
    min_soc: float | None = None
    min_soc_at: datetime | None = None

    def payload(self, *, finished: bool) -> dict[str, Any]:
        data: dict[str, Any] = {"chargingPredictionDataStatus": "Finished" if finished else "Ongoing"}
        if self.min_soc is not None and self.min_soc_at is not None:
            data["chargingPredictionDataMinSoc"] = {
                "requestedMinSoc": _percent(self.min_soc),
                "predictedTime": stamp(self.min_soc_at),
            }
        if self.departs_at is not None and self.soc_at_departure is not None:
            data["chargingPredictionDataDepartureTime"] = {
                "predictedDepartureTimeSoc": _percent(self.soc_at_departure),
                "predictedTime": stamp(self.departs_at),
            }
        return data


@dataclass(frozen=True, slots=True)
class VehicleInfo:
    """A vehicle that stands at a charging point."""

    vehicle: str
    charging: bool
    soc: float | None = None
    soh: float | None = None
    odometer_km: float | None = None
    battery_temperature_c: float | None = None

    def payload(self) -> dict[str, Any]:
        battery = {
            "stateOfHealth": None if self.soh is None else min(_percent(self.soh), 100.0),
            "stateOfCharge": None if self.soc is None else _percent(self.soc),
            "temperature": None if self.battery_temperature_c is None else round(self.battery_temperature_c),
        }
        data: dict[str, Any] = {
            "vehicleId": self.vehicle,
            "tractionBatteryInfo": _said(battery),
            "vehicleStatusInfo": {},
            "vehicleChargingStatus": "Charging" if self.charging else "ReadyToCharge",
            "preconditioningInfo": {},
        }
        return data if self.odometer_km is None else data | {"mileage": math.floor(self.odometer_km)}


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A charging process under way; power above zero into the vehicle."""

    process_id: str
    started_at: datetime
    power_kw: float
    delivered_kwh: float
    prediction: Prediction
    request: tuple[str, str] | None = None
    """Presystem and request id that it serves."""
    enough: bool = False

    def payload(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "chargingProcessId": self.process_id,
            "processStatus": "Charging" if self.power_kw > 0.5 else "SuspendedEVSE",
            "startTime": stamp(self.started_at),
            "chargingPredictionData": self.prediction.payload(finished=self.enough),
            "electricData": {"chargingPower": round(self.power_kw, 3)},
            "deliveredEnergy": round(self.delivered_kwh * 1000),
        }
        return data | _asked_by(self.request)


@dataclass(frozen=True, slots=True)
class ScheduledInfo:
    """A request that is waited for at a charging point."""

    request: tuple[str, str]
    vehicle: str
    prediction: Prediction

    def payload(self) -> dict[str, Any]:
        prediction = self.prediction.payload(finished=False)
        return _asked_by(self.request) | {"vehicleId": self.vehicle, "chargingPredictionData": prediction}


@dataclass(frozen=True, slots=True)
class PointInfo:
    """A charging point; `status` in the standard's words."""

    point: str
    status: str
    vehicle: VehicleInfo | None = None
    process: ProcessInfo | None = None
    scheduled: Sequence[ScheduledInfo] = field(default=())

    def payload(self) -> dict[str, Any]:
        data: dict[str, Any] = {"chargingPointId": self.point, "chargingPointStatus": self.status}
        if self.vehicle is not None:
            data["vehicleInfo"] = self.vehicle.payload()
        if self.process is not None:
            data["chargingProcessInfo"] = self.process.payload()
        if self.scheduled:
            data["scheduledChargingProcessList"] = [one.payload() for one in self.scheduled]
        return data


@dataclass(frozen=True, slots=True)
class StationInfo:
    """A charging station with its points; `fault` is (code, words, since)."""

    station: str
    points: Sequence[PointInfo]
    total_kw: float | None = None
    fault: tuple[str, str, datetime] | None = None

    def payload(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "chargingStationId": self.station,
            "chargingPointInfoList": [point.payload() for point in self.points],
        }
        if self.total_kw is not None:
            data["totalPower"] = round(self.total_kw, 3)
        if self.fault is not None:
            code, words, since = self.fault
            data["chargingStationFaultInfo"] = {
                "chargingStationFaultCode": code,
                "faultText": words,
                "faultTimeStamp": stamp(since),
            }
        return data


def information(
    depot: tuple[str, str], stations: Sequence[StationInfo], rejected: Sequence[tuple[str, str, str]]
) -> dict[str, Any]:
    """Return the payload of ProvideChargingInformation: `depot` is (id, name), `rejected` (presystem, id, reason)."""
    identity, name = depot
    return {
        "depotInfoList": [
            {
                "depotId": identity,
                "name": name,
                "chargingStationInfoList": [station.payload() for station in stations],
            }
        ],
        "rejectedChargingRequestInfoList": [
            {"presystemId": presystem, "chargingRequestId": request_id, "reason": reason}
            for presystem, request_id, reason in rejected
        ],
    }


def _percent(share: float) -> float:
    return round(share * 100, 1)


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _asked_by(request: tuple[str, str] | None) -> dict[str, Any]:
    if request is None:
        return {}
    return {"presystemId": request[0], "chargingRequestId": request[1]}
