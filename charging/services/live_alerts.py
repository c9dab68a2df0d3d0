"""Watch what happens now, every few minutes: vehicles, plugs, the site's power and the sources of data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import Max

from billing.selectors.prices import Prices
from charging.models import ChargingSession, MeterSample
from charging.selectors import board_concerns as concerns
from charging.selectors.board import facts_of
from charging.selectors.board_tile import Facts
from charging.selectors.peak_room import mean_import_kw
from charging.selectors.plans import latest_plan, running_plan
from charging.selectors.site_now import SiteNow, prices_now, site_now
from depot.alerts import sync
from depot.alerts.services import Cause
from depot.models import Alert, Depot, Forecast
from depot.services.meter_sources import watch_meters
from depot.timegrid import floor_to_step
from fleet.models import Vehicle
from fleet.selectors.duties import duties

LOOK_BACK = timedelta(hours=12)


def watch_live(depot: Depot, now: datetime) -> None:
    """Open and clear the alerts on what is measured now."""
    plan = latest_plan(depot, now)
    facts, _ = facts_of(depot, now, plan)
    sync(depot, "fault:", concerns.faults(facts, now))
    sync(depot, "interrupted:", _interrupted(facts, now))
    sync(depot, "unplugged:", _unplugged(depot, facts, now))
    site = site_now(depot, now, running_plan(depot, now))
    sync(depot, "limit:", _limits(depot, site))
    sync(depot, "peak:", concerns.new_peaks(_demands(depot, site, now), depot, depot.currency))
    vehicles = Vehicle.objects.filter(depot=depot, active=True).select_related("state").order_by("name")
    sync(depot, "telemetry:", concerns.stale_vehicles(facts, vehicles, now))
    watch_meters(depot, now)
    sync(depot, "forecast:", concerns.stale_forecasts(_last_forecasts(depot, now), depot, now))


def _interrupted(facts: Sequence[Facts], now: datetime) -> list[Cause]:
    suspects = concerns.should_charge(facts, now)
    recent = MeterSample.objects.filter(
        session__connector__in=[one.connector.pk for one in suspects],
        session__unplugged_at__isnull=True,
        sampled_at__gte=now - concerns.INTERRUPTED_FOR,
        sampled_at__lte=now,
    )
    most = recent.values("session__connector").annotate(most_kw=Max("power_kw"))
    return concerns.interrupted(suspects, dict(most.values_list("session__connector", "most_kw")), now)


def _unplugged(depot: Depot, facts: Sequence[Facts], now: datetime) -> list[Cause]:
    waiting = concerns.not_plugged_in(facts, now)
    if not waiting:
        return []
    ended = ChargingSession.objects.filter(vehicle__in=waiting, unplugged_at__range=(now - LOOK_BACK, now))
    latest = ended.values("vehicle").annotate(at=Max("unplugged_at")).values_list("vehicle", "at")
    left = {
        duty.vehicle.pk: duty.pull_out_at
        for duty in duties(depot, now - LOOK_BACK, now)
        if duty.vehicle is not None and duty.pull_out_at <= now
    }
    return concerns.unplugged(waiting, dict(latest), left, depot, now)


def _limits(depot: Depot, site: SiteNow) -> list[Cause]:
    net_kw = site.net.power_kw if site.net is not None and not site.net.stale else None
    return concerns.near_limits(
        net_kw, site.import_limit_kw, site.export_limit_kw, _open_keys(depot, "limit:")
    )


def _open_keys(depot: Depot, prefix: str) -> Collection[str]:
    rows = Alert.objects.filter(depot=depot, key__startswith=prefix, cleared_at__isnull=True)
    return set(rows.values_list("key", flat=True))


def _demands(depot: Depot, site: SiteNow, now: datetime) -> list[concerns.Demand]:
    """Return the demand charges that count now, with where their metering interval is heading."""
    if site.net is None or site.net.stale:
        return []
    prices: Prices = prices_now(depot, now)
    found = []
    for charge, peak in zip(prices.demand_charges, site.peaks, strict=True):
        if not charge["window"][0]:  # the prices begin with the running step
            continue
        minutes = charge.get("metering_minutes", depot.step_minutes)
        start_at = floor_to_step(now, minutes)
        share = (now - start_at) / timedelta(minutes=minutes)
        mean_kw = mean_import_kw(depot, start_at, now)
        now_kw = max(site.net.power_kw, 0.0)
        found.append(
            concerns.Demand(
                id=charge["id"],
                label=peak.name,
                price_per_kw=peak.price_per_kw,
                so_far_kw=peak.so_far_kw,
                planned_kw=peak.planned_kw,
                heading_kw=concerns.heading_kw(now_kw if mean_kw is None else mean_kw, now_kw, share),
                until=start_at + timedelta(minutes=minutes),
            )
        )
    return found


def _last_forecasts(depot: Depot, now: datetime) -> dict[str, datetime]:
    rows = Forecast.objects.filter(depot=depot, made_at__lte=now).values("kind").annotate(at=Max("made_at"))
    return {Forecast.Kind(kind).label: at for kind, at in rows.values_list("kind", "at")}
