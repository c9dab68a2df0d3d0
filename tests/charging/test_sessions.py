"""Sessions: every word counts once, whatever order it comes in."""

from __future__ import annotations

import itertools
import math
from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from charging.models import ChargingSession, Connector, MeterSample, StationNotice
from charging.ocpp.events import Outcome, Reading, TransactionEvent
from charging.ocpp.keeping import apply_all
from charging.services.late_words import begin_earlier
from charging.services.plugs import plug_in, unplug
from charging.services.samples import Sample, record_sample, record_samples
from charging.services.stations import set_status
from depot.models import Alert
from fleet.models import TelemetryReading, VehicleState
from tests import factories

NOW = factories.NOW


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def connector(depot) -> Connector:
    return factories.make_charger(depot, factories.make_vehicle(depot)).connectors.get()


def test_plugging_in_opens_one_session(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(1), soc=0.4)
    assert plug_in(connector, "tx", at(5), soc=0.9) == session
    assert (session.vehicle, session.soc_in) == (connector.vehicle, 0.4)
    state = VehicleState.objects.get(vehicle=connector.vehicle)
    assert (state.soc, state.plugged_in, state.observed_at) == (0.4, True, at(1))


def test_a_recognised_vehicle_overrules_the_bay(connector: Connector, depot) -> None:
    guest = factories.make_vehicle(depot, "Bus 02")
    assert plug_in(connector, "tx", at(1), guest).vehicle == guest


def test_a_stranger_is_not_taken_for_the_one_that_parks_here(connector: Connector) -> None:
    assert plug_in(connector, "tx", at(1), stranger=True).vehicle is None


def test_a_vehicle_stands_in_one_place(connector: Connector, depot) -> None:
    other = factories.make_charger(depot).connectors.get()
    here = plug_in(connector, "a", at(1))
    plug_in(other, "b", at(2), connector.vehicle)
    here.refresh_from_db()
    assert here.unplugged_at == at(2)
    assert plug_in(connector, "c", at(3)).vehicle is None


def test_the_next_plug_in_ends_what_was_open(connector: Connector) -> None:
    first = plug_in(connector, "a", at(1), soc=0.4)
    record_sample(first, at(2), 10, 1, 0, 0.45)
    plug_in(connector, "b", at(3))
    first.refresh_from_db()
    assert (first.unplugged_at, first.soc_out) == (at(3), 0.45)


def test_a_late_plug_in_does_not_end_what_came_after(connector: Connector) -> None:
    now = plug_in(connector, "new", at(10))
    late = plug_in(connector, "late", at(1), soc=0.1)
    assert late.unplugged_at == at(10)
    unplug(late, at(5), 0.2)
    assert (late.unplugged_at, late.soc_out) == (at(5), 0.2)
    now.refresh_from_db()
    assert now.unplugged_at is None
    assert VehicleState.objects.get(vehicle=connector.vehicle).plugged_in


def test_samples_count_from_the_first_register(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0))
    record_sample(session, at(0), 0, 100, 50, 0.5, sequence=0)
    record_sample(session, at(15), 40, 110, 50, 0.55, sequence=1)
    record_sample(session, at(30), -20, 110, 55, 0.52, sequence=2)
    record_sample(session, at(30), -20, 999, 55, 0.52, sequence=2)
    assert (session.import_kwh, session.export_kwh) == (10, 5)
    assert (session.soc_in, session.last_sequence, session.last_sample_at) == (0.5, 2, at(30))
    assert session.samples.count() == 3
    assert TelemetryReading.objects.filter(vehicle=connector.vehicle, source="charger").count() == 4


def test_totals_do_not_depend_on_order(connector: Connector) -> None:
    words = [(at(0), 100.0, 50.0), (at(15), 110.0, 50.0), (at(30), 110.0, 55.0), (at(45), 130.0, 55.0)]
    for number, order in enumerate(itertools.permutations(words)):
        session = plug_in(connector, f"tx{number}", at(number * 100))
        for moment, import_kwh, export_kwh in order:
            record_sample(session, moment + timedelta(minutes=number * 100), 1.0, import_kwh, export_kwh)
        assert (session.import_kwh, session.export_kwh) == pytest.approx((30, 5)), order
        assert session.last_sample_at == at(number * 100 + 45)


def test_late_samples_move_no_live_state(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0), soc=0.3)
    record_sample(session, at(30), 40, 20, 0, 0.6)
    record_sample(session, at(15), 10, 10, 0, 0.4)
    state = VehicleState.objects.get(vehicle=connector.vehicle)
    assert (state.soc, state.charging_power_kw) == (0.6, 40)
    assert session.last_sample_at == at(30)


def test_a_register_that_starts_again_goes_on_counting(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0))
    for minute, register in ((0, 100.0), (10, 108.0), (20, 1.0), (30, 3.0)):
        record_sample(session, at(minute), 0, register, 0)
    assert session.import_kwh == pytest.approx(11.0)


def test_a_register_that_starts_again_from_little_goes_on_counting(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0))
    for minute, register in ((0, 0.0), (10, 8.0), (20, 1.0), (30, 3.0)):
        record_sample(session, at(minute), 0, register, 0)
    assert session.import_kwh == pytest.approx(11.0)


def test_what_a_charger_cannot_have_measured_is_not_counted_in_any_order(connector: Connector) -> None:
    words = [(at(0), 100.0), (at(15), 110.0), (at(20), 5e6), (at(30), 120.0)]
    for number, order in enumerate(itertools.permutations(words)):
        begin = timedelta(hours=number)
        session = plug_in(connector, f"tx{number}", at(0) + begin)
        record_samples([Sample(session.pk, at + begin, 40.0, register) for at, register in order[:2]])
        record_samples([Sample(session.pk, at + begin, 40.0, register) for at, register in order[2:]])
        session.refresh_from_db()
        assert session.import_kwh == pytest.approx(20.0), order


def test_values_that_no_charger_measures_are_left_unsaid(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0))
    record_samples([Sample(session.pk, at(0), 40.0, 100.0), Sample(session.pk, at(15), 40.0, 110.0)])
    record_samples([Sample(session.pk, at(30), 1e9, 120.0, soc=math.nan)])
    record_samples([Sample(session.pk, at(40), 40.0, math.inf)])
    session.refresh_from_db()
    assert session.import_kwh == 20
    assert Alert.objects.get().title == f"Charger {connector.charger.name} measures what cannot be"
    row = session.samples.get(sampled_at=at(30))
    assert (row.power_kw, row.soc, row.quality) == (40.0, None, "suspect")  # 10 kWh in a quarter of an hour
    state = VehicleState.objects.get(vehicle=connector.vehicle)
    assert (state.charging_power_kw, state.soc) == (40.0, 0.6)


def test_a_register_said_later_stood_there_before(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0))
    record_samples([Sample(session.pk, at(0), 0, import_kwh_total=10), Sample(session.pk, at(1), 6)])
    record_samples([Sample(session.pk, at(10), None, 12, 500)])
    record_samples([Sample(session.pk, at(20), None, 12, 501)])
    session.refresh_from_db()
    assert (session.import_kwh, session.export_kwh) == (2, 1)
    rows = list(session.samples.values_list("power_kw", "import_kwh_total", "export_kwh_total"))
    assert [row[1:] for row in rows] == [(10, 500), (10, 500), (12, 500), (12, 501)]
    assert [row[0] for row in rows] == pytest.approx([0, 6, 2 * 60 / 9, -6])


def test_sessions_written_by_others_keep_their_samples(connector: Connector) -> None:
    session = ChargingSession.objects.create(
        connector=connector,
        vehicle=connector.vehicle,
        transaction_id="old",
        plugged_in_at=at(0),
        last_sample_at=at(5),
    )
    for minute, register in ((0, 3.0), (5, 4.0)):
        MeterSample.objects.create(
            session=session, sampled_at=at(minute), received_at=NOW, power_kw=12, import_kwh_total=register
        )
    record_sample(session, at(10), 12, 5.0, 0)
    assert session.import_kwh == 2.0
    assert list(session.samples.values_list("import_kwh_total", flat=True)) == [3.0, 4.0, 5.0]


@time_machine.travel(NOW, tick=False)
def test_a_clock_that_is_ahead_dates_nothing_and_is_an_alert(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(120), soc=0.3)
    assert session.plugged_in_at == NOW
    with time_machine.travel(at(10), tick=False):
        record_samples([Sample(session.pk, at(130), 40, 101, soc=0.33), Sample(session.pk, at(129), 40, 100)])
    with time_machine.travel(at(20), tick=False):
        record_sample(session, at(140), 40, 107, 0, 0.36)
        unplug(session, at(140))
    rows = list(session.samples.values_list("sampled_at", "import_kwh_total", "quality"))
    assert rows == [(at(10), 101, "suspect"), (at(20), 107, "suspect")]
    assert (session.import_kwh, session.unplugged_at) == (6, at(20))
    state = VehicleState.objects.get(vehicle=connector.vehicle)
    assert (state.soc, state.observed_at, state.plugged_in) == (0.36, at(20), False)
    assert Alert.objects.get().title == f"The clock of charger {connector.charger.name} is 120 min fast"


def test_a_session_that_was_left_in_the_future_goes_on(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0))
    record_sample(session, at(5), 60, 105, 0)
    with time_machine.travel(at(300), tick=False):  # our clock was wrong for a while
        record_sample(session, at(300), 60, 110, 0)
        record_sample(session, at(305), 60, 115, 0)
    with time_machine.travel(at(20), tick=False):
        record_sample(session, at(20), 60, 120, 0)
    assert (session.import_kwh, session.last_sample_at) == (15, at(20))
    rows = session.samples.order_by("sampled_at").values_list("import_kwh_total", "quality")
    assert list(rows) == [(105, "good"), (110, "suspect"), (115, "suspect"), (120, "good")]


@time_machine.travel(NOW, tick=False)
def test_a_plugs_status_from_the_future_gives_way(connector: Connector) -> None:
    set_status(connector, "faulted", at(300))
    Connector.objects.update(status_at=at(300))  # as kept while our clock was wrong
    set_status(connector, "available", at(0))
    connector.refresh_from_db()
    assert (connector.status, connector.status_at) == ("available", NOW)


def test_the_order_of_start_and_end_changes_no_session(depot) -> None:
    """Started, two updates and Ended of one transaction, in every order, as the gateway's keeper takes them."""
    found = set()
    for number, order in enumerate(itertools.permutations(range(4))):
        connector = factories.make_charger(
            depot, factories.make_vehicle(depot, f"Bus {number}")
        ).connectors.get()
        Connector.objects.create(charger=connector.charger, evse_id=2)
        for index in order:
            told = TransactionEvent(
                ("started", "updated", "updated", "ended")[index],
                "tx",
                at(10 * index),
                evse_id=1 if index == 0 else 0,
                readings=(Reading(at(10 * index), 40.0, 100.0 + 6 * index, 0.0, 0.3 + index / 100),),
            )
            (outcome,) = apply_all([(connector.charger_id, told)])
            assert isinstance(outcome, Outcome)
        session = ChargingSession.objects.get(connector=connector)
        energy = session.import_kwh, session.plugged_in_at, session.unplugged_at
        samples = tuple(session.samples.order_by("sampled_at").values_list("sampled_at", "import_kwh_total"))
        found.add((*energy, session.soc_in, samples))
        state = VehicleState.objects.get(vehicle=connector.vehicle)
        assert not state.plugged_in, order
    assert found == {(18.0, at(0), at(30), 0.3, tuple((at(10 * i), 100.0 + 6 * i) for i in range(4)))}
    assert not StationNotice.objects.filter(kind="orphan", over=False).exists()


def test_an_end_that_opened_a_session_gives_way_to_its_start(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(30), soc=0.6)
    record_sample(session, at(30), 0, 120, 0, 0.6)
    unplug(session, at(30))
    assert begin_earlier(session, at(0), 0.5)
    record_sample(session, at(0), 40, 100, 0, 0.5)
    assert (session.plugged_in_at, session.unplugged_at) == (at(0), at(30))
    assert (session.import_kwh, session.soc_in, session.soc_out) == (20, 0.5, 0.6)


def test_unplugging_twice_keeps_the_earlier_end(connector: Connector) -> None:
    session = plug_in(connector, "tx", at(0))
    unplug(session, at(30), 0.8)
    unplug(session, at(40))
    assert (session.unplugged_at, session.soc_out) == (at(30), 0.8)
    state = VehicleState.objects.get(vehicle=connector.vehicle)
    assert (state.plugged_in, state.charging_power_kw) == (False, 0)


def test_a_session_without_a_vehicle_moves_no_state(depot) -> None:
    connector = factories.make_charger(depot).connectors.get()
    session = plug_in(connector, "tx", at(0), soc=0.3)
    record_sample(session, at(1), 5, 1, 0, 0.31)
    unplug(session, at(2))
    assert session.soc_out == 0.31
    assert not TelemetryReading.objects.exists()


def test_many_samples_need_few_queries(depot) -> None:
    sessions = [
        plug_in(
            factories.make_charger(depot, factories.make_vehicle(depot, f"Bus {n}")).connectors.get(),
            "tx",
            at(0),
        )
        for n in range(8)
    ]

    def queries(count: int, minute: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            record_samples([Sample(one.pk, at(minute), 1.0, minute, 0.0, 0.5) for one in sessions[:count]])
        return len(captured)

    for one in sessions:
        record_sample(one, at(0), 0, 0, 0)
    assert queries(1, 1) == queries(8, 2)
    record_samples([])
