"""The fast loop that protects the site's limits between two plans: who is held under which power. PURE.

It acts on the site's meter. Above the limit it takes power from the chargers whose vehicles have time left, the
latest departure first; one that would then miss its departure is touched only when a fuse is at stake. Below it
gives back slowly, so that it does not swing: an order is given time to show at the meter, and room counts only when
it has been there for a minute. A meter that is silent counts as the worst that the rest of the site may draw.
The nodes below the grid connection are held the same way, by the sum of what hangs on them; the lowest ceiling counts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

MARGIN = 0.02
"""The guard aims this share below the limit."""
GIVE_BACK_ABOVE = 0.06
"""Only with more room than this share of the limit is power given back ..."""
GIVE_BACK_SHARE = 0.5
"""... and then this share of the room at once."""
STALE_S = 30.0
SETTLE_S = 10.0
"""An order needs this long until charger, its meter values and the site's meter show it."""
CALM_S = 60.0
"""Room is given back only when it has been there for this long."""
LEAST_CHANGE_KW = 0.5
LEAST_REST = 1 / 3


@dataclass(frozen=True, slots=True)
class Load:
    """A charger: measured and greatest power in kW, hours to spare before its vehicle's departure, its ceiling.

    `spare_hours` is how long it could stand still and its vehicle still leave on time; `ceiling_kw` None = free;
    `ordered_s` is the age of the last order to it.
    """

    charger_id: int
    power_kw: float
    max_kw: float
    spare_hours: float
    ceiling_kw: float | None = None
    ordered_s: float = math.inf

    @property
    def reachable_kw(self) -> float:
        """Return the power it may come to by itself."""
        return self.max_kw if self.ceiling_kw is None else min(self.ceiling_kw, self.max_kw)

    @property
    def settling(self) -> bool:
        """Tell whether its last order may not show at the meters yet."""
        return self.ordered_s < SETTLE_S

    @property
    def coming_kw(self) -> float:
        """Return the power it has been told to give up and may still be drawing."""
        return max(self.power_kw - self.reachable_kw, 0.0) if self.settling else 0.0


@dataclass(frozen=True, slots=True)
class Site:
    """The site's meter: import in kW, its age, the limit, and the most the rest of the site may draw."""

    import_kw: float
    age_s: float
    limit_kw: float
    worst_other_kw: float
    fuse: bool = True
    """Whether the limit protects a fuse; else it is money, and no departure is missed for it."""
    peak_kw: float | None = None
    """The greatest import of the last minute (`CALM_S`); None = what it is now."""


def ceilings(site: Site, loads: Sequence[Load]) -> dict[int, float | None]:
    """Return the ceilings that change, in kW by charger; None = it is free again."""
    stale = site.age_s > STALE_S
    aim_kw = site.limit_kw * (1 - MARGIN)
    excess_kw = _import(site, loads, stale) - aim_kw
    if excess_kw > 0:
        return _cut(loads, excess_kw, site.fuse, stale)
    room_kw = aim_kw - max(site.import_kw, site.peak_kw or 0.0)
    if stale or room_kw < site.limit_kw * GIVE_BACK_ABOVE or any(load.settling for load in loads):
        return {}
    return _give_back(loads, room_kw * GIVE_BACK_SHARE)


def held(site: Site, peak_kw: float | None, loads: Sequence[Load]) -> dict[int, float | None]:
    """Return the ceilings that change to hold the site's fuse, and a peak below it where no departure needs more.

    `peak_kw` needs no margin: it is what the rest of the metering interval may draw on average (`rest_kw`). While the
    meter is silent, or the fuse is at stake, nothing else counts.
    """
    fuse_kw = site.limit_kw * (1 - MARGIN)
    if peak_kw is None or site.age_s > STALE_S or max(site.import_kw, peak_kw) >= fuse_kw:
        return ceilings(site, loads)
    money = replace(site, limit_kw=peak_kw / (1 - MARGIN), fuse=False)
    patient = [load for load in loads if load.spare_hours > 0]
    urgent = [load for load in loads if load.spare_hours <= 0]
    return ceilings(money, patient) | ceilings(site, urgent)


def rest_kw(peak_kw: float, mean_kw: float, share: float) -> float:
    """Return what the rest of a metering interval may draw so that its mean ends at a peak, in kW.

    `mean_kw` is the mean over the share (0..1) that has passed. The rest counts as a third at least, so that the last
    seconds are not to mend all.
    """
    return max(0.0, peak_kw + (peak_kw - mean_kw) * share / max(1.0 - share, LEAST_REST))


def sums_kw(parents: Mapping[int, int | None], loads_kw: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Return what flows through each node of a tree, in kW, from (node, kW) of what hangs on them."""
    sums = dict.fromkeys(parents, 0.0)
    for node, power_kw in loads_kw:
        for above in path(parents, node):
            sums[above] += power_kw
    return sums


def path(parents: Mapping[int, int | None], node: int) -> list[int]:
    """Return a node and all above it, up to the root."""
    found: list[int] = []
    at: int | None = node
    while at is not None:
        found.append(at)
        at = parents[at]
    return found


def agreed(
    now_kw: Mapping[int, float | None], wanted: Sequence[tuple[Collection[int], Mapping[int, float | None]]]
) -> dict[int, float | None]:
    """Return the ceilings that change when several nodes have a say: the lowest counts, None = free.

    `now_kw` are the ceilings in force; `wanted` has for each node the chargers below it and the changes it asks for.
    A node that asks for no change of a charger below it wants it left as it is, so none is raised against its will.
    """
    changed: dict[int, float | None] = {}
    for charger_id, held_kw in now_kw.items():
        words = [changes.get(charger_id, held_kw) for below, changes in wanted if charger_id in below]
        lowest = min((math.inf if word is None else word for word in words), default=math.inf)
        new = None if lowest == math.inf else lowest
        if words and new != held_kw:
            changed[charger_id] = new
    return changed


def _import(site: Site, loads: Sequence[Load], stale: bool) -> float:
    """Return the import to act on: as measured, less what is on its way down; or the worst that may be."""
    if not stale:
        return site.import_kw - sum(load.coming_kw for load in loads)
    return site.worst_other_kw + sum(load.reachable_kw for load in loads if load.power_kw > 0)


def _cut(loads: Sequence[Load], excess_kw: float, fuse: bool, stale: bool) -> dict[int, float | None]:
    """Take `excess_kw` away, from whom it hurts least."""
    changed: dict[int, float | None] = {}
    for load in sorted(loads, key=lambda one: -one.spare_hours):
        if excess_kw <= 0:
            break
        if load.spare_hours <= 0 and not fuse:
            continue
        drawn_kw = min(load.power_kw, load.reachable_kw)
        flowing_kw = load.reachable_kw if stale and load.power_kw > 0 else drawn_kw
        taken = min(max(flowing_kw, 0.0), excess_kw)
        if taken > 0:
            changed[load.charger_id] = max(flowing_kw - taken, 0.0)
            excess_kw -= taken
    return changed


def _give_back(loads: Sequence[Load], room_kw: float) -> dict[int, float | None]:
    """Raise ceilings, the vehicle with the least time first; one that no longer binds is taken away."""
    changed: dict[int, float | None] = {}
    for load in sorted(loads, key=lambda one: one.spare_hours):
        if load.ceiling_kw is None or room_kw <= LEAST_CHANGE_KW:
            continue
        wanted = min(load.max_kw - load.ceiling_kw, room_kw)
        raised = load.ceiling_kw + wanted
        changed[load.charger_id] = None if raised >= load.max_kw - LEAST_CHANGE_KW else raised
        room_kw -= wanted
    return changed


def other_kw(
    readings: Sequence[tuple[float, float]], samples: Mapping[int, Sequence[tuple[float, float]]]
) -> float:
    """Return the most that the site without its chargers drew, in kW.

    `readings` are (seconds, kW) of the site's meter; `samples` the same of each charger, in their order. Each reading
    is compared with what every charger last said before it; what a charger draws later says nothing of then.
    """
    times = {charger: [at for at, _ in said] for charger, said in samples.items()}
    most = 0.0
    for at, import_kw in readings:
        charging_kw = 0.0
        for charger, said in samples.items():
            place = bisect_right(times[charger], at)
            charging_kw += said[place - 1][1] if place else 0.0
        most = max(most, import_kw - charging_kw)
    return most


def holds_fallback(
    limits_kw: Mapping[str, float], parents: Mapping[str, str | None], loads_kw: Sequence[tuple[str, float]]
) -> list[tuple[str, float]]:
    """Prove that safe levels can never load a node too much: return (node, sum in kW) of those they would.

    `loads_kw` are (node, kW): each charger's fallback power, and the rest of the site at the node it hangs on.
    """
    sums = dict.fromkeys(limits_kw, 0.0)
    for node, power_kw in loads_kw:
        at: str | None = node
        while at is not None:
            sums[at] += power_kw
            at = parents[at]
    return [(node, total) for node, total in sums.items() if total > limits_kw[node] + 1e-9]
