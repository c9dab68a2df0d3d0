"""Run the guard and the check of who follows: read what was measured, order what follows from it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import Max, OuterRef, Subquery

from charging.following import Told, verdict
from charging.guard import CALM_S, MARGIN, STALE_S, Load, Site, held, holds_fallback, other_kw
from charging.models import Charger, ChargerCommand, ChargingSession, Connector, MeterSample, StationNotice
from charging.selectors.links import linked
from charging.selectors.peak_room import peak_room_kw
from charging.selectors.readiness import readiness
from charging.services.commands import STILL_MEANT, send, send_again
from charging.services.notices import note
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

LOOK_EVERY_S = 1.0
AT_LEAST_EVERY_S = 5.0
FOLLOW_EVERY_S = 30.0
CEILING_S = 900
RENEW_BEFORE_S = 300
SILENT_METER = timedelta(minutes=30)
"""A meter that nobody watches feeds no guard after this long; the plan's own margin protects the site."""
SILENT_SOURCE = timedelta(days=7)
"""One with a source that is switched on is missed for this long: the guard assumes the worst meanwhile."""
FEW = 4
SECOND_LOOK = timedelta(minutes=2)
FORGET_AFTER = timedelta(minutes=30)
LOOK_BACK = timedelta(minutes=10)
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
    Without a meter of the grid connection that has read lately there is nothing to act on.
    """
    meter = Meter.objects.filter(depot=depot, kind=Meter.Kind.GRID).select_related("node").first()
    recent = _recent(meter, now) if meter is not None else []
    if meter is None or not recent:
        return []
    last = recent[0]
    age_s = clock.wall_seconds((now - last.observed_at).total_seconds())
    room_kw = peak_room_kw(depot, now) if age_s <= STALE_S else None
    aim_kw = meter.node.import_limit_kw * (1 - MARGIN)
    quiet = last.power_kw < (aim_kw if room_kw is None else min(aim_kw, room_kw)) and age_s <= STALE_S
    if quiet and last.power_kw >= 0 and not _any_ceiling(depot):
        return []
    loads = _loads(depot, now)
    site = Site(
        import_kw=last.power_kw,
        age_s=age_s,
        limit_kw=meter.node.import_limit_kw,
        worst_other_kw=_worst_other(meter, last, now) if age_s > STALE_S else 0.0,
        peak_kw=_peak(meter, now),
    )
    changed = held(site, room_kw, loads)
    renewed = {load.charger_id: load.ceiling_kw for load in loads if load.ceiling_kw is not None}
    ages_s = {load.charger_id: load.ordered_s for load in loads}
    ordered = []
    for charger in Charger.objects.filter(pk__in={*changed, *renewed}).select_related("depot"):
        if charger.pk in changed:
            ordered.append(_hold(charger, changed[charger.pk]))
        elif CEILING_S - ages_s.get(charger.pk, 0.0) < RENEW_BEFORE_S:
            ordered.append(_hold(charger, renewed[charger.pk]))
    if -last.power_kw > _export_limit(depot, meter.node):
        ordered += _end_discharge(depot)
    return ordered


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


def _worst_other(meter: Meter, last: MeterReading, now: datetime) -> float:
    """Return the most the site without its chargers may draw now, while its meter is silent.

    The greater of what it drew in the ten minutes before the silence and what is expected of the building now.
    """
    from_at = last.observed_at - LOOK_BACK
    readings = meter.readings.filter(observed_at__gt=from_at, observed_at__lte=last.observed_at)
    measured = [
        (at.timestamp(), power_kw) for at, power_kw in readings.values_list("observed_at", "power_kw")
    ]
    samples = MeterSample.objects.filter(
        session__connector__charger__depot=meter.depot_id,
        sampled_at__gt=from_at - LOOK_BACK,
        sampled_at__lte=last.observed_at,
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
    agreed = agreement.allowed_export_kw if agreement is not None else node.export_limit_kw
    return min(agreed, node.export_limit_kw) * 1.05 + 1.0


def _end_discharge(depot: Depot) -> list[ChargerCommand]:
    """Let every vehicle that discharges stop: its schedule is sent again for nobody, which never discharges."""
    ordered = []
    for connector in Connector.objects.filter(charger__depot=depot).select_related("charger"):
        newest = _schedule(connector)
        if newest is None or newest.payload.get("vehicle_id") is None or min(newest.payload["power_kw"]) >= 0:
            continue
        ordered.append(
            send(
                connector.charger,
                "set_schedule",
                newest.payload | {"vehicle_id": None},
                connector=connector,
                plan=newest.plan,
                coalesce=newest.coalesce,
                priority=0,
                lifetime=newest.expires_at - clock.wall_now(),
            )
        )
    return ordered


def _schedule(connector: Connector) -> ChargerCommand | None:
    """Return the schedule a connector follows now."""
    schedules = ChargerCommand.objects.filter(connector=connector, action="set_schedule")
    newest = schedules.order_by("-created_at").first()
    if newest is None or newest.state not in STILL_MEANT or newest.expires_at <= clock.wall_now():
        return None
    return newest


def check_following(depot: Depot, now: datetime) -> None:
    """Compare meters with set-points; who strays is told again, asked what it believes, and then planned around."""
    sessions = ChargingSession.objects.filter(connector__charger__depot=depot, unplugged_at__isnull=True)
    for session in sessions.select_related("connector__charger"):
        connector, charger = session.connector, session.connector.charger
        command = _schedule(connector)
        if command is None or command.state != ChargerCommand.State.ACCEPTED or command.answered_at is None:
            continue
        recent = session.samples.filter(sampled_at__gte=now - LOOK_BACK, sampled_at__lte=now).order_by(
            "sampled_at"
        )
        follows = verdict(_told(command, now), list(recent.values_list("sampled_at", "power_kw")))
        if follows is False:
            _stray(charger, connector, now)
        elif follows and charger.strays_since and now - charger.strays_since > FORGET_AFTER:
            Charger.objects.filter(pk=charger.pk).update(strays_since=None)


def _told(command: ChargerCommand, now: datetime) -> Told:
    payload = command.payload
    answered_at = command.answered_at or command.created_at
    ago_s = (clock.wall_now() - answered_at).total_seconds() * clock.clock().speed
    return Told(
        start_at=datetime.fromisoformat(payload["start_at"]),
        step=timedelta(seconds=payload["step_seconds"]),
        power_kw=payload["power_kw"],
        known_at=now - timedelta(seconds=ago_s),
    )


def _stray(charger: Charger, connector: Connector, now: datetime) -> None:
    """Tell a charger again at the first sign, and mark it at the second."""
    if charger.strays_since is not None:
        return
    signs = StationNotice.objects.filter(
        charger=charger, kind="not following", received_at__gte=now - LOOK_BACK
    )
    first = signs.order_by("received_at").first()
    if first is None:
        note(charger, "not following", f"{connector} draws another power than it was told; it is told again.")
        send_again(charger, connector)
        send(charger, "composite", {"evse_id": connector.evse_id, "seconds": 3600}, connector=connector)
    elif now - first.received_at >= SECOND_LOOK:
        Charger.objects.filter(pk=charger.pk).update(strays_since=now)


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
            f"If the link were lost, {names[node]} could be loaded with {total:.0f} kW; it carries "
            f"{limits[node]:.0f} kW",
            "Lower the chargers' safe levels.",
        )
        for node, total in holds_fallback(limits, parents, loads)
    ]


def _base_load(depot: Depot, now: datetime) -> float:
    """Return the most the building is expected to draw, in kW; 0 without a forecast."""
    newest = _building_forecast(depot, now)
    return max(map(float, newest.power_kw), default=0.0) if newest is not None else 0.0
