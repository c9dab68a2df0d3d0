"""What the site draws right now, against its limit and its peaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import Count, OuterRef, Subquery

from billing.selectors.prices import Prices, prices_for
from charging.models import Charger, ChargingSession, MeterSample, Plan
from charging.selectors.links import linked
from charging.selectors.timeline import PeakSoFar, told_peak
from depot.models import Depot, ElectricalNode, InterconnectionAgreement, Meter, MeterReading, Quality
from depot.templatetags.depot_pages import percent
from depot.timegrid import TimeGrid, floor_to_step
from depot.words import tr

STALE = timedelta(minutes=2)
SILENT = timedelta(minutes=5)
"""A vehicle whose charger has not measured for longer is not counted: nobody knows what it draws now."""
PRICED_S = 900


@dataclass(frozen=True, slots=True)
class Live:
    """A power in kW, when it was measured, and whether that is too long ago to be called now."""

    power_kw: float
    observed_at: datetime
    stale: bool


@dataclass(frozen=True, slots=True)
class Silent:
    """How many vehicles at a plug are not counted in a power, and when the last of them was measured."""

    vehicles: int
    heard_at: datetime | None


NOBODY = Silent(0, None)


@dataclass(frozen=True, slots=True)
class SiteNow:
    """Live powers (None where nothing measures it), limits, peaks of this month, and chargers.

    `silent` are the vehicles whose power is not in `vehicles`, because it was measured too long ago.
    """

    net: Live | None
    building: Live | None
    solar: Live | None
    vehicles: Live | None
    import_limit_kw: float
    export_limit_kw: float
    peaks: list[PeakSoFar]
    connected: int
    chargers: int
    metered: bool
    """Whether any meter has ever reported."""
    silent: Silent = NOBODY

    @property
    def exporting(self) -> bool:
        return self.net is not None and self.net.power_kw < 0

    @property
    def level(self) -> float | None:
        """Return the share (0..1) of the limit that is used, of import or of export; None when nobody knows now."""
        if self.net is None or self.net.stale:
            return None
        limit_kw = self.export_limit_kw if self.exporting else self.import_limit_kw
        return abs(self.net.power_kw) / limit_kw if limit_kw else None

    @property
    def level_words(self) -> str:
        """Return the level in words."""
        if self.exporting:
            return tr("{level} of the export limit", level=percent(self.level))
        return tr("{level} of the import limit", level=percent(self.level))

    @property
    def parts(self) -> list[tuple[str, Live | None, int]]:
        """Return what the net power is made of: its name, the power, and of how many vehicles it says nothing."""
        return [
            (tr("Building"), self.building, 0),
            (tr("Solar"), self.solar, 0),
            (tr("Vehicles"), self.vehicles, self.silent.vehicles),
        ]


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """The most power that may flow in and out at the grid connection, in kW."""

    import_kw: float
    export_kw: float


def site_limits(depot: Depot) -> SiteLimits:
    """Return what the grid connection and its agreement allow now, from two queries."""
    connection = depot.nodes.filter(kind=ElectricalNode.Kind.GRID).first()
    agreement = InterconnectionAgreement.objects.filter(depot=depot).first()
    if connection is None:
        return SiteLimits(0.0, 0.0)
    allowed = agreement.allowed_export_kw if agreement else 0.0
    return SiteLimits(connection.import_limit_kw, min(connection.export_limit_kw, allowed))


def site_now(depot: Depot, now: datetime, plan: Plan | None) -> SiteNow:
    """Return the site as last measured; in a fixed number of queries."""
    meters = _meters(depot, now)
    vehicles, silent = _vehicles(depot, now)
    net, solar = meters.get(Meter.Kind.GRID), meters.get(Meter.Kind.SOLAR)
    building = meters.get(Meter.Kind.BUILDING) or (None if silent.vehicles else _rest(net, solar, vehicles))
    limits = site_limits(depot)
    chargers = Charger.objects.filter(depot=depot).aggregate(
        all=Count("pk"), connected=Count("pk", filter=linked(now))
    )
    return SiteNow(
        net=net,
        building=building,
        solar=solar,
        vehicles=vehicles,
        import_limit_kw=limits.import_kw,
        export_limit_kw=limits.export_kw,
        peaks=_peaks(depot, now, plan),
        connected=chargers["connected"],
        chargers=chargers["all"],
        metered=bool(meters),
        silent=silent,
    )


def _meters(depot: Depot, now: datetime) -> dict[str, Live]:
    """Return the power of each kind of meter; a reading that is suspect tells nothing."""
    readings = MeterReading.objects.filter(meter=OuterRef("pk"), observed_at__lte=now)
    newest = readings.exclude(quality=Quality.SUSPECT).order_by("-observed_at")
    rows = Meter.objects.filter(depot=depot).annotate(
        observed_at=Subquery(newest.values("observed_at")[:1]),
        power_kw=Subquery(newest.values("power_kw")[:1]),
    )
    found: dict[str, list[tuple[datetime, float]]] = {}
    for kind, at, power_kw in rows.values_list("kind", "observed_at", "power_kw"):
        if at is not None:
            found.setdefault(kind, []).append((at, power_kw))
    return {kind: _sum(values, now) for kind, values in found.items()}


def _vehicles(depot: Depot, now: datetime) -> tuple[Live | None, Silent]:
    """Return the power of all vehicles at a plug, and who is not counted; of each the newest sample counts."""
    newest = MeterSample.objects.filter(session=OuterRef("pk"), sampled_at__lte=now).order_by("-sampled_at")
    sessions = ChargingSession.objects.filter(connector__charger__depot=depot, unplugged_at__isnull=True)
    rows = sessions.annotate(
        at=Subquery(newest.values("sampled_at")[:1]), power_kw=Subquery(newest.values("power_kw")[:1])
    ).values_list("at", "power_kw")
    values = [(at, power_kw) for at, power_kw in rows if at is not None]
    live = [(at, power_kw) for at, power_kw in values if now - at <= SILENT]
    heard = [at for at, _ in values if now - at > SILENT]
    return _sum(live, now) if live else None, Silent(len(heard), max(heard, default=None))


def _sum(values: Iterable[tuple[datetime, float]], now: datetime) -> Live:
    pairs = list(values)
    oldest_at = min(at for at, _ in pairs)
    return Live(sum(power_kw for _, power_kw in pairs), oldest_at, now - oldest_at > STALE)


def _rest(net: Live | None, solar: Live | None, vehicles: Live | None) -> Live | None:
    """Return what is left for the building where no meter counts it."""
    if net is None:
        return None
    power_kw = net.power_kw + (solar.power_kw if solar else 0.0) - (vehicles.power_kw if vehicles else 0.0)
    return Live(power_kw, net.observed_at, net.stale)


def _peaks(depot: Depot, now: datetime, plan: Plan | None) -> list[PeakSoFar]:
    """Return the month's demand peaks, and what the plan makes of them."""
    prices = prices_now(depot, now)
    planned = plan.answer["demand_peaks"] if plan else {}
    charges = {charge["id"]: charge for charge in plan.case["demand_charges"]} if plan else {}
    found = []
    for charge in prices.demand_charges:
        so_far = float(charge["billed_kw_so_far"][charge["period"][0]])
        ahead = float(planned.get(charge["id"], [so_far])[0])
        label = prices.demand_labels[charge["id"]]
        planned_charge = charges.get(charge["id"])
        told = told_peak(plan, planned_charge)[1:] if plan and planned_charge else (0.0, "")
        found.append(PeakSoFar(label, charge["price_per_kw"], so_far, max(so_far, ahead), *told))
    return found


def prices_now(depot: Depot, now: datetime) -> Prices:
    """Return the coming day's prices; a peak only changes when an interval closes, so they are kept for a step."""
    start_at = floor_to_step(now, depot.step_minutes)
    key = f"prices-now:{depot.pk}:{start_at.timestamp():.0f}"
    found: Prices | None = cache.get(key)
    if found is None:
        found = prices_for(depot, TimeGrid(start_at, depot.step_minutes, 24 * 60 // depot.step_minutes), now)
        cache.set(key, found, PRICED_S)
    return found
