"""A file that is not saved yet tells which of the coming pull-outs it makes doubtful, and which no longer."""

from __future__ import annotations

from datetime import date

import pytest
import time_machine

from charging.selectors.schedule_effect import readiness_effect
from depot.models import Depot
from fleet.formats.ranges import DateRange
from fleet.models import Assignment, Block, Vehicle, VehicleState
from fleet.services import schedules as service
from tests.factories import NOW, make_block, make_charger, make_vehicle

HEADER = "block_id,service_days,depart_at,return_at,energy_kwh,vehicle"


@pytest.fixture(autouse=True)
def at_noon():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def bus(depot: Depot) -> Vehicle:
    vehicle = make_vehicle(depot, "Bus 01", soc=0.4)
    make_charger(depot, vehicle, connected=True)
    return vehicle


def effect(depot: Depot, *rows: str, replacing: bool = False, days: DateRange | None = None) -> dict:
    content = "\n".join((HEADER, *rows)).encode()
    found = service.check(depot, content, "week.csv", days=days)
    assert not found.problems(replacing), found.errors
    return readiness_effect(depot, found, replacing, NOW)


def names(rows: list[dict]) -> list[tuple[str, str]]:
    return [(row["block"], row["when"][:3]) for row in rows]


def test_a_file_that_changes_nothing_has_no_effect(depot: Depot, bus: Vehicle) -> None:
    make_block(depot, bus, "101", depart_minute=900, return_minute=1000, distance_km=None, energy_kwh=90)
    told = effect(depot, "101,Mon-Fri,15:00,16:40,90,Bus 01")
    assert (told["worse"], told["better"], told["pull_outs"], told["cannot"]) == ([], [], 3, "")


def test_an_earlier_pull_out_becomes_doubtful(depot: Depot, bus: Vehicle) -> None:
    # 90 kWh of 200 need 65 %; from 40 % at 60 kW that takes about an hour.
    make_block(depot, bus, "101", depart_minute=900, return_minute=1000, distance_km=None, energy_kwh=90)
    told = effect(depot, "101,Mon-Fri,11:20,12:40,90,Bus 01", replacing=True)
    assert names(told["worse"]) == [("101", "Tue")]
    assert "Even at full power from now on it leaves with" in told["worse"][0]["reason"]
    assert (told["better"], told["added"], told["dropped"]) == ([], 0, 0)
    assert not Block.objects.filter(depart_minute=680).exists()


def test_work_that_goes_is_no_longer_doubtful(depot: Depot, bus: Vehicle) -> None:
    make_block(depot, bus, "tight", depart_minute=680, return_minute=760, distance_km=None, energy_kwh=90)
    row = "101,Mon-Fri,15:00,16:40,90,Bus 01"
    told = effect(depot, row, replacing=True)
    assert names(told["better"]) == [("tight", "Tue")]
    assert told["better"][0]["reason"] == "It does not run any more."
    assert (told["worse"], told["added"], told["dropped"]) == ([], 3, 3)
    assert effect(depot, row)["better"] == []


def test_more_work_before_makes_a_later_pull_out_doubtful(depot: Depot, bus: Vehicle) -> None:
    VehicleState.objects.update(soc=0.9)
    make_block(depot, bus, "late", depart_minute=900, return_minute=1000, distance_km=None, energy_kwh=90)
    told = effect(depot, "early,Tue,12:00,14:55,120,Bus 01")
    assert ("late", "Tue") in names(told["worse"])


def test_replacing_days_lets_only_them_change(depot: Depot, bus: Vehicle) -> None:
    make_block(depot, bus, "tight", depart_minute=680, return_minute=760, distance_km=None, energy_kwh=90)
    days = DateRange(date(2026, 3, 10), date(2026, 3, 10))
    told = effect(depot, "101,Tue,15:00,16:40,90,Bus 01", replacing=True, days=days)
    assert names(told["better"]) == [("tight", "Tue")]
    assert (told["pull_outs"], told["dropped"]) == (3, 1)


def test_assignments_of_single_days_stay(depot: Depot, bus: Vehicle) -> None:
    block = make_block(depot, bus, "101", depart_minute=900, return_minute=1000)
    Assignment.objects.create(block=block, service_date=date(2026, 3, 10), vehicle=None, made_at=NOW)
    Block.objects.update(key="101|1111100")
    assert effect(depot, "101,Mon-Fri,15:30,16:40,90,Bus 01")["pull_outs"] == 2


def test_what_cannot_be_judged_is_counted_apart(depot: Depot, bus: Vehicle) -> None:
    make_block(depot, None, "a", weekdays=0b100, distance_km=None)
    told = effect(depot, "b,Wed,08:00,09:00,30,")
    assert (told["open"], told["without_need"], told["worse_count"]) == (2, 1, 0)
    VehicleState.objects.all().delete()
    told = effect(depot, "b,Wed,08:00,09:00,30,Bus 01", replacing=True)
    assert (told["unknown"], told["worse_count"]) == (1, 0)
    assert told["cannot"] == "No vehicle has said how full it is, so no pull-out can be judged."


def test_a_quiet_depot_and_one_without_vehicles_say_so(depot: Depot) -> None:
    assert "No pull-out lies in the next three days" in effect(depot, "a,Sun,06:00,07:00,30,")["cannot"]
    assert "has no vehicles yet" in effect(depot, "a,Wed,06:00,07:00,30,")["cannot"]


def test_the_preview_page_tells_the_effect(login, depot: Depot, dispatcher, bus: Vehicle) -> None:
    make_block(depot, bus, "old", depart_minute=680, return_minute=760, distance_km=None, energy_kwh=90)
    content = f"{HEADER}\n101,Mon-Fri,11:20,12:40,90,Bus 01\n".encode()
    batch = service.upload(depot, dispatcher, content, "week.csv")
    page = " ".join(
        login(dispatcher).get(f"/{depot.slug}/schedules/upload/{batch.pk}/").content.decode().split()
    )
    assert "1 pull-out becomes doubtful, 1 no longer is." in page
    assert "3 pull-outs in the next three days: 3 more, 3 no longer run." in page


def test_the_number_of_queries_does_not_grow(
    depot: Depot, bus: Vehicle, django_assert_max_num_queries
) -> None:
    rows = [f"b{n},Mon-Fri,0{n % 6}:00,0{n % 6}:30,5," for n in range(200)]
    found = service.check(depot, "\n".join((HEADER, *rows)).encode(), "week.csv")
    with django_assert_max_num_queries(18):
        readiness_effect(depot, found, True, NOW)
