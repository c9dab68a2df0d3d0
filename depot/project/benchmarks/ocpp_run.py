"""The measurement itself, in the environment that `ocpp.measure` prepares: chargers against a gateway process."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.project.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django must be set up first
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from websockets.asyncio.client import ClientConnection, connect  # noqa: E402
from websockets.exceptions import InvalidHandshake, WebSocketException  # noqa: E402

from charging.models import Charger, ChargerCommand, ChargingSession, Connector, MeterSample  # noqa: E402
from charging.passwords import hash_password  # noqa: E402
from charging.services.commands import send  # noqa: E402
from depot.models import Depot, ElectricalNode  # noqa: E402
from depot.project.benchmarks.ocpp import Load  # noqa: E402

PASSWORD = "benchmark-password-0123"  # noqa: S105 - of chargers that live for a minute
BOOT = {"reason": "PowerUp", "chargingStation": {"model": "Benchmark", "vendorName": "Depot"}}
ANSWER_S, START_S, SETTLE_S = 30.0, 30.0, 90.0
POWER_W = 20_000.0


@dataclass(slots=True)
class Count:
    """What was sent and acknowledged, and how long each answer took, in seconds."""

    sent: int = 0
    acknowledged: int = 0
    seconds: list[float] = field(default_factory=list)


class Station:
    """A charger as small as can be: it answers yes to whatever it is told."""

    def __init__(self, number: int, url: str, count: Count) -> None:
        self.identity, self._url, self._count = f"B-{number:04d}", url, count
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._number = 0
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def log_in(self) -> None:
        """Connect and boot, again and again until it works."""
        while True:
            try:
                await self._dial()
                await self.ask("BootNotification", BOOT)
                return
            except (OSError, TimeoutError, InvalidHandshake, WebSocketException):
                await asyncio.sleep(0.2)

    async def _dial(self) -> None:
        secret = base64.b64encode(f"{self.identity}:{PASSWORD}".encode()).decode()
        self._socket = await connect(
            f"{self._url}/{self.identity}",
            subprotocols=["ocpp2.0.1"],  # type: ignore[list-item]
            additional_headers={"Authorization": f"Basic {secret}"},
            compression=None,
            proxy=None,
            open_timeout=60,
        )
        self._reader = asyncio.create_task(self._read(self._socket))

    async def _read(self, link: ClientConnection) -> None:
        async for text in link:
            frame = json.loads(text)
            if frame[0] == 2:
                await link.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            elif frame[1] in self._answers:
                self._answers.pop(frame[1]).set_result(frame)

    async def ask(self, action: str, payload: dict[str, Any]) -> bool:
        """Send a call; tell whether it was acknowledged."""
        if self._socket is None:
            raise ConnectionError("not connected")
        self._number += 1
        number = f"{self.identity}-{self._number}"
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps([2, number, action, payload]))
        async with asyncio.timeout(ANSWER_S):
            frame = await answer
        return bool(frame[0] == 3)

    async def tell(self, sequence: int, every_s: float) -> None:
        """Send one TransactionEvent with four measured values and count what comes of it."""
        self._count.sent += 1
        begun = time.perf_counter()
        try:
            taken = await self.ask("TransactionEvent", _event(self.identity, sequence, every_s))
        except (TimeoutError, OSError, WebSocketException):
            return
        self._count.seconds.append(time.perf_counter() - begun)
        self._count.acknowledged += taken

    async def leave(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()


def _event(identity: str, sequence: int, every_s: float) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    values = (
        ("Energy.Active.Import.Register", round(POWER_W * every_s / 3600 * sequence, 3), "Wh"),
        ("Energy.Active.Export.Register", 0.0, "Wh"),
        ("Power.Active.Import", POWER_W, "W"),
        ("SoC", 50.0, "Percent"),
    )
    sampled = [{"value": v, "measurand": name, "unitOfMeasure": {"unit": unit}} for name, v, unit in values]
    return {
        "eventType": "Updated" if sequence else "Started",
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": sequence,
        "transactionInfo": {"transactionId": f"{identity}-tx"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": at, "sampledValue": sampled}],
    }


async def run(load: Load, url: str) -> dict[str, Any]:
    """Return the figures of the client's side, phase by phase."""
    count = Count()
    stations = [Station(number, url, count) for number in range(load.chargers)]
    cold_s = await _timed(station.log_in() for station in stations)
    tasks = [asyncio.create_task(_report(one, index, load)) for index, one in enumerate(stations)]
    await asyncio.gather(*tasks)
    setpoint = await asyncio.to_thread(_send_setpoints, load.setpoints)
    await _timed(station.leave() for station in stations)
    warm_s = await _timed(station.log_in() for station in stations)
    await _timed(station.leave() for station in stations)
    return {
        "cold_log_ins_seconds": round(cold_s, 2),
        "reconnects_seconds": round(warm_s, 2),
        "sent": count.sent,
        "acknowledged": count.acknowledged,
        **_spread("answer", count.seconds),
        **setpoint,
    }


async def _timed(work: Any) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*work)
    return time.perf_counter() - begun


async def _report(station: Station, index: int, load: Load) -> None:
    """Report at an even pace, the stations spread over the interval."""
    loop = asyncio.get_running_loop()
    begun = loop.time() + load.every_s * index / load.chargers
    for sequence in range(max(round(load.seconds / load.every_s), 1)):
        await asyncio.sleep(max(begun + sequence * load.every_s - loop.time(), 0.0))
        await station.tell(sequence, load.every_s)


def _send_setpoints(most: int) -> dict[str, Any]:
    """Send a schedule to some chargers at once; return how long until each had acknowledged it."""
    _wait_until_told()
    begun = datetime.now(UTC)
    for connector in Connector.objects.select_related("charger").order_by("pk")[:most]:
        payload = {
            "evse_id": 1,
            "start_at": begun.isoformat(),
            "step_seconds": 900,
            "power_kw": [11.0, 7.0] * 8,
            "max_offline_s": 1800,
            "vehicle_id": None,
        }
        send(connector.charger, "set_schedule", payload, connector=connector, coalesce=f"b:{connector.pk}")
    queued = datetime.now(UTC)
    _wait_until_told()
    rows = ChargerCommand.objects.filter(action="set_schedule", created_at__gte=begun)
    done = rows.filter(state="accepted").values_list("created_at", "answered_at")
    seconds = [(answered - created).total_seconds() for created, answered in done if answered is not None]
    return {
        "setpoints": rows.count(),
        "setpoints_acknowledged": len(seconds),
        "setpoints_queued_in_seconds": round((queued - begun).total_seconds(), 2),
        **_spread("setpoint", seconds),
    }


def _wait_until_told() -> None:
    """Wait until no command waits any more."""
    end = time.monotonic() + SETTLE_S
    while ChargerCommand.objects.filter(state__in=("waiting", "sent")).exists() and time.monotonic() < end:
        time.sleep(0.1)


def _spread(what: str, seconds: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(seconds) or [float("nan")]
    return {
        f"{what}_median_ms": round(median(ordered) * 1000, 1),
        f"{what}_p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))] * 1000, 1),
        f"{what}_max_ms": round(ordered[-1] * 1000, 1),
    }


def prepare(chargers: int) -> None:
    """Make the tables, a depot and its chargers, all with one password."""
    call_command("migrate", verbosity=0)
    depot = Depot.objects.create(
        name="Benchmark", slug="benchmark", time_zone="UTC", currency="EUR", latitude=50.0, longitude=8.0
    )
    node = ElectricalNode.objects.create(
        depot=depot, kind="grid", name="Grid", import_limit_kw=60.0 * chargers, export_limit_kw=0.0
    )
    hashed = hash_password(PASSWORD)
    rows = [
        Charger(
            depot=depot,
            node=node,
            name=f"B-{number:04d}",
            identity=f"B-{number:04d}",
            current="dc",
            max_charge_kw=50.0,
            password_hash=hashed,
        )
        for number in range(chargers)
    ]
    made = Charger.objects.bulk_create(rows)
    Connector.objects.bulk_create([Connector(charger=charger) for charger in made])


def stored() -> dict[str, int]:
    """Return what the database holds, and how much of it is there twice."""
    samples = MeterSample.objects.count()
    moments = MeterSample.objects.values("session", "sampled_at").distinct().count()
    sessions = ChargingSession.objects.count()
    extra = sessions - ChargingSession.objects.values("transaction_id").distinct().count()
    return {"stored": samples, "duplicated": samples - moments + extra, "sessions": sessions}


def main(load: Load) -> dict[str, Any]:
    """Run a gateway and the chargers, and return all figures."""
    prepare(load.chargers)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "manage.py", "ocpp_gateway", "--host", "127.0.0.1", "--port", str(port)]
    gateway = subprocess.Popen(command, cwd=settings.BASE_DIR)  # noqa: S603 - our own program
    try:
        _wait_for(port)
        figures = _run(run(load, f"ws://127.0.0.1:{port}/ocpp"))
        figures |= {"gateway_mb": _memory_mb(gateway.pid)}
    finally:
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(30)
    kept = stored()
    return {
        "chargers": load.chargers,
        "database": connection.vendor,
        "wakes": "redis" if settings.REDIS_URL else "every second",
        **figures,
        **kept,
        "lost": figures["acknowledged"] - kept["stored"],
    }


def _run(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    import uvloop

    return uvloop.run(work)


def _wait_for(port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("The gateway did not start.")


def _memory_mb(pid: int) -> float:
    """Return the greatest memory a process has used, in MB; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/status") as lines:
            peak = next(line for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0.0
    return round(int(peak.split()[1]) / 1024, 1)


if __name__ == "__main__":
    print(json.dumps(main(Load(**json.loads(sys.argv[1])))))
