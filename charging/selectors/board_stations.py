"""The technician's view of the board: every charging station, its link, its faults and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from charging.command_words import command_words
from charging.models import Charger, ChargerCommand, Connector, StationNotice
from charging.selectors.board_tile import in_hours
from charging.selectors.links import is_linked
from charging.services.notices import pressing
from depot import clock
from depot.models import Depot
from depot.templatetags.depot_pages import kw, local_moment
from depot.words import tr, trn

WRONG_CLOCK_S = 60.0
RECENT_COMMANDS = timedelta(hours=1)
LATEST = 15
MOST_CERTIFICATES = 10
ROUTINE = ("set_schedule", "set_ceiling")
"""What is sent all the time and would hide what people ordered."""
REFUSED = (ChargerCommand.State.REJECTED, ChargerCommand.State.FAILED)


@dataclass(frozen=True, slots=True)
class Station:
    """What a technician wants to know of one station; `problems` are sentences, the worst first."""

    pk: int
    name: str
    identity: str
    places: str
    state: str
    word: str
    problems: tuple[str, ...]
    statuses: tuple[tuple[str, str], ...]
    protocol: str
    product: str
    firmware: str
    serial: str
    last_seen_at: datetime | None
    booted_at: datetime | None
    connected: bool
    rank: int

    @property
    def silent(self) -> bool:
        """Tell whether it was heard of before and is not now."""
        return not self.connected and self.booted_at is not None


def stations_sentence(rows: Sequence[Station]) -> str:
    """Say how many stations are connected and how many have a problem."""
    connected, troubled = sum(row.connected for row in rows), sum(bool(row.problems) for row in rows)
    need = trn("{count} needs you", "{count} need you", troubled) if troubled else tr("no problem is known")
    return tr(
        "{connected} of {rows} stations are connected; {need}.",
        connected=connected,
        rows=len(rows),
        need=need,
    )


def stations(depot: Depot, now: datetime) -> list[Station]:
    """Return the depot's stations, those with problems first; from four queries."""
    notices: dict[int, list[StationNotice]] = {}
    for one in pressing(depot, now):
        notices.setdefault(one.charger_id, []).append(one)
    refused = _refused(depot)
    rows = Charger.objects.filter(depot=depot).prefetch_related("connectors").order_by("name")
    found = []
    for charger in rows:
        charger.depot = depot
        found.append(
            station_of(charger, list(charger.connectors.all()), notices.get(charger.pk, []), refused, now)
        )
    return sorted(found, key=lambda row: (row.rank, row.name))


def _refused(depot: Depot) -> dict[int, str]:
    """Return by charger which action of the last hour (wall time) it refused or failed last."""
    since = clock.wall_now() - RECENT_COMMANDS
    rows = ChargerCommand.objects.filter(charger__depot=depot, state__in=REFUSED, created_at__gte=since)
    return dict(rows.order_by("created_at").values_list("charger_id", "action"))


def station_of(
    charger: Charger,
    connectors: Sequence[Connector],
    notices: Iterable[StationNotice],
    refused: Mapping[int, str],
    now: datetime,
) -> Station:
    """Judge one station."""
    faulted = [str(row) for row in connectors if row.status == Connector.Status.FAULTED]
    heard = is_linked(charger, now)
    state, word, rank = _link(charger, heard, bool(faulted))
    problems = [*_problems(charger, heard, faulted), *(one.summary for one in notices if one.summary)]
    if charger.pk in refused:
        problems.append(
            tr("It did not do “{value}” within the last hour.", value=command_words(refused[charger.pk]))
        )
    return Station(
        pk=charger.pk,
        name=charger.name,
        identity=charger.identity,
        places=", ".join(row.bay for row in connectors if row.bay),
        state=state,
        word=word,
        problems=tuple(problems),
        statuses=tuple((str(row), row.get_status_display()) for row in connectors),
        protocol=charger.protocol.removeprefix("ocpp"),
        product=" ".join(part for part in (charger.vendor, charger.model) if part),
        firmware=charger.firmware,
        serial=charger.serial,
        last_seen_at=charger.last_seen_at,
        booted_at=charger.booted_at,
        connected=heard,
        rank=min(rank, 3) if problems else rank,
    )


def _link(charger: Charger, heard: bool, faulted: bool) -> tuple[str, str, int]:
    """Return the state of a station, its word, and how urgent it is (0 first)."""
    if charger.admission != Charger.Admission.ACCEPTED:
        return "warning", charger.get_admission_display(), 1
    if not heard:
        return ("offline", tr("Offline"), 0) if charger.booted_at else ("offline", tr("Never connected"), 2)
    if faulted:
        return "fault", tr("Fault"), 0
    if charger.strays_since is not None:
        return "critical", tr("Does not follow"), 0
    return "ready", tr("Connected"), 4


def _problems(charger: Charger, heard: bool, faulted: list[str]) -> list[str]:
    found = []
    if charger.booted_at is not None and not heard:
        found.append(
            tr(
                "It does not answer; it keeps to its safe level of {fallback_kw}.",
                fallback_kw=kw(charger.fallback_kw),
            )
        )
    if faulted:
        found.append(tr("Fault at {faulted}.", faulted=", ".join(faulted)))
    if charger.strays_since is not None:
        since = local_moment(charger.strays_since, charger.depot)
        found.append(tr("It has not followed its schedule since {since}; it is planned around.", since=since))
    if charger.admission != Charger.Admission.ACCEPTED:
        found.append(tr("In quarantine: it gets no schedule until its admission is set to accepted."))
    offset_s = charger.clock_offset_s or 0.0
    if heard and abs(offset_s) > WRONG_CLOCK_S:
        offset = in_hours(timedelta(seconds=abs(offset_s)))
        found.append(
            tr("Its clock is {offset} ahead.", offset=offset)
            if offset_s > 0
            else tr("Its clock is {offset} behind.", offset=offset)
        )
    if not charger.password_hash and charger.booted_at is None:
        found.append(tr("It has no password yet, so it cannot log in."))
    return found


def station_details(charger: Charger, now: datetime) -> dict[str, Any]:
    """Return a station with its latest notices and commands; from four queries."""
    notices = [one for one in pressing(charger.depot, now) if one.charger_id == charger.pk]
    told = ChargerCommand.objects.filter(charger=charger).exclude(action__in=ROUTINE)
    commands = told.select_related("connector").order_by("-created_at")[:LATEST]
    return {
        "charger": charger,
        "certificates": list(charger.certificates.all()[:MOST_CERTIFICATES]),
        "station": station_of(charger, list(charger.connectors.all()), notices, {}, now),
        "notices": list(charger.notices.all()[:LATEST]),
        "commands": [(command, command_words(command.action)) for command in commands],
    }
