"""How many sockets are let in: one too many is closed, and those that go make room."""

from __future__ import annotations

import socket as sockets

import pytest
from websockets.exceptions import WebSocketException

from charging.models import Charger
from charging.ocpp.caps import MOST_SOCKETS, Caps, most_sockets
from tests.charging.ocpp.conftest import Running, dial, knock, wait_for


def capped(running: Running, most: int, most_strangers: int) -> None:
    running.stop()
    gateway = running.start()
    gateway._caps._most, gateway._caps._most_strangers = most, most_strangers


def silent(running: Running) -> sockets.socket:
    """Return an open socket that says nothing."""
    assert running.gateway is not None
    return sockets.create_connection(("127.0.0.1", running.gateway.port), timeout=5)


def is_closed(socket: sockets.socket) -> bool:
    try:
        return socket.recv(1) == b""
    except ConnectionResetError:
        return True


def open_sockets(running: Running) -> int:
    assert running.gateway is not None
    return len(running.gateway._caps._open)


def test_one_socket_too_many_is_closed_and_one_that_goes_makes_room(
    running: Running, charger: Charger
) -> None:
    capped(running, most=2, most_strangers=10)
    with dial(running, charger), silent(running) as second:
        wait_for(lambda: open_sockets(running) == 2)
        with silent(running) as third:
            assert is_closed(third)
        second.close()
        wait_for(lambda: open_sockets(running) == 1)
        with silent(running):
            wait_for(lambda: open_sockets(running) == 2)
    wait_for(lambda: open_sockets(running) == 0)


def test_strangers_of_one_address_do_not_keep_its_chargers_counted_among_them(
    running: Running, charger: Charger
) -> None:
    capped(running, most=10, most_strangers=1)
    with dial(running, charger) as link:
        with silent(running):
            wait_for(lambda: open_sockets(running) == 2)
            with pytest.raises((WebSocketException, ConnectionError, EOFError)):
                knock(running, charger)
        link.ping().wait(5)
        wait_for(lambda: open_sockets(running) == 1)
        with silent(running):
            wait_for(lambda: open_sockets(running) == 2)


def test_the_most_is_below_what_the_process_may_open() -> None:
    assert 0 < most_sockets() <= MOST_SOCKETS
    caps = Caps(0)
    assert not caps.let_in(object(), "127.0.0.1")  # type: ignore[arg-type]
