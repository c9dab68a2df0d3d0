"""One tile of the live board: what a connector does, with which vehicle, whether that is enough, and why.

Nothing here asks the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from charging.models import Charger, Connector
from charging.selectors.lanes import MOVING_KW, Reason
from charging.selectors.links import is_linked
from charging.selectors.readiness import STALE_SOC, Readiness, reaches
from depot.models import Depot
from depot.templatetags.depot_pages import kw, local_moment, local_time, percent
from depot.timegrid import TimeGrid
from depot.words import tr
from fleet.models import Vehicle

State = Literal["charging", "discharging", "waiting", "away", "free", "fault", "offline"]
STALE_POWER = timedelta(minutes=2)
SETTLING = timedelta(minutes=3)
"""How long a charger may take to do what a new span of the plan wants."""
NOTABLE_KW = 1.0
FULL = 0.01


@dataclass(frozen=True, slots=True)
class Stay:
    """An open session: since when, and the newest sample of its power (+ into the vehicle) in kW."""

    since: datetime
    power_kw: float | None = None
    sampled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one connector: who is or parks there, its session, its next pull-out, the plan."""

    connector: Connector
    vehicle: Vehicle | None = None
    stay: Stay | None = None
    elsewhere: str = ""
    """The sentence that the vehicle that parks here stands at another connector; `vehicle` is None then."""
    away_on: str = ""
    back_at: datetime | None = None
    pull_out: Readiness | None = None
    planned: Reason | None = None
    ready_at: datetime | None = None
    order: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """What a tile says; two that are equal look alike but for the ages of their values."""

    pk: int
    place: str
    row: int | None
    bay: int | None
    vehicle: str
    plugged_in: bool
    state: State
    word: str
    soc: float | None
    soc_at: datetime | None
    soc_stale: bool
    power_kw: float | None
    power_at: datetime | None
    power_stale: bool
    readiness: str
    leaves_at: datetime | None
    required_soc: float | None
    leaves_with: float | None
    ready_at: datetime | None
    spare: timedelta | None
    concern: str
    act_by: datetime | None
    why: str
    back_at: datetime | None
    order: str
    rank: int

    @property
    def soc_words(self) -> str:
        """Return the charge and what it must be, in words."""
        needs = (
            ""
            if self.required_soc is None
            else tr(", needs {required_soc}", required_soc=percent(self.required_soc))
        )
        return tr("{soc} charged{needs}", soc=percent(self.soc), needs=needs)

    @property
    def charge_words(self) -> str:
        """Return the charge with which it leaves, where a plan tells, and what it needs; said after the time."""
        needs = percent(self.required_soc)
        if self.leaves_with is None:
            return tr(", needs {required_soc}", required_soc=needs)
        return tr(" with {has}, needs {needs}", has=percent(self.leaves_with), needs=needs)

    @property
    def spare_words(self) -> str:
        """Say how long before it leaves it has what it needs."""
        return "" if self.spare is None else tr("{spare} to spare", spare=in_hours(self.spare))

    @property
    def urgency(self) -> tuple[int, float, str]:
        """Return the key to sort by: the worst first, then who must be helped or leaves first."""
        at = self.act_by or self.leaves_at
        return self.rank, at.timestamp() if at else float("inf"), self.place

    @property
    def yard(self) -> tuple[int, int, str]:
        """Return the key of its place in the yard; who has none comes last."""
        return self.row or 1_000_000, self.bay or 0, self.place


def tile_of(facts: Facts, now: datetime) -> Tile:
    """Say all of one connector that is worth a glance."""
    connector, stay, pull_out = facts.connector, facts.stay, facts.pull_out
    state, word = _state(facts, now)
    vehicle_state = getattr(facts.vehicle, "state", None)
    concern = _concern(facts, now)
    sampled_at = stay.sampled_at if stay else None
    leaves_at = pull_out.duty.pull_out_at if pull_out else None
    sure = pull_out is not None and pull_out.sure
    return Tile(
        pk=connector.pk,
        place=str(connector),
        row=connector.yard_row,
        bay=connector.yard_place,
        vehicle=facts.vehicle.name if facts.vehicle else "",
        plugged_in=stay is not None,
        state=state,
        word=word,
        soc=vehicle_state.soc if vehicle_state else None,
        soc_at=vehicle_state.soc_observed_at if vehicle_state else None,
        soc_stale=bool(vehicle_state and now - vehicle_state.soc_observed_at > STALE_SOC),
        power_kw=stay.power_kw if stay else None,
        power_at=sampled_at,
        power_stale=sampled_at is not None and now - sampled_at > STALE_POWER,
        readiness=pull_out.state if pull_out else "",
        leaves_at=leaves_at,
        required_soc=pull_out.required_soc if pull_out else None,
        leaves_with=pull_out.soc_at_departure if pull_out and pull_out.state != "at_risk" else None,
        ready_at=facts.ready_at if sure and facts.ready_at and facts.ready_at > now else None,
        spare=_spare(leaves_at, facts.ready_at) if sure else None,
        concern=concern,
        act_by=pull_out.act_by if pull_out else None,
        why=_why(facts, state, concern),
        back_at=facts.back_at if stay is None else None,
        order=facts.order,
        rank=_rank(facts, state, concern),
    )


def _state(facts: Facts, now: datetime) -> tuple[State, str]:
    """Return the state that the charger shows, in a word."""
    connector, charger, stay = facts.connector, facts.connector.charger, facts.stay
    if charger.admission != Charger.Admission.ACCEPTED:
        return "offline", tr("Not accepted")
    if not is_linked(charger, now):
        return "offline", tr("Offline") if charger.booted_at else tr("Never connected")
    if connector.status == Connector.Status.FAULTED:
        return "fault", tr("Fault")
    if connector.status == Connector.Status.UNAVAILABLE:
        return "offline", tr("Out of service")
    if stay is not None:
        return _flow(facts, stay.power_kw)
    if connector.status == Connector.Status.OCCUPIED:
        return "waiting", tr("Plugged in")
    if facts.away_on:
        return "away", tr("Away")
    return "free", tr("Not plugged in") if facts.vehicle else tr("Free")


def _flow(facts: Facts, power_kw: float | None) -> tuple[State, str]:
    if power_kw is None:
        return "waiting", tr("Plugged in")
    if abs(power_kw) >= MOVING_KW:
        return ("charging", tr("Charging")) if power_kw > 0 else ("discharging", tr("Discharging"))
    return "waiting", tr("Full") if is_full(facts.vehicle) else tr("Waiting")


def is_full(vehicle: Vehicle | None) -> bool:
    """Tell whether a vehicle takes no more."""
    state = getattr(vehicle, "state", None)
    return vehicle is not None and state is not None and state.soc >= vehicle.type.max_soc - FULL


def _concern(facts: Facts, now: datetime) -> str:
    """Say what needs somebody: the pull-out first, then the charger, then a vehicle that does not follow."""
    charger, pull_out = facts.connector.charger, facts.pull_out
    if pull_out is not None and not pull_out.sure:
        return pull_out.reason
    if charger.admission != Charger.Admission.ACCEPTED:
        return tr(
            "Station {identity} is {admission}: it gets no schedule.",
            identity=charger.identity,
            admission=charger.admission,
        )
    if not is_linked(charger, now) and charger.booted_at:
        safe = (
            tr(" It keeps to its safe level of {fallback_kw}.", fallback_kw=kw(charger.fallback_kw))
            if facts.stay
            else ""
        )
        return tr(
            "The charger does not answer; last heard of {last_seen_at}.{safe}",
            last_seen_at=local_moment(charger.last_seen_at, charger.depot),
            safe=safe,
        )
    if is_linked(charger, now) and facts.connector.status == Connector.Status.FAULTED:
        return tr("The charger reports a fault.")
    if charger.strays_since is not None:
        return tr("The charger does not follow its schedule; it is planned around.")
    return stalled(facts, now)


def stalled(facts: Facts, now: datetime) -> str:
    """Say that a vehicle takes or gives nothing though the plan wants it to; "" when it does, or may not yet."""
    stay, planned = facts.stay, facts.planned
    if stay is None or planned is None or stay.sampled_at is None or stay.power_kw is None:
        return ""
    settled = max(planned.from_at, stay.since) + SETTLING
    if now - stay.sampled_at > STALE_POWER or stay.sampled_at < settled or is_full(facts.vehicle):
        return ""
    wanted_kw = planned.power_kw
    if abs(wanted_kw) < NOTABLE_KW or stay.power_kw * wanted_kw > MOVING_KW**2:
        return ""
    if wanted_kw > 0:
        return tr(
            "The plan charges it with {wanted_kw} now, but it takes {power_kw}.",
            wanted_kw=kw(wanted_kw),
            power_kw=kw(max(stay.power_kw, 0.0)),
        )
    return tr(
        "The plan discharges it with {wanted_kw} now, but it gives {power_kw}.",
        wanted_kw=kw(-wanted_kw),
        power_kw=kw(max(-stay.power_kw, 0.0)),
    )


def _why(facts: Facts, state: State, concern: str) -> str:
    """Say why it does what it does, where the concern does not say it already."""
    if facts.stay is None:
        return facts.elsewhere or (
            tr("On block {away_on}.", away_on=facts.away_on) if facts.away_on and not concern else ""
        )
    if facts.vehicle is None:
        return tr("A vehicle that did not name itself; it is not planned.")
    if facts.order:
        return tr("Ordered: {order}.", order=facts.order)
    if state == "offline":
        return ""
    return (
        "" if facts.planned is None else _planned_words(facts.planned, state, facts.connector.charger.depot)
    )


def _planned_words(planned: Reason, state: State, depot: Depot) -> str:
    """Return the plan's reason; what is planned before it, where the charger shows something else."""
    if planned.state in (state, "away"):
        return planned.because
    power = (
        tr(" with {power_kw}", power_kw=kw(abs(planned.power_kw)))
        if planned.state in ("charging", "discharging")
        else ""
    )
    return tr(
        "Planned: {state}{power} until {to_at}. {because}",
        state=planned.state,
        power=power,
        to_at=local_time(planned.to_at, depot),
        because=planned.because,
    )


def _spare(leaves_at: datetime | None, ready: datetime | None) -> timedelta | None:
    return leaves_at - ready if leaves_at is not None and ready is not None else None


def _rank(facts: Facts, state: State, concern: str) -> int:
    """Return how urgent a tile is, 0 first."""
    pull_out = facts.pull_out
    if pull_out is not None and not pull_out.sure:
        return 0 if pull_out.state == "will_miss" else 1
    if concern:
        return 2 if facts.stay is not None else 3
    if state in ("away", "free"):
        return 6
    if pull_out is None:
        return 5
    return 4


def ready_at(
    grid: TimeGrid, soc: list[float], required_soc: float, now: datetime, leaves_at: datetime
) -> datetime | None:
    """Return from when on a planned SoC (one value per boundary) stays enough until the vehicle leaves.

    None when it is not enough at the end, or the plan does not reach that far; `now` when it is enough already.
    """
    if not grid.start_at <= leaves_at <= grid.end_at:
        return None
    first = grid.boundary_of(now, "pull_out")
    last = grid.boundary_of(leaves_at, "pull_out")
    boundary = last + 1
    while boundary > first and reaches(soc[boundary - 1], required_soc):
        boundary -= 1
    if boundary > last:
        return None
    return max(now, grid.time_of(boundary)) if boundary > first else now


def in_hours(span: timedelta) -> str:
    """Write a span as hours and minutes: 1 h 25 min."""
    hours, minutes = divmod(int(span.total_seconds() // 60), 60)
    return " ".join(
        [*([f"{hours} h"] if hours else []), *([f"{minutes} min"] if minutes or not hours else [])]
    )
