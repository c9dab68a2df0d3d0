"""Charging stations: log-ins, life signs, boots and what their connectors say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from charging.models import Charger, Connector
from charging.ocpp.events import Outcome
from charging.selectors.links import heard_since
from charging.services.certificates import ended_among
from charging.services.commands import give_back_of, send_again, send_defaults
from depot import clock
from depot.alerts.services import Cause, raise_alert
from depot.intake import FUTURE_LIMIT
from depot.words import tr

MOST_CONNECTORS = 16
CLOCK_STEP_S = 1.0
WRONG_CLOCK_S = 60.0
DAY = timedelta(days=1)
FIRST_MOMENT = datetime(2020, 1, 1, tzinfo=UTC)
"""What a station dates before this was dated by a clock that has not been set."""
LIMIT_S = FUTURE_LIMIT.total_seconds()


def connect(charger_id: int, protocol: str) -> int:
    """Note a log-in and return its number; an older link of this charger writes nothing from now on.

    What an older link has sent without an answer, for instance one of a gateway that died, waits again.
    """
    with transaction.atomic():
        Charger.objects.filter(pk=charger_id).update(
            connected=True,
            connection=F("connection") + 1,
            protocol=protocol,
            last_seen_at=clock.now(),
            clock_offset_s=None,
        )
        give_back_of(charger_id, tr("The charger logged in again before it had answered."))
        return int(Charger.objects.values_list("connection", flat=True).get(pk=charger_id))


def disconnect(charger_id: int, connection: int) -> None:
    """Note the end of a link, unless a newer one is there."""
    Charger.objects.filter(pk=charger_id, connection=connection).update(connected=False)


@dataclass(frozen=True, slots=True)
class Held:
    """A link: its log-in's number, the hash of the password it came with ("" = none), whether its boot is accepted,
    the fingerprint of the certificate it came with ("" = none).
    """

    connection: int
    credential: str = ""
    accepted: bool = True
    certificate: str = ""


def keep_alive(links: Mapping[int, Held]) -> dict[int, str]:
    """Note that the links of these chargers live; return those that must end, with the reason.

    Links of gateways that have ended without a word are marked as gone.
    """
    now = clock.now()
    chargers = Charger.objects.in_bulk(list(links))
    over = ended_among({held.certificate for held in links.values() if held.certificate})
    ended = {
        charger_id: reason
        for charger_id, held in links.items()
        if (reason := _must_end(held, chargers.get(charger_id), over))
    }
    mine = links.keys() - ended.keys()
    with transaction.atomic():
        # Who is being written to just now shows life anyway: waiting for it could end in a deadlock.
        free = Charger.objects.filter(pk__in=mine).select_for_update(no_key=True, skip_locked=True)
        Charger.objects.filter(pk__in=list(free.values_list("pk", flat=True))).update(
            connected=True, last_seen_at=now
        )
    Charger.objects.filter(connected=True, last_seen_at__lt=heard_since(now)).update(connected=False)
    return ended


def _must_end(held: Held, charger: Charger | None, over: set[str]) -> str:
    """Return why a link may not live on, "" when it may."""
    if charger is None:
        return tr("this charger is not set up any more")
    if charger.connection != held.connection:
        return tr("this charger is connected elsewhere")
    if held.credential and held.credential != charger.password_hash:
        return tr("its password has changed")
    if held.certificate in over:
        return tr("its certificate is not valid any more")
    if held.accepted and charger.admission != Charger.Admission.ACCEPTED:
        return tr("it is not accepted any more")
    return ""


def greet(charger: Charger, vendor: str, model: str, firmware: str, serial: str = "") -> Outcome:
    """Note what a station that has booted is, and return how its boot is answered.

    One that is accepted is told what it must know: the safe default first, then the plan.
    """
    accepted = charger.admission == Charger.Admission.ACCEPTED
    Charger.objects.filter(pk=charger.pk).update(
        vendor=vendor[:50],
        model=model[:50],
        firmware=firmware[:50],
        serial=serial[:50],
        clock_offset_s=None,
        **({"booted_at": clock.now()} if accepted else {}),
    )
    if accepted:
        instruct(charger)
    return Outcome(admission=charger.admission)


def note_clock(charger: Charger, said_at: datetime, now: datetime) -> None:
    """Note how far a station's clock is ahead of ours; one whose words are not believed any more is an alert.

    Messages come late rather than early, so of all since its boot the one that is least behind tells it best.
    One that is about right after others were far ahead shows that the clock has been set.
    """
    offset_s = (said_at - now).total_seconds()
    known = charger.clock_offset_s
    mended = known is not None and abs(offset_s) <= WRONG_CLOCK_S < known
    if known is not None and offset_s <= known + CLOCK_STEP_S and not mended:
        return
    charger.clock_offset_s = offset_s
    Charger.objects.filter(pk=charger.pk).update(clock_offset_s=offset_s)
    if said_at > now + FUTURE_LIMIT:
        raise_alert(charger.depot, clock_cause(charger))


def clock_cause(charger: Charger) -> Cause:
    """Return the alert on a wrong clock; `watch` clears it."""
    offset_s = charger.clock_offset_s or 0.0
    size = f"{abs(offset_s):.0f} s" if abs(offset_s) < 600 else f"{abs(offset_s) / 60:.0f} min"
    title = (
        tr("The clock of charger {name} is {size} fast", name=charger.name, size=size)
        if offset_s > 0
        else tr("The clock of charger {name} is {size} slow", name=charger.name, size=size)
    )
    words = [tr("Its schedules begin at the wrong moment.")]
    if offset_s > LIMIT_S:
        words.append(tr("What it measures counts from when it came, and is marked."))
    words.append(tr("Set its time source in the charger."))
    return Cause(f"clock:{charger.pk}", "warning", title, " ".join(words))


def trusted(said_at: datetime, now: datetime) -> datetime:
    """Return a moment a station has said: `now` when its clock was never set, and never over a day ahead."""
    return min(said_at, now + DAY) if said_at >= FIRST_MOMENT else now


def believed(said_at: datetime, now: datetime) -> datetime:
    """Return a moment that nothing can be stuck at: what is said to come from the future comes from now."""
    return now if said_at > now + FUTURE_LIMIT else said_at


def instruct(charger: Charger) -> None:
    """Queue what a charger must know after a boot or a reconnect."""
    send_defaults(charger)
    send_again(charger)


def find_connector(charger: Charger, evse_id: int, connector_id: int = 0) -> Connector | None:
    """Return the connector a station speaks of; 0 = it did not say which. One that is new is added.

    None when nothing fits, or a charger claims more connectors than any has.
    """
    known = list(charger.connectors.all())
    if not evse_id:
        return known[0] if len(known) == 1 else None
    fitting = [one for one in known if one.evse_id == evse_id]
    exact = [one for one in fitting if one.connector_id == connector_id]
    if exact or (fitting and (not connector_id or len(fitting) == 1)):
        return (exact or fitting)[0]
    if len(known) >= MOST_CONNECTORS or not 0 < evse_id <= MOST_CONNECTORS:
        return None
    new = Connector(charger=charger, evse_id=evse_id, connector_id=connector_id or 1)
    charger.connectors.add(new, bulk=False)  # and let what was read before be read again
    return new


def set_status(connector: Connector, status: str, at: datetime) -> None:
    """Note how a connector is, unless something newer is known; what claims to come from the future is not newer."""
    now = clock.now()
    at = believed(at, now)
    newer = Q(status_at__isnull=True) | Q(status_at__lte=at) | Q(status_at__gt=max(now, at) + FUTURE_LIMIT)
    Connector.objects.filter(newer, pk=connector.pk).update(status=status, status_at=at)
