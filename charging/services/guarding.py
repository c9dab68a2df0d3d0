"""Run the guard and the check of who follows: read what was measured, order what follows from it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Max, OuterRef, Subquery

from charging.guard import (
    CALM_S,
    MARGIN,
    STALE_S,
    Load,
    Site,
    agreed,
    ceilings,
    held,
    holds_fallback,
    other_kw,
)
from charging.models import Charger, ChargerCommand, ChargingSession, MeterSample
from charging.selectors.links import linked
from charging.selectors.node_loads import SILENT_METER, beyond_export, node_loads
from charging.selectors.peak_room import peak_room_kw
from charging.selectors.readiness import readiness
from charging.selectors.schedules import schedules_now
from charging.services.commands import STILL_MEANT, send
from charging.services.follow import LOOK_BACK, check_following
from depot import clock
from depot.alerts.services import Cause
from depot.models import (
    Depot,
    ElectricalNode,
    Forecast,
    InterconnectionAgreement,
    Meter,
    MeterReading,
    MeterSource,
)
from depot.words import speaking, tr

LOOK_EVERY_S = 1.0
AT_LEAST_EVERY_S = 5.0
FOLLOW_EVERY_S = 30.0
CEILING_S = 900
RENEW_BEFORE_S = 300
SILENT_SOURCE = timedelta(days=7)
"""One with a source that is switched on is missed for this long: the guard assumes the worst meanwhile."""
FEW = 4
UNKNOWN_SPARE_H = 1.0


class Rounds:
    """Guards depots again and again: at once when a meter has read, and every few seconds when none does."""

    def __init__(self) -> None:
        self._seen: dict[int, datetime | None] = {}
        self._looked: dict[int, float] = {}
        self._followed = 0.0

    def look(self, charger_ids: Collection[int]) -> None:
        """Guard the depots of these chargers that are steered, where it is time to."""
        if not charger_ids:
            return
        now, wall = clock.now(), time.monotonic()
        depots = list(Depot.objects.filter(chargers__in=charger_ids, dispatch_enabled=True).distinct())
        newest = _newest_readings(depots, now)
        for depot in depots:
            at = newest.get(depot.pk)
            due = wall - self._looked.get(depot.pk, 0.0) >= AT_LEAST_EVERY_S
            if due or at != self._seen.get(depot.pk):
                self._seen[depot.pk], self._looked[depot.pk] = at, wall
                with speaking(depot.language):
                    protect(depot, now)
        if wall - self._followed >= FOLLOW_EVERY_S:
            self._followed = wall
            for depot in depots:
                check_following(depot, now)


def _newest_readings(depots: Collection[Depot], now: datetime) -> dict[int, datetime]:
    """Return when each depot's grid meter last read, by depot id; one query for all."""
    recent = MeterReading.objects.filter(
        meter__depot__in=depots,
        meter__kind=Meter.Kind.GRID,
        observed_at__lte=now,
        observed_at__gt=now - SILENT_METER,
    )
    return dict(recent.values_list("meter__depot").annotate(newest=Max("observed_at")).order_by())


def protect(depot: Depot, now: datetime) -> list[ChargerCommand]:
    """Hold the site under its import limit, its export limit and its demand peaks; return what was ordered.

    The demand peak held is the greater of the peak so far and the planned one; no departure is missed for it.
    Without a meter of the grid connection that has read lately there is nothing to hold the site by. Every node below
    it is held by the sum of what its chargers measure.
    """
    grid, nodes = _grid(depot, now), node_loads(depot, now)
    quiet = grid is None or (grid.quiet and grid.power_kw >= 0)
    if quiet and all(node.quiet for node in nodes) and not _any_ceiling(depot):
        return []
    loads = _loads(depot, now)
    wanted: list[tuple[Collection[int], dict[int, float | None]]] = []
    if grid is not None:
        wanted.append(({load.charger_id for load in loads}, held(*grid.stakes(now), loads)))
    for node in nodes:
        below = [load for load in loads if load.charger_id in node.charger_ids]
        wanted.append((node.charger_ids, ceilings(node.site, below)))
    ordered = _order(depot, loads, agreed({load.charger_id: load.ceiling_kw for load in loads}, wanted))
    if grid is not None and beyond_export(grid.power_kw, _export_limit(depot, grid.meter.node)):
        return ordered + _end_discharge(depot, None)
    giving = {pk for node in nodes if node.gives_too_much for pk in node.charger_ids}
    return ordered + (_end_discharge(depot, giving) if giving else [])


@dataclass(frozen=True, slots=True)
class Grid:
    """The meter of the grid connection, its last reading, how old that is (wall time), and what a peak leaves."""

    meter: Meter
    power_kw: float
    observed_at: datetime
    age_s: float
    peak_room_kw: float | None

    @property
    def quiet(self) -> bool:
        """Tell whether it has read just now, and less than the fuse and the peak allow."""
        aim_kw = self.meter.node.import_limit_kw * (1 - MARGIN)
        room_kw = aim_kw if self.peak_room_kw is None else min(aim_kw, self.peak_room_kw)
        return self.power_kw < room_kw and self.age_s <= STALE_S

    def stakes(self, now: datetime) -> tuple[Site, float | None]:
        """Return the site as the guard sees it, and what a peak leaves."""
        silent = self.age_s > STALE_S
        site = Site(
            import_kw=self.power_kw,
            age_s=self.age_s,
            limit_kw=self.meter.node.import_limit_kw,
            worst_other_kw=_worst_other(self.meter, self.observed_at, now) if silent else 0.0,
            peak_kw=_peak(self.meter, now),
        )
        return site, self.peak_room_kw


def _grid(depot: Depot, now: datetime) -> Grid | None:
    meter = Meter.objects.filter(depot=depot, kind=Meter.Kind.GRID).select_related("node").first()
    recent = _recent(meter, now) if meter is not None else []
    if meter is None or not recent:
        return None
    last = recent[0]
    age_s = clock.wall_seconds((now - last.observed_at).total_seconds())
    room_kw = peak_room_kw(depot, now) if age_s <= STALE_S else None
    return Grid(meter, last.power_kw, last.observed_at, age_s, room_kw)


def _order(
    depot: Depot, loads: Collection[Load], changed: Mapping[int, float | None]
) -> list[ChargerCommand]:
    """Order the ceilings that change, and again those that would soon end by themselves."""
    due = {
        load.charger_id: load.ceiling_kw
        for load in loads
        if load.ceiling_kw is not None and CEILING_S - load.ordered_s < RENEW_BEFORE_S
    } | dict(changed)
    chargers = Charger.objects.filter(pk__in=due).select_related("depot")
    return [_hold(charger, due[charger.pk]) for charger in chargers]


def _recent(meter: Meter, now: datetime) -> list[MeterReading]:
    """Return the newest readings, the last first, of a meter that reads every few seconds; else nothing.

    A meter that reads every quarter of an hour is no guide for seconds: it would always count as silent.
    """
    watched = MeterSource.objects.filter(meter=meter, enabled=True, every_s__lte=STALE_S).exists()
    missed = SILENT_SOURCE if watched else SILENT_METER
    readings = meter.readings.filter(observed_at__lte=now, observed_at__gt=now - missed)
    newest = list(readings.order_by("-observed_at")[:FEW])
    if len(newest) < FEW:
        return []
    usual_s = clock.wall_seconds((newest[0].observed_at - newest[-1].observed_at).total_seconds()) / (FEW - 1)
    return newest if usual_s <= STALE_S else []


def _any_ceiling(depot: Depot) -> bool:
    valid_from = clock.wall_now() - timedelta(seconds=CEILING_S)
    orders = ChargerCommand.objects.filter(
        charger__depot=depot, action="set_ceiling", created_at__gte=valid_from
    )
    return orders.filter(state__in=STILL_MEANT).exclude(payload__limit_kw=None).exists()


def _hold(charger: Charger, ceiling_kw: float | None) -> ChargerCommand:
    rounded = None if ceiling_kw is None else round(ceiling_kw, 2)
    payload = {"limit_kw": rounded, "seconds": round(CEILING_S * clock.clock().speed)}
    return send(charger, "set_ceiling", payload, coalesce="ceiling", lifetime=timedelta(seconds=60))


def _ceilings(depot: Depot) -> dict[int, ChargerCommand]:
    """Return the newest ceiling of each charger that is still in force."""
    valid_from = clock.wall_now() - timedelta(seconds=CEILING_S)
    found = ChargerCommand.objects.filter(
        charger__depot=depot, action="set_ceiling", created_at__gte=valid_from, state__in=STILL_MEANT
    )
    return {command.charger_id: command for command in found.order_by("created_at")}


def _loads(depot: Depot, now: datetime) -> list[Load]:
    """Return the depot's connected chargers with what they draw and how long their vehicles can wait."""
    spare = {row.vehicle.pk: row for row in readiness(depot, now) if row.vehicle is not None}
    power: dict[int, float] = {}
    hours: dict[int, float] = {}
    newest = MeterSample.objects.filter(session=OuterRef("pk")).order_by("-sampled_at")
    sessions = ChargingSession.objects.filter(connector__charger__depot=depot, unplugged_at__isnull=True)
    drawn = sessions.annotate(drawn_kw=Subquery(newest.values("power_kw")[:1]))
    for charger_id, vehicle_id, drawn_kw in drawn.values_list("connector__charger", "vehicle", "drawn_kw"):
        power[charger_id] = power.get(charger_id, 0.0) + (drawn_kw or 0.0)
        row = spare.get(vehicle_id)
        left = UNKNOWN_SPARE_H
        if row is not None:
            left = (row.act_by - now).total_seconds() / 3600 if row.act_by else 0.0
        hours[charger_id] = min(hours.get(charger_id, left), left)
    loads, orders, wall = [], _ceilings(depot), clock.wall_now()
    for charger in Charger.objects.filter(linked(now), depot=depot, pk__in=power):
        load = Load(charger.pk, power[charger.pk], charger.max_charge_kw, hours[charger.pk])
        command = orders.get(charger.pk)
        if command is not None:
            age_s = (wall - command.created_at).total_seconds()
            load = replace(load, ceiling_kw=command.payload.get("limit_kw"), ordered_s=age_s)
        loads.append(load)
    return loads


def _peak(meter: Meter, now: datetime) -> float | None:
    """Return the greatest import of the last minute, in kW."""
    calm = timedelta(seconds=CALM_S * clock.clock().speed)
    recent = meter.readings.filter(observed_at__gt=now - calm, observed_at__lte=now)
    peak: float | None = recent.aggregate(most=Max("power_kw"))["most"]
    return peak


def _worst_other(meter: Meter, last_at: datetime, now: datetime) -> float:
    """Return the most the site without its chargers may draw now, while its meter is silent.

    The greater of what it drew in the ten minutes before the silence and what is expected of the building now.
    """
    from_at = last_at - LOOK_BACK
    readings = meter.readings.filter(observed_at__gt=from_at, observed_at__lte=last_at)
    measured = [
        (at.timestamp(), power_kw) for at, power_kw in readings.values_list("observed_at", "power_kw")
    ]
    samples = MeterSample.objects.filter(
        session__connector__charger__depot=meter.depot_id,
        sampled_at__gt=from_at - LOOK_BACK,
        sampled_at__lte=last_at,
    )
    said: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    ends: dict[int, datetime] = {}
    for session, at, power_kw, end in samples.order_by("sampled_at").values_list(
        "session", "sampled_at", "power_kw", "session__unplugged_at"
    ):
        said[session].append((at.timestamp(), power_kw))
        if end is not None:
            ends[session] = end
    for session, end in ends.items():
        said[session].append((max(end.timestamp(), said[session][-1][0]), 0.0))
    return max(other_kw(measured, said), _expected_building(meter.depot, now))


def _expected_building(depot: Depot, now: datetime) -> float:
    """Return the most the building is expected to draw within an hour of now, in kW; 0 without a forecast."""
    newest = _building_forecast(depot, now)
    if newest is None:
        return 0.0
    step = timedelta(minutes=newest.step_minutes)
    near = [
        float(power_kw)
        for place, power_kw in enumerate(newest.power_kw)
        if abs(newest.start_at + place * step - now) <= timedelta(hours=1)
    ]
    return max(near, default=0.0)


def _building_forecast(depot: Depot, now: datetime) -> Forecast | None:
    made = Forecast.objects.filter(depot=depot, kind=Forecast.Kind.BUILDING, made_at__lte=now)
    return made.order_by("-made_at").first()


def _export_limit(depot: Depot, node: ElectricalNode) -> float:
    agreement = InterconnectionAgreement.objects.filter(depot=depot).first()
    allowed = agreement.allowed_export_kw if agreement is not None else node.export_limit_kw
    return min(allowed, node.export_limit_kw)


def _end_discharge(depot: Depot, charger_ids: Collection[int] | None) -> list[ChargerCommand]:
    """Let vehicles that discharge stop, at these chargers or (None) at all.

    The schedule is sent again for nobody, which never discharges.
    """
    return [
        send(
            newest.charger,
            "set_schedule",
            newest.payload | {"vehicle_id": None},
            connector=newest.connector,
            plan=newest.plan,
            coalesce=newest.coalesce,
            priority=0,
            lifetime=newest.expires_at - clock.wall_now(),
        )
        for newest in schedules_now(depot).values()
        if (charger_ids is None or newest.charger_id in charger_ids)
        and newest.payload.get("vehicle_id") is not None
        and min(newest.payload["power_kw"]) < 0
    ]


def unsafe_fallbacks(depot: Depot, now: datetime) -> list[Cause]:
    """Return an alert for each node that the chargers' safe levels and the rest of the site could overload."""
    nodes = list(ElectricalNode.objects.filter(depot=depot))
    names = {str(node.pk): node.name for node in nodes}
    limits = {str(node.pk): node.import_limit_kw for node in nodes}
    parents = {str(node.pk): str(node.parent_id) if node.parent_id else None for node in nodes}
    loads = [(str(row.node_id), row.fallback_kw) for row in Charger.objects.filter(depot=depot)]
    root = next((str(node.pk) for node in nodes if node.parent_id is None), None)
    if root is not None:
        loads.append((root, _base_load(depot, now)))
    return [
        Cause(
            f"fallback:{node}",
            "critical",
            tr(
                "If the link were lost, {names} could be loaded with {total:.0f} kW; it carries "
                "{limits:.0f} kW",
                names=names[node],
                total=total,
                limits=limits[node],
            ),
            tr("Lower the chargers' safe levels."),
        )
        for node, total in holds_fallback(limits, parents, loads)
    ]


def _base_load(depot: Depot, now: datetime) -> float:
    """Return the most the building is expected to draw, in kW; 0 without a forecast."""
    newest = _building_forecast(depot, now)
    return max(map(float, newest.power_kw), default=0.0) if newest is not None else 0.0
