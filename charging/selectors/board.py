"""The live board: a tile for every connector of a depot, from a fixed number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from django.db.models import OuterRef, Subquery

from charging.models import ChargingSession, Connector, MeterSample, Plan
from charging.selectors.board_tile import Facts, State, Stay, Tile, ready_at, tile_of
from charging.selectors.lanes import Reason, reason_now
from charging.selectors.overrides import overrides_in_force
from charging.selectors.plans import grid_of, latest_plan
from charging.selectors.readiness import HORIZON, JUST_BACK, Readiness, judged
from charging.selectors.timeline import timeline
from depot.models import Depot
from depot.templatetags.depot_pages import kw
from depot.words import mark, tr, trn
from fleet.models import Vehicle
from fleet.selectors.duties import Duty, duties

Sort = Literal["urgency", "yard"]


FLOWS: dict[State, str] = {
    "charging": mark("{count} charging with {power}"),
    "discharging": mark("{count} discharging with {power}"),
}


@dataclass(frozen=True, slots=True)
class Board:
    """All tiles, and the pull-outs in doubt whose vehicle is on none of them."""

    tiles: list[Tile]
    loose: list[Readiness]

    def sorted(self, by: Sort) -> list[Tile]:
        """Return the tiles by urgency, or row by row as in the yard."""
        return sorted(self.tiles, key=lambda tile: tile.yard if by == "yard" else tile.urgency)

    @property
    def sentence(self) -> str:
        """Say how many vehicles are here, what they do, and how many things need somebody."""
        here = Counter(tile.state for tile in self.tiles if tile.plugged_in)
        flows = [
            tr(words, count=here[state], power=kw(round(self._power_kw(state))))
            for state, words in FLOWS.items()
            if here[state]
        ]
        rest = here.total() - here["charging"] - here["discharging"]
        doing = [*flows, *([tr("{rest} waiting", rest=rest)] if rest else [])]
        needy = sum(bool(tile.concern) for tile in self.tiles) + len(self.loose)
        need = trn("{count} needs you", "{count} need you", needy) if needy else tr("nothing needs you")
        plugged = tr(
            "{total} of {tiles} connectors have a vehicle", total=here.total(), tiles=len(self.tiles)
        )
        return f"{plugged}{': ' if doing else ''}{', '.join(doing)}; {need}."

    def _power_kw(self, state: str) -> float:
        return abs(sum(tile.power_kw or 0.0 for tile in self.tiles if tile.state == state))


def board(depot: Depot, now: datetime) -> Board:
    """Return the board as it is at `now`."""
    facts, rows = facts_of(depot, now, latest_plan(depot, now))
    on_board = {one.vehicle.pk for one in facts if one.vehicle is not None}
    on_board |= {one.connector.vehicle_id for one in facts if one.connector.vehicle_id is not None}
    loose = [row for row in rows if not row.sure and (row.vehicle is None or row.vehicle.pk not in on_board)]
    return Board([tile_of(one, now) for one in facts], loose)


@dataclass(frozen=True, slots=True)
class Known:
    """What the queries of one look at the depot gave, by connector or by vehicle."""

    now: datetime
    plan: Plan | None
    visits: dict[int, ChargingSession]
    stands: dict[int, str]
    pull_outs: dict[int, Readiness]
    out: dict[int, Duty]
    reasons: dict[int, Reason]
    orders: dict[int, str]

    def facts(self, connector: Connector) -> Facts:
        """Put together what concerns one connector."""
        visit, vehicle = self.visits.get(connector.pk), connector.vehicle
        if visit is not None:
            known = Facts(connector, visit.vehicle, _stay(visit))
            return self._with_plan(known, visit.vehicle) if visit.vehicle else known
        if vehicle is None:
            return Facts(connector)
        if vehicle.pk in self.stands:
            return Facts(
                connector,
                elsewhere=tr(
                    "{vehicle} parks here; it stands at {stands}.",
                    vehicle=vehicle,
                    stands=self.stands[vehicle.pk],
                ),
            )
        return self._with_plan(Facts(connector, vehicle), vehicle)

    def _with_plan(self, known: Facts, vehicle: Vehicle) -> Facts:
        pull_out, duty = self.pull_outs.get(vehicle.pk), self.out.get(vehicle.pk)
        return replace(
            known,
            away_on=duty.block.block_id if duty else "",
            back_at=duty.pull_in_at if duty else None,
            pull_out=pull_out,
            planned=self.reasons.get(vehicle.pk),
            ready_at=_ready_at(self.plan, pull_out, self.now) if pull_out else None,
            order=self.orders.get(vehicle.pk, ""),
        )


def facts_of(depot: Depot, now: datetime, plan: Plan | None) -> tuple[list[Facts], list[Readiness]]:
    """Return what is known of every connector, and all coming pull-outs by the latest plan."""
    connectors = _connectors(depot)
    visits = {visit.connector_id: visit for visit in _visits(depot, now)}
    coming = duties(depot, now - JUST_BACK, now + HORIZON)
    homes = {row.vehicle_id: row for row in connectors if row.vehicle_id is not None}
    rows = judged(coming, homes, plan, now)
    names = {row.pk: str(row) for row in connectors}
    under_way = [duty for duty in coming if duty.pull_out_at <= now < duty.pull_in_at]
    known = Known(
        now=now,
        plan=plan,
        visits=visits,
        stands={visit.vehicle_id: names[pk] for pk, visit in visits.items() if visit.vehicle_id},
        pull_outs=_by_vehicle(rows),
        out={duty.vehicle.pk: duty for duty in under_way if duty.vehicle is not None},
        reasons=_reasons(plan, depot, now),
        orders={order.vehicle_id: order.in_words() for order in overrides_in_force(depot, now)},
    )
    return [known.facts(connector) for connector in connectors], rows


def _connectors(depot: Depot) -> list[Connector]:
    rows = Connector.objects.filter(charger__depot=depot)
    rows = rows.select_related("charger", "vehicle__type", "vehicle__state")
    connectors = list(rows.order_by("charger__name", "evse_id", "connector_id"))
    for connector in connectors:
        connector.charger.depot = depot
    return connectors


def _visits(depot: Depot, now: datetime) -> list[ChargingSession]:
    """Return the open sessions, each with its newest sample's power and time."""
    newest = MeterSample.objects.filter(session=OuterRef("pk"), sampled_at__lte=now).order_by("-sampled_at")
    sessions = ChargingSession.objects.filter(connector__charger__depot=depot, unplugged_at__isnull=True)
    return list(
        sessions.select_related("vehicle__type", "vehicle__state").annotate(
            power_kw=Subquery(newest.values("power_kw")[:1]),
            sampled_at=Subquery(newest.values("sampled_at")[:1]),
        )
    )


def _stay(visit: ChargingSession | None) -> Stay | None:
    if visit is None:
        return None
    return Stay(visit.plugged_in_at, visit.power_kw, visit.sampled_at)  # type: ignore[attr-defined]


def _by_vehicle(rows: Iterable[Readiness]) -> dict[int, Readiness]:
    """Return the pull-out of each vehicle that matters most: the first in doubt, else the first."""
    found: dict[int, Readiness] = {}
    for row in rows:
        if row.vehicle is None:
            continue
        known = found.get(row.vehicle.pk)
        if known is None or (known.sure and not row.sure):
            found[row.vehicle.pk] = row
    return found


def _reasons(plan: Plan | None, depot: Depot, now: datetime) -> dict[int, Reason]:
    """Return by vehicle what the plan says it does now; nothing from a plan that has ended."""
    if plan is None or grid_of(plan).end_at <= now:
        return {}
    line = timeline(plan, depot, now)
    told = {int(row["id"]): reason_now(line, row) for row in plan.case["vehicles"]}
    return {pk: reason for pk, reason in told.items() if reason is not None}


def _ready_at(plan: Plan | None, pull_out: Readiness, now: datetime) -> datetime | None:
    row = plan.answer["vehicles"].get(str(pull_out.vehicle.pk)) if plan and pull_out.vehicle else None
    if plan is None or row is None:
        return None
    return ready_at(grid_of(plan), row["soc"], pull_out.required_soc, now, pull_out.duty.pull_out_at)
