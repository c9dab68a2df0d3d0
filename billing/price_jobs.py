"""Work on prices and tariffs: ask each depot's source for what is missing; compare tariffs on a year."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from billing.selectors.tariff_bills import chosen, compared, year_load
from billing.services.market import fetch_all
from depot import clock
from depot.jobs import Progress, job
from depot.jobs.services import JobError
from depot.models import Job
from depot.words import mark, tr

COMPARE = "compare_tariffs"


@job("prices", title=mark("Market prices"), every=timedelta(hours=1))
def fetch_prices(job: Job, progress: Progress) -> dict[str, Any]:
    """Fetch day-ahead prices of the depot's area, where it chose one, and tell where prices run out."""
    progress(0.1, tr("Asking the depot's price source"))
    return {"new": fetch_all(job.own_depot, clock.now())}


@job(COMPARE, title=mark("Comparing tariffs on the depot's own year"))
def compare_tariffs(job: Job, progress: Progress) -> dict[str, Any]:
    """Bill the depot's year with each tariff of the payload."""
    depot = job.own_depot
    progress(0.02, tr("Reading the year"))
    load = year_load(depot, clock.now())
    if load is None:
        raise JobError(tr("Nothing is recorded yet, so there is no load to compare tariffs on."))
    tariffs = chosen(depot, job.payload["keys"])
    found = []
    for number, (key, tariff) in enumerate(tariffs):
        progress(0.1 + 0.9 * number / len(tariffs), tr("Billing {name}", name=tariff.name))
        found.append({"key": key} | compared(depot, tariff, load).as_json())
    return {
        "from": load.start_at.isoformat(),
        "to": load.end_at.isoformat(),
        "import_kwh": round(float(load.import_kw.sum()) * load.step_minutes / 60),
        "currency": depot.currency,
        "tariffs": sorted(found, key=lambda one: (one.get("total") is None, one.get("total", 0))),
    }
