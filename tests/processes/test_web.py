"""The web server as the Procfile starts it."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from http.client import HTTPResponse

import pytest

from depot.project.start import free_port, wait_until_ready
from tests.processes.conftest import House

pytestmark = pytest.mark.processes


def get(address: str) -> HTTPResponse:
    return urllib.request.urlopen(address, timeout=60)  # noqa: S310 - our own address


@pytest.mark.parametrize("house", ["files"], indirect=True)
def test_web_server_answers_health_and_log_in_with_a_strict_policy(house: House) -> None:
    port = free_port("127.0.0.1", 18000)
    house.start("web", DEPOT_WEB_PORT=str(port))
    site = f"http://127.0.0.1:{port}"
    assert wait_until_ready(f"{site}/health/ready", seconds=120), house.logs()
    assert get(f"{site}/health/live").status == 200
    page = get(f"{site}/")
    assert page.url.startswith(f"{site}/log-in/")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in f"{policy};"
    assert "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{site}/no-such-depot/nothing")


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) > port


def test_waiting_for_nobody_ends() -> None:
    assert not wait_until_ready(f"http://127.0.0.1:{free_port('127.0.0.1', 18500)}/", seconds=0.5)
