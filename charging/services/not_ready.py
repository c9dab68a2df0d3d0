"""Write the not-ready ledger: each pull-out is looked at once, by what was known when it was due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from charging.models import ChargingSession, Connector, NotReady, Plan
from charging.selectors.links import is_linked
from charging.selectors.plans import latest_plan
from charging.selectors.readiness import connectors_of, reaches, shortfall_cause
from depot.models import Depot, Job
from depot.templatetags.depot_pages import percent
from depot.words import tr
from fleet.models import TelemetryReading
from fleet.selectors.duties import Duty, duties
from fleet.selectors.needs import Need, need_of

JOB = "pull-outs"
LONGEST_GAP = timedelta(hours=12)
FRESH_SOC = timedelta(hours=2)
BEFORE = timedelta(hours=24)
Cause = NotReady.Cause


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known of a pull-out when it was due; `last_back` is the vehicle's duty before it."""

    duty: Duty
    soc: float | None
    connector: Connector | None
    session: ChargingSession | None
    plan: Plan | None
    last_back: Duty | None


def recorded_until(depot: Depot, now: datetime) -> datetime:
    """Return the moment up to which pull-outs were looked at; after a long stop only the last 12 hours are."""
    done = Job.objects.filter(depot=depot, kind=JOB, state=Job.State.DONE).order_by("-due_at").first()
    until = (
        datetime.fromisoformat(done.result["until"]) if done and done.result else now - timedelta(minutes=5)
    )
    return max(until, now - LONGEST_GAP)


def record_pull_outs(depot: Depot, since: datetime, now: datetime) -> int:
    """Write the pull-outs of `(since, now]` that were not ready; return how many. An entry is written once."""
    coming = duties(depot, since - BEFORE, now + timedelta(minutes=1))
    due = [duty for duty in coming if since < duty.pull_out_at <= now]
    if not due:
        return 0
    connectors, plan = connectors_of(depot), latest_plan(depot, now)
    last_session = _sessions(depot, since - BEFORE)
    entries = []
    for duty in due:
        vehicle_id = duty.vehicle.pk if duty.vehicle else 0
        before = [one for one in coming if one.vehicle == duty.vehicle and one.pull_out_at < duty.pull_out_at]
        seen = Seen(
            duty,
            _soc_at(duty),
            connectors.get(vehicle_id),
            last_session.get(vehicle_id),
            plan,
            before[-1] if before else None,
        )
        entry = _entry(depot, seen, now)
        if entry is not None:
            entries.append(entry)
    known = set(
        NotReady.objects.of_depot(depot)
        .filter(duty_key__in=[row.duty_key for row in entries])
        .values_list("duty_key", flat=True)
    )
    new = [row for row in entries if row.duty_key not in known]
    NotReady.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def _sessions(depot: Depot, since: datetime) -> dict[int, ChargingSession]:
    """Return by vehicle id the last session that was open at some moment since `since`."""
    rows = ChargingSession.objects.filter(connector__charger__depot=depot, vehicle__isnull=False)
    rows = rows.exclude(unplugged_at__lt=since).order_by("plugged_in_at")
    return {row.vehicle_id: row for row in rows if row.vehicle_id is not None}


def _soc_at(duty: Duty) -> float | None:
    """Return the vehicle's last SoC before its pull-out, if it is not older than two hours."""
    if duty.vehicle is None:
        return None
    readings = TelemetryReading.objects.filter(
        vehicle=duty.vehicle,
        soc__isnull=False,
        observed_at__range=(duty.pull_out_at - FRESH_SOC, duty.pull_out_at),
        quality=TelemetryReading.Quality.GOOD,
    )
    found = readings.order_by("-observed_at").values_list("soc", flat=True).first()
    if found is not None:
        return float(found)
    state = getattr(duty.vehicle, "state", None)
    at = duty.pull_out_at
    fresh = state is not None and at - FRESH_SOC <= state.soc_observed_at <= at
    return float(state.soc) if state is not None and fresh else None


def _entry(depot: Depot, seen: Seen, now: datetime) -> NotReady | None:
    """Return the entry of a pull-out, or None when its vehicle was ready."""
    duty, vehicle = seen.duty, seen.duty.vehicle
    need = need_of(duty, vehicle) if vehicle else None
    found = _cause(seen, need)
    if found is None:
        return None
    cause, because = found
    missing = None
    if need is not None and vehicle is not None and seen.soc is not None:
        missing = round(max(0.0, need.required_soc - seen.soc) * vehicle.capacity_kwh, 1)
    return NotReady(
        depot=depot,
        vehicle=vehicle,
        vehicle_name=vehicle.name if vehicle else "",
        vin=vehicle.vin if vehicle else "",
        charger_name=seen.connector.charger.name if seen.connector else "",
        block_id=duty.block.block_id,
        duty_key=duty.key,
        service_date=duty.service_date,
        pull_out_at=duty.pull_out_at,
        soc=seen.soc,
        required_soc=need.required_soc if need else 0.0,
        missing_kwh=missing,
        cause=cause,
        because=because[:400],
        written_at=now,
    )


def _cause(seen: Seen, need: Need | None) -> tuple[str, str] | None:
    duty = seen.duty
    if need is None:
        return Cause.NO_VEHICLE, tr("Block {block_id} had no vehicle.", block_id=duty.block.block_id)
    if duty.outage is not None:
        why = f" ({duty.outage.reason.rstrip('.')})" if duty.outage.reason else ""
        return Cause.OUT_OF_SERVICE, tr("{vehicle} was out of service{why}.", vehicle=duty.vehicle, why=why)
    if seen.soc is None:
        return Cause.UNKNOWN_SOC, tr("Its charge was not heard of in the two hours before.")
    if reaches(seen.soc, need.required_soc) and not need.exceeds_battery:
        return None
    short = tr(
        "it had {soc} and needed {required_soc}",
        soc=percent(seen.soc),
        required_soc=percent(need.required_soc),
    )
    if need.exceeds_battery:
        return Cause.BLOCK_TOO_LONG, need.reason
    return _why_short(seen, short)


def _why_short(seen: Seen, short: str) -> tuple[str, str]:
    """Name the first thing that kept the vehicle from charging enough."""
    duty, connector, back = seen.duty, seen.connector, seen.last_back
    since = back.pull_in_at if back is not None else duty.pull_out_at - BEFORE
    if back is not None and back.late:
        return Cause.LATE, tr(
            "It came back late from block {block_id}; {short}.", block_id=back.block.block_id, short=short
        )
    plugged = seen.session is not None and (
        seen.session.unplugged_at is None or seen.session.unplugged_at > since
    )
    if not plugged:
        return Cause.NOT_PLUGGED_IN, tr("It was not plugged in since its last pull-in; {short}.", short=short)
    if connector is not None and connector.status == Connector.Status.FAULTED:
        return Cause.CHARGER, tr(
            "Charger {name} reported a fault; {short}.", name=connector.charger.name, short=short
        )
    if connector is not None and not is_linked(connector.charger, duty.pull_out_at):
        return Cause.CHARGER, tr(
            "Charger {name} did not answer; {short}.", name=connector.charger.name, short=short
        )
    if connector is not None and connector.charger.strays_since is not None:
        return Cause.CHARGER, tr(
            "Charger {name} did not follow its schedule; {short}.", name=connector.charger.name, short=short
        )
    cause = shortfall_cause(seen.plan, duty.vehicle) if duty.vehicle else ""
    return Cause.SHORT, f"{short[0].upper()}{short[1:]}{': ' + cause if cause else ''}."
