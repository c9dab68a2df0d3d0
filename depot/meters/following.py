"""Follow all meters that must be fetched: a thread for each, started, changed and ended as the set-up changes."""

from __future__ import annotations

import logging
import threading
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from depot import clock
from depot.meters.measured import Measured, UnreadableError
from depot.meters.modbus import ModbusMeter
from depot.meters.mqtt import MqttMeter
from depot.models import Depot, MeterSource
from depot.services.meter_sources import keep, note_trouble, watch_meters
from depot.words import ENGLISH, speaking, tr

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
WAIT_S = 1.0


def pause_s(failures: int) -> float:
    """Return how long to wait before the next try after so many failures in a row, in seconds."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_S)


class Follower(threading.Thread):
    """Reads one meter until it is stopped. Nothing ends it but that: what fails is noted and tried again."""

    def __init__(self, source: MeterSource, language: str = ENGLISH) -> None:
        super().__init__(name=f"meter-{source.meter_id}", daemon=True)
        self.source, self.changed_at = source, source.changed_at
        self.language = language
        """What is told of its trouble is said in it."""
        self.stopping = threading.Event()
        self.failures = 0
        """How often it has failed since it last read."""

    def stop(self) -> None:
        self.stopping.set()

    def run(self) -> None:
        with speaking(self.language):
            self._follow()

    def _follow(self) -> None:
        try:
            while not self.stopping.is_set():
                try:
                    close_old_connections()
                    follow = self._hear if self.source.kind == MeterSource.Kind.MQTT else self._ask
                    follow()
                except ImportError as error:
                    self._fail(tr("{error} is not installed. Install the extra “meters”.", error=error.name))
                    self.failures = 16
                except (OSError, UnreadableError) as error:
                    self._fail(str(error))
                    self.failures += 1
                except Exception:
                    log.exception("meter %s cannot be read; trying again", self.source.meter_id)
                    self.failures += 1
                self.stopping.wait(pause_s(max(self.failures, 1)))
        finally:
            connections.close_all()

    def _ask(self) -> None:
        """Ask a Modbus meter again and again, until its link is bad."""
        meter = ModbusMeter(self.source)
        try:
            meter.connect()
            while not self.stopping.is_set():
                try:
                    self._keep(meter.read())
                except UnreadableError as error:
                    self._fail(str(error))
                self.stopping.wait(self.source.every_s)
        finally:
            meter.close()

    def _hear(self) -> None:
        """Hear an MQTT meter; its own thread connects it again when the link is lost."""
        meter = MqttMeter(self.source)
        meter.start()
        try:
            while not self.stopping.is_set():
                try:
                    measured = meter.read(WAIT_S)
                except UnreadableError as error:
                    self._fail(str(error))
                    continue
                if measured is not None:
                    self._keep(measured)
                    self.stopping.wait(self.source.every_s * 0.9)
        finally:
            meter.close()

    def _keep(self, measured: Measured) -> None:
        """Keep a reading; while the database is away it is lost, and the next one is tried."""
        self.failures = 0
        try:
            keep(self.source, measured)
        except DatabaseError as error:
            log.warning("meter %s: a reading could not be kept (%s)", self.source.meter_id, error)
            connections.close_all()

    def _fail(self, words: str) -> None:
        try:
            note_trouble(self.source, words)
        except DatabaseError as error:
            log.warning("meter %s: %s (not noted: %s)", self.source.meter_id, words, error)
            connections.close_all()


class Following:
    """The followers of all meters that the set-up says must be fetched."""

    def __init__(self) -> None:
        self.followers: dict[int, Follower] = {}

    def look(self, now: datetime) -> None:
        """Start, replace and end followers as the set-up says now, and watch for meters that are silent."""
        sources = MeterSource.objects.filter(enabled=True).select_related("meter__depot")
        wanted = {source.pk: source for source in sources if source.fetched}
        for key, follower in list(self.followers.items()):
            source = wanted.get(key)
            if source is None or source.changed_at != follower.changed_at or not follower.is_alive():
                follower.stop()
                del self.followers[key]
        for key, source in wanted.items():
            if key not in self.followers:
                self.followers[key] = Follower(source, source.meter.depot.language)
                self.followers[key].start()
        for depot in Depot.objects.filter(meters__source__isnull=False).distinct():
            with speaking(depot.language):
                watch_meters(depot, now)

    def run(self, stopping: threading.Event) -> None:
        """Follow until `stopping` is set."""
        try:
            while not stopping.is_set():
                try:
                    close_old_connections()
                    self.look(clock.now())
                    (settings.VAR_DIR / "meters.alive").touch()  # the container's health check looks at it
                except DatabaseError as error:
                    log.warning("the meters' set-up cannot be read; trying again: %s", error)
                except Exception:  # the followers go on meanwhile; no touch: the health check sees it
                    log.exception("the meters' set-up could not be followed; trying again")
                stopping.wait(LOOK_EVERY_S)
        finally:
            self.end()

    def end(self) -> None:
        """Stop every follower and wait for it."""
        for follower in self.followers.values():
            follower.stop()
        for follower in self.followers.values():
            follower.join(timeout=10)
        self.followers.clear()
