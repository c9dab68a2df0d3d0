"""Old readings are thinned; ledger, bills and what is young stay exactly as they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from billing.models import Interval
from charging.models import ChargingSession, MeterSample
from charging.services import retention
from charging.services.retention import JOB, thin
from charging.services.rollup import measure, roll_up
from depot.jobs import enqueue
from depot.models import Depot, Job, MeterReading, Quality
from depot.timegrid import TimeGrid
from fleet.models import TelemetryReading
from tests.charging.meters import make_bay

DAY = timedelta(days=1)
START = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)  # midnight in New York
OLD = START + 100 * DAY
KINDS = frozenset({"grid", "building", "solar"})
EVERY = timedelta(seconds=30)
HOURS = 6


def quiet(fraction: float, step: str) -> None:
    """Nobody looks."""


def read_often(depot: Depot, start_at: datetime = START) -> ChargingSession:
    """Let the meters, a charger and a bus speak twice a minute for six hours, with power that is never the same."""
    vehicle, connector = make_bay(depot)
    number = int(HOURS * timedelta(hours=1) / EVERY) + 1
    rng = np.random.default_rng(7)
    hours = EVERY / timedelta(hours=1)
    charge_kw = rng.uniform(0, 50, number)
    building_kw = rng.uniform(20, 40, number)
    session = ChargingSession.objects.create(
        connector=connector, vehicle=vehicle, transaction_id="T", plugged_in_at=start_at,
        last_sample_at=start_at + (number - 1) * EVERY,
    )  # fmt: skip
    at = [start_at + index * EVERY + timedelta(seconds=7) for index in range(number)]
    series = {"building": building_kw, "solar": charge_kw * 0, "grid": building_kw + charge_kw}
    for kind, powers in series.items():
        meter = depot.meters.get(kind=kind)
        MeterReading.objects.bulk_create(
            MeterReading(
                meter=meter, observed_at=moment, received_at=moment, power_kw=power, import_kwh_total=total
            )
            for moment, power, total in zip(at, powers, 900 + np.cumsum(powers * hours), strict=True)
        )
    MeterSample.objects.bulk_create(
        MeterSample(
            session=session, sampled_at=moment, received_at=moment, power_kw=power, import_kwh_total=total
        )
        for moment, power, total in zip(at, charge_kw, np.cumsum(charge_kw * hours), strict=True)
    )
    TelemetryReading.objects.bulk_create(
        TelemetryReading(
            vehicle=vehicle, observed_at=moment, received_at=moment, source="telematics", soc=0.5,
            source_event_id=str(index),
        )
        for index, moment in enumerate(at)
    )  # fmt: skip
    return session


def counts() -> tuple[int, int, int]:
    return MeterReading.objects.count(), MeterSample.objects.count(), TelemetryReading.objects.count()


def test_the_ledger_measures_the_same_from_thin_readings(depot: Depot) -> None:
    read_often(depot)
    roll_up(depot, START + timedelta(hours=HOURS))
    ledger = list(Interval.objects.order_by("start_at").values())
    grid = TimeGrid(START, 15, HOURS * 4)
    before, _ = measure(depot, grid, KINDS)
    rows = counts()
    Interval.objects.create(**{**ledger[-1], "id": None, "start_at": OLD})  # the ledger has gone on since
    done = thin(depot, OLD, quiet)
    thinned = counts()
    assert (done.meter_readings, done.charger_samples, done.telemetry) == tuple(
        was - now for was, now in zip(rows, thinned, strict=True)
    )
    # First and last of each quarter of an hour; the seventh second after the end begins one more.
    assert thinned == (3 * (2 * HOURS * 4 + 1), 2 * HOURS * 4 + 1, 2 * HOURS * 4 + 1)
    after, _ = measure(depot, grid, KINDS)
    for name in ("imported", "exported", "building", "solar", "charge", "discharge"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-9, err_msg=name)
    assert list(Interval.objects.filter(start_at__lt=OLD).order_by("start_at").values()) == ledger


def test_again_nothing_is_left_to_do(depot: Depot) -> None:
    read_often(depot)
    roll_up(depot, START + timedelta(hours=HOURS))
    Interval.objects.create(**{**Interval.objects.values()[0], "id": None, "start_at": OLD})
    thin(depot, OLD, quiet)
    before = counts()
    again = thin(depot, OLD, quiet)
    assert (again.meter_readings, again.charger_samples, again.telemetry, counts()) == (0, 0, 0, before)


def test_what_is_not_in_the_ledger_yet_stays(depot: Depot) -> None:
    read_often(depot)
    before = counts()[:2]
    assert thin(depot, OLD, quiet).telemetry > 0
    assert counts()[:2] == before


def test_young_readings_stay_and_so_do_those_of_other_depots(depot: Depot, other_depot: Depot) -> None:
    read_often(depot)
    read_often(other_depot)
    before = counts()
    assert thin(depot, START + 90 * DAY, quiet).until is None
    assert counts() == before
    assert thin(depot, START + 91 * DAY, quiet).until == date(2026, 3, 10)
    assert TelemetryReading.objects.of_depot(other_depot).count() == HOURS * 120 + 1


def test_all_stays_where_that_is_set(depot: Depot, settings) -> None:
    settings.RAW_DAYS = 0
    read_often(depot)
    before = counts()
    assert thin(depot, OLD + 1000 * DAY, quiet).until is None
    assert counts() == before


def test_a_session_with_a_doubted_sample_keeps_all(depot: Depot) -> None:
    session = read_often(depot)
    roll_up(depot, START + timedelta(hours=HOURS))
    Interval.objects.create(**{**Interval.objects.values()[0], "id": None, "start_at": OLD})
    doubted = session.samples.all()[100]
    MeterSample.objects.filter(pk=doubted.pk).update(quality=Quality.SUSPECT)
    assert thin(depot, OLD, quiet).charger_samples == 0


def test_a_run_goes_on_where_the_last_one_ended(depot: Depot, monkeypatch) -> None:
    monkeypatch.setattr(retention, "MOST_DAYS", 5)
    read_often(depot)
    first = thin(depot, OLD, quiet)
    assert first.until == date(2026, 3, 14)
    job = enqueue(JOB, depot, "2026-06-18")
    Job.objects.filter(pk=job.pk).update(state=Job.State.DONE, result=first.as_json())
    seen: list[str] = []
    assert thin(depot, OLD, lambda _, step: seen.append(step)).until == date(2026, 3, 15)
    assert seen[0] == "Thinning 11 Mar 2026"
    assert len(seen) == 5


@pytest.mark.parametrize("number", [1, 7])
def test_a_stopped_run_has_done_a_part_and_the_next_does_the_rest(
    depot: Depot, monkeypatch, number: int
) -> None:
    read_often(depot)
    monkeypatch.setattr(retention, "BATCH", 50)
    keys = list(TelemetryReading.objects.values_list("pk", flat=True))
    retention._drop(TelemetryReading.objects.all(), keys[1 : 1 + number])
    thin(depot, OLD, quiet)
    assert TelemetryReading.objects.count() == 2 * HOURS * 4 + 1
