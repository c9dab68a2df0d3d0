"""Watch what people should know before the driver comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from charging.models import Charger, Plan, StationNotice
from charging.selectors.links import heard_since, linked
from charging.selectors.readiness import Readiness, readiness
from charging.services.guarding import unsafe_fallbacks
from charging.services.notices import pressing
from charging.services.stations import WRONG_CLOCK_S, clock_cause
from depot.alerts import sync
from depot.alerts.services import Cause
from depot.models import Depot
from depot.webhooks.services import tell_readiness
from depot.words import tr

NOBODY_HEARD_S = 60.0
"""When no charger of a depot has been heard for this long, in wall time, its gateway counts as dead."""
NOTICE = timedelta(hours=3)
"""How long before the last moment to act a pull-out at risk becomes an alert."""


def watch(depot: Depot, now: datetime) -> None:
    """Open and clear the alerts on pull-outs, chargers and the plan."""
    coming = readiness(depot, now)
    sync(depot, "ready:", [_pull_out(depot, row) for row in coming if _is_urgent(row, now)])
    tell_readiness(depot, {_key(row): _told(row) for row in coming})
    watch_links(depot, now)
    sync(depot, "clock:", [clock_cause(charger) for charger in _wrong_clocks(depot, now)])
    sync(depot, "strays:", [_strays(charger) for charger in _strayers(depot)])
    sync(depot, "station:", [_notice(one) for one in pressing(depot, now)])
    sync(depot, "fallback:", unsafe_fallbacks(depot, now))
    plan = Plan.objects.filter(depot=depot, made_at__lte=now).order_by("-made_at").first()
    notes = zip(plan.notes.get("depot_keys", ()), plan.notes["depot"], strict=False) if plan else ()
    sync(depot, "note:", [Cause(f"note:{key}", "warning", note) for key, note in notes])


def _key(row: Readiness) -> str:
    return f"{row.duty.block.pk}:{row.duty.service_date}"


def _told(row: Readiness) -> dict[str, Any]:
    """Return what programs are told of a pull-out whose state has changed."""
    return {
        "block": row.duty.block.block_id,
        "vehicle": row.vehicle.name if row.vehicle else None,
        "pull_out_at": row.duty.pull_out_at.isoformat(),
        "state": row.state,
        "reason": row.reason,
        "act_by": row.act_by.isoformat() if row.act_by else None,
        "required_soc": row.required_soc,
        "soc_at_departure": row.soc_at_departure,
    }


def watch_links(depot: Depot, now: datetime) -> None:
    """Open and clear the alerts on chargers that are not heard; one says it when that is all of them."""
    known = Charger.objects.filter(depot=depot, booted_at__isnull=False)
    heard_at = known.aggregate(newest=Max("last_seen_at"))["newest"]
    nobody = heard_at is not None and heard_at < heard_since(now, NOBODY_HEARD_S)
    silent = known.none() if nobody else known.exclude(linked(now))
    sync(depot, "gateway:", [_no_gateway(depot, heard_at)] if nobody else [])
    sync(depot, "charger:", [_silent(charger) for charger in silent])


def _no_gateway(depot: Depot, heard_at: datetime) -> Cause:
    return Cause(
        "gateway:silent",
        "critical",
        tr("No charger is heard: the charging gateway or its network is down"),
        tr(
            "The last sign of life came at {heard_at:%H:%M}. Chargers go on by what they were told, "
            "without discharging; nothing new reaches them. See whether the gateway runs (manage.py "
            "ocpp_gateway).",
            heard_at=depot.local(heard_at),
        ),
    )


def _is_urgent(row: Readiness, now: datetime) -> bool:
    """Tell whether somebody must act: it will be missed, or the last moment to act is near or not known."""
    if row.state == "at_risk":
        return row.act_by is None or row.act_by - now <= NOTICE
    return row.state == "will_miss"


def _pull_out(depot: Depot, row: Readiness) -> Cause:
    local, block = depot.local(row.duty.pull_out_at), row.duty.block.block_id
    name = row.vehicle.name if row.vehicle else tr("Block {block_id}", block_id=block)
    level = "critical" if row.state == "will_miss" else "warning"
    title = (
        tr(
            "{name} will not be ready for {local:%H:%M} (block {block_id})",
            name=name,
            local=local,
            block_id=block,
        )
        if row.state == "will_miss"
        else tr(
            "{name} may not be ready for {local:%H:%M} (block {block_id})",
            name=name,
            local=local,
            block_id=block,
        )
    )
    act_by = tr("Act by {act_by:%H:%M}.", act_by=depot.local(row.act_by)) if row.act_by else ""
    return Cause(
        f"ready:{_key(row)}",
        level,
        title,
        f"{row.reason} {act_by}".strip(),
    )


def _silent(charger: Charger) -> Cause:
    return Cause(
        f"charger:{charger.pk}",
        "warning",
        tr("Charger {name} does not answer", name=charger.name),
        tr("It keeps to its safe charging level until it is back. Check its power and network."),
    )


def _wrong_clocks(depot: Depot, now: datetime) -> list[Charger]:
    """Return connected chargers whose clock is more than a minute off."""
    told = Charger.objects.filter(linked(now), depot=depot, clock_offset_s__isnull=False)
    return [charger for charger in told if abs(charger.clock_offset_s or 0.0) > WRONG_CLOCK_S]


def _strayers(depot: Depot) -> list[Charger]:
    return list(Charger.objects.filter(depot=depot, strays_since__isnull=False))


def _strays(charger: Charger) -> Cause:
    return Cause(
        f"strays:{charger.pk}",
        "critical",
        tr("Charger {name} does not follow its schedule", name=charger.name),
        tr(
            "Its meter shows another power than it was told. It is planned as a load that nobody "
            "steers. Check its dialect and its smart-charging settings."
        ),
    )


def _notice(one: StationNotice) -> Cause:
    return Cause(
        f"station:{one.charger_id}:{one.kind}",
        one.level,
        tr("Charger {name}: {summary}", name=one.charger.name, summary=one.summary)[:200],
    )
