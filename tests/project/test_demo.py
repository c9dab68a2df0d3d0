"""The demonstration computes its own history: meters, ledger, bills and batteries agree, and every bus leaves ready."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import time_machine
from django.core.management import CommandError, call_command

from billing.models import Bill, Interval, SavingsStatement
from billing.selectors.ledger import read_ledger
from charging.models import ChargingSession, MeterSample
from depot import clock
from depot.models import Depot, MeterReading, User
from depot.project import start
from depot.project.demo import site, truth
from fleet.models import BatteryHealth, LearntConsumption, MeasuredTrip, VehicleState
from fleet.selectors.duties import duties
from fleet.selectors.needs import need_of
from fleet.services.consumption import learn_consumption
from tests.project.conftest import DAYS, NOW

pytestmark = pytest.mark.xdist_group("demo")


def local_hours(depot, ledger):
    return np.array([depot.local(at).hour for at in ledger.grid.times()])


def whole(depot):
    first = Interval.objects.filter(depot=depot).earliest("start_at").start_at
    last = Interval.objects.filter(depot=depot).latest("start_at").start_at
    return read_ledger(depot, first, last + timedelta(minutes=15))


def test_the_fleet_is_the_one_promised(demo):
    kinds = demo.vehicles.values_list("type__kind", flat=True)
    assert (list(kinds).count("bus"), list(kinds).count("van")) == (24, 12)
    assert demo.chargers.filter(max_discharge_kw__gt=0).count() == 20
    assert demo.chargers.filter(max_discharge_kw=0).count() == 16


def test_every_interval_of_history_is_in_the_ledger_and_balances(demo):
    ledger = whole(demo)
    assert ledger.grid.start_at == datetime(2026, 10, 5, 4, 0, tzinfo=UTC)
    assert ledger.grid.end_at == datetime(2026, 10, 7, 15, 15, tzinfo=UTC)
    net = ledger.kwh("import_kwh") - ledger.kwh("export_kwh")
    flows = (
        ledger.kwh("building_kwh")
        - ledger.kwh("solar_kwh")
        + ledger.kwh("charge_kwh")
        - ledger.kwh("discharge_kwh")
    )
    assert not np.isnan(net).any()
    assert net == pytest.approx(flows, abs=1e-3)
    assert not ledger.estimated.any()


def test_no_limit_of_the_site_was_broken(demo):
    ledger = whole(demo)
    connection = demo.nodes.get(kind="grid")
    assert ledger.kw("import_kwh").max() <= connection.import_limit_kw
    assert ledger.kw("export_kwh").max() <= demo.agreement.allowed_export_kw + 1e-6


def test_every_vehicle_left_with_the_charge_its_block_needed(demo):
    left = {
        (session.vehicle_id, session.unplugged_at): session.soc_out
        for session in ChargingSession.objects.filter(unplugged_at__lt=NOW - timedelta(hours=1))
    }
    ended = [
        duty
        for duty in duties(demo, NOW - timedelta(days=DAYS), NOW - timedelta(hours=2))
        if duty.pull_out_at < NOW - timedelta(hours=2)
    ]
    assert len(ended) > 100
    short = []
    for duty in ended:
        step = timedelta(minutes=15)
        at = duty.pull_out_at - (duty.pull_out_at - datetime(2026, 1, 1, tzinfo=UTC)) % step
        soc = left.get((duty.vehicle.pk, at))
        duty.vehicle.state.soh = 1.0  # what was known of every battery when these trips were planned
        if soc is not None and soc < need_of(duty, duty.vehicle).required_soc - 0.005:
            short.append((duty.vehicle.name, at, soc))
    assert short == []


def test_vehicles_charge_at_midday_and_give_back_in_the_dear_hours(demo):
    ledger = whole(demo)
    hours = local_hours(demo, ledger)
    discharge, charge = ledger.kwh("discharge_kwh"), ledger.kwh("charge_kwh")
    peak = (hours >= 16) & (hours < 21)
    assert discharge[peak].sum() > 0.95 * discharge.sum() > 500
    assert charge[peak].sum() < 0.1 * charge.sum()
    assert charge[(hours >= 9) & (hours < 14)].sum() > 200


def test_sessions_samples_and_ledger_tell_the_same_energy(demo):
    sessions = ChargingSession.objects.filter(connector__charger__depot=demo)
    assert sum(sessions.values_list("import_kwh", flat=True)) == pytest.approx(
        whole(demo).kwh("charge_kwh").sum(), rel=1e-6
    )
    assert MeterSample.objects.filter(session__in=sessions).count() > 3000
    assert not sessions.filter(unplugged_at__isnull=True).exists()


def test_the_month_is_billed_and_the_savings_add_up(demo):
    statement = SavingsStatement.objects.get(depot=demo)
    assert statement.actual.total == sum(line.amount for line in statement.actual.lines.all())
    assert statement.net_saving == statement.unmanaged.total - statement.actual.total - statement.wear_added
    assert statement.net_saving > 0
    assert Bill.objects.filter(depot=demo).count() == 2


def test_batteries_age_a_little_and_the_discharged_ones_more(demo):
    health = {row.vehicle.name: row for row in BatteryHealth.objects.select_related("vehicle")}
    assert len(health) == 36
    assert all(0.8 < row.soh < 1 for row in health.values())
    assert health["Bus 01"].v2g_throughput_kwh > 0
    assert health["Van 01"].v2g_throughput_kwh == 0


def test_states_meters_and_today_are_there(demo):
    assert VehicleState.objects.filter(vehicle__depot=demo).count() == 36
    assert MeterReading.objects.filter(meter__depot=demo).latest("observed_at").observed_at == datetime(
        2026, 10, 7, 15, 15, tzinfo=UTC
    )
    plan = demo.plans.latest()
    assert plan.violations == []
    assert plan.status == "optimal"


def test_the_password_is_random_private_and_stays(demo, settings):
    name, password = site.demo_log_in(settings.VAR_DIR)
    assert User.objects.get(username=name).check_password(password)
    assert site.demo_log_in(settings.VAR_DIR) == (name, password)
    for secret in ("demo_password", "charger_passwords.json"):
        assert (settings.VAR_DIR / secret).stat().st_mode & 0o077 == 0
    assert len(json.loads((settings.VAR_DIR / "charger_passwords.json").read_text())) == 36


def test_a_second_start_goes_on_from_what_is_there(demo, capsys):
    call_command("demo", no_run=True)
    assert "there already" in capsys.readouterr().out
    assert Depot.objects.filter(slug=site.SLUG).count() == 1


def test_time_never_goes_back_behind_the_newest_record(demo):
    with time_machine.travel(NOW - timedelta(days=1), tick=False):
        env = start.clock_settings(60)
    assert datetime.fromisoformat(env["DEPOT_CLOCK_ANCHOR_SIMULATED"]) == datetime(
        2026, 10, 7, 15, 15, tzinfo=UTC
    )
    fast = clock.Clock(NOW, NOW, 60.0)
    assert fast.at(NOW + timedelta(seconds=10)) == NOW + timedelta(minutes=10)


def test_a_real_depots_clock_stays_on_the_wall(depot):
    """A meter may be minutes ahead: that must not shift what charging and billing take for now."""
    now = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
    meter = depot.meters.first()
    ahead = now + timedelta(minutes=4)
    MeterReading.objects.create(
        meter=meter, observed_at=ahead, received_at=now, power_kw=1, import_kwh_total=1, export_kwh_total=0
    )
    with time_machine.travel(now, tick=False):
        assert start.clock_settings(1.0)["DEPOT_CLOCK_ANCHOR_SIMULATED"] == ""
        with pytest.raises(ValueError, match="Maple Street is a real depot"):
            start.clock_settings(60.0)
        with pytest.raises(CommandError, match="Leave --speed out"):
            call_command("run", speed=60.0)
        Depot.objects.update(demo=True)
        shifted = start.clock_settings(1.0)["DEPOT_CLOCK_ANCHOR_SIMULATED"]
        assert datetime.fromisoformat(shifted) >= ahead, "a demonstration goes on from its newest record"


def test_the_address_is_printed_once_the_chargers_are_here(demo):
    assert not start.wait_for_chargers(seconds=0)
    demo.chargers.update(connected=True)
    assert start.wait_for_chargers(seconds=0)


def test_an_hour_of_the_typical_year_lies_in_the_middle_of_its_hour():
    """Row 12 holds the mean from 12:00 to 13:00 of local standard time, so that is what 12:30 gives."""
    row = truth.typical_year()[12]
    found = truth.weather_at([datetime(2026, 1, 1, 17, 30, tzinfo=UTC)])
    assert [found.ghi[0], found.dni[0], found.dhi[0], found.temperature_c[0]] == pytest.approx(list(row))


def test_the_truth_is_the_same_at_every_run_and_follows_the_sun(demo):
    noon = datetime(2026, 10, 6, 17, 0, tzinfo=UTC)
    night = noon + timedelta(hours=12)
    assert truth.solar_kw(demo, [noon, night])[1] == 0
    live = truth.live(demo)
    assert live.solar_kw(noon) == pytest.approx(truth.solar_kw(demo, [noon])[0])
    assert live.building_kw(noon) == truth.building_kw(demo, [noon])[0] > truth.building_kw(demo, [night])[0]


def test_its_trips_tell_what_its_vehicles_use(demo):
    # Batteries are assessed after these days, which were driven with them as new.
    VehicleState.objects.filter(vehicle__depot=demo).update(soh=1.0)
    night = learn_consumption(demo, (NOW - timedelta(days=1)).date(), NOW)
    assert night.trips > 40
    assert night.vehicles == 36
    for row in LearntConsumption.objects.select_related("vehicle__type"):
        entered = row.vehicle.type.consumption_kwh_per_km
        assert 0.9 * entered < row.kwh_per_km < 1.3 * entered
    assert MeasuredTrip.objects.filter(energy_source="soc", distance_source="schedule").count() == night.trips
