"""Simulated chargers in the test's own process, that note what the gateway acknowledged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from charging.ocpp.simulator.station import Meter, Payload, Setup, Station
from tests.factories import NOW

PASSWORD = "a long enough password"
VERSIONS = ("2.1", "2.0.1", "2.1")
PAUSE_S = 0.05
WATT_HOUR = 0.001
Word = tuple[str, str, float, float]
"""A transaction, a moment, and both registers in kWh."""


class Witness(Station):
    """A charger whose registers rise with every word; a `mute` one never answers a schedule, nor takes it."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.said: list[Word] = []
        self.acknowledged: list[Word] = []
        self.mute = False

    async def call(self, action: str, payload: Payload) -> Payload:
        answer = await super().call(action, payload)
        if action == "TransactionEvent":
            self.acknowledged.append(word_of(payload))
        return answer

    def now(self) -> tuple[Meter, datetime]:
        """Return what its meter says, a second after the last time."""
        count = len(self.said) + 1
        meter = Meter(36.0, count * 10 * WATT_HOUR, count * WATT_HOUR, 0.5)
        return meter, NOW + timedelta(seconds=count)

    def _tell(self, kind: str, reason: str, meter: Meter, at: datetime, token: str = "") -> None:
        super()._tell(kind, reason, meter, at, token)
        self.said.append(word_of(self.waiting[-1]["payload"]))

    def _reply(self, number: str, action: str, payload: Payload) -> list[Any]:
        if self.mute and payload.get("chargingProfile", {}).get("chargingProfilePurpose") == "TxProfile":
            return [3, "a call that nobody made", {}]
        return super()._reply(number, action, payload)


def word_of(payload: Payload) -> Word:
    values = {one["measurand"]: one["value"] for one in payload["meterValue"][0]["sampledValue"]}
    return (
        payload["transactionInfo"]["transactionId"],
        payload["timestamp"],
        values["Energy.Active.Import.Register"] * WATT_HOUR,
        values["Energy.Active.Export.Register"] * WATT_HOUR,
    )


class Yard:
    """Chargers that run in a thread: they plug in, speak of their meters without end, and unplug."""

    def __init__(self, port: int, identities: Sequence[str]) -> None:
        self.chargers = [
            Witness(Setup(f"ws://127.0.0.1:{port}/ocpp", identity, PASSWORD, version, 60.0, 60.0))
            for identity, version in zip(identities, VERSIONS, strict=True)
        ]
        self._quiet = threading.Event()
        self._leave = threading.Event()

    @property
    def acknowledged(self) -> set[Word]:
        return {word for charger in self.chargers for word in list(charger.acknowledged)}

    @property
    def said(self) -> list[Word]:
        return [word for charger in self.chargers for word in list(charger.said)]

    def delivered(self) -> bool:
        """Tell whether everything that was said is acknowledged."""
        return all(not charger.waiting and charger.connected.is_set() for charger in self.chargers)

    def finished(self) -> bool:
        """Tell whether all have unplugged and everything is acknowledged."""
        return all(charger.transaction is None for charger in self.chargers) and self.delivered()

    def unplug(self) -> None:
        """Let no more be said but the end of each transaction."""
        self._quiet.set()

    @contextmanager
    def running(self, silent: bool = False) -> Iterator[None]:
        """Let the chargers log in, plug in (unless `silent` they also speak) and stay until the end."""
        if silent:
            self._quiet.set()
        thread = threading.Thread(target=lambda: asyncio.run(self._live(speak=not silent)))
        thread.start()
        try:
            yield
        finally:
            self._leave.set()
            thread.join(10)

    async def _live(self, *, speak: bool) -> None:
        links = [asyncio.create_task(charger.run()) for charger in self.chargers]
        for charger in self.chargers:
            charger.plug_in(*charger.now())
        while not self._quiet.is_set():
            await asyncio.sleep(PAUSE_S)
            for charger in self.chargers:
                charger.measure(*charger.now())
        for charger in self.chargers if speak else ():
            charger.unplug(*charger.now())
        while not self._leave.is_set():
            await asyncio.sleep(PAUSE_S)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
