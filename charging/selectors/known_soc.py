"""The charge of each vehicle as far as it is known: what was told, and what has flowed since."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from charging.models import ChargingSession, MeterSample
from charging.selectors.energy import greatest_kw, group
from depot.words import listed, tr
from fleet.demand.assumed_soc import assumed_soc, is_stale, margin
from fleet.models import Vehicle, VehicleState
from fleet.selectors.needs import Need

UNKNOWN_SOC = 0.2
BEFORE = timedelta(hours=1)
"""The register is read from so long before the SoC was told: it tells where it stood then."""


@dataclass(frozen=True, slots=True)
class KnownSoc:
    """The SoC (0..1) to plan with, what a person should know of it, and whether it is sure enough to discharge."""

    soc: float
    note: str = ""
    sure: bool = True


def known_socs(
    vehicles: Collection[Vehicle], needs: Mapping[int, list[Need]], now: datetime
) -> dict[int, KnownSoc]:
    """Return the SoC of each vehicle by id; two queries for all those that were not heard of lately."""
    states = {vehicle.pk: getattr(vehicle, "state", None) for vehicle in vehicles}
    old = {
        pk: state
        for pk, state in states.items()
        if state is not None and is_stale(now - state.soc_observed_at)
    }
    charged = _charged_kwh({pk: state.soc_observed_at for pk, state in old.items()}, now)
    found = {}
    for vehicle in vehicles:
        state = states[vehicle.pk]
        if state is None:
            found[vehicle.pk] = KnownSoc(
                UNKNOWN_SOC,
                tr("Its charge is not known; planned as if at {soc:.0%}.", soc=UNKNOWN_SOC),
                sure=False,
            )
        else:
            trips = needs.get(vehicle.pk, [])
            found[vehicle.pk] = _known(vehicle, state, trips, charged.get(vehicle.pk, 0.0), now)
    return found


def _known(
    vehicle: Vehicle, state: VehicleState, trips: Collection[Need], charged_kwh: float, now: datetime
) -> KnownSoc:
    """Return what to plan with. On the road silence is usual, and the energy of the trip is planned: no margin."""
    age, capacity_kwh = now - state.soc_observed_at, vehicle.capacity_kwh
    used_kwh = _used_kwh(trips, state, now)
    if _on_the_road(state, trips, now) or not is_stale(age):
        return KnownSoc(round(min(max(state.soc - used_kwh / capacity_kwh, 0.0), 1.0), 4))
    soc = assumed_soc(state.soc, age, capacity_kwh, used_kwh=used_kwh, charged_kwh=charged_kwh)
    since = [tr("its trips took {used_kwh:.0f} kWh", used_kwh=used_kwh)] if used_kwh else []
    since += [tr("chargers counted {charged_kwh:+.0f} kWh", charged_kwh=charged_kwh)] if charged_kwh else []
    flows = tr(" ({since} since)", since=listed(since)) if since else ""
    words = tr(
        "Its charge was last heard of {age} ago{flows}; planned {margin:.0%} lower to be safe.",
        age=_ago(age),
        flows=flows,
        margin=margin(age),
    )
    return KnownSoc(round(soc, 4), words, sure=not state.plugged_in)


def _on_the_road(state: VehicleState, trips: Collection[Need], now: datetime) -> bool:
    return not state.plugged_in and any(trip.duty.pull_out_at <= now < trip.duty.pull_in_at for trip in trips)


def _used_kwh(needs: Collection[Need], state: VehicleState, now: datetime) -> float:
    """Return what trips that are over have used since the SoC was told; a trip uses its energy evenly."""
    total = 0.0
    for need in needs:
        out_at, in_at = need.duty.pull_out_at, need.duty.pull_in_at
        if state.soc_observed_at < in_at <= now:
            share = (in_at - max(out_at, state.soc_observed_at)) / (in_at - out_at)
            total += need.energy_kwh * share
    return total


def _charged_kwh(known_at: Mapping[int, datetime], now: datetime) -> dict[int, float]:
    """Return by vehicle what its chargers have put into its battery since its SoC was told, less what they took."""
    if not known_at:
        return {}
    sessions = ChargingSession.objects.filter(vehicle__in=known_at, last_sample_at__gt=min(known_at.values()))
    rows = {row.pk: row for row in sessions.select_related("connector__charger")}
    limits = {
        pk: greatest_kw(row.connector.charger.max_charge_kw, row.connector.charger.max_discharge_kw)
        for pk, row in rows.items()
    }
    samples = MeterSample.objects.filter(
        session__in=list(rows), sampled_at__gte=min(known_at.values()) - BEFORE, sampled_at__lte=now
    )
    total: dict[int, float] = {}
    for session_id, readings in group(samples, limits):
        session = rows[session_id]
        vehicle_id, charger = session.vehicle_id or 0, session.connector.charger
        edges = np.array([known_at[vehicle_id].timestamp(), now.timestamp()])
        into, out = (float(readings.counted(way, edges).energy_kwh[0]) for way in ("import", "export"))
        total[vehicle_id] = total.get(vehicle_id, 0.0) + charger.stored_kwh(into, out)
    return total


def _ago(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else tr("{hours:.0f} days", hours=hours / 24)
