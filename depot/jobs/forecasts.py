"""Recurring work on the site: what is expected of sun and building."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from depot import clock
from depot.jobs import Progress, job
from depot.models import Job
from depot.services.forecasts import forecast_all
from depot.words import mark


@job("forecast", title=mark("Forecasts of sun and building"), every=timedelta(hours=1))
def make_forecasts(job: Job, progress: Progress) -> dict[str, Any]:
    """Forecast the next three days."""
    progress(0.1, mark("Reading the meters' history"))
    return {made.kind: made.source for made in forecast_all(job.own_depot, clock.now())}
