"""The reports of a year's months, worked out in the background and every night, and kept with that work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.bills.sharing import Share
from charging.selectors.report import (
    BilledMonth,
    BlockLine,
    Co2Line,
    Report,
    VehicleLine,
    billed_months,
    report_of,
)
from depot.jobs import Progress, enqueue
from depot.models import Depot, Job, User
from depot.words import month_year

JOB = "report"
MOST_AT_ONCE = 2
"""Months that a page works out while somebody waits; each takes about a third of a second in a large depot."""
LOOKED_AT = 4
"""The newest pieces of work whose months are used again."""
MONEY = ("total", "unmanaged_total", "net_saving", "wear")


def recall(depot: Depot, months: Sequence[BilledMonth]) -> list[BilledMonth]:
    """Take the months that were worked out elsewhere into this process; return those that nobody has."""
    absent = [month for month in months if not month.remembered]
    if absent:
        done = Job.objects.of_depot(depot).filter(kind=JOB, state=Job.State.DONE).order_by("-finished_at")
        for job in done[:LOOKED_AT]:
            absent = take_over(job, absent)
    return absent


def take_over(job: Job, months: Sequence[BilledMonth]) -> list[BilledMonth]:
    """Take months from a finished piece of work; return those that it does not have."""
    kept = (job.result or {}).get("months", {})
    for month in months:
        if month.key in kept:
            month.remember(from_json(kept[month.key]))
    return [month for month in months if month.key not in kept]


def ask_for(depot: Depot, year: int, absent: Sequence[BilledMonth], user: Any) -> Job:
    """Ask for the months of a year that nobody has; the same ones are worked out once."""
    digest = hashlib.sha256(repr([month.key for month in absent]).encode()).hexdigest()[:16]
    asker = user if isinstance(user, User) else None
    return enqueue(JOB, depot, f"{year} {digest}", {"years": [year]}, asker)


def work_out(depot: Depot, years: Sequence[int], now: datetime, progress: Progress) -> dict[str, Any]:
    """Return the months of some years by key, each as JSON; those that were kept are not worked out again."""
    months = [month for year in years for month in billed_months(depot, year)]
    recall(depot, months)
    found = {}
    for number, month in enumerate(months):
        progress(number / len(months), month_year(month.first))
        found[month.key] = as_json(report_of(depot, month, now))
    return found


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON keeps it: amounts and days as text."""
    kept: dict[str, Any] = json.loads(json.dumps(asdict(report), default=str))
    return kept


def from_json(kept: dict[str, Any]) -> Report:
    """Return the report that `as_json` kept."""
    written = kept["written_to"]
    values = {
        **{name: Decimal(kept[name]) for name in MONEY},
        "vehicles": [_vehicle(row) for row in kept["vehicles"]],
        "site": _share(kept["site"]),
        "blocks": [BlockLine(**(row | {"cost": Decimal(row["cost"])})) for row in kept["blocks"]],
        "co2": [Co2Line(**row) for row in kept["co2"]],
        "written_to": date.fromisoformat(written) if written else None,
        "months": tuple(date.fromisoformat(first) for first in kept["months"]),
    }
    return Report(**{field.name: values.get(field.name, kept[field.name]) for field in fields(Report)})


def _vehicle(row: dict[str, Any]) -> VehicleLine:
    return VehicleLine(**(row | {"share": _share(row["share"]), "wear": Decimal(row["wear"])}))


def _share(row: dict[str, str]) -> Share:
    return Share(**{name: Decimal(amount) for name, amount in row.items()})
