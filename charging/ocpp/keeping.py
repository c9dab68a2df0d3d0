"""Make rows of what chargers say, several chargers' words in one transaction."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import DataError, InterfaceError, OperationalError, transaction
from django.db.models import Prefetch, Q

from charging.authority import AuthorityError
from charging.models import Charger, ChargingSession, Connector, StationNotice
from charging.ocpp.events import (
    Booted,
    Event,
    NeedsTold,
    Noticed,
    Outcome,
    Reading,
    SecurityEvent,
    SigningAsked,
    StatusChanged,
    TokenAsked,
    TransactionEvent,
    UpdatePulled,
    VariablesTold,
)
from charging.ocpp.frames import Fault
from charging.permission import discharge_permission
from charging.services import certificates, needs, stations
from charging.services.commands import send, send_again, setpoint_now
from charging.services.late_words import ORPHAN, Waiting, begin_earlier, orphans, waiting_at
from charging.services.notices import CRITICAL_EVENTS, keep_variables, note
from charging.services.plugs import plug_in, recognise, unplug
from charging.services.recognition import find_vehicle
from charging.services.samples import Sample, record_samples
from depot import clock
from depot.audit import record
from depot.jobs import enqueue
from depot.models import InterconnectionAgreement
from depot.timegrid import floor_to_step
from depot.words import later, mark, speaking, tr, trn

log = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)
PLAN_EVERY_MINUTES = 5
GREATEST_NUMBER = 2**31 - 1
Word = tuple[int, Event]
Verdict = Outcome | Exception


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
        if isinstance(error, DataError | OverflowError):
            return [Fault("PropertyConstraintViolation", "A value is out of its range.")]
        charger_id, event = words[0]
        log.exception("%s of charger %s could not be kept", type(event).__name__, charger_id)
        return [Fault("InternalError", "The message could not be stored. Send it again.")]


@dataclass(slots=True)
class _Batch:
    """Words that are kept together, with what they need read at once."""

    words: Sequence[Word]
    chargers: dict[int, Charger] = field(default_factory=dict)
    sessions: dict[tuple[int, str], ChargingSession] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    waiting: Waiting | None = None
    told: set[int] = field(default_factory=set)
    """Chargers whose samples are not written yet."""
    planned: set[int] = field(default_factory=set)
    """Depots for which a plan has been asked for."""

    def apply(self) -> list[Outcome]:
        ids = {charger_id for charger_id, _ in self.words}
        plugs = Prefetch("connectors", Connector.objects.select_related("vehicle"))
        self.chargers = Charger.objects.select_related("depot").prefetch_related(plugs).in_bulk(ids)
        numbers = {event.transaction_id for _, event in self.words if isinstance(event, TransactionEvent)}
        known = ChargingSession.objects.filter(connector__charger__in=ids, transaction_id__in=numbers)
        for session in known.select_related("connector", "vehicle"):
            self.sessions[session.connector.charger_id, session.transaction_id] = session
        # Rows are locked in the order of chargers, so that two batches never wait for each other.
        order = sorted(range(len(self.words)), key=lambda index: self.words[index][0])
        outcomes = {}
        for index in order:
            charger = self._charger(index)
            with speaking(charger.depot.language):
                outcomes[index] = self._apply(charger, self.words[index][1])
        self._flush()
        return [outcomes[index] for index in range(len(self.words))]

    def _charger(self, index: int) -> Charger:
        charger = self.chargers.get(self.words[index][0])
        if charger is None:
            raise Fault("SecurityError", "This charger is not set up any more.")
        return charger

    def _apply(self, charger: Charger, event: Event) -> Outcome:
        match event:
            case Booted():
                return stations.greet(charger, event.vendor, event.model, event.firmware, event.serial)
            case StatusChanged():
                self._status(charger, event)
            case TokenAsked() | SigningAsked() | UpdatePulled():
                return _asked(charger, event)
            case SecurityEvent(kind, detail, at):
                _secure(charger, kind, detail, at)
            case Noticed():
                note(
                    charger,
                    event.kind,
                    event.summary,
                    event.data,
                    level=event.level,
                    evse_id=event.evse_id,
                    said_at=event.at,
                    over=event.over,
                )
            case NeedsTold(evse_id, told, data):
                note(charger, "NotifyEVChargingNeeds", told.mode, data, evse_id=evse_id)
                needs.keep(charger, evse_id, told)
            case VariablesTold(rows):
                keep_variables(charger, rows)
            case TransactionEvent():
                return self._transaction(charger, event)
        return Outcome()

    def _status(self, charger: Charger, event: StatusChanged) -> None:
        now = clock.now()
        at = now if event.at is None else stations.trusted(event.at, now)
        if event.at is not None:
            stations.note_clock(charger, event.at, now)
        connector = stations.find_connector(charger, event.evse_id, event.connector_id)
        if connector is not None:
            stations.set_status(connector, event.status, at)

    def _transaction(self, charger: Charger, event: TransactionEvent) -> Outcome:
        if event.kind == "started" and not event.transaction_id:
            event = replace(event, transaction_id=transaction_number(charger.pk, event))
        now = clock.now()
        if not event.offline and event.sequence is not None:
            stations.note_clock(charger, event.at, now)
        event = _dated(event, now)
        session = self._session(charger, event)
        if session is None:
            words = (
                tr("A word about {transaction} fits no session.", transaction=event.transaction_id)
                if event.transaction_id
                else tr("A word about a transaction without an id fits no session.")
            )
            note(charger, ORPHAN, words, _facts(event), level="warning", said_at=event.at)
            self.waiting = None
            return Outcome(_token_known(charger, event.id_token), event.transaction_id)
        if begin_earlier(session, event.at, _soc(event.readings)):
            log.info("charger %s: the start of %s came late", charger.pk, event.transaction_id)
        self._count(charger, session, event)
        self._add(charger, session, event, event.readings)
        for signed in event.signed:
            note(charger, "signed meter value", session.transaction_id, signed, said_at=event.at)
        if event.id_token and recognise(session, find_vehicle(charger, event.id_token), event.at):
            self._began(charger, session.connector, session)
        if event.kind == "ended":
            self._flush()
            unplug(session, event.at, _soc(reversed(event.readings)))
            self._plan_anew(charger, session, mark("{vehicle} unplugged at {charger}"))
        return Outcome(_token_known(charger, event.id_token), event.transaction_id)

    def _session(self, charger: Charger, event: TransactionEvent) -> ChargingSession | None:
        """Return the session of an event; one that is not known yet begins with this event."""
        key = (charger.pk, event.transaction_id)
        if key in self.sessions:
            return self.sessions[key]
        connector = stations.find_connector(charger, event.evse_id, event.connector_id)
        lost_start = event.kind == "ended" and not event.evse_id
        if not event.transaction_id or connector is None or lost_start:
            return _running(charger, connector, event)
        vehicle, home = find_vehicle(charger, event.id_token), connector.vehicle
        if vehicle is not None or charger.pk in self.told:
            self._flush()  # what may end now ends with all that was said of it
        self.sessions[key] = session = plug_in(
            connector,
            event.transaction_id,
            event.at,
            vehicle,
            _soc(event.readings),
            stranger=bool(event.id_token and vehicle is None and home is not None and home.id_token),
        )
        for word in self._orphans(charger, event.transaction_id):
            self._add(charger, session, event, readings_of(word.data))
            self._flush()
            if word.data["kind"] == "ended":
                unplug(session, max(word.said_at or event.at, event.at))
        if session.unplugged_at is None and event.kind != "ended":
            self._began(charger, connector, session)
        return session

    def _waiting(self) -> Waiting:
        """Return what waits for sessions to begin at these chargers, read once."""
        if self.waiting is None:
            self.waiting = waiting_at(self.chargers)
        return self.waiting

    def _orphans(self, charger: Charger, transaction_id: str) -> list[StationNotice]:
        return (
            orphans(charger, transaction_id)
            if (charger.pk, transaction_id) in self._waiting().orphans
            else []
        )

    def _began(self, charger: Charger, connector: Connector, session: ChargingSession) -> None:
        """Give a vehicle that has just come its schedule, now for its own transaction, and plan with it."""
        if connector.pk in self._waiting().scheduled:
            send_again(charger, connector)
        self._plan_anew(charger, session, mark("{vehicle} plugged in at {charger}"))

    def _plan_anew(self, charger: Charger, session: ChargingSession, what: str) -> None:
        """Ask for a plan, once in a few minutes at most."""
        if charger.depot_id in self.planned:
            return
        self.planned.add(charger.depot_id)
        window = f"event {floor_to_step(clock.now(), PLAN_EVERY_MINUTES):%Y-%m-%dT%H:%M}"
        vehicle = session.vehicle or tr("A vehicle")
        enqueue("plan", charger.depot, window, {"trigger": tr(what, vehicle=vehicle, charger=charger.name)})

    def _add(
        self, charger: Charger, session: ChargingSession, event: TransactionEvent, readings: Iterable[Reading]
    ) -> None:
        """Keep readings until the batch's are written."""
        self.samples += [_sample(session, event, reading) for reading in readings]
        self.told.add(charger.pk)

    def _count(self, charger: Charger, session: ChargingSession, event: TransactionEvent) -> None:
        """Note which of a transaction's numbered messages are missing, and ask for them at its end.

        A late one fills a gap; stations that always say the same number have none.
        """
        if event.sequence is None or not 0 <= event.sequence <= GREATEST_NUMBER:
            return
        last, missing = session.last_sequence, session.missing_events
        if event.sequence > last + 1:
            missing += event.sequence - last - 1
        elif event.sequence < last:
            missing = max(missing - 1, 0)
        changed = missing != session.missing_events
        session.missing_events, session.last_sequence = missing, max(last, event.sequence)
        if changed or (event.sequence > last and not event.readings):  # a sample tells the session its number
            ChargingSession.objects.filter(pk=session.pk).update(
                missing_events=missing, last_sequence=session.last_sequence
            )
        if event.kind == "ended" and missing:
            words = trn(
                "Of transaction {transaction} one message is missing.",
                "Of transaction {transaction} {count} messages are missing.",
                missing,
                transaction=session.transaction_id,
            )
            note(charger, "missing messages", words, {"missing": missing}, level="warning")
            send(charger, "transaction_status", {"transaction_id": session.transaction_id}, priority=7)

    def _flush(self) -> None:
        record_samples(self.samples)
        self.samples, self.told = [], set()


def _sample(session: ChargingSession, event: TransactionEvent, reading: Reading) -> Sample:
    return Sample(
        session.pk,
        reading.at,
        reading.power_kw,
        reading.import_kwh_total,
        reading.export_kwh_total,
        reading.soc,
        None if event.sequence is None or not 0 <= event.sequence <= GREATEST_NUMBER else event.sequence,
    )


def _soc(readings: Iterable[Reading]) -> float | None:
    return next((reading.soc for reading in readings if reading.soc is not None), None)


def _asked(charger: Charger, event: TokenAsked | SigningAsked | UpdatePulled) -> Outcome:
    match event:
        case TokenAsked(token):
            return _token(charger, token)
        case SigningAsked():
            return _signed(charger, event)
        case UpdatePulled(profile_id):
            return Outcome(setpoint_kw=setpoint_now(charger, profile_id // 10))


def _token(charger: Charger, token: str) -> Outcome:
    """Return whether a token is known, and whether its vehicle may discharge at this charger."""
    vehicle = find_vehicle(charger, token)
    if vehicle is None:
        return Outcome(token_known=not token)
    agreement = InterconnectionAgreement.objects.filter(depot=charger.depot_id).first()
    return Outcome(may_discharge=discharge_permission(vehicle, charger, agreement).allowed)


def _token_known(charger: Charger, token: str) -> bool:
    return not token or find_vehicle(charger, token) is not None


def _secure(charger: Charger, kind: str, detail: str, at: datetime) -> None:
    """Keep a security event in the audit trail and among the notices."""
    sentence = later("Charger {charger} reports {kind}.", charger=charger.name, kind=kind)
    record(charger.depot, charger.name, "charger.security", sentence, detail=detail, at=str(at))
    level = "critical" if kind in CRITICAL_EVENTS else "info"
    note(
        charger,
        "SecurityEvent",
        f"{kind} {detail}",
        {"type": kind, "techInfo": detail},
        level=level,
        said_at=at,
    )


def _signed(charger: Charger, event: SigningAsked) -> Outcome:
    """Sign what a station has asked for, or say to the technician why not."""
    try:
        if event.kind not in ("", "ChargingStationCertificate"):
            raise AuthorityError(tr("{kind} is not signed here.", kind=event.kind))
        certificates.sign(charger, event.request)
    except AuthorityError as error:
        note(
            charger, "SignCertificate", tr("A certificate was refused: {error}", error=error), level="warning"
        )
        return Outcome()
    return Outcome(signed=True)


def _running(
    charger: Charger, connector: Connector | None, event: TransactionEvent
) -> ChargingSession | None:
    """Return the open session that a word without a known transaction can only be about.

    The one at its connector or, when the station did not say where, the only one of the charger. A stop that
    tells of a time before that session began is about another one.
    """
    open_here = ChargingSession.objects.filter(unplugged_at__isnull=True, plugged_in_at__lte=event.at)
    if event.transaction_id:
        return None
    place = Q(connector=connector) if connector is not None else Q(connector__charger=charger)
    found = list(open_here.filter(place).select_related("connector", "vehicle")[:2])
    return found[0] if len(found) == 1 else None


def _dated(event: TransactionEvent, now: datetime) -> TransactionEvent:
    """Return an event with times that can be: a clock that was never set, or that is ahead, does not count."""
    readings = tuple(replace(one, at=stations.trusted(one.at, now)) for one in event.readings)
    return replace(event, at=stations.trusted(event.at, now), readings=readings)


def _facts(event: TransactionEvent) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "transaction_id": event.transaction_id,
        "evse_id": event.evse_id,
        "id_token": event.id_token,
        "readings": [asdict(reading) | {"at": reading.at.isoformat()} for reading in event.readings],
    }


def readings_of(facts: dict[str, Any]) -> list[Reading]:
    """Return the readings that were kept with a word that fitted no session."""
    return [Reading(**one | {"at": datetime.fromisoformat(one["at"])}) for one in facts.get("readings", ())]


def transaction_number(charger_id: int, event: TransactionEvent) -> str:
    """Return the number of an OCPP 1.6 transaction: the same whenever the same start is told again."""
    facts = [charger_id, event.evse_id, event.at.isoformat(), event.readings[0].import_kwh_total]
    digest = hashlib.sha256(repr(facts).encode()).digest()
    return str(max(int.from_bytes(digest[:4], "big") >> 1, 1))
