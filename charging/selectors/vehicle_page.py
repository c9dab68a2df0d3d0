"""One vehicle with all that is known of it, and the fleet in a row each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from charging.models import ChargingSession, Connector, Plan
from charging.selectors.plans import latest_plan
from charging.selectors.readiness import (
    HORIZON,
    JUST_BACK,
    STALE_SOC,
    Readiness,
    connectors_of,
    judged,
    reaches,
)
from depot.alerts import open_alerts
from depot.models import Alert, Depot
from fleet.models import LearntConsumption, Outage, Vehicle, VehicleState
from fleet.selectors.battery import Battery, fleet_batteries, latest_health, recent_soc
from fleet.selectors.consumption import learnt_history
from fleet.selectors.duties import MOMENT, Duty, duties, duties_of_vehicle, outages_of
from fleet.selectors.needs import Need, need_of

TRACE = timedelta(days=3)
AHEAD = timedelta(days=7)
SHOWN_BLOCKS = 8
SHOWN_SESSIONS = 10
SHOWN_OUTAGES = 8
OF_CHARGER = ("charger", "strays", "clock", "station")
OF_CONNECTOR = ("fault", "interrupted")


@dataclass(frozen=True, slots=True)
class Coming:
    """A block ahead: what it needs and why, and how it is judged when it is less than a day away."""

    need: Need
    verdict: Readiness | None


@dataclass(frozen=True, slots=True)
class Left:
    """A departure of the last days; `soc` is the last one heard of before it, None when that was too long before."""

    need: Need
    soc: float | None

    @property
    def met(self) -> bool:
        return self.soc is not None and reaches(self.soc, self.need.required_soc)


@dataclass(frozen=True, slots=True)
class VehiclePage:
    """What is known of a vehicle; `plan` is the newest one.

    `trace` are moments with SoC (0..1) of the last days, `left` its departures then.
    """

    vehicle: Vehicle
    plan: Plan | None
    state: VehicleState | None
    connector: Connector | None
    running: Duty | None
    coming: list[Coming]
    left: list[Left]
    trace: list[tuple[datetime, float]]
    sessions: list[ChargingSession]
    battery: Battery | None
    alerts: list[Alert]
    outages: list[Outage]
    learnt: LearntConsumption | None


def vehicle_page(depot: Depot, vehicle: Vehicle, now: datetime) -> VehiclePage:
    """Return all that the page of a vehicle tells; the number of queries does not depend on the fleet."""
    own = duties_of_vehicle(depot, vehicle, now - TRACE, now + AHEAD)
    plan = latest_plan(depot, now)
    connector = vehicle.connectors.select_related("charger").first()
    coming = _coming(own, connector, plan, now)
    trace = recent_soc(vehicle, now, TRACE)
    health = latest_health(vehicle)
    return VehiclePage(
        vehicle=vehicle,
        plan=plan,
        state=getattr(vehicle, "state", None),
        connector=connector,
        running=next((duty for duty in own if duty.covers(now)), None),
        coming=coming,
        left=left_with(
            (need_of(duty, vehicle) for duty in own if now - TRACE < duty.pull_out_at <= now), trace
        ),
        trace=trace,
        sessions=list(vehicle.sessions.select_related("connector__charger")[:SHOWN_SESSIONS]),
        battery=Battery(vehicle, health) if health else None,
        alerts=alerts_about(open_alerts(depot), vehicle.pk, connector, [duty.key for duty in own]),
        outages=list(vehicle.outages.all()[:SHOWN_OUTAGES]),
        learnt=learnt_history(vehicle).first(),
    )


def _coming(own: list[Duty], connector: Connector | None, plan: Plan | None, now: datetime) -> list[Coming]:
    near = [duty for duty in own if duty.pull_in_at > now - JUST_BACK and duty.pull_out_at <= now + HORIZON]
    connectors = {connector.vehicle_id: connector} if connector and connector.vehicle_id else {}
    verdicts = {row.duty.key: row for row in judged(near, connectors, plan, now)}
    ahead = [duty for duty in own if duty.pull_out_at > now][:SHOWN_BLOCKS]
    return [Coming(need_of(duty, duty.vehicle), verdicts.get(duty.key)) for duty in ahead if duty.vehicle]


def left_with(needs: Iterable[Need], trace: list[tuple[datetime, float]]) -> list[Left]:
    """Return departures with the SoC last heard of before each; one older than two hours says nothing."""
    found = []
    for need in needs:
        at = need.duty.pull_out_at
        before = [row for row in trace if at - STALE_SOC <= row[0] <= at]
        found.append(Left(need, before[-1][1] if before else None))
    return found


def alerts_about(
    alerts: Iterable[Alert], vehicle_id: int, connector: Connector | None, duty_keys: Collection[str]
) -> list[Alert]:
    """Return the alerts that name a vehicle, one of its blocks, or the charger at which it parks."""
    exact = {f"unplugged:{vehicle_id}", *(f"ready:{key}" for key in duty_keys)}
    if connector is not None:
        exact |= {f"{kind}:{connector.pk}" for kind in OF_CONNECTOR}
    return [alert for alert in alerts if alert.key in exact or _is_of_charger(alert.key, connector)]


def _is_of_charger(key: str, connector: Connector | None) -> bool:
    kind, _, rest = key.partition(":")
    number = rest.partition(":")[0]
    return connector is not None and kind in OF_CHARGER and number == str(connector.charger_id)


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A vehicle of the list: its state, where it parks, its next pull-out, its battery, and whether it is out."""

    vehicle: Vehicle
    state: VehicleState | None
    place: str
    next: Readiness | None
    battery: Battery | None
    outage: Outage | None
    away: Duty | None


def fleet_rows(depot: Depot, now: datetime) -> list[FleetRow]:
    """Return every active vehicle in its order by name; the number of queries does not depend on the fleet."""
    vehicles = (
        Vehicle.objects.filter(depot=depot, active=True).select_related("type", "state").order_by("name")
    )
    connectors = connectors_of(depot)
    coming = duties(depot, now - JUST_BACK, now + HORIZON)
    first: dict[int, Readiness] = {}
    for row in judged(coming, connectors, latest_plan(depot, now), now):
        if row.vehicle is not None:
            first.setdefault(row.vehicle.pk, row)
    away = {duty.vehicle.pk: duty for duty in coming if duty.vehicle and duty.covers(now)}
    batteries = {battery.vehicle.pk: battery for battery in fleet_batteries(depot)}
    outages = outages_of(depot, now, now + MOMENT)
    out = {pk: row for pk, rows in outages.items() for row in rows if row.covers(now, now + MOMENT)}
    return [
        FleetRow(
            vehicle=vehicle,
            state=getattr(vehicle, "state", None),
            place=str(connectors[vehicle.pk]) if vehicle.pk in connectors else "",
            next=first.get(vehicle.pk),
            battery=batteries.get(vehicle.pk),
            outage=out.get(vehicle.pk),
            away=away.get(vehicle.pk),
        )
        for vehicle in vehicles
    ]
