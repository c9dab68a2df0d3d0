"""Several depots in a row each: who will be ready, power, money and alerts; the same queries however many there are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import F, FloatField, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Cast

from billing.models import Interval, SavingsStatement
from charging.models import Connector, Plan
from charging.selectors.readiness import HORIZON, JUST_BACK, Outlook, Readiness, judged
from charging.selectors.site_now import STALE
from depot.alerts.kinds import of_role
from depot.models import Alert, Depot, ElectricalNode, Membership, Meter, MeterReading, Quality
from depot.timegrid import local_day_bounds
from depot.words import tr, trn
from fleet.selectors.duties import duties_of_depots

ATTENDED = Q(acknowledged_at__isnull=False)
STATES = ("will_miss", "at_risk", "on_track", "ready")


@dataclass(frozen=True, slots=True)
class Power:
    """What a depot draws (below zero: exports), when it was measured, and whether that is too long ago."""

    kw: float
    observed_at: datetime
    stale: bool


@dataclass(frozen=True, slots=True)
class DepotRow:
    """A depot at a glance. Money is None where nothing is billed yet; `worst` is the level of its worst alert."""

    depot: Depot
    outlook: Outlook
    power: Power | None
    limit_kw: float
    cost_today: float | None
    saved: Decimal | None
    alerts: int
    worst: str

    @property
    def counts(self) -> list[tuple[str, int]]:
        """Return the states of its pull-outs that occur, the worst first."""
        counts: Mapping[str, int] = self.outlook.counts  # type: ignore[assignment]
        return [(state, counts[state]) for state in STATES if counts[state]]

    @property
    def level(self) -> float | None:
        """Return the share (0..1) of the import limit that is drawn; None while exporting, or when nobody knows."""
        if self.power is None or self.power.stale or self.power.kw < 0 or not self.limit_kw:
            return None
        return self.power.kw / self.limit_kw


def portfolio(user: Any, depots: Sequence[Depot], now: datetime) -> list[DepotRow]:
    """Return a row for each depot, in their order."""
    ids = [depot.pk for depot in depots]
    outlooks = _outlooks(depots, now)
    powers, limits = _powers(ids, now), _limits(ids)
    costs, saved = _costs(depots, now), _saved(depots, now)
    alerts = _alerts(user, ids, now)
    return [
        DepotRow(
            depot=depot,
            outlook=Outlook(outlooks[depot.pk]),
            power=powers.get(depot.pk),
            limit_kw=limits.get(depot.pk, 0.0),
            cost_today=costs.get(depot.pk),
            saved=saved.get(depot.pk),
            alerts=len(alerts[depot.pk]),
            worst=alerts[depot.pk][0].level if alerts[depot.pk] else "",
        )
        for depot in depots
    ]


def portfolio_sentence(rows: Sequence[DepotRow]) -> str:
    """Say how many vehicles will be ready in all depots, and which depots need somebody."""
    sure: Counter[bool] = Counter()
    for row in rows:
        sure.update(row.outlook.vehicles.values())
    needy = [row.depot.name for row in rows if row.outlook.doubtful]
    vehicles = trn("{count} vehicle", "{count} vehicles", sure.total())
    ready = tr(
        "{sure} of {vehicles} in {rows} depots will be ready",
        sure=sure[True],
        vehicles=vehicles,
        rows=len(rows),
    )
    if not sure.total():
        ready = tr("No vehicle leaves any of the {rows} depots in the next 24 hours", rows=len(rows))
    if not needy:
        return f"{ready}."
    more = tr(" and {count} more", count=len(needy) - 2) if len(needy) > 2 else ""
    return tr("{ready}; not sure: {needy}{more}.", ready=ready, needy=", ".join(needy[:2]), more=more)


def _outlooks(depots: Sequence[Depot], now: datetime) -> dict[int, list[Readiness]]:
    ids = [depot.pk for depot in depots]
    coming = duties_of_depots(depots, now - JUST_BACK, now + HORIZON)
    newest = Plan.objects.filter(depot=OuterRef("depot"), made_at__lte=now).order_by("-made_at", "-pk")
    plans = Plan.objects.filter(depot__in=ids, pk=Subquery(newest.values("pk")[:1])).defer("case", "notes")
    by_depot = {plan.depot_id: plan for plan in plans}
    connectors: dict[int, dict[int, Connector]] = defaultdict(dict)
    for row in Connector.objects.filter(charger__depot__in=ids, vehicle__isnull=False).select_related(
        "charger"
    ):
        if row.vehicle_id is not None:
            connectors[row.charger.depot_id][row.vehicle_id] = row
    return {pk: judged(coming[pk], connectors[pk], by_depot.get(pk), now) for pk in ids}


def _powers(ids: Sequence[int], now: datetime) -> dict[int, Power]:
    """Return the newest believed power of each depot's grid meters, in sum."""
    readings = MeterReading.objects.filter(meter=OuterRef("pk"), observed_at__lte=now)
    newest = readings.exclude(quality=Quality.SUSPECT).order_by("-observed_at")
    rows = Meter.objects.filter(depot__in=ids, kind=Meter.Kind.GRID).annotate(
        at=Subquery(newest.values("observed_at")[:1]), power_kw=Subquery(newest.values("power_kw")[:1])
    )
    found: dict[int, Power] = {}
    for depot_id, at, power_kw in rows.values_list("depot_id", "at", "power_kw"):
        if at is None:
            continue
        other = found.get(depot_id)
        oldest = min(at, other.observed_at) if other else at
        found[depot_id] = Power(power_kw + (other.kw if other else 0.0), oldest, now - oldest > STALE)
    return found


def _limits(ids: Sequence[int]) -> dict[int, float]:
    rows = ElectricalNode.objects.filter(depot__in=ids, kind=ElectricalNode.Kind.GRID)
    return dict(rows.values_list("depot_id", "import_limit_kw"))


def _costs(depots: Sequence[Depot], now: datetime) -> dict[int, float]:
    """Return what today's closed intervals cost at their frozen prices; today is each depot's own."""
    midnights = [
        Q(depot=depot.pk, start_at__gte=local_day_bounds(depot.local(now).date(), depot.tz)[0])
        for depot in depots
    ]
    if not midnights:
        return {}
    price, credit = (Cast(f"{way}_price_per_kwh", FloatField()) for way in ("import", "export"))
    cost = F("import_kwh") * price - F("export_kwh") * credit
    rows = Interval.objects.filter(reduce(or_, midnights), start_at__lte=now).order_by()
    sums = rows.values("depot").annotate(cost=Sum(cost, output_field=FloatField()))
    return {row["depot"]: row["cost"] for row in sums if row["cost"] is not None}


def _saved(depots: Sequence[Depot], now: datetime) -> dict[int, Decimal]:
    """Return this month's net saving so far by depot, by the newest statement of each."""
    months = [
        Q(depot=depot.pk, start_at=depot.cycles.bounds(depot.cycles.month_of(now))[0]) for depot in depots
    ]
    if not months:
        return {}
    rows = SavingsStatement.objects.filter(reduce(or_, months)).order_by("revision")
    return dict(rows.values_list("depot_id", "net_saving"))


def _alerts(user: Any, ids: Sequence[int], now: datetime) -> dict[int, list[Alert]]:
    """Return by depot the open alerts nobody sees to that concern the user's role there, the worst first."""
    asleep = Q(snoozed_until__gt=now)
    rows = Alert.objects.filter(depot__in=ids, cleared_at__isnull=True).exclude(ATTENDED | asleep)
    roles: dict[int, str] = {}
    if not user.is_superuser:
        roles = dict(Membership.objects.filter(user=user, depot__in=ids).values_list("depot_id", "role"))
    by_depot: dict[int, list[Alert]] = defaultdict(list)
    for alert in rows.only("depot_id", "key", "level"):
        by_depot[alert.depot_id].append(alert)
    order = (Alert.Level.CRITICAL, Alert.Level.WARNING, Alert.Level.INFO)
    found: dict[int, list[Alert]] = defaultdict(list)
    for pk, alerts in by_depot.items():
        found[pk] = sorted(
            of_role(alerts, roles.get(pk)), key=lambda alert: order.index(Alert.Level(alert.level))
        )
    return found
