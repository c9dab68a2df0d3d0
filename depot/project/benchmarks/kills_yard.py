"""Chargers that speak without end while everything behind them is killed, and remember what was acknowledged."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from charging.ocpp.simulator import station
from charging.ocpp.simulator.station import Meter, Payload, Setup, Station
from depot import clock

PASSWORD = "benchmark-password-0123"  # noqa: S105 - of chargers that live for some minutes
VERSIONS = ("2.1", "2.0.1", "1.6")
EVERY_S = 0.5
STAYS_S = 30.0
"""Vehicles leave after this long on average, and the next one comes at once."""
LONGEST_KNOCK_S = 2.0
"""The longest pause between two log-ins, shorter than a real charger's: it is not what is to be measured."""
CAPACITY_KWH = 200.0
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Word:
    """One meter value: whose, when (to the millisecond) and the import register in Wh."""

    identity: str
    at: datetime
    import_wh: float


class Witness(Station):
    """A charger with a meter that follows its set-point, and a memory of what was said, acknowledged and heard."""

    def __init__(self, setup: Setup, seed: int) -> None:
        super().__init__(setup)
        self.said: list[Word] = []
        self.acknowledged: list[Word] = []
        self.schedules: list[dict[str, Any]] = []
        """The schedules that it took, in their order, as they stood in the profiles of the plan's level."""
        self._chance = random.Random(f"{seed}:{setup.identity}")  # noqa: S311 - a benchmark, no secret
        self._at = clock.now()
        self._import_kwh, self._export_kwh, self._soc = 0.0, 0.0, self._chance.uniform(0.2, 0.6)

    def go_on(self) -> None:
        """Say the next word: mostly a meter value, now and then a change of vehicles."""
        if self.transaction is None:
            self.plug_in(*self.now())
        elif self._chance.random() < EVERY_S / STAYS_S:
            self.unplug(*self.now())
            self._soc = self._chance.uniform(0.2, 0.6)
            self.plug_in(*self.now())
        else:
            self.measure(*self.now())

    def now(self) -> tuple[Meter, datetime]:
        """Return the meter at a moment that no word before had; registers are whole watt-hours."""
        at = max(
            clock.now().replace(microsecond=clock.now().microsecond // 1000 * 1000), self._at + MILLISECOND
        )
        power_kw = self.setpoint_kw(at)
        energy_kwh = power_kw * (at - self._at).total_seconds() / 3600
        self._at = at
        self._import_kwh += max(energy_kwh, 0.0)
        self._export_kwh += max(-energy_kwh, 0.0)
        self._soc = min(max(self._soc + energy_kwh / CAPACITY_KWH, 0.05), 1.0)
        meter = Meter(power_kw, round(self._import_kwh, 3), round(self._export_kwh, 3), round(self._soc, 4))
        return meter, at

    async def call(self, action: str, payload: Payload) -> Payload:
        answer = await super().call(action, payload)
        if action == "TransactionEvent":
            self.acknowledged.append(self._word(payload))
        return answer

    def _tell(self, kind: str, reason: str, meter: Meter, at: datetime, token: str = "") -> None:
        super()._tell(kind, reason, meter, at, token)
        self.said.append(self._word(self.waiting[-1]["payload"]))

    def _word(self, payload: Payload) -> Word:
        values = {one["measurand"]: one["value"] for one in payload["meterValue"][0]["sampledValue"]}
        at = datetime.fromisoformat(payload["timestamp"])
        return Word(self.setup.identity, at, values["Energy.Active.Import.Register"])

    def _set_profile(self, payload: Payload) -> Payload:
        answer = super()._set_profile(payload)
        profile = payload["chargingProfile"]
        if answer["status"] == "Accepted" and profile["stackLevel"] == 1:
            [schedule] = profile["chargingSchedule"]
            self.schedules.append(schedule)
        return answer


class Yard:
    """The chargers, in a thread of their own."""

    def __init__(self, port: int, identities: Sequence[tuple[str, float, float]], seed: int) -> None:
        url = f"ws://127.0.0.1:{port}/ocpp"
        self.chargers = [
            Witness(Setup(url, identity, PASSWORD, VERSIONS[place % len(VERSIONS)], charge, discharge), seed)
            for place, (identity, charge, discharge) in enumerate(identities)
        ]
        self._quiet, self._leave = threading.Event(), threading.Event()

    @property
    def said(self) -> list[Word]:
        return [word for charger in self.chargers for word in list(charger.said)]

    @property
    def acknowledged(self) -> list[Word]:
        return [word for charger in self.chargers for word in list(charger.acknowledged)]

    def all_heard(self) -> bool:
        """Tell whether each charger has had a word acknowledged."""
        return all(charger.acknowledged for charger in self.chargers)

    def heard_since(self, moment: datetime) -> bool:
        """Tell whether a word that each charger said after `moment` was acknowledged."""
        return all(charger.acknowledged and charger.acknowledged[-1].at > moment for charger in self.chargers)

    def delivered(self) -> bool:
        """Tell whether all is said and acknowledged."""
        return all(
            charger.transaction is None and not charger.waiting and charger.connected.is_set()
            for charger in self.chargers
        )

    def unplug(self) -> None:
        """Let all vehicles leave, and no more come."""
        self._quiet.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the chargers live until the end of the block."""
        station.LONGEST_PAUSE_S = LONGEST_KNOCK_S
        thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._quiet.set()
            self._leave.set()
            thread.join(10)

    async def _live(self) -> None:
        links = [asyncio.create_task(charger.run()) for charger in self.chargers]
        pause_s = EVERY_S / len(self.chargers)
        while not self._quiet.is_set():
            for charger in self.chargers:
                charger.go_on()
                await asyncio.sleep(pause_s)
        for charger in self.chargers:
            if charger.transaction is not None:
                charger.unplug(*charger.now())
        while not self._leave.is_set():
            await asyncio.sleep(EVERY_S)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
