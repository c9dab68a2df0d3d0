"""Closing intervals: what meters counted, what is waited for, what is estimated and marked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from billing.models import Interval, Tariff
from charging.models import ChargingSession, MeterSample
from charging.services.doubts import warn
from charging.services.rollup import PATIENCE, roll_up
from depot.models import Alert, AuditEvent, Depot, Meter, MeterReading, Quality
from fleet.models import BatteryHealth
from tests import factories
from tests.billing.money import make_tariff
from tests.charging.meters import HOURS, STEP, make_bay, read_all, read_meter, stay

START = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)  # midnight in New York
pytestmark = pytest.mark.django_db


def column(name: str) -> list[float]:
    return [round(value, 6) for value in Interval.objects.order_by("start_at").values_list(name, flat=True)]


def qualities() -> list[str]:
    return list(Interval.objects.order_by("start_at").values_list("quality", flat=True))


def test_without_readings_there_is_nothing_to_close(depot: Depot) -> None:
    assert roll_up(depot, START) == 0


def test_intervals_hold_what_meters_and_chargers_counted(depot: Depot) -> None:
    make_tariff(depot)
    _, connector = make_bay(depot)
    vehicles = [0, 40, 40, -20]
    read_all(depot, START, [30, 30, 30, 10], vehicles)
    stay(connector, START, vehicles, 0.5, 0.575)
    assert roll_up(depot, START + 4 * STEP) == 4
    assert column("building_kwh") == [7.5, 7.5, 7.5, 2.5]
    assert column("import_kwh") == [7.5, 17.5, 17.5, 0]
    assert column("export_kwh") == [0, 0, 0, 2.5]
    assert column("charge_kwh") == [0, 10, 10, 0]
    assert column("discharge_kwh") == [0, 0, 0, 5]
    assert qualities() == [Quality.GOOD] * 4
    assert set(Interval.objects.values_list("import_price_per_kwh", flat=True)) == {Decimal("0.1")}
    assert roll_up(depot, START + 4 * STEP) == 0


def test_an_interval_is_closed_only_when_it_is_over(depot: Depot) -> None:
    read_all(depot, START, [30] * 4, [0] * 4)
    assert roll_up(depot, START + 2 * STEP - timedelta(seconds=1)) == 1
    assert roll_up(depot, START + 2 * STEP) == 1


@pytest.mark.parametrize("late", ["grid", "building", "solar"])
def test_each_meter_that_is_there_is_waited_for(depot: Depot, late: str) -> None:
    for kind in ("grid", "building", "solar"):
        read_meter(depot, kind, START, [20] * (2 if kind == late else 4))
    assert roll_up(depot, START + 4 * STEP) == 2
    MeterReading.objects.filter(meter__kind=late).delete()
    read_meter(depot, late, START, [20] * 4)
    assert roll_up(depot, START + 4 * STEP) == 2
    assert qualities() == [Quality.GOOD] * 4


def test_after_two_hours_a_silent_grid_meter_is_worked_out_from_the_others_and_marked(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_meter(depot, "building", START, [30] * 12)
    read_meter(depot, "solar", START, [10] * 12)
    read_meter(depot, "grid", START, [20] * 2)
    stay(connector, START + 2 * STEP, [40] * 10, 0.5, 1.0)
    end_at = START + 12 * STEP
    assert roll_up(depot, end_at) == 4  # two measured, two older than two hours
    assert column("import_kwh") == [5, 5, 15, 15]
    assert qualities() == [Quality.GOOD, Quality.GOOD, Quality.ESTIMATED, Quality.ESTIMATED]


def test_a_silent_building_meter_follows_from_the_balance_and_the_bill_stays_measured(depot: Depot) -> None:
    read_meter(depot, "grid", START, [50] * 12)
    read_meter(depot, "solar", START, [10] * 12)
    read_meter(depot, "building", START, [60] * 2)
    assert roll_up(depot, START + 12 * STEP) == 4
    assert column("building_kwh") == [15] * 4
    assert qualities() == [Quality.GOOD] * 4


def test_silent_sun_and_grid_are_taken_as_a_week_before(depot: Depot) -> None:
    week = timedelta(days=7)
    read_meter(depot, "building", START - week, [30.0] * 700)
    read_meter(depot, "solar", START - week, [12.0] * 672)
    read_meter(depot, "grid", START - week, [18.0] * 672)
    assert roll_up(depot, START) == 672
    assert roll_up(depot, START + 12 * STEP) == 4
    assert column("solar_kwh")[-4:] == [3] * 4
    assert column("import_kwh")[-4:] == [4.5] * 4
    assert qualities()[-4:] == [Quality.ESTIMATED] * 4


def test_a_gap_between_readings_is_bridged(depot: Depot) -> None:
    for kind in ("grid", "building"):
        read_meter(depot, kind, START, [20.0] * 8 + [40.0] * 8, skip=range(5, 13))
    read_meter(depot, "solar", START, [0.0] * 16)
    roll_up(depot, START + timedelta(hours=8))
    assert column("building_kwh")[:4] == [5] * 4
    assert column("building_kwh")[4:13] == sorted(column("building_kwh")[4:13])
    assert qualities()[4:13] == [Quality.ESTIMATED] * 9
    assert column("building_kwh")[13:16] == [10] * 3


@pytest.mark.parametrize(
    "kept", [("grid", "solar"), ("building", "solar"), ("grid", "building"), ("building",)]
)
def test_a_depot_with_fewer_meters_is_measured_by_the_balance(depot: Depot, kept: tuple[str, ...]) -> None:
    if "solar" not in kept and kept == ("grid", "building"):
        factories.make_array(depot)
    powers = {"grid": 40.0, "building": 50.0, "solar": 10.0}
    if kept == ("building",):
        powers["grid"], powers["solar"] = 50.0, 0.0
    for kind in Meter.Kind.values:
        if kind in kept:
            read_meter(depot, kind, START, [powers[kind]] * 4)
        else:
            depot.meters.filter(kind=kind).delete()
    assert roll_up(depot, START + 4 * STEP) == 4
    assert column("import_kwh") == [powers["grid"] * HOURS] * 4
    assert column("building_kwh") == [12.5] * 4
    assert column("solar_kwh") == [powers["solar"] * HOURS] * 4
    assert qualities() == [Quality.GOOD] * 4


def spoil(kind: str, boundary: int, **values: object) -> None:
    MeterReading.objects.filter(meter__kind=kind, observed_at=START + boundary * STEP).update(**values)


@pytest.mark.parametrize(
    ("kind", "totals", "estimated"),
    [
        ("grid", {2: 1e9}, []),  # a spike between good readings is as good as no reading
        ("grid", {2: float("inf")}, []),
        ("grid", {2: 5.0, 3: 10.0, 4: 15.0}, [1]),  # reset
        ("grid", {2: 7e5, 3: 7e5 + 5, 4: 7e5 + 10}, [1]),  # exchanged
        ("building", {2: 7e5, 3: 7e5 + 5, 4: 7e5 + 10}, []),  # what is billed was measured
    ],
)
def test_no_meter_makes_energy_that_cannot_be(
    depot: Depot, kind: str, totals: dict[int, float], estimated: list[int]
) -> None:
    read_all(depot, START, [20] * 4, [0] * 4)
    for boundary, total in totals.items():
        spoil(kind, boundary, import_kwh_total=total)
    roll_up(depot, START + 4 * STEP + PATIENCE)
    assert column("import_kwh")[:4] == [5] * 4
    assert column("building_kwh")[:4] == [5] * 4
    assert [index for index, quality in enumerate(qualities()[:4]) if quality != "good"] == estimated
    alert = Alert.objects.get(key__startswith="doubted:")
    assert alert.title == f"Meter {depot.meters.get(kind=kind)} counts what cannot be"


def test_a_suspect_reading_is_not_billed_and_an_estimated_one_makes_no_peak(depot: Depot) -> None:
    read_all(depot, START, [20] * 8, [0] * 8)
    spoil("grid", 2, import_kwh_total=1060.0, quality=Quality.SUSPECT)  # 200 kW, which this meter can count
    spoil("grid", 6, import_kwh_total=1031.0, quality=Quality.ESTIMATED)
    roll_up(depot, START + 8 * STEP)
    assert column("import_kwh") == [5, 5, 5, 5, 5, 6, 4, 5]
    assert qualities() == ["good"] * 5 + ["estimated"] * 2 + ["good"]


def test_a_charger_that_counts_what_cannot_be_is_estimated_by_its_power_and_the_others_go_on(
    depot: Depot,
) -> None:
    _, broken = make_bay(depot)
    _, sound = make_bay(depot, "Bus 02")
    read_all(depot, START, [20] * 4, [80] * 4)
    MeterSample.objects.filter(
        session=stay(broken, START, [40] * 4, 0.2, 0.4), sampled_at__gte=START + 2 * STEP
    ).update(import_kwh_total=F("import_kwh_total") + 1e9)
    stay(sound, START, [40] * 4, 0.2, 0.4)
    roll_up(depot, START + 4 * STEP)
    assert column("charge_kwh") == [20] * 4
    assert column("import_kwh") == [25] * 4
    assert qualities() == ["good", "suspect", "good", "good"]
    alert = Alert.objects.get()
    assert alert.title == f"Charger {broken.charger} measures what cannot be"
    warn(depot, [], alert.seen_at + timedelta(hours=25))
    assert Alert.objects.get().cleared_at is not None


def test_a_charger_that_has_not_spoken_yet_is_waited_for_but_not_for_ever(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [30] * 40, [0] * 40)
    stay(connector, START, [20] * 4, 0.5, None, still_there=True)
    assert roll_up(depot, START + 8 * STEP) == 4
    assert roll_up(depot, START + 4 * STEP + PATIENCE) == 8


def test_what_was_counted_over_a_silence_flowed_evenly(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [30] * 24, [20] * 24)
    session = stay(connector, START, [20] * 24, 0.2, 0.8)
    MeterSample.objects.filter(
        session=session, sampled_at__gt=START, sampled_at__lt=START + 24 * STEP
    ).delete()
    ChargingSession.objects.update(last_sample_at=START)
    roll_up(depot, START + 12 * STEP)
    roll_up(depot, START + 24 * STEP)
    assert column("charge_kwh")[12:] == [5] * 12


def test_wear_is_paid_for_what_leaves_the_battery(depot: Depot) -> None:
    vehicle, connector = make_bay(depot, discharge_efficiency=0.8)
    BatteryHealth.objects.create(
        vehicle=vehicle,
        date=date(2026, 3, 9),
        computed_at=START,
        **dict.fromkeys(
            (
                "soh",
                "soh_uncertainty",
                "calendar_loss",
                "cycling_loss",
                "v2g_loss",
                "trend_per_year",
                "equivalent_full_cycles",
                "throughput_kwh",
                "v2g_throughput_kwh",
                "hours_above_80",
            ),
            0.0,
        ),
        wear_cost_per_kwh=0.05,
        model="lfp",
    )
    read_all(depot, START, [30, 30], [-40, 40])
    stay(connector, START, [-40, 40], 0.5, 0.5)
    roll_up(depot, START + 2 * STEP)
    assert column("v2g_wear_cost") == [Decimal("0.625"), 0]  # 10 kWh at the plug are 12.5 kWh of the battery


def test_the_night_of_a_clock_change_loses_no_interval(depot: Depot) -> None:
    start = datetime(2026, 3, 8, 5, 0, tzinfo=UTC)
    read_all(depot, start, [30] * 92, [0] * 92)
    assert roll_up(depot, start + 92 * STEP) == 92
    moments = list(Interval.objects.order_by("start_at").values_list("start_at", flat=True))
    assert moments == [start + index * STEP for index in range(92)]


def test_a_backlog_is_closed_a_week_at_a_time(depot: Depot) -> None:
    read_all(depot, START, [30] * 1000, [0] * 1000)
    assert [roll_up(depot, START + 1000 * STEP) for _ in range(3)] == [672, 328, 0]


def test_what_a_charger_delivers_hours_later_reaches_the_ledger_and_its_counterfactual(depot: Depot) -> None:
    """A charger was offline for its whole session: the building seemed to draw what the vehicle did."""
    tariff = make_tariff(depot)
    _, connector = make_bay(depot)
    depot.meters.filter(kind="building").delete()
    read_meter(depot, "grid", START, [20] * 8 + [80] * 4 + [20] * 20)
    read_meter(depot, "solar", START, [0] * 32)
    roll_up(depot, START + 32 * STEP)
    assert column("charge_kwh") == [0] * 32
    assert not Interval.objects.filter(baseline_frozen_at=None).exists()
    priced = Interval.objects.values_list("import_price_per_kwh", "tariff")
    before = list(priced)
    Tariff.objects.filter(pk=tariff.pk).update(definition=tariff.definition | {"energy": []})

    stay(connector, START + 8 * STEP, [60] * 4, 0.2, 0.5)
    MeterSample.objects.update(received_at=START + 33 * STEP)
    later = START + 33 * STEP + timedelta(minutes=1)
    roll_up(depot, later)
    assert column("charge_kwh") == [0] * 8 + [15] * 4 + [0] * 20
    assert column("building_kwh") == [5] * 32
    assert column("import_kwh") == [5] * 8 + [20] * 4 + [5] * 20
    assert column("unmanaged_charge_kwh") == column("charge_kwh")
    assert column("unmanaged_import_kwh") == column("import_kwh")
    assert list(priced) == before
    assert not Interval.objects.filter(baseline_frozen_at=None).exists()
    revised = Interval.objects.filter(closed_at=later)
    assert revised.count() == 4
    facts = AuditEvent.objects.get(verb="ledger.revised").facts
    assert (facts["intervals"], facts["charge_kwh"], facts["import_kwh"]) == (4, 60, 0)
    roll_up(depot, later + timedelta(minutes=5))
    assert AuditEvent.objects.count() == 1


def test_what_a_charger_says_after_a_silence_is_laid_over_the_silence(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [20] * 40, [40] * 40)
    session = stay(connector, START, [40] * 40, 0.2, 0.8, still_there=True)
    end_at = START + 32 * STEP
    silent = session.samples.filter(sampled_at__gt=START + 4 * STEP)
    silent.filter(sampled_at__lt=end_at).delete()
    silent.update(received_at=end_at + timedelta(minutes=1))
    ChargingSession.objects.update(last_sample_at=START + 4 * STEP)
    MeterReading.objects.filter(observed_at__gt=end_at).delete()
    session.samples.filter(sampled_at__gt=end_at).delete()
    held = session.samples.get(sampled_at=end_at)
    held.delete()
    assert roll_up(depot, end_at) == 32
    assert column("charge_kwh")[4:] == [0] * 28
    held.save()
    roll_up(depot, end_at + timedelta(minutes=2))
    assert column("charge_kwh") == [10] * 32


@pytest.mark.parametrize("kind", ["grid", "solar"])
def test_what_a_meter_delivers_late_takes_the_place_of_the_estimate(depot: Depot, kind: str) -> None:
    read_all(depot, START, [20] * 16, [0] * 16)
    held = list(MeterReading.objects.filter(meter__kind=kind, observed_at__gt=START + 2 * STEP))
    MeterReading.objects.filter(pk__in=[row.pk for row in held]).delete()
    roll_up(depot, START + 16 * STEP)
    assert qualities() == ["good"] * 2 + ["estimated" if kind == "grid" else "good"] * 6
    for row in held:
        row.received_at = START + 17 * STEP
    MeterReading.objects.bulk_create(held)
    roll_up(depot, START + 17 * STEP)
    assert qualities() == ["good"] * 16
    assert column("import_kwh") == [5] * 16


def test_rolling_up_takes_as_many_queries_for_many_vehicles_as_for_one(depot: Depot) -> None:
    make_tariff(depot)
    read_all(depot, START, [30] * 24, [0] * 24)
    counts = []
    for number in range(1, 9):
        _, connector = make_bay(depot, f"Bus {number:02}")
        begin = START + (number - 1) * 2 * STEP
        stay(connector, begin, [10] * (24 - (number - 1) * 2), 0.2, 0.5)
    for step in (8, 16, 24):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            roll_up(depot, START + step * STEP)
        counts.append(len(queries))
    assert max(counts) <= 36, counts
    assert max(counts) - min(counts) <= 2, counts
