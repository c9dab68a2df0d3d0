"""Trips to blocks: what one vehicle drives on one service day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise

from depot.words import tr
from fleet.formats.problems import Problems
from fleet.formats.trips import DETOUR, Days, Trip, straight_km

LONGEST_LAYOVER_S = 90 * 60
NEAR_KM = 0.5
LISTED = 20

Chain = tuple[Trip, ...]


def named_blocks(trips: Iterable[Trip]) -> dict[str, list[Trip]]:
    """Return the trips of each block that the feed names; a block number that two agencies use is two blocks."""
    blocks: dict[tuple[str, str], list[Trip]] = defaultdict(list)
    for trip in trips:
        if trip.block_id:
            blocks[trip.block_id, trip.agency_id].append(trip)
    users: dict[str, int] = defaultdict(int)
    for block, _ in blocks:
        users[block] += 1
    return {
        f"{agency}:{block}" if users[block] > 1 else block: found for (block, agency), found in blocks.items()
    }


def proposed_blocks(trips: Iterable[Trip]) -> dict[str, list[Trip]]:
    """Return chains of trips that no block is named for, as one vehicle could drive them.

    First in, first out: each trip takes the vehicle that has waited longest where the trip begins (within NEAR_KM),
    of the same service and agency, for at most LONGEST_LAYOVER_S. Else it gets a vehicle of its own.
    """
    waiting: dict[tuple[str, str], list[list[Trip]]] = defaultdict(list)
    for trip in sorted(trips, key=lambda trip: (trip.depart_second, trip.trip_id)):
        if trip.block_id:
            continue
        chains = waiting[trip.service_id, trip.agency_id]
        fitting = [chain for chain in chains if _follows(chain[-1], trip)]
        if fitting:
            min(fitting, key=lambda chain: chain[-1].arrive_second).append(trip)
        else:
            chains.append([trip])
    return {f"~{chain[0].trip_id}": chain for chains in waiting.values() for chain in chains}


def _follows(before: Trip, after: Trip) -> bool:
    layover = after.depart_second - before.arrive_second
    known = before.last_stop is not None and after.first_stop is not None
    return (
        0 <= layover <= LONGEST_LAYOVER_S
        and known
        and straight_km(before.last_stop, after.first_stop) <= NEAR_KM
    )


def by_days(trips: Sequence[Trip], days: Mapping[str, Days]) -> dict[Days, Chain]:
    """Return which trips a block drives on which days; each day stands in one set only.

    Trips of several services can belong to one block: on a day that two services share, it drives the trips of both.
    Days on which it does the same work are one set, whatever the services are called.
    """
    services = {trip.service_id for trip in trips}
    running: dict[frozenset[str], set[date]] = defaultdict(set)
    for day in frozenset().union(*(days[service] for service in services)):
        running[frozenset(service for service in services if day in days[service])].add(day)
    alike: dict[tuple[tuple[int, int, float], ...], tuple[Chain, set[date]]] = {}
    for active, found in running.items():
        chain = tuple(sorted((trip for trip in trips if trip.service_id in active), key=_order))
        work = tuple((trip.depart_second, trip.arrive_second, trip.distance_km) for trip in chain)
        alike.setdefault(work, (chain, set()))[1].update(found)
    return {frozenset(found): chain for chain, found in alike.values()}


def _order(trip: Trip) -> tuple[int, int, str]:
    return trip.depart_second, trip.arrive_second, trip.trip_id


def parts(chain: Chain, longest_gap_s: int | None) -> list[Chain]:
    """Return a block as it is, or cut where the vehicle stands for at least `longest_gap_s`."""
    if longest_gap_s is None:
        return [chain]
    found: list[list[Trip]] = []
    ends = -1
    for trip in chain:
        if not found or trip.depart_second - ends >= longest_gap_s:
            found.append([])
        found[-1].append(trip)
        ends = max(ends, trip.arrive_second)
    return [tuple(part) for part in found]


def length_km(chain: Chain) -> float:
    """Return what a block drives: its trips and the ways between them."""
    between = sum(straight_km(one.last_stop, other.first_stop) for one, other in pairwise(chain))
    return sum(trip.distance_km for trip in chain) + DETOUR * between


def warn_of_overlaps(block: str, chain: Chain, sheet: str, problems: Problems) -> None:
    """Tell of trips that one vehicle cannot both drive."""
    for one, other in pairwise(chain):
        if other.depart_second < one.arrive_second and len(problems.warnings) < LISTED:
            problems.warn(
                sheet,
                tr(
                    "Block {block}: trip {trip_id} leaves before trip {trip_id2} has arrived. The block is "
                    "taken from the first departure to the last arrival; check it.",
                    block=block,
                    trip_id=other.trip_id,
                    trip_id2=one.trip_id,
                ),
                other.row,
            )
