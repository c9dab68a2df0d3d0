"""The trips of a feed: when they leave and arrive, where, and how far they go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from depot.imports.archive import Archive
from depot.words import tr
from fleet.formats.gtfs.tables import records, seconds_of
from fleet.formats.problems import ElsewhereRow, Problems
from fleet.formats.trips import DETOUR, Point, Trip, straight_km

TRIPS, STOP_TIMES, STOPS, SHAPES = "trips.txt", "stop_times.txt", "stops.txt", "shapes.txt"
FREQUENCIES, ROUTES, AGENCIES = "frequencies.txt", "routes.txt", "agency.txt"
UNKNOWN = -1
UNITS_KM = {"km": 1.0, "m": 0.001, "miles": 1.609344, "feet": 0.0003048}
PLAUSIBLE_DETOUR = (0.9, 4.0)


@dataclass(slots=True)
class _Passage:
    """What stop_times.txt says of one trip: its calls (sequence, stop, arrival, departure) and the way travelled."""

    calls: list[tuple[int, str, int, int]] = field(default_factory=list)
    nearest: float = math.inf
    farthest: float = -math.inf

    @property
    def length(self) -> float:
        """Return the way travelled in the feed's own unit; 0 where it does not say."""
        return max(0.0, self.farthest - self.nearest) if self.farthest > self.nearest else 0.0

    def times(self) -> tuple[int, int] | None:
        """Return the first and the last known second; None where there is none."""
        leaving = [left if left != UNKNOWN else arrived for _, _, arrived, left in self.calls]
        arriving = [arrived if arrived != UNKNOWN else left for _, _, arrived, left in self.calls]
        first = [second for second in leaving if second != UNKNOWN]
        return (first[0], [second for second in arriving if second != UNKNOWN][-1]) if first else None


def read_trips(archive: Archive, problems: Problems) -> tuple[list[Trip], str]:
    """Return the trips of a feed and a word on where their distances come from."""
    points = _stops(archive, problems)
    agency_of_route = _agencies(archive, problems)
    passages = _passages(archive, problems)
    columns = ("trip_id", "service_id", "route_id"), ("block_id", "shape_id")
    found: list[tuple[Trip, _Passage, str]] = []
    seen: dict[str, int] = {}
    for row, (trip_id, service, route, block, shape) in records(archive, TRIPS, *columns, problems):
        passage = passages.get(trip_id)
        times = passage.times() if passage else None
        problem = _trip_problem(trip_id, seen.get(trip_id), times)
        seen.setdefault(trip_id, row)
        if problem:
            problems.error(TRIPS, row, "trip_id", trip_id, problem)
        if problem or passage is None or times is None:
            continue
        first, last = (points.get(passage.calls[end][1]) for end in (0, -1))
        agency = agency_of_route.get(route, "")
        empty = isinstance(row, ElsewhereRow)  # what passengers are not told of: the vehicle's own ways
        trip = Trip(trip_id, block, service, route, agency, row, *times, 0.0, first, last, empty)
        found.append((trip, passage, shape))
    _warn_of_open_ends([passage for _, passage, _ in found], problems)
    trips, source = _with_distances(archive, found, points, problems)
    return _expanded(archive, trips, problems), source


def _trip_problem(trip_id: str, twin: int | None, times: tuple[int, int] | None) -> str:
    if twin is not None:
        return tr(
            "Trip “{trip_id}” stands in row {twin} already. Give it another trip_id.",
            trip_id=trip_id,
            twin=twin,
        )
    if times is None:
        return tr("Trip “{trip_id}” has no times in {table}. Add them.", trip_id=trip_id, table=STOP_TIMES)
    if times[1] < times[0]:
        return tr(
            "Trip “{trip_id}” arrives before it leaves. Mend {table}.",
            trip_id=trip_id,
            table=STOP_TIMES,
        )
    return ""


def _warn_of_open_ends(passages: list[_Passage], problems: Problems) -> None:
    """Tell how many trips do not say when they arrive, which a feed must."""
    number = sum(call[2] == call[3] == UNKNOWN for passage in passages for call in passage.calls[-1:])
    if number:
        problems.warn(
            STOP_TIMES,
            tr(
                "{number:,} trips have no time at their last stop. They are taken to end at their last "
                "known time, so their blocks may come home later than shown.",
                number=number,
            ),
        )


def _stops(archive: Archive, problems: Problems) -> dict[str, Point]:
    points: dict[str, Point] = {}
    for row, (stop, latitude, longitude) in records(
        archive, STOPS, ("stop_id",), ("stop_lat", "stop_lon"), problems
    ):
        point = _point(latitude, longitude)
        if point is not None:
            points[stop] = point
        elif latitude or longitude:
            problems.error(
                STOPS, row, "stop_lat", f"{latitude}, {longitude}", tr("This is no place. Write degrees.")
            )
    return points


def _point(latitude: str, longitude: str) -> Point | None:
    try:
        point = float(latitude), float(longitude)
    except ValueError:
        return None
    return point if abs(point[0]) <= 90 and abs(point[1]) <= 180 else None


def _agencies(archive: Archive, problems: Problems) -> dict[str, str]:
    only = [agency for _, (agency,) in records(archive, AGENCIES, (), ("agency_id",), problems)]
    default = only[0] if len(only) == 1 else ""
    routes = records(archive, ROUTES, ("route_id",), ("agency_id",), problems)
    return {route: agency or default for _, (route, agency) in routes}


def _passages(archive: Archive, problems: Problems) -> dict[str, _Passage]:
    passages: dict[str, _Passage] = {}
    columns = (
        ("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence"),
        ("shape_dist_traveled",),
    )
    known: dict[str, int] = {"": UNKNOWN}
    for row, (trip, arrive, depart, stop, sequence, travelled) in records(
        archive, STOP_TIMES, *columns, problems
    ):
        if not sequence.isdecimal():
            problems.error(
                STOP_TIMES,
                row,
                "stop_sequence",
                sequence,
                tr("“{sequence}” is no whole number.", sequence=sequence),
            )
            continue
        passage = passages.setdefault(trip, _Passage())
        arrived = _second(known, arrive, row, "arrival_time", problems)
        left = _second(known, depart, row, "departure_time", problems)
        passage.calls.append((int(sequence), stop, arrived, left))
        _measure(passage, travelled)
    for passage in passages.values():
        passage.calls.sort()
    return passages


def _second(known: dict[str, int], text: str, row: int, column: str, problems: Problems) -> int:
    """Return a time in seconds, UNKNOWN where the cell is empty or (an error) no time; each text is read once."""
    if text not in known:
        second = seconds_of(text)
        if second is None:
            problems.error(
                STOP_TIMES,
                row,
                column,
                text,
                tr("“{text}” is not a time. Write it like 25:10:00.", text=text),
            )
        known[text] = UNKNOWN if second is None else second
    return known[text]


def _measure(passage: _Passage, travelled: str) -> None:
    try:
        distance = float(travelled)
    except ValueError:
        return
    passage.nearest, passage.farthest = min(passage.nearest, distance), max(passage.farthest, distance)


def _with_distances(
    archive: Archive, found: list[tuple[Trip, _Passage, str]], points: Mapping[str, Point], problems: Problems
) -> tuple[list[Trip], str]:
    """Give each trip its length: what the feed says where it does, else its shape, else the lines between stops."""
    between: dict[tuple[str, str], float] = {}
    lines = [_line_km(passage, points, between) for _, passage, _ in found]
    said = [
        passage.farthest - passage.nearest if passage.farthest > passage.nearest else 0.0
        for _, passage, _ in found
    ]
    unit = _unit(said, lines)
    shapes = _shapes(archive, problems) if unit is None and SHAPES in archive else {}
    trips, sources = [], set()
    for (trip, _, shape), line, distance in zip(found, lines, said, strict=True):
        if unit is not None and distance > 0:
            length, source = distance * UNITS_KM[unit], tr("shape_dist_traveled in {unit}", unit=unit)
        elif shapes.get(shape):
            length, source = shapes[shape], "shapes"
        else:
            length, source = line * DETOUR, tr("straight lines between stops x {factor}", factor=DETOUR)
        sources.add(source)
        trips.append(replace(trip, distance_km=length))
    if any("straight" in source for source in sources):
        problems.warn(
            STOP_TIMES,
            tr(
                "Some trips have no distance: straight lines between their stops, {factor} times as "
                "long, are used.",
                factor=DETOUR,
            ),
        )
    return trips, " and ".join(sorted(sources))


def _line_km(passage: _Passage, points: Mapping[str, Point], between: dict[tuple[str, str], float]) -> float:
    """Return the straight lines from stop to stop; `between` keeps those of stops that follow each other again."""
    length = 0.0
    for pair in pairwise(stop for _, stop, _, _ in passage.calls):
        if pair not in between:
            between[pair] = straight_km(points.get(pair[0]), points.get(pair[1]))
        length += between[pair]
    return length


def _unit(said: list[float], lines: list[float]) -> str | None:
    """Return the unit that makes what the feed says a little longer than the straight lines between stops."""
    pairs = [
        (distance, line) for distance, line in zip(said, lines, strict=True) if distance > 0 and line > 0
    ]
    total, line = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    if not line:
        return None
    low, high = PLAUSIBLE_DETOUR
    detours = {unit: total * size / line for unit, size in UNITS_KM.items()}
    fitting = {
        unit: abs(math.log(detour / DETOUR)) for unit, detour in detours.items() if low <= detour <= high
    }
    return min(fitting, key=fitting.__getitem__) if fitting else None


def _shapes(archive: Archive, problems: Problems) -> dict[str, float]:
    """Return the length of every shape in km."""
    lines: dict[str, list[tuple[int, Point]]] = {}
    columns = ("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence")
    for _, (shape, latitude, longitude, sequence) in records(archive, SHAPES, columns, (), problems):
        point = _point(latitude, longitude)
        if point is not None and sequence.isdecimal():
            lines.setdefault(shape, []).append((int(sequence), point))
    return {
        shape: sum(straight_km(one, other) for (_, one), (_, other) in pairwise(sorted(line)))
        for shape, line in lines.items()
    }


def _expanded(archive: Archive, trips: list[Trip], problems: Problems) -> list[Trip]:
    """Replace each trip of frequencies.txt by the trips it stands for."""
    columns = ("trip_id", "start_time", "end_time", "headway_secs")
    repeats: dict[str, list[int]] = {}
    for row, (trip, start, end, headway) in records(archive, FREQUENCIES, columns, (), problems):
        first, last = seconds_of(start), seconds_of(end)
        if first is None or last is None or not headway.isdecimal() or int(headway) < 30 or last <= first:
            problems.error(
                FREQUENCIES,
                row,
                "headway_secs",
                headway,
                tr(
                    "{start} to {end} every “{headway}” seconds cannot run. Write times like 06:00:00 and 30 "
                    "s or more.",
                    start=start,
                    end=end,
                    headway=headway,
                ),
            )
            continue
        repeats.setdefault(trip, []).extend(range(first, last, int(headway)))
    if not repeats:
        return trips
    return [one for trip in trips for one in _repeated(trip, repeats.get(trip.trip_id))]


def _repeated(trip: Trip, starts: list[int] | None) -> list[Trip]:
    if starts is None:
        return [trip]
    length = trip.arrive_second - trip.depart_second
    return [
        replace(trip, trip_id=f"{trip.trip_id}#{number}", depart_second=start, arrive_second=start + length)
        for number, start in enumerate(sorted(set(starts)), 1)
    ]
