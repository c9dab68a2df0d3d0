"""Redis that dies under Celery: a connection that is gone is an error to recover from, for worker and beat."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import SchedulingError
from kombu import Connection, Consumer, Queue

from depot.project.beat import Scheduler
from depot.project.celery import app as depot_app
from tests.processes.conftest import unused_port
from tests.processes.test_broker import redis_server

EVERY_S = 5.0


class Redis:
    """A Redis on a port of its own that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = unused_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = redis_server(self.port, self._folder)
        with Connection(self.url) as connection:
            connection.ensure_connection(max_retries=50, interval_start=0.1, interval_step=0)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


def test_a_message_taken_over_a_connection_that_is_gone_is_acknowledged_to_nobody(server: Redis) -> None:
    assert depot_app.main == "depot"  # its module tells Kombu of our transport
    taken = []
    with Connection(server.url) as connection:
        connection.SimpleQueue("words").put({"word": 1})
        with Consumer(connection, [Queue("words")], on_message=taken.append):
            connection.drain_events(timeout=5)
        errors = connection.connection_errors
        [message] = taken
        connection.close()
    message.channel._disconnect_pools()  # as Kombu leaves it when Redis dies while it closes
    with pytest.raises(errors, match="was closed"):
        message.ack()


def test_beat_begins_anew_with_a_redis_that_came_back(server: Redis) -> None:
    app = Celery("beat", broker=server.url)
    app.conf.update(
        task_publish_retry=False,
        beat_schedule={},
        broker_transport_options={"socket_connect_timeout": 1, "max_retries": 1, "interval_start": 0.1},
    )
    scheduler = Scheduler(app)
    entry = scheduler.Entry(name="tick", task="depot.tick", schedule=EVERY_S, app=app)
    scheduler.apply_async(entry, producer=scheduler.producer)
    dead = scheduler.producer
    scheduler.connection.close()
    with pytest.raises(SchedulingError):
        scheduler.apply_async(entry, producer=dead)
    scheduler.apply_async(entry, producer=scheduler.producer)
    assert scheduler.producer is not dead
    server.kill()
    with pytest.raises(SchedulingError):
        scheduler.apply_async(entry, producer=scheduler.producer)
    server.start()
    scheduler.apply_async(entry, producer=scheduler.producer)
