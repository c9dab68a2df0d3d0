"""A simulated charging station: an OCPP 1.6, 2.0.1 or 2.1 client of its own, with one EVSE.

It knows nothing of the gateway's code. It keeps its profiles when the link dies, obeys them by purpose, level
and time, reconnects with growing pauses, and keeps transaction messages until they are answered.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import uuid
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.typing import Subprotocol

from charging.ocpp.simulator import grid
from charging.ocpp.simulator.composite import Profiles, RefusedError
from charging.ocpp.simulator.faults import Faults
from charging.ocpp.simulator.old import OldWords
from depot import clock

log = logging.getLogger(__name__)

ANSWER_S = 30.0
HANDSHAKE_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
TRIES = 3
PULL_LOOK_S = 0.5
UNREADABLE = "-1"
"""The id of an error about a call that could not be read: it can only be the last one."""
Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a station is: where it logs in and as whom, its version and its power limits in kW."""

    url: str
    identity: str
    password: str
    version: str = "2.1"
    max_charge_kw: float = 60.0
    max_discharge_kw: float = 0.0
    commissioned_kw: float | None = None
    """The safe charging level set at commissioning, kept over power cuts; None = none was set."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What the station's meter and vehicle say at one moment; power above zero charges, registers in kWh."""

    power_kw: float
    import_kwh: float
    export_kwh: float
    soc: float


@dataclass(slots=True)
class Transaction:
    """A vehicle at the plug."""

    number: str
    began_at: datetime
    sequence: int = 0


class CallError(Exception):
    """The other side refused a call."""


class Station:
    """One station. `run` keeps it connected; `plug_in`, `measure` and `unplug` are what happens at its plug."""

    def __init__(self, setup: Setup, faults: Faults | None = None) -> None:
        self.setup = setup
        self.faults = faults or Faults()
        self._old = OldWords() if setup.version == "1.6" else None
        self.profiles = Profiles(bidirectional=setup.max_discharge_kw > 0)
        self.grid = grid.GridWords(self.profiles)
        self.transaction: Transaction | None = None
        self.lost_at: datetime | None = clock.now()
        """Since when there is no link; None while there is one."""
        self.waiting: deque[Payload] = deque()
        """Transaction messages that nobody has confirmed yet, oldest first."""
        self.calls: list[tuple[str, Payload]] = []
        """The last calls that came in."""
        self.connected = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._heartbeat_s: float | None = None
        self._answers: dict[str, asyncio.Future[Payload]] = {}
        self._asked = ""
        self._turn = asyncio.Lock()
        self._work = asyncio.Event()

    # What happens at the plug

    def plug_in(self, meter: Meter, at: datetime, token: str = "") -> str:
        """Begin a transaction and return its number; a token names the vehicle."""
        self.transaction = Transaction(str(uuid.uuid4()), at)
        self._tell("Started", "CablePluggedIn", meter, at, token=token)
        self._tell_status("Occupied", at)
        if self.setup.version == "2.1" and self.setup.max_discharge_kw > 0:
            self._tell_needs("DC", meter)
        return self.transaction.number

    def resume(self, number: str, began_at: datetime, next_sequence: int) -> None:
        """Go on with a transaction that began before this program was started again."""
        self.transaction = Transaction(number, began_at, next_sequence)

    def measure(self, meter: Meter, at: datetime) -> None:
        """Report a running transaction's meter."""
        self._tell("Updated", "MeterValuePeriodic", meter, at)

    def unplug(self, meter: Meter, at: datetime) -> None:
        """End the transaction; its own profiles go with it."""
        self._tell("Ended", "EVCommunicationLost", meter, at)
        self.transaction = None
        self.profiles.end_transaction()
        self._tell_status("Available", at)

    def tell(self, action: str, payload: Payload) -> None:
        """Say something of its own accord, as soon as there is a link."""
        self.waiting.append({"action": action, "payload": payload})
        self._work.set()

    def setpoint_kw(self, at: datetime) -> float:
        """Return what the profiles ask for now, in kW; nothing flows while no vehicle is there."""
        if self.transaction is None:
            return 0.0
        offline_s = None if self.lost_at is None else (at - self.lost_at).total_seconds()
        setup, began_at = self.setup, self.transaction.began_at
        if setup.commissioned_kw is not None and not self.profiles.held:
            return min(setup.commissioned_kw, setup.max_charge_kw)
        return self.profiles.power_kw(at, setup.max_charge_kw, began_at, offline_s)

    def _tell(self, kind: str, reason: str, meter: Meter, at: datetime, token: str = "") -> None:
        if self.transaction is None:
            raise ValueError(f"{self.setup.identity} has no transaction; plug in first.")
        at += timedelta(seconds=self.faults.clock_s)
        if self.faults.soc_offset:
            meter = replace(meter, soc=min(max(meter.soc + self.faults.soc_offset, 0.0), 1.0))
        message: Payload = {
            "eventType": kind,
            "timestamp": _wire(at),
            "triggerReason": reason,
            "seqNo": self.transaction.sequence,
            "offline": self.lost_at is not None,
            "transactionInfo": {
                "transactionId": self.transaction.number,
                "chargingState": _state(kind, meter),
            },
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [_meter_value(kind, meter, at)],
        }
        if token:
            message["idToken"] = {"idToken": token, "type": "MacAddress"}
        if kind == "Ended":
            message["transactionInfo"]["stoppedReason"] = "EVDisconnected"
        self.transaction.sequence += 1
        self.waiting.append({"action": "TransactionEvent", "payload": message})
        self._work.set()

    def _tell_needs(self, mode: str, meter: Meter | None = None) -> None:
        """Say what the vehicle needs, as one that speaks ISO 15118-20 does: it can do both ways, `mode` is set."""
        needs: Payload = {
            "requestedEnergyTransfer": mode,
            "availableEnergyTransfer": ["DC", "DC_BPT"],
            "controlMode": "DynamicControl",
            "v2xChargingParameters": {
                "maxChargePower": self.setup.max_charge_kw * 1000,
                "maxDischargePower": -self.setup.max_discharge_kw * 1000,
            },
        }
        if meter is not None:
            needs["v2xChargingParameters"]["targetSoC"] = 100
        self.tell("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})

    def _tell_status(self, status: str, at: datetime) -> None:
        at += timedelta(seconds=self.faults.clock_s)
        payload = {"timestamp": _wire(at), "connectorStatus": status, "evseId": 1, "connectorId": 1}
        self.tell("StatusNotification", payload)

    # The link

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with self._connect() as socket:
                    pause_s = FIRST_PAUSE_S
                    await self._serve(socket)
            except (OSError, TimeoutError, InvalidHandshake, WebSocketException, CallError) as error:
                log.info("%s: no link (%s)", self.setup.identity, error)
            self._lose()
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads reconnects
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _connect(self) -> connect:
        secret = base64.b64encode(f"{self.setup.identity}:{self.setup.password}".encode()).decode()
        return connect(
            f"{self.setup.url}/{self.setup.identity}",
            subprotocols=[Subprotocol(f"ocpp{self.setup.version}")],
            additional_headers={"Authorization": f"Basic {secret}"},
            compression=None,
            proxy=None,
            open_timeout=HANDSHAKE_S,
        )

    async def _serve(self, socket: ClientConnection) -> None:
        """Read and talk until either ends, and end the other."""
        self._socket = socket
        both = {asyncio.create_task(self._read(socket)), asyncio.create_task(self._talk())}
        if self.setup.version == "2.1":
            both.add(asyncio.create_task(self._pull()))
        if self.faults.drop_every_s or self.faults.reboot_every_s:
            both.add(asyncio.create_task(self._fail()))
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _pull(self) -> None:
        """Ask for the power of dynamic profiles as often as they say."""
        while True:
            await asyncio.sleep(PULL_LOOK_S)
            for number in grid.due(self.profiles, clock.now()) if self.connected.is_set() else ():
                try:
                    answer = await self.call("PullDynamicScheduleUpdate", {"chargingProfileId": number})
                except CallError as error:
                    log.warning("%s: no new power for profile %d: %s", self.setup.identity, number, error)
                    continue
                if answer["status"] == "Accepted":
                    self.profiles.update(number, answer["scheduleUpdate"], clock.now())

    async def _fail(self) -> None:
        """Lose the link after a while; when that was a restart, boot again."""
        spans = {"drop": self.faults.drop_every_s, "reboot": self.faults.reboot_every_s}
        due = {kind: random.expovariate(1 / span) for kind, span in spans.items() if span}
        kind = min(due, key=lambda name: due[name])
        await asyncio.sleep(due[kind])
        if kind == "reboot":
            self._heartbeat_s = None
        if self._socket is not None:
            self._socket.transport.abort()

    def _lose(self) -> None:
        self._socket = None
        self.connected.clear()
        self.lost_at = self.lost_at or clock.now()
        for answer in self._answers.values():
            answer.cancel()
        self._answers.clear()

    async def _talk(self) -> None:
        """Boot once, then hand in what waits, with a heartbeat now and then; a lost link needs no new boot."""
        if self._heartbeat_s is None:
            boot = {"chargingStation": {"model": "Simulated", "vendorName": "Depot"}, "reason": "PowerUp"}
            answer = await self.call("BootNotification", boot)
            while answer["status"] != "Accepted":
                await asyncio.sleep(clock.wall_seconds(answer["interval"]))
                answer = await self.call("BootNotification", boot)
            self._heartbeat_s = answer["interval"]
        interval_s = clock.wall_seconds(self._heartbeat_s)
        self.lost_at = None
        self.connected.set()
        while True:
            while self.waiting:
                await self._hand_in()
            self._work.clear()
            try:
                async with asyncio.timeout(interval_s):
                    await self._work.wait()
            except TimeoutError:
                await self.call("Heartbeat", {})

    async def _hand_in(self) -> None:
        """Send the oldest message; one that is refused several times is given up."""
        message = self.waiting[0]
        try:
            for _ in range(2 if self.faults.duplicate else 1):
                await self.call(message["action"], message["payload"])
        except CallError as error:
            message["tries"] = message.get("tries", 0) + 1
            log.warning("%s: %s was refused: %s", self.setup.identity, message["action"], error)
            if message["tries"] < TRIES:
                return
        self.waiting.popleft()

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send a call and return its answer; raises CallError when it is refused."""
        if self._socket is None:
            raise CallError("there is no link")
        if self._old is None:
            return await self._exchange(action, payload)
        words = self._old.said(action, payload)
        answer = {} if words is None else await self._exchange(*words)
        self._old.answered(action, payload, answer)
        return answer

    async def _exchange(self, action: str, payload: Payload) -> Payload:
        if self._socket is None:
            raise CallError("there is no link")
        async with self._turn:
            self._asked = number = str(uuid.uuid4())
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._answers[number] = answer
            await self._socket.send(json.dumps([2, number, action, payload]))
            async with asyncio.timeout(ANSWER_S):
                return await answer

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            kind, number, *rest = json.loads(text)
            if kind == 2:
                await asyncio.sleep(self.faults.delay_s)
                await socket.send(json.dumps(self._reply(number, rest[0], rest[1])))
                continue
            answer = self._answers.pop(self._asked if number == UNREADABLE else number, None)
            if answer is None or answer.done():
                continue
            if kind == 3:
                answer.set_result(rest[0])
            else:
                answer.set_exception(CallError(f"{rest[0]}: {rest[1]}"))

    # What it is told

    def _reply(self, number: str, action: str, payload: Payload) -> list[Any]:
        self.calls = [*self.calls[-19:], (action, payload)]
        if action in self.faults.refuse:
            return [4, number, "NotSupported", "This station refuses it on purpose", {}]
        if self._old is not None and action == "SetChargingProfile":
            payload = self._old.heard(payload)
        answer = self._answer(action, payload)
        if answer is None:
            return [4, number, "NotImplemented", f"{action} is not done here", {}]
        return [3, number, answer]

    def _answer(self, action: str, payload: Payload) -> Payload | None:
        """Return the answer to a call; None for what is not done here."""
        match action:
            case "SetChargingProfile":
                return self._set_profile(payload)
            case "ClearChargingProfile":
                number_or_none = payload.get("chargingProfileId", payload.get("id"))
                found = self.profiles.clear(number_or_none, payload.get("chargingProfileCriteria", {}))
                return {"status": "Accepted" if found else "Unknown"}
            case "GetCompositeSchedule":
                return self._composite(payload)
            case "NotifyAllowedEnergyTransfer":
                both = next((mode for mode in payload["allowedEnergyTransfer"] if "_BPT" in mode), None)
                if both is not None:
                    self._tell_needs(both)
                return {"status": "Accepted"}
            case "RemoteStopTransaction" | "RequestStopTransaction" | "ChangeAvailability":
                return {"status": "Accepted"}
            case "UnlockConnector":
                return {"status": "Unlocked"}
            case _ if self.setup.version == "2.1" and action in grid.ACTIONS:
                answer = self.grid.reply(action, payload, clock.now())
                while self.grid.follow_up:
                    self.tell(*self.grid.follow_up.pop(0))
                return answer
        return None

    def _set_profile(self, payload: Payload) -> Payload:
        number = self.transaction.number if self.transaction else None
        if self.faults.ignore:
            return {"status": "Accepted"}
        try:
            self.profiles.install(payload["chargingProfile"], number, clock.now())
        except RefusedError as error:
            return {"status": "Rejected", "statusInfo": {"reasonCode": str(error)}}
        return {"status": "Accepted"}

    def _composite(self, payload: Payload) -> Payload:
        now = clock.now().replace(microsecond=0)
        place = payload["connectorId" if self._old is not None else "evseId"]
        began_at = self.transaction.began_at if self.transaction else now
        changes = self.profiles.composite(now, payload["duration"], self.setup.max_charge_kw, began_at)
        key = "setpoint" if self.setup.version == "2.1" else "limit"
        answer = {
            "status": "Accepted",
            "schedule": {
                "evseId": place,
                "duration": payload["duration"],
                "scheduleStart": _wire(now),
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {"startPeriod": second, key: power * 1000} for second, power in changes
                ],
            },
        }
        return self._old.composite(answer) if self._old is not None else answer


def _wire(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _state(kind: str, meter: Meter) -> str:
    if kind == "Ended":
        return "Idle"
    return "Charging" if abs(meter.power_kw) > 0.01 else "SuspendedEVSE"


CONTEXTS = {"Started": "Transaction.Begin", "Updated": "Sample.Periodic", "Ended": "Transaction.End"}


def _meter_value(kind: str, meter: Meter, at: datetime) -> Payload:
    values = (
        ("Energy.Active.Import.Register", meter.import_kwh * 1000, "Wh"),
        ("Energy.Active.Export.Register", meter.export_kwh * 1000, "Wh"),
        ("Power.Active.Import", max(meter.power_kw, 0.0) * 1000, "W"),
        ("Power.Active.Export", max(-meter.power_kw, 0.0) * 1000, "W"),
        ("SoC", meter.soc * 100, "Percent"),
    )
    sampled = [
        {
            "value": round(value, 3),
            "measurand": measurand,
            "context": CONTEXTS[kind],
            "unitOfMeasure": {"unit": unit},
        }
        for measurand, value, unit in values
    ]
    return {"timestamp": _wire(at), "sampledValue": sampled}
