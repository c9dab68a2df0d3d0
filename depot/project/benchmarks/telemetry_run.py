"""The run itself, in an environment of its own: a depot, a web server, clients, and a count of what was stored."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

VEHICLES = 200
REPEATED = 0.05
PATIENCE_S = 60.0


class Server:
    """A web server of the product that can be killed outright and started again."""

    def __init__(self, processes: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.command = [
            sys.executable,
            "-m",
            "uvicorn",
            "depot.project.asgi:application",
            "--log-level",
            "warning",
        ]
        self.command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", str(processes)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self.command, stdout=sys.stderr, start_new_session=True)  # noqa: S603
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("The web server did not start within a minute.")

    def kill(self) -> None:
        """End it and its workers without a chance to say goodbye."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Client(threading.Thread):
    """A telematics server: sends its batches in order, each until it is acknowledged, and some of them again."""

    def __init__(self, port: int, key: str, batches: Sequence[str], seed: int) -> None:
        super().__init__(daemon=True)
        self.port, self.key, self.batches = port, key, batches
        self.chance = random.Random(seed)  # noqa: S311 - a benchmark, no secret
        self.seconds: list[float] = []
        self.counts: Counter[str] = Counter()
        self.refusals: list[str] = []
        self.broken = 0
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Send everything."""
        for body in self.batches:
            self._deliver(body)
            if self.chance.random() < REPEATED:
                self._deliver(body)

    def _deliver(self, body: str) -> None:
        """Send one batch under one Idempotency-Key until there is an answer."""
        name = str(uuid.uuid4())
        while True:
            started = time.perf_counter()
            try:
                status, content = self._post(body, name)
            except (OSError, http.client.HTTPException):
                self.connection = None
                self.broken += 1
                time.sleep(0.1)
                continue
            self.seconds.append(time.perf_counter() - started)
            if status == 200:
                self.counts.update(json.loads(content)["counts"])
            else:
                self.refusals.append(f"{status}: {content[:200].decode(errors='replace')}")
            return

    def _post(self, body: str, name: str) -> tuple[int, bytes]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": name,
        }
        self.connection.request("POST", "/api/v1/telemetry", body, headers)
        response = self.connection.getresponse()
        return response.status, response.read()


def main(size: dict[str, int]) -> dict[str, Any]:
    """Return the figures of one run."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from depot import clock
    from depot.access.keys import make_key
    from depot.project.benchmarks.depot_rows import make_depot
    from fleet.models import TelemetryReading, Vehicle, VehicleState

    call_command("migrate", verbosity=0)
    now = clock.now()
    depot = make_depot(0, VEHICLES, now, size["seed"])
    _, key = make_key(depot, "Benchmark", ["telemetry"])
    vehicles = list(Vehicle.objects.of_depot(depot).values_list("pk", flat=True))
    # Older than all that is sent, so that the batches move the states, as a vehicle's news do.
    long_ago = now - timedelta(hours=25)
    VehicleState.objects.filter(vehicle__in=vehicles).update(
        observed_at=long_ago, soc_observed_at=long_ago, marks={}
    )
    before = TelemetryReading.objects.count()
    batches = _batches(vehicles, size, now)
    connection.close()
    server = Server(size["servers"])
    server.start()
    try:
        clients = [
            Client(server.port, key, batches[number :: size["clients"]], size["seed"] + number)
            for number in range(size["clients"])
        ]
        seconds = _run(clients, server, size)
    finally:
        server.kill()
    stored = TelemetryReading.objects.count() - before
    return _figures(clients, size, seconds, stored) | {"database": connection.vendor}


def _batches(vehicles: Sequence[int], size: dict[str, int], now: datetime) -> list[str]:
    """Return all records as JSON batches: each vehicle in turn, a minute apart, its SoC rising slowly."""
    records = []
    for number in range(size["records"]):
        turn, vehicle = divmod(number, len(vehicles))
        at = now - timedelta(hours=24) + timedelta(seconds=30 * turn)
        records.append(
            {
                "vehicle": vehicles[vehicle],
                "observed_at": at.isoformat(),
                "soc_percent": round(20 + 0.05 * turn % 70, 2),
                "odometer_km": 1000 + turn,
                "battery_temp_c": 21.5,
                "source_event_id": str(number),
            }
        )
    return [
        json.dumps(records[start : start + size["batch"]]) for start in range(0, len(records), size["batch"])
    ]


def _run(clients: Sequence[Client], server: Server, size: dict[str, int]) -> float:
    """Let the clients send everything; kill the server outright as often as asked; return the seconds."""
    chance = random.Random(size["seed"])  # noqa: S311 - a benchmark, no secret
    started = time.perf_counter()
    for client in clients:
        client.start()
    for _ in range(size["kills"]):
        time.sleep(chance.uniform(0.5, 1.5))
        server.kill()
        server.start()
    for client in clients:
        client.join()
    return time.perf_counter() - started


def _figures(clients: Sequence[Client], size: dict[str, int], seconds: float, stored: int) -> dict[str, Any]:
    took = sorted(second for client in clients for second in client.seconds)
    counts: Counter[str] = Counter()
    for client in clients:
        counts.update(client.counts)
    refusals = [one for client in clients for one in client.refusals]
    return size | {
        "seconds": round(seconds, 2),
        "records_per_second": round(sum(counts.values()) / seconds),
        "request_seconds": {
            "median": round(took[len(took) // 2], 4),
            "p99": round(took[min(len(took) - 1, int(0.99 * len(took)))], 4),
            "most": round(took[-1], 4),
        },
        "answered": dict(counts),
        "refused_requests": len(refusals),
        "first_refusal": refusals[0] if refusals else "",
        "broken_connections": sum(client.broken for client in clients),
        "stored": stored,
        "lost": max(0, size["records"] - stored),
        "doubled": max(0, stored - size["records"]),
    }


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.project.settings")
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))))
