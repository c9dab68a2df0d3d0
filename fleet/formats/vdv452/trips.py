"""Trips of a VDV 452 timetable: when each starts, how long it drives and waits, how far it goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from depot.words import tr
from fleet.formats.problems import Problems
from fleet.formats.trips import Days, Trip
from fleet.formats.vdv452.tables import VdvTable

TRIPS, CALENDAR, PATHS, TIMES = "REC_FRT", "FIRMENKALENDER", "LID_VERLAUF", "SEL_FZT_FELD"
STOP_WAITS, TRIP_WAITS, LENGTHS, ROTATIONS = "ORT_HZTF", "REC_FRT_HZT", "REC_SEL", "REC_UMLAUF"
EMPTY_LENGTHS, EMPTY_TIMES, TYPES = "REC_UEB", "UEB_FZT", "MENGE_FZG_TYP"
LATEST_SECOND = 72 * 3600

Place = tuple[str, str]
"""Kind (ONR_TYP_NR) and number (ORT_NR) of a stop or depot."""
Leg = tuple[Place, Place]
Tables = Mapping[str, VdvTable]


@dataclass(frozen=True, slots=True)
class Network:
    """Paths of lines, and seconds and metres from place to place; seconds hold for a group of driving times."""

    paths: Mapping[tuple[str, ...], list[Place]]
    seconds: Mapping[tuple[str, str, Leg], int]
    metres: Mapping[tuple[str, Leg], float]
    stop_waits: Mapping[tuple[str, str, Place], int]
    trip_waits: Mapping[tuple[str, str, Place], int]


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a trip begins and ends, and its group of driving times."""

    first: Place
    last: Place
    group: str


def calendar(tables: Tables, problems: Problems) -> Mapping[str, Days]:
    """Return the days of each version and type of day (“version/TAGESART_NR”)."""
    table = tables[CALENDAR]
    days: dict[str, set[date]] = defaultdict(set)
    seen: dict[date, str] = {}
    for line, (version, text, kind) in table.records("BASIS_VERSION", "BETRIEBSTAG", "TAGESART_NR"):
        try:
            day = datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a date
        except ValueError:
            message = tr("“{text}” is not a date. Write it like 20260309.", text=text)
            problems.error(table.sheet, line, "BETRIEBSTAG", text, message)
            continue
        if seen.setdefault(day, version) != version:
            message = tr(
                "{day} stands in versions {seen} and {version}. Export one version at a time.",
                day=day,
                seen=seen[day],
                version=version,
            )
            problems.error(table.sheet, line, "BASIS_VERSION", version, message)
            continue
        days[f"{version}/{kind}"].add(day)
    return {kind: frozenset(found) for kind, found in days.items()}


def network(tables: Tables, problems: Problems) -> Network:
    """Return paths, driving times, waits and lengths."""
    paths: dict[tuple[str, ...], list[tuple[int, Place]]] = defaultdict(list)
    for _, (version, line_no, variant, order, *place) in tables[PATHS].records(
        "BASIS_VERSION", "LI_NR", "STR_LI_VAR", "LI_LFD_NR", "ONR_TYP_NR", "ORT_NR"
    ):
        paths[version, line_no, variant].append((int(order or 0), (place[0], place[1])))
    return Network(
        {key: [place for _, place in sorted(points)] for key, points in paths.items()},
        _seconds(tables, TIMES, ("SEL_ZIEL_TYP", "SEL_ZIEL", "SEL_FZT"), problems)
        | _seconds(tables, EMPTY_TIMES, ("UEB_ZIEL_TYP", "UEB_ZIEL", "UEB_FAHRZEIT"), problems),
        _metres(tables, LENGTHS, ("SEL_ZIEL_TYP", "SEL_ZIEL", "SEL_LAENGE"), problems)
        | _metres(tables, EMPTY_LENGTHS, ("UEB_ZIEL_TYP", "UEB_ZIEL", "UEB_LAENGE"), problems),
        _waits(tables, STOP_WAITS, ("FGR_NR", "HP_HZT"), problems),
        _own_waits(_waits(tables, TRIP_WAITS, ("FRT_FID", "FRT_HZT_ZEIT"), problems)),
    )


def read_trips(tables: Tables, net: Network, problems: Problems) -> Iterator[tuple[Trip, Ends]]:
    """Yield the trips that belong to a rotation, with their ends."""
    table = tables[TRIPS]
    missing: set[Leg] = set()
    for line, cells in table.records(
        "BASIS_VERSION", "FRT_FID", "FRT_START", "LI_NR", "TAGESART_NR", "FGR_NR", "STR_LI_VAR", "UM_UID"
    ):
        version, trip_id, start, line_no, day_kind, group, variant, rotation = cells
        if not rotation:
            continue
        if not start.isdecimal() or int(start) > LATEST_SECOND:
            message = tr(
                "“{start}” is no start in seconds after midnight, 0 to {latest}. Mend it.",
                start=start,
                latest=LATEST_SECOND,
            )
            problems.error(table.sheet, line, "FRT_START", start, message)
            continue
        path = net.paths.get((version, line_no, variant), [])
        if len(path) < 2:
            message = tr(
                "Line {line_no}, variant {variant}: {table} has no path with two stops. Add it.",
                line_no=line_no,
                variant=variant,
                table=PATHS,
            )
            problems.error(table.sheet, line, "STR_LI_VAR", variant, message)
            continue
        length = 0
        for leg in pairwise(path):
            seconds = net.seconds.get((version, group, leg))
            if seconds is None and leg not in missing:
                missing.add(leg)
                message = tr(
                    "{table} has no driving time from {start} to {end} in group {group}. Add it.",
                    table=TIMES,
                    start=leg[0][1],
                    end=leg[1][1],
                    group=group,
                )
                problems.error(table.sheet, line, "FGR_NR", group, message)
            length += seconds or 0
        length += sum(_wait(net, version, trip_id, group, place) for place in path[1:-1])
        metres = sum(net.metres.get((version, leg), 0.0) for leg in pairwise(path))
        trip = Trip(
            trip_id,
            rotation,
            f"{version}/{day_kind}",
            line_no,
            "",
            line,
            int(start),
            int(start) + length,
            metres / 1000,
            None,
            None,
        )
        yield trip, Ends(path[0], path[-1], group)


def _wait(net: Network, version: str, trip_id: str, group: str, place: Place) -> int:
    own = net.trip_waits.get((version, trip_id, place))
    return own if own is not None else net.stop_waits.get((version, group, place), 0)


def _own_waits(waits: dict[tuple[str, str, Place], int]) -> dict[tuple[str, str, Place], int]:
    """Leave out trips whose waits are all 0: some planning systems write them where they mean the stop's usual wait."""
    meant = {(version, trip) for (version, trip, _), seconds in waits.items() if seconds}
    return {key: seconds for key, seconds in waits.items() if key[:2] in meant}


def _whole(table: VdvTable, line: int, column: str, text: str, problems: Problems) -> int:
    if not text:
        return 0
    if not text.isdecimal():
        problems.error(
            table.sheet, line, column, text, tr("“{text}” is no whole number. Mend it.", text=text)
        )
        return 0
    return int(text)


def _seconds(
    tables: Tables, name: str, target: tuple[str, str, str], problems: Problems
) -> dict[tuple[str, str, Leg], int]:
    if name not in tables:
        return {}
    table = tables[name]
    return {
        (version, group, ((kind, number), (to_kind, to_number))): _whole(
            table, line, target[2], text, problems
        )
        for line, (version, group, kind, number, to_kind, to_number, text) in table.records(
            "BASIS_VERSION", "FGR_NR", "ONR_TYP_NR", "ORT_NR", *target
        )
    }


def _metres(
    tables: Tables, name: str, target: tuple[str, str, str], problems: Problems
) -> dict[tuple[str, Leg], float]:
    if name not in tables:
        return {}
    table = tables[name]
    return {
        (version, ((kind, number), (to_kind, to_number))): _whole(table, line, target[2], text, problems)
        for line, (version, kind, number, to_kind, to_number, text) in table.records(
            "BASIS_VERSION", "ONR_TYP_NR", "ORT_NR", *target
        )
    }


def _waits(
    tables: Tables, name: str, columns: tuple[str, str], problems: Problems
) -> dict[tuple[str, str, Place], int]:
    if name not in tables:
        return {}
    table = tables[name]
    return {
        (version, owner, (kind, number)): _whole(table, line, columns[1], text, problems)
        for line, (version, owner, kind, number, text) in table.records(
            "BASIS_VERSION", columns[0], "ONR_TYP_NR", "ORT_NR", columns[1]
        )
    }
