"""A GTFS feed to block rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from depot.imports import FileError
from depot.imports.archive import Archive
from depot.words import listed, tr
from fleet.formats.blocks import BlockRow, Fleet, Reading
from fleet.formats.chains import named_blocks, proposed_blocks
from fleet.formats.gtfs.services import CALENDAR, EXCEPTIONS, service_days
from fleet.formats.gtfs.tables import KEYS, records, supplement_of
from fleet.formats.gtfs.trips import AGENCIES, STOP_TIMES, TRIPS, read_trips
from fleet.formats.problems import Problems, Stop
from fleet.formats.timetable import Source, block_rows
from fleet.formats.trips import Days, Trip

FORMAT = "gtfs"
FIELDS = frozenset({"distance_km", "valid_to", "exceptions"})
EMPTY_RUNS_1_0 = ("deadheads.txt", "deadhead_times.txt", "ops_locations.txt")


def read(content: bytes, name: str, fleet: Fleet) -> Reading:
    """Read a feed: one row for each block and set of days on which it drives the same trips.

    Raises FileError when the archive cannot be opened or lacks a file that a feed must have.
    """
    archive = Archive(content, name)
    _require(archive)
    problems, rows, source = Problems(), [], ""
    try:
        _check_zone(archive, fleet, problems)
        days = service_days(archive, problems)
        trips, source = read_trips(archive, problems)
        rows = list(_rows(_known(trips, days, problems), days, fleet, problems))
    except Stop:
        problems.warn("", tr("There are more errors; the first thousand are shown."))
    if not rows and not problems.errors:
        problems.error(
            TRIPS, None, "", "", tr("The feed has no trip that ever runs. Export it for days to come.")
        )
    _warn_of_unread(archive, problems)
    facts = [(tr("Files"), f"{len(archive.members)}"), (tr("Distances"), source)] if rows else []
    supplements = sorted(name for name in map(supplement_of, KEYS) if name in archive)
    if rows and supplements:
        facts.append((tr("Supplements"), ", ".join(supplements)))
    return Reading(
        FORMAT, tuple(rows), tuple(problems.errors), tuple(problems.warnings), tuple(facts), FIELDS
    )


def _require(archive: Archive) -> None:
    lacking = [member for member in (TRIPS, STOP_TIMES) if member not in archive]
    if CALENDAR not in archive and EXCEPTIONS not in archive:
        lacking.append(tr("{calendar} or {exceptions}", calendar=CALENDAR, exceptions=EXCEPTIONS))
    if lacking:
        raise FileError(
            tr(
                "{name} has no {lacking}, so it is no GTFS feed. Upload the feed's ZIP file as the "
                "planning system exports it.",
                name=archive.name,
                lacking=listed(lacking),
            )
        )


def _check_zone(archive: Archive, fleet: Fleet, problems: Problems) -> None:
    """Refuse a feed whose clock is another one than the depot's."""
    for row, (zone,) in records(archive, AGENCIES, (), ("agency_timezone",), problems):
        if not zone or not fleet.time_zone or zone == fleet.time_zone:
            continue
        try:
            clocks = [ZoneInfo(zone), ZoneInfo(fleet.time_zone)]
        except (ZoneInfoNotFoundError, ValueError):
            problems.error(AGENCIES, row, "agency_timezone", zone, tr("“{zone}” is no time zone.", zone=zone))
            continue
        winter, summer = datetime(2026, 1, 15, 12), datetime(2026, 7, 15, 12)  # noqa: DTZ001 - the zones follow
        offsets = [
            (winter.replace(tzinfo=c).utcoffset(), summer.replace(tzinfo=c).utcoffset()) for c in clocks
        ]
        if offsets[0] != offsets[1]:
            problems.error(
                AGENCIES,
                row,
                "agency_timezone",
                zone,
                tr(
                    "The feed's times are those of {zone}, this depot's those of {time_zone}. Upload it to a "
                    "depot there.",
                    zone=zone,
                    time_zone=fleet.time_zone,
                ),
            )


def _known(trips: list[Trip], days: Mapping[str, Days], problems: Problems) -> list[Trip]:
    """Return the trips whose service exists."""
    for trip in trips:
        if trip.service_id not in days:
            problems.error(
                TRIPS,
                trip.row,
                "service_id",
                trip.service_id,
                tr(
                    "Service “{service_id}” stands neither in {calendar} nor in {exceptions}. Add it.",
                    service_id=trip.service_id,
                    calendar=CALENDAR,
                    exceptions=EXCEPTIONS,
                ),
            )
    return [trip for trip in trips if trip.service_id in days]


def _rows(
    trips: list[Trip], days: Mapping[str, Days], fleet: Fleet, problems: Problems
) -> Iterator[BlockRow]:
    named, proposed = named_blocks(trips), proposed_blocks(trips)
    if proposed:
        problems.warn(
            TRIPS,
            tr(
                "{trips:,} trips have no block_id. They are chained to {proposed:,} blocks (names with ~) "
                "by stop and time. This is a proposal; check it.",
                trips=sum(map(len, proposed.values())),
                proposed=len(proposed),
            ),
        )
    if fleet.deadhead is None and not any(trip.empty for trip in trips):
        problems.warn(
            TRIPS,
            tr(
                "The feed does not say the way from the depot to the first stop and back, so it is left "
                "out. Enter its minutes and km at the depot."
            ),
        )
    for block, found in sorted((named | proposed).items()):
        yield from block_rows(block, found, days, Source(fleet, TRIPS), problems)


def _warn_of_unread(archive: Archive, problems: Problems) -> None:
    """Name what changes vehicles' work and is not read; drivers' runs change none."""
    read_ones = set(map(supplement_of, KEYS))
    unread = sorted(
        member
        for member in archive.members
        if member in EMPTY_RUNS_1_0 or (member.endswith("_supplement.txt") and member not in read_ones)
    )
    if unread:
        problems.warn(
            "",
            tr(
                "{unread}: not read. Export operational data as TODS 2 (trips_supplement.txt and others).",
                unread=", ".join(unread),
            ),
        )
