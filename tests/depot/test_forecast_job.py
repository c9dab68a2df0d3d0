"""Forecasts are made every hour, kept with the moment they were made, and say how."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import time_machine

from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.jobs.services import run
from depot.models import Forecast, Job, Meter, MeterReading
from depot.selectors.forecasts import expected
from depot.services.forecasts import horizon
from tests.factories import NOW, make_array


def test_the_job_recurs_every_hour_and_stores_both_forecasts(depot):
    assert KINDS["forecast"].every == timedelta(hours=1)
    make_array(depot)
    with time_machine.travel(NOW, tick=False):
        job = enqueue("forecast", depot, "test")
        assert run(job.pk, beat=False)
    assert Job.objects.get(pk=job.pk).state == "done"
    sun = Forecast.objects.get(kind="solar")
    assert (sun.made_at, len(sun.power_kw)) == (NOW, 72 * 4)
    assert "solar meter has not read yet" in sun.source
    assert max(sun.power_kw) > 20
    assert "has not read in the last 28 days" in Forecast.objects.get(kind="building").source


def test_the_building_is_expected_as_its_meter_showed(depot):
    meter = depot.meters.get(kind=Meter.Kind.BUILDING)
    start, total = NOW - timedelta(days=8), 0.0
    rows = []
    for step in range(8 * 96 + 1):
        at = start + timedelta(minutes=15 * step)
        rows.append(
            MeterReading(
                meter=meter, observed_at=at, received_at=at, power_kw=0.0, import_kwh_total=round(total, 6)
            )
        )
        total += (100.0 if 8 <= depot.local(at).hour < 18 else 20.0) / 4
    MeterReading.objects.bulk_create(rows)
    with time_machine.travel(NOW, tick=False):
        run(enqueue("forecast", depot, "test").pk, beat=False)
    grid = horizon(depot, NOW, 24)
    told = expected(depot, Forecast.Kind.BUILDING, grid, NOW)
    day = np.array([8 <= depot.local(at).hour < 18 for at in grid.times()])
    assert told.power_kw[day] == pytest.approx(100, abs=1)
    assert told.power_kw[~day] == pytest.approx(20, abs=1)
    assert told.made_at == NOW


def test_beyond_its_end_a_forecast_repeats_its_last_day_and_none_is_said(depot):
    grid = horizon(depot, NOW, 24)
    assert "No forecast" in expected(depot, Forecast.Kind.SOLAR, grid, NOW).source
    Forecast.objects.create(
        depot=depot,
        kind="solar",
        made_at=NOW,
        start_at=NOW,
        step_minutes=15,
        power_kw=list(range(96)),
        source="test",
    )
    later = horizon(depot, NOW + timedelta(hours=24), 24)
    assert expected(depot, Forecast.Kind.SOLAR, later, NOW).power_kw.tolist() == list(range(96))
