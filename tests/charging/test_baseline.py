"""The counterfactual: same driving energy, full power on plug-in, its own peaks; final when sessions are over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import Interval
from billing.services.bills import bill_month
from charging.models import ChargingSession
from charging.services.band import update_band
from charging.services.baseline import update_baseline
from charging.services.rollup import roll_up
from depot.jobs.registry import KINDS
from depot.models import Depot, ElectricalNode, Job, Meter, MeterReading
from fleet.models import Vehicle, VehicleState
from tests.billing.money import make_tariff
from tests.charging.meters import STEP, make_bay, read_all, stay

START = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def column(name: str) -> list[float]:
    return [round(value, 6) for value in Interval.objects.order_by("start_at").values_list(name, flat=True)]


def frozen() -> list[bool]:
    rows = Interval.objects.order_by("start_at").values_list("baseline_frozen_at", flat=True)
    return [at is not None for at in rows]


def test_without_intervals_nothing_is_to_be_done(depot: Depot) -> None:
    assert update_baseline(depot, START) == 0


def test_the_unmanaged_vehicle_charges_at_full_power_from_plug_in(depot: Depot) -> None:
    _, connector = make_bay(depot)
    powers = [0, 0, 40, 40]
    read_all(depot, START, [30] * 4, powers)
    stay(connector, START, powers, 0.5, 0.6)
    roll_up(depot, START + 4 * STEP)
    assert column("unmanaged_charge_kwh") == [15, 5, 0, 0]  # 20 kWh at 60 kW
    assert column("unmanaged_import_kwh") == [22.5, 12.5, 7.5, 7.5]
    assert max(column("import_kwh")) == 17.5  # its own peak is another one
    assert frozen() == [True] * 4


def test_an_aged_battery_is_owed_no_more_than_it_took(depot: Depot) -> None:
    vehicle, connector = make_bay(depot)
    VehicleState.objects.filter(vehicle=vehicle).update(soh=0.8)
    powers = [0, 0, 32, 32]
    read_all(depot, START, [30] * 4, powers)
    stay(connector, START, powers, 0.5, 0.6)
    roll_up(depot, START + 4 * STEP)
    assert sum(column("unmanaged_charge_kwh")) == 16  # as in fact, not the 20 kWh of a new battery


def test_what_v2g_gave_is_carried_and_never_charged_twice(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [30] * 12, [-40] * 2 + [0] * 4 + [40] * 4 + [0] * 2)
    first = stay(connector, START, [-40, -40], 0.6, 0.5)
    second = stay(connector, START + 6 * STEP, [40] * 4, 0.4, 0.6)
    roll_up(depot, START + 12 * STEP)
    assert column("unmanaged_charge_kwh")[:6] == [0] * 6
    assert column("unmanaged_charge_kwh")[6:8] == [15, 5]  # 40 kWh less the 20 that were never given away
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.unmanaged_carry_kwh, second.unmanaged_carry_kwh) == (0, pytest.approx(-20))


def test_the_carry_survives_a_time_in_which_nobody_was_plugged_in(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [30] * 24, [0] * 24)
    stay(connector, START, [0, -40], 0.6, 0.55)
    for step in (2, 6, 10):
        roll_up(depot, START + step * STEP)
    assert frozen() == [True] * 10  # the first session is long behind the counterfactual
    stay(connector, START + 11 * STEP, [40] * 4, 0.4, 0.6)
    for step in (12, 16, 24):
        roll_up(depot, START + step * STEP)
    assert sum(column("unmanaged_charge_kwh")) == pytest.approx(30)  # 40 less 10


def test_an_open_session_is_followed_and_not_final(depot: Depot) -> None:
    vehicle, connector = make_bay(depot)
    read_all(depot, START, [30] * 12, [0] * 4 + [40] * 8)
    session = stay(connector, START + 4 * STEP, [40] * 4, 0.2, None, still_there=True)
    VehicleState.objects.filter(vehicle=vehicle).update(soc=0.4)
    roll_up(depot, START + 8 * STEP)
    assert column("unmanaged_charge_kwh") == [0, 0, 0, 0, 15, 15, 10, 0]
    assert frozen() == [True] * 4 + [False] * 4
    session.unplugged_at, session.soc_out = START + 12 * STEP, 0.5
    session.save()
    roll_up(depot, START + 12 * STEP)
    assert column("unmanaged_charge_kwh") == [0, 0, 0, 0, 15, 15, 15, 15, 0, 0, 0, 0]
    assert frozen() == [True] * 12


def test_the_counterfactual_is_final_after_a_week_even_in_an_open_session(depot: Depot) -> None:
    vehicle, connector = make_bay(depot)
    steps = 96 * 8
    read_all(depot, START, [30] * steps, [0] * steps)
    stay(connector, START, [0] * steps, 0.2, None, still_there=True)
    VehicleState.objects.filter(vehicle=vehicle).update(soc=0.3)
    for _ in range(2):
        roll_up(depot, START + steps * STEP)
    assert frozen() == [True] * 96 + [False] * (steps - 96)


def test_a_final_counterfactual_does_not_follow_a_session_that_is_changed_later(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [30] * 4, [40] * 4)
    session = stay(connector, START, [40] * 4, 0.4, 0.6)
    roll_up(depot, START + 4 * STEP)
    before = list(Interval.objects.values())
    session.soc_out = 1.0
    session.save()
    assert update_baseline(depot, START + 8 * STEP) == 0
    assert list(Interval.objects.values()) == before


def test_a_charger_that_knows_no_charge_is_followed_by_its_registers(depot: Depot) -> None:
    _, connector = make_bay(depot, charge_efficiency=0.9)
    read_all(depot, START, [30] * 8, [0] * 4 + [20] * 4)
    stay(connector, START, [0] * 4 + [20] * 4, None, None)
    roll_up(depot, START + 8 * STEP)
    assert column("unmanaged_charge_kwh") == [15, 5, 0, 0, 0, 0, 0, 0]


def test_a_stranger_is_taken_as_it_was(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [30] * 4, [0, 0, 20, 20])
    stay(connector, START, [0, 0, 20, 20], None, None, stranger=True)
    roll_up(depot, START + 4 * STEP)
    assert column("unmanaged_charge_kwh") == [0, 0, 5, 5]
    assert column("unmanaged_import_kwh") == column("import_kwh")


def test_a_vehicle_that_cannot_charge_here_draws_nothing(depot: Depot) -> None:
    vehicle, connector = make_bay(depot)
    vehicle.type.max_charge_dc_kw = 0
    vehicle.type.save()
    read_all(depot, START, [30] * 4, [0] * 4)
    stay(connector, START, [0] * 4, 0.5, 0.6)
    roll_up(depot, START + 4 * STEP)
    assert column("unmanaged_charge_kwh") == [0] * 4


@pytest.mark.parametrize(("state", "kwh"), [("approved", 25), ("applied", 0)])
def test_the_unmanaged_depot_exports_only_what_the_agreement_allows(
    depot: Depot, state: str, kwh: float
) -> None:
    depot.agreement.state = state
    depot.agreement.save()
    ElectricalNode.objects.filter(depot=depot, kind="grid").update(export_limit_kw=100)
    meter = depot.meters.get(kind=Meter.Kind.SOLAR)
    read_all(depot, START, [30] * 4, [0] * 4)
    for reading in MeterReading.objects.filter(meter=meter):
        reading.import_kwh_total = 150.0 * (reading.observed_at - START).total_seconds() / 3600
        reading.save()
    roll_up(depot, START + 4 * STEP)
    assert column("unmanaged_export_kwh") == [kwh] * 4


def test_only_what_changed_is_written(depot: Depot) -> None:
    _, connector = make_bay(depot)
    read_all(depot, START, [30] * 8, [20] * 8)
    stay(connector, START, [20] * 8, 0.2, None, still_there=True)
    roll_up(depot, START + 8 * STEP)
    assert update_baseline(depot, START + 8 * STEP) == 0


moves = st.lists(
    st.tuples(st.integers(1, 6), st.floats(-0.3, 0.4), st.integers(0, 3)), min_size=1, max_size=6
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=moves, runs=st.sets(st.integers(1, 60), max_size=6))
def test_the_same_driving_energy_however_often_it_is_computed(
    depot: Depot, moves: list[tuple[int, float, int]], runs: set[int]
) -> None:
    """Sum over closed sessions of the baseline's battery energy = what the battery really gained − what is owed."""
    for model in (ChargingSession, Interval, MeterReading):
        model.objects.all().delete()
    Vehicle.objects.all().delete()
    depot.chargers.all().delete()
    _, connector = make_bay(depot, charge_efficiency=0.9)
    read_all(depot, START, [30] * 80, [0] * 80)
    at, gained_kwh, sessions = START, 0.0, []
    for length, change, pause in moves:
        soc_in = 0.5 if change > 0 else 0.9
        sessions.append((at, length, soc_in, soc_in + change))
        gained_kwh += change * 200
        at += (length + pause) * STEP
    made = 0
    for step in sorted(runs | {80}):
        now = START + step * STEP
        while made < len(sessions) and sessions[made][0] + sessions[made][1] * STEP <= now:
            begin, length, soc_in, soc_out = sessions[made]
            stay(connector, begin, [0.0] * length, soc_in, soc_out)
            made += 1
        if made < len(sessions) and sessions[made][0] < now:
            continue  # a session that is running would be known, and open
        roll_up(depot, now)
    last = ChargingSession.objects.order_by("plugged_in_at").last()
    assert last is not None
    owed = _owed_after(last)
    charged = sum(column("unmanaged_charge_kwh")) * 0.9
    assert charged == pytest.approx(gained_kwh - owed, abs=1e-3)
    assert set(frozen()) == {True}


def _owed_after(session: ChargingSession) -> float:
    gained = (session.soc_out - session.soc_in) * 200  # type: ignore[operator]
    owed = session.unmanaged_carry_kwh + gained
    hours = (session.unplugged_at - session.plugged_in_at) / timedelta(hours=1)  # type: ignore[operator]
    return owed - min(max(owed, 0.0), hours * 60 * 0.9)


def test_a_band_says_how_far_the_assumptions_move_a_months_saving(depot: Depot) -> None:
    """Plugged in half an hour later the unmanaged peak is at another time; with weaker chargers it is lower."""
    make_tariff(depot)
    _, connector = make_bay(depot)
    powers = [0, 0, 40, 40]
    read_all(depot, START, [30] * 4, powers)
    stay(connector, START, powers, 0.5, 0.6)
    roll_up(depot, START + 4 * STEP + timedelta(hours=3))
    now = START + timedelta(hours=4)
    statement = bill_month(depot, START.date(), now)
    assert statement is not None
    band = update_band(statement, now)
    assert band is not None
    weaker, stronger, earlier, later = (Decimal(case["net_saving"]) for case in band.cases)
    # 10 $/kW: the unmanaged peak is 30 kW of building and the charger's 60 kW
    assert statement.unmanaged.peaks_kw["demand_flat.d.all"]["kw"] == "90.000"
    assert weaker - statement.net_saving == pytest.approx(Decimal("-60"), abs=Decimal("1"))
    assert (band.low, band.high) == (min(weaker, later, earlier), stronger)
    assert update_band(statement, now) == band
    assert KINDS["savings-band"].run(Job(depot=depot), lambda *_: None) == {"months": 1}
