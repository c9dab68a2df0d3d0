"""The gateway as a process: killed at any moment, it loses nothing that it has answered."""

from __future__ import annotations

import os
import signal
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as project
from django.db import connection
from websockets.exceptions import WebSocketException

from charging.models import Charger, ChargingSession, MeterSample
from tests import factories
from tests.charging.ocpp.conftest import BOOT_201, Talk, dial, event, wait_for

KILLS = 3


def database_url() -> str:
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    secret = f"{quote(values['USER'])}:{quote(values['PASSWORD'])}"
    return f"postgres://{secret}@{values['HOST'] or 'localhost'}:{values['PORT'] or 5432}/{values['NAME']}"


def free_port() -> int:
    with sockets.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Process:
    """A gateway process on a port of its own, that can be killed and started again."""

    def __init__(self, var: Any) -> None:
        self.port = free_port()
        self.gateway = SimpleNamespace(port=self.port)
        self.environment = os.environ | {
            "DATABASE_URL": database_url(),
            "DEPOT_VAR": str(var),
            "DEPOT_CLOCK_ANCHOR_SIMULATED": "",
        }
        self.command = [sys.executable, "manage.py", "ocpp_gateway", "--port", str(self.port)]
        self.start()

    def start(self) -> None:
        self.program = subprocess.Popen(self.command, cwd=project.BASE_DIR, env=self.environment)
        wait_for(self.listens, timeout=90)

    def listens(self) -> bool:
        with sockets.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        self.program.send_signal(how)
        return self.program.wait(20)


@pytest.fixture
def process(charger: Charger, tmp_path: Any, settings: Any) -> Iterator[Process]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    charger.set_password("a long enough password")
    charger.save()
    process = Process(tmp_path)
    yield process
    process.end()


@pytest.mark.processes
def test_killed_again_and_again_it_loses_no_answered_meter_value(process: Process, charger: Charger) -> None:
    answered: list[int] = []
    enough = threading.Event()

    def measure() -> None:
        while not enough.is_set():
            try:
                with dial(process, charger) as socket:
                    talk = Talk(socket)
                    talk.ask("BootNotification", BOOT_201)
                    while not enough.is_set():
                        number = len(answered)
                        kind = "Updated" if number else "Started"
                        at = (factories.NOW + timedelta(seconds=number)).isoformat()
                        talk.ask("TransactionEvent", event(kind, number, at, import_wh=number, power_w=3600))
                        answered.append(number)
            except (OSError, WebSocketException, TimeoutError):
                time.sleep(0.05)

    charging = threading.Thread(target=measure)
    charging.start()
    for _ in range(KILLS):
        begin = len(answered)
        wait_for(lambda begin=begin: len(answered) > begin + 20, timeout=90)
        process.end()
        process.start()
    begin = len(answered)
    wait_for(lambda: len(answered) > begin + 5, timeout=90)
    enough.set()
    charging.join(60)
    stored = MeterSample.objects.order_by("sampled_at").values_list("sampled_at", flat=True)
    assert [(at - factories.NOW).total_seconds() for at in stored][: len(answered)] == answered
    assert ChargingSession.objects.count() == 1
    assert len(stored) <= len(answered) + 1


@pytest.mark.processes
def test_asked_to_end_it_says_good_bye(process: Process, charger: Charger) -> None:
    with dial(process, charger):
        wait_for(lambda: Charger.objects.get(pk=charger.pk).connected)
        assert process.end(signal.SIGTERM) == 0
    assert not Charger.objects.get(pk=charger.pk).connected


@pytest.mark.processes
def test_a_port_that_is_taken_is_said(process: Process) -> None:
    second = subprocess.run(
        process.command, cwd=project.BASE_DIR, env=process.environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert "Choose another --port" in second.stderr
