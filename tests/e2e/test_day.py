"""A dispatcher swaps a bus in two clicks, in a real browser."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from depot import clock
from depot.models import Depot, User
from fleet.models import Vehicle, VehicleState
from tests.e2e.conftest import Photograph, SignIn
from tests.factories import make_block, make_charger, make_type, make_vehicle


def test_a_dispatcher_swaps_a_bus_in_two_clicks(
    sign_in: SignIn, dispatcher: User, depot: Depot, live_server: Any, photograph: Photograph
) -> None:
    kind = make_type(depot)
    buses: list[Vehicle] = []
    for number, soc in enumerate((0.2, 0.9, 0.6), start=1):
        bus = make_vehicle(depot, f"Bus 0{number}", type=kind, soc=soc)
        make_charger(depot, bus, connected=True)
        buses.append(bus)
        leave = 300 + 10 * number
        make_block(depot, bus, f"10{number} AM", depart_minute=leave, return_minute=leave + 150, weekdays=127)
        make_block(
            depot, bus, f"10{number} PM", depart_minute=leave + 500, return_minute=leave + 650, weekdays=127
        )
    VehicleState.objects.update(observed_at=clock.now(), soc_observed_at=clock.now())
    VehicleState.objects.filter(vehicle=buses[0]).update(soh=0.8)
    page = sign_in(dispatcher)
    page.goto(f"{live_server.url}/{depot.slug}/schedules/day/")
    page.get_by_role("link", name="Day after").click()
    photograph(page, "day")
    page.get_by_role("link", name="Swap 101 AM").click()
    photograph(page, "swap")
    page.get_by_role("button", name="Swap with Bus 02").click()
    expect(page.get_by_text("2 blocks changed")).to_be_visible()
    expect(page.get_by_role("row", name="101 AM").get_by_role("cell", name="Bus 02")).to_be_visible()
    page.get_by_role("link", name="Propose vehicles").click()
    photograph(page, "proposal")
    page.goto(f"{live_server.url}/{depot.slug}/reports/not-ready/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Every recorded pull-out was ready")
