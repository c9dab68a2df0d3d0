"""Carry what chargers say into the database, several chargers' words in one transaction.

While one transaction commits the next words gather, so that many chargers cost few commits. An event's outcome
is known, and its charger answered, only after the commit.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from django.db import InterfaceError, OperationalError, transaction

from charging.models import Charger, ChargingSession, Connector
from charging.ocpp.database import Database
from charging.ocpp.events import (
    Booted,
    Event,
    Outcome,
    Reading,
    SecurityEvent,
    StatusChanged,
    TokenAsked,
    TransactionEvent,
)
from charging.ocpp.frames import Fault
from charging.services import stations
from charging.services.commands import send_again
from charging.services.sessions import Sample, plug_in, record_samples, unplug
from depot import clock
from depot.audit import record
from depot.jobs import enqueue
from depot.timegrid import floor_to_step
from fleet.models import Vehicle

log = logging.getLogger(__name__)

AT_ONCE = 200
TRIES, PAUSE_S = 8, 1.0
AWAY = (OperationalError, InterfaceError)
PLAN_EVERY_MINUTES = 5
Word = tuple[int, Event]
Verdict = Outcome | Exception


class Inbox:
    """The queue before the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: asyncio.Queue[tuple[Word, asyncio.Future[Outcome]]] = asyncio.Queue()

    async def put(self, charger_id: int, event: Event) -> Outcome:
        """Return what came of an event once it is committed; raises Fault when it cannot be kept."""
        verdict: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(((charger_id, event), verdict))
        return await verdict

    async def run(self) -> None:
        """Commit what comes, until cancelled."""
        while True:
            waiting = [await self._queue.get()]
            while not self._queue.empty() and len(waiting) < AT_ONCE:
                waiting.append(self._queue.get_nowait())
            verdicts = await self._keep([word for word, _ in waiting])
            for (_, future), verdict in zip(waiting, verdicts, strict=True):
                _tell(future, verdict)

    async def _keep(self, words: Sequence[Word]) -> Sequence[Verdict]:
        """Return the verdicts; a database that is away or busy is waited for, as long as chargers wait."""
        for _ in range(TRIES):
            try:
                return await self._database.run(apply_all, words)
            except AWAY as error:
                log.warning("the database did not take %d words of chargers (%s)", len(words), error)
                await asyncio.sleep(PAUSE_S)
        return [Fault("InternalError", "The message could not be stored. Send it again.")] * len(words)


def _tell(future: asyncio.Future[Outcome], verdict: Verdict) -> None:
    if future.done():  # its link is gone
        return
    if isinstance(verdict, Exception):
        future.set_exception(verdict)
    else:
        future.set_result(verdict)


def apply_all(words: Sequence[Word]) -> list[Verdict]:
    """Keep words in one transaction; if one of them cannot be kept, each in its own.

    Raises one of `AWAY` when the database itself is the reason.
    """
    try:
        with transaction.atomic():
            return list(_Batch(words).apply())
    except AWAY:
        raise
    except Exception as error:
        if len(words) > 1:
            return [verdict for word in words for verdict in apply_all([word])]
        if isinstance(error, Fault):
            return [error]
        log.exception("a word of charger %s could not be kept: %s", *words[0])
        return [Fault("InternalError", "The message could not be stored. Send it again.")]


@dataclass(slots=True)
class _Batch:
    """Words that are kept together, with what they need read at once."""

    words: Sequence[Word]
    chargers: dict[int, Charger] = field(default_factory=dict)
    sessions: dict[tuple[int, str], ChargingSession] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def apply(self) -> list[Outcome]:
        ids = {charger_id for charger_id, _ in self.words}
        self.chargers = Charger.objects.select_related("depot").in_bulk(ids)
        numbers = {event.transaction_id for _, event in self.words if isinstance(event, TransactionEvent)}
        known = ChargingSession.objects.filter(connector__charger__in=ids, transaction_id__in=numbers)
        for session in known.select_related("connector", "vehicle"):
            self.sessions[session.connector.charger_id, session.transaction_id] = session
        outcomes = [self._apply(self.chargers[charger_id], event) for charger_id, event in self.words]
        self._flush()
        return outcomes

    def _apply(self, charger: Charger, event: Event) -> Outcome:
        match event:
            case Booted(vendor, model, firmware):
                stations.booted(charger, vendor, model, firmware)
            case StatusChanged(evse_id, connector_id, status, at):
                connector = stations.find_connector(charger, evse_id, connector_id)
                if connector is not None:
                    stations.set_status(connector, status, at)
            case TokenAsked(token):
                return Outcome(token_known=_token_known(charger, token))
            case SecurityEvent(kind, detail, at):
                sentence = f"Charger {charger.name} reports {kind}."
                record(charger.depot, charger.name, "charger.security", sentence, detail=detail, at=str(at))
            case TransactionEvent():
                return self._transaction(charger, event)
        return Outcome()

    def _transaction(self, charger: Charger, event: TransactionEvent) -> Outcome:
        if event.kind == "started" and not event.transaction_id:
            event = replace(event, transaction_id=_number(charger, event))
        session = self._session(charger, event)
        if session is not None:
            self.samples += [_sample(session, event, reading) for reading in event.readings]
            if event.kind == "ended":
                self._flush()
                unplug(session, event.at, _soc(reversed(event.readings)))
                _plan_anew(charger, session, "unplugged")
        else:
            log.warning("charger %s: %s belongs to no connector or transaction", charger.name, event)
        return Outcome(_token_known(charger, event.id_token), event.transaction_id)

    def _session(self, charger: Charger, event: TransactionEvent) -> ChargingSession | None:
        """Return the session of an event; one that is not known yet begins with this event."""
        key = (charger.pk, event.transaction_id)
        if key in self.sessions:
            return self.sessions[key]
        connector = stations.find_connector(charger, event.evse_id, event.connector_id)
        if connector is None:
            return None
        if not event.transaction_id:
            return ChargingSession.objects.filter(connector=connector, unplugged_at__isnull=True).first()
        self._flush()
        vehicle, home = _vehicle(charger, event.id_token), connector.vehicle
        self.sessions[key] = session = plug_in(
            connector,
            event.transaction_id,
            event.at,
            vehicle,
            _soc(event.readings),
            stranger=bool(event.id_token and vehicle is None and home is not None and home.id_token),
        )
        if session.unplugged_at is None and event.kind != "ended":
            _began(charger, connector, session)
        return session

    def _flush(self) -> None:
        record_samples(self.samples)
        self.samples = []


def _began(charger: Charger, connector: Connector, session: ChargingSession) -> None:
    """Give a vehicle that has just come its schedule, now for its own transaction, and plan with it."""
    send_again(charger, connector)
    _plan_anew(charger, session, "plugged in")


def _plan_anew(charger: Charger, session: ChargingSession, what: str) -> None:
    """Ask for a plan, once in a few minutes at most."""
    window = f"event {floor_to_step(clock.now(), PLAN_EVERY_MINUTES):%Y-%m-%dT%H:%M}"
    vehicle = session.vehicle or "A vehicle"
    enqueue("plan", charger.depot, window, {"trigger": f"{vehicle} {what} at {charger.name}"})


def _sample(session: ChargingSession, event: TransactionEvent, reading: Reading) -> Sample:
    return Sample(
        session.pk,
        reading.at,
        reading.power_kw,
        reading.import_kwh_total,
        reading.export_kwh_total,
        reading.soc,
        event.sequence,
    )


def _soc(readings: Iterable[Reading]) -> float | None:
    return next((reading.soc for reading in readings if reading.soc is not None), None)


def _vehicle(charger: Charger, token: str) -> Vehicle | None:
    """Return the vehicle of this depot that a token names."""
    return Vehicle.objects.filter(depot=charger.depot_id, id_token=token).first() if token else None


def _token_known(charger: Charger, token: str) -> bool:
    return not token or _vehicle(charger, token) is not None


def _number(charger: Charger, event: TransactionEvent) -> str:
    """Return the number of an OCPP 1.6 transaction: the same whenever the same start is told again."""
    facts = [charger.pk, event.evse_id, event.at.isoformat(), event.readings[0].import_kwh_total]
    digest = hashlib.sha256(repr(facts).encode()).digest()
    return str(int.from_bytes(digest[:4], "big") >> 1)
