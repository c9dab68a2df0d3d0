"""Clients that others wrote, against the real gateway: npm's ocpp-rpc in strict mode, PyPI's test-ocpp."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charging.models import Charger, ChargerCommand, ChargingSession
from charging.ocpp.gateway import tls_context
from charging.services.commands import send
from depot import clock
from tests.charging.ocpp.conftest import PASSWORD, Running
from tests.charging.ocpp.test_security import Authority, needs_openssl

STATION = Path(__file__).with_name("foreign_station.js")


def has_ocpp_rpc() -> bool:
    """Tell whether Node finds the package, in this folder or where NODE_PATH says."""
    node = shutil.which("node")
    if node is None:
        return False
    command = [node, "-e", "require('ocpp-rpc')"]
    return subprocess.run(command, cwd=STATION.parent, capture_output=True, check=False).returncode == 0


needs_rpc = pytest.mark.skipif(
    not has_ocpp_rpc(), reason="needs Node and ocpp-rpc: npm ci --prefix tests/charging/ocpp"
)
needs_test_ocpp = pytest.mark.skipif(
    importlib.util.find_spec("test_ocpp") is None, reason="needs test-ocpp: pip install test-ocpp"
)


@needs_rpc
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_strict_foreign_station_is_served(running: Running, charger: Charger, version: str) -> None:
    assert running.gateway is not None
    connector = charger.connectors.get()
    payload = {"evse_id": 1, "start_at": clock.now().isoformat(), "step_seconds": 900, "power_kw": [11.0, 7.0],
               "max_offline_s": 1800, "vehicle_id": None}  # fmt: skip
    send(charger, "set_schedule", payload, connector=connector, coalesce=f"schedule:{connector.pk}")
    url = f"ws://127.0.0.1:{running.gateway.port}/ocpp"
    command = ["node", str(STATION), url, charger.identity, PASSWORD, f"ocpp{version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["protocol"], said["violations"]) == (f"ocpp{version}", [])
    assert said["heard"]["BootNotification"]["status"] == "Accepted"
    assert {action for action, _ in said["told"]} == {"SetChargingProfile"}
    session = ChargingSession.objects.get()
    assert (session.import_kwh, session.vehicle) == (1.5, connector.vehicle)
    assert session.unplugged_at is not None
    assert not ChargerCommand.objects.filter(state__in=["failed", "rejected"]).exists()


def run_test_ocpp(url: str, charger: Charger, version: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "test_ocpp", url, charger.identity, "--ocpp", version, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=os.environ)


@needs_test_ocpp
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("slash", [[], ["--trailing-slash"]])
def test_test_ocpp_connects_with_its_password(
    running: Running, charger: Charger, version: str, slash: list[str]
) -> None:
    assert running.gateway is not None
    url = f"ws://127.0.0.1:{running.gateway.port}/ocpp"
    done = run_test_ocpp(url, charger, version, "--password", PASSWORD, *slash)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Accepted" in done.stdout
    assert run_test_ocpp(url, charger, version, "--password", "wrong").returncode == 1


@needs_test_ocpp
@needs_openssl
def test_test_ocpp_connects_over_tls_and_with_a_certificate(
    running: Running, charger: Charger, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    server, own = authority.sign("server"), authority.sign(charger.identity)
    for client_ca, words in (
        ("", ["--password", PASSWORD]),
        (str(authority.certificate), ["--cert", str(own[0]), "--key", str(own[1])]),
    ):
        running.stop()
        tls: ssl.SSLContext = tls_context(str(server[0]), str(server[1]), client_ca)
        gateway = running.start(tls=tls)
        url = f"wss://127.0.0.1:{gateway.port}/ocpp"
        done = run_test_ocpp(url, charger, "2.0.1", "--ca", str(authority.certificate), *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "TLSv1.3" in done.stdout
