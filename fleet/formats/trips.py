"""Trips of a timetable: what blocks are chained from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

EARTH_KM = 6371.0
DETOUR = 1.3
"""Roads are about this much longer than the straight lines between stops."""

Point = tuple[float, float]
Days = frozenset[date]


@dataclass(frozen=True, slots=True)
class Trip:
    """One trip on its service day; times in seconds after midnight (may pass 24 h), ends as latitude and longitude."""

    trip_id: str
    block_id: str
    service_id: str
    route_id: str
    agency_id: str
    row: int
    depart_second: int
    arrive_second: int
    distance_km: float
    first_stop: Point | None
    last_stop: Point | None
    empty: bool = False
    """Moves the vehicle without passengers, from or to its depot for instance: the timetable says this way itself."""


def straight_km(one: Point | None, other: Point | None) -> float:
    """Return the great-circle distance of two places in km (haversine); 0 where one is unknown."""
    if one is None or other is None:
        return 0.0
    (lat1, lon1), (lat2, lon2) = ((math.radians(lat), math.radians(lon)) for lat, lon in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2
    half += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
