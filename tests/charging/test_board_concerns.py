"""What alerts somebody about the live depot: each rule by itself, and all of them on real rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache

from charging.models import ChargingSession, Connector
from charging.selectors import board_concerns as concerns
from charging.selectors.board_tile import Facts
from charging.services.live_alerts import watch_live
from depot.alerts import open_alerts
from depot.models import Alert, Depot, Forecast, MeterReading, MeterSource
from depot.services.meter_sources import watch_meters
from fleet.models import VehicleState
from tests.charging.test_board_tile import DEPOT, connector, planned, plugged, pull_out, vehicle
from tests.charging.yard import make_yard
from tests.factories import NOW

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def keys(causes) -> list[str]:
    return [cause.key for cause in causes]


def test_a_fault_is_critical_while_a_vehicle_stands_there() -> None:
    there, empty = plugged(connector=connector(1, "faulted")), Facts(connector(2, "faulted"))
    silent = Facts(connector(3, "faulted", connected=False))
    first, second = concerns.faults([there, empty, silent, plugged()], NOW)
    assert (first.key, first.level, second.key, second.level) == ("fault:1", "critical", "fault:2", "warning")
    assert first.detail == "Bus 07 stands there. Plug it in elsewhere."


def test_charging_is_interrupted_once_nothing_has_flowed_for_ten_minutes() -> None:
    stalled = plugged(0.0, planned=planned(40.0))
    assert concerns.should_charge([stalled], NOW) == [stalled]
    assert concerns.should_charge([plugged(0.0, planned=planned(40.0, ago=5 * MINUTE))], NOW) == []
    assert concerns.should_charge([plugged(9.0, planned=planned(40.0))], NOW) == []
    assert concerns.should_charge([plugged(0.0, planned=planned(-40.0, "discharging"))], NOW) == []
    (cause,) = concerns.interrupted([stalled], {1: 0.0}, NOW)
    assert (cause.key, cause.title) == ("interrupted:1", "Bus 07 at B-01 does not charge")
    assert concerns.interrupted([stalled], {1: 12.0}, NOW) == concerns.interrupted([stalled], {}, NOW) == []


def test_who_was_unplugged_too_early_is_named_unless_it_left_for_work() -> None:
    free = connector(status="available", booted_at=NOW - HOUR)
    calm = pull_out("at_risk", soc_now=0.3, act_by=NOW + 5 * HOUR, hours=6)
    one = Facts(free, vehicle(0.3), pull_out=calm)
    waiting = concerns.not_plugged_in([one], NOW)
    assert list(waiting) == [7]
    (cause,) = concerns.unplugged(waiting, {7: NOW - HOUR}, {}, DEPOT, NOW)
    assert cause.title == "Bus 07 was unplugged at 10:00 before it was ready"
    assert cause.detail == "It has 30 % and needs 75 % at 17:00. Plug it in at B-01."
    assert concerns.unplugged(waiting, {7: NOW - HOUR}, {7: NOW - 5 * HOUR}, DEPOT, NOW) == [cause]
    for at, left in (({}, {}), ({7: NOW - MINUTE}, {}), ({7: NOW - HOUR}, {7: NOW - 50 * MINUTE})):
        assert concerns.unplugged(waiting, at, left, DEPOT, NOW) == []
    urgent = replace(calm, act_by=NOW + HOUR)
    others = [
        replace(one, pull_out=urgent),
        replace(one, away_on="101"),
        replace(one, pull_out=replace(calm, soc_now=0.8)),
        replace(one, pull_out=None),
        replace(one, connector=connector(status="available")),
        replace(one, connector=connector(status="available", connected=False, booted_at=NOW - HOUR)),
        plugged(pull_out=calm),
    ]
    assert concerns.not_plugged_in(others, NOW) == {}


@pytest.mark.parametrize(
    ("net_kw", "still_open", "found"),
    [
        (379.0, (), []),
        (380.0, (), [("limit:import", "warning")]),
        (401.0, (), [("limit:import", "critical")]),
        (365.0, ("limit:import",), [("limit:import", "warning")]),
        (359.0, ("limit:import",), []),
        (-196.0, (), [("limit:export", "warning")]),
        (None, ("limit:import",), []),
    ],
)
def test_a_limit_is_near_from_95_until_below_90_percent(net_kw, still_open, found) -> None:
    causes = concerns.near_limits(net_kw, 400.0, 200.0, still_open)
    assert [(cause.key, cause.level) for cause in causes] == found
    assert concerns.near_limits(-50.0, 400.0, 0.0, ()) == []


def test_a_peak_counts_only_above_what_is_billed_and_planned() -> None:
    assert concerns.heading_kw(100.0, 250.0, 2 / 3) == pytest.approx(150.0)
    demand = concerns.Demand("d", "On-peak", 10.0, 200.0, 210.0, 230.0, NOW + 5 * MINUTE)
    (cause,) = concerns.new_peaks([demand], DEPOT, "USD")
    assert cause.title == "A new demand peak is about to be set: 230 kW"
    assert cause.detail == (
        "On-peak: 210 kW is the peak so far or planned. If the site draws as now until 11:05, "
        "this period costs $200 more."
    )
    assert concerns.new_peaks([replace(demand, heading_kw=210.5)], DEPOT, "USD") == []


def test_many_silent_vehicles_are_one_alert() -> None:
    plugged_in = [plugged(vehicle=bus) for bus in [vehicle()]]
    assert concerns.stale_vehicles(plugged_in, [vehicle()], NOW) == []
    silent = [vehicle() for _ in range(8)]
    for number, bus in enumerate(silent):
        bus.name = f"Bus {number}"
        bus.state.soc_source = VehicleState.Source.TELEMATICS if number else VehicleState.Source.CHARGER
    (cause,) = concerns.stale_vehicles([], silent, NOW + 3 * HOUR)
    assert cause.title == "The charge of 7 vehicles was last heard of over two hours ago".replace(
        "was", "were"
    )
    assert cause.detail.startswith("Bus 1, Bus 2, Bus 3, Bus 4, Bus 5, Bus 6 and 1 more.")


def test_forecasts_are_missed_when_they_are_old() -> None:
    old = {"Solar production": NOW - 4 * HOUR, "Building load": NOW - HOUR}
    (cause,) = concerns.stale_forecasts(old, DEPOT, NOW)
    assert cause.title == "The forecast of solar production is from 07:00"


def test_all_of_it_on_real_rows_opens_once_and_clears_again(depot: Depot) -> None:
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        make_yard(depot, NOW, buses=2)
        watch_live(depot, NOW)
        assert not open_alerts(depot).exists()
        Connector.objects.filter(vehicle__name="Bus 01").update(status="faulted")
        bus = VehicleState.objects.filter(vehicle__name="Bus 02")
        bus.update(soc=0.3, plugged_in=False)
        ChargingSession.objects.filter(vehicle__name="Bus 02", transaction_id="day").update(
            unplugged_at=NOW - HOUR
        )
        Forecast.objects.filter(kind="solar").update(made_at=NOW - 4 * HOUR)
        MeterReading.objects.filter(meter__kind="grid").update(power_kw=390.0)
        MeterReading.objects.filter(meter__kind="building").update(observed_at=NOW - HOUR)
        for _ in range(2):
            watch_live(depot, NOW)
        kinds = sorted(alert.key.partition(":")[0] for alert in Alert.objects.all())
        assert kinds == ["fault", "forecast", "limit", "meter", "peak"]
        Connector.objects.update(status="occupied")
        MeterReading.objects.update(power_kw=1.0, observed_at=NOW)
        Forecast.objects.update(made_at=NOW)
        watch_live(depot, NOW)
        assert not open_alerts(depot).exists()


def test_one_watch_never_clears_what_another_has_found(depot: Depot) -> None:
    """A silent meter, and one that is fetched and silent: alerts as before after all the watches of five minutes."""
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        make_yard(depot, NOW, buses=1)
        MeterReading.objects.filter(meter__kind="building").update(observed_at=NOW - HOUR)
        MeterReading.objects.filter(meter__kind="grid").update(observed_at=NOW - 2 * MINUTE)
        fetched = depot.meters.get(kind="grid")
        MeterSource.objects.create(meter=fetched, kind="push", every_s=5, changed_at=NOW - HOUR)
        for _ in range(2):
            watch_meters(depot, NOW)
            watch_live(depot, NOW)
        found = Alert.objects.filter(key__startswith="meter:").order_by("level")
        assert [(alert.level, alert.cleared_at) for alert in found] == [("critical", None), ("warning", None)]
