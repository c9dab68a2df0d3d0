"""Hear one meter over MQTT."""

from __future__ import annotations

import ssl
import threading
import uuid
from typing import Any

from depot.meters.measured import Measured, UnreadableError
from depot.meters.payload import read_payload
from depot.models import MeterSource
from depot.words import Sentence, later

KEEP_ALIVE_S = 30
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1, 60


class MqttMeter:
    """A subscription to one meter's topic. The library's thread connects, and connects again after longer pauses.

    Only the newest message is kept until it is asked for: what the database could not take in time is overtaken.
    """

    def __init__(self, source: MeterSource) -> None:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self._source = source
        self._trouble: Sentence | None = None
        self._newest: tuple[bytes, bool] | None = None
        self._news = threading.Condition()
        self.heard = threading.Event()
        """Set once the broker has granted the subscription."""
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"depot-meter-{source.pk}-{uuid.uuid4().hex[:8]}"
        )
        self._client.reconnect_delay_set(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        if source.user_name:
            self._client.username_pw_set(source.user_name, source.password)
        if source.tls:
            self._client.tls_set_context(ssl.create_default_context(cadata=source.ca_certificate or None))
        self._client.on_connect = self._connected
        self._client.on_connect_fail = lambda *_: self._fail(
            later("Nothing answers at {where}.", where=self._where)
        )
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._told

    @property
    def _where(self) -> str:
        host, port = self._source.place
        return f"{host}:{port}"

    def start(self) -> None:
        host, port = self._source.place
        self._client.connect_async(host, port, keepalive=KEEP_ALIVE_S)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        with self._news:
            self._news.notify_all()

    def read(self, wait_s: float) -> Measured | None:
        """Return what the newest message says, or None when none came within `wait_s`.

        Raises UnreadableError for a message that says no reading, and once for each trouble with the link.
        A message the broker had kept from earlier says nothing of now, unless it carries its own time.
        """
        with self._news:
            if self._newest is None and not self._trouble:
                self._news.wait(wait_s)
            newest, self._newest = self._newest, None
            trouble, self._trouble = self._trouble, None
        if trouble and newest is None:
            raise UnreadableError(trouble)
        if newest is None:
            return None
        payload, kept = newest
        if kept and not self._source.observed_path:
            return None
        return read_payload(payload, self._source.fields)

    def _fail(self, words: Sentence) -> None:
        with self._news:
            self._trouble = words
            self._news.notify_all()

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._fail(later("The broker at {where} refuses: {reason}.", where=self._where, reason=reason))
        else:
            client.subscribe(self._source.topic, qos=1)

    def _subscribed(self, _client: Any, _data: Any, _mid: Any, reasons: list[Any], _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._fail(later("The broker refuses the topic {topic}.", topic=self._source.topic))
        else:
            self.heard.set()

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._fail(later("The link to the broker at {where} was lost.", where=self._where))

    def _told(self, _client: Any, _data: Any, message: Any) -> None:
        with self._news:
            self._newest = (message.payload, message.retain)
            self._news.notify_all()
