"""The folder that carries messages where there is no Redis: whole messages or none, whoever is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection
from kombu.transport.filesystem import exchange_queue_t

from depot.project.celery import app
from depot.project.folder_broker import Channel, Transport


@pytest.fixture
def open_channel(tmp_path: Path) -> Callable[[], Channel]:
    """Return a function that opens a channel, as each process does for itself."""
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
    options = {key: str(tmp_path / name) for key, name in folders.items()}
    return lambda: Connection("filesystem://", transport_options=options).channel()


def test_celery_uses_it() -> None:
    assert Connection("filesystem://").get_transport_cls() is Transport
    assert app.conf.broker_url.startswith(("filesystem://", "redis://"))


def test_messages_come_in_their_order_and_once(open_channel: Callable[[], Channel]) -> None:
    channel = open_channel()
    for number in range(3):
        channel._put("work", {"number": number})
    channel._put("other", {})
    numbers = sorted(channel._get("work")["number"] for _ in range(3))
    assert numbers == [0, 1, 2]
    with pytest.raises(Empty):
        channel._get("work")


def test_a_message_that_is_not_whole_is_not_there(
    open_channel: Callable[[], Channel], tmp_path: Path
) -> None:
    channel = open_channel()
    (tmp_path / "queue" / "0_killed-while-writing").write_text('{"numb')
    (tmp_path / "queue" / "0_empty.work.msg").touch()
    channel._put("work", {"number": 1})
    with pytest.raises(Empty):
        channel._get("work")  # the empty one goes, and ends nothing
    assert channel._get("work") == {"number": 1}


def test_a_quick_reader_never_meets_half_a_message(open_channel: Callable[[], Channel]) -> None:
    count, found = 400, []
    writer, reader = open_channel(), open_channel()

    def write() -> None:
        for number in range(count):
            writer._put("work", {"number": number, "filling": "x" * 20_000})

    thread = threading.Thread(target=write)
    thread.start()
    while len(found) < count:
        all_written = not thread.is_alive()
        try:
            found.append(reader._get("work")["number"])
        except Empty:
            assert not all_written, f"{count - len(found)} messages were lost"
    thread.join()
    assert sorted(found) == list(range(count))


def test_the_table_of_an_exchange_is_readable_from_the_first_moment(
    open_channel: Callable[[], Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = open_channel()
    seen: list[Any] = []
    real = Channel.__mro__[1]._queue_bind

    def look_first(self: Channel, *binding: str) -> None:
        seen.append(self.get_table("jobs"))
        real(self, *binding)

    monkeypatch.setattr(Channel.__mro__[1], "_queue_bind", look_first)
    for queue in ("one", "two"):
        channel._queue_bind("jobs", "key", "", queue)
    bound = [exchange_queue_t("key", "", queue) for queue in ("two", "one")]
    assert channel.get_table("jobs") == bound
    assert seen == [[], bound[1:]]
