"""What happens before the processes start: the schema, the clock, the address that is free."""

from __future__ import annotations

import socket
import time
import urllib.request
from datetime import datetime
from http import HTTPStatus

from django.db.models import Max

from billing.models import Interval
from charging.models import Charger
from depot import clock
from depot.models import Depot, MeterReading


def clock_settings(speed: float) -> dict[str, str]:
    """Return the clock's settings: it goes on from now, or from the newest record when that lies ahead of now.

    A demonstration that ran accelerated leaves records in what is still the future; time never goes back. A real
    depot keeps the clock on the wall: ValueError for another speed.
    """
    wall = clock.wall_now()
    real = Depot.objects.filter(demo=False).first()
    if real is not None and speed != 1.0:
        raise ValueError(f"{real} is a real depot, whose clock cannot run faster. Leave --speed out.")
    newest = latest_record() if real is None else None
    start = max(wall, newest) if newest else wall
    if speed == 1.0 and start == wall:
        return {"DEPOT_CLOCK_ANCHOR_SIMULATED": "", "DEPOT_CLOCK_ANCHOR_WALL": "", "DEPOT_CLOCK_SPEED": "1"}
    return {
        "DEPOT_CLOCK_SPEED": str(speed),
        "DEPOT_CLOCK_ANCHOR_WALL": wall.isoformat(),
        "DEPOT_CLOCK_ANCHOR_SIMULATED": start.isoformat(),
        "DEPOT_TICK_SECONDS": str(max(0.5, min(2.5, 60.0 / speed))),
    }


def latest_record() -> datetime | None:
    """Return the newest moment anything was measured or closed, or None in an empty database."""
    moments = [
        MeterReading.objects.aggregate(at=Max("observed_at"))["at"],
        Interval.objects.aggregate(at=Max("start_at"))["at"],
    ]
    known = [at for at in moments if at is not None]
    return max(known) if known else None


def free_port(host: str, wanted: int) -> int:
    """Return `wanted`, or the next port above it that nobody listens on."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"No free port between {wanted} and {wanted + 49} on {host}. Stop what listens there.")


def wait_until_ready(address: str, seconds: float) -> bool:
    """Tell whether `address` answers 200 within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 - our own address
                if answer.status == HTTPStatus.OK:
                    return True
        except OSError:
            time.sleep(0.3)
    return False


def wait_for_chargers(seconds: float) -> bool:
    """Tell whether every charger of the demonstrations logs in within `seconds`."""
    deadline = time.monotonic() + seconds
    while Charger.objects.filter(depot__demo=True, connected=False).exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True
