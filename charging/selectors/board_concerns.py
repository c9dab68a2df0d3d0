"""What should alert somebody: on vehicles, plugs, the site's power and the sources of data.

Each function says what is wrong now as causes of alerts; `watch_live` in the services opens and clears them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from charging.models import Charger, Connector
from charging.selectors.board_tile import Facts, stalled
from charging.selectors.lanes import MOVING_KW
from charging.selectors.links import is_linked
from charging.selectors.readiness import STALE_SOC, Readiness, reaches
from depot.alerts.services import Cause
from depot.models import Depot
from depot.templatetags.depot_pages import kw, local_time, money, percent
from depot.words import mark, tr
from fleet.models import Vehicle, VehicleState

INTERRUPTED_FOR = timedelta(minutes=10)
JUST_UNPLUGGED = timedelta(minutes=5)
GETTING_READY = timedelta(minutes=30)
"""How long before its pull-out a vehicle may be unplugged for it."""
URGENT = timedelta(hours=3)
"""A pull-out that must be acted on this soon has an alert of its own."""
NEAR, NEAR_NO_MORE = 0.95, 0.90
NEW_PEAK_KW = 1.0
OLD_FORECAST = timedelta(hours=3)
NAMED = 6


def faults(facts: Iterable[Facts], now: datetime) -> list[Cause]:
    """Name the connectors that report a fault."""
    return [
        Cause(
            f"fault:{one.connector.pk}",
            "critical" if one.stay is not None else "warning",
            tr("Connector {connector} reports a fault", connector=one.connector),
            tr("{vehicle} stands there. Plug it in elsewhere.", vehicle=one.vehicle)
            if one.stay and one.vehicle
            else "",
        )
        for one in facts
        if is_linked(one.connector.charger, now) and one.connector.status == Connector.Status.FAULTED
    ]


def should_charge(facts: Iterable[Facts], now: datetime) -> list[Facts]:
    """Return the plugs that take nothing though the plan has charged there for ten minutes."""
    return [
        one
        for one in facts
        if one.planned is not None
        and one.planned.power_kw > 0
        and one.planned.from_at <= now - INTERRUPTED_FOR
        and one.connector.charger.strays_since is None
        and stalled(one, now)
    ]


def interrupted(suspects: Iterable[Facts], most_kw: Mapping[int, float], now: datetime) -> list[Cause]:
    """Name the suspects that took nothing for ten minutes; `most_kw` is their greatest power since, by connector."""
    return [
        Cause(
            f"interrupted:{one.connector.pk}",
            "warning",
            tr(
                "{vehicle} at {connector} does not charge",
                vehicle=one.vehicle or "The vehicle",
                connector=one.connector,
            ),
            stalled(one, now),
        )
        for one in suspects
        if most_kw.get(one.connector.pk, MOVING_KW) < MOVING_KW
    ]


def not_plugged_in(facts: Iterable[Facts], now: datetime) -> dict[int, tuple[Facts, Readiness]]:
    """Return by vehicle who stands at no plug, is not away, lacks charge, and has no urgent alert yet."""
    found = {}
    for one in facts:
        row = one.pull_out
        if one.vehicle is None or row is None or one.stay is not None or one.away_on:
            continue
        if not _would_tell(one.connector.charger, now):
            continue
        enough = row.soc_now is not None and reaches(row.soc_now, row.required_soc)
        if not enough and not is_urgent(row, now):
            found[one.vehicle.pk] = (one, row)
    return found


def _would_tell(charger: Charger, now: datetime) -> bool:
    """Tell whether a charger would say that a vehicle is plugged in: one that has just started has not yet."""
    started = charger.booted_at is not None and now - charger.booted_at >= JUST_UNPLUGGED
    return started and is_linked(charger, now)


def is_urgent(row: Readiness, now: datetime) -> bool:
    """Tell whether the pull-out itself has an alert."""
    return row.state == "will_miss" or (
        row.state == "at_risk" and (row.act_by is None or row.act_by - now <= URGENT)
    )


def unplugged(
    waiting: Mapping[int, tuple[Facts, Readiness]],
    unplugged_at: Mapping[int, datetime],
    left_at: Mapping[int, datetime],
    depot: Depot,
    now: datetime,
) -> list[Cause]:
    """Name the vehicles that were unplugged before they had what they need, and did not leave for work.

    `unplugged_at` and `left_at` (the last pull-out) are by vehicle.
    """
    causes = []
    for vehicle_id, (one, row) in waiting.items():
        at, left = unplugged_at.get(vehicle_id), left_at.get(vehicle_id)
        left_for_work = at is not None and left is not None and left >= at - GETTING_READY
        if at is None or left_for_work or now - at < JUST_UNPLUGGED:
            continue
        causes.append(
            Cause(
                f"unplugged:{vehicle_id}",
                "warning",
                tr(
                    "{vehicle} was unplugged at {at} before it was ready",
                    vehicle=one.vehicle,
                    at=local_time(at, depot),
                ),
                tr(
                    "It has {soc_now} and needs {required_soc} at {pull_out_at}. Plug it in at {connector}.",
                    soc_now=percent(row.soc_now),
                    required_soc=percent(row.required_soc),
                    pull_out_at=local_time(row.duty.pull_out_at, depot),
                    connector=one.connector,
                ),
            )
        )
    return causes


def near_limits(
    net_kw: float | None, import_kw: float, export_kw: float, still_open: Collection[str]
) -> list[Cause]:
    """Say that the site nears a limit of its grid connection; what is open stays so until it is well below."""
    if net_kw is None:
        return []
    found = []
    for name, power_kw, limit_kw in (("import", net_kw, import_kw), ("export", -net_kw, export_kw)):
        key = f"limit:{name}"
        share = power_kw / limit_kw if limit_kw > 0 else 0.0
        if share >= (NEAR_NO_MORE if key in still_open else NEAR):
            level = "critical" if share > 1 else "warning"
            title = tr(LIMIT_WORDS[name, share > 1], power_kw=kw(round(power_kw)), limit_kw=kw(limit_kw))
            found.append(
                Cause(key, level, title, tr("Vehicles are held back as far as their pull-outs allow."))
            )
    return found


LIMIT_WORDS = {
    ("import", False): mark("The site nears its import limit: {power_kw} of {limit_kw}"),
    ("import", True): mark("The site is over its import limit: {power_kw} of {limit_kw}"),
    ("export", False): mark("The site nears its export limit: {power_kw} of {limit_kw}"),
    ("export", True): mark("The site is over its export limit: {power_kw} of {limit_kw}"),
}
"""By direction, and whether it is over."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A demand charge whose window runs now, and where its metering interval is heading, all in kW."""

    id: str
    label: str
    price_per_kw: float
    so_far_kw: float
    planned_kw: float
    heading_kw: float
    until: datetime


def heading_kw(mean_kw: float, now_kw: float, share_over: float) -> float:
    """Return the mean that an interval ends with if power stays as it is; `share_over` (0..1) of it is over."""
    return mean_kw * share_over + now_kw * (1 - share_over)


def new_peaks(demands: Iterable[Demand], depot: Depot, currency: str) -> list[Cause]:
    """Say which demand charge is about to get a peak above this period's and above what the plan foresees."""
    causes = []
    for one in demands:
        kept_kw = max(one.so_far_kw, one.planned_kw)
        more_kw = one.heading_kw - kept_kw
        if more_kw >= NEW_PEAK_KW:
            cost = money(more_kw * one.price_per_kw, currency)
            causes.append(
                Cause(
                    f"peak:{one.id}",
                    "warning",
                    tr(
                        "A new demand peak is about to be set: {heading_kw}",
                        heading_kw=kw(round(one.heading_kw)),
                    ),
                    tr(
                        "{label}: {kept_kw} is the peak so far or planned. If the site draws as now until "
                        "{until}, this period costs {cost} more.",
                        label=one.label,
                        kept_kw=kw(round(kept_kw)),
                        until=local_time(one.until, depot),
                        cost=cost,
                    ),
                )
            )
    return causes


def stale_vehicles(facts: Iterable[Facts], vehicles: Iterable[Vehicle], now: datetime) -> list[Cause]:
    """Name in one alert the vehicles whose charge should be known, by plug or by telematics, and is old."""
    plugged = {one.vehicle.pk for one in facts if one.vehicle is not None and one.stay is not None}
    silent = []
    for vehicle in vehicles:
        state = getattr(vehicle, "state", None)
        told = vehicle.pk in plugged or (state and state.soc_source == VehicleState.Source.TELEMATICS)
        if told and (state is None or now - state.soc_observed_at > STALE_SOC):
            silent.append(vehicle.name)
    if not silent:
        return []
    more = tr(" and {count} more", count=len(silent) - NAMED) if len(silent) > NAMED else ""
    number = tr("1 vehicle was") if len(silent) == 1 else tr("{silent} vehicles were", silent=len(silent))
    return [
        Cause(
            "telemetry:vehicles",
            "warning",
            tr("The charge of {number} last heard of over two hours ago", number=number),
            tr(
                "{silent}{more}. Check the telematics and the chargers' meter values.",
                silent=", ".join(silent[:NAMED]),
                more=more,
            ),
        )
    ]


def stale_forecasts(newest: Mapping[str, datetime], depot: Depot, now: datetime) -> list[Cause]:
    """Name the kinds of forecast (by label) that are made every hour and were not for three."""
    return [
        Cause(
            f"forecast:{label[:60]}",
            "warning",
            tr("The forecast of {label} is from {at}", label=label.lower(), at=local_time(at, depot)),
            tr("Plans go on with it. Look for failed background work."),
        )
        for label, at in newest.items()
        if now - at > OLD_FORECAST
    ]
