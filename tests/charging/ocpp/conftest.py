"""A real gateway on a real port, and the database that its threads share with the test."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection, connections
from websockets.sync.client import ClientConnection, connect

from charging.models import Charger
from charging.ocpp import gateway, keeping, outbox
from charging.ocpp.gateway import Gateway
from charging.services import relinking
from depot.models import Depot
from tests import factories

PASSWORD = "a long enough password"


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """Let several threads see the test's database: on SQLite a file instead of memory."""
    if connection.vendor != "sqlite":
        yield
        return
    path = tmp_path / "depot.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    in_memory, settings = connections["default"], connections.settings["default"]
    name, on_file = settings["NAME"], in_memory.copy()
    on_file.settings_dict["NAME"] = str(path)
    connections["default"] = on_file
    settings["NAME"] = str(path)
    try:
        yield
    finally:
        on_file.close()
        settings["NAME"] = name
        connections["default"] = in_memory


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the plans that are asked for instead of making them; return their triggers."""
    triggers: list[str] = []
    for module in (keeping, relinking):
        monkeypatch.setattr(
            module, "enqueue", lambda kind, depot, window, payload: triggers.append(payload["trigger"])
        )
    return triggers


@pytest.fixture
def yard(
    shared_database: None, settings: Any, asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Depot:
    """Make a depot; the gateway looks more often and hashes faster than in earnest."""
    monkeypatch.setattr(outbox, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(gateway, "SETTLE_S", 0.3)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.VAR_DIR = tmp_path
    return factories.make_depot()


@pytest.fixture
def charger(yard: Depot) -> Charger:
    vehicle = factories.make_vehicle(yard, id_token="AABBCC")
    return factories.make_charger(yard, vehicle, password_hash=make_password(PASSWORD))


class Running:
    """An event loop in a thread, and a gateway in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.gateway: Gateway | None = None

    def start(self, port: int = 0, **options: Any) -> Gateway:
        async def begin() -> tuple[Gateway, asyncio.Task[None]]:
            gateway = Gateway("127.0.0.1", port, **options)
            task = asyncio.create_task(gateway.run())
            await asyncio.wait_for(gateway.started.wait(), 5)
            return gateway, task

        self.gateway, self.task = self.do(begin())
        return self.gateway

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(15)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self) -> None:
        if self.gateway is None:
            return
        self.loop.call_soon_threadsafe(self.gateway.stop)

        async def end() -> None:
            await self.task

        self.do(end())
        self.gateway = None

    def close(self) -> None:
        async def end_all() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self.stop()
        self.do(end_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


@pytest.fixture
def running(yard: Depot) -> Iterator[Running]:
    running = Running()
    running.start()
    yield running
    running.close()


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def dial(
    running: Running,
    charger: Charger | None,
    version: str = "2.0.1",
    password: str = PASSWORD,
    **options: Any,
) -> ClientConnection:
    """Connect as a charger (None = nobody) and return the open WebSocket."""
    assert running.gateway is not None
    identity = options.pop("identity", charger.identity if charger else "nobody")
    user = options.pop("user", identity)
    versions = [version, *options.pop("more", ())]
    headers = {"Authorization": basic(user, password)} if password else {}
    return connect(
        f"ws://127.0.0.1:{running.gateway.port}/ocpp/{identity}",
        subprotocols=[f"ocpp{one}" for one in versions] if version else None,
        additional_headers=headers,
        compression=None,
        proxy=None,
        **options,
    )


def knock(running: Running, charger: Charger, **options: Any) -> None:
    """Connect and leave again."""
    with dial(running, charger, **options):
        pass


class Talk:
    """A hand-driven charger: sends raw calls and answers those of the gateway."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.numbers = 0
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.reply: Callable[[str, dict[str, Any]], dict[str, Any] | list[Any]] = lambda action, payload: {
            "status": "Accepted"
        }

    def ask(self, action: str, payload: dict[str, Any], number: str = "") -> list[Any]:
        """Send a call and return the answer to it, answering what comes in between."""
        self.numbers += 1
        number = number or f"m{self.numbers}"
        self.socket.send(json.dumps([2, number, action, payload]))
        while True:
            frame = self.receive()
            if frame[0] != 2 and frame[1] == number:
                return frame

    def receive(self, timeout: float = 5) -> list[Any]:
        """Return the next frame; a call is answered at once."""
        frame = json.loads(self.socket.recv(timeout))
        if frame[0] == 2:
            self.told.append((frame[2], frame[3]))
            answer = self.reply(frame[2], frame[3])
            self.socket.send(
                json.dumps([4, frame[1], *answer, {}] if isinstance(answer, list) else [3, frame[1], answer])
            )
        return frame

    def answer(self) -> list[Any]:
        """Return the next frame that is no call of the gateway's; those are answered."""
        frame = self.receive()
        while frame[0] == 2:
            frame = self.receive()
        return frame

    def listen(self, until: Callable[[], bool], timeout: float = 30) -> None:
        """Receive until something is true."""
        end = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < end, f"in vain; told {[action for action, _ in self.told]}"
            try:
                self.receive(0.1)
            except TimeoutError:
                continue


BOOT_201 = {
    "reason": "PowerUp",
    "chargingStation": {"model": "M1", "vendorName": "V", "firmwareVersion": "7"},
}
BOOT_16 = {"chargePointVendor": "V", "chargePointModel": "M1"}


@pytest.fixture
def talk(running: Running, charger: Charger) -> Iterator[Talk]:
    """A charger that speaks 2.0.1 and has booted."""
    with dial(running, charger) as socket:
        talk = Talk(socket)
        assert talk.ask("BootNotification", BOOT_201)[2]["status"] == "Accepted"
        yield talk


def wait_for(condition: Callable[[], Any], timeout: float = 30) -> Any:
    """Wait until something is true and return it."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def event(kind: str, sequence: int, at: str, transaction: str = "tx-1", **values: Any) -> dict[str, Any]:
    """Make a TransactionEvent: power_w, import_wh, export_wh and soc are its meter values."""
    names = {
        "power_w": ("Power.Active.Import", "W"),
        "out_w": ("Power.Active.Export", "W"),
        "import_wh": ("Energy.Active.Import.Register", "Wh"),
        "export_wh": ("Energy.Active.Export.Register", "Wh"),
        "soc": ("SoC", "Percent"),
    }
    sampled = [
        {"value": values.pop(name), "measurand": measurand, "unitOfMeasure": {"unit": unit}}
        for name, (measurand, unit) in names.items()
        if name in values
    ]
    payload: dict[str, Any] = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": sequence,
        "transactionInfo": {"transactionId": transaction},
        "evse": {"id": 1, "connectorId": 1},
    }
    if sampled:
        payload["meterValue"] = [{"timestamp": at, "sampledValue": sampled}]
    return payload | values
