"""The database away for some seconds: chargers are answered at once, programs late; nothing is lost or doubled."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.processes.browser import GONE, Browser, with_key
from tests.processes.chargers import Yard
from tests.processes.clerk import Clerk
from tests.processes.conftest import House, administer, with_path
from tests.processes.test_kill_gateway import stored, words

pytestmark = pytest.mark.processes

AWAY_S = 5.0
SHORT_S, PAUSE_S = 2.0, 0.2


@contextmanager
def database_away(house: House) -> Iterator[None]:
    """Lock the SQLite file for all writers, or end all connections to the PostgreSQL database and let none in."""
    url = house.env.get("DATABASE_URL", "")
    if not url:
        with closing(sqlite3.connect(house.folder / "depot.sqlite3", isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            yield
            writer.execute("ROLLBACK")
        return
    name, server = urlsplit(url).path[1:], with_path(url, "postgres")
    administer(
        server,
        f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - our own name
    )
    try:
        yield
    finally:
        administer(server, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_while_the_database_is_away_chargers_are_answered_and_nothing_is_lost(
    product: House, clerk: Clerk
) -> None:
    yard = Yard(int(product.env["DEPOT_GATEWAY_PORT"]), clerk.ask("yard"))
    port = int(product.env["DEPOT_WEB_PORT"])
    program = replace(with_key(port, clerk.ask("program")), timeout_s=SHORT_S)
    [vehicle], *_ = clerk.rows("fleet.Vehicle", "id")
    gateway, web = product.start("gateway"), product.start("web")
    product.until(lambda: ready(program))
    at = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    batch = {"items": [{"vehicle": vehicle, "observed_at": at, "odometer_km": 1000}]}
    with yard.running():
        product.until(lambda: len(yard.acknowledged) > 20)
        with database_away(product):
            before = len(yard.acknowledged)
            began, meanwhile = time.monotonic(), []
            while time.monotonic() - began < AWAY_S:
                meanwhile.append(send(program, batch))
                time.sleep(PAUSE_S)
            committed_before = len(yard.chargers)
            assert len(yard.acknowledged) > before + committed_before, "the journal keeps what chargers say"
        product.until(lambda: send(program, batch) == HTTPStatus.OK, seconds=30)
        product.until(lambda: len(yard.acknowledged) > before + 20)
        yard.unplug()
        product.until(yard.finished)
    product.until(lambda: len(stored(clerk)) >= len(yard.said))
    assert meanwhile
    assert set(meanwhile) <= {None, HTTPStatus.SERVICE_UNAVAILABLE}
    assert clerk.rows("fleet.TelemetryReading", "odometer_km", source="telematics") == [[1000.0]]
    assert sorted(stored(clerk)) == sorted(words(yard.said))
    assert (gateway.poll(), web.poll()) == (None, None)


def send(program: Browser, batch: dict[str, Any]) -> int | None:
    """Return the status of the answer, None when there is none yet after a moment."""
    try:
        return program.post_json("/api/v1/telemetry", batch).status
    except TimeoutError:
        return None


def ready(program: Browser) -> bool:
    try:
        return program.get("/health/ready").status == 200
    except GONE:
        return False
