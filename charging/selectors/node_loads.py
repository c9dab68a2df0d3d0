"""How the nodes below the grid connection are loaded at this moment: feeders, transformers, panels."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery

from charging.guard import CALM_S, MARGIN, Site, path, sums_kw
from charging.models import Charger, ChargingSession, MeterSample
from charging.selectors.links import linked
from charging.selectors.schedules import schedules_now, told_of
from depot import clock
from depot.models import Depot, ElectricalNode, Meter, MeterReading

SILENT_METER = timedelta(minutes=30)
"""A meter that nobody watches feeds no guard after this long; the plan's own margin protects the site."""
EXPORT_SLACK, EXPORT_SLACK_KW = 1.05, 1.0


def beyond_export(power_kw: float, limit_kw: float) -> bool:
    """Tell whether more flows out than a limit and what a meter may be wrong by."""
    return -power_kw > limit_kw * EXPORT_SLACK + EXPORT_SLACK_KW


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A feeder, transformer or panel: what its chargers and building meters sum up to, and who hangs on it."""

    site: Site
    export_limit_kw: float
    charger_ids: Collection[int]

    @property
    def quiet(self) -> bool:
        return self.site.import_kw < self.site.limit_kw * (1 - MARGIN) and not self.gives_too_much

    @property
    def gives_too_much(self) -> bool:
        return beyond_export(self.site.import_kw, self.export_limit_kw)


def node_loads(depot: Depot, now: datetime) -> list[NodeLoad]:
    """Return the nodes below the grid connection that chargers hang on, as they are loaded now.

    A charger that is not linked may have gone over to what it does on its own: the most of what it last said, was told
    and falls back to counts.
    """
    rows = list(ElectricalNode.objects.filter(depot=depot))
    parents = {row.pk: row.parent_id for row in rows}
    if all(parent is None for parent in parents.values()):
        return []
    places = list(Charger.objects.filter(depot=depot).values_list("pk", "node", "fallback_kw"))
    here = set(Charger.objects.filter(linked(now), depot=depot).values_list("pk", flat=True))
    drawn, peaks = _drawn(depot, now)
    lost = drawn.keys() - here
    alone = _alone_kw(depot, lost, now) if lost else {}
    flows, most = [], []
    for pk, node, fallback_kw in places:
        if pk in drawn:
            least = max(alone.get(pk, 0.0), fallback_kw) if pk in lost else -math.inf
            flows.append((node, max(drawn[pk], least)))
            most.append((node, max(peaks[pk], least)))
    building = _building_meters(depot, now)
    sums, highest = sums_kw(parents, flows + building), sums_kw(parents, most + building)
    return [
        NodeLoad(
            Site(sums[row.pk], 0.0, row.import_limit_kw, 0.0, peak_kw=highest[row.pk]),
            row.export_limit_kw,
            frozenset(pk for pk, node, _ in places if row.pk in path(parents, node)),
        )
        for row in rows
        if row.parent_id is not None
    ]


def _drawn(depot: Depot, now: datetime) -> tuple[dict[int, float], dict[int, float]]:
    """Return what each charger with a vehicle last said it draws, and the most it said in the last minute, in kW."""
    calm = now - timedelta(seconds=CALM_S * clock.clock().speed)
    said = MeterSample.objects.filter(session=OuterRef("pk"), sampled_at__lte=now)
    late = said.filter(sampled_at__gt=calm).order_by("-power_kw")
    sessions = ChargingSession.objects.filter(connector__charger__depot=depot, unplugged_at__isnull=True)
    both = sessions.annotate(
        last_kw=Subquery(said.order_by("-sampled_at").values("power_kw")[:1]),
        most_kw=Subquery(late.values("power_kw")[:1]),
    )
    drawn: dict[int, float] = {}
    peaks: dict[int, float] = {}
    for pk, last_kw, most_kw in both.values_list("connector__charger", "last_kw", "most_kw"):
        power_kw = last_kw or 0.0
        drawn[pk] = drawn.get(pk, 0.0) + power_kw
        peaks[pk] = peaks.get(pk, 0.0) + (power_kw if most_kw is None else max(power_kw, most_kw))
    return drawn, peaks


def _alone_kw(depot: Depot, charger_ids: Collection[int], now: datetime) -> dict[int, float]:
    """Return the most that chargers without a link may do by the schedules they hold, in kW."""
    found: dict[int, float] = {}
    for command in schedules_now(depot).values():
        if command.charger_id in charger_ids:
            told = told_of(command, now)
            step = (now - told.start_at) // told.step
            kept = [command.payload["power_kw"], command.payload.get("offline_kw") or ()]
            most = max((powers[step] for powers in kept if 0 <= step < len(powers)), default=0.0)
            found[command.charger_id] = found.get(command.charger_id, 0.0) + most
    return found


def _building_meters(depot: Depot, now: datetime) -> list[tuple[int, float]]:
    """Return (node, kW) of the newest reading of each building meter below the grid connection."""
    newest = MeterReading.objects.filter(
        meter=OuterRef("pk"), observed_at__lte=now, observed_at__gt=now - SILENT_METER
    ).order_by("-observed_at")
    meters = Meter.objects.filter(depot=depot, kind=Meter.Kind.BUILDING, node__parent__isnull=False)
    read = meters.annotate(last_kw=Subquery(newest.values("power_kw")[:1]))
    return [(node, last_kw or 0.0) for node, last_kw in read.values_list("node", "last_kw")]
