"""Read the site meters that must be fetched."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand

from depot.meters.following import Following
from depot.models import MeterSource


class Command(BaseCommand):
    help = "Read the site meters over MQTT and Modbus TCP, as the admin's meter sources say, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        count = sum(source.fetched for source in MeterSource.objects.all())
        self.stdout.write(f"{count} meters are read over MQTT or Modbus TCP; changes count within 10 s.")
        with suppress(KeyboardInterrupt):
            Following().run(threading.Event())
