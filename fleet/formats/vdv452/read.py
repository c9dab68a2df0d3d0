"""A VDV 452 timetable to block rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from depot.imports import FileError
from depot.words import listed, tr
from fleet.formats.blocks import BlockRow, Fleet, Reading
from fleet.formats.problems import Problems, Stop
from fleet.formats.timetable import Source, block_rows
from fleet.formats.trips import Days, Trip
from fleet.formats.vdv452.tables import read_tables
from fleet.formats.vdv452.trips import (
    CALENDAR,
    PATHS,
    ROTATIONS,
    TIMES,
    TRIPS,
    TYPES,
    Ends,
    Network,
    Place,
    Tables,
    calendar,
    network,
    read_trips,
)

FORMAT = "vdv452"
FIELDS = frozenset({"distance_km", "valid_to", "exceptions", "vehicle_type"})
NEEDED = (TRIPS, CALENDAR, PATHS, TIMES)

Rotation = tuple[str, str]
"""Version with type of day, and the rotation's number (UM_UID): numbers are used again on other days."""


@dataclass(frozen=True, slots=True)
class _Rotations:
    """Where rotations begin and end, and the type of vehicle they take."""

    start: Mapping[Rotation, Place]
    end: Mapping[Rotation, Place]
    vehicle_type: Mapping[Rotation, str]


def read(content: bytes, name: str, fleet: Fleet) -> Reading:
    """Read a timetable: one row for each rotation and set of days on which it does the same work.

    The ways from and to the depot are those of the timetable: its empty trips, else its empty driving times.
    Raises FileError when the files cannot be read or lack a table that a timetable must have.
    """
    tables = read_tables(content, name)
    lacking = [table for table in NEEDED if table not in tables]
    if lacking:
        raise FileError(
            tr(
                "{name} has no table {lacking}. Export the whole VDV 452 timetable as one ZIP file.",
                name=name,
                lacking=listed(lacking),
            )
        )
    problems, rows = Problems(), []
    try:
        days = calendar(tables, problems)
        net = network(tables, problems)
        rotations = _rotations(tables)
        trips = list(read_trips(tables, net, problems))
        source = Source(fleet, tables[TRIPS].sheet, adds_deadhead=not rotations.start)
        rows = list(
            _rows(_with_depots(trips, net, rotations, tables, problems), rotations, days, source, problems)
        )
    except Stop:
        problems.warn("", tr("There are more errors; the first thousand are shown."))
    if not rows and not problems.errors:
        problems.error(
            tables[TRIPS].sheet,
            None,
            "",
            "",
            tr("No rotation ever runs. Export the calendar of days to come."),
        )
    facts = ((tr("Tables"), f"{len(tables)}"),) if rows else ()
    return Reading(FORMAT, tuple(rows), tuple(problems.errors), tuple(problems.warnings), facts, FIELDS)


def _rotations(tables: Tables) -> _Rotations:
    found = _Rotations({}, {}, {})
    if ROTATIONS not in tables:
        return found
    names = {}
    if TYPES in tables:
        records = tables[TYPES].records("BASIS_VERSION", "FZG_TYP_NR", "FZG_TYP_TEXT")
        names = {(version, number): text for _, (version, number, text) in records}
    start, end, kinds = {}, {}, {}
    for _, cells in tables[ROTATIONS].records(
        "BASIS_VERSION",
        "TAGESART_NR",
        "UM_UID",
        "ANF_ONR_TYP",
        "ANF_ORT",
        "END_ONR_TYP",
        "END_ORT",
        "FZG_TYP_NR",
    ):
        version, day_kind, number, start_kind, start_place, end_kind, end_place, vehicle = cells
        key = (f"{version}/{day_kind}", number)
        start[key], end[key] = (start_kind, start_place), (end_kind, end_place)
        kinds[key] = names.get((version, vehicle), "")
    return _Rotations(start, end, kinds)


def _with_depots(
    trips: list[tuple[Trip, Ends]], net: Network, rotations: _Rotations, tables: Tables, problems: Problems
) -> list[Trip]:
    """Return the trips with the empty ways between them, and from and to the place where their rotation begins."""
    chains: dict[Rotation, list[tuple[Trip, Ends]]] = defaultdict(list)
    for trip, ends in trips:
        chains[trip.service_id, trip.block_id].append((trip, ends))
    found: list[Trip] = []
    without = 0
    for key, chain in chains.items():
        chain.sort(key=lambda pair: (pair[0].depart_second, pair[0].arrive_second))
        version = key[0].split("/")[0]
        driven = [trip for trip, _ in chain]
        here = rotations.start.get(key)
        for index, (trip, ends) in enumerate(chain):
            if here is not None and here != ends.first:
                seconds, km = _empty(net, version, ends.group, here, ends.first)
                without += seconds is None
                early = (seconds or 0) if index == 0 else 0
                driven[index] = replace(
                    trip,
                    depart_second=max(0, trip.depart_second - early),
                    distance_km=trip.distance_km + km,
                )
            here = ends.last
        home = rotations.end.get(key)
        if home is not None and here is not None and here != home:
            seconds, km = _empty(net, version, chain[-1][1].group, here, home)
            without += seconds is None
            last = driven[-1]
            driven[-1] = replace(
                last, arrive_second=last.arrive_second + (seconds or 0), distance_km=last.distance_km + km
            )
        found += driven
    if without:
        problems.warn(
            tables[TRIPS].sheet,
            tr(
                "{without:,} empty ways (from and to the depot, or between trips) have no driving time "
                "and are left out.",
                without=without,
            ),
        )
    return found


def _empty(net: Network, version: str, group: str, start: Place, end: Place) -> tuple[int | None, float]:
    """Return seconds and km of an empty way; None where the timetable does not know it."""
    return net.seconds.get((version, group, (start, end))), net.metres.get(
        (version, (start, end)), 0.0
    ) / 1000


def _rows(
    trips: list[Trip], rotations: _Rotations, days: Mapping[str, Days], source: Source, problems: Problems
) -> Iterator[BlockRow]:
    sheet = source.sheet
    known_types = {kind.name.casefold(): kind.name for kind in source.fleet.types}
    unknown: set[str] = set()
    of_rotation: dict[tuple[str, str], list[Trip]] = defaultdict(list)
    for trip in trips:
        kind = rotations.vehicle_type.get((trip.service_id, trip.block_id), "")
        if kind and kind.casefold() not in known_types:
            unknown.add(kind)
        of_rotation[trip.block_id, known_types.get(kind.casefold(), "")].append(trip)
    if unknown:
        names = ", ".join(sorted(unknown)[:5])
        problems.warn(
            sheet,
            tr("This depot has no vehicle type {names}: these rotations are open to all types.", names=names),
        )
    if not any(trip.distance_km for trip in trips):
        problems.warn(
            sheet,
            tr("The timetable has no lengths (REC_SEL): blocks need a distance or an energy to be planned."),
        )
    for (number, kind), found in sorted(of_rotation.items()):
        active = [trip for trip in found if trip.service_id in days]
        if active:
            yield from block_rows(number, active, days, replace(source, vehicle_type=kind), problems)
